"""`assent evaluate` on rankings and ratings: every result of section 4.1, and what is refused."""

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.data.kit import write
from tests.evaluate.kit import MACHINE, ratings, results, simulated

from assent import records
from assent.commands.evaluate import Evaluate
from assent.evaluate import people, preference, teams
from assent.evaluate.grids import flat
from assent.evaluate.people_grids import grids
from assent.statistics.planning import judgements_to_detect


def evaluate(run: Path, **flags: Any) -> dict[str, Any]:
    Evaluate(run=run, machine=MACHINE, quiet=True, **flags).start()
    return results(run)


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the label app exports: rankings, ratings, and answers that know the teams."""
    folder = tmp_path_factory.mktemp("export")
    rows = simulated(labelers=16)
    records.write(folder / "rankings.jsonl", rows)
    records.write(folder / "ratings.jsonl", ratings(rows))
    apart = {f"l{n}" for n in range(8, 16)}
    answers = [{"labeler": row.labeler, "team": "heldout" if row.labeler in apart else "train"} for row in rows]
    write(folder / "answers.jsonl", answers)
    return folder


def test_an_export_gives_section_4_1(export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = {name: (export / f"{name}.jsonl",) for name in ("rankings", "ratings")}
    apart = (str(export / "answers.jsonl"),)
    found = evaluate(tmp_path / "run", **names, baseline="sft", held_out=apart, detect=0.55)
    got, rows = found["preference"], list(records.read(export / "rankings.jsonl", records.Ranking))
    assert got["counts"] == {"rankings": 120, "ratings": 360, "prompts": 60, "labelers": 16}
    assert got["held_out"] == sorted(f"l{n}" for n in range(8, 16))
    groups = {(row["policy"], row["group"], row["use_case"]): row for row in got["win_rates"]}
    assert len(groups) == 2 * 3 * 3
    whole, expected = groups["ppo", "all", "all"], preference.preference(rows, "ppo", "sft")
    assert (whole["wins"], whole["ties"], whole["losses"]) == (expected.wins, expected.ties, expected.losses)
    assert whole["value"] == pytest.approx(expected.rate.estimate, abs=1e-6)
    assert whole["low"] < whole["team_low"] < whole["value"]
    parts = [groups["ppo", group, "all"]["n"] for group in ("training", "held_out")]
    assert sum(parts) == whole["n"] == 120
    assert {row["policy"]: row["raw"] for row in got["at_equal_length"]}["ppo"] == whole["value"]
    (pair,) = got["paired"]
    assert (pair["policy"], pair["other"]) == ("base", "ppo")
    assert pair["value"] < 0 < 0.05 > pair["p_holm"] == pair["p"]
    assert [row["policy"] for row in got["strengths"]["rows"]] == ["ppo", "sft", "base"]
    assert got["strengths"]["caution"] == ""
    assert {(row["policy"], row["group"]) for row in got["likert"]} == {
        (policy, group) for policy in ("base", "ppo", "sft") for group in ("all", "training", "held_out")
    }
    assert {row["flag"] for row in got["flags"]} == {"hallucination"}  # the other one never applied
    assert {row["rule"] for row in got["agreement"]} == {"strict", "drop", "half"}
    assert [row["have"] for row in got["plan"]] == [120, 120]
    made = found["made"]["preference"]
    assert made["command"].startswith("assent evaluate --run")
    assert "--baseline sft --held-out" in made["command"]
    assert [len(one["sha256"]) for one in made["files"]] == [64, 64]
    printed = capsys.readouterr().out
    for words in ("held out (8)", "Davidson-Luce", "At equal length", "hallucination", "Sample size", "chains of wins"):
        assert words in printed


def test_prompts_of_several_sources_stand_apart() -> None:
    """Two sources: of one the policy wins all, of the other none; of one source alone there is nothing to part."""
    rows = simulated(60, 10)
    parted = [
        replace(row, prompt=replace(row.prompt, source=name), ranks=(3, 2, 1) if name == "instruct" else (1, 2, 3))
        for row, name in zip(rows, itertools.cycle(("instruct", "gpt")), strict=False)
    ]
    found = people.judged(parted, [], people.Question(baseline="sft", held_out={"l1"}))
    rates = {(row["policy"], row["source"], row["group"]): row["value"] for row in found["by_source"]}
    assert len(found["by_source"]) == len(rates) == 2 * 2 * 3  # over all use cases, not by them as well
    assert rates["ppo", "instruct", "all"] == rates["base", "gpt", "all"] == 1
    assert rates["ppo", "gpt", "training"] == rates["base", "instruct", "held_out"] == 0
    assert people.judged(rows, [], people.Question(baseline="sft"))["by_source"] == []
    (grid,) = [one for one in grids(found) if one.title.startswith("By source of prompts")]
    assert {row[2].text for row in grid.rows} == {"instruct", "gpt"}


def test_ratings_alone_order_what_they_rate(export: Path, tmp_path: Path) -> None:
    from_ratings = evaluate(tmp_path / "a", ratings=(export / "ratings.jsonl",), baseline="sft")["preference"]
    from_rankings = evaluate(tmp_path / "b", rankings=(export / "rankings.jsonl",), baseline="sft")["preference"]
    assert (from_ratings["by"], from_rankings["by"]) == ("ratings", "rankings")
    assert from_ratings["win_rates"] == from_rankings["win_rates"]  # each rank was one point


def test_votes_on_pairs_are_rankings_of_two(tmp_path: Path) -> None:
    votes = [
        {"prompt": f"q{n}", "response_a": "x", "response_b": "y", "label": label, "models": ["ppo", "sft"]}
        for n, label in enumerate(["a"] * 30 + ["tie"] * 10 + ["b"] * 10)
    ]
    found = evaluate(tmp_path / "run", rankings=(write(tmp_path / "votes.jsonl", votes),), baseline="sft")
    (row,) = [row for row in found["preference"]["win_rates"] if row["use_case"] == "all"]
    assert (row["wins"], row["ties"], row["losses"], row["value"]) == (30, 10, 10, 0.7)
    assert (row["low"], row["team_low"] is None) == (None, False)  # one labeler: nothing is known about others
    assert "too few clusters" in row["caution"]


def test_policies_that_are_not_linked_are_not_comparable() -> None:
    rows = [row for row in simulated() if row.ranks[0] == max(row.ranks)]
    lost = [replace(row, ranks=(9, *row.ranks[1:])) for row in rows]
    found = people.judged(lost, [], people.Question(baseline="sft"))["strengths"]
    assert "not comparable: no chain of wins both ways links {base} and {ppo, sft}" in found["caution"]
    assert {row["low"] for row in found["rows"]} == {None}


def test_what_was_judged_too_little_is_named_and_left_out() -> None:
    rows = simulated(30)
    rare = [
        replace(row, responses=(*row.responses, replace(row.responses[0], policy="rare")), ranks=(*row.ranks, 1))
        for row in rows[:6]
    ]
    found = people.judged([*rare, *rows[6:]], [], people.Question(baseline="sft"))
    assert {row["policy"] for row in found["win_rates"]} == {"base", "ppo"}
    assert found["gaps"] == ["fewer than 20 prompts beside sft: rare; not compared"]
    plain = people.judged(rows, [], people.Question(baseline="sft"))
    assert found["win_rates"] == plain["win_rates"]


def test_planning_knows_what_was_collected() -> None:
    alone = people.planned(people.Question(detect=0.55, ties=0.2))
    assert (alone["needed_80"], alone["have"]) == (judgements_to_detect(0.55, ties=0.2), 0)
    rows = simulated()
    collected = people.planned(people.Question(detect=0.55, baseline="sft"), rows, "ppo")
    outcomes = preference.outcomes(rows, "ppo", "sft").values
    assert collected["ties"] == pytest.approx((outcomes == 0.5).mean(), abs=1e-6)
    twice = [replace(row, labeler=name) for row in rows for name in (row.labeler, f"{row.labeler}b")]
    doubled = people.planned(people.Question(detect=0.55, baseline="sft"), twice, "ppo")
    assert doubled["design_effect"] > 1.5 * collected["design_effect"]  # the same said twice is not twice as much
    assert doubled["needed_80"] > 1.5 * collected["needed_80"]


def test_every_number_of_a_table_is_there_for_programs(export: Path) -> None:
    rows = list(records.read(export / "rankings.jsonl", records.Ranking))
    found = people.judged(rows, [], people.Question(baseline="sft"))
    made = grids(found)
    lines = [line for grid in made for line in flat(grid, "run", "4.1")]
    rate = next(line for line in lines if line["column"] == "win rate" and line["row"].startswith("ppo"))
    whole = next(row for row in found["win_rates"] if row["policy"] == "ppo" and row["use_case"] == "all")
    assert (rate["value"], rate["low"], rate["high"]) == (whole["value"], whole["low"], whole["high"])


def test_what_cannot_be_said_is_refused(export: Path, tmp_path: Path) -> None:
    rankings = (export / "rankings.jsonl",)
    unnamed = [{"prompt": f"q{n}", "chosen": "x", "rejected": "y"} for n in range(3)]
    nobody = tmp_path / "nobody.txt"
    nobody.write_text("\n")
    cases: list[tuple[dict[str, Any], str]] = [
        ({"rankings": rankings}, "--baseline: name the policy of the rankings"),
        ({"rankings": rankings, "baseline": "gold"}, "nothing was ranked beside 'gold'; name one of base, ppo, sft"),
        ({"rankings": (write(tmp_path / "u.jsonl", unnamed),), "baseline": "x"}, "no ranking names the policies"),
        ({"rankings": rankings, "baseline": "sft", "held_out": (str(nobody),)}, "names no labeler"),
        ({"detect": 55}, "is no win rate; name one between 0 and 1"),
        ({"judges": ("x",)}, "nothing to vote on"),
        ({}, "nothing to evaluate"),
    ]
    for number, (flags, reason) in enumerate(cases):
        with pytest.raises(ValueError, match=reason):
            evaluate(tmp_path / str(number), **flags)


def test_rows_that_cannot_be_read_are_left_out_and_seen(export: Path, tmp_path: Path) -> None:
    lines = (export / "rankings.jsonl").read_bytes().splitlines(keepends=True)
    broken = tmp_path / "broken.jsonl"
    broken.write_bytes(
        b"".join(lines[:100]) + b'{"prompt": "caf\xe9"}\n' + json.dumps({"prompt": "x"}).encode() + b"\n"
    )
    found = evaluate(tmp_path / "run", rankings=(broken,), baseline="sft")["preference"]
    assert found["counts"]["rankings"] == 100
    assert found["gaps"][-1].startswith("2 rows left out, see rejected.jsonl; the first:")
    assert "UTF-8" in found["gaps"][-1]
    rejected = [json.loads(line) for line in (tmp_path / "run" / "rejected.jsonl").read_text().splitlines()]
    assert [(row["part"], row["line"]) for row in rejected] == [("preference", 101), ("preference", 102)]


def test_a_part_that_fails_leaves_the_others(export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = (export / "rankings.jsonl",)
    found = evaluate(tmp_path / "run", rankings=files, baseline="sft", judges=("nowhere",), reward_model="nowhere")
    assert found["preference"]["win_rates"]
    assert [one["part"] for one in found["failed"]] == ["judges", "reward_model"]
    assert "'nowhere' is no model" in found["failed"][0]["reason"]
    assert "gap: judges: " in capsys.readouterr().out


def test_held_out_labelers_by_name_and_file(tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("ann\nbob\n")
    assert teams.held_out((str(names), "cy")) == {"ann", "bob", "cy"}
