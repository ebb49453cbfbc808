"""Whether a labeler says what is known: the sequential test of gold items."""

import hashlib
from collections.abc import Iterable
from dataclasses import asdict
from itertools import combinations
from typing import Any

from assent.label.book import Judged


def gate(rows: Iterable[Judged]) -> dict[str, Any]:
    """The sequential test of a labeler's gold items, in the order they were done; "unknown" without any.

    The pairs of one item depend on each other, so each item gives one: a pair that both put in an order, chosen by a
    hash. share: over all such pairs.
    """
    from assent.statistics.quality import sequential_test

    right: list[bool] = []
    agreed = counted = 0
    for row in rows:
        if row.gold is None:
            continue
        pairs = [
            (row.gold[a] < row.gold[b]) == (row.ranks[a] < row.ranks[b])
            for a, b in combinations(range(len(row.ranks)), 2)
            if row.gold[a] != row.gold[b] and row.ranks[a] != row.ranks[b]
        ]
        if pairs:
            digest = hashlib.sha256(f"{row.item} {row.labeler}".encode()).digest()
            right.append(pairs[int.from_bytes(digest[:4]) % len(pairs)])
            agreed, counted = agreed + sum(pairs), counted + len(pairs)
    if not right:
        return {"state": "unknown", "items": 0}
    return {**asdict(sequential_test(right)), "share": agreed / counted, "seen": len(right)}
