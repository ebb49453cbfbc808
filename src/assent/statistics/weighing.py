"""Rates of items that were not chosen by chance alone, weighed back to all items that might have been chosen.

A judgement of an item that was chosen with probability p stands for 1 / p items (Horvitz and Thompson 1952); the rate
is the weighted mean (Hajek 1971). No weight is clipped: a clipped one brings back the bias that it is there to undo.
What large weights cost shows instead, as Kish's effective number of judgements, (sum w)^2 / sum w^2.
"""

from dataclasses import dataclass

import numpy as np

from assent.statistics.clusters import Clustered, Judgements, clustered_share
from assent.statistics.intervals import Interval, Listed
from assent.statistics.selection import weighted_mean


@dataclass(frozen=True)
class Weighted:
    """A share over all items, from judgements of chosen ones.

    rate: with two-way clustered intervals, inside [0, 1]. plain: the same without weights, which is about the chosen
    items alone. effective: how many judgements of equal weight would say as much. largest: the largest weight, in mean
    weights.
    """

    rate: Clustered
    plain: Clustered
    effective: float
    largest: float


def weighted_share(judged: Judgements, propensity: Listed) -> Weighted:
    """A mean of values in [0, 1], each weighed by 1 / propensity: the chance with which its item was chosen.

    Where all values are 0 or all are 1, weights change nothing, and Jeffreys' interval stands for both. Raises
    ValueError when a propensity is not in (0, 1], or a value not in [0, 1].
    """
    plain = clustered_share(judged)
    found = weighted_mean(judged, propensity)
    rate = plain if plain.estimate in (0.0, 1.0) else _inside(found)
    weight = 1 / np.asarray(propensity, dtype=np.float64)
    return Weighted(rate, plain, float(weight.sum() ** 2 / (weight**2).sum()), float(weight.max() / weight.mean()))


def _inside(found: Clustered) -> Clustered:
    whole, team = (
        Interval(one.estimate, *(float(np.clip(end, 0.0, 1.0)) for end in (one.low, one.high)))  # NaN stays NaN
        for one in (found.interval, found.this_team)
    )
    return Clustered(whole, team, found.judgements, found.prompts, found.labelers, found.caution)
