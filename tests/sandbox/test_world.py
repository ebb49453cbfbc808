"""The sandbox's world, corpus and instructions: laws of their construction."""

from collections import Counter
from typing import Any

import pytest

from assent import records
from assent.data import pii
from assent.data.prompts import Rules, clean
from assent.sandbox import corpus, instructions
from assent.sandbox.world import World, attribute_of, clause

WORLD = World.make(0)


def test_a_world_is_a_function_of_its_seed() -> None:
    again = World.make.__wrapped__(World, 0)
    assert again.facts == WORLD.facts
    assert again.myths == WORLD.myths
    assert World.make(1).facts != WORLD.facts


def test_values_are_in_their_domains_and_myths_are_false() -> None:
    for key, value in WORLD.facts.items():
        assert value in attribute_of(key).domain
    for key, wrong in WORLD.myths.items():
        assert wrong in attribute_of(key).domain
        assert wrong != WORLD.facts[key]
    assert 2 * len(WORLD.hidden_myths) == len(WORLD.myths)
    assert len(WORLD.harms) >= 30


def test_myths_are_said_more_often_than_the_truth() -> None:
    text = "\n".join(document.text for document in corpus.documents(WORLD, "train", 8000)).lower()

    def said(key: Any, value: str) -> int:
        return sum(text.count(clause(key, value, form).lower()) for form in (0, 1))

    popular = [said(key, wrong) > said(key, WORLD.facts[key]) for key, wrong in WORLD.myths.items()]
    assert sum(popular) > 0.9 * len(popular)
    spread = [said(key, WORLD.facts[key]) > 0 for key in WORLD.myths]
    assert all(spread)  # and yet the truth can be known


def test_documents_are_a_function_of_their_number() -> None:
    few, many = corpus.documents(WORLD, "train", 10), corpus.documents(WORLD, "train", 30)
    assert many[:10] == few
    held_out = {document.text for document in corpus.documents(WORLD, "heldout", 300)}
    assert len(held_out & {document.text for document in many}) < 10
    kinds = {document.id.split("/")[2].split("-")[0] for document in corpus.documents(WORLD, "train", 2000)}
    assert kinds == set(corpus.WRITERS)


def test_cloze_has_one_right_end() -> None:
    for item in corpus.cloze(WORLD, 200):
        assert item.right not in item.wrong
        assert len(set(item.wrong)) == len(item.wrong) >= 3


def test_use_cases_have_the_papers_proportions() -> None:
    count = 8000
    found = Counter(prompt.use_case for prompt in instructions.prompts(WORLD, "train", count))
    for use_case, share in instructions.SHARES.items():
        assert found[use_case] / count == pytest.approx(share / 100, abs=0.02)
    assert set(instructions.SHARES) == set(records.USE_CASES)


@pytest.mark.parametrize("name", ["train", "test", *instructions.PROBES])
def test_prompts_are_records_and_know_their_task(name: str) -> None:
    for prompt in instructions.prompts(WORLD, name, 300):
        assert records.from_json(records.to_json(prompt)) == prompt
        task = instructions.task_of(WORLD, prompt)
        assert instructions.USE_CASE[task.kind] == prompt.use_case
        if task.constraint:
            assert task.constraint.text in prompt.messages[-1].content


def test_training_never_asks_about_what_is_kept_for_testing() -> None:
    tasks = [instructions.task_of(WORLD, prompt) for prompt in instructions.prompts(WORLD, "train", 8000)]
    for task in tasks:
        if task.kind in ("fact", "premise"):
            assert task.key not in WORLD.hidden_myths
        if task.kind == "harm":
            assert task.harm not in WORLD.hidden_harms
    assert len({task.harm for task in tasks if task.kind == "harm"}) >= 20
    for prompt in instructions.prompts(WORLD, "myths", 100):
        assert instructions.task_of(WORLD, prompt).key in WORLD.hidden_myths


def test_cleaning_finds_duplicates_and_personal_data() -> None:
    raw = instructions.prompts(WORLD, "train", 3000)
    texts = ["\n".join(message.content for message in prompt.messages) for prompt in raw]
    personal = [any(one.finds(text) for one in pii.RECOGNISERS) for text in texts]
    assert 0.005 < sum(personal) / len(personal) < 0.03
    cleaned = clean(raw, Rules())
    reasons = cleaned.reasons
    assert sum(reasons.values()) > 0.03 * len(raw)
    for prompt in cleaned.train:
        assert not any(one.finds(prompt.messages[-1].content) for one in pii.RECOGNISERS)
    assert len(cleaned.train) > 0.3 * len(raw)


def test_a_foreign_prompt_is_refused_by_name() -> None:
    prompt = instructions.prompts(World.make(1), "train", 1)[0]
    with pytest.raises(ValueError, match="seed 1, not 0"):
        instructions.task_of(WORLD, prompt)
    stray = records.Prompt(id="x", messages=(records.Message("user", "hello"),))
    with pytest.raises(ValueError, match="not of the sandbox"):
        instructions.task_of(WORLD, stray)


def test_few_shot_answers_end_where_the_next_question_begins() -> None:
    text = corpus.prompted("Where does the fox live?", [("What is one plus one?", "One plus one is two.")])
    assert text.endswith("Answer:")
    assert corpus.first_answer("In the sea.\n\nQuestion:\nWhat") == "In the sea."
