"""A judge as one more labeler: both orders, a strict grammar, its agreement with people, and what it could not say."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.evaluate.kit import MACHINE, results, serving, simulated

from assent import records
from assent.commands.evaluate import Evaluate
from assent.evaluate import judge
from assent.evaluate.answerers import Local, Remote
from assent.evaluate.cache import Cache
from assent.evaluate.endpoint import Endpoint
from assent.records import Message, Prompt, Ranking, Response, Samples


@pytest.fixture
def url() -> Iterator[str]:
    with serving() as url:
        yield url


def item(words: str, *texts: str, policies: tuple[str, ...] = ("sft", "ppo")) -> Samples:
    asked = Prompt(id=words, messages=(Message("user", words),))
    responses = tuple(Response(text=text, policy=name) for text, name in zip(texts, policies, strict=False))
    return Samples(id=words, prompt=asked, responses=responses)


def test_a_vote_needs_both_orders_and_the_grammar(url: str, tmp_path: Path) -> None:
    rows = [
        item("plain", "an sft text", "a ppo text"),
        item("even", "sft one", "sft two"),
        item("turns", "an sft text", "a ppo text"),
        item("odd", "an sft text", "a ppo text"),
        item("alike", "the same", "the same"),
        item("broken", "an sft text", "a ppo text"),
    ]
    found = judge.vote(Remote("m", Endpoint(url, "m")), judge.pairs(rows), Cache(tmp_path / "cache.jsonl"))
    ranks = {row.prompt.id: zip((r.policy for r in row.responses), row.ranks, strict=True) for row in found.rankings}
    assert {name: dict(pairs) for name, pairs in ranks.items()} == {
        "plain": {"ppo": 1, "sft": 2},
        "even": {"ppo": 1, "sft": 1},
        "turns": {"ppo": 1, "sft": 1},  # A both times: whatever stands first
        "alike": {"ppo": 1, "sft": 1},
    }
    assert (found.pairs, found.turned, found.alike, found.unknown, found.silent) == (6, 1, 1, 1, 1)
    assert found.examples == ["The first one"]
    assert found.first == pytest.approx(3 / 4)  # A twice where it turns, A and B where it does not
    assert [gap.partition(" pairs ")[0] for gap in found.gaps()] == ["1 of 6", "1 of 6"]
    assert "not A, B or tie, such as 'The first one'" in found.gaps()[0]
    assert {row.labeler for row in found.rankings} == {"judge m"}


def test_a_vote_is_asked_for_once(url: str, tmp_path: Path) -> None:
    pairs = judge.pairs([item("plain", "an sft text", "a ppo text")])
    first = judge.vote(Remote("m", Endpoint(url, "m")), pairs, Cache(tmp_path / "cache.jsonl"))
    gone = Remote("m", Endpoint("http://127.0.0.1:9", "m"))
    again = judge.vote(gone, pairs, Cache(tmp_path / "cache.jsonl"))
    assert (again.rankings, again.silent) == (first.rankings, 0)


def test_every_two_responses_are_a_pair_once() -> None:
    ranked = simulated(3)
    assert len(judge.pairs(ranked)) == 3 * 3  # two labelers saw the same three responses
    beside = judge.pairs(ranked, "sft")
    assert len(beside) == 3 * 2
    assert all("sft" in {r.policy for r in pair.responses} for pair in beside)


def test_agreement_with_people_by_hand() -> None:
    def ranking(number: int, ranks: tuple[int, int], labeler: str) -> Ranking:
        row, name = item(f"p{number}", "x", "y"), f"{number}{labeler}"
        return Ranking(id=name, prompt=row.prompt, responses=row.responses, ranks=ranks, labeler=labeler)

    votes = [ranking(0, (1, 2), "judge"), ranking(1, (2, 1), "judge"), ranking(2, (1, 1), "judge")]
    people = [
        ranking(0, (1, 2), "ann"),
        ranking(1, (1, 2), "ann"),
        ranking(2, (1, 2), "ann"),
        ranking(0, (1, 1), "bob"),
        ranking(2, (1, 1), "bob"),
        replace(ranking(0, (2, 1), "cy"), responses=item("p0", "y", "x", policies=("ppo", "sft")).responses),
        ranking(3, (1, 2), "cy"),  # the judge did not vote on it
    ]
    found = {row["rule"]: row for row in judge.agreement(votes, people)}
    assert {rule: (row["value"], row["pairs"]) for rule, row in found.items()} == {
        "strict": (3 / 6, 6),  # ann 1 of 3, bob the tie of 2, cy in another order of responses
        "drop": (pytest.approx(2 / 3), 3),
        "half": (pytest.approx(4 / 6), 6),
    }
    assert found["strict"]["people"] is not None


def test_a_judge_at_an_endpoint_stands_beside_people(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    people = simulated(24)
    odd = replace(people[0].prompt, id="odd", messages=(Message("user", "odd"),))
    people.append(replace(people[0], id="odd", prompt=odd))
    records.write(tmp_path / "people.jsonl", people)
    flags: dict[str, Any] = {"rankings": (tmp_path / "people.jsonl",), "judges": (f"far={url}#m",), "baseline": "sft"}
    Evaluate(run=tmp_path / "run", machine=MACHINE, quiet=True, **flags).start()
    found = results(tmp_path / "run")
    (row,) = found["judges"]["judges"]
    assert (row["judge"], row["pairs"], row["votes"], row["unknown"], row["first"]) == ("judge far", 50, 48, 2, 0.5)
    rates = {one["policy"]: one for one in found["judges"]["preference"]["win_rates"] if one["use_case"] == "all"}
    assert (rates["ppo"]["value"], rates["base"]["value"]) == (1, 0)
    agreed = {one["rule"]: one for one in found["judges"]["agreement"]}
    assert 0.5 < agreed["drop"]["value"] < 1
    assert agreed["strict"]["people"] is not None
    assert "2 of 50 pairs got a verdict that is not A, B or tie" in found["judges"]["gaps"][0]
    votes = list(records.read(tmp_path / "run" / "judged" / "far.jsonl", Ranking))
    assert len(votes) == 48
    assert found["preference"]["counts"]["rankings"] == len(people)  # people stay apart
    printed = capsys.readouterr().out
    assert "Judges and people on the same pairs" in printed
    assert "By judges: win rates" in printed


def test_a_dead_judge_leaves_the_other(url: str, tmp_path: Path) -> None:
    rows = [item(f"q{n}", "an sft text", "a ppo text") for n in range(3)]
    records.write(tmp_path / "samples.jsonl", rows)
    judges = ("dead=http://127.0.0.1:9#m", f"far={url}#m")
    flags: dict[str, Any] = {"samples": (tmp_path / "samples.jsonl",), "quiet": True, "seconds": 0.5}
    Evaluate(run=tmp_path / "run", judges=judges, **flags).start()
    found = results(tmp_path / "run")["judges"]
    assert [(row["votes"], row["silent"]) for row in found["judges"]] == [(0, 3), (3, 0)]
    assert any("cannot be reached" in gap for gap in found["gaps"])
    with pytest.raises(ValueError, match="no vote on 3 pairs; judge dead: 3 of 3 pairs got no answer"):
        Evaluate(run=tmp_path / "none", judges=judges[:1], **flags).start()


def test_a_model_directory_judges_through_the_engine(blank: Path, tmp_path: Path) -> None:
    """An untrained model keeps no grammar: every pair is an unknown verdict, or does not fit, and none is guessed."""
    model = Local("blank", blank, MACHINE)
    found = judge.vote(model, judge.pairs([item("say", "red", "blue")]), Cache(tmp_path / "cache.jsonl"))
    assert (len(found.rankings), found.unknown + found.cut) == (0, 1)


def test_answers_of_another_precision_are_other_answers(blank: Path) -> None:
    keys = {Local("m", blank, replace(MACHINE, precision=precision)).key for precision in ("fp32", "bf16")}
    assert len(keys) == 2
