"""A judge of truth from labelled answers: the files, and the documented sequence of commands from them to a judge."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests import tiny
from tests.data.kit import write
from tests.evaluate.kit import MACHINE, results

from assent import records
from assent.commands.evaluate import Evaluate
from assent.commands.train import SFT
from assent.evaluate import judge_sets
from assent.evaluate.tasks.checks import Labelled, measured


def rows() -> list[dict[str, Any]]:
    """Answers that say good are true, answers that say bad are not."""
    return [
        {"question": f"say {one} then {other}", "answer": word, "label": word == "good"}
        for one in tiny.WORDS
        for other in tiny.WORDS
        for word in ("good", "bad")
    ]


def test_a_question_is_on_one_side_and_no_row_is_lost(tmp_path: Path) -> None:
    path = write(tmp_path / "set.jsonl", [*rows(), {"question": "Q?", "answer": "", "label": "perhaps"}, "no json"])
    counts, rejected = judge_sets.split(f"truth={path}", tmp_path)
    assert (counts["rows"], counts["rejected"], len(rejected)) == (74, 2, 2)
    assert counts["train"] + counts["test"] == 72
    train = list(records.read(tmp_path / "truth-train.jsonl", records.Demonstration))
    test = [json.loads(line) for line in (tmp_path / "truth-test.jsonl").read_text().splitlines()]
    assert (len(train), len(test)) == (counts["train"], counts["test"])
    assert 0 < len(test) < len(train)
    shown = {row.prompt.messages[0].content.partition("\nA: ")[0] for row in train}
    assert not shown & {f"Q: {row['question']}" for row in test}
    assert train[0].prompt.messages[0].content.endswith("\nTrue:")
    assert {(row.prompt.messages[0].content.split("A: ")[1][:3], row.response) for row in train} == {
        ("goo", "yes"),
        ("bad", "no"),
    }


def test_files_that_are_no_judge_set_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'lies=x' is not truth=FILE or info=FILE"):
        judge_sets.split("lies=x", tmp_path)
    path = write(tmp_path / "set.jsonl", [{"question": "Q?"}])
    with pytest.raises(ValueError, match="no row with a question, an answer and a label of true or false; label"):
        judge_sets.split(f"info={path}", tmp_path)


def test_a_judge_is_trained_and_then_measured_on_what_it_has_not_seen(tmp_path: Path, blank: Path) -> None:
    path = write(tmp_path / "set.jsonl", rows())
    Evaluate(run=tmp_path / "sets", judge_sets=(f"truth={path}",), quiet=True).start()
    sets = tmp_path / "sets" / "judge_sets"
    config = replace(tiny.recipe().sft, epochs=12, limits=replace(tiny.LIMITS, prompt=56, context=64))
    judge = tmp_path / "judge"
    SFT(run=judge, model=blank, data=(sets / "truth-train.jsonl",), config=config, machine=MACHINE, quiet=True).start()
    flags: dict[str, Any] = {"data": (f"truth_judge={sets / 'truth-test.jsonl'}",), "truth": str(judge)}
    Evaluate(run=tmp_path / "measured", machine=MACHINE, quiet=True, **flags).start()
    (found,) = results(tmp_path / "measured")["instruments"]
    assert (found["check"], found["scorer"], found["missing"]) == ("truth_judge", "judge", 0)  # by its run
    assert found["low"] > found["always the usual label"]
    whole: dict[str, Any] = flags | {"data": (f"truth_judge={path}",)}  # most of which it was trained on
    Evaluate(run=tmp_path / "whole", machine=MACHINE, quiet=True, **whole).start()
    assert results(tmp_path / "whole")["instruments"] == [found]
    (file,) = results(tmp_path / "whole")["files"]
    assert file["items"] == found["n"] < file["rows"] == file["items"] + file["unused"]
    assert file["why unused"] == f"{file['unused']} to questions on which --judge-sets trains judges"


def test_answers_to_one_question_are_no_independent_evidence() -> None:
    """Forty answers of which those to ten questions are all right, those to ten others all wrong: twenty, not forty."""

    class Fixed:
        name = key = "fixed"

        def scores(self, pairs: Sequence[tuple[str, str]]) -> list[float | None]:
            return [1.0] * len(pairs)

        def failures(self) -> list[str]:
            return []

    def width(questions: int) -> float:
        texts = [
            Labelled(prompt=f"q{n % questions}" if questions else "", answer=str(n), label=n % 20 < 10)
            for n in range(40)
        ]
        found = measured(texts, Fixed())
        return found["high"] - found["low"]

    assert width(20) == pytest.approx(width(0) * 2**0.5, rel=0.2)  # texts without a question stand alone
