"""Changes between two models on the same items: by hand, invariances, and how often the interval holds the truth."""

import math

import numpy as np
import pytest

from assent.statistics import bootstrap_interval, intervals
from assent.statistics.paired import corpus_change, mean_change


def test_a_mean_by_hand() -> None:
    """Differences 1, 0, 1, 0 in groups of one: mean 1/2, standard error sqrt(1/12)."""
    found = mean_change([0, 1, 0, 1], [1, 1, 1, 1], ["a", "b", "c", "d"])
    assert found.interval.estimate == 0.5
    assert (found.interval.high - 0.5) / 3.182446 == pytest.approx(math.sqrt(1 / 12), rel=1e-5)  # t with 3 degrees
    assert found.p_value == pytest.approx(0.1817, abs=1e-4)
    assert (found.items, found.groups) == (4, 4)


def test_a_model_against_itself_and_a_sure_gain() -> None:
    itself = mean_change([0.2, 0.7, 1], [0.2, 0.7, 1], [1, 2, 3])
    assert (itself.interval.low, itself.interval.estimate, itself.interval.high, itself.p_value) == (0, 0, 0, 1)
    sure = mean_change([0, 0, 0], [1, 1, 1], [1, 2, 3])
    assert (sure.interval.low, sure.p_value) == (1, 0)
    alone = mean_change([0, 0], [1, 0], ["passage", "passage"])
    assert math.isnan(alone.interval.low) and math.isnan(alone.p_value)  # noqa: PT018
    with pytest.raises(ValueError, match="compare the same items"):
        mean_change([1], [1, 2], [1])


def test_turning_round_changes_the_sign_alone() -> None:
    generator = np.random.default_rng(0)
    before, after, groups = generator.random(60), generator.random(60), generator.integers(20, size=60)
    there, back = mean_change(before, after, groups), mean_change(after, before, groups)
    assert (back.interval.low, back.interval.high) == pytest.approx((-there.interval.high, -there.interval.low))
    assert back.p_value == pytest.approx(there.p_value)


def test_the_same_item_twice_is_no_more_evidence() -> None:
    generator = np.random.default_rng(1)
    before, after, groups = generator.random(40), generator.random(40), np.arange(40)
    once = mean_change(before, after, groups)
    twice = mean_change(np.tile(before, 2), np.tile(after, 2), np.tile(groups, 2))
    assert (twice.interval.low, twice.interval.high) == pytest.approx((once.interval.low, once.interval.high))


def test_the_jackknife_of_a_mean_is_its_closed_form() -> None:
    generator = np.random.default_rng(2)
    before, after, groups = generator.random(60), generator.random(60), np.repeat(np.arange(20), 3)
    rows = [np.column_stack([values, np.ones(60)]) for values in (before, after)]
    jackknife = corpus_change(*rows, groups, lambda sums: float(sums[0] / sums[1]))
    closed = mean_change(before, after, groups)
    assert (jackknife.interval.estimate, jackknife.interval.low) == pytest.approx(
        (closed.interval.estimate, closed.interval.low)
    )


@pytest.mark.parametrize("groups", [12, 80])
def test_the_interval_covers_the_truth(groups: int) -> None:
    """Passages with four questions each, whose differences go together: 95 % of intervals hold the true 0.1."""
    generator, covered = np.random.default_rng(groups), 0
    for _ in range(400):
        shared = np.repeat(generator.normal(0.1, 0.3, groups), 4)
        gap = shared + generator.normal(0, 0.2, 4 * groups)
        found = mean_change(np.zeros(4 * groups), gap, np.repeat(np.arange(groups), 4))
        covered += found.interval.low <= 0.1 <= found.interval.high
    assert 0.92 <= covered / 400 <= 0.98


def test_how_many_draws_go_together_does_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the bootstrap that the rest of the statistics use: the same draws, whatever memory they are held in."""
    generator = np.random.default_rng(5)
    values, groups = generator.random(90), generator.integers(37, size=90)
    whole = bootstrap_interval(values, groups)
    monkeypatch.setattr(intervals, "AT_ONCE", 100)
    pieces = bootstrap_interval(values, groups)
    assert (pieces.low, pieces.high) == pytest.approx((whole.low, whole.high), abs=1e-12)
