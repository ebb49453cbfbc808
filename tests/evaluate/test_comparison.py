"""Win rates by hand, and what a model thinks of texts against a slow loop."""

import math
from pathlib import Path

import pytest
import torch
from tests import tiny

from assent.engine import encode
from assent.engine.encode import TextItem
from assent.evaluate.likelihood import chosen, corpus_loss
from assent.evaluate.preference import share, win_rate
from assent.records import Ranking, Response


def ranking(number: int, ranks: dict[str, int]) -> Ranking:
    responses = tuple(Response(text=name, policy=name) for name in ranks)
    return Ranking(id=f"r{number}", prompt=tiny.prompt(f"p{number}"), responses=responses, ranks=tuple(ranks.values()))


def test_a_win_rate_by_hand() -> None:
    rows = [
        ranking(0, {"sft": 2, "ppo": 1, "base": 3}),
        ranking(1, {"ppo": 1, "sft": 1, "base": 2}),
        ranking(2, {"base": 1, "sft": 2, "ppo": 3}),
        ranking(3, {"sft": 3, "base": 2, "ppo": 1}),
    ]
    assert win_rate(rows, "ppo", "sft").estimate == (1 + 0.5 + 0 + 1) / 4
    assert win_rate(rows, "base", "sft").estimate == (0 + 0 + 1 + 1) / 4
    own, other = (win_rate(rows, *pair).estimate for pair in (("ppo", "base"), ("base", "ppo")))
    assert own + other == 1
    itself = win_rate(rows, "sft", "sft")
    assert (itself.low, itself.estimate, itself.high) == (0.5, 0.5, 0.5)
    with pytest.raises(ValueError, match="'r0' has no response of 'gold'"):
        win_rate(rows, "gold", "sft")


def test_a_share_has_an_interval_that_covers_the_truth() -> None:
    """Of shares of fair coins about 95 % of the intervals hold one half."""
    g = torch.Generator().manual_seed(0)
    found = [share((torch.rand(60, generator=g) < 0.5).tolist()) for _ in range(200)]
    assert 0.9 <= sum(one.low <= 0.5 <= one.high for one in found) / 200 <= 0.99


def test_the_corpus_loss_is_the_mean_over_tokens(blank: Path) -> None:
    model = tiny.model(blank)
    items = encode.documents(model.text, tiny.DOCUMENTS, 20)
    losses = [-model.logprobs(encode.text_batch([item])).detach() for item in items]
    found = corpus_loss(model, items)
    assert found.estimate == pytest.approx(float(torch.cat(losses).mean()), rel=1e-5)
    assert found.low < found.estimate < found.high < math.log(320) + 1


def test_the_chosen_ending_is_the_likeliest(blank: Path) -> None:
    model = tiny.model(blank)
    texts = tiny.texts(6, longest=5)
    questions = [(texts.prompts[n], (texts.responses[n], texts.responses[n - 1])) for n in range(6)]
    expected: list[int] = []
    for text, endings in questions:
        sums = [model.logprobs(encode.text_batch([TextItem(text, end)])).sum().item() for end in endings]
        expected.append(sums.index(max(sums)))
    assert chosen(model, questions) == expected
    assert len(set(expected)) == 2  # the questions tell the two apart
