"""Laws and golden values of the statistics: hand-worked, or scipy's own."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from assent.statistics import (
    agreement,
    bootstrap_interval,
    calibration,
    length_correlation,
    ordered_pairs,
    pair_accuracy,
    wilson_interval,
)

# -- intervals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (1, 1), (0, 12), (7, 10), (726, 1000), (40, 40)])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_wilson_is_scipys(successes: int, n: int, confidence: float) -> None:
    expected = stats.binomtest(successes, n).proportion_ci(confidence, method="wilson")
    found = wilson_interval(successes, n, confidence=confidence)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert found.estimate == successes / n


def test_wilson_by_hand() -> None:
    """Half of four: centre 1/2, half-width z sqrt(1/4n + z^2/4n^2) / (1 + z^2/n) with z = 1.96 is 0.35."""
    assert wilson_interval(2, 4).low == pytest.approx(0.1500, abs=1e-4)


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (3, 2), (-1, 2)])
def test_wilson_refuses_what_is_no_share(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match="successes"):
        wilson_interval(successes, n)


def test_bootstrap_is_a_function_of_its_seed() -> None:
    values, groups = np.random.default_rng(1).normal(size=40), np.arange(40) // 4
    assert bootstrap_interval(values, groups, seed=5) == bootstrap_interval(values, groups, seed=5)
    assert bootstrap_interval(values, groups, seed=5) != bootstrap_interval(values, groups, seed=6)


def test_bootstrap_weighs_values_not_groups() -> None:
    """One group of three ones and one of a single zero: 3/4, and every draw is one of 0, 3/4, 1."""
    found = bootstrap_interval([1, 1, 1, 0], ["a", "a", "a", "b"])
    assert (found.estimate, found.low, found.high) == (0.75, 0.0, 1.0)


def test_bootstrap_of_single_values_is_the_normal_interval() -> None:
    values = np.random.default_rng(0).normal(size=400)
    found = bootstrap_interval(values, np.arange(400), draws=4000)
    half = 1.96 * values.std() / math.sqrt(400)
    assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.01)


def test_bootstrap_sees_that_copies_are_no_evidence() -> None:
    """Every value ten times over, in its own group: the interval is the one of the single values."""
    values = np.random.default_rng(1).normal(size=50)
    once, copied = bootstrap_interval(values, range(50)), bootstrap_interval(values.repeat(10), np.arange(500) // 10)
    assert (copied.low, copied.high) == pytest.approx((once.low, once.high))
    pretended = bootstrap_interval(values.repeat(10), range(500))
    assert pretended.high - pretended.low < 0.5 * (once.high - once.low)


def test_bootstrap_covers_the_truth() -> None:
    """Pairs of one prompt agree more than chance would have it; the truth lies in 95 % of the intervals."""
    generator, groups, covered = np.random.default_rng(2), np.arange(60).repeat(6), 0
    for trial in range(200):
        ease = generator.beta(3, 2, size=60)  # mean 0.6
        outcomes = generator.random(360) < ease[groups]
        found = bootstrap_interval(outcomes, groups, draws=300, seed=trial)
        covered += found.low <= 0.6 <= found.high
    assert 0.90 <= covered / 200 <= 0.99


def test_one_group_has_no_interval() -> None:
    found = bootstrap_interval([0, 1, 1, 1], [7, 7, 7, 7])
    assert found.estimate == 0.75
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    with pytest.raises(ValueError, match="no value"):
        bootstrap_interval([], [])


# -- pairs ---------------------------------------------------------------------------------------------------------


def test_pair_accuracy_by_hand() -> None:
    """Ranks 1 2 2 3 order five pairs; the scores miss the last one and tie on none."""
    assert pair_accuracy([3.0, 2.0, 0.5, 1.0], [1, 2, 2, 3]) == 4 / 5
    assert pair_accuracy([1.0, 1.0], [1, 2]) == 0.5
    with pytest.raises(ValueError, match="ties only"):
        pair_accuracy([1.0, 2.0], [1, 1])


def test_pair_accuracy_is_kendall() -> None:
    """Without ties, accuracy = (tau + 1) / 2."""
    generator = np.random.default_rng(3)
    for size in range(2, 10):
        scores, ranks = generator.normal(size=size), generator.permutation(size) + 1
        assert pair_accuracy(scores, ranks) == pytest.approx((stats.kendalltau(scores, -ranks).statistic + 1) / 2)


def test_pairs_do_not_depend_on_the_order_of_responses() -> None:
    scores, ranks = np.array([0.3, -1.0, 0.3, 2.0]), np.array([2, 3, 1, 1])
    expected = sorted(zip(*_both(scores, ranks), strict=True))
    for order in itertools.permutations(range(4)):
        assert sorted(zip(*_both(scores[list(order)], ranks[list(order)]), strict=True)) == expected


def _both(scores: np.ndarray, ranks: np.ndarray) -> tuple[list[float], list[float]]:
    pairs = ordered_pairs([scores], [ranks])
    return pairs.difference.tolist(), pairs.outcome.tolist()


def test_pairs_know_their_ranking() -> None:
    """K = 9 without ties gives 36 pairs, as in the paper; a tie takes one away; all tied gives none."""
    pairs = ordered_pairs([range(9), range(9), range(3)], [range(1, 10), [1, 1, *range(2, 9)], [1, 1, 1]])
    assert np.bincount(pairs.ranking).tolist() == [36, 35]
    assert pairs.outcome.tolist() == [0.0] * 71  # the scores rise where the ranks fall
    assert pairs.probability.min() >= 0.5


# -- calibration ---------------------------------------------------------------------------------------------------


def test_calibration_by_hand() -> None:
    """Two bins: 0.6 and 0.7 came true once in two, 0.9 always; gaps 0.15 and 0.1, weights 2/3 and 1/3."""
    found = calibration([0.6, 0.7, 0.9], [1, 0, 1], bins=4)
    assert [(row.accuracy, row.pairs) for row in found.reliability] == [(0.5, 2), (1.0, 1)]
    assert [row.confidence for row in found.reliability] == pytest.approx([0.65, 0.9])
    assert found.error == pytest.approx(2 / 3 * 0.15 + 1 / 3 * 0.1)


def test_the_last_bin_is_closed() -> None:
    assert calibration([0.0, 1.0], [0, 1]).error == 0.0
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        calibration([1.2], [1])


def test_the_true_probabilities_are_calibrated() -> None:
    """A labeler who follows equation 1 finds the reward calibrated, and its double overconfident."""
    generator = np.random.default_rng(4)
    scores = generator.normal(size=(4000, 2))
    first = generator.random(4000) < 1 / (1 + np.exp(scores[:, 1] - scores[:, 0]))
    ranks = np.where(first[:, None], [1, 2], [2, 1])
    true, double = ordered_pairs(scores, ranks), ordered_pairs(2 * scores, ranks)
    assert calibration(true.probability, true.outcome).error < 0.02
    assert calibration(double.probability, double.outcome).error > 0.05


# -- length and agreement ------------------------------------------------------------------------------------------


def test_length_correlation_is_scipys_within_prompts() -> None:
    generator = np.random.default_rng(5)
    scores, lengths = [generator.normal(size=k) for k in (4, 7, 9)], [generator.integers(3, 6, k) for k in (4, 7, 9)]
    expected = np.mean([stats.spearmanr(one, other).statistic for one, other in zip(scores, lengths, strict=True)])
    assert length_correlation(scores, lengths).estimate == pytest.approx(expected)


def test_length_correlation_ignores_what_differs_between_prompts() -> None:
    """Easy prompts score high and have long answers; within a prompt, longer is worse."""
    found = length_correlation([[3, 2, 1], [13, 12, 11], [5, 5, 5]], [[1, 2, 3], [101, 102, 103], [1, 2, 3]])
    assert found.estimate == pytest.approx(-1)
    with pytest.raises(ValueError, match="no value"):
        length_correlation([[1, 1]], [[2, 3]])


def test_agreement_by_hand() -> None:
    """a and b: of three pairs, b ties one and turns one; the two left agree once. Prompt q: all three the same."""
    rankings = {"p": {"a": [1, 2, 3], "b": [1, 1, 2]}, "q": {"a": [1, 2], "b": [1, 2], "c": [2, 1]}}
    assert agreement({"p": rankings["p"]}).estimate == 1.0
    assert agreement({"q": rankings["q"]}).estimate == pytest.approx(1 / 3)
    assert agreement(rankings).estimate == pytest.approx(3 / 5)


def test_agreement_of_coins_and_of_echoes() -> None:
    generator = np.random.default_rng(6)
    coins = {str(n): {who: generator.permutation(4).tolist() for who in "ab"} for n in range(300)}
    found = agreement(coins)
    assert found.low < 0.5 < found.high
    assert agreement({name: dict.fromkeys("xyz", one["a"]) for name, one in coins.items()}).low == 1.0


def test_agreement_refuses_what_it_cannot_compare() -> None:
    with pytest.raises(ValueError, match="ranked twice"):
        agreement({"p": {"a": [1, 2]}, "q": {"a": [1, 1], "b": [1, 2]}})
    with pytest.raises(ValueError, match="'p'"):
        agreement({"p": {"a": [1, 2], "b": [1, 2, 3]}})
