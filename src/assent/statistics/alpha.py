"""Krippendorff's alpha: agreement of any number of labelers, beyond chance, with gaps in the table.

1 is perfect, 0 is what chance gives. It is undefined when only one value was ever used: there is then nothing that
labelers could have disagreed about, and neither 1 nor 0 would be true.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

from assent.statistics.clusters import Judgements
from assent.statistics.intervals import Interval

Level = Literal["nominal", "ordinal", "interval"]

UNDEFINED = "undefined: one value used"


@dataclass(frozen=True)
class Alpha:
    """Alpha with two 95 % intervals over units: the jackknife's, the one to report, and the bootstrap's.

    estimate is None where alpha is undefined, and `caution` says so. units: those with two labelers or more; others
    say nothing.
    """

    estimate: float | None
    jackknife: Interval | None
    bootstrap: Interval | None
    units: int
    caution: str = ""


def krippendorff(judged: Judgements, level: Level, *, draws: int = 1000, seed: int = 0) -> Alpha:
    """Alpha of values that labelers gave to units (`judged.prompts`), by what the values mean.

    nominal: names; ordinal: an order, as the ranks or Likert values; interval: numbers whose differences count.
    Raises ValueError when a labeler judged a unit twice, or no unit has two labelers.
    """
    table, values = _table(judged)
    rows, times = np.unique(table, axis=0, return_counts=True)  # units alike do alike: few rows for many units
    each = _coincidences(rows)
    whole = np.tensordot(times, each, axes=1)
    estimate, units = _alpha(whole, values, level), len(table)
    if math.isnan(estimate):
        return Alpha(None, None, None, units, UNDEFINED)
    without = np.array([_alpha(whole - one, values, level) for one in each])
    generator = np.random.default_rng(seed)
    drawn = [
        _alpha(np.tensordot(chosen, each, axes=1), values, level)
        for chosen in generator.multinomial(units, times / units, size=draws)
    ]
    low, high = np.nanquantile(drawn, (0.025, 0.975))
    return Alpha(estimate, _jackknife(estimate, without, times), Interval(estimate, float(low), float(high)), units)


def _table(judged: Judgements) -> tuple[Int[np.ndarray, "units values"], Float[np.ndarray, " values"]]:
    """How often each value was given to each unit that has two labelers or more."""
    cells = set(zip(judged.prompts.tolist(), judged.labelers.tolist(), strict=True))
    if len(cells) < len(judged):
        raise ValueError("a labeler judged a unit twice; keep one judgement, and use the other for test-retest")
    values, code = np.unique(judged.values, return_inverse=True)
    units, owner = np.unique(judged.prompts, return_inverse=True)
    table = np.zeros((len(units), len(values)), dtype=np.int64)
    np.add.at(table, (owner, code), 1)
    table = table[table.sum(axis=1) > 1]
    if not len(table):
        raise ValueError("no unit was judged by two labelers; agreement needs items with several judgements")
    return table, values


def _coincidences(rows: Int[np.ndarray, "units values"]) -> Float[np.ndarray, "units values values"]:
    """The pairs of values in each unit, every judgement weighing the same: o_ck before it is summed."""
    pairs = rows[:, :, None] * (rows[:, None, :] - np.eye(rows.shape[1]))
    return pairs / (rows.sum(axis=1) - 1)[:, None, None]


def _alpha(o: Float[np.ndarray, "values values"], values: Float[np.ndarray, " values"], level: Level) -> float:
    """1 - observed over expected disagreement; NaN when none is expected."""
    counts = o.sum(axis=0)
    if level == "nominal":
        distance = 1.0 - np.eye(len(values))
    elif level == "interval":
        distance = (values[:, None] - values[None, :]) ** 2
    else:
        middle = np.cumsum(counts) - counts / 2  # n between two values, with half of both ends
        distance = (middle[:, None] - middle[None, :]) ** 2
    expected = float(counts @ distance @ counts)
    if expected <= 1e-12:
        return math.nan
    return 1 - (float(counts.sum()) - 1) * float((o * distance).sum()) / expected


def _jackknife(estimate: float, without: Float[np.ndarray, " rows"], times: Int[np.ndarray, " rows"]) -> Interval:
    """Every unit left out once (Hughes 2022); t with one degree of freedom less than there are units."""
    units = int(times.sum())
    if units < 2 or np.isnan(without).any():
        return Interval(estimate, math.nan, math.nan)
    mean = float(times @ without) / units
    variance = (units - 1) / units * float(times @ (without - mean) ** 2)
    half = float(stats.t.ppf(0.975, units - 1)) * math.sqrt(variance)
    return Interval(estimate, estimate - half, min(1.0, estimate + half))
