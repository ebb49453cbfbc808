"""Endpoints, and what gives a text a number: word lists, classifiers, judges of truth."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tests import tiny
from tests.evaluate.kit import serving

from assent import records
from assent.evaluate.endpoint import Endpoint
from assent.evaluate.scorers import asked, scorer


@pytest.fixture
def url() -> Iterator[str]:
    with serving() as url:
        yield url


def test_an_endpoint_that_stalls_is_a_sentence_and_a_gap(url: str) -> None:
    endpoint = Endpoint(url, "m", seconds=0.3)
    assert endpoint.write(["good", "slow", "bad"], 8, "\n", chat=False) == [("yes.", "eos"), None, ("no", "eos")]
    assert endpoint.failures == [f"{url}#m gave no answer within 0.3 seconds; see that it runs, or raise --seconds"]
    drips = Endpoint(url, "m", seconds=0.3)
    assert drips.write(["drip"], 8, "\n", chat=False) == [None]  # every byte comes in time, the answer never
    assert drips.failures == endpoint.failures
    assert endpoint.write(["broken"], 8, "\n", chat=True) == [None]
    assert "refused with status 400" in endpoint.failures[-1]
    other = Endpoint(url, "m")
    assert other.write(["strange"], 8, "\n", chat=True) == [None]
    assert "something else than an OpenAI-compatible completion" in other.failures[-1]
    for _ in range(4):
        other.write(["broken"], 8, "\n", chat=True)
    assert sum("was given up" in one for one in other.failures) == 1
    assert len(other.failures) == 4  # given up: no more was asked
    nowhere = Endpoint("http://127.0.0.1:9", "m", seconds=0.3)
    assert nowhere.write(["good"], 8, "\n", chat=False) == [None]
    assert "cannot be reached" in nowhere.failures[0]


def test_a_judge_must_keep_to_its_grammar(url: str) -> None:
    judge = scorer(f"{url}#judge", "truth", tiny.MACHINE)
    assert judge.scores([("q", "good"), ("q", "bad"), ("q", "odd")]) == [1.0, 0.0, None]
    assert "unknown verdict 'Well, perhaps'; it must say yes or no" in judge.failures()[0]


def test_a_word_list_is_a_floor(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("bad\n")
    words = scorer(str(tmp_path / "words.txt"), "toxicity", tiny.MACHINE)
    assert words.scores([("", "A BAD day"), ("", "badly done"), ("bad", "")]) == [1.0, 0.0, 0.0]
    (tmp_path / "none.txt").write_text("\n")
    with pytest.raises(ValueError, match="holds no word; write one a line"):
        scorer(str(tmp_path / "none.txt"), "toxicity", tiny.MACHINE)


def test_a_language_model_judges_by_yes_against_no(blank: Path) -> None:
    judge = scorer(str(blank), "truth", tiny.MACHINE)
    model = tiny.model(blank)
    (found,) = judge.scores([("say", "red")])
    prompt = model.text.prompt([records.Message("user", "Q: say\nA: red\nTrue:")])
    assert asked("truth", "say", "red") == "Q: say\nA: red\nTrue:"
    sums: list[float] = []
    for word in ("yes", "no"):
        ids = model.text.response(word)
        states = model.forward.states_before([prompt], [ids])
        logprobs = (states @ model.module.lm_head.weight.t()).log_softmax(-1)
        sums.append(float(logprobs[torch.arange(len(ids)), ids].sum().detach()))
    assert found == pytest.approx(float(torch.tensor(sums).softmax(0)[0]), abs=1e-5)


def test_a_classifier_gives_the_probability_of_its_label(tmp_path: Path, blank: Path) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(blank)
    torch.manual_seed(0)
    module = AutoModelForSequenceClassification.from_pretrained(blank, num_labels=2)
    module.config.id2label = {0: "fine", 1: "toxic"}
    module.config.pad_token_id = tokenizer.eos_token_id
    module.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    texts = ["say red then blue", "good"]
    found = scorer(str(tmp_path), "toxicity", tiny.MACHINE).scores([("", text) for text in texts])
    for text, value in zip(texts, found, strict=True):
        logits = module(**tokenizer(text, return_tensors="pt")).logits
        assert value == pytest.approx(float(logits.softmax(-1)[0, 1].detach()), abs=1e-5)
    module.config.id2label = {0: "fine", 1: "well"}
    module.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="which of the labels fine, well means yes"):
        scorer(str(tmp_path), "toxicity", tiny.MACHINE).scores([("", "good")])
