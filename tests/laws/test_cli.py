"""The command line: what it loads, and that its tables are true."""

import subprocess
import sys

import pytest

from assent import cli, recipes
from assent.commands.use import Sample

LIGHT = ("import", "clean", "report")  # verbs that need no model start at once


def test_verbs_that_need_no_model_never_load_torch() -> None:
    lines = [
        "import sys",
        "from assent import cli",
        *[f"cli.VERBS[{name!r}].load()" for name in LIGHT],
        "assert not {'torch', 'transformers', 'peft'} & sys.modules.keys()",
    ]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", cli.VERBS)
def test_every_verb_has_flags_and_a_start(name: str) -> None:
    verb = cli.VERBS[name].load()
    assert callable(verb.start)
    assert verb.__doc__.strip().endswith(".")
    assert len(f"{name} {cli.VERBS[name].summary}") < 90


def test_recipes_are_those_of_the_table() -> None:
    assert tuple(recipes.RECIPES) == cli.RECIPE_NAMES


def test_flags_override_the_recipe() -> None:
    words = ["sft", "--recipe=small", "--model", "m", "--data", "d", "--run", "r", "--batch", "3"]
    found = cli.parse(words)
    assert (found.config.batch, found.config.epochs) == (3, recipes.small().sft.epochs)


def test_a_sample_has_its_own_flags() -> None:
    found = cli.parse(["sample", "--model", "m", "--prompts", "a", "b", "--run", "r", "--answering.responses", "4"])
    assert isinstance(found, Sample)
    assert (found.answering.responses, len(found.prompts)) == (4, 2)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["sft", "--recipe"], "a value is missing"),
        (["sft", "--config", "nowhere:small"], "names no function"),
        (["sft", "--config", "assent.recipes"], "names no function"),
        (["sft", "--recipe", "grand"], "'grand' is not one of"),
    ],
)
def test_a_mistake_ends_in_a_sentence(words: list[str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        cli.parse(words)
