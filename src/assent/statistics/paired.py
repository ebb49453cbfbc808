"""What changed between two models on the same items: a difference, its interval and its p value.

Items that share a passage are no independent evidence: groups are the units of chance, and the t distribution has as
many degrees of freedom as there are groups, less one. A mean has a closed form; what is computed from all items at
once, such as BLEU, is left to the jackknife over groups.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

from assent.statistics.intervals import Interval, Listed

Statistic = Callable[[Float[np.ndarray, " counts"]], float]


@dataclass(frozen=True)
class Change:
    """After less before. p_value: two-sided, of no change; NaN, like the interval, where there is only one group."""

    interval: Interval
    p_value: float
    items: int
    groups: int


def mean_change(before: Listed, after: Listed, groups: Listed) -> Change:
    """The mean of after - before over items, [n] each, clustered by group.

    Raises ValueError when there is no item, or lengths differ.
    """
    gap = _same_length(before, after, groups)
    owner = np.unique(np.asarray(groups), return_inverse=True)[1]
    mean = float(gap.mean())
    sums = np.bincount(owner, weights=(gap - mean) / len(gap))
    many = len(sums)
    variance = many / (many - 1) * float((sums**2).sum()) if many > 1 else math.nan
    return _change(mean, variance, len(gap), many)


def corpus_change(before: Listed, after: Listed, groups: Listed, statistic: Statistic) -> Change:
    """The change of a statistic of summed counts, before and after [n, counts], by the jackknife over groups.

    Raises ValueError when there is no item, or lengths differ.
    """
    _same_length(before, after, groups)
    owner = np.unique(np.asarray(groups), return_inverse=True)[1]
    old, new = (_sums(np.asarray(rows, dtype=np.float64), owner) for rows in (before, after))
    found = statistic(new.sum(axis=0)) - statistic(old.sum(axis=0))
    many = len(old)
    if many < 2:
        return _change(found, math.nan, len(owner), many)
    left = [statistic(new.sum(axis=0) - new[n]) - statistic(old.sum(axis=0) - old[n]) for n in range(many)]
    variance = (many - 1) / many * float(((np.array(left) - np.mean(left)) ** 2).sum())
    return _change(found, variance, len(owner), many)


def _same_length(before: Listed, after: Listed, groups: Listed) -> Float[np.ndarray, "n ..."]:
    old, new = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    if not len(old) or old.shape != new.shape or len(old) != len(np.asarray(groups)):
        raise ValueError(f"{len(old)} items before, {len(new)} after, {len(groups)} groups; compare the same items")
    return new - old


def _sums(rows: Float[np.ndarray, "n counts"], owner: np.ndarray) -> Float[np.ndarray, "groups counts"]:
    return np.stack([np.bincount(owner, weights=column) for column in rows.T], axis=1)


def _change(found: float, variance: float, items: int, groups: int) -> Change:
    if math.isnan(variance):
        return Change(Interval(found, math.nan, math.nan), math.nan, items, groups)
    error = math.sqrt(variance)
    half = float(stats.t.ppf(0.975, groups - 1)) * error
    p = 2 * float(stats.t.sf(abs(found) / error, groups - 1)) if error else float(found == 0)
    return Change(Interval(found, found - half, found + half), p, items, groups)
