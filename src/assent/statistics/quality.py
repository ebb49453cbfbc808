"""The quality of labelers where the right answer is known (gold items), and where it is not (Dawid and Skene).

No test here excludes anybody: the answer is one of three, and "open" means that more items are needed. Counts are of
independent gold items; the pairs of one ranking are one item.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from scipy import optimize, special, stats

from assent.statistics.clusters import Judgements
from assent.statistics.intervals import Interval

HONEST, CARELESS = 0.77, 0.55  # rates of agreement with gold: a good labeler's, and one not to be relied on


@dataclass(frozen=True)
class Verdict:
    """What a sequential test says so far: `pass`, `flag`, or `open`. items: how many it took, or there are."""

    state: Literal["pass", "flag", "open"]
    items: int
    log_odds: float


def sequential_test(
    right: Iterable[bool],
    *,
    honest: float = HONEST,
    careless: float = CARELESS,
    false_flag: float = 0.01,
    missed: float = 0.05,
) -> Verdict:
    """Wald's sequential probability ratio test of gold answers in the order they were given.

    It may be looked at after every item, unlike a cut-off. false_flag: the chance that an honest labeler is flagged;
    missed: that a careless one passes. It stays with its first verdict; start again after a talk with the labeler.
    """
    if not 0 < careless < honest < 1:
        raise ValueError(f"honest {honest} and careless {careless}; rates are in (0, 1), the honest one higher")
    flag, clear = math.log((1 - missed) / false_flag), math.log(missed / (1 - false_flag))
    steps = {True: math.log(careless / honest), False: math.log((1 - careless) / (1 - honest))}
    log_odds, items = 0.0, 0
    for answer in right:
        log_odds, items = log_odds + steps[bool(answer)], items + 1
        if log_odds >= flag:
            return Verdict("flag", items, log_odds)
        if log_odds <= clear:
            return Verdict("pass", items, log_odds)
    return Verdict("open", items, log_odds)


def gold_cutoff(items: int, *, honest: float = HONEST, false_flag: float = 0.01) -> int:
    """The number of right answers below which a labeler is flagged: an honest one seldom is. 0 flags nobody."""
    if items < 1:
        raise ValueError(f"{items} gold items; a cut-off needs at least one")
    chances = stats.binom.cdf(np.arange(items + 1), items, honest)
    return int((chances <= false_flag).sum())


def detection(items: int, rate: float, *, honest: float = HONEST, false_flag: float = 0.01) -> float:
    """The chance that the cut-off flags a labeler who is right at the given rate."""
    return float(stats.binom.cdf(gold_cutoff(items, honest=honest, false_flag=false_flag) - 1, items, rate))


# -- Dawid and Skene (1979) ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Truth:
    """What is probably so, and how labelers see it.

    values: the names that were given, sorted. probabilities: item -> probability of each. prevalence: of each value.
    confusion: labeler -> [true, given], rows sum to 1. accuracy: labeler -> the probability that they say what is so,
    with an interval that takes the probabilities as known. trace: the log posterior after each step, never falling.
    switched: the values were put back in order, since labelers seemed to mean the opposite of what they said.
    """

    values: tuple[float, ...]
    probabilities: dict[str, Float[np.ndarray, " values"]]
    prevalence: Float[np.ndarray, " values"]
    confusion: dict[str, Float[np.ndarray, "values values"]]
    accuracy: dict[str, Interval]
    trace: tuple[float, ...]
    switched: bool


def dawid_skene(judged: Judgements, *, steps: int = 500, tolerance: float = 1e-8) -> Truth:
    """The truth behind flags (values 0 and 1, or any few names), by expectation and maximisation.

    P(T_i = k) is in proportion to p_k times, over the labelers l of item i, pi_l[k, what l said]. Starts at the
    majority; one made-up judgement a cell keeps probabilities off 0 and 1. Raises ValueError when only one value was
    ever given: nothing tells right from wrong then.
    """
    values, said = np.unique(judged.values, return_inverse=True)
    if len(values) < 2:
        raise ValueError(f"every judgement is {values[0]}; the truth cannot be told from one value")
    items, item = np.unique(judged.prompts, return_inverse=True)
    labelers, labeler = np.unique(judged.labelers, return_inverse=True)
    sizes = (len(items), len(labelers), len(values))
    truth = _majority(item, said, sizes)
    trace: list[float] = []
    while True:
        prevalence, confusion = _maximise(truth, item, labeler, said, sizes)
        truth, height = _expect(prevalence, confusion, item, labeler, said, sizes)
        trace.append(height)
        if len(trace) >= steps or (len(trace) > 1 and height - trace[-2] < tolerance * abs(height)):
            break
    order = _said_order(truth, item, said, sizes)
    truth, prevalence, confusion = truth[:, order], prevalence[order], confusion[:, order]
    return Truth(
        tuple(values.tolist()),
        dict(zip(map(str, items), truth, strict=True)),
        prevalence,
        dict(zip(map(str, labelers), confusion, strict=True)),
        dict(zip(map(str, labelers), _accuracy(truth, item, labeler, said, sizes[1]), strict=True)),
        tuple(trace),
        bool((order != np.arange(len(values))).any()),
    )


Sizes = tuple[int, int, int]  # items, labelers, values
Index = Int[np.ndarray, " n"]


def _majority(item: Index, said: Index, sizes: Sizes) -> Float[np.ndarray, "items values"]:
    counts = np.zeros((sizes[0], sizes[2]))
    np.add.at(counts, (item, said), 1)
    return counts / counts.sum(axis=1, keepdims=True)


def _maximise(
    truth: Float[np.ndarray, "items values"], item: Index, labeler: Index, said: Index, sizes: Sizes
) -> tuple[Float[np.ndarray, " values"], Float[np.ndarray, "labelers values values"]]:
    cell, cells = labeler * sizes[2] + said, sizes[1] * sizes[2]
    counts = [np.bincount(cell, weights=column[item], minlength=cells) for column in truth.T]  # one for each true value
    confusion = 1 + np.stack([count.reshape(sizes[1], sizes[2]) for count in counts], axis=1)
    prevalence = 1 + truth.sum(axis=0)
    return prevalence / prevalence.sum(), confusion / confusion.sum(axis=2, keepdims=True)


def _expect(
    prevalence: Float[np.ndarray, " values"],
    confusion: Float[np.ndarray, "labelers values values"],
    item: Index,
    labeler: Index,
    said: Index,
    sizes: Sizes,
) -> tuple[Float[np.ndarray, "items values"], float]:
    """The probability of each value for each item, and the log posterior of the parameters."""
    told = np.log(confusion)
    sums = [np.bincount(item, weights=told[labeler, true, said], minlength=sizes[0]) for true in range(sizes[2])]
    logs = np.log(prevalence) + np.stack(sums, axis=1)
    total = special.logsumexp(logs, axis=1, keepdims=True)
    return np.exp(logs - total), float(total.sum() + np.log(confusion).sum() + np.log(prevalence).sum())


def _said_order(
    truth: Float[np.ndarray, "items values"], item: Index, said: Index, sizes: Sizes
) -> Int[np.ndarray, " values"]:
    """The order of the classes in which most judgements say what is so: the names of hidden classes are arbitrary."""
    together = np.zeros((sizes[2], sizes[2]))
    np.add.at(together, said, truth[item])
    return optimize.linear_sum_assignment(-together)[1]


def _accuracy(
    truth: Float[np.ndarray, "items values"], item: Index, labeler: Index, said: Index, labelers: int
) -> list[Interval]:
    right = np.bincount(labeler, weights=truth[item, said], minlength=labelers)
    counts = np.bincount(labeler, minlength=labelers)
    found: list[Interval] = []
    for r, n in zip(right, counts, strict=True):
        low, high = stats.beta.ppf((0.025, 0.975), r + 0.5, n - r + 0.5)
        found.append(Interval(float(r / n), float(low), float(high)))
    return found
