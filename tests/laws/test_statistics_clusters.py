"""Two-way clustered intervals: slow loops, invariances, and how often they hold the truth."""

import math

import numpy as np
import pytest
from scipy import special, stats

from assent.statistics.clusters import (
    Clustered,
    Clusters,
    Judgements,
    clustered_mean,
    clustered_share,
    judgements,
    paired_difference,
    pigeonhole_interval,
)
from assent.statistics.intervals import jeffreys_interval


def crossed(generator: np.random.Generator, prompts: int, labelers: int, votes: int) -> tuple[np.ndarray, np.ndarray]:
    """The prompt and the labeler of each vote; a prompt's votes are by different labelers."""
    who = generator.random((prompts, labelers)).argsort(axis=1)[:, :votes]
    return np.arange(prompts).repeat(votes), who.ravel()


def votes(generator: np.random.Generator, prompt: np.ndarray, labeler: np.ndarray, spread: float) -> Judgements:
    """Wins of a policy whose log odds are 0.2 plus a normal effect of the prompt (0.8) and of the labeler (spread)."""
    odds = 0.2 + generator.normal(0, 0.8, prompt.max() + 1)[prompt] + generator.normal(0, spread, 100)[labeler]
    return judgements(generator.random(len(prompt)) < special.expit(odds), prompt, labeler)


def truth(spread: float) -> float:
    """The mean win rate over prompts and labelers, by Gauss-Hermite quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    return float(special.expit(0.2 + math.hypot(0.8, spread) * nodes) @ weights / math.sqrt(2 * math.pi))


def test_the_variance_is_the_sum_over_pairs_that_share_something() -> None:
    """A slow double loop: pairs of one prompt, pairs of one labeler, less the pairs counted twice."""
    generator = np.random.default_rng(0)
    prompt, labeler = generator.integers(7, size=60), generator.integers(5, size=60)
    influence = generator.normal(size=60) + 0.5 * prompt
    p_factor, l_factor, expected, by_prompt, by_labeler = 7 / 6, 5 / 4, 0.0, 0.0, 0.0
    for i in range(60):
        for j in range(60):
            product = influence[i] * influence[j]
            by_prompt += p_factor * product * (prompt[i] == prompt[j])
            by_labeler += l_factor * product * (labeler[i] == labeler[j])
            expected -= product * (prompt[i] == prompt[j] and labeler[i] == labeler[j])
    found, team = Clusters(prompt, labeler).variances(influence)
    assert found == pytest.approx(max(expected + by_prompt + by_labeler, by_prompt, by_labeler))
    assert team == pytest.approx(by_prompt)


def test_the_variance_is_no_less_than_that_of_one_way() -> None:
    """Labelers whose judgements cancel: the sum of the three would be below what prompts alone do."""
    prompt, labeler = np.arange(24).repeat(2), np.tile(np.arange(8), 6)
    influence = np.where(np.arange(48) // 8 % 2, 1.0, -1.0)
    found, team = Clusters(prompt, labeler).variances(influence)
    assert found == team == pytest.approx(24 / 23 * 4 * 24)


def test_freedom_is_that_of_the_fewer_clusters() -> None:
    prompt, labeler = crossed(np.random.default_rng(9), 50, 9, 2)
    judged = judgements(np.random.default_rng(9).random(100), prompt, labeler)
    found, variances = (
        clustered_mean(judged),
        Clusters(prompt, labeler).variances((judged.values - judged.values.mean()) / 100),
    )
    for interval, freedom, variance in ((found.interval, 8, variances[0]), (found.this_team, 49, variances[1])):
        assert interval.high - interval.estimate == pytest.approx(stats.t.ppf(0.975, freedom) * math.sqrt(variance))


def test_order_names_and_scale_do_not_matter() -> None:
    generator = np.random.default_rng(1)
    prompt, labeler = crossed(generator, 40, 12, 3)
    values = generator.random(120)
    found = clustered_mean(judgements(values, prompt, labeler))
    order = generator.permutation(120)
    other = clustered_mean(judgements(values[order], [f"p{n}" for n in prompt[order]], 7 - labeler[order]))
    assert (other.interval.low, other.interval.high) == pytest.approx((found.interval.low, found.interval.high))
    scaled = clustered_mean(judgements(3 * values - 1, prompt, labeler))
    assert scaled.interval.low == pytest.approx(3 * found.interval.low - 1)
    assert scaled.this_team.high == pytest.approx(3 * found.this_team.high - 1)


def test_a_copy_of_every_judgement_is_no_evidence() -> None:
    generator = np.random.default_rng(2)
    prompt, labeler = crossed(generator, 40, 12, 3)
    once = judgements(generator.random(120), prompt, labeler)
    twice = judgements(once.values.repeat(2), prompt.repeat(2), labeler.repeat(2))
    assert clustered_mean(twice).interval.high == pytest.approx(clustered_mean(once).interval.high)


@pytest.mark.parametrize(("prompts", "labelers"), [(19, 12), (40, 7), (40, 1)])
def test_too_few_clusters_is_an_answer(prompts: int, labelers: int) -> None:
    prompt, labeler = crossed(np.random.default_rng(3), prompts, labelers, min(labelers, 3))
    found = clustered_share(judgements(np.arange(len(prompt)) % 2, prompt, labeler))
    assert 0.4 < found.estimate < 0.6
    assert math.isnan(found.interval.low)
    assert found.caution.startswith(f"too few clusters: {prompts} prompts and {labelers} labelers")
    assert math.isnan(found.this_team.low) == (prompts < 20)


def test_all_alike_has_jeffreys_interval() -> None:
    prompt, labeler = crossed(np.random.default_rng(4), 60, 10, 2)
    won = clustered_share(judgements(np.ones(120), prompt, labeler))
    expected = jeffreys_interval(10, 10)
    assert (won.interval.low, won.interval.high) == (expected.low, 1.0)
    assert won.interval.low < won.this_team.low < 1.0
    assert "all judgements alike" in won.caution
    tied = clustered_share(judgements(np.full(120, 0.5), prompt, labeler))
    assert (tied.interval.low, tied.interval.high) == (0.5, 0.5)
    lost = clustered_share(judgements(np.zeros(120), prompt, labeler))
    assert (lost.interval.low, lost.interval.high) == pytest.approx((0.0, 1 - expected.low))


def test_shares_stay_inside() -> None:
    prompt, labeler = crossed(np.random.default_rng(5), 30, 8, 1)
    found = clustered_share(judgements(np.arange(30) > 0, prompt, labeler))
    assert found.interval.high == 1.0
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        clustered_share(judgements([2.0], ["p"], ["l"]))


def test_judgements_refuse_what_is_none() -> None:
    with pytest.raises(ValueError, match="different lengths"):
        judgements([1.0, 0.0], ["p"], ["l", "m"])
    with pytest.raises(ValueError, match="finite"):
        judgements([math.nan], ["p"], ["l"])
    with pytest.raises(ValueError, match="at least one"):
        judgements([], [], [])


def test_pairing_takes_out_what_prompts_and_labelers_do() -> None:
    """Two policies with the same hard prompts and strict labelers: their difference is known far better."""
    generator = np.random.default_rng(6)
    prompt, labeler = crossed(generator, 60, 12, 3)
    common = 0.3 * generator.normal(size=60)[prompt] + 0.3 * generator.normal(size=12)[labeler]
    ours, theirs = (
        judgements(common + shift + 0.05 * generator.normal(size=180), prompt, labeler) for shift in (0.1, 0)
    )
    found = paired_difference(ours, theirs)
    assert found.interval.low < 0.1 < found.interval.high
    wide = clustered_mean(ours).interval
    assert found.interval.high - found.interval.low < 0.2 * (wide.high - wide.low)
    back = paired_difference(theirs, ours)
    assert (back.interval.low, back.interval.high) == pytest.approx((-found.interval.high, -found.interval.low))
    itself = paired_difference(ours, ours)
    assert (itself.interval.low, itself.estimate, itself.interval.high) == (0, 0, 0)


def test_pairing_takes_cells_that_have_both_and_averages_their_judgements() -> None:
    ours = judgements([1, 0, 1, 1], ["p", "p", "q", "r"], ["a", "a", "a", "a"])
    theirs = judgements([0, 0, 1], ["p", "q", "s"], ["a", "a", "a"])
    found = paired_difference(ours, theirs)
    assert (found.estimate, found.judgements) == (0.75, 2)  # p: 1/2 - 0, q: 1 - 0
    with pytest.raises(ValueError, match="no labeler judged both"):
        paired_difference(ours, judgements([1], ["p"], ["b"]))


@pytest.mark.slow
@pytest.mark.parametrize(("labelers", "spread"), [(40, 0.0), (40, 0.3), (40, 0.5), (10, 0.3)])
def test_coverage_of_the_two_way_interval(labelers: int, spread: float) -> None:
    """300 prompts, 3 votes each: 93 to 98 % of the 95 % intervals hold the truth, and those by prompt alone fewer."""
    generator, covered, rate = np.random.default_rng(7), np.zeros(2), truth(spread)
    for _ in range(600):
        found: Clustered = clustered_share(votes(generator, *crossed(generator, 300, labelers, 3), spread))
        covered += [one.low <= rate <= one.high for one in (found.interval, found.this_team)]
    assert 0.93 <= covered[0] / 600 <= 0.98
    if spread:
        assert covered[1] / 600 < 0.935


def test_the_pigeonhole_bootstrap_is_conservative() -> None:
    generator, wider = np.random.default_rng(8), 0
    for trial in range(20):
        judged = votes(generator, *crossed(generator, 100, 20, 3), 0.3)
        boot, closed = pigeonhole_interval(judged, draws=300, seed=trial), clustered_mean(judged).interval
        assert boot.estimate == closed.estimate
        wider += boot.high - boot.low > closed.high - closed.low
    assert wider >= 18
