"""Preference from records: by hand, invariances, and worlds whose answer is known."""

import gzip
import json
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import special
from tests.data.kit import public_data

from assent.data import public
from assent.evaluate.preference import (
    Slice,
    against,
    at_equal_length,
    flag_rates,
    likert,
    outcomes,
    preference,
    preferences,
    rankings_of,
    strengths,
    win_rate,
)
from assent.records import Message, Prompt, Ranking, Rating, Response

DATA = public_data()
WORTH = {"base": -1.0, "sft": 0.0, "ppo": 0.8}
USES = ("generation", "chat")


def prompt(number: int) -> Prompt:
    return Prompt(id=f"p{number}", messages=(Message("user", f"question {number}"),), use_case=USES[number % 2])


def ranking(number: int, ranks: dict[str, int], labeler: str = "l0", length: int = 10) -> Ranking:
    responses = tuple(Response(text="x" * (length + len(name)), policy=name.split("#")[0]) for name in ranks)
    return Ranking(
        id=f"r{number}-{labeler}",
        prompt=prompt(number),
        responses=responses,
        ranks=tuple(ranks.values()),
        labeler=labeler,
    )


def simulated(prompts: int = 120, seed: int = 0) -> list[Ranking]:
    """Three policies ranked whole by three of 20 labelers a prompt; l10 and above like PPO less."""
    generator, rows = np.random.default_rng(seed), list[Ranking]()
    for number in range(prompts):
        for labeler in generator.choice(20, size=3, replace=False):
            utility = {name: worth + generator.gumbel() for name, worth in WORTH.items()}
            utility["ppo"] -= 0.4 * (labeler >= 10)
            coarse = {name: round(2 * value) for name, value in utility.items()}
            order = sorted(set(coarse.values()), reverse=True)
            rows.append(ranking(number, {name: order.index(coarse[name]) + 1 for name in WORTH}, f"l{labeler}"))
    return rows


def test_a_preference_by_hand() -> None:
    rows = [
        ranking(0, {"sft": 2, "ppo": 1}),
        ranking(1, {"ppo": 1, "sft": 1}),
        ranking(2, {"sft": 1, "ppo": 3, "base": 2}),
    ]
    found = preference(rows, "ppo", "sft")
    assert (found.wins, found.ties, found.losses) == (1, 1, 1)
    assert found.rate.estimate == 0.5
    assert "too few clusters" in found.rate.caution
    assert preference(rows, "base", "sft").losses == 1
    with pytest.raises(ValueError, match="both 'gold' and 'sft'"):
        preference(rows, "gold", "sft")


def test_the_estimate_is_the_papers_win_rate() -> None:
    rows = simulated()
    assert preference(rows, "ppo", "sft").rate.estimate == pytest.approx(win_rate(rows, "ppo", "sft").estimate)


def test_two_sides_add_up_and_order_does_not_matter() -> None:
    rows = simulated()
    one, other = preference(rows, "ppo", "base").rate, preference(rows[::-1], "base", "ppo").rate
    assert one.estimate + other.estimate == pytest.approx(1)
    assert (one.interval.low, one.interval.high) == pytest.approx((1 - other.interval.high, 1 - other.interval.low))
    assert one.interval.low < one.estimate < one.interval.high


def test_a_policy_against_itself_is_one_half() -> None:
    rows = simulated()
    found = preference(rows, "ppo", "ppo").rate
    assert (found.interval.low, found.estimate, found.interval.high) == (0.5, 0.5, 0.5)
    assert at_equal_length(rows, "ppo", "ppo").rate.estimate == pytest.approx(0.5)
    several = [ranking(n, {"ppo#1": 1, "ppo#2": 2, "sft": 3}) for n in range(3)]
    assert preference(several, "ppo", "ppo").rate.estimate == 0.5


def test_several_responses_of_a_policy_are_averaged_within_a_ranking() -> None:
    """Two of PPO's three pairs with SFT's one response are won; a second ranking with one pair lost weighs as much."""
    rows = [ranking(0, {"ppo#1": 1, "ppo#2": 1, "ppo#3": 3, "sft": 2}), ranking(1, {"ppo": 2, "sft": 1})]
    assert outcomes(rows, "ppo", "sft").values.tolist() == pytest.approx([2 / 3, 0])
    assert preference(rows, "ppo", "sft").wins == 2


def test_training_and_held_out_labelers_and_use_cases_stand_apart() -> None:
    rows = simulated()
    held_out = {f"l{n}" for n in range(10, 20)}
    found = preferences(rows, "sft", held_out)
    assert {policy for policy, _ in found} == {"base", "ppo"}
    assert {part for _, part in found} == {
        Slice(labelers, use) for labelers in ("all", "training", "held_out") for use in ("all", *USES)
    }
    training, apart = found["ppo", Slice("training")], found["ppo", Slice("held_out")]
    assert training.rate.estimate > apart.rate.estimate + 0.02
    assert training.rate.labelers == apart.rate.labelers == 10
    whole = found["ppo", Slice()]
    assert whole.rate.judgements == training.rate.judgements + apart.rate.judgements == 360
    assert whole.wins == sum(found["ppo", Slice("all", use)].wins for use in USES)
    assert set(preferences(rows, "sft")) == {(p, Slice("all", use)) for p in ("base", "ppo") for use in ("all", *USES)}
    with pytest.raises(ValueError, match="no ranking has a response of 'gold'"):
        preferences(rows, "gold")


def test_two_policies_are_compared_on_the_same_cells() -> None:
    rows = simulated()
    found = against(rows, "ppo", "base", "sft")
    gap = preference(rows, "ppo", "sft").rate.estimate - preference(rows, "base", "sft").rate.estimate
    assert found.estimate == pytest.approx(gap)
    assert found.interval.low > 0
    itself = against(rows, "ppo", "ppo", "sft")
    assert (itself.interval.low, itself.estimate, itself.interval.high) == (0, 0, 0)


def test_strengths_recover_what_made_the_rankings() -> None:
    """Gumbel utilities without ties are Plackett-Luce, so strengths are the worths, less their mean."""
    generator, rows = np.random.default_rng(1), list[Ranking]()
    for number in range(1500):
        utility = {name: worth + generator.gumbel() for name, worth in WORTH.items()}
        order = sorted(utility, key=lambda name: -utility[name])
        rows.append(ranking(number, {name: order.index(name) + 1 for name in WORTH}, f"l{number % 25}"))
    found = strengths(rows)
    mean = sum(WORTH.values()) / 3
    assert found.caution == ""
    for name, worth in WORTH.items():
        assert found.strengths[name].interval.low < worth - mean < found.strengths[name].interval.high
    assert strengths(simulated()).ties[2].estimate > 0.1
    one_sided = [ranking(n, {"ppo": 1, "sft": 2}) for n in range(30)]
    assert "not comparable" in strengths(one_sided).caution


def test_length_is_taken_out_of_a_win_that_length_won() -> None:
    generator, rows = np.random.default_rng(2), list[Ranking]()
    for number in range(150):
        for labeler in generator.choice(12, size=2, replace=False):
            lengths = {name: int(generator.integers(50, 150)) + 40 * (name == "ppo") for name in WORTH}
            utility = {name: lengths[name] / 40 + generator.gumbel() for name in WORTH}
            order = sorted(utility, key=lambda name: -utility[name])
            row = ranking(number, {name: order.index(name) + 1 for name in WORTH}, f"l{labeler}")
            texts = tuple(replace(one, text="x" * lengths[one.policy]) for one in row.responses)
            rows.append(replace(row, responses=texts))
    raw, found = preference(rows, "ppo", "sft").rate, at_equal_length(rows, "ppo", "sft")
    assert raw.interval.low > 0.55
    assert found.rate.interval.low < 0.5 < found.rate.interval.high
    assert found.effect.low > 0
    filler = [
        replace(row, responses=tuple(replace(one, text=one.text + "y" * 70) for one in row.responses)) for row in rows
    ]
    assert at_equal_length(filler, "ppo", "sft").rate == found.rate
    back = at_equal_length(rows, "sft", "ppo")
    assert back.rate.estimate == pytest.approx(1 - found.rate.estimate, abs=1e-6)


# -- ratings -------------------------------------------------------------------------------------------------------


def rating(number: int, policy: str, overall: int, labeler: str, **flags: bool | None) -> Rating:
    response = Response(text=policy, policy=policy)
    return Rating(
        id=f"{number}-{policy}-{labeler}",
        prompt=prompt(number),
        response=response,
        overall=overall,
        flags=flags,
        labeler=labeler,
    )


def test_likert_and_flags_by_hand() -> None:
    rows = [rating(n, "ppo", 5 + n % 3, f"l{n % 9}", hallucination=n % 4 == 0, sexual_content=None) for n in range(36)]
    rows += [rating(n, "sft", 2, "l0", hallucination=None) for n in range(4)]
    means, flags = likert(rows), flag_rates(rows)
    assert means["ppo"].estimate == 6
    assert means["ppo"].interval.low < 6 < means["ppo"].interval.high
    assert flags["ppo"]["hallucination"].estimate == 0.25
    assert flags["ppo"]["hallucination"].judgements == 36
    assert "sexual_content" not in flags["ppo"]  # it never applied
    assert flags["sft"] == {}
    assert math.isnan(means["sft"].interval.low)


def test_a_flag_that_nobody_set_still_has_an_interval() -> None:
    rows = [rating(n, "ppo", 4, f"l{n % 9}", violent_content=False) for n in range(36)]
    found = flag_rates(rows)["ppo"]["violent_content"]
    assert found.estimate == found.interval.low == 0
    assert 0 < found.interval.high < 0.3


def test_ratings_become_rankings() -> None:
    rows = [
        rating(0, "a", 3, "x"),
        rating(1, "a", 1, "x"),
        rating(0, "b", 7, "x"),
        rating(0, "c", 3, "x"),
        rating(0, "a", 2, "y"),
    ]
    found = rankings_of(rows)
    assert len(found) == 1
    assert {r.policy: rank for r, rank in zip(found[0].responses, found[0].ranks, strict=True)} == {
        "a": 2,
        "b": 1,
        "c": 2,
    }
    assert (found[0].labeler, found[0].prompt.id) == ("x", "p0")


def test_preference_from_ratings_is_that_of_the_utilities() -> None:
    """Ratings of a policy that is 1.5 points better, with noise of 1: it wins as often as normal differences say."""
    generator, rows = np.random.default_rng(3), list[Rating]()
    for number in range(400):
        for labeler in generator.choice(12, size=2, replace=False):
            for policy, mean in (("ppo", 4.75), ("sft", 3.25)):
                rows.append(rating(number, policy, int(np.clip(round(mean + generator.normal()), 1, 7)), f"l{labeler}"))
    found = preference(rankings_of(rows), "ppo", "sft")
    assert found.rate.estimate == pytest.approx(special.ndtr(1.5 / math.sqrt(2)), abs=0.03)
    assert found.ties > 50


# -- real judgements -----------------------------------------------------------------------------------------------


@pytest.mark.skipif(DATA is None, reason="no folder of public data (see ASSENT_DATA in tests/data/kit.py)")
def test_votes_of_a_published_comparison_are_all_counted() -> None:
    """Twelve models against one baseline: wins, ties and losses are those of the rows themselves."""
    path = Path(str(DATA)) / "preferences" / "ai_pairs_alpacaeval_test.jsonl.gz"
    with gzip.open(path, "rt") as file:
        rows = [json.loads(line) for line in file]
    said = Counter((row["models"][1], row["label"]) for row in rows)  # the baseline is response_a
    found = preferences(public.load([path], Ranking).records, "text_davinci_003")
    whole = {policy: one for (policy, part), one in found.items() if part == Slice()}
    assert len(whole) == 12
    assert sum(one.wins + one.ties + one.losses for one in whole.values()) == len(rows)
    for policy, one in whole.items():
        assert (one.wins, one.ties, one.losses) == tuple(said[policy, label] for label in ("b", "tie", "a"))
        assert "too few clusters" in one.rate.caution  # one judge
