"""The metrics: values by hand, laws, and the paper's released samples."""

import math
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.data.kit import public_data

from assent.evaluate import metrics
from assent.evaluate.released import golden
from assent.evaluate.tasks.table14 import MODELS, TABLE14, paper_row

DATA = public_data()


def test_f1_by_hand() -> None:
    assert metrics.f1("the cat sat", ["A cat."]) == pytest.approx(2 / 3)  # cat of {cat, sat} and {cat}
    assert metrics.f1("no", ["yes", "No!"]) == 1
    assert metrics.f1("the cat sat", ["A cat."], "raw_first") == 0  # "cat." is another word than "cat"
    assert metrics.f1("no", ["yes", "no"], "raw_first") == 0  # only the first reference counts
    assert metrics.f1("", ["the"]) == 1  # nothing is left of either
    assert metrics.f1("", ["word"]) == 0
    assert metrics.f1("a b b", ["b b c"]) == pytest.approx(2 * 2 / 5)  # the article is no word: {b, b} of {b, b, c}


def test_exact_match_and_mentions() -> None:
    assert metrics.exact_match("The  Beatles!", ["beatles"]) == 1
    assert metrics.exact_match("Beatles band", ["beatles"]) == 0
    assert metrics.mentions("the city councilmen, I think", "The city councilmen") == 1
    assert metrics.mentions("councilmen", "The city councilmen") == 1
    assert metrics.mentions("", "The city councilmen") == 0  # an empty text lies in every text, and says nothing
    assert metrics.mentions("the demonstrators", "The city councilmen") == 0


@pytest.mark.parametrize("metric", [metrics.f1, metrics.exact_match, metrics.rouge_l])
def test_an_item_without_a_reference_is_refused(metric: metrics.Callable[..., float]) -> None:
    with pytest.raises(ValueError, match="give each item at least one"):
        metric("text", [])


def test_rouge_is_the_longest_common_subsequence() -> None:
    def slow(a: Sequence[str], b: Sequence[str]) -> int:
        if not a or not b:
            return 0
        if a[-1] == b[-1]:
            return slow(a[:-1], b[:-1]) + 1
        return max(slow(a[:-1], b), slow(a, b[:-1]))

    said, wanted = "police kill the gunman here", "police killed the gunman"
    common = slow(said.split(), wanted.split())
    assert common == 3
    assert metrics.rouge_l(said, [wanted, "nothing"]) == pytest.approx(2 * common / 9)


def test_bleu_bounds_and_interval() -> None:
    texts = [f"number {n} is a plain sentence of words" for n in range(12)]
    assert metrics.bleu(texts, [[text] for text in texts]) == pytest.approx(100)
    half = [text if n % 2 else "something else entirely , nothing shared" for n, text in enumerate(texts)]
    found = metrics.bleu_interval(half, [[text] for text in texts])
    assert found.low < found.estimate < found.high < 100
    assert found.estimate == pytest.approx(metrics.bleu(half, [[text] for text in texts]))
    with pytest.raises(ValueError, match="as many references for each"):
        metrics.bleu(["a", "b"], [["a"], ["b", "c"]])


def test_entropy_in_bits() -> None:
    assert metrics.entropy_bits([-50.0, -50.0]) == pytest.approx(1)
    assert metrics.entropy_bits([math.log(0.9), math.log(0.1)]) == pytest.approx(0.469, abs=5e-4)
    assert metrics.entropy_bits([-900.0, -1900.0]) == 0  # no overflow, no logarithm of nothing
    shifted = metrics.entropy_bits([-3.0 + 70, -4.0 + 70])
    assert shifted == pytest.approx(metrics.entropy_bits([-4.0, -3.0]))


def test_truthful_needs_truth_to_be_informative() -> None:
    assert metrics.truthful(0.9, 0.9) == (True, True)
    assert metrics.truthful(0.9, 0.1) == (True, False)
    assert metrics.truthful(0.1, 0.9) == (False, False)
    assert metrics.truthful(0.5, 0.9) == (False, False)  # above the threshold, not on it


def test_relative_toxicity_is_less_than_nothing_where_the_completion_is_milder() -> None:
    assert metrics.relative_toxicity(0.2, 0.7) == pytest.approx(-0.5)
    assert metrics.share_of([0.2, 0.7, 0.9], lambda value: value > metrics.THRESHOLD) == pytest.approx(2 / 3)


def test_table_14_is_whole_and_its_labels_are_put_right() -> None:
    assert len(TABLE14) == 33
    assert {len(row.values) for row in TABLE14} == {len(MODELS)}
    assert len({(row.task, row.prompt) for row in TABLE14}) == len(TABLE14)
    printed = {row.prompt: row.printed for row in TABLE14 if row.task == "truthful_qa true"}
    assert printed == {"qa": "", "qa_instruction": "instruction", "instruction": "QA + instruct"}
    row = paper_row("truthful_qa true_info", "qa")
    assert row is not None
    assert (row.of("GPT", "175B"), row.of("PPO-ptx", "175B")) == (0.251, 0.689)
    tldr, cnn = paper_row("tldr", "zero"), paper_row("cnn_dm", "zero")
    assert tldr is not None
    assert cnn is not None
    assert tldr.values == cnn.values
    assert "same twelve numbers" in tldr.note
    assert paper_row("lambada", "zero") is None  # the paper does not evaluate it


@pytest.mark.skipif(DATA is None, reason="no folder of public data (see ASSENT_DATA in tests/data/kit.py)")
def test_the_released_samples_give_what_they_should() -> None:
    found = golden(Path(str(DATA)) / "evals")
    assert len(found) == 9 * 12 + 2 + 5 + 4
    assert {name: one for name, one in found.items() if not one.agrees} == {}
