"""What a batch is made of: exact shares, true chances, and the same plan from the same seed."""

import itertools
import random
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import select

from assent.label import planning
from assent.label.planning import Plan, choose
from assent.label.store import guidelines
from assent.label.store.batches import NewItem
from assent.label.store.database import Database
from assent.label.store.tables import guideline
from tests.label import kit


def gold(count: int) -> list[NewItem]:
    return [
        NewItem(**{**one.__dict__, "stratum": "gold", "record": f"g{n}"}) for n, one in enumerate(kit.items(count, 0))
    ]


def test_every_item_has_its_slots_and_a_share_has_more() -> None:
    made = planning.arrange(kit.items(200, 0), [], [], Plan(overlap=2, shared=0.1, shared_overlap=5, heldout=0.25))
    trained = Counter(sum(slot.team == "train" for slot in one.slots) for one in made)
    assert trained == {2: 180, 5: 20}
    assert sum(slot.team == "heldout" for one in made for slot in one.slots) == 50
    assert {one.stratum for one in made if len(one.slots) >= 5} == {"overlap"}


@pytest.mark.parametrize("share", [0.05, 0.1])
def test_gold_is_its_share_everywhere_in_the_queue(share: float) -> None:
    made = planning.arrange(kit.items(400, 0), gold(20), [], Plan(gold=share, shared=0.0))
    assert planning.gold_share(made) == pytest.approx(share, abs=0.005)
    queue = sorted((slot.priority, one.stratum) for one in made for slot in one.slots)
    halves = queue[: len(queue) // 2], queue[len(queue) // 2 :]
    for half in halves:
        assert sum(stratum == "gold" for _, stratum in half) / len(half) == pytest.approx(share, abs=0.02)
    gaps = [place for place, (_, stratum) in enumerate(queue) if stratum == "gold"]
    assert len({b - a for a, b in itertools.pairwise(gaps)}) > 3  # nobody can count to the next one


def test_a_gold_item_is_met_by_many_and_none_is_left_out() -> None:
    made = planning.arrange(kit.items(300, 0), gold(5), [], Plan(gold=0.1, shared=0.0))
    counts = [len(one.slots) for one in made if one.stratum == "gold"]
    assert len(counts) == 5
    assert max(counts) - min(counts) <= 1


def test_the_same_seed_is_the_same_plan() -> None:
    def plan(seed: int) -> list[NewItem]:
        return planning.arrange(kit.items(50, 0), gold(4), [], Plan(seed=seed))

    assert plan(3) == plan(3)
    assert plan(3) != plan(4)


def test_without_a_limit_everything_is_taken_for_certain() -> None:
    assert [(one.place, one.propensity) for one in choose(5, Plan())] == [(n, 1.0) for n in range(5)]


def test_exactly_as_many_as_asked_are_chosen() -> None:
    rng = random.Random(0)
    for seed in range(40):
        scores = [rng.random() ** 4 for _ in range(60)]
        taken = choose(60, Plan(limit=20, seed=seed), scores)
        assert len({one.place for one in taken}) == len(taken) == 20


def test_propensities_are_the_frequencies() -> None:
    """Over many draws each item is taken as often as its propensity says, and by lot equally often."""
    scores = [0.01, 0.1, 0.5, 1.0, 5.0, 0.2, 0.2, 3.0]
    draws, taken, lots, said = 4000, Counter[int](), Counter[int](), dict[int, float]()
    for seed in range(draws):
        for one in choose(8, Plan(limit=4, uniform=0.25, seed=seed), scores):
            taken[one.place] += 1
            lots[one.place] += one.stratum == "uniform"
            said[one.place] = one.propensity
    assert sum(said.values()) == pytest.approx(4)
    for place in range(8):
        assert taken[place] / draws == pytest.approx(said[place], abs=0.03)
        assert lots[place] / draws == pytest.approx(0.25 * 4 / 8, abs=0.025)
    assert said[4] > said[3] > said[1] > said[0] > 0.12


def test_weighing_by_propensity_gives_the_mean_of_all() -> None:
    rng = random.Random(1)
    values = [rng.random() for _ in range(50)]
    scores = [value**3 for value in values]  # what is chosen is far from typical
    estimates: list[float] = []
    naive: list[float] = []
    for seed in range(600):
        taken = choose(50, Plan(limit=20, seed=seed), scores)
        estimates.append(sum(values[one.place] / one.propensity for one in taken) / 50)
        naive.append(sum(values[one.place] for one in taken) / 20)
    truth = sum(values) / 50
    assert sum(estimates) / 600 == pytest.approx(truth, rel=0.02)
    assert sum(naive) / 600 > truth * 1.15


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"overlap": 0}, "1 to 50"),
        ({"shared": 1.5}, "shared: 1.5"),
        ({"gold": 0.9}, "at most half"),
        ({"limit": -1}, "limit: -1"),
        ({"mode": "fast"}, "mode: 'fast'"),
        ({"colour": 1}, "plan: 'colour' is not one of overlap"),
        ({"overlap": "two"}, "plan: overlap is a int"),
        ({"seed": True}, "plan: seed is a int"),
    ],
)
def test_a_plan_that_makes_no_sense_is_a_sentence(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Plan.of(values)


def test_the_guidelines_that_come_with_the_app_are_version_1_until_others_are_written(light: Database) -> None:
    def written() -> list[tuple[str, str]]:
        with light.snapshot() as connection:
            return [tuple(row) for row in connection.execute(select(guideline.c.version, guideline.c.text))]

    guidelines.add_shipped(light)
    guidelines.add_shipped(light)
    ((version, words),) = written()
    assert version == "1"
    assert "helpful" in words


def test_guidelines_of_ones_own_are_left_alone(light: Database) -> None:
    guidelines.add(light, "1", "our own", None)
    guidelines.add_shipped(light)
    with light.snapshot() as connection:
        assert connection.execute(select(guideline.c.text)).scalars().all() == ["our own"]
