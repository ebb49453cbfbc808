"""The command line: `assent VERB`. Each verb is one frozen dataclass (its typed flags) with one `run`.

`--recipe NAME`, or `--config package.module:function`, chooses the defaults; every flag overrides one of them. Nothing
heavy is imported before a verb runs.
"""

import dataclasses
import importlib
import json
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar

import tyro

from assent import records
from assent.data import pretraining, prompts, public
from assent.engine import distributed, encode
from assent.engine.batches import Tokens
from assent.engine.generate import Key
from assent.engine.machine import Machine
from assent.engine.models import LanguageModel, Lora, ScalarModel
from assent.engine.text import Limits, Template
from assent.evaluate import report
from assent.recipes import RECIPES, Recipe
from assent.run import Run
from assent.train import ppo, pretrain, reward, select, sft
from assent.train.rollout import Models, Sampling, answers

R = TypeVar("R", records.Prompt, records.Demonstration, records.Ranking, records.Document)
Files = tuple[Path, ...]
Flat = tyro.conf.arg(name="")


@dataclass(frozen=True, kw_only=True)
class Common:
    """Flags of every verb that computes."""

    run: Path
    """The run directory; the same command goes on where a killed run stopped."""
    machine: Machine = Machine()
    quiet: bool = False
    save_every: int = 50
    """Steps between checkpoints."""

    def start(self) -> None:
        """Run the verb."""
        raise NotImplementedError

    def open(self, step: str, config: Any, parents: dict[str, Path | Files]) -> Run:
        """The run directory of this command."""
        named: dict[str, Path] = {}
        for name, path in parents.items():
            many = path if isinstance(path, tuple) else (path,)
            named |= {name if len(many) == 1 else f"{name}[{n}]": one for n, one in enumerate(many)}
        return Run.open(self.run, step, config, named, save_every=self.save_every, quiet=self.quiet)


class Inputs:
    """Reads records and collects what is left out, for rejected.jsonl."""

    def __init__(self) -> None:
        self.rejected: list[dict[str, Any]] = []

    def read(self, paths: Files, kind: type[R]) -> tuple[R, ...]:
        """The records of files in any layout."""
        if not paths:
            return ()
        loaded = public.load(paths, kind)
        self.rejected += [dataclasses.asdict(row) for row in loaded.rejected]
        return loaded.records

    def texts(self, paths: Files) -> tuple[records.Document, ...]:
        """The documents of files, each of them once."""
        kept, repeated = pretraining.unique(self.read(paths, records.Document))
        self.rejected += [dataclasses.asdict(row) for row in repeated]
        return kept

    def keep(self, encoded: encode.Encoded[Any]) -> list[Any]:
        """The items of an encoding."""
        self.rejected += encoded.rejected
        return encoded.items


@dataclass(frozen=True, kw_only=True)
class Pretrain(Common):
    """Train a small base model from scratch on plain text: tokenizer and weights."""

    text: Files
    validation_text: Files = ()
    shape: pretrain.Shape = field(default_factory=pretrain.Shape)
    config: Annotated[sft.SFTConfig, Flat]

    def start(self) -> None:
        """Run the verb."""
        inputs = Inputs()
        rows = inputs.texts(self.text)
        with self.open("pretrain", self.config, {"text": self.text, "validation_text": self.validation_text}) as run:
            blank = run.directory / "blank"
            if not blank.exists():
                run.export(lambda path: pretrain.create(self.shape, (row.text for row in rows), path), "blank")
            distributed.barrier()
            model = LanguageModel.load(blank, self.machine)
            items = encode.documents(model.text, rows, self.config.limits.context)
            held_out = inputs.texts(self.validation_text)
            run.reject(inputs.rejected)
            validation = encode.documents(model.text, held_out, self.config.limits.context)
            sft.train(self.config, run, model, items, validation=validation)


@dataclass(frozen=True, kw_only=True)
class SFT(Common):
    """Step 1: fine-tune a language model on demonstrations."""

    model: Path
    data: Files
    validation: Files = ()
    pretraining: Files = ()
    """Plain text for the rows of --pretrain-fraction."""
    lora: Lora = Lora()
    template: Template = ""
    config: Annotated[sft.SFTConfig, Flat]

    def start(self) -> None:
        """Run the verb."""
        if self.config.pretrain_fraction and not self.pretraining:
            raise ValueError("--pretraining: a pretraining mix needs plain text; give a file or --pretrain-fraction 0")
        parents = {"model": self.model, "data": self.data, "validation": self.validation}
        with self.open(type(self).__name__.lower(), self.config, {**parents, "pretraining": self.pretraining}) as run:
            model = LanguageModel.load(self.model, self.machine, lora=self.lora, template=self.template)
            limits = encode.fitting(self.config.limits, model.module.config.max_position_embeddings)
            inputs = Inputs()
            items = [
                inputs.keep(encode.demonstrations(model.text, inputs.read(files, records.Demonstration), limits))
                for files in (self.data, self.validation)
            ]
            texts = encode.documents(model.text, inputs.texts(self.pretraining), limits.context)
            run.reject(inputs.rejected)
            sft.train(self.config, run, model, items[0], texts, items[1])


@dataclass(frozen=True, kw_only=True)
class Init(SFT):
    """PPO-init: two epochs of demonstrations with a tenth of pretraining rows; RL starts here."""


@dataclass(frozen=True, kw_only=True)
class Reward(Common):
    """Step 2: train a reward model on rankings and calibrate it on demonstrations."""

    model: Path
    """A language model directory; the paper starts from an SFT model."""
    data: Files
    demonstrations: Files
    validation: Files = ()
    lora: Lora = Lora()
    config: Annotated[reward.RewardConfig, Flat]

    def start(self) -> None:
        """Run the verb."""
        parents: dict[str, Path | Files] = {"model": self.model, "data": self.data, "validation": self.validation}
        with self.open("reward", self.config, {**parents, "demonstrations": self.demonstrations}) as run:
            model, train, test, demonstrations = self.load(run)
            reward.train(self.config, run, model, train, demonstrations, test)

    def load(self, run: Run) -> tuple[ScalarModel, list[Any], list[Any], list[Any]]:
        """A fresh reward model, and what it is trained, tested and calibrated on."""
        model = ScalarModel.fresh(self.model, self.machine, seed=self.config.seed, lora=self.lora)
        limits = encode.fitting(self.config.limits, model.module.config.max_position_embeddings)
        inputs = Inputs()
        train, test = (
            inputs.keep(encode.rankings(model.text, inputs.read(files, records.Ranking), limits))
            for files in (self.data, self.validation)
        )
        written = inputs.read(self.demonstrations, records.Demonstration)
        demonstrations = inputs.keep(encode.demonstrations(model.text, written, limits))
        run.reject(inputs.rejected)
        return model, train, test, demonstrations


@dataclass(frozen=True, kw_only=True)
class Crossvalidate(Reward):
    """Train the reward model without each group of labelers in turn and test it on that group (appendix E.2)."""

    folds: int = 5

    def start(self) -> None:
        """Run the verb."""
        with self.open("crossvalidate", self.config, {"model": self.model, "data": self.data}) as run:
            _, items, _, demonstrations = self.load(run)
            groups = select.labeler_folds(items, self.folds, self.config.seed)
            table: list[dict[str, Any]] = []
            for number, held_out in enumerate(groups):
                rest = [item for other in groups if other is not held_out for item in other]
                fold = Run.open(self.run / f"fold-{number}", "reward", self.config, {"model": self.model})
                with fold:
                    if not fold.finished:
                        model = ScalarModel.fresh(self.model, self.machine, seed=self.config.seed, lora=self.lora)
                        reward.train(self.config, fold, model, rest, demonstrations, held_out)
                    result = json.loads((fold.directory / "results.json").read_text())
                table.append({"fold": number, "rankings": len(held_out), **result["pair_accuracy"]})
            run.results({"held_out_labelers": table})
            run.finish()


@dataclass(frozen=True, kw_only=True)
class PPO(Common):
    """Step 3: reinforcement learning against the reward model, with a pretraining mix (PPO-ptx)."""

    model: Path
    """PPO-init: where the policy starts and what the KL penalty refers to."""
    reward: Path
    prompts: Files
    pretraining: Files = ()
    validation: Files = ()
    validation_prompts: int = 64
    """How many of the validation prompts are answered at a time."""
    lora: Lora = Lora()
    config: Annotated[ppo.PPOConfig, Flat]

    def start(self) -> None:
        """Run the verb."""
        if self.config.pretrain_coef and not self.pretraining:
            raise ValueError("--pretraining: PPO-ptx needs plain text; give a file, or --pretrain-coef 0 for plain PPO")
        parents: dict[str, Path | Files] = {"model": self.model, "reward": self.reward, "prompts": self.prompts}
        parents |= {"pretraining": self.pretraining, "validation": self.validation}
        with self.open("ppo", self.config, parents) as run:
            policy = LanguageModel.load(self.model, self.machine, lora=self.lora)
            value = ScalarModel.load(self.reward, self.machine, lora=self.lora)
            judge = ScalarModel.load(self.reward, self.machine)
            limits = encode.fitting(self.config.limits, policy.module.config.max_position_embeddings)
            inputs = Inputs()
            asked, held_out = (
                inputs.keep(encode.prompts(policy.text, inputs.read(files, records.Prompt), limits))
                for files in (self.prompts, self.validation)
            )
            texts = encode.documents(policy.text, inputs.texts(self.pretraining), limits.context)
            run.reject(inputs.rejected)
            models = Models.start(policy, value, judge)
            ppo.train(self.config, run, models, asked, texts, held_out[: self.validation_prompts])


@dataclass(frozen=True, kw_only=True)
class Select(Common):
    """Choose among models, such as the epochs of an SFT run, by reward-model score on validation prompts."""

    models: Files
    reward: Path
    prompts: Files
    count: int = 256
    limits: Limits = Limits()
    temperature: float = 1.0

    def start(self) -> None:
        """Run the verb."""
        parents: dict[str, Path | Files] = {"model": self.models, "reward": self.reward, "prompts": self.prompts}
        with self.open("select", self.limits, parents) as run:
            judge, inputs, table = ScalarModel.load(self.reward, self.machine), Inputs(), list[dict[str, Any]]()
            rows = inputs.read(self.prompts, records.Prompt)[: self.count]
            for path in self.models:
                model = LanguageModel.load(path, self.machine)
                items = inputs.keep(encode.prompts(model.text, rows, self.limits))
                sampling = Sampling(self.limits.response, self.temperature)
                table.append({"model": str(path), **select.mean_reward(run, str(path), model, judge, items, sampling)})
            best = max(table, key=lambda row: row["reward"])
            run.results({"candidates": table, "chosen": best["model"]})
            run.finish()
            print(f"{best['model']}  reward {best['reward']:.3f} ± {best['standard_error']:.3f}")


@dataclass(frozen=True, kw_only=True)
class Sample(Common):
    """Answer prompts with a model; the answers are records, ready to be ranked."""

    model: Path
    prompts: Files
    name: str = ""
    """What the model is called in the samples; its path when empty."""
    responses: int = 1
    """K, the number of answers to each prompt."""
    count: int = 0
    """How many prompts; 0 is all."""
    temperature: float = 1.0
    limits: Limits = Limits()
    seed: int = 0

    def start(self) -> None:
        """Run the verb."""
        settings = Sampled(self.responses, self.count, self.temperature, self.limits, self.seed)
        with self.open("sample", settings, {"model": self.model, "prompts": self.prompts}) as run:
            model, inputs = LanguageModel.load(self.model, self.machine), Inputs()
            rows = inputs.read(self.prompts, records.Prompt)
            items = inputs.keep(encode.prompts(model.text, rows[: self.count or None], self.limits))
            run.reject(inputs.rejected)
            items = [item for item in items for _ in range(self.responses)]
            sampled = model.sample(
                [item.prompt for item in items], self.limits.response, self.temperature, Key(self.seed, 0)
            )
            name = self.name or str(self.model)
            run.log_samples(0, name, answers(sampled, items, model.text, name, self.temperature))
            run.finish()


@dataclass(frozen=True)
class Sampled:
    """What identifies a sampling run."""

    responses: int
    count: int
    temperature: float
    limits: Limits
    seed: int


@dataclass(frozen=True, kw_only=True)
class Chat:
    """Talk to a model in the terminal; an empty line ends it."""

    model: Path
    temperature: float = 1.0
    limit: int = 256
    machine: Machine = Machine()

    def start(self) -> None:
        """Run the verb."""
        model = LanguageModel.load(self.model, self.machine)
        turns: list[records.Message] = []
        while words := input("> ").strip():
            turns.append(records.Message("user", words))
            prompt: Tokens = model.text.prompt(turns)
            drawn = model.sample([prompt], self.limit, self.temperature, Key(0, len(turns)))
            turns.append(records.Message("assistant", model.text.decode(drawn.responses[0])))
            print(turns[-1].content)


@dataclass(frozen=True, kw_only=True)
class Report:
    """Write one self-contained page about some runs."""

    runs: tyro.conf.Positional[Files]
    output: Path = Path("report.html")

    def start(self) -> None:
        """Run the verb."""
        print(report.report(self.runs, self.output))


@dataclass(frozen=True, kw_only=True)
class Clean:
    """Prepare prompts as the paper does: no duplicates, a cap a user, split by user, no personal data in train."""

    data: tyro.conf.Positional[Files]
    output: Path
    """A new directory for train.jsonl, validation.jsonl, test.jsonl and rejected.jsonl."""
    rules: Annotated[prompts.Rules, Flat] = prompts.Rules()

    def start(self) -> None:
        """Run the verb."""
        if self.output.exists():
            raise ValueError(f"--output: {self.output} exists; choose a new directory, nothing is overwritten")
        loaded = public.load(self.data, records.Prompt)
        cleaned = prompts.clean(loaded.records, self.rules)
        for name, rows in cleaned.splits.items():
            records.write(self.output / f"{name}.jsonl", rows)
        dropped = [*loaded.rejected, *cleaned.rejected]
        with (self.output / "rejected.jsonl").open("w") as file:
            file.writelines(json.dumps(dataclasses.asdict(row), default=str) + "\n" for row in dropped)
        sizes = ", ".join(f"{len(rows)} {name}" for name, rows in cleaned.splits.items())
        print(f"{loaded.rows} rows: {sizes}, {len(dropped)} rejected")
        for reason, count in (loaded.reasons + cleaned.reasons).most_common():
            print(f"{count:6d}  {reason}")


@dataclass(frozen=True, kw_only=True)
class Import:
    """Turn other people's files into records; what cannot be read is kept aside with the reason."""

    data: tyro.conf.Positional[Files]
    kind: str
    """prompt, demonstration, samples, ranking, rating or document."""
    output: Path
    source: str = ""
    licence: str = ""
    layout: str = ""

    def start(self) -> None:
        """Run the verb."""
        if self.kind not in records.KINDS:
            raise ValueError(f"--kind: {self.kind!r} is not one of {', '.join(records.KINDS)}")
        if self.output.exists():
            raise ValueError(f"--output: {self.output} exists; choose a new file, imports never overwrite")
        kind = records.KINDS[self.kind]
        loaded = public.load(self.data, kind, source=self.source, licence=self.licence, layout=self.layout)
        records.write(self.output, loaded.records)
        aside = self.output.with_name("rejected.jsonl")
        with aside.open("a") as file:
            file.writelines(json.dumps(dataclasses.asdict(row), default=str) + "\n" for row in loaded.rejected)
        print(f"{loaded.rows} rows, {len(loaded.records)} records in {self.output}, {len(loaded.rejected)} rejected")
        for reason, count in loaded.reasons.most_common():
            print(f"{count:6d}  {reason}")


VERBS: dict[str, type[Any]] = {
    verb.__name__.lower(): verb
    for verb in (Import, Clean, Pretrain, SFT, Init, Reward, Select, Crossvalidate, PPO, Sample, Chat, Report)
}


def parse(arguments: Sequence[str]) -> Any:
    """The verb that a command line asks for, with the defaults of its recipe."""
    if not arguments or arguments[0] not in VERBS:
        lines = "".join(f"  {name:14s}{(verb.__doc__ or '').splitlines()[0]}\n" for name, verb in VERBS.items())
        asked = f"unknown verb {arguments[0]!r}\n" if arguments and not arguments[0].startswith("-") else ""
        raise SystemExit(f"{asked}assent VERB [--recipe {'|'.join(RECIPES)}] [flags]; VERB --help says more\n\n{lines}")
    name, rest = arguments[0], list(arguments[1:])
    recipe = _recipe(_taken(rest, "--recipe"), _taken(rest, "--config"))
    verb = VERBS[name]
    chosen = getattr(recipe, {"crossvalidate": "reward"}.get(name, name), None)
    if chosen is None or not any(f.name == "config" for f in dataclasses.fields(verb)):
        return tyro.cli(verb, args=rest, prog=f"assent {name}")
    defaults: dict[str, Any] = {"config": chosen}
    if name == "pretrain":
        defaults["shape"] = recipe.shape
    missing = {
        f.name: tyro.MISSING
        for f in dataclasses.fields(verb)
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING and f.name not in defaults
    }
    return tyro.cli(verb, args=rest, default=verb(**defaults, **missing), prog=f"assent {name}")


def _taken(arguments: list[str], flag: str) -> str:
    """Take a flag and its value out of the arguments."""
    if flag not in arguments[:-1]:
        return ""
    place = arguments.index(flag)
    value = arguments[place + 1]
    del arguments[place : place + 2]
    return value


def _recipe(name: str, path: str) -> Recipe:
    if path:
        module, _, function = path.partition(":")
        return getattr(importlib.import_module(module), function)()
    if name and name not in RECIPES:
        raise ValueError(f"--recipe: {name!r} is not one of {', '.join(RECIPES)}")
    return RECIPES[name or "paper_1b"]()


def main() -> None:
    """Entry point: a user's mistake ends in one sentence, ours in a traceback."""
    warnings.showwarning = lambda message, *_, **__: print(f"note: {message}", file=sys.stderr)
    try:
        distributed.start()
        verb = parse(sys.argv[1:])
        if isinstance(verb, Common) and Run(verb.run, save_every=1, quiet=True, writes=False).finished:
            print(f"{verb.run} is finished; see its results.json, or choose another --run for a new one")
            return
        verb.start()
    except (ValueError, FloatingPointError, FileNotFoundError) as error:
        raise SystemExit(f"assent: {error}") from error
