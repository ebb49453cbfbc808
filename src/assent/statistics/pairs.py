"""A scorer, such as a reward model, against rankings (section 3.5): pair accuracy, calibration, length correlation.

The pairs of one ranking share its responses and its labeler, so every pair knows its ranking: intervals over pairs
resample whole rankings, never single pairs.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike
from scipy import special, stats

from assent.statistics.intervals import Interval, bootstrap_interval


@dataclass(frozen=True)
class Pairs:
    """The ordered pairs of some rankings, seen by a scorer; one entry per pair, tied ranks make none.

    difference: how far apart the two scores are, >= 0. outcome: 1 where the labeler preferred the response with the
    higher score, 0 where the other, 1/2 where the scores are equal. ranking: the number of the ranking, for clusters.
    """

    difference: Float[np.ndarray, " pairs"]
    outcome: Float[np.ndarray, " pairs"]
    ranking: Int[np.ndarray, " pairs"]

    @property
    def probability(self) -> Float[np.ndarray, " pairs"]:
        """How sure the scorer is of its preference, in [1/2, 1]: sigmoid of the difference, as in equation 1."""
        return special.expit(self.difference)


def ordered_pairs(scores: Iterable[ArrayLike], ranks: Iterable[ArrayLike]) -> Pairs:
    """The pairs that rankings order; scores and ranks: [K] for each ranking, rank 1 is best, higher scores are better.

    The order in which the responses are given does not matter.
    """
    differences: list[float] = []
    outcomes: list[float] = []
    owners: list[int] = []
    for number, (score, rank) in enumerate(zip(scores, ranks, strict=True)):
        value, place = np.asarray(score, dtype=np.float64), np.asarray(rank)
        better, worse = np.nonzero(place[:, None] < place[None, :])
        margin = value[better] - value[worse]
        differences.extend(np.abs(margin))
        outcomes.extend((np.sign(margin) + 1) / 2)
        owners.extend([number] * len(margin))
    return Pairs(np.array(differences), np.array(outcomes), np.array(owners, dtype=np.int64))


def pair_accuracy(scores: ArrayLike, ranks: ArrayLike) -> float:
    """Share of the ordered pairs of one ranking ([K], [K]) that the scores get right; equal scores count half.

    Raises ValueError when the ranking has ties only.
    """
    outcome = ordered_pairs([scores], [ranks]).outcome
    if not len(outcome):
        raise ValueError("a ranking has ties only: it makes no pair to be right about")
    return float(outcome.mean())


@dataclass(frozen=True)
class Bin:
    """The predictions that fall together: their mean, the share that came true, and how many there are."""

    confidence: float
    accuracy: float
    pairs: int


@dataclass(frozen=True)
class Calibration:
    """The reliability table, without empty bins, and the expected calibration error: the mean gap in it."""

    error: float
    reliability: tuple[Bin, ...]


def calibration(probabilities: ArrayLike, outcomes: ArrayLike, bins: int = 10) -> Calibration:
    """Whether what is given probability p comes true in a share p of cases (Guo et al. 2017, ECE).

    probabilities: [n] in [0, 1]; outcomes: [n], 0, 1 or 1/2; bins: of equal width over [0, 1], the last one closed.
    Pairs seen from the preferred side have probabilities of 1/2 and more and fill only half of the bins.
    """
    probability, outcome = np.asarray(probabilities, dtype=np.float64), np.asarray(outcomes, dtype=np.float64)
    if not len(probability) or probability.min() < 0 or probability.max() > 1:
        raise ValueError("calibration needs at least one probability, and all of them in [0, 1]")
    place = np.minimum((probability * bins).astype(np.int64), bins - 1)
    members = [place == number for number in np.unique(place)]
    table = tuple(Bin(float(probability[m].mean()), float(outcome[m].mean()), int(m.sum())) for m in members)
    gaps = sum(row.pairs * abs(row.accuracy - row.confidence) for row in table)
    return Calibration(gaps / len(probability), table)


def length_correlation(scores: Sequence[ArrayLike], lengths: Sequence[ArrayLike], *, seed: int = 0) -> Interval:
    """Whether longer responses score higher: Spearman's correlation within each prompt, averaged over prompts.

    scores, lengths: [K] for each prompt. Prompts weigh the same whatever their K; those where all scores or all
    lengths are equal have no correlation and are left out. The interval resamples prompts. Raises ValueError when
    no prompt is left.
    """
    found: list[float] = []
    for score, length in zip(scores, lengths, strict=True):
        ranked = stats.rankdata(score), stats.rankdata(length)
        if all(len(set(ranks)) > 1 for ranks in ranked):
            found.append(float(np.corrcoef(*ranked)[0, 1]))
    return bootstrap_interval(found, np.arange(len(found)), seed=seed)
