"""How many judgements are needed, before anybody is asked to make them.

A judgement is a win, a tie (half a win) or a loss of independent prompts and labelers. Where they are shared, multiply
by the design effect; a ranking of K responses is fewer judgements than it has pairs.
"""

import math

import numpy as np
from scipy import stats

from assent.statistics.intervals import Interval, Listed

# Pairs of one ranking for each independent pair that says as much, for agreement with a gold order; simulated
RANKING_DESIGN_EFFECT = {4: 1.30, 7: 1.68, 9: 1.93}


def judgements_to_detect(
    win_rate: float, *, ties: float = 0.0, null: float = 0.5, power: float = 0.8, alpha: float = 0.05
) -> int:
    """Judgements after which a true `win_rate` is told from `null` with the given power, two-sided.

    ties: their share. n = ((z_a sqrt(v0) + z_b sqrt(v1)) / (w - w0))^2, v = (1 - ties) / 4 - (w - 1/2)^2.
    """
    if win_rate == null:
        raise ValueError(
            f"a win rate of {win_rate} cannot be told from itself; name the smallest difference that matters"
        )
    reach = _z(1 - alpha / 2) * math.sqrt(_variance(null, ties)) + _z(power) * math.sqrt(_variance(win_rate, ties))
    return _whole((reach / (win_rate - null)) ** 2)


def judgements_per_arm(
    win_rate: float, difference: float, *, ties: float = 0.0, power: float = 0.8, alpha: float = 0.05
) -> int:
    """Judgements of each of two policies against one baseline, on different prompts, to tell w from w + difference."""
    spread = _variance(win_rate, ties) + _variance(win_rate + difference, ties)
    return _whole((_z(1 - alpha / 2) + _z(power)) ** 2 * spread / difference**2)


def paired_judgements(
    difference: float, correlation: float, *, ties: float = 0.0, power: float = 0.8, alpha: float = 0.05
) -> int:
    """Pairs of judgements when both policies are judged on the same prompts by the same labelers, near a rate of 1/2.

    correlation: between the two judgements of a pair; it is what pairing saves.
    """
    if not -1 <= correlation < 1:
        raise ValueError(f"a correlation of {correlation}; it is in [-1, 1)")
    spread = 2 * (1 - correlation) * _variance(0.5, ties)
    return _whole((_z(1 - alpha / 2) + _z(power)) ** 2 * spread / difference**2)


def judgements_for_width(share: float, half_width: float, *, confidence: float = 0.95) -> int:
    """Judgements after which a share is known to +- half_width."""
    return _whole(_z((1 + confidence) / 2) ** 2 * share * (1 - share) / half_width**2)


def design_effect(
    per_labeler: float, labeler_correlation: float, per_prompt: float, prompt_correlation: float
) -> float:
    """What to multiply a number of judgements by: 1 + (m_L - 1) rho_L + (m_P - 1) rho_P.

    per_labeler, per_prompt: judgements of each; the correlations are those within a labeler and within a prompt.
    """
    return 1 + (per_labeler - 1) * labeler_correlation + (per_prompt - 1) * prompt_correlation


def confidence_sequence(values: Listed, *, planned: int, confidence: float = 0.95) -> list[Interval]:
    """Intervals after each of some independent values in [0, 1] that hold the truth at every look together.

    For those who must look before the end: one value a prompt (the mean of its judgements), in the order they came.
    A statement about these labelers. The normal mixture bound of Howard and others (2021), tightest at `planned`
    prompts; wider than an interval for a fixed number, which is what looking costs.
    """
    value = np.asarray(values, dtype=np.float64)
    if planned < 1 or not ((value >= 0) & (value <= 1)).all():
        raise ValueError("a sequence needs values in [0, 1] and a planned number of prompts of at least 1")
    miss = -2 * math.log(1 - confidence)
    mixing = planned / 4 / (miss + math.log1p(miss))
    n = np.arange(1, len(value) + 1)
    spread = n / 4 + mixing  # a value in [0, 1] is sub-Gaussian with variance 1/4
    half = np.sqrt(spread * (np.log(spread / mixing) + miss)) / n
    means = value.cumsum() / n
    return [
        Interval(float(m), max(0.0, float(m - h)), min(1.0, float(m + h))) for m, h in zip(means, half, strict=True)
    ]


def _z(probability: float) -> float:
    return float(stats.norm.ppf(probability))


def _variance(win_rate: float, ties: float) -> float:
    found = (1 - ties) / 4 - (win_rate - 0.5) ** 2
    if not 0 <= ties < 1 or found <= 0:
        raise ValueError(f"a win rate of {win_rate} with a share of {ties} ties is not possible")
    return found


def _whole(n: float) -> int:
    return round(n)
