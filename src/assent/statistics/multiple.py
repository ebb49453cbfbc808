"""Many comparisons at once: Holm's correction, bands that hold together, and how sure a place in a table is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped
from scipy import stats

from assent.statistics.clusters import Clustered, Clusters, Judgements, clustered_mean, standard_error
from assent.statistics.intervals import Interval, Listed


def holm(p_values: Listed) -> Float[np.ndarray, " n"]:
    """Adjusted p values, [n] in the order given: below 0.05 the contrast stands although n were tested (Holm 1979)."""
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError("p values are a list of numbers in [0, 1]")
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def p_value(found: Clustered, null: float = 0.0) -> float:
    """How unlikely an estimate so far from `null` were if `null` were true, two-sided, by the t of its interval.

    For means and differences, whose intervals are symmetric. NaN where there are too few clusters for an interval.
    """
    error, gap = standard_error(found), abs(found.estimate - null)
    if not error:
        return 1.0 if gap == 0 else 0.0
    return 2 * float(stats.t.sf(gap / error, min(found.prompts, found.labelers) - 1))


def simultaneous_bands(
    policies: Mapping[str, Judgements], *, confidence: float = 0.95, draws: int = 1000, seed: int = 0
) -> dict[str, Interval]:
    """The mean of every policy with intervals that hold for all policies together with the given confidence.

    One pigeonhole bootstrap draws prompts and labelers for all policies at once; the critical value is the quantile
    of the largest standardised deviation among them. The bootstrap is conservative in scale, so it gives this value
    alone; the scale is the two-way clustered standard error, with the t distribution's allowance for few clusters.
    Bands are NaN for all when one policy has too few clusters.
    """
    names = list(policies)
    if not names:
        raise ValueError("no policy to band; give judgements of at least one")
    pooled = Clusters(
        np.concatenate([_text(policies[name].prompts) for name in names]),
        np.concatenate([_text(policies[name].labelers) for name in names]),
    )
    owner = np.repeat(np.arange(len(names)), [len(policies[name]) for name in names])
    values = np.concatenate([policies[name].values for name in names])
    drawn = np.array([_means(values, owner, weight) for weight in pooled.weights(draws, seed)])
    means = np.array([policies[name].values.mean() for name in names])
    deviation = np.abs(drawn - means)[np.isfinite(drawn).all(axis=1)]
    scale = np.sqrt((deviation**2).mean(axis=0))
    largest = (deviation / np.where(scale > 0, scale, 1.0)).max(axis=1)
    critical, single = float(np.quantile(largest, confidence)), float(stats.norm.ppf((1 + confidence) / 2))
    widening = max(critical / single, 1.0)
    return {name: _widened(clustered_mean(policies[name]).interval, widening) for name in names}


@dataclass(frozen=True)
class Place:
    """A rank, 1 is best, and the best and worst rank that the bands leave open."""

    rank: int
    best: int
    worst: int


def places(bands: Sequence[Interval]) -> list[Place]:
    """The places of estimates, higher is better: nobody is put behind another unless their bands are apart.

    Bands that are NaN leave every place open. Equal estimates have the better rank.
    """
    found: list[Place] = []
    for own in bands:
        better = sum(other.low > own.high for other in bands)
        worse = sum(other.high < own.low for other in bands)
        rank = 1 + sum(other.estimate > own.estimate for other in bands)
        found.append(Place(rank, 1 + better, len(bands) - worse))
    return found


def _text(names: Shaped[np.ndarray, " n"]) -> Shaped[np.ndarray, " n"]:
    return names.astype(np.str_)


def _means(
    values: Float[np.ndarray, " n"], owner: Shaped[np.ndarray, " n"], weight: Float[np.ndarray, " n"]
) -> Float[np.ndarray, " policies"]:
    counts = np.bincount(owner, weights=weight)
    sums = np.bincount(owner, weights=weight * values)
    return np.where(counts > 0, sums / np.where(counts > 0, counts, 1.0), np.nan)


def _widened(interval: Interval, factor: float) -> Interval:
    half = (interval.high - interval.low) / 2 * factor
    return Interval(interval.estimate, interval.estimate - half, interval.estimate + half)
