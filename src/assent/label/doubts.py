"""Which items a lead should look at: where labelers disagree most, and known answers that most of them contradict."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from itertools import combinations
from typing import Any

from sqlalchemy import Connection, select

from assent.label.book import Book, Judged
from assent.label.phrases import phrase
from assent.label.store import reviews
from assent.label.store.reviews import Review
from assent.label.store.tables import adjudication, item

POOR = 4.0  # demonstrations that others rate lower on average wait for a lead: right and wrong are in balance at 4
_POORLY = phrase("a demonstration that others rate low")


def queue(book: Book, without: Collection[int], most: int = 50) -> list[dict[str, Any]]:
    """Items on which labelers disagree most, and gold that most of them contradict, without those that were decided."""
    of_item: dict[int, list[Judged]] = defaultdict(list)
    for row in book.rows:
        if row.stratum != "retest" and row.item not in without:
            of_item[row.item].append(row)
    found = [one for rows in of_item.values() for one in _doubtful(rows)]
    return sorted(found, key=lambda one: one["agreement"])[:most]


def poor(given: Iterable[Review], without: Collection[int], most: int = 50) -> list[dict[str, Any]]:
    """Items with a demonstration that others rate below `POOR`, the lowest first, without those that were decided."""
    given = [one for one in given if one.item not in without]
    names, readers = {one.item: one.record for one in given}, defaultdict[int, set[str]](set)
    for one in given:
        readers[one.item].add(one.reviewer)
    lowest: dict[int, float] = {}
    for (number, _), mean in reviews.means(given).items():
        lowest[number] = min(mean, lowest.get(number, POOR))
    found = [
        {"item": number, "record": names[number], "labelers": len(readers[number]), "why": _POORLY, "rating": mean}
        for number, mean in lowest.items()
        if mean < POOR
    ]
    return sorted(found, key=lambda one: one["rating"])[:most]


def decided(connection: Connection, number: int) -> set[int]:
    """The items of a batch that a lead has decided about."""
    rows = select(adjudication.c.item).join(item, item.c.id == adjudication.c.item).where(item.c.batch == number)
    return set(connection.execute(rows).scalars())


def _doubtful(rows: Sequence[Judged]) -> list[dict[str, Any]]:
    facts = {"item": rows[0].item, "record": rows[0].record, "labelers": len(rows)}
    found: list[dict[str, Any]] = []
    keyed = [_same(row.gold, row.ranks) for row in rows if row.gold is not None]
    if len(keyed) >= 3 and not rows[0].retired:
        share = sum(keyed) / len(keyed)
        if share < 0.5:
            found.append({**facts, "why": phrase("gold that most contradict"), "agreement": share})
    if not keyed and len(rows) >= 2:
        pairs = [_same(a.ranks, b.ranks) for a, b in combinations(rows, 2)]
        share = sum(pairs) / len(pairs)
        if share < 0.5:
            found.append({**facts, "why": phrase("labelers disagree"), "agreement": share})
    return found


def _same(one: Sequence[int], other: Sequence[int]) -> float:
    """The share of pairs that two rankings put the same way, ties included."""
    pairs = list(combinations(range(len(one)), 2))
    return sum(_sign(one[a] - one[b]) == _sign(other[a] - other[b]) for a, b in pairs) / len(pairs)


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)
