"""Batches that were chosen actively: rates weighed by the stored chances are about all items, raw ones are not."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import special
from tests.data.kit import write
from tests.evaluate.kit import MACHINE, prompt, results

from assent import records
from assent.commands.evaluate import Evaluate
from assent.label.planning import Plan, choose
from assent.records import Ranking, Response
from assent.statistics.clusters import clustered_share, judgements
from assent.statistics.weighing import weighted_share

OFFERED, TAKEN = 1500, 300


def drawn(generator: np.random.Generator, seed: int) -> tuple[list[float], list[int], list[int], list[float]]:
    """A batch as the label app chooses it: values, items, labelers and chances of its judgements.

    The more uncertain an item, the more likely it is chosen, and the less likely it is won.
    """
    score = generator.gamma(1.0, size=OFFERED)
    rate = special.expit(1.2 - score)
    batch = choose(OFFERED, Plan(limit=TAKEN, seed=seed), score.tolist())
    values, items, labelers, chances = list[float](), list[int](), list[int](), list[float]()
    for one in batch:
        for labeler in generator.choice(40, size=2, replace=False):
            values.append(float(generator.random() < rate[one.place]))
            items.append(one.place)
            labelers.append(int(labeler))
            chances.append(one.propensity)
    return values, items, labelers, chances


def truth() -> float:
    """The share of wins over all items, by the quantiles of the scores' distribution."""
    score = -np.log1p(-(np.arange(100_000) + 0.5) / 100_000)
    return float(special.expit(1.2 - score).mean())


def test_the_weighted_rate_covers_the_truth_and_the_raw_one_is_off() -> None:
    """Nominal 95 %: the weighted interval covers 93 to 98 %, the raw one nearly never, and its bias is seen."""
    generator, expected, draws = np.random.default_rng(11), truth(), 400
    covered = raw = 0
    weighed, plain = list[float](), list[float]()
    for seed in range(draws):
        *judged, chances = drawn(generator, seed)
        found = weighted_share(judgements(*judged), chances)
        covered += found.rate.interval.low <= expected <= found.rate.interval.high
        raw += found.plain.interval.low <= expected <= found.plain.interval.high
        weighed.append(found.rate.estimate)
        plain.append(found.plain.estimate)
    assert 0.93 <= covered / draws <= 0.98
    assert raw / draws < 0.2
    assert np.mean(plain) < expected - 0.08
    assert np.mean(weighed) == pytest.approx(expected, abs=0.005)


def test_weights_by_hand() -> None:
    """Chances 1/2 and 1/4 weigh 2 and 4: of a win and a loss each a third; (2 + 4)^2 / (4 + 16) = 1.8 judgements."""
    found = weighted_share(judgements([1, 0], [0, 1], [0, 1]), [0.5, 0.25])
    assert found.rate.estimate == pytest.approx(2 / 6)
    assert found.plain.estimate == 0.5
    assert (found.effective, found.largest) == (pytest.approx(1.8), pytest.approx(4 / 3))


def test_equal_chances_change_nothing_and_one_sided_batches_keep_an_interval() -> None:
    values, prompts, labelers = np.arange(60) % 3 / 2, np.arange(60) // 2, np.arange(60) % 9
    found = weighted_share(judgements(values, prompts, labelers), np.full(60, 0.3))
    assert found.rate.interval.low == pytest.approx(found.plain.interval.low)
    assert found.effective == pytest.approx(60)
    sure = judgements(np.ones(60), prompts, labelers)
    assert weighted_share(sure, np.linspace(0.1, 1, 60)).rate == clustered_share(sure)
    near = judgements(np.r_[0.0, np.ones(59)], prompts, labelers)
    assert weighted_share(near, np.r_[0.01, np.ones(59)]).rate.interval.high <= 1


# -- through the verb ----------------------------------------------------------------------------------------------


def export(folder: Path, *, uncertain: float = 0.2) -> list[Ranking]:
    """An export whose uncertain items, chosen five times as often as the others, are the ones that ppo loses."""
    folder.mkdir(exist_ok=True)
    rng, rows, answers = random.Random(0), list[Ranking](), list[dict[str, Any]]()
    responses = tuple(Response(text=name, policy=name) for name in ("sft", "ppo"))
    for number in range(80):
        hard = number % 2 == 0
        for who in rng.sample(range(12), 2):
            ranks = (1, 2) if hard and number % 10 else (2, 1)
            name = f"r{number}/l{who}"
            row = Ranking(id=name, prompt=prompt(number), responses=responses, ranks=ranks)
            rows.append(replace(row, labeler=f"l{who}"))
            chance = uncertain * 5 if hard else uncertain
            answers.append({"record": f"r{number}", "labeler": f"l{who}", "team": "train", "propensity": chance})
    records.write(folder / "rankings.jsonl", rows)
    write(folder / "answers.jsonl", answers)
    return rows


def evaluate(run: Path, **flags: Any) -> dict[str, Any]:
    Evaluate(run=run, machine=MACHINE, quiet=True, baseline="sft", **flags).start()
    return results(run)["preference"]


def test_an_export_that_was_chosen_actively_is_weighed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    export(tmp_path / "export")
    found = evaluate(tmp_path / "run", rankings=(tmp_path / "export" / "rankings.jsonl",))
    row = next(one for one in found["weighted"] if one["use_case"] == "all")
    assert row["plain_value"] == found["win_rates"][0]["value"] == pytest.approx((8 + 40) / 80)
    assert row["value"] == pytest.approx((8 * 1 + 40 * 5) / (40 * 1 + 40 * 5), abs=1e-6)  # hard items weigh 1, others 5
    assert row["plain_high"] < row["value"] < row["high"] <= 1
    assert (row["n"], row["effective"], row["largest"]) == (160, pytest.approx(240**2 / (40 + 1000) * 2, abs=0.1), 1.67)
    assert row["least"] == 0.2
    printed = " ".join(capsys.readouterr().out.split())
    assert "Win rates weighed by how items were chosen" in printed
    assert "no weight clipped" in printed


def test_nothing_is_weighed_where_all_had_one_chance(tmp_path: Path) -> None:
    rows = export(tmp_path / "export")
    write(tmp_path / "export" / "answers.jsonl", [{"record": "r1", "labeler": "l1", "team": "train"}])
    assert evaluate(tmp_path / "one", rankings=(tmp_path / "export" / "rankings.jsonl",))["weighted"] == []
    even = [{"record": row.id.split("/")[0], "labeler": row.labeler, "propensity": 0.5} for row in rows]
    write(tmp_path / "export" / "answers.jsonl", even)
    assert evaluate(tmp_path / "two", rankings=(tmp_path / "export" / "rankings.jsonl",))["weighted"] == []


def test_what_cannot_be_weighed_is_said(tmp_path: Path) -> None:
    rows = export(tmp_path / "export")
    export(tmp_path / "other")
    apart = [replace(row, id=f"x{row.id}") for row in rows]
    records.write(tmp_path / "mixed.jsonl", [*rows, *apart])
    answers = (tmp_path / "export" / "answers.jsonl",)
    found = evaluate(tmp_path / "run", rankings=(tmp_path / "mixed.jsonl",), answers=answers)
    assert "160 of 320 rankings have no propensity" in " ".join(found["gaps"])
    assert next(one for one in found["weighted"] if one["use_case"] == "all")["n"] == 160
    records.write(tmp_path / "apart.jsonl", apart)
    found = evaluate(tmp_path / "apart", rankings=(tmp_path / "apart.jsonl",), answers=answers)
    assert "no ranking is of the answers that hold propensities" in " ".join(found["gaps"])
    write(tmp_path / "bad.jsonl", [{"record": "r1", "labeler": "l1", "propensity": 0}])
    with pytest.raises(ValueError, match=r"bad.jsonl, line 1: propensity: 0 is no chance above 0"):
        evaluate(tmp_path / "bad", rankings=(tmp_path / "mixed.jsonl",), answers=(tmp_path / "bad.jsonl",))
    write(tmp_path / "none.jsonl", [{"record": "r1", "labeler": "l1"}])
    with pytest.raises(ValueError, match="--answers: no row has a propensity"):
        evaluate(tmp_path / "none", rankings=(tmp_path / "mixed.jsonl",), answers=(tmp_path / "none.jsonl",))
