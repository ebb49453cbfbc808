"""Intervals of means and shares: an estimate and how sure it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

AT_ONCE = 2**18  # groups drawn in one array: few calls where groups are few, little memory where they are many
Listed = Sequence[Any] | np.ndarray  # one number, or one name, an entry; numpy's ArrayLike leaves tuples out


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
    many = max(1, AT_ONCE // len(counts))
    sizes = ((min(many, draws - start), len(counts)) for start in range(0, draws, many))
    drawn = (generator.integers(len(counts), size=size) for size in sizes)
    means = np.concatenate([totals[chosen].sum(axis=1) / counts[chosen].sum(axis=1) for chosen in drawn])
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


def jeffreys_interval(successes: float, n: float, *, confidence: float = 0.95) -> Interval:
    """A share of `n` independent trials with Jeffreys' interval, which still says something at 0 and at n of n.

    n: may be an effective number of trials. Raises ValueError when `n` is not positive or successes are not in 0..n.
    """
    if n <= 0 or not 0 <= successes <= n:
        raise ValueError(f"{successes} successes in {n} trials; a share needs 0 <= successes <= n and n > 0")
    tails = ((1 - confidence) / 2, (1 + confidence) / 2)
    low, high = stats.beta.ppf(tails, successes + 0.5, n - successes + 0.5)
    share = successes / n
    return Interval(share, 0.0 if successes == 0 else float(low), 1.0 if successes == n else float(high))
