"""Whether a labeler agrees with a key, with their own earlier answers, and with nothing but where a response stood.

Everything here takes rank vectors: the rank of each response, in one order of the responses. The order itself, best
first, is another list of the same numbers, and taking one for the other gives wrong correlations that look right.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

from assent.statistics.clusters import Clustered, Clusters
from assent.statistics.intervals import Listed
from assent.statistics.meetings import Rule, credit, signs
from assent.statistics.multiple import holm


def ranks_of(order: Sequence[Hashable], responses: Sequence[Hashable]) -> tuple[int, ...]:
    """The rank vector, in the order of `responses`, of an order given best first."""
    if sorted(map(str, order)) != sorted(map(str, responses)) or len(set(order)) != len(order):
        raise ValueError(f"the order {list(order)} does not hold each of {list(responses)} once")
    place = {response: number + 1 for number, response in enumerate(order)}
    return tuple(place[response] for response in responses)


def rank_correlation(one: Sequence[int], other: Sequence[int]) -> float | None:
    """Kendall's tau-b of two rank vectors of the same responses; None when either ties everything.

    Raises ValueError for what cannot be ranks: different lengths, names, or numbers below 1.
    """
    first, second = _ranks(one), _ranks(other)
    if len(first) != len(second):
        raise ValueError(f"{len(first)} and {len(second)} ranks; both rank the same responses")
    if len(set(first)) == 1 or len(set(second)) == 1:
        return None
    found: Any = stats.kendalltau(first, second)
    return float(found.statistic)


def kappa(one: Listed, other: Listed) -> float | None:
    """Cohen's kappa of two lists of names given to the same items: agreement beyond what their habits make by chance.

    None when both only ever used one and the same name: chance is then perfect. Raises ValueError for other lengths.
    """
    first, second = np.asarray(one), np.asarray(other)
    if first.shape != second.shape or first.ndim != 1 or not len(first):
        raise ValueError(f"{first.size} and {second.size} judgements; kappa needs two lists of the same items")
    names, code = np.unique(np.concatenate([first, second]), return_inverse=True)
    table = np.zeros((len(names), len(names)))
    np.add.at(table, (code[: len(first)], code[len(first) :]), 1 / len(first))
    chance = float(table.sum(axis=0) @ table.sum(axis=1))
    return None if chance >= 1 - 1e-12 else (float(table.trace()) - chance) / (1 - chance)


@dataclass(frozen=True)
class Retest:
    """One item that a labeler ranked twice, weeks apart; both rank vectors are in the same order of responses."""

    item: str
    labeler: str
    first: tuple[int, ...]
    again: tuple[int, ...]


def retest_agreement(retests: Sequence[Retest], rule: Rule) -> Clustered:
    """How often labelers agree with themselves, by the same rules as with others: the ceiling of those numbers.

    Averaged within each retest first. Raises ValueError when no pair of responses counts.
    """
    counted: list[tuple[float, str, str]] = []
    for one in retests:
        if len(one.first) != len(one.again):
            raise ValueError(
                f"item {one.item!r}, labeler {one.labeler!r}: {len(one.first)} ranks and {len(one.again)} later"
            )
        shared = credit(signs(one.first), signs(one.again), rule)
        if len(shared):
            counted.append((float(shared.mean()), one.item, one.labeler))
    if not counted:
        raise ValueError("nobody ranked an item twice; serve some items again after a week, in a new order")
    values, items, labelers = (np.array(column) for column in zip(*counted, strict=True))
    mean = float(values.mean())
    return Clusters(items, labelers).interval(mean, (values - mean) / len(values))


@dataclass(frozen=True)
class PositionBias:
    """Whether the place where a response was shown decides whether it comes first.

    shares: how often the first-ranked response stood at each place, and `expected`, how often it would by chance.
    adjusted: the p value after Holm's correction over the labelers. rankings: how many had a single best response
    and count.
    """

    shares: tuple[float, ...]
    expected: tuple[float, ...]
    chi_square: float
    freedom: int
    p_value: float
    adjusted: float
    rankings: int


def position_bias(rankings: Mapping[str, Sequence[tuple[Sequence[int], Sequence[int]]]]) -> dict[str, PositionBias]:
    """A chi-square test for every labeler: labeler -> (ranks, the place each response was shown at, 0 first).

    Responses must have been shown in random order. Rankings of different K are tested together, each K against its
    own chance; those that tie for the first rank are left out. Labelers without a ranking that counts are left out.
    """
    found: dict[str, PositionBias] = {}
    for labeler, rows in rankings.items():
        longest = max((len(ranks) for ranks, _ in rows), default=0)
        counts = np.zeros((longest + 1, longest), dtype=np.int64)  # by K, by place
        for ranks, shown in rows:
            if sorted(shown) != list(range(len(ranks))):
                raise ValueError(f"labeler {labeler!r}: {list(shown)} are no places of {len(ranks)} responses")
            best = np.flatnonzero(np.asarray(ranks) == min(ranks))
            if len(best) == 1:
                counts[len(ranks), shown[int(best[0])]] += 1
        if counts.any():
            found[labeler] = _chi_square(counts)
    adjusted = holm([one.p_value for one in found.values()])
    return {name: replace(one, adjusted=float(p)) for (name, one), p in zip(found.items(), adjusted, strict=True)}


def _chi_square(counts: Int[np.ndarray, "sizes places"]) -> PositionBias:
    chance = np.zeros_like(counts, dtype=np.float64)
    for size in np.flatnonzero(counts.any(axis=1)):
        chance[size, :size] = counts[size].sum() / size
    used = chance > 0
    chi_square = float(((counts - chance)[used] ** 2 / chance[used]).sum())
    freedom = int(used.sum() - used.any(axis=1).sum())
    total = int(counts.sum())
    return PositionBias(
        shares=tuple((counts.sum(axis=0) / total).tolist()),
        expected=tuple((chance.sum(axis=0) / total).tolist()),
        chi_square=chi_square,
        freedom=freedom,
        p_value=float(stats.chi2.sf(chi_square, freedom)),
        adjusted=math.nan,
        rankings=total,
    )


def _ranks(given: Sequence[int]) -> Float[np.ndarray, " K"]:
    found = np.asarray(given)
    if found.dtype.kind not in "iu" or found.ndim != 1 or not len(found) or found.min() < 1:
        raise ValueError(f"{list(given)} is no rank vector: one whole number from 1 for each response; see ranks_of")
    return found.astype(np.float64)
