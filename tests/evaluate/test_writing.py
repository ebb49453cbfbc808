"""How models write and weigh: stops, rounds, prompts that are too long, and lm-eval's requests."""

from pathlib import Path

import pytest
import torch
from tests import tiny

from assent import records
from assent.evaluate import generation, harness


def test_texts_are_cut_at_the_stop_and_rounds_change_nothing(blank: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny.model(blank)
    prompts = [generation.plain_prompt(model.text, f"say {word} then", 30)[0] for word in tiny.WORDS]
    whole = generation.complete(model, prompts, 24, "\0")
    stop = next(letter for letter in "aeiou adn" if sum(letter in one.text for one in whole) > 1)
    expected = [one.text.partition(stop)[0].strip() if stop in one.text else one.text for one in whole]
    for first in (2, 24):
        monkeypatch.setattr(generation, "FIRST_ROUND", first)
        found = generation.complete(model, prompts, 24, stop)
        assert [one.text for one in found] == expected
        assert all(one.finish == "stop" for one, full in zip(found, whole, strict=True) if stop in full.text)
    assert {one.finish for one in whole} <= {"eos", "length"}


def test_a_prompt_that_is_too_long_loses_its_beginning(blank: Path) -> None:
    text = tiny.model(blank).text
    ids, cut = generation.plain_prompt(text, "say red then blue " * 30, 20)
    assert (len(ids), cut) == (20, True)
    whole = text.prompt([records.Message("user", "say red")])
    chat, cut = generation.chat_prompt(text, "say red", 64)
    assert (chat.tolist(), cut) == (whole.tolist(), False)
    short, cut = generation.chat_prompt(text, "say red then blue " * 30, len(whole) + 4)
    assert cut
    assert len(short) <= len(whole) + 4
    assert short[-4:].tolist() == whole[-4:].tolist()  # the assistant is still asked


@torch.no_grad()
def test_the_harness_gives_our_numbers(blank: Path) -> None:
    model = tiny.model(blank)
    pairs = [("say red then", " blue"), ("say", " red"), ("say red then", " gold")]
    found = harness.loglikelihood(model, pairs)
    for (context, ending), (value, _) in zip(pairs, found, strict=True):
        ids = model.text.plain(context + ending)
        logits = (model.forward.states_before([ids[:1]], [ids[1:]]) @ model.module.lm_head.weight.t()).log_softmax(-1)
        tokens = len(ids) - len(model.text.plain(context))
        own = logits[torch.arange(len(ids) - 1), ids[1:]][-tokens:].sum()
        assert value == pytest.approx(float(own), abs=1e-4)
    (rolling,) = harness.loglikelihood_rolling(model, ["say red then blue and pink. good bad fine " * 6])
    assert rolling < 0
    text = harness.generate_until(model, [("say red", {"until": ["\n", "o"], "max_gen_toks": 8})])[0]
    assert "o" not in text
    with pytest.raises(ValueError, match="only greedy"):
        harness.generate_until(model, [("say", {"do_sample": True, "temperature": 1.0})])
