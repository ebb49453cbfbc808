"""Gold items and hidden truth: published cut-offs, error rates by trying them, labels that are found again."""

import itertools

import numpy as np
import pytest
from scipy import special

from assent.statistics.clusters import Judgements, judgements
from assent.statistics.quality import _said_order, dawid_skene, detection, gold_cutoff, sequential_test


@pytest.mark.parametrize(
    ("items", "cutoff", "coin", "sixty"),
    [(20, 11, 0.59, None), (40, 24, 0.87, None), (60, 38, 0.97, 0.65), (100, 67, 1.0, 0.91)],
)
def test_golden_cutoffs(items: int, cutoff: int, coin: float, sixty: float | None) -> None:
    assert gold_cutoff(items) == cutoff
    assert detection(items, 0.5) == pytest.approx(coin, abs=0.005)
    assert detection(items, 0.77) <= 0.01
    if sixty:
        assert detection(items, 0.6) == pytest.approx(sixty, abs=0.005)


def test_few_items_flag_nobody() -> None:
    assert gold_cutoff(1) == 0
    assert detection(1, 0.5) == 0.0
    with pytest.raises(ValueError, match="at least one"):
        gold_cutoff(0)


def test_the_sequential_test_errs_as_seldom_as_it_says() -> None:
    generator = np.random.default_rng(0)
    states = {
        rate: [sequential_test((generator.random(400) < rate).tolist()).state for _ in range(2000)]
        for rate in (0.77, 0.55, 0.4)
    }
    assert np.mean([state == "flag" for state in states[0.77]]) <= 0.013
    assert np.mean([state == "pass" for state in states[0.55]]) <= 0.055
    assert np.mean([state == "open" for state in states[0.77]]) < 0.01
    assert states[0.4].count("flag") >= 1990


def test_the_sequential_test_is_the_likelihood_ratio() -> None:
    """Wrong, right, wrong by hand; open until the boundary; the verdict stays whatever follows."""
    found = sequential_test([False, True, False])
    assert found.log_odds == pytest.approx(2 * np.log(0.45 / 0.23) + np.log(0.55 / 0.77))
    assert (found.state, found.items) == ("open", 3)
    flagged = sequential_test([False] * 7 + [True] * 100)
    assert flagged.state == "flag"
    assert flagged.items == 7
    assert sequential_test([]).state == "open"
    with pytest.raises(ValueError, match="higher"):
        sequential_test([True], honest=0.5, careless=0.6)


# -- Dawid and Skene -----------------------------------------------------------------------------------------------


def flagged(seed: int, items: int = 400) -> tuple[Judgements, np.ndarray, np.ndarray]:
    """Five labelers of known sensitivity and specificity, three of them on each item; 20 % of the items are so."""
    generator = np.random.default_rng(seed)
    right = np.array([[0.95, 0.9], [0.9, 0.85], [0.97, 0.7], [0.85, 0.95], [0.55, 0.5]])  # given 0, given 1
    truth, rows = (generator.random(items) < 0.2).astype(int), list[tuple[float, str, str]]()
    for item, true in enumerate(truth):
        for labeler in generator.choice(5, size=3, replace=False):
            said = true if generator.random() < right[labeler, true] else 1 - true
            rows.append((float(said), f"{item:04d}", f"l{labeler}"))
    return judgements(*zip(*rows, strict=True)), truth, right


def test_labelers_and_truth_are_found() -> None:
    judged, truth, right = flagged(1, items=3000)
    found = dawid_skene(judged)
    assert found.prevalence[1] == pytest.approx(0.2, abs=0.02)
    for labeler in range(5):
        assert found.confusion[f"l{labeler}"].diagonal() == pytest.approx(right[labeler], abs=0.06)
    probable = np.array([found.probabilities[f"{item:04d}"][1] for item in range(3000)])
    sums, counts = (np.zeros(3000), np.zeros(3000))
    np.add.at(sums, judged.prompts.astype(int), judged.values)
    np.add.at(counts, judged.prompts.astype(int), 1)
    majority = sums / counts > 0.5
    assert ((probable > 0.5) == truth).mean() > (majority == truth).mean() + 0.02
    assert found.accuracy["l4"].high < 0.65
    assert found.accuracy["l0"].low > 0.9


def test_the_likelihood_never_falls() -> None:
    for seed in range(5):
        trace = dawid_skene(flagged(seed)[0]).trace
        assert len(trace) > 3
        assert all(after >= before - 1e-9 for before, after in itertools.pairwise(trace))


def test_the_posterior_is_bayes_rule() -> None:
    """One item again by hand, from the parameters that were found."""
    judged, *_ = flagged(2)
    found = dawid_skene(judged)
    item = judged.prompts[0]
    logs = np.log(found.prevalence)
    for value, prompt, labeler in zip(judged.values, judged.prompts, judged.labelers, strict=True):
        if prompt == item:
            logs = logs + np.log(found.confusion[labeler][:, int(value)])
    assert found.probabilities[item] == pytest.approx(special.softmax(logs), abs=1e-6)


def test_names_of_values_are_names() -> None:
    judged, *_ = flagged(3)
    one, other = dawid_skene(judged), dawid_skene(judgements(1 - judged.values, judged.prompts, judged.labelers))
    for item, probabilities in one.probabilities.items():
        assert other.probabilities[item] == pytest.approx(probabilities[::-1], abs=1e-5)
    assert not one.switched
    assert not other.switched


def test_classes_that_came_out_exchanged_are_put_back() -> None:
    """Hidden classes have no names of their own; the order is taken in which judgements say what is so."""
    said, item = np.array([0, 0, 1, 1, 0, 0]), np.array([0, 0, 1, 1, 2, 2])
    truth = np.array([[0.95, 0.05], [0.1, 0.9], [0.9, 0.1]])
    assert _said_order(truth, item, said, (3, 1, 2)).tolist() == [0, 1]
    assert _said_order(truth[:, ::-1].copy(), item, said, (3, 1, 2)).tolist() == [1, 0]


def test_one_value_tells_nothing() -> None:
    with pytest.raises(ValueError, match="one value"):
        dawid_skene(judgements([0, 0], ["p", "q"], ["l", "l"]))
