"""Ratings: published values, likelihoods written out and maximised by brute force, recovery, what is not comparable."""

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from scipy import optimize

from assent.statistics.luce import bradley_terry, davidson_luce, davidson_luce_with_position
from assent.statistics.rao_kupper import rao_kupper
from assent.statistics.ratings import Comparison, Ratings, elo

WIKIPEDIA = {"A": {"B": 2, "D": 1}, "B": {"A": 3, "C": 5}, "C": {"B": 3, "D": 1}, "D": {"A": 4, "C": 3}}


def games(wins: dict[str, dict[str, int]]) -> list[Comparison]:
    played = [(one, other) for one, beaten in wins.items() for other, times in beaten.items() for _ in range(times)]
    return [Comparison(pair, (1, 2), f"p{n}", f"l{n % 11}") for n, pair in enumerate(played)]


def estimates(found: Ratings) -> list[float]:
    return [found.strengths[name].estimate for name in sorted(found.strengths)]


@pytest.mark.parametrize("fit", [bradley_terry, davidson_luce])
def test_golden_bradley_terry(fit: Callable[[Sequence[Comparison]], Ratings]) -> None:
    """22 games of four teams, the example of Wikipedia's article; the worths have a geometric mean of 1."""
    found = fit(games(WIKIPEDIA))
    assert np.exp(estimates(found)) == pytest.approx([0.640, 1.043, 0.660, 2.270], rel=1e-3)
    assert sum(estimates(found)) == pytest.approx(0, abs=1e-9)
    assert next(iter(found.strengths)) == "D"


# -- Davidson-Luce against its definition --------------------------------------------------------------------------


def log_likelihood(
    rows: Sequence[Comparison], strength: dict[str, float], delta: dict[int, float], position: float = 0.0
) -> float:
    """The model's definition, ranking by ranking and set by set."""
    total = 0.0
    for row in rows:
        worth = [
            math.exp(strength[name] + (position * (0.5 - row.shown[n] / (len(row.ranks) - 1)) if row.shown else 0))
            for n, name in enumerate(row.policies)
        ]
        for rank in sorted(set(row.ranks)):
            left = [n for n, other in enumerate(row.ranks) if other >= rank]
            weight = {
                members: delta.get(size, 0.0) * math.prod(worth[n] for n in members) ** (1 / size)
                for size in range(1, len(left) + 1)
                for members in itertools.combinations(left, size)
            }
            chosen = tuple(n for n in left if row.ranks[n] == rank)
            if len(left) > 1:
                total += math.log(weight[chosen] / sum(weight.values()))
    return total


def some_rankings(count: int, seed: int) -> list[Comparison]:
    """Rankings of 2 to 4 responses of policies a < b < c < d, coarse enough to tie."""
    generator = np.random.default_rng(seed)
    rows: list[Comparison] = []
    for n in range(count):
        chosen = generator.choice(4, size=generator.integers(2, 5), replace=False)
        utility = 0.5 * chosen + generator.gumbel(size=len(chosen))
        ranks = np.unique(-np.round(utility), return_inverse=True)[1] + 1
        shown = tuple(generator.permutation(len(chosen)).tolist())
        names = tuple("abcd"[i] for i in chosen)
        rows.append(Comparison(names, tuple(ranks.tolist()), f"p{n % 30}", f"l{n % 9}", shown))
    return rows


def test_davidson_luce_is_the_maximum_of_its_definition() -> None:
    rows = some_rankings(60, 0)

    def negative(theta: np.ndarray) -> float:
        strength = dict(zip("abcd", theta[:4] - theta[:4].mean(), strict=True))
        return -log_likelihood(rows, strength, {1: 1.0, 2: math.exp(theta[4]), 3: math.exp(theta[5])})

    blank = [Comparison(row.policies, row.ranks, row.prompt, row.labeler) for row in rows]
    found = davidson_luce(blank)
    assert sorted(found.ties) == [2, 3]
    best = optimize.minimize(negative, np.zeros(6), method="BFGS", options={"gtol": 1e-6})
    assert estimates(found) == pytest.approx(best.x[:4] - best.x[:4].mean(), abs=1e-4)
    assert [found.ties[size].estimate for size in (2, 3)] == pytest.approx(np.exp(best.x[4:]), rel=1e-4)


def test_the_position_is_the_maximum_too() -> None:
    rows = [row for row in some_rankings(60, 1) if len(set(row.ranks)) == len(row.ranks)]

    def negative(theta: np.ndarray) -> float:
        return -log_likelihood(rows, dict(zip("abcd", theta[:4] - theta[:4].mean(), strict=True)), {1: 1.0}, theta[4])

    found = davidson_luce_with_position(rows)
    best = optimize.minimize(negative, np.zeros(5), method="BFGS", options={"gtol": 1e-6})
    assert found.position is not None
    assert found.position.estimate == pytest.approx(best.x[4], abs=1e-4)
    assert estimates(found) == pytest.approx(best.x[:4] - best.x[:4].mean(), abs=1e-4)
    with pytest.raises(ValueError, match="'p0': no places"):
        davidson_luce_with_position([Comparison(("a", "b"), (1, 2), "p0", "l")])


def test_who_is_shown_first_wins_more() -> None:
    """Equal policies, the first shown preferred with odds of two to one; the effect is not taken for strength."""
    generator, rows = np.random.default_rng(2), list[Comparison]()
    for n in range(2000):
        first = generator.random() < 2 / 3
        shown = (0, 1) if n % 3 else (1, 0)  # "a" is shown first more often
        rows.append(
            Comparison(("a", "b"), (1, 2) if first == (shown[0] == 0) else (2, 1), f"p{n % 500}", f"l{n % 20}", shown)
        )
    found = davidson_luce_with_position(rows)
    assert found.position is not None
    assert found.position.interval.low < math.log(2) < found.position.interval.high
    assert found.difference("a", "b").interval.low < 0 < found.difference("a", "b").interval.high
    assert davidson_luce(rows).difference("a", "b").interval.low > 0


# -- the published recovery ----------------------------------------------------------------------------------------

TRUE = np.array([-0.8, -0.4, 0.0, 0.4, 0.8])


def davidson_pairs(count: int, nu: float, seed: int) -> list[Comparison]:
    """Pairs of five policies drawn at random, with ties as Davidson's model has them."""
    generator, rows = np.random.default_rng(seed), list[Comparison]()
    worth, ranks = np.exp(TRUE), {0: (1, 2), 1: (2, 1), 2: (1, 1)}
    for n in range(count):
        i, j = generator.choice(5, size=2, replace=False)
        odds = np.cumsum([worth[i], worth[j], nu * math.sqrt(worth[i] * worth[j])])
        outcome = int(np.searchsorted(odds, generator.random() * odds[-1]))
        rows.append(Comparison((f"m{i}", f"m{j}"), ranks[outcome], f"p{n % 2000}", f"l{n % 41}"))
    return rows


@pytest.fixture(scope="module")
def simulated() -> list[Comparison]:
    return davidson_pairs(40_000, 0.8, 3)


def test_davidson_recovers_strengths_and_ties(simulated: list[Comparison]) -> None:
    found = davidson_luce(simulated)
    assert estimates(found) == pytest.approx(TRUE, abs=0.04)
    assert found.ties[2].estimate == pytest.approx(0.8, abs=0.03)
    assert found.ties[2].low < 0.8 < found.ties[2].high
    assert sum(row.ranks == (1, 1) for row in simulated) / 40_000 == pytest.approx(0.27, abs=0.01)


def test_ties_as_halves_and_thresholds_keep_the_order_and_not_the_scale(simulated: list[Comparison]) -> None:
    davidson, halves, threshold = (
        np.array(estimates(fit(simulated))) for fit in (davidson_luce, bradley_terry, rao_kupper)
    )
    assert halves @ davidson / (davidson @ davidson) == pytest.approx(0.705, abs=0.015)
    assert rao_kupper(simulated).ties[2].estimate == pytest.approx(1.856, abs=0.03)
    assert (np.argsort(halves) == np.arange(5)).all()
    assert (np.argsort(threshold) == np.arange(5)).all()


def test_rao_kupper_is_the_maximum_of_its_definition() -> None:
    rows = davidson_pairs(200, 0.8, 4)

    def negative(parameters: np.ndarray) -> float:
        worth = dict(zip(sorted({name for row in rows for name in row.policies}), np.exp(parameters[:5]), strict=True))
        theta, total = 1 + math.exp(parameters[5]), 0.0
        for row in rows:
            one, other = (worth[name] for name in row.policies)
            won, lost = one / (one + theta * other), other / (other + theta * one)
            total += math.log({(1, 2): won, (2, 1): lost, (1, 1): 1 - won - lost}[row.ranks])
        return -total

    best = optimize.minimize(negative, np.zeros(6), method="BFGS", options={"gtol": 1e-6})
    found = rao_kupper(rows)
    assert estimates(found) == pytest.approx(best.x[:5] - best.x[:5].mean(), abs=1e-4)
    assert found.ties[2].estimate == pytest.approx(1 + math.exp(best.x[5]), rel=1e-4)
    with pytest.raises(ValueError, match="nothing was tied"):
        rao_kupper(games(WIKIPEDIA))


# -- intervals -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_intervals_cover_and_know_clusters() -> None:
    """Labelers whose taste differs: two-way intervals of a difference hold the truth, those of this team less."""
    generator, covered = np.random.default_rng(5), np.zeros(2)
    for _ in range(150):
        taste, ease = generator.normal(0, 0.6, size=15), generator.normal(0, 0.6, size=60)
        rows: list[Comparison] = []
        for prompt in range(60):
            for labeler in generator.choice(15, size=3, replace=False):
                won = generator.random() < 1 / (1 + math.exp(-taste[labeler] - ease[prompt]))
                rows.append(Comparison(("a", "b"), (1, 2) if won else (2, 1), f"p{prompt}", f"l{labeler}"))
        found = davidson_luce(rows).difference("a", "b")
        covered += [one.low <= 0 <= one.high for one in (found.interval, found.this_team)]
    assert 0.91 <= covered[0] / 150 <= 0.99
    assert covered[1] < covered[0]


def test_the_interval_of_one_pair_is_the_win_rates() -> None:
    """With two policies and no ties, the difference is the log odds; its error is the share's, carried over."""
    rows = [row for row in davidson_pairs(3000, 0.0, 6) if set(row.policies) == {"m0", "m4"}]
    found = davidson_luce(rows)
    won = np.mean([row.ranks[row.policies.index("m4")] == 1 for row in rows])
    gap = found.difference("m4", "m0")
    assert gap.estimate == pytest.approx(math.log(won / (1 - won)), abs=1e-6)
    influence = (
        np.array([(row.ranks[row.policies.index("m4")] == 1) - won for row in rows]) / len(rows) / (won * (1 - won))
    )
    expected = found.clusters.interval(gap.estimate, influence).interval
    assert (gap.interval.low, gap.interval.high) == pytest.approx((expected.low, expected.high), abs=1e-6)


# -- what cannot be compared ---------------------------------------------------------------------------------------


def test_a_policy_that_always_loses_is_not_comparable() -> None:
    rows = [*games(WIKIPEDIA), *[Comparison(("A", "E"), (1, 2), f"q{n}", f"l{n % 11}") for n in range(40)]]
    found = davidson_luce(rows)
    assert found.caution.startswith("not comparable: no chain of wins")
    assert sorted(found.groups) == [("A", "B", "C", "D"), ("E",)]
    assert math.isnan(found.strengths["A"].interval.low)
    assert list(found.strengths)[-1] == "E"
    assert math.isfinite(found.strengths["E"].estimate)
    one_win = davidson_luce([*rows, Comparison(("A", "E"), (2, 1), "q99", "l0")])
    assert one_win.caution == ""


def test_two_islands_are_not_comparable() -> None:
    island = {"A": {"B": 1}, "B": {"A": 2}, "C": {"D": 3}, "D": {"C": 1}}
    assert davidson_luce(games(island)).groups == (("A", "B"), ("C", "D"))
    assert "{A, B} and {C, D}" in bradley_terry(games(island)).caution


def test_ties_link_both_ways() -> None:
    """b never beats a, but both tie with c; how much a tie means is known from c and d."""
    tied = [(("a", "c"), (1, 1))] * 5 + [(("b", "c"), (1, 1))] * 5 + [(("c", "d"), (1, 1))] * 3
    won = [(("a", "b"), (1, 2))] * 6 + [(("c", "d"), (1, 2)), (("d", "c"), (1, 2))] * 3
    found = davidson_luce([Comparison(*one, f"p{n}", f"l{n % 3}") for n, one in enumerate(tied + won)])
    assert found.caution == ""
    assert next(iter(found.strengths)) == "a"
    assert list(found.strengths)[-1] == "b"
    unknown = davidson_luce([Comparison(*one, "p", "l") for one in tied[:10] + won[:6]])
    assert "no maximum" in unknown.caution  # ties may then be as likely as anybody likes


def test_a_parameter_without_a_maximum_is_not_taken_for_a_large_one() -> None:
    """The first shown always wins, whoever it is: policies are linked, and the effect of the place is infinite."""
    shown = [((0, 1), (1, 2)), ((1, 0), (2, 1))] * 20
    rows = [Comparison(("a", "b"), ranks, f"p{n}", f"l{n % 3}", places) for n, (places, ranks) in enumerate(shown)]
    found = davidson_luce_with_position(rows)
    assert "no maximum" in found.caution
    assert found.position is not None
    assert math.isnan(found.position.this_team.low)


def test_ties_alone_say_nothing_about_their_own_rate() -> None:
    found = davidson_luce([Comparison(("a", "b"), (1, 1), f"p{n}", "l") for n in range(5)])
    assert "not comparable" in found.caution
    assert found.strengths["a"].estimate == pytest.approx(found.strengths["b"].estimate)


def test_comparisons_are_checked() -> None:
    with pytest.raises(ValueError, match="two are compared"):
        Comparison(("a",), (1,), "p", "l")
    with pytest.raises(ValueError, match="record all or none"):
        Comparison(("a", "b"), (1, 2), "p", "l", (0,))
    with pytest.raises(ValueError, match="at least two"):
        davidson_luce([Comparison(("a", "a"), (1, 2), "p", "l")])


def test_elo() -> None:
    assert elo(0) == 1000
    assert elo(math.log(10)) - elo(0) == pytest.approx(400)
