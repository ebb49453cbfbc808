"""The verb from end to end with a tiny model: what is written, what is kept, what is left out, and that it is said."""

import csv
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests import tiny
from tests.evaluate.kit import MACHINE, results, serving, task_files

from assent.commands.evaluate import Evaluate
from assent.engine.models import LanguageModel
from assent.evaluate import task_grids
from assent.evaluate.answerers import Ask, Local, answerer
from assent.evaluate.cache import Cache, key_of
from assent.evaluate.measure import Settings, Sheet, mean_over
from assent.evaluate.measure import results as results_of
from assent.evaluate.tables import to_row
from assent.evaluate.tasks import TASKS, measures
from assent.evaluate.tasks.task import Instruments, Item, Outcome
from assent.run import RunError

FAST = ("rte", "drop", "lambada", "crows_pairs", "truthful_qa", "real_toxicity")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return task_files(tmp_path_factory.mktemp("evals"))


@pytest.fixture
def url() -> Iterator[str]:
    with serving() as url:
        yield url


def evaluate(run: Path, data: Path, *models: str, **options: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "tasks": FAST,
        "settings": Settings(shots=2),
        "machine": MACHINE,
        "quiet": True,
    } | options
    Evaluate(run=run, models=models, data=(str(data),), **settings).start()
    return results(run)


def numbers(found: dict[str, Any], model: str) -> dict[tuple[str, str, str], float]:
    rows = [row for row in found["evaluation"] if row["model"] == model]
    return {(row["task"], row["prompt"], row["metric"]): row["value"] for row in rows}


def test_a_model_is_evaluated_once_and_a_second_costs_only_itself(
    tmp_path: Path, data: Path, blank: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    first = evaluate(run, data, f"one={blank}")
    assert first["models"] == [{"model": "one", "path": str(blank), "hash": Local("", blank, tiny.MACHINE).key[:16]}]
    found = numbers(first, "one")
    assert {task for task, _, _ in found} == set(FAST)
    assert ("crows_pairs", "respectful", "entropy") in found
    assert ("rte", "few", "accuracy") in found
    printed = capsys.readouterr().out
    assert "0.527 0.617 0.563" in printed  # the paper's RTE beside ours
    with (run / "results.csv").open() as file:
        assert len(list(csv.DictReader(file))) == len(first["evaluation"])
    loaded: list[str] = []
    original = LanguageModel.load

    def load(directory: Path, *rest: Any, **options: Any) -> LanguageModel:
        loaded.append(directory.name)
        return original(directory, *rest, **options)

    monkeypatch.setattr(LanguageModel, "load", load)
    again = evaluate(run, data, f"one={blank}")
    assert again["evaluation"] == first["evaluation"]
    assert loaded == []  # everything was known
    other = tmp_path / "other"
    tiny.create(other, replace(tiny.SHAPE, seed=1))
    second = evaluate(run, data, str(other))
    assert set(loaded) == {"other"}
    assert numbers(second, "one") == found
    assert numbers(second, "other").keys() == found.keys()
    assert {row["model"] for row in second["models"]} == {"one", "other"}
    policies = {json.loads(line)["policy"] for line in (run / "samples.jsonl").read_text().splitlines()}
    assert policies == {"one", "other"}
    with pytest.raises(RunError, match="was started with limit = 0"):
        evaluate(run, data, str(blank), settings=Settings(limit=2))


def test_what_is_left_out_is_seen(tmp_path: Path, data: Path, blank: Path) -> None:
    tasks = ("drop", "truthful_qa", "real_toxicity", "quac", "rte")
    found = evaluate(tmp_path / "run", data, str(blank), tasks=tasks, settings=Settings())
    gaps = {(gap["task"], gap["reason"].partition(",")[0].partition(":")[0]) for gap in found["gaps"]}
    assert (
        "quac",
        "no file quac.jsonl.gz or quac.jsonl or val_v0.2.json in the folders of --data; name one with quac=FILE",
    ) in gaps
    assert ("truthful_qa", "no truth and no info scorer") in gaps
    assert ("rte", "few") in gaps  # nine items cannot give fifteen examples and be asked as well
    assert all(row["task"] != "rte" or row["prompt"] == "zero" for row in found["evaluation"])
    assert any(task == "drop" and reason.startswith("1 of 5 rows") for task, reason in gaps)
    (fault,) = [json.loads(line) for line in (tmp_path / "run" / "rejected.jsonl").read_text().splitlines()]
    assert (fault["line"], fault["field"]) == (5, "answers")
    rows = {row["task"]: row for row in found["files"]}
    assert (rows["drop"]["rows"], rows["drop"]["items"], rows["drop"]["rejected"]) == (5, 4, 1)
    toxicity = next(row for row in found["evaluation"] if row["metric"] == "toxicity")
    assert toxicity["by"] == "word list bad_words_en.txt"


def test_a_stopped_evaluation_goes_on_where_it_was(tmp_path: Path, data: Path, blank: Path) -> None:
    tasks = ("lambada", "drop")
    whole = evaluate(tmp_path / "whole", data, str(blank), tasks=tasks)
    run = tmp_path / "run"
    evaluate(run, data, str(blank), tasks=tasks)
    (cache,) = (run / "cache").glob(f"{key_of(Local('', blank, tiny.MACHINE).key)[:16]}.jsonl")
    lines = cache.read_bytes().splitlines(keepends=True)
    cache.write_bytes(b"".join(lines[:-3]) + lines[-3][:20])  # killed in the middle of a line
    assert numbers(evaluate(run, data, str(blank), tasks=tasks), "blank") == numbers(whole, "blank")
    assert len(cache.read_bytes().splitlines()) >= len(lines)
    assert len(Cache(cache).values) == len(cache.read_bytes().splitlines())


def test_recorded_outputs_are_measured_like_fresh_ones(tmp_path: Path, data: Path, blank: Path) -> None:
    fresh = evaluate(tmp_path / "fresh", data, str(blank), tasks=("drop",))
    recorded = tmp_path / "fresh" / "outputs" / "blank" / "drop.jsonl"
    found = evaluate(tmp_path / "again", data, f"old={recorded}", tasks=("drop", "rte", "truthful_qa"))
    assert numbers(found, "old") == numbers(fresh, "blank")
    gaps = {gap["task"]: gap["reason"] for gap in found["gaps"] if gap["model"] == "old"}
    assert "texts without log-probabilities" in gaps["rte"]
    assert "has no output of truthful_qa/" in gaps["truthful_qa"]


def test_flags_that_name_nothing_are_refused(tmp_path: Path, data: Path, blank: Path) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"models": ("nowhere",)}, "'nowhere' is no model; name a model or run directory"),
        ({"models": (str(blank), str(blank))}, "two are called 'blank'; write NAME=PATH"),
        ({"models": ("http://localhost:1",)}, "is no endpoint; write URL#MODEL"),
        ({"models": (str(blank),), "data": ("nowhere",)}, "'nowhere' is no directory; name one, or TASK=FILE"),
        ({"models": (str(blank),), "toxicity": "nowhere"}, "nowhere: no scorer; name a word list"),
        ({"models": (str(blank),), "truth": str(data / "bad_words_en.txt")}, "no scorer; name a model directory"),
        ({"reward_model": str(blank)}, "give --reward-model and --rankings"),
        ({"models": (), "data": ()}, "nothing to evaluate"),
    ]
    for number, (options, reason) in enumerate(cases):
        settings: dict[str, Any] = {
            "data": (str(data),),
            "tasks": ("rte",),
            "machine": tiny.MACHINE,
            "quiet": True,
        } | options
        with pytest.raises(ValueError, match=reason.replace("(", r"\(")):
            Evaluate(run=tmp_path / str(number), **settings).start()


def test_an_endpoint_is_evaluated_and_its_gaps_are_seen(tmp_path: Path, data: Path, url: str) -> None:
    found = evaluate(tmp_path / "run", data, f"far={url}#m", truth=f"{url}#j", info=f"{url}#j")
    assert {task for task, _, _ in numbers(found, "far")} == {"drop", "truthful_qa", "real_toxicity"}
    gaps = {gap["task"]: gap["reason"] for gap in found["gaps"] if gap["model"] == "far"}
    assert gaps.keys() == {"rte", "lambada", "crows_pairs"}
    assert "unknown verdict 'Well, perhaps'" in next(gap["reason"] for gap in found["gaps"] if "#j" in gap["model"])
    true = next(row for row in found["evaluation"] if row["metric"] == "true")
    assert (true["n"], true["missing"]) == (3, 1)
    assert "an endpoint gives no log-probabilities" in gaps["rte"]


def test_names_of_models(tmp_path: Path, blank: Path) -> None:
    assert answerer(f"a={blank}", tiny.MACHINE, 1).name == "a"
    assert answerer("http://x/v1#m", tiny.MACHINE, 1).name == "m"
    found = answerer(str(blank), tiny.MACHINE, 1)
    ask = Ask("t/p/i", "say red", (), "write", 4, "\n", False)
    (outcome,) = found.answer([ask])
    assert outcome is not None
    assert outcome.finish in ("eos", "stop", "length")


def test_items_that_are_all_alike_leave_something_open(tmp_path: Path, data: Path, blank: Path) -> None:
    """None of four is right: a bootstrap would be sure that none ever is; Jeffreys' interval is not."""
    found = evaluate(tmp_path / "run", data, str(blank), tasks=("drop",), settings=Settings(shots=0))
    row = next(row for row in found["evaluation"] if (row["metric"], row["prompt"]) == ("exact", "zero"))
    assert (row["n"], row["value"], row["low"]) == (4, 0, 0)
    assert 40 < row["high"] < 50
    for share, ends in ((0.5, (0.12, 0.88)), (1.0, (0.55, 1.0))):  # a half: of two candidates, neither was named
        even = mean_over([(Item(id=str(n)), share) for n in range(4)])
        assert (even.low, even.high) == pytest.approx(ends, abs=0.02)


def test_an_empty_answer_is_true_and_informs_nobody() -> None:
    """No judge is asked: what it would say of nothing is chance. Nothing is not toxic either."""

    class Whatever:
        name = key = "whatever"

        def scores(self, pairs: Sequence[tuple[str, str]]) -> list[float | None]:
            assert all(answer for _, answer in pairs)
            return [0.2] * len(pairs)

        def failures(self) -> list[str]:
            return []

    judge = Whatever()
    items = [Item(id=str(n), query="x", references=("a",), facts={"question": "q", "false": ("b",)}) for n in (0, 1)]
    outcomes = [Outcome(text=""), Outcome(text="b")]
    silent, wrong = measures.truth(items, outcomes, Instruments(truth=judge, info=judge))
    assert (silent["true"], silent["informative"], silent["true_info"]) == (1, 0, 0)
    assert (wrong["true"], wrong["informative"], wrong["true_info"]) == (0, 0, 0)
    assert [row["toxicity"] for row in measures.toxicity(items, outcomes, Instruments(toxicity=judge))] == [0, 0.2]


def test_answers_that_are_alike_are_counted_beside_the_number() -> None:
    """Three of five answers are the same words, one is empty: both are said, and what they mean below the table."""
    task = TASKS["gsm8k"]
    items = [Item(id=str(n), query="x", references=("1",)) for n in range(5)]
    said = [Outcome(text=text) for text in ("No", "No", "No", "", "1")]
    (row,), _ = results_of(Sheet(task, task.prompts[0], [], items), "m", said, Instruments())
    assert (row.alike, row.empty, row.value) == (3, 1, 0.2)
    other = results_of(Sheet(task, task.prompts[0], [], items[:4]), "m", [said[0], *said[2:]], Instruments())[0][0]
    assert other.alike == 0  # one half is no more than half
    ((_, grid),) = task_grids.grids([to_row(row)])
    assert any("(1 empty, 3 alike)" in cell.text for cell in grid.rows[0])
    assert "Alike: so many answers are the same words: read them before the number." in grid.notes
    assert not any(note.startswith("Cut") for note in grid.notes)


def test_what_became_of_every_row_is_printed(
    tmp_path: Path, data: Path, blank: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Five rows of DROP, one without an answer; nine of RTE, of which two are the examples of the second prompt."""
    evaluate(tmp_path / "run", data, str(blank), tasks=("drop", "rte"))
    table = capsys.readouterr().out.partition("What became of every row")[2]
    lines = {
        line.split()[0]: " ".join(line.split()[1:]) for line in table.splitlines() if line.startswith(("drop", "rte"))
    }
    assert re.fullmatch(r"5 4 4 zero, 2 few 1 0 \d+", lines["drop"])
    assert re.fullmatch(r"9 9 9 zero, 7 few 0 0 \d+", lines["rte"])
