"""Length-controlled win rates: the invariances that define them, and worlds where the answer is known."""

import numpy as np
import pytest
from scipy import optimize, special

from assent.statistics.clusters import clustered_mean, judgements
from assent.statistics.length import Contests, _difficulty, length_controlled

pytestmark = pytest.mark.slow


def world(
    seed: int, better: float, taste: float, prompts: int = 150, longer: float = 60.0
) -> tuple[Contests, Contests]:
    """Policy m against b, and two others against both; labelers like length by `taste`, and m by `better`."""
    generator = np.random.default_rng(seed)
    lengths = {
        name: 200 + add + 60 * generator.normal(size=prompts)
        for name, add in (("m", longer), ("b", 0), ("c", -20), ("d", 30))
    }
    quality = {"m": better, "b": 0.0, "c": 0.4, "d": -0.4}
    hard = generator.normal(size=prompts)  # for m and b alike: others win more there

    def met(sides: list[tuple[str, str]]) -> Contests:
        rows: list[tuple[float, str, str, float, str]] = []
        for prompt in range(prompts):
            for one, other in sides:
                for labeler in generator.choice(12, size=2, replace=False):
                    gap = lengths[one][prompt] - lengths[other][prompt]
                    odds = quality[one] - quality[other] + taste * np.tanh(gap / 80) + (one in "cd") * hard[prompt]
                    won = float(generator.random() < special.expit(odds))
                    rows.append((won, f"p{prompt:03d}", f"l{labeler}", gap, f"{one}{other}"))
        values, names, labelers, gaps, both = zip(*rows, strict=True)
        return Contests(judgements(values, names, labelers), np.array(gaps), np.array(both))

    return met([("m", "b")]), met([("c", "m"), ("c", "b"), ("d", "m"), ("d", "b")])


def turned(one: Contests) -> Contests:
    values = 1 - one.judged.values
    return Contests(judgements(values, one.judged.prompts, one.judged.labelers), -one.longer, one.sides)


def test_an_exchange_of_the_policies_turns_everything_round() -> None:
    contests, pool = world(0, 0.3, 1.5)
    found, back = length_controlled(contests, pool, draws=40), length_controlled(turned(contests), pool, draws=40)
    assert back.rate.estimate == pytest.approx(1 - found.rate.estimate, abs=1e-6)
    assert back.rate.interval.low == pytest.approx(1 - found.rate.interval.high, abs=1e-5)
    assert back.effect.estimate == pytest.approx(found.effect.estimate, abs=1e-5)


def test_a_policy_against_itself_is_one_half() -> None:
    contests, pool = world(1, 0.3, 1.5)
    tied = np.full(len(contests.longer), 0.5)
    itself = Contests(
        judgements(tied, contests.judged.prompts, contests.judged.labelers), 0 * contests.longer, contests.sides
    )
    found = length_controlled(itself, pool, draws=20)
    assert found.rate.estimate == pytest.approx(0.5, abs=1e-9)
    assert (found.rate.interval.low, found.rate.interval.high) == pytest.approx((0.5, 0.5), abs=1e-9)
    assert found.effect.estimate == 0


def test_units_of_length_do_not_matter() -> None:
    contests, _ = world(2, 0.3, 1.5)
    bits = Contests(contests.judged, 8 * contests.longer, contests.sides)
    assert length_controlled(bits, draws=2).rate.estimate == pytest.approx(
        length_controlled(contests, draws=2).rate.estimate
    )


def test_taste_for_length_is_taken_out_and_quality_stays() -> None:
    """Equal policies of which one is longer: the raw rate is above 1/2 for sure, the controlled one is not."""
    contests, pool = world(3, 0.0, 2.0)
    raw, found = clustered_mean(contests.judged).interval, length_controlled(contests, pool, draws=100)
    assert raw.low > 0.55
    assert found.rate.interval.low < 0.5 < found.rate.interval.high
    assert found.effect.low > 0
    better, others = world(4, 1.2, 2.0)
    assert length_controlled(better, others, draws=60).rate.interval.low > 0.55


def test_without_taste_for_length_nothing_changes() -> None:
    contests, pool = world(5, 0.5, 0.0)
    found = length_controlled(contests, pool, draws=100)
    assert found.rate.estimate == pytest.approx(clustered_mean(contests.judged).estimate, abs=0.04)
    assert found.effect.low < 0 < found.effect.high


def test_the_truth_lies_in_the_interval() -> None:
    """Twelve worlds: the rate at equal length is sigmoid(quality), as both find a prompt equally hard."""
    truth, covered = float(special.expit(0.5)), 0
    for seed in range(12):
        contests, pool = world(100 + seed, 0.5, 1.5, prompts=80)
        interval = length_controlled(contests, pool, draws=60).rate.interval
        covered += interval.low <= truth <= interval.high
    assert covered >= 10


def test_difficulties_are_the_posterior_mode() -> None:
    """The same, by brute force on the posterior written out."""
    _, pool = world(6, 0.3, 1.0, prompts=25)
    names, side = np.unique(pool.sides, return_inverse=True)
    prompt, weight = np.unique(pool.judged.prompts, return_inverse=True)[1], np.arange(len(pool.longer)) % 3 + 0.0
    design = np.column_stack([np.eye(len(names))[side], np.tanh(pool.longer / 90)])

    def loss(parameters: np.ndarray) -> float:
        theta, gamma = parameters[:5], parameters[5:]
        logit = design @ theta + gamma[prompt]
        told = pool.judged.values * special.log_expit(logit) + (1 - pool.judged.values) * special.log_expit(-logit)
        return float(-weight @ told + gamma @ gamma / 2 + 5e-5 * theta @ theta)

    best = optimize.minimize(loss, np.zeros(30), method="BFGS", options={"gtol": 1e-7, "maxiter": 500})
    _, found = _difficulty(design, pool.judged.values, prompt, weight, (np.zeros(5), np.zeros(25)))
    assert found == pytest.approx(best.x[5:], abs=1e-3)


def test_what_limits_the_answer_is_said() -> None:
    contests, _ = world(7, 0.3, 1.0, prompts=30)
    assert "no other policies" in length_controlled(contests, draws=5).caution
    same = Contests(contests.judged, np.full(len(contests.longer), 10.0), contests.sides)
    found = length_controlled(same, draws=5)
    assert "always longer" in found.caution
    few, _ = world(8, 0.3, 1.0, prompts=12)
    short = length_controlled(few, draws=5)
    assert "too few clusters" in short.caution
    assert np.isnan(short.rate.interval.low)
    assert np.isnan(short.rate.this_team.low)


def test_nothing_but_wins_stays_finite() -> None:
    contests, _ = world(9, 0.3, 1.0, prompts=30)
    won = Contests(
        judgements(np.ones(60), contests.judged.prompts, contests.judged.labelers), contests.longer, contests.sides
    )
    assert 0.99 < length_controlled(won, draws=5).rate.estimate < 1
