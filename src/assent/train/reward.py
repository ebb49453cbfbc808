"""Step 2, the reward model (section 3.5, appendix C.2): equation 1 on whole rankings, one pass a prompt.

One epoch; every response of a ranking is scored once, with the prompt shared. After it the bias is set so that labeler
demonstrations score 0 on average, and saved with the model: a reward model without it does not load.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch

from assent.engine.batches import RankingBatch
from assent.engine.encode import RankingItem, TextItem, ranking_batch, text_batch
from assent.engine.learner import Learner, Optimiser
from assent.engine.models import ScalarModel
from assent.engine.stream import Stream
from assent.engine.text import Limits
from assent.objectives import (
    PairNormaliser,
    RankingTerms,
    calibration_bias,
    cosine_to,
    ranking_loss,
)
from assent.run import Run
from assent.statistics import Pairs, bootstrap_interval, calibration, length_correlation, ordered_pairs


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
    """The reward model against held-out rankings: accuracy on pairs (in all, by source), calibration, love of length.

    Intervals are 95 % and draw whole rankings, whose pairs are not independent. `longer_answer` is the accuracy of
    preferring the longer text, for comparison. Nothing when there are no rankings.
    """
    if not rankings:
        return {}
    batch = ranking_batch(rankings)
    scores = reward.score(batch)
    terms = ranking_loss(scores, torch.cat(batch.ranks), batch.lengths)
    found = [one.double().numpy() for one in scores.split(batch.lengths.tolist())]
    ranks = [one.numpy() for one in batch.ranks]
    lengths = [[len(ids) for ids in group] for group in batch.responses]
    pairs = ordered_pairs(found, ranks)
    sources = np.array([item.record.source or "unnamed" for item in rankings])[pairs.ranking]
    return {
        "validation/loss": float(terms.loss.mean()),
        "pair_accuracy": _accuracy(pairs, slice(None)),
        "longer_answer": _accuracy(ordered_pairs(lengths, ranks), slice(None)),
        "accuracy_by_source": [{"source": str(n), **_accuracy(pairs, sources == n)} for n in np.unique(sources)],
        "calibration": asdict(calibration(pairs.probability, pairs.outcome)),
        "length_correlation": asdict(length_correlation(found, lengths)),
    }


def accuracy(reward: ScalarModel, rankings: Sequence[RankingItem]) -> float:
    """The share of pairs on which the reward model and the labeler agree."""
    return evaluate(reward, rankings)["pair_accuracy"]["estimate"]


def _accuracy(pairs: Pairs, chosen: Any) -> dict[str, float]:
    interval = bootstrap_interval(pairs.outcome[chosen], pairs.ranking[chosen])
    return {**asdict(interval), "pairs": len(pairs.outcome[chosen])}
