"""Sample sizes, by their published values and by trying them; many comparisons at once."""

import math

import numpy as np
import pytest
from scipy import stats

from assent.statistics import planning
from assent.statistics.clusters import Judgements, clustered_mean, judgements
from assent.statistics.intervals import Interval, jeffreys_interval
from assent.statistics.multiple import Place, holm, places, simultaneous_bands

# -- planning ------------------------------------------------------------------------------------------------------


def test_golden_sample_sizes() -> None:
    assert planning.judgements_to_detect(0.55) == 783
    assert planning.judgements_to_detect(0.55, power=0.9) == 1047
    assert [planning.judgements_to_detect(0.55, ties=ties) for ties in (0.1, 0.2, 0.3)] == [704, 626, 547]
    assert [planning.judgements_per_arm(rate, 0.05) for rate in (0.5, 0.6, 0.7)] == [1562, 1468, 1248]
    assert [planning.paired_judgements(0.05, rho) for rho in (0.2, 0.3, 0.5)] == [1256, 1099, 785]


def test_what_the_papers_error_bars_would_need() -> None:
    """72.6 +- 1.5 % as a 95 % interval and as a standard error."""
    assert planning.judgements_for_width(0.726, 0.015) == 3396
    assert planning.judgements_for_width(0.726, 0.015, confidence=0.6827) == 884


@pytest.mark.parametrize("ties", [0.0, 0.3])
def test_the_planned_number_has_the_planned_power(ties: float) -> None:
    """Trials with that many judgements find a true 55 % four times in five."""
    generator, n = np.random.default_rng(0), planning.judgements_to_detect(0.55, ties=ties)
    drawn = generator.multinomial(n, [0.55 - ties / 2, ties, 0.45 - ties / 2], size=4000)
    mean = (drawn[:, 0] + drawn[:, 1] / 2) / n
    error = np.sqrt((drawn[:, 0] * (1 - mean) ** 2 + drawn[:, 1] * (0.5 - mean) ** 2 + drawn[:, 2] * mean**2) / n**2)
    assert (mean - 0.5 > 1.96 * error).mean() == pytest.approx(0.8, abs=0.02)


def test_design_effect_is_what_sharing_does_to_the_variance() -> None:
    """Means of 20 labelers with 15 judgements each, correlated at 0.2 within a labeler, against single ones."""
    generator = np.random.default_rng(1)
    shared = math.sqrt(0.2) * generator.normal(size=(6000, 20, 1)) + math.sqrt(0.8) * generator.normal(
        size=(6000, 20, 15)
    )
    found = shared.mean(axis=(1, 2)).var() * 300
    assert planning.design_effect(15, 0.2, 1, 0.0) == pytest.approx(found, rel=0.06)
    assert planning.design_effect(1, 0.9, 1, 0.9) == 1.0


def test_planning_refuses_the_impossible() -> None:
    with pytest.raises(ValueError, match="from itself"):
        planning.judgements_to_detect(0.5)
    with pytest.raises(ValueError, match="not possible"):
        planning.judgements_to_detect(0.9, ties=0.5)
    with pytest.raises(ValueError, match="correlation"):
        planning.paired_judgements(0.05, 1.0)


# -- many comparisons ----------------------------------------------------------------------------------------------


def test_holm_by_hand() -> None:
    """Times 4, 3, 2, 1, never falling: .01 -> .04, .02 -> .06, .03 -> .06, .5 -> .5."""
    assert holm([0.03, 0.01, 0.5, 0.02]) == pytest.approx([0.06, 0.04, 0.5, 0.06])
    assert holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        holm([1.2])


def null_policies(generator: np.random.Generator, count: int) -> dict[str, Judgements]:
    prompt, labeler = np.arange(200).repeat(2), generator.integers(20, size=400)
    return {f"m{n}": judgements(generator.random(400) < 0.5, prompt, labeler) for n in range(count)}


@pytest.mark.slow
def test_bands_hold_for_all_policies_together() -> None:
    """Six policies at 1/2: single intervals miss one of them often, bands seldom."""
    generator, together, single = np.random.default_rng(2), 0, 0
    for trial in range(80):
        policies = null_policies(generator, 6)
        bands = simultaneous_bands(policies, draws=150, seed=trial)
        together += all(band.low <= 0.5 <= band.high for band in bands.values())
        alone = [clustered_mean(judged).interval for judged in policies.values()]
        single += all(one.low <= 0.5 <= one.high for one in alone)
    assert together / 80 >= 0.92
    assert single / 80 < 0.88


def test_one_band_is_the_interval() -> None:
    one = null_policies(np.random.default_rng(3), 1)
    band, alone = simultaneous_bands(one, draws=4000)["m0"], clustered_mean(one["m0"]).interval
    assert band.high - band.low == pytest.approx(alone.high - alone.low, rel=0.08)
    with pytest.raises(ValueError, match="at least one"):
        simultaneous_bands({})


def test_places_by_hand() -> None:
    """The first is above the last two for sure, the second only above the last."""
    bands = [Interval(0.7, 0.6, 0.8), Interval(0.6, 0.5, 0.7), Interval(0.5, 0.45, 0.55), Interval(0.3, 0.2, 0.4)]
    assert places(bands) == [Place(1, 1, 2), Place(2, 1, 3), Place(3, 2, 3), Place(4, 4, 4)]
    unknown = Interval(0.5, math.nan, math.nan)
    assert places([unknown, unknown]) == [Place(1, 1, 2), Place(1, 1, 2)]


# -- Jeffreys ------------------------------------------------------------------------------------------------------


def test_jeffreys_is_the_posterior() -> None:
    found = jeffreys_interval(3, 10)
    assert stats.beta.cdf([found.low, found.high], 3.5, 7.5) == pytest.approx([0.025, 0.975])
    assert jeffreys_interval(0, 4.5).low == 0.0
    assert 0.2 < jeffreys_interval(0, 4.5).high < 0.6
    with pytest.raises(ValueError, match="n > 0"):
        jeffreys_interval(0, 0)
