"""What made a result: the command that is written down is the command, and files are known by what they hold."""

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from assent.cli import parse
from assent.commands.evaluate import Evaluate
from assent.engine.machine import Machine
from assent.evaluate import made
from assent.evaluate.measure import Settings
from assent.run import Run

VERB = Evaluate(run=Path("runs/a b"), models=("new=models/it's", "http://x/v1#m"), quiet=True)


@pytest.mark.parametrize(
    "verb",
    [
        VERB,
        replace(VERB, settings=Settings(limit=3, shots=0, prompting="plain", seed=7)),
        replace(VERB, machine=Machine(device="cpu", precision="fp32", tokens=64)),
        replace(VERB, rankings=(Path("a.jsonl"), Path("b.jsonl")), baseline="sft", held_out=("l1", "l2"), detect=0.55),
        replace(VERB, models=(), tax=("runs/one#m", "runs/two"), frontier=(Path("runs/ppo"),), best_of=Path("s.jsonl")),
        replace(VERB, models=(), judges=("a=b",), samples=(Path("s.jsonl"),), seconds=0.5, ties=0.25),
    ],
)
def test_the_command_that_is_written_down_asks_for_the_same(verb: Evaluate) -> None:
    program, *words = shlex.split(made.command(verb, "evaluate"))
    assert program == "assent"
    assert parse(words) == verb


def test_parts_keep_what_other_parts_wrote(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("one")
    with Run.open(tmp_path / "run", "evaluate", Settings(), {}, quiet=True) as run:
        made.keep(run, "plan", [1], "assent evaluate x", [file])
        made.reject(run, "plan", [{"line": 1}, {"line": 2}])
        made.keep(run, "tax", {"rows": []}, "assent evaluate y", [])
        made.reject(run, "tax", [{"line": 9}])
        made.reject(run, "plan", [{"line": 3}])
    found = made.results(tmp_path / "run")
    assert (found["plan"], found["tax"]) == ([1], {"rows": []})
    assert {name: one["command"][-1] for name, one in found["made"].items()} == {"plan": "x", "tax": "y"}
    before = found["made"]["plan"]["files"][0]["sha256"]
    file.write_text("two")
    assert made.files([file])[0]["sha256"] != before
    lines = (tmp_path / "run" / "rejected.jsonl").read_text().splitlines()
    assert [(line.count('"tax"'), line.count("3")) for line in lines] == [(1, 0), (0, 1)]
