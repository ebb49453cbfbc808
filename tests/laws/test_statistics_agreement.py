"""Labelers against each other and against themselves: published values, slow loops, invariances, chance."""

import math
from itertools import combinations, permutations, product

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import cohen_kappa_score

from assent.statistics import agreement
from assent.statistics.alpha import UNDEFINED, Level, krippendorff
from assent.statistics.clusters import Judgements, judgements
from assent.statistics.consistency import (
    Retest,
    kappa,
    position_bias,
    rank_correlation,
    ranks_of,
    retest_agreement,
)
from assent.statistics.labelers import between_labelers, kappas, pairwise_agreement, standings
from assent.statistics.meetings import RULES, Rankings, Rule, credit, grouped, meetings, signs

# -- Krippendorff --------------------------------------------------------------------------------------------------

CANONICAL = ["123321412...", "1233224125.3", ".3332342251.", "12332441251."]


def table(rows: list[str]) -> Judgements:
    cells = [(float(v), unit, who) for who, row in enumerate(rows) for unit, v in enumerate(row) if v != "."]
    values, units, labelers = zip(*cells, strict=True)
    return judgements(values, units, labelers)


@pytest.mark.parametrize(("level", "alpha"), [("nominal", 0.7434), ("ordinal", 0.8154), ("interval", 0.8491)])
def test_golden_alpha(level: Level, alpha: float) -> None:
    """Four labelers, twelve units with gaps: Krippendorff's own example."""
    found = krippendorff(table(CANONICAL), level)
    assert found.estimate == pytest.approx(alpha, abs=5e-5)
    assert found.units == 11  # one unit has one judgement
    assert found.jackknife is not None
    assert found.bootstrap is not None
    assert found.jackknife.low < alpha < found.jackknife.high <= 1
    assert found.bootstrap.low < alpha < found.bootstrap.high


def test_alpha_is_undefined_when_one_value_was_used() -> None:
    found = krippendorff(table(["111", "111"]), "nominal")
    assert (found.estimate, found.jackknife, found.bootstrap, found.caution) == (None, None, None, UNDEFINED)
    assert krippendorff(table(["112", "112"]), "ordinal").estimate == 1.0


def test_alpha_of_coins_is_zero_and_of_opposites_negative() -> None:
    coins = np.random.default_rng(0).integers(1, 8, size=(3, 2000))
    for level in ("nominal", "ordinal", "interval"):
        rows = ["".join(map(str, row)) for row in coins]
        assert krippendorff(table(rows), level, draws=50).estimate == pytest.approx(0, abs=0.04)
    opposite = krippendorff(table(["12121212", "21212121"]), "nominal").estimate
    assert opposite is not None
    assert opposite < -0.8


def test_alpha_depends_on_what_the_values_mean() -> None:
    """Names may be exchanged; an order may be stretched; numbers may be scaled and shifted."""
    judged = table(CANONICAL)
    exchanged = np.array([0.0, 4, 1, 5, 2, 3])[judged.values.astype(int)]
    stretched, scaled = judged.values**3, 7 - 2 * judged.values
    for level, values in (("nominal", exchanged), ("ordinal", stretched), ("interval", scaled)):
        other = krippendorff(judgements(values, judged.prompts, judged.labelers), level)
        assert other.estimate == pytest.approx(krippendorff(judged, level).estimate)


def test_alpha_by_a_slow_loop() -> None:
    """1 - observed / expected, pair by pair, for the interval level."""
    generator = np.random.default_rng(1)
    rows = ["".join(".12345"[v] for v in row) for row in generator.integers(0, 6, size=(4, 15))]
    units = [[float(row[u]) for row in rows if row[u] != "."] for u in range(15)]
    units = [unit for unit in units if len(unit) > 1]
    pool = [value for unit in units for value in unit]
    observed = sum(sum((a - b) ** 2 for a, b in permutations(unit, 2)) / (len(unit) - 1) for unit in units) / len(pool)
    expected = sum((a - b) ** 2 for a, b in permutations(pool, 2)) / (len(pool) * (len(pool) - 1))
    found = krippendorff(table(rows), "interval")
    assert found.estimate == pytest.approx(1 - observed / expected)
    without = []
    for left in range(len(units)):
        kept = [unit for place, unit in enumerate(units) if place != left]
        cells = [(v, u, who) for u, unit in enumerate(kept) for who, v in enumerate(unit)]
        without.append(krippendorff(judgements(*zip(*cells, strict=True)), "interval", draws=2).estimate)
    n = len(units)
    half = stats.t.ppf(0.975, n - 1) * math.sqrt((n - 1) / n * sum((one - np.mean(without)) ** 2 for one in without))
    assert found.jackknife is not None
    assert found.jackknife.low == pytest.approx(found.estimate - half)


def test_alpha_refuses() -> None:
    with pytest.raises(ValueError, match="twice"):
        krippendorff(judgements([1, 2], ["u", "u"], ["l", "l"]), "nominal")
    with pytest.raises(ValueError, match="two labelers"):
        krippendorff(judgements([1, 2], ["u", "v"], ["l", "m"]), "nominal")


# -- agreement under three rules -----------------------------------------------------------------------------------


def labeled(items: int, labelers: int, each: int, seed: int, places: int = 4, noise: float = 1.0) -> Rankings:
    """Rankings of K = 2..5 responses by some of the labelers, whose utilities are rounded so that they tie."""
    generator, found = np.random.default_rng(seed), dict[str, dict[str, list[int]]]()
    for item in range(items):
        worth = generator.normal(size=generator.integers(2, 6))
        who = generator.choice(labelers, size=each, replace=False)
        utilities = {
            f"l{n}": np.round(worth + noise * n / 4 * generator.normal(size=len(worth)), places // 4) for n in who
        }
        found[f"p{item}"] = {
            name: (np.unique(-utility, return_inverse=True)[1] + 1).tolist() for name, utility in utilities.items()
        }
    return found


def tied(rankings: Rankings) -> Rankings:
    return {
        item: {who: [min(rank, 2) for rank in ranks] for who, ranks in one.items()} for item, one in rankings.items()
    }


def test_rules_by_hand() -> None:
    """Pairs of a: < < =; of b: < = <. One same, two one-sided ties; nothing is left but the first when ties drop."""
    rankings = {"p": {"a": [1, 2, 2], "b": [1, 2, 1]}}
    found = {rule: pairwise_agreement(rankings, rule) for rule in RULES}
    assert found["strict"].found.estimate == pytest.approx(1 / 3)
    assert (found["drop"].found.estimate, found["drop"].pairs) == (1.0, 1)
    assert found["half"].found.estimate == pytest.approx((1 + 0.5 + 0.5) / 3)
    both = pairwise_agreement({"p": {"a": [1, 1], "b": [1, 1]}}, "half")
    assert both.found.estimate == 1.0


@pytest.mark.parametrize("rule", RULES)
def test_agreement_by_a_slow_loop(rule: Rule) -> None:
    """Item averages, and the variance as the sum over all meetings that share an item or a labeler."""
    rankings = tied(labeled(40, 9, 4, seed=4))
    observations: list[tuple[str, str, str, float]] = []
    for item, by_labeler in rankings.items():
        for (one, first), (other, second) in combinations(by_labeler.items(), 2):
            for i, j in combinations(range(len(first)), 2):
                a, b = np.sign(first[i] - first[j]), np.sign(second[i] - second[j])
                if rule == "drop" and (a == 0 or b == 0):
                    continue
                observations.append(
                    (item, one, other, 0.5 if rule == "half" and (a == 0) != (b == 0) else float(a == b))
                )
    items = sorted({row[0] for row in observations})
    means = {item: np.mean([row[3] for row in observations if row[0] == item]) for item in items}
    estimate = np.mean(list(means.values()))
    counts = {item: sum(row[0] == item for row in observations) for item in items}
    influence = [(row[3] - estimate) / counts[row[0]] / len(items) for row in observations]
    by_item = by_labeler_ = by_both = 0.0
    for (x, e), (y, f) in product(zip(observations, influence, strict=True), repeat=2):
        item, labeler = x[0] == y[0], bool({x[1], x[2]} & {y[1], y[2]})
        by_item, by_labeler_, by_both = (
            by_item + item * e * f,
            by_labeler_ + labeler * e * f,
            by_both + item * labeler * e * f,
        )
    by_item, by_labeler_ = by_item * len(items) / (len(items) - 1), by_labeler_ * 9 / 8
    variance = max(by_item + by_labeler_ - by_both, by_item, by_labeler_)
    assert variance > 1.5 * by_item  # so that what labelers share is seen
    found = pairwise_agreement(rankings, rule)
    assert found.found.estimate == pytest.approx(estimate)
    assert found.pairs == len(observations)
    half = stats.t.ppf(0.975, 8) * math.sqrt(variance)
    assert found.found.interval.low == pytest.approx(estimate - half)
    assert found.found.this_team.low == pytest.approx(
        estimate - stats.t.ppf(0.975, len(items) - 1) * math.sqrt(by_item)
    )


@pytest.mark.parametrize("rule", RULES)
def test_meetings_are_those_of_a_slow_loop(rule: Rule) -> None:
    """To the last bit, and in the same order: items of 1 to 9 responses that one to twelve labelers ranked."""
    generator = np.random.default_rng(7)
    rankings: dict[str, dict[str, list[int]]] = {}
    for item in range(80):
        size, count = int(generator.integers(1, 10)), int(generator.integers(1, 13))
        who = generator.choice(20, size=count, replace=False)
        rankings[f"p{item}"] = {f"l{n}": generator.integers(1, size + 1, size=size).tolist() for n in who}
    slow: list[tuple[int, str, str, float, int]] = []
    for item, by_labeler in enumerate(rankings.values()):
        for one, other in combinations(sorted(by_labeler), 2):
            if len(counted := credit(signs(by_labeler[one]), signs(by_labeler[other]), rule)):
                slow.append((item, one, other, float(counted.mean()), len(counted)))
    found = meetings(grouped(rankings), rule)
    labelers = [(found.names[one], found.names[other]) for one, other in found.labelers]
    columns = (found.item.tolist(), *zip(*labelers, strict=True), found.agree.tolist(), found.pairs.tolist())
    assert list(zip(*columns, strict=True)) == slow


@pytest.mark.parametrize("rule", RULES)
def test_labelers_who_know_nothing_agree_by_chance(rule: Rule) -> None:
    """Pairs tied independently with 30 %, else a coin: agreement is what `chance` says."""
    generator = np.random.default_rng(3)
    coins = {
        str(item): {f"l{n}": [(1, 1), (1, 2), (2, 1)][generator.choice(3, p=[0.3, 0.35, 0.35])] for n in range(3)}
        for item in range(2000)
    }
    found = pairwise_agreement(coins, rule)
    assert found.chance == pytest.approx({"strict": 0.3**2 + 0.7**2 / 2, "drop": 0.5, "half": 0.545}[rule], abs=0.01)
    assert found.found.estimate == pytest.approx(found.chance, abs=0.02)


def test_without_ties_the_rules_are_one() -> None:
    rankings = labeled(40, 10, 3, seed=4, places=40)
    found = [pairwise_agreement(rankings, rule).found.interval for rule in RULES]
    assert found[0] == found[1] == found[2]


def test_large_rankings_do_not_rule() -> None:
    """One item of nine responses where all agree, and one pair where they do not: 1/2, while the pool says 36 of 37."""
    rankings = {"p": {"a": list(range(1, 10)), "b": list(range(1, 10))}, "q": {"a": [1, 2], "b": [2, 1]}}
    assert pairwise_agreement(rankings, "strict").found.estimate == 0.5
    assert agreement(rankings).estimate == pytest.approx(36 / 37)


@pytest.mark.parametrize("rule", RULES)
def test_order_of_responses_labelers_and_items_does_not_matter(rule: Rule) -> None:
    rankings, generator = tied(labeled(30, 8, 3, seed=5)), np.random.default_rng(5)
    mixed: dict[str, dict[str, list[int]]] = {}
    for item in sorted(rankings, reverse=True):
        order = generator.permutation(len(next(iter(rankings[item].values()))))
        mixed[item] = {who: [ranks[n] for n in order] for who, ranks in sorted(rankings[item].items(), reverse=True)}
    one, other = pairwise_agreement(rankings, rule), pairwise_agreement(mixed, rule)
    assert other.found.interval.low == pytest.approx(one.found.interval.low)
    assert other.jackknife.low == pytest.approx(one.jackknife.low)
    assert other.chance == pytest.approx(one.chance)


def test_intervals_of_agreement_hold_the_truth() -> None:
    """Twelve labelers, some careless; the truth is the mean over many teams."""
    found = []
    for seed in range(150):
        generator = np.random.default_rng(1000 + seed)
        noise, rows = generator.uniform(0.2, 2.5, size=12), dict[str, dict[str, list[int]]]()
        for item in range(50):
            worth = generator.normal(size=4)
            who = generator.choice(12, size=3, replace=False)
            orders = {f"l{n}": (worth + noise[n] * generator.normal(size=4)).argsort().argsort() for n in who}
            rows[str(item)] = {name: (order + 1).tolist() for name, order in orders.items()}
        found.append(pairwise_agreement(rows, "strict"))
    truth = np.mean([one.found.estimate for one in found])
    covered = np.mean([one.found.interval.low <= truth <= one.found.interval.high for one in found])
    team = np.mean([one.found.this_team.low <= truth <= one.found.this_team.high for one in found])
    jackknife = np.mean([one.jackknife.low <= truth <= one.jackknife.high for one in found])
    assert 0.91 <= covered <= 0.99
    assert jackknife >= 0.91
    assert team < covered


def test_a_careless_labeler_stands_out_and_few_items_are_shrunk() -> None:
    generator, rankings = np.random.default_rng(6), dict[str, dict[str, list[int]]]()
    for item in range(120):
        order = generator.permutation(4)
        noisy = {f"l{n}": (order + 0.6 * generator.normal(size=4)).argsort().argsort() for n in range(4)}
        noisy["careless"] = generator.permutation(4)
        if item < 3:
            noisy["new"] = 3 - noisy["l0"]  # an honest beginner could look like this by accident
        rankings[str(item)] = {who: (ranks + 1).tolist() for who, ranks in noisy.items()}
    found = standings(rankings, "strict")
    assert min(found, key=lambda who: found[who].shrunk) in ("careless", "new")
    assert found["careless"].raw.high < min(found[f"l{n}"].raw.low for n in range(4))
    assert found["new"].items == 3
    assert abs(found["new"].shrunk - found["new"].raw.estimate) > abs(
        found["careless"].shrunk - found["careless"].raw.estimate
    )
    grid = between_labelers(rankings, "strict")
    assert grid["l0", "l1"][1] == 120 * 6
    assert grid["careless", "l0"][0] == pytest.approx(0.5, abs=0.06)


def test_rules_refuse() -> None:
    with pytest.raises(ValueError, match="ranked twice"):
        pairwise_agreement({"p": {"a": [1, 2]}}, "strict")
    with pytest.raises(ValueError, match="'p'"):
        pairwise_agreement({"p": {"a": [1, 2], "b": [1, 2, 3]}}, "strict")
    with pytest.raises(ValueError, match="ranked twice"):
        pairwise_agreement({"p": {"a": [1, 1], "b": [1, 2]}}, "drop")
    few = pairwise_agreement(labeled(30, 5, 3, seed=7), "strict").found
    assert math.isnan(few.interval.low)
    assert "5 labelers" in few.caution


# -- consistency ---------------------------------------------------------------------------------------------------


def test_orders_are_no_ranks() -> None:
    """Two orders of four: as rank vectors they agree on one pair of six; fed in as they are they look alike."""
    orders = (0, 2, 3, 1), (1, 2, 3, 0)
    one, other = (ranks_of(order, range(4)) for order in orders)
    assert rank_correlation(one, other) == pytest.approx(-2 / 3)
    with pytest.raises(ValueError, match="no rank vector"):
        rank_correlation(*orders)
    with pytest.raises(ValueError, match="no rank vector"):
        rank_correlation([0, 1], [1, 2])
    with pytest.raises(ValueError, match="once"):
        ranks_of((0, 0, 1), range(3))


def test_rank_correlation_of_all_orders_counts_pairs() -> None:
    """For every two orders of four responses: concordant less discordant pairs, of six; and names do not matter."""
    for one, other in product(permutations("wxyz"), repeat=2):
        first, second = ranks_of(one, "wxyz"), ranks_of(other, "wxyz")
        agree = sum(
            np.sign(one.index(a) - one.index(b)) * np.sign(other.index(a) - other.index(b))
            for a, b in combinations("wxyz", 2)
        )
        assert rank_correlation(first, second) == pytest.approx(agree / 6)
    assert rank_correlation([1, 1], [1, 2]) is None


def test_kappa_is_sklearns() -> None:
    generator = np.random.default_rng(8)
    one, other = generator.integers(0, 4, size=(2, 200))
    other = np.where(generator.random(200) < 0.5, one, other)
    assert kappa(one, other) == pytest.approx(cohen_kappa_score(one, other))
    assert kappa(["yes", "yes"], ["yes", "yes"]) is None
    assert kappa(["yes", "no"], ["yes", "no"]) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="same items"):
        kappa([1, 2], [1])


def test_retests() -> None:
    rows = [Retest(f"p{n}", f"l{n % 9}", (1, 2, 3), (1, 2, 3) if n % 2 else (2, 1, 3)) for n in range(40)]
    found = retest_agreement(rows, "strict")
    assert found.estimate == pytest.approx((1 + 2 / 3) / 2)
    assert found.interval.low < found.estimate < found.interval.high
    with pytest.raises(ValueError, match="twice"):
        retest_agreement([Retest("p", "l", (1, 1), (1, 2))], "drop")
    with pytest.raises(ValueError, match="item 'p', labeler 'l'"):
        retest_agreement([Retest("p", "l", (1, 1), (1, 2, 3))], "drop")


def test_position_bias_is_found_and_not_invented() -> None:
    """A labeler who takes the first shown every other time, among eleven who look; K is 2 to 4."""
    generator, rows = np.random.default_rng(9), dict[str, list[tuple[list[int], list[int]]]]()
    for labeler in range(12):
        rows[f"l{labeler}"] = []
        for _ in range(120):
            K = int(generator.integers(2, 5))
            shown, ranks = generator.permutation(K), generator.permutation(K) + 1
            if labeler == 0 and generator.random() < 0.5:
                first = int(np.flatnonzero(shown == 0)[0])
                ranks[np.flatnonzero(ranks == 1)[0]], ranks[first] = ranks[first], 1
            rows[f"l{labeler}"].append((ranks.tolist(), shown.tolist()))
    found = position_bias(rows)
    assert found["l0"].adjusted < 0.001
    assert found["l0"].shares[0] > 1.5 * found["l0"].expected[0]
    assert [name for name, one in found.items() if one.adjusted < 0.05] == ["l0"]
    assert found["l1"].freedom == 1 + 2 + 3


def test_position_bias_is_scipys_chi_square() -> None:
    places = [0] * 30 + [1] * 20 + [2] * 10
    rows = [([1, 2, 3], [place, *(p for p in range(3) if p != place)]) for place in places]
    found = position_bias({"l": [*rows, ([1, 1, 2], [0, 1, 2])], "none": []})
    expected = stats.chisquare([30, 20, 10])
    assert list(found) == ["l"]
    assert (found["l"].chi_square, found["l"].p_value) == pytest.approx((expected.statistic, expected.pvalue))
    assert found["l"].rankings == 60  # the tie for the first place is left out
    with pytest.raises(ValueError, match="'l'"):
        position_bias({"l": [([1, 2], [1, 2])]})


# -- kappa of every two --------------------------------------------------------------------------------------------


def test_kappa_of_two_is_that_of_their_pairs_both_ways_round() -> None:
    rankings = tied(labeled(160, 5, 3, seed=8))
    rankings = {item: one for item, one in rankings.items() if len(next(iter(one.values()))) == 4}
    found = kappas(rankings, fewest=1)
    for (a, b), (value, items) in found.between.items():
        shared = [by for by in rankings.values() if a in by and b in by]
        one, other = (np.concatenate([signs(by[who]) for by in shared]) for who in (a, b))
        both = kappa([*one, *-one], [*other, *-other])
        assert items == len(shared)
        assert value == pytest.approx(both)
        assert value == pytest.approx(cohen_kappa_score([*one, *-one], [*other, *-other]))
    values = [value for value, _ in found.between.values()]
    assert found.mean is not None
    assert found.mean.estimate == pytest.approx(np.mean(values))
    assert found.mean.low < found.mean.estimate < found.mean.high


def test_kappa_does_not_ask_in_which_order_responses_came() -> None:
    rankings, generator = tied(labeled(30, 6, 3, seed=9)), np.random.default_rng(9)
    mixed: dict[str, dict[str, list[int]]] = {}
    for item, by_labeler in rankings.items():
        order = generator.permutation(len(next(iter(by_labeler.values()))))
        mixed[item] = {who: [ranks[n] for n in order] for who, ranks in by_labeler.items()}
    one, other = kappas(rankings), kappas(mixed)
    assert {pair: value[0] for pair, value in other.between.items()} == pytest.approx(
        {pair: value[0] for pair, value in one.between.items()}
    )
    assert len(one.between) == 15


def test_kappa_of_chance_is_nothing_and_of_likeness_one() -> None:
    generator = np.random.default_rng(10)
    drawn = [[(generator.permutation(4) + 1).tolist() for _ in "ab"] for _ in range(2000)]
    chance = kappas({str(n): dict(zip("ab", ranks, strict=True)) for n, ranks in enumerate(drawn)}).mean
    alike = kappas({str(n): dict.fromkeys("ab", ranks[0]) for n, ranks in enumerate(drawn)})
    assert chance is not None
    assert abs(chance.estimate) < 0.03
    assert alike.between == {("a", "b"): (pytest.approx(1.0), 2000)}


def test_kappa_that_cannot_be_had_is_none() -> None:
    tied_all = {str(n): {"a": [1, 1], "b": [1, 1]} for n in range(12)}
    assert kappas(tied_all).between == {("a", "b"): (None, 12)}
    assert kappas(tied_all).mean is None
    assert kappas({"p": {"a": [1, 2], "b": [1, 2]}}).mean is None  # fewer than ten items
    with pytest.raises(ValueError, match="ranked twice"):
        kappas({"p": {"a": [1, 2]}})


def test_items_weigh_the_same_however_many_responses_they_have() -> None:
    """One item of two responses on which they agree, one of nine on which they differ everywhere."""
    up, down = list(range(1, 10)), list(range(9, 0, -1))
    found = kappas({"two": {"a": [1, 2], "b": [1, 2]}, "nine": {"a": up, "b": down}}, fewest=1)
    assert found.between["a", "b"] == (pytest.approx(0.0), 2)
