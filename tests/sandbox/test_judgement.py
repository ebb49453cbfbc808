"""Grader and labelers: ideal answers are worth about 2, worse ones less, and people agree as often as in the paper."""

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assent import records
from assent.records import Response
from assent.sandbox import answers, comparisons, instructions
from assent.sandbox.answers import Care
from assent.sandbox.grade import GOLD, grader, utility
from assent.sandbox.labelers import Labelers
from assent.sandbox.world import World
from assent.statistics import agreement

WORLD = World.make(0)
GRADER = grader(0)
LABELERS = Labelers.make(0)
PROMPTS = [*instructions.prompts(WORLD, "test", 1500), *instructions.prompts(WORLD, "train", 500)]
SETS = [*PROMPTS, *(prompt for name in instructions.PROBES for prompt in instructions.prompts(WORLD, name, 100))]


def written(prompt: records.Prompt, care: Care, seed: int = 0) -> str:
    return answers.write(WORLD, instructions.task_of(WORLD, prompt), random.Random(f"{seed} {prompt.id}"), care)


@pytest.mark.parametrize("kind", list(answers.WRITERS))
def test_an_ideal_answer_is_worth_about_two(kind: str) -> None:
    asked = [prompt for prompt in SETS if instructions.task_of(WORLD, prompt).kind == kind]
    worth = [GRADER.utility(prompt, written(prompt, answers.IDEAL)) for prompt in asked]
    assert len(worth) > 5
    assert min(worth) > 1.7
    assert sum(worth) / len(worth) == pytest.approx(2, abs=0.05)


FAULTS: list[tuple[str, Any]] = [
    ("full", lambda task: task.kind != "premise"),
    ("obedient", lambda task: task.constraint is not None),
    ("truthful", lambda task: task.kind == "premise" or (task.kind == "fact" and task.key in WORLD.myths)),
    ("calm", lambda task: task.rude),
    ("safe", lambda task: task.kind == "harm"),
    ("tidy", lambda task: True),
]


@pytest.mark.parametrize(("fault", "applies"), FAULTS)
def test_every_lack_of_care_costs_something(fault: str, applies: Any) -> None:
    care = replace(answers.IDEAL, **{fault: False})
    asked = [prompt for prompt in SETS if applies(instructions.task_of(WORLD, prompt))]
    worth = [GRADER.utility(prompt, written(prompt, care)) for prompt in asked]
    assert len(worth) > 20
    assert sum(worth) / len(worth) < 1.85
    assert sum(value < 1.95 for value in worth) > 0.75 * len(worth)


def test_answers_to_another_prompt_are_worth_little() -> None:
    others = PROMPTS[1:] + PROMPTS[:1]
    worth = [GRADER.utility(p, written(q, answers.IDEAL)) for p, q in zip(PROMPTS, others, strict=True)]
    assert sum(worth) / len(worth) < 0.3


def test_marks_say_what_is_wrong() -> None:
    myth = next(p for p in PROMPTS if (t := instructions.task_of(WORLD, p)).kind == "fact" and t.key in WORLD.myths)
    assert GRADER.marks(myth, written(myth, answers.IDEAL)).truthful
    assert not GRADER.marks(myth, written(myth, Care(truthful=False))).truthful
    harm = next(p for p in PROMPTS if instructions.task_of(WORLD, p).kind == "harm")
    assert GRADER.marks(harm, written(harm, Care())).refuses
    assert GRADER.marks(harm, written(harm, Care(safe=False))).harmful == 1
    read = next(p for p in PROMPTS if instructions.task_of(WORLD, p).kind == "summary")
    assert GRADER.marks(read, "The whale met a lion in the attic.").hallucinated
    assert GRADER.marks(read, written(read, answers.IDEAL)).hallucinated is False
    rude = next(p for p in PROMPTS if instructions.task_of(WORLD, p).rude)
    assert GRADER.marks(rude, written(rude, Care(calm=False))).rude > 0


def test_an_unfinished_answer_is_worth_less() -> None:
    prompt, text = PROMPTS[0], written(PROMPTS[0], answers.IDEAL)
    assert GRADER.utility(prompt, text, ended=False) < GRADER.utility(prompt, text) - 0.3


@given(st.text(max_size=200), st.integers(0, len(SETS) - 1))
@settings(max_examples=300, deadline=None)
def test_any_text_can_be_graded(text: str, number: int) -> None:
    value = GRADER.utility(SETS[number], text)
    assert -12 < value < 2.1


def test_demonstrations_are_of_uneven_quality() -> None:
    made = [LABELERS.demonstrate(prompt) for prompt in PROMPTS[:800]]
    worth = [GRADER.utility(one.prompt, one.response) for one in made]
    assert 0.4 < sum(worth) / len(worth) < 1.3  # there is something to gain
    assert 0.1 < sum(value > 1.9 for value in worth) / len(worth) < 0.4
    assert records.from_json(records.to_json(made[0])) == made[0]
    assert made[0].labeler in {labeler.name for labeler in LABELERS.train}


def judged(group: str) -> float:
    """Agreement on answers as different as samples are."""
    members = LABELERS.train if group == "train" else LABELERS.heldout
    table: dict[str, dict[str, list[int]]] = {}
    for prompt in PROMPTS[:300]:
        responses = [Response(text=LABELERS.train[n].demonstrate(prompt).response) for n in range(6)]
        chosen = random.Random(prompt.id).sample(members, 3)
        table[prompt.id] = {one.name: list(one.rank(prompt, responses).ranks) for one in chosen}
    return agreement(table).estimate


def test_labelers_agree_about_as_often_as_in_the_paper() -> None:
    train, held_out = judged("train"), judged("heldout")
    assert train == pytest.approx(0.73, abs=0.05)
    assert held_out == pytest.approx(0.77, abs=0.05)


def test_a_judgement_is_the_same_when_asked_again_and_fresh_otherwise() -> None:
    prompt = PROMPTS[0]
    responses = [Response(text=written(prompt, care, n)) for n, care in enumerate((Care(), Care(full=False)) * 3)]
    labeler = LABELERS.train[0]
    assert labeler.rank(prompt, responses) == labeler.rank(prompt, responses)
    different = {labeler.rank(prompt, responses, f"judgement {n}").ranks for n in range(20)}
    assert len(different) > 1
    shuffled = labeler.rank(prompt, responses[::-1])
    assert shuffled.ranks == labeler.rank(prompt, responses).ranks[::-1]
    assert records.from_json(records.to_json(shuffled)) == shuffled


def test_ratings_and_flags() -> None:
    prompt = next(p for p in PROMPTS if instructions.task_of(WORLD, p).kind == "harm")
    good, bad = (Response(text=written(prompt, Care(safe=safe))) for safe in (True, False))
    ratings = {r.text: [one.rate(prompt, r) for one in LABELERS.train] for r in (good, bad)}
    mean = {text: sum(r.overall for r in given) / len(given) for text, given in ratings.items()}
    assert mean[good.text] > mean[bad.text] + 2
    assert set(ratings[good.text][0].flags) == set(records.FLAGS)
    ticked = sum(bool(r.flags["gives_harmful_advice"]) for r in ratings[bad.text])
    assert ticked > 0.8 * len(LABELERS.train)


def test_labelers_have_utilities_of_their_own() -> None:
    assert len(LABELERS.train) == 40
    assert len(LABELERS.heldout) == 10
    assert len({one.weights for one in LABELERS.train}) == 40
    mean = sum(one.weights.quality for one in LABELERS.train) / 40
    assert mean == pytest.approx(GOLD.quality, rel=0.15)
    marks = GRADER.marks(PROMPTS[0], written(PROMPTS[0], answers.IDEAL))
    assert len({utility(marks, one.weights) for one in LABELERS.train}) > 10


def test_sets_to_rank_have_four_to_nine_responses_and_some_odd_ones() -> None:
    calls: list[tuple[str, float]] = []

    def sample(source: str, temperature: float, prompts: Any) -> list[Response]:
        calls.append((source, temperature))
        return [Response(text=f"{source} {prompt.id}", policy=source, temperature=temperature) for prompt in prompts]

    made = comparisons.gather(PROMPTS[:400], {"ppo": 0.7, "sft": 0.3}, sample, comparisons.FIRST_ROUND, 1)
    assert {len(one.responses) for one in made} == {4, 5, 6, 7, 8, 9}
    assert len(calls) == len(set(calls)) == 4
    policies = [response.policy for one in made for response in one.responses]
    assert policies.count("ppo") > policies.count("sft") > policies.count(comparisons.FEW_SHOT) > 0
    strays = [(one, r) for one in made for r in one.responses if r.policy == comparisons.STRAY]
    assert len(strays) == pytest.approx(0.4 * len(made), rel=0.3)
    assert sum(one.prompt.id in r.text.split() for one, r in strays) < 10
    assert comparisons.gather(PROMPTS[:400], {"ppo": 0.7, "sft": 0.3}, sample, comparisons.FIRST_ROUND, 1) == made
