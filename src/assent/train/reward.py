"""Step 2, the reward model (section 3.5, appendix C.2): equation 1 on whole rankings, one pass a prompt.

One epoch; every response of a ranking is scored once, with the prompt shared. After it the bias is set so that labeler
demonstrations score 0 on average, and saved with the model: a reward model without it does not load.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from assent.engine.batches import RankingBatch
from assent.engine.encode import RankingItem, TextItem, ranking_batch, text_batch
from assent.engine.learner import Learner, Optimiser
from assent.engine.models import ScalarModel
from assent.engine.stream import Stream
from assent.engine.text import Limits
from assent.objectives import (
    PairNormaliser,
    RankingTerms,
    better_pairs,
    calibration_bias,
    cosine_to,
    ranking_loss,
)
from assent.run import Run


@dataclass(frozen=True, kw_only=True)
class RewardConfig:
    """Defaults: the 6B reward model of appendix C.2. `pair_normaliser`: see `objectives.ranking_loss`."""

    epochs: float = 1
    batch: int = 64
    optimiser: Optimiser = Optimiser(learning_rate=9e-6)
    final_learning_rate: float = 0.1
    pair_normaliser: PairNormaliser = "pairs"
    limits: Limits = field(default_factory=Limits)
    seed: int = 0


def ranked(normaliser: PairNormaliser, model: ScalarModel, part: RankingBatch) -> RankingTerms:
    """The ranking loss of a model on a micro-batch."""
    scores = model.score(part)
    return ranking_loss(scores, torch.cat(part.ranks).to(scores.device), part.lengths, normaliser)


def train(
    config: RewardConfig,
    run: Run,
    reward: ScalarModel,
    rankings: Sequence[RankingItem],
    demonstrations: Sequence[TextItem],
    validation: Sequence[RankingItem] = (),
) -> None:
    """Train `reward` on rankings, calibrate it on demonstrations, measure it on held-out rankings, export it."""
    stream = Stream(rankings, config.batch, config.seed)
    total = stream.steps(config.epochs)
    learner = Learner(reward, config.optimiser, lambda update: cosine_to(config.final_learning_rate, update / total))
    loss = partial(ranked, config.pair_normaliser)
    for step in run.steps(total, learner):
        with run.phase("update"):
            measured = learner.backward(loss, ranking_batch(stream[step])) | learner.step()
        run.log(step, measured)
    run.results(calibrate(reward, demonstrations) | evaluate(reward, validation))
    run.export(reward.save)
    run.finish()


@torch.no_grad()
def calibrate(reward: ScalarModel, demonstrations: Sequence[TextItem]) -> dict[str, float]:
    """Set the bias so that demonstrations score 0 on average (section 3.5). Raises ValueError when there are none."""
    if not demonstrations:
        raise ValueError("no demonstration is left to calibrate the reward model on (see rejected.jsonl)")
    batch = text_batch(demonstrations)
    reward.calibrate(float(calibration_bias(reward.score(batch)) + reward.bias.detach()))
    scores = reward.score(batch)
    return {
        "bias": float(reward.bias.detach()),
        "demonstration_mean": float(scores.mean()),
        "demonstration_std": float(scores.std(correction=0)),
    }


@torch.no_grad()
def evaluate(reward: ScalarModel, rankings: Sequence[RankingItem]) -> dict[str, Any]:
    """Pair accuracy with its interval by prompt, in all and by source."""
    if not rankings:
        return {}
    batch = ranking_batch(rankings)
    scores = reward.score(batch)
    terms = ranking_loss(scores, torch.cat(batch.ranks), batch.lengths)
    right, pairs = np.array(
        [pairs_right(*one) for one in zip(scores.split(batch.lengths.tolist()), batch.ranks, strict=True)]
    ).T
    sources = np.array([item.record.source or "unnamed" for item in rankings])
    return {
        "loss": float(terms.loss.mean()),
        "pair_accuracy": _accuracy(right, pairs),
        "accuracy_by_source": [
            {"source": str(name), **_accuracy(right[sources == name], pairs[sources == name])}
            for name in np.unique(sources)
        ],
    }


def pairs_right(scores: Tensor, ranks: Tensor) -> tuple[float, float]:
    """How many ordered pairs of a ranking the scores get right (a tie counts half), and how many there are."""
    better = better_pairs(ranks)
    difference = (scores[:, None] - scores[None, :])[better]
    return float((difference.sign() + 1).sum() / 2), float(better.sum())


def _accuracy(right: "np.ndarray", pairs: "np.ndarray") -> dict[str, float]:
    """Share of pairs that are right, with a 95 % bootstrap interval over rankings, whose pairs are not independent."""
    draws = np.random.default_rng(0).integers(0, len(pairs), (2000, len(pairs)))
    low, high = np.quantile(right[draws].sum(1) / pairs[draws].sum(1), (0.025, 0.975))
    estimate = right.sum() / pairs.sum()
    return {"estimate": float(estimate), "low": float(low), "high": float(high), "pairs": float(pairs.sum())}
