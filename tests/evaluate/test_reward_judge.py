"""A reward model as a judge of pairs: the higher reward wins, whatever the order; equal within the margin is a tie."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tests import tiny
from tests.evaluate.kit import MACHINE, results, simulated

from assent import records
from assent.commands.evaluate import Evaluate
from assent.engine.batches import TextBatch
from assent.engine.models import ScalarModel
from assent.evaluate import judge
from assent.evaluate.cache import Cache
from assent.evaluate.reward_judge import RewardJudge
from assent.records import Response, Samples

TEXTS = ("red red", "blue", "pink then gold", "grey")


@pytest.fixture(scope="module")
def reward(tmp_path_factory: pytest.TempPathFactory, blank: Path) -> Path:
    """A reward model whose scores are chance, and known."""
    model = ScalarModel.fresh(blank, MACHINE, seed=3)
    model.calibrate(0.25)
    directory = tmp_path_factory.mktemp("reward") / "model"
    model.save(directory)
    return directory


def item(words: str, *texts: str) -> Samples:
    responses = tuple(Response(text=text, policy=f"p{place}") for place, text in enumerate(texts))
    return Samples(id=words, prompt=tiny.prompt(words), responses=responses)


@torch.no_grad()
def scores(directory: Path, words: str, *texts: str) -> list[float]:
    model = ScalarModel.load(directory, MACHINE)
    prompts = tuple(model.text.prompt(tiny.prompt(words).messages) for _ in texts)
    return model.score(TextBatch(prompts, tuple(model.text.responses(texts)))).tolist()


def test_the_higher_reward_is_preferred(reward: Path, tmp_path: Path) -> None:
    asked = judge.pairs([item("say red", *TEXTS), item("say blue", *TEXTS)])
    found = RewardJudge("r", reward, MACHINE).vote(asked, Cache(tmp_path / "cache.jsonl"))
    assert (found.pairs, len(found.rankings), found.alike, found.turned, found.first) == (12, 12, 0, 0, None)
    for row in found.rankings:
        one, other = scores(reward, row.prompt.id, *(response.text for response in row.responses))
        assert row.ranks == ((1, 2) if one > other else (2, 1))
        assert row.labeler == "judge r"
    turned = [
        judge.Pair(pair.id, pair.prompt, (pair.responses[1], pair.responses[0])) for pair in asked
    ]  # no order can matter
    again = RewardJudge("r", reward, MACHINE).vote(turned, Cache(tmp_path / "cache.jsonl"))
    assert [row.ranks for row in again.rankings] == [row.ranks[::-1] for row in found.rankings]


def test_a_difference_within_the_margin_is_a_tie(reward: Path, tmp_path: Path) -> None:
    one, other = scores(reward, "say", "red red", "blue")
    asked = judge.pairs([item("say", "red red", "blue")])
    for margin, tied in ((abs(one - other) * 0.9, False), (abs(one - other) * 1.1, True)):
        (row,) = RewardJudge("r", reward, MACHINE, margin).vote(asked, Cache(tmp_path / "cache.jsonl")).rankings
        assert (row.ranks == (1, 1)) is tied
        assert f"{margin:g}" in row.guideline
    with pytest.raises(ValueError, match="--margin: -1 is no difference of rewards"):
        RewardJudge("r", reward, MACHINE, -1)


def test_equal_texts_are_ties_and_what_does_not_fit_is_no_vote(reward: Path, tmp_path: Path) -> None:
    rows = [item("say", "same", "same"), item("long", "red " * 200, "blue")]
    found = RewardJudge("r", reward, MACHINE).vote(judge.pairs(rows), Cache(tmp_path / "cache.jsonl"))
    assert (found.alike, found.cut, [row.ranks for row in found.rankings]) == (1, 1, [(1, 1)])
    assert "do not fit into what the judge can read" in found.gaps()[0]


def test_a_response_is_scored_once(reward: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = judge.pairs([item("say", *TEXTS)])
    first = RewardJudge("r", reward, MACHINE).vote(asked, Cache(tmp_path / "cache.jsonl"))
    assert len(Cache(tmp_path / "cache.jsonl").values) == len(TEXTS)  # of twelve in six pairs
    monkeypatch.setattr(ScalarModel, "load", lambda *_: pytest.fail("scored again"))
    again = RewardJudge("r", reward, MACHINE).vote(asked, Cache(tmp_path / "cache.jsonl"))
    assert again.rankings == first.rankings


def test_a_reward_model_stands_beside_people(reward: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is said of language models, which see both orders, is not said where there is none."""
    people = simulated(24)
    records.write(tmp_path / "people.jsonl", people)
    flags: dict[str, Any] = {"rankings": (tmp_path / "people.jsonl",), "baseline": "sft", "margin": 0.001}
    Evaluate(run=tmp_path / "run", judges=(f"r={reward}",), machine=MACHINE, quiet=True, **flags).start()
    found = results(tmp_path / "run")["judges"]
    (row,) = found["judges"]
    assert (row["judge"], row["pairs"], row["votes"], row["first"], row["margin"]) == ("judge r", 48, 48, None, 0.001)
    assert {one["rule"] for one in found["agreement"]} == {"strict", "drop", "half"}
    assert found["agreement"][0]["people"] is not None
    printed = " ".join(capsys.readouterr().out.split())
    assert "judge r is a reward model: the higher reward is preferred" in printed
    assert "at most 0.001 is a tie" in printed
    assert "asked about each pair in both orders" not in printed


def test_what_was_never_calibrated_does_not_vote(blank: Path, tmp_path: Path) -> None:
    ScalarModel.fresh(blank, MACHINE, seed=0).save(tmp_path / "model")
    records.write(tmp_path / "samples.jsonl", [item("say", "red", "blue")])
    flags: dict[str, Any] = {"samples": (tmp_path / "samples.jsonl",), "quiet": True, "machine": MACHINE}
    with pytest.raises(ValueError, match="a reward model counts only once demonstrations score 0"):
        Evaluate(run=tmp_path / "run", judges=(str(tmp_path / "model"),), **flags).start()
