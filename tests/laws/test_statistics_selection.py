"""Selection by disagreement, and rates that undo it."""

import numpy as np
import pytest
from scipy import special

from assent.statistics.clusters import clustered_mean, judgements
from assent.statistics.planning import confidence_sequence
from assent.statistics.selection import disagreement, propensities, weighted_mean


def test_disagreement_by_hand() -> None:
    """Two models, two responses: sigmoids of 1 and -1 differ by d, variance d^2 / 4; a shift of all scores is none."""
    gap = special.expit(1) - special.expit(-1)
    assert disagreement(np.array([[1.0, 0.0], [0.0, 1.0]])) == pytest.approx(gap**2 / 4)
    assert disagreement(np.array([[1.0, 0.0, 2.0], [6.0, 5.0, 7.0]])) == pytest.approx(0)
    with pytest.raises(ValueError, match="two models"):
        disagreement(np.array([[1.0, 0.0]]))


def test_propensities_serve_as_many_as_asked() -> None:
    scores = np.random.default_rng(0).gamma(0.5, size=200)
    for serve in (1, 40, 150, 200):
        found = propensities(scores, serve)
        assert found.sum() == pytest.approx(serve)
        assert (found > 0).all()
        assert (found <= 1).all()
        assert (np.diff(found[np.argsort(scores)]) >= -1e-12).all()
    assert propensities(scores, 40).min() >= 0.25 * 40 / 200
    assert propensities(np.zeros(4), 2).tolist() == [0.5] * 4
    with pytest.raises(ValueError, match="cannot be served"):
        propensities(scores, 201)
    with pytest.raises(ValueError, match="cannot be served"):
        propensities(scores, 20, uniform=0)


def test_weights_undo_the_selection() -> None:
    """Items where models disagree are won less often: the plain mean is off, the weighted one holds the truth."""
    generator, covered, plain = np.random.default_rng(1), 0, 0
    for _ in range(60):
        score = generator.gamma(1.0, size=2000)
        rate = special.expit(1 - score)
        chance = propensities(score, 300)
        chosen = np.flatnonzero(generator.random(2000) < chance)
        judged = judgements(
            generator.random(len(chosen)) < rate[chosen], chosen, generator.integers(20, size=len(chosen))
        )
        interval = weighted_mean(judged, chance[chosen]).interval
        covered += interval.low <= rate.mean() <= interval.high
        interval = clustered_mean(judged).interval
        plain += interval.low <= rate.mean() <= interval.high
    assert covered >= 53
    assert plain <= 10


def test_equal_weights_are_the_mean() -> None:
    judged = judgements(np.arange(60) % 3, np.arange(60) // 2, np.arange(60) % 9)
    assert weighted_mean(judged, np.full(60, 0.3)).interval.low == pytest.approx(clustered_mean(judged).interval.low)
    with pytest.raises(ValueError, match="every judgement"):
        weighted_mean(judged, np.zeros(60))


# -- looking early -------------------------------------------------------------------------------------------------


def test_a_sequence_holds_the_truth_at_every_look() -> None:
    """Fair coins looked at after each of 300: nearly all sequences hold 1/2 throughout; fixed intervals often miss."""
    generator, missed, naive = np.random.default_rng(2), 0, 0
    for _ in range(200):
        values = (generator.random(300) < 0.5).astype(float)
        found = confidence_sequence(values, planned=300)
        missed += any(not one.low <= 0.5 <= one.high for one in found)
        n = np.arange(1, 301)
        naive += bool((np.abs(values.cumsum() / n - 0.5) > 0.98 / np.sqrt(n))[20:].any())
    assert missed / 200 <= 0.05
    assert naive / 200 > 0.2


def test_a_sequence_closes_in() -> None:
    values = (np.random.default_rng(3).random(4000) < 0.7).astype(float)
    found = confidence_sequence(values, planned=1000)
    assert found[999].low > 0.6
    assert found[-1].high - found[-1].low < found[999].high - found[999].low < found[99].high - found[99].low
    assert found[0].low == 0.0 or found[0].high == 1.0
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        confidence_sequence([2.0], planned=10)
