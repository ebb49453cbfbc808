"""What people get wrong, from the command to the page: a sentence, everything else done, and the gap to be seen."""

import html
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests import tiny
from tests.data.kit import write
from tests.evaluate.kit import MACHINE, ratings, results, serving, simulated

from assent import records
from assent.commands.evaluate import Evaluate
from assent.evaluate.measure import Settings
from assent.evaluate.report import report, tell

GOOD = {"passage": "red then blue", "question": "say", "answers": ["red"]}


@pytest.fixture
def url() -> Iterator[str]:
    with serving() as url:
        yield url


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two tasks without a fault."""
    folder = tmp_path / "evals"
    folder.mkdir()
    write(folder / "drop.jsonl", [GOOD | {"question": f"say {word}"} for word in tiny.WORDS[:5]])
    write(folder / "lambada.jsonl", [{"text": f"say {word}"} for word in tiny.WORDS[:5]])
    return folder


def evaluated(run: Path, data: Path, *models: str, **options: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {"tasks": ("drop", "lambada"), "settings": Settings(shots=0), "machine": MACHINE}
    Evaluate(run=run, models=models, data=(str(data),), quiet=True, **(settings | options)).start()
    return results(run)


def seen(run: Path, capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """What the page and the terminal say is missing."""
    capsys.readouterr()
    tell([run])
    page = html.unescape(report([run], run.with_suffix(".html")).read_text())
    title = "What is missing, and why"
    return page.partition(f"<h3>{title}</h3>")[2].partition("</table>")[0], capsys.readouterr().out.partition(title)[2]


def assert_said(sentence: str, printed: str) -> None:
    """Nothing of a sentence is cut, in however many lines of a column it stands."""
    missing = [word for word in sentence.split() if word not in printed]
    assert not missing


def counts(found: dict[str, Any], task: str) -> set[int]:
    return {row["n"] for row in found["evaluation"] if row["task"] == task and row["headline"]}


ROWS = {  # a bad row, or all of a file, and what is said of it
    "a missing column": (
        {"passage": "x", "answers": ["x"]},
        "line 6, question: missing; name the column so, or leave the row out",
    ),
    "a wrong encoding": (
        b'{"passage": "caf\xe9", "question": "say", "answers": ["x"]}\n',
        "line 6: holds bytes that are not UTF-8, or half of a surrogate pair; convert the file to UTF-8",
    ),
    "an empty reference": (
        GOOD | {"answers": [" "]},
        "line 6, answers: no reference is left; give at least one that is not empty",
    ),
}


@pytest.mark.parametrize("fault", ROWS)
def test_a_bad_row_is_named_and_the_others_are_asked(
    tmp_path: Path, data: Path, blank: Path, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    row, said = ROWS[fault]
    with (data / "drop.jsonl").open("ab") as file:
        file.write(row if isinstance(row, bytes) else json.dumps(row).encode() + b"\n")
    found = evaluated(tmp_path / "run", data, str(blank))
    assert (counts(found, "drop"), counts(found, "lambada")) == ({5}, {5})
    (rejected,) = [json.loads(line) for line in (tmp_path / "run" / "rejected.jsonl").read_text().splitlines()]
    assert rejected["line"] == 6
    page, printed = seen(tmp_path / "run", capsys)
    assert f"1 of 6 rows of {data / 'drop.jsonl'} left out, first {said}" in page
    assert_said(said, printed)


def test_a_file_without_its_column_leaves_the_other_tasks(
    tmp_path: Path, data: Path, blank: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(data / "drop.jsonl", [{"passage": "x", "query": "say", "answers": ["x"]}] * 3)
    found = evaluated(tmp_path / "run", data, str(blank))
    assert (counts(found, "drop"), counts(found, "lambada")) == (set(), {5})
    page, printed = seen(tmp_path / "run", capsys)
    assert "no row is an item of the task drop; line 1: question: missing" in page
    assert "drop" in printed


def test_an_unknown_verdict_counts_for_nobody(
    tmp_path: Path, data: Path, blank: Path, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a judge of truth, and of one that votes on pairs: it says something else of what is odd."""
    answers = {"best_answer": "good", "correct_answers": ["good"], "incorrect_answers": ["bad"]}
    write(data / "truthfulqa.jsonl", [{"question": word, **answers} for word in ("odd", "good one", "bad one")])
    judges = {"truth": f"{url}#j", "info": f"{url}#j"}
    found = evaluated(tmp_path / "run", data, str(blank), tasks=("truthful_qa", "drop"), **judges)
    true = {(row["n"], row["missing"]) for row in found["evaluation"] if row["metric"] == "true"}
    assert true == {(2, 1)}
    assert counts(found, "drop") == {5}
    for place in seen(tmp_path / "run", capsys):
        assert_said("unknown verdict 'Well, perhaps'; it must say yes or no", place)
    rows = simulated(24, 4)
    odd = [replace(row, prompt=tiny.prompt(f"odd {n}")) for n, row in enumerate(rows[:3])]
    records.write(tmp_path / "rankings.jsonl", [*rows[3:], *odd])
    flags: dict[str, Any] = {"rankings": (tmp_path / "rankings.jsonl",), "baseline": "sft", "machine": MACHINE}
    Evaluate(run=tmp_path / "judged", judges=(f"far={url}#m",), quiet=True, **flags).start()
    (judge,) = results(tmp_path / "judged")["judges"]["judges"]
    assert judge["votes"] > 0
    for place in seen(tmp_path / "judged", capsys):
        assert_said("a verdict that is not A, B or tie, such as 'The first one'; they count for nobody", place)


def test_an_endpoint_that_stalls_leaves_the_other_model(
    tmp_path: Path, data: Path, blank: Path, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(data / "drop.jsonl", [GOOD, GOOD | {"question": "slow"}])
    found = evaluated(tmp_path / "run", data, f"near={blank}", f"far={url}#m", seconds=0.3)
    n = {row["model"]: (row["n"], row["missing"]) for row in found["evaluation"] if row["metric"] == "f1_raw"}
    assert n["near"] == (2, 0)
    assert n["far"] == (1, 1)
    for place in seen(tmp_path / "run", capsys):
        assert_said("gave no answer within 0.3 seconds; see that it runs", place)


def test_ratings_that_are_none_leave_the_rankings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = simulated(24, 4)
    records.write(tmp_path / "rankings.jsonl", rows)
    lines = [records.to_json(row) for row in ratings(rows)[:40]]
    lines[3]["overall"] = 9
    write(tmp_path / "ratings.jsonl", lines)
    flags: dict[str, Any] = {name: (tmp_path / f"{name}.jsonl",) for name in ("rankings", "ratings")}
    Evaluate(run=tmp_path / "run", baseline="sft", machine=MACHINE, quiet=True, **flags).start()
    found = results(tmp_path / "run")["preference"]
    assert found["counts"]["rankings"] == len(rows)
    assert found["counts"]["ratings"] == 39
    assert "1 rows left out" in seen(tmp_path / "run", capsys)[0]
