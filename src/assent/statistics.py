"""What is measured on people's judgements: intervals, pair accuracy, calibration, agreement, length correlation.

Numpy and scipy only. Everything that is a share of pairs treats the prompt as the unit of chance: the pairs of one
ranking share its responses and its labeler, so intervals resample whole prompts, never single pairs.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike
from scipy import special, stats


@dataclass(frozen=True)
class Interval:
    """An estimate and its confidence interval, in the estimate's own unit."""

    estimate: float
    low: float
    high: float


def bootstrap_interval(
    values: ArrayLike, groups: ArrayLike, *, confidence: float = 0.95, draws: int = 2000, seed: int = 0
) -> Interval:
    """The mean of `values` with a percentile bootstrap that draws whole groups with replacement.

    values: [n]; groups: [n], the cluster of each value, such as the prompt of a pair. The mean is over values, so a
    group weighs as much as it has values. `low` and `high` are NaN when there are fewer than two groups: nothing is
    known about how they differ. Raises ValueError when there is no value.
    """
    value = np.asarray(values, dtype=np.float64)
    if not len(value):
        raise ValueError("no value to average; an interval needs at least one")
    _, owner = np.unique(np.asarray(groups), return_inverse=True)
    totals, counts = np.bincount(owner, weights=value), np.bincount(owner)
    estimate = float(totals.sum() / counts.sum())
    if len(counts) < 2:
        return Interval(estimate, float("nan"), float("nan"))
    generator = np.random.default_rng(seed)
    drawn = (generator.integers(len(counts), size=len(counts)) for _ in range(draws))
    means = [totals[chosen].sum() / counts[chosen].sum() for chosen in drawn]
    low, high = np.quantile(means, ((1 - confidence) / 2, (1 + confidence) / 2))
    return Interval(estimate, float(low), float(high))


def wilson_interval(successes: float, n: int, *, confidence: float = 0.95) -> Interval:
    """A share of `n` independent trials with Wilson's score interval (1927), which stays inside [0, 1].

    successes: may hold halves, for ties. Raises ValueError when `n` is 0 or successes are not in 0..n.
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"{successes} successes in {n} trials; a share needs 0 <= successes <= n and n >= 1")
    z = float(stats.norm.ppf((1 + confidence) / 2))
    share, shrink = successes / n, 1 / (1 + z**2 / n)
    centre = shrink * (share + z**2 / (2 * n))
    half = shrink * z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return Interval(share, max(0.0, float(centre - half)), min(1.0, float(centre + half)))


# -- the reward model against rankings (section 3.5) ---------------------------------------------------------------


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


# -- labelers against each other (section 3.4) ---------------------------------------------------------------------


def agreement(rankings: Mapping[str, Mapping[str, Sequence[int]]], *, seed: int = 0) -> Interval:
    """How often two labelers prefer the same response of a pair; 1/2 is chance. The paper reports 72.6 +- 1.5 %.

    rankings: prompt -> labeler -> ranks [K] of the same responses in the same order. The paper does not describe its
    computation; this is Stiennon et al. (2020): of the pairs that both order, the share with the same winner, pooled
    over prompts and labelers, pairs that either ties dropped. The interval resamples prompts. Raises ValueError when
    labelers ranked different numbers of responses, or no two of them ordered the same pair.
    """
    same: list[float] = []
    prompts: list[int] = []
    for number, (prompt, by_labeler) in enumerate(rankings.items()):
        if len({len(ranks) for ranks in by_labeler.values()}) > 1:
            raise ValueError(f"prompt {prompt!r}: the labelers ranked different numbers of responses")
        for one, other in combinations(by_labeler.values(), 2):
            outcome = ordered_pairs([-np.asarray(other)], [np.asarray(one)]).outcome
            shared = outcome[outcome != 0.5]  # a half is a tie of the other labeler
            same.extend(shared)
            prompts.extend([number] * len(shared))
    if not same:
        raise ValueError("no pair of responses was ordered by two labelers; agreement needs prompts ranked twice")
    return bootstrap_interval(same, prompts, seed=seed)
