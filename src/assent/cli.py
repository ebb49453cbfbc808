"""The command line: `assent VERB`. Each verb is one frozen dataclass (its typed flags) with one `start`.

`--recipe NAME`, or `--config package.module:function`, chooses the defaults; every flag overrides one of them. A verb's
module is imported when the verb is asked for, so that those which need no model start at once.
"""

import dataclasses
import importlib
import sys
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

RECIPE_NAMES = ("small", "sandbox", "paper_1b", "paper_6b", "paper_175b")


class Verb(NamedTuple):
    """Where a verb lives, and what it does in a line."""

    module: str
    name: str
    summary: str

    def load(self) -> Any:
        """The dataclass of its flags."""
        return getattr(importlib.import_module(f"assent.commands.{self.module}"), self.name)


VERBS = {
    "demo": Verb("demo", "Demo", "the whole method in the sandbox, and what becomes of the paper's claims"),
    "claims": Verb("demo", "Claims", "the paper's claims as experiments in the sandbox, over several seeds"),
    "sandbox": Verb("demo", "Sandbox", "write the sandbox's corpus, prompts and demonstrations"),
    "import": Verb("files", "Import", "turn other people's files into records; keep aside what cannot be read"),
    "clean": Verb("files", "Clean", "prepare prompts: duplicates, a cap a user, split by user, personal data"),
    "pretrain": Verb("train", "Pretrain", "step 0: a small base model from scratch on plain text"),
    "sft": Verb("train", "SFT", "step 1: fine-tune a language model on demonstrations"),
    "init": Verb("train", "Init", "where PPO starts: demonstrations with a tenth of pretraining text"),
    "reward": Verb("train", "Reward", "step 2: a reward model from rankings, calibrated on demonstrations"),
    "crossvalidate": Verb("train", "Crossvalidate", "a reward model tested on groups of labelers it has not seen"),
    "ppo": Verb("train", "PPO", "step 3: PPO against the reward model, with a pretraining mix"),
    "select": Verb("use", "Select", "choose among models by reward-model score"),
    "sample": Verb("use", "Sample", "answer prompts; the answers are records, ready to be ranked"),
    "chat": Verb("use", "Chat", "talk to a model in the terminal"),
    "evaluate": Verb("evaluate", "Evaluate", "models on public tasks and probes, beside the paper's numbers"),
    "label": Verb("label", "Label", "the app in which people write demonstrations, rate and rank"),
    "report": Verb("files", "Report", "one self-contained page about some runs"),
}


def parse(arguments: Sequence[str]) -> Any:
    """The verb that a command line asks for, with the defaults of its recipe."""
    import tyro

    if not arguments or arguments[0] not in VERBS:
        lines = "".join(f"  {name:14s}{verb.summary}\n" for name, verb in VERBS.items())
        asked = f"unknown verb {arguments[0]!r}\n" if arguments and not arguments[0].startswith("-") else ""
        raise SystemExit(
            f"{asked}assent VERB [--recipe {'|'.join(RECIPE_NAMES)}] [flags]; VERB --help says more\n\n{lines}"
        )
    name, rest = arguments[0], list(arguments[1:])
    recipe, config = _taken(rest, "--recipe"), _taken(rest, "--config")
    verb = VERBS[name].load()
    defaults = _defaults(name, recipe, config) if any(f.name == "config" for f in dataclasses.fields(verb)) else {}
    if not defaults:
        return tyro.cli(verb, args=rest, prog=f"assent {name}")
    missing = {
        f.name: tyro.MISSING
        for f in dataclasses.fields(verb)
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING and f.name not in defaults
    }
    return tyro.cli(verb, args=rest, default=verb(**defaults, **missing), prog=f"assent {name}")


def _defaults(verb: str, name: str, path: str) -> dict[str, Any]:
    """The configurations that a recipe has for a verb."""
    from assent import recipes

    if name and name not in recipes.RECIPES:
        raise ValueError(f"--recipe: {name!r} is not one of {', '.join(recipes.RECIPES)}")
    recipe = _function(path)() if path else recipes.RECIPES[name or "paper_1b"]()
    chosen = {"config": getattr(recipe, {"crossvalidate": "reward"}.get(verb, verb))}
    return chosen | ({"shape": recipe.shape} if verb == "pretrain" else {})


def _function(path: str) -> Any:
    """What `package.module:function` names."""
    module, _, function = path.partition(":")
    sys.path.insert(0, "")  # a module beside the user counts, as for `python -m`
    try:
        return getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"--config: {path!r} names no function ({error}); write package.module:function") from None


def _taken(arguments: list[str], flag: str) -> str:
    """Take a flag and its value out of the arguments."""
    for place, word in enumerate(arguments):
        if word.startswith(f"{flag}="):
            del arguments[place]
            return word.partition("=")[2]
        if word == flag:
            if place + 1 == len(arguments):
                raise ValueError(f"{flag}: a value is missing")
            del arguments[place]
            return arguments.pop(place)
    return ""


def main() -> None:
    """Entry point: a user's mistake ends in one sentence, ours in a traceback."""
    warnings.showwarning = lambda message, *_, **__: print(f"note: {message}", file=sys.stderr)
    try:
        parse(sys.argv[1:]).start()
    except (ValueError, FloatingPointError, FileNotFoundError) as error:
        raise SystemExit(f"assent: {error}") from error
