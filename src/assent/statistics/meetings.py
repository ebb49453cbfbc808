"""Two labelers on one item: on how many pairs of responses they agree, by three rules for ties.

Rankings of as many responses are compared at once, as rows of signs: comparing them two by two took most of the time
of a page.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int

Rankings = Mapping[str, Mapping[str, Sequence[int]]]  # item -> labeler -> ranks of the same responses in one order
Rule = Literal["strict", "drop", "half"]

RULES: tuple[Rule, ...] = ("strict", "drop", "half")


@dataclass(frozen=True)
class Meetings:
    """Two labelers on one item: the share of the item's pairs on which they agree, and how many pairs counted."""

    item: Int[np.ndarray, " n"]
    labelers: Int[np.ndarray, "n 2"]
    agree: Float[np.ndarray, " n"]
    pairs: Int[np.ndarray, " n"]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.item)

    def _take(self, keep: Int[np.ndarray, " n"]) -> "Meetings":
        return Meetings(self.item[keep], self.labelers[keep], self.agree[keep], self.pairs[keep], self.names)

    def without(self, labeler: int) -> "Meetings":
        """Those in which somebody had no part."""
        return self._take(np.flatnonzero((self.labelers != labeler).all(axis=1)))

    def only(self, labeler: int) -> "Meetings":
        """Those in which somebody had a part."""
        return self._take(np.flatnonzero((self.labelers == labeler).any(axis=1)))

    def by_item(self) -> Float[np.ndarray, " items"]:
        """The agreement within each item, all its pairs weighing the same."""
        _, owner = np.unique(self.item, return_inverse=True)
        return np.bincount(owner, weights=self.agree * self.pairs) / np.bincount(owner, weights=self.pairs)

    def mean(self) -> float:
        """The mean of the items."""
        return float(self.by_item().mean())

    def variances(self) -> tuple[float, float]:
        """The two-way variance and the one by item alone.

        Meetings that share a labeler depend on each other, and every meeting has two. Summing the squares over
        labelers counts meetings of the same two twice, which is taken off again.
        """
        _, item = np.unique(self.item, return_inverse=True)
        items, labelers = int(item.max()) + 1, len(np.unique(self.labelers))
        weight = self.pairs / np.bincount(item, weights=self.pairs)[item] / items
        influence = (self.agree - self.mean()) * weight
        by_item = _factor(items) * float((np.bincount(item, weights=influence) ** 2).sum())
        by_labeler = _factor(labelers) * _dyadic(self.labelers, np.zeros_like(item), influence)
        by_both = _dyadic(self.labelers, item, influence)
        return max(by_item + by_labeler - by_both, by_item, by_labeler), by_item


@dataclass(frozen=True)
class Group:
    """All rankings of as many responses each, those of an item together and by labeler; signs: of every pair.

    starts, counts: where an item's rankings begin, and how many they are.
    """

    item: Int[np.ndarray, " n"]
    labeler: Int[np.ndarray, " n"]
    signs: Int[np.ndarray, "n pairs"]
    starts: Int[np.ndarray, " items"]
    counts: Int[np.ndarray, " items"]

    def meetings(self) -> tuple[Int[np.ndarray, " meetings"], Int[np.ndarray, " meetings"]]:
        """Every two rankings of one item: the places of both."""
        one: list[Int[np.ndarray, " meetings"]] = []
        other: list[Int[np.ndarray, " meetings"]] = []
        for count in np.unique(self.counts):
            first, second = np.triu_indices(int(count), 1)
            starts = self.starts[self.counts == count][:, None]
            one.append((starts + first).ravel())
            other.append((starts + second).ravel())
        return np.concatenate(one), np.concatenate(other)


@dataclass(frozen=True)
class Groups:
    """Rankings, those of as many responses together; labelers are numbered in the order of their names."""

    groups: list[Group]
    names: tuple[str, ...]


def grouped(rankings: Rankings) -> Groups:
    """The rankings of items that several ranked; items are numbered as they come. Raises ValueError, see `check`."""
    names = tuple(sorted({name for by_labeler in rankings.values() for name in by_labeler}))
    number = {name: place for place, name in enumerate(names)}
    rows: dict[int, list[tuple[int, int, Sequence[int]]]] = defaultdict(list)
    for item, (prompt, by_labeler) in enumerate(rankings.items()):
        check(prompt, by_labeler)
        if len(by_labeler) > 1:
            found = [(item, number[name], by_labeler[name]) for name in sorted(by_labeler)]
            rows[len(found[0][2])] += found
    groups: list[Group] = []
    for size, several in rows.items():
        items, labelers, ranks = zip(*several, strict=True)
        item = np.array(items)
        _, starts, counts = np.unique(item, return_index=True, return_counts=True)
        place = np.array(ranks, dtype=np.int64).reshape(len(item), size)
        groups.append(Group(item, np.array(labelers), _signs(place).astype(np.int8), starts, counts))
    return Groups(groups, names)


def meetings(groups: Groups, rule: Rule) -> Meetings:
    """Every two labelers of an item, and what its pairs count by a rule. Raises ValueError where none counts."""
    found: list[list[Any]] = [[], [], [], [], []]
    for group in groups.groups:
        one, other = group.meetings()
        agree, pairs = _shares(group.signs[one], group.signs[other], rule)
        counted = pairs > 0
        columns = (group.item[one], group.labeler[one], group.labeler[other], agree, pairs)
        for column, values in zip(found, columns, strict=True):
            column.append(values[counted])
    if not sum(map(len, found[0])):
        raise ValueError("no pair of responses was judged by two labelers; agreement needs items ranked twice")
    item, first, second, agree, pairs = map(np.concatenate, found)
    order = np.argsort(item, kind="stable")
    return Meetings(item[order], np.stack([first, second], axis=1)[order], agree[order], pairs[order], groups.names)


def _shares(
    first: Int[np.ndarray, "n pairs"], second: Int[np.ndarray, "n pairs"], rule: Rule
) -> tuple[Float[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    """The mean of `credit` of each two rankings, and how many pairs it is of; 0 of none."""
    counts = (first != 0) & (second != 0) if rule == "drop" else np.ones(first.shape, dtype=bool)
    total = ((first == second) & counts).sum(axis=1, dtype=np.float64)
    if rule == "half":
        total += 0.5 * ((first == 0) != (second == 0)).sum(axis=1)
    pairs = counts.sum(axis=1)
    return total / np.maximum(pairs, 1), pairs


def ties(groups: Groups) -> float:
    """How often labelers tie two responses: the mean of the items, each the mean of its labelers."""
    tied: dict[int, float] = {}
    for group in groups.groups:
        shares = (group.signs == 0).mean(axis=1)
        for start, count in zip(group.starts, group.counts, strict=True):
            tied[int(group.item[start])] = float(shares[start : start + count].mean())
    return float(np.mean([tied[item] for item in sorted(tied)]))


def signs(ranks: Sequence[int]) -> Int[np.ndarray, " pairs"]:
    """-1, 0 or 1 for every pair of responses: the first is better, as good, worse."""
    return _signs(np.asarray(ranks, dtype=np.int64)[None])[0]


def _signs(place: Int[np.ndarray, "n k"]) -> Int[np.ndarray, "n pairs"]:
    first, second = _pairs(place.shape[1])
    return np.sign(place[:, first] - place[:, second])


@cache
def _pairs(size: int) -> tuple[Int[np.ndarray, " pairs"], Int[np.ndarray, " pairs"]]:
    """The pairs of so many responses."""
    return np.triu_indices(size, 1)


def credit(
    first: Int[np.ndarray, " pairs"], second: Int[np.ndarray, " pairs"], rule: Rule
) -> Float[np.ndarray, " counted"]:
    """What the pairs of two labelers count by a rule, 0 to 1 each; `drop` leaves out those that either ties."""
    same = (first == second).astype(np.float64)
    if rule == "strict":
        return same
    if rule == "drop":
        return same[(first != 0) & (second != 0)]
    return np.where((first == 0) != (second == 0), 0.5, same)


def check(prompt: str, by_labeler: Mapping[str, Sequence[int]]) -> None:
    """Raise ValueError when the labelers of an item ranked different numbers of responses."""
    if len({len(ranks) for ranks in by_labeler.values()}) > 1:
        raise ValueError(f"prompt {prompt!r}: the labelers ranked different numbers of responses")


def _dyadic(
    labelers: Int[np.ndarray, "n 2"], within: Int[np.ndarray, " n"], influence: Float[np.ndarray, " n"]
) -> float:
    """The sum of products over meetings that share a labeler, within each group."""
    one, other = labelers.T
    base = int(labelers.max()) + 1
    shared = _squares(np.concatenate([within * base + one, within * base + other]), np.tile(influence, 2))
    return shared - _squares((within * base + one) * base + other, influence)


def _squares(owner: Int[np.ndarray, " n"], influence: Float[np.ndarray, " n"]) -> float:
    _, compact = np.unique(owner, return_inverse=True)
    return float((np.bincount(compact, weights=influence) ** 2).sum())


def _factor(groups: int) -> float:
    return groups / (groups - 1) if groups > 1 else 1.0
