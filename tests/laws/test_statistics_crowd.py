"""Crowd-BT: known labelers are found out, and the strengths are those behind them."""

import math
from itertools import combinations

import numpy as np
import pytest
from scipy import optimize, special

from assent.statistics.crowd import Crowd, crowd_bradley_terry
from assent.statistics.luce import bradley_terry
from assent.statistics.ratings import Comparison

TRUST = {**{f"l{n}": 0.92 for n in range(8)}, "coin": 0.5, "contrary": 0.1}
STRENGTH = {"a": -2.0, "b": -1.0, "c": 0.0, "d": 1.0, "e": 2.0}


def voted(prompts: int, seed: int, trust: dict[str, float]) -> list[Comparison]:
    generator, rows = np.random.default_rng(seed), list[Comparison]()
    pairs = list(combinations(STRENGTH, 2))
    for prompt in range(prompts):
        for labeler, honest in trust.items():
            one, other = pairs[generator.integers(len(pairs))]
            likes = generator.random() < special.expit(STRENGTH[one] - STRENGTH[other])
            won = likes == (generator.random() < honest)
            rows.append(Comparison((one, other), (1, 2) if won else (2, 1), f"p{prompt}", labeler))
    return rows


@pytest.fixture(scope="module")
def found() -> Crowd:
    return crowd_bradley_terry(voted(250, 0, TRUST))


def test_labelers_are_found_out(found: Crowd) -> None:
    assert found.trust["contrary"].high < 0.35  # in truth 0.1, drawn to honesty by the prior
    assert found.trust["coin"].low < 0.5 < found.trust["coin"].high < 0.85
    assert sum(found.trust[name].low <= 0.92 <= found.trust[name].high for name in TRUST if name[0] == "l") >= 6
    assert all(found.trust[name].estimate > 0.8 for name in TRUST if name[0] == "l")


def test_strengths_are_those_behind_the_noise(found: Crowd) -> None:
    plain = bradley_terry(voted(250, 0, TRUST))
    for name, true in STRENGTH.items():
        assert found.strengths[name].interval.low < true < found.strengths[name].interval.high
    flat = plain.strengths["e"].interval  # a coin and a contrary labeler flatten what is taken at its word
    assert flat.high < STRENGTH["e"]
    assert list(found.strengths) == ["e", "d", "c", "b", "a"]
    assert sum(one.estimate for one in found.strengths.values()) == pytest.approx(0, abs=1e-9)


def test_it_is_the_maximum_of_its_definition() -> None:
    """The posterior written out, vote by vote, and maximised without derivatives."""
    trust = {"x": 0.9, "y": 0.7}
    rows = voted(80, 1, trust)

    def loss(parameters: np.ndarray) -> float:
        strength = dict(zip("abcde", (*parameters[:4], -parameters[:4].sum()), strict=True))
        eta, total = dict(zip(trust, special.expit(parameters[4:]), strict=True)), 0.0
        for row in rows:
            winner, loser = row.policies if row.ranks[0] == 1 else row.policies[::-1]
            likes = special.expit(strength[winner] - strength[loser])
            total += math.log(eta[row.labeler] * likes + (1 - eta[row.labeler]) * (1 - likes))
        return -total - sum(10 * math.log(one) + math.log(1 - one) for one in eta.values())

    best = optimize.minimize(loss, [0, 0, 0, 0, 2, 2], method="Powell", options={"xtol": 1e-8, "ftol": 1e-14})
    found = crowd_bradley_terry(rows)
    assert [found.strengths[name].estimate for name in "abcd"] == pytest.approx(best.x[:4], abs=2e-3)
    assert [found.trust[name].estimate for name in "xy"] == pytest.approx(special.expit(best.x[4:]), abs=2e-3)


def test_a_labeler_without_votes_that_tell_is_where_the_prior_is() -> None:
    rows = [*voted(30, 2, {"l": 0.9, "m": 0.9}), Comparison(("a", "b"), (1, 1), "p0", "new")]
    assert crowd_bradley_terry(rows).trust["new"].estimate == pytest.approx(10 / 11, abs=0.01)


def test_not_comparable_is_said() -> None:
    found = crowd_bradley_terry([Comparison(("a", "b"), (1, 2), f"p{n}", f"l{n % 3}") for n in range(9)])
    assert "not comparable" in found.caution
    assert math.isnan(found.strengths["a"].interval.low)
