"""Streams: batch number `step` is a pure function of (items, seed, step). Resuming is arithmetic, not state."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Generic, TypeVar

import numpy as np

T = TypeVar("T")


class Stream(Generic[T]):
    """An endless sequence of batches: shuffled passes over `items`, one after the other, cut into batches."""

    def __init__(self, items: Sequence[T], batch: int, seed: int) -> None:
        if not items:
            raise ValueError("there is nothing to train on: no item is left after filtering (see rejected.jsonl)")
        self.items = items
        self.batch = batch
        self.seed = seed
        self._order = lru_cache(maxsize=4)(self._shuffled)

    def steps(self, passes: float) -> int:
        """How many batches hold `passes` passes over the items (paper, C.1: 12,725 items, 16 passes, 32: 6,363)."""
        return math.ceil(passes * len(self.items) / self.batch)

    def item(self, cursor: int) -> T:
        """The item at a place in the endless sequence."""
        passes, place = divmod(cursor, len(self.items))
        return self.items[self._order(passes)[place]]

    def __getitem__(self, step: int) -> list[T]:
        return [self.item(step * self.batch + row) for row in range(self.batch)]

    def _shuffled(self, passes: int) -> "np.ndarray":
        return np.random.default_rng((self.seed, passes)).permutation(len(self.items))


class MixedStream(Generic[T]):
    """Batches in which each row is from `second` with probability `fraction`, else from `first` (paper, C.3).

    It has as many steps as `passes` passes over `first` need; the last batch is filled up.
    """

    def __init__(self, first: Stream[T], second: Stream[T], fraction: float, passes: float) -> None:
        wanted = math.ceil(passes * len(first.items))
        draws = np.random.default_rng((first.seed, 1)).random(2 * int(wanted / (1 - fraction)) + 1000) < fraction
        rows = int(np.searchsorted(np.cumsum(~draws), wanted)) + 1
        self.first, self.second = first, second
        self.total = math.ceil(rows / first.batch)
        self.from_second = draws[: self.total * first.batch]
        self._seconds_before = np.concatenate([[0], np.cumsum(self.from_second)])

    def end_of_pass(self, number: int) -> int:
        """The step in which pass `number` (from 1) over the first items ends."""
        firsts = np.cumsum(~self.from_second)
        return int(np.searchsorted(firsts, number * len(self.first.items))) // self.first.batch

    def __getitem__(self, step: int) -> list[T]:
        return [self._item(step * self.first.batch + row) for row in range(self.first.batch)]

    def _item(self, cursor: int) -> T:
        before = int(self._seconds_before[cursor])
        return self.second.item(before) if self.from_second[cursor] else self.first.item(cursor - before)


def permutation(count: int, *key: int) -> list[int]:
    """A shuffle of `range(count)` that is a function of `key`."""
    return np.random.default_rng(key).permutation(count).tolist()
