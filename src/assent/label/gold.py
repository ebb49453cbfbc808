"""Whether a labeler says what is known, and whether what is known has become known to the labelers.

Of a labeler the sequential test of gold items says pass, flag, open or unknown. Of a gold item the evidence that it has
leaked says leaked, sound or unknown; a lead looks at it and retires the item or does not. Neither removes an answer.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from statistics import median
from typing import Any, Literal

from assent.label.book import Judged

FEWEST = 10  # answers to an item before anything is said of it: two halves of five
UNLIKELY = 0.05  # for a jump, after Holm's correction over the items
ALIKE, FAST = 0.8, 0.5  # of the later half: the share with one and the same ranking; the pace against one's own


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


@dataclass(frozen=True)
class Leak:
    """Whether a gold item has leaked, from its answers in the order they were given.

    before, after: the share of the earlier and of the later half that put every pair as the key does. unlikely: the
    chance of such a rise (Fisher's exact test, one-sided, Holm's correction over the items). alike: the share of the
    later half with its most frequent ranking. pace: the median, over the later half, of the time taken against the
    labeler's own median elsewhere; None where there is none. since: when the later half began.
    """

    item: int
    record: str
    answers: int
    state: Literal["leaked", "sound", "unknown"]
    before: float | None = None
    after: float | None = None
    unlikely: float | None = None
    alike: float | None = None
    pace: float | None = None
    since: float | None = None


def leaks(rows: Sequence[Judged]) -> list[Leak]:
    """What speaks for a leak of every gold item in use, in the order of items.

    An item is `leaked` when its answers became right at once, or when the later ones are alike and given in half the
    time that their labelers need elsewhere; `unknown` below ten answers. Where all items rise, labelers have learnt.
    """
    from assent.statistics.multiple import holm

    usual = _usual(rows)
    of_item: dict[int, list[Judged]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row.at):
        if row.gold is not None and not row.retired:
            of_item[row.item].append(row)
    found = {number: _evidence(given, usual) for number, given in sorted(of_item.items())}
    tested = [number for number, one in found.items() if one.unlikely is not None]
    chances = holm([one.unlikely for one in found.values() if one.unlikely is not None])
    for number, chance in zip(tested, chances, strict=True):
        one = found[number]
        fast = one.alike is not None and one.alike >= ALIKE and one.pace is not None and one.pace <= FAST
        state = "leaked" if fast or chance < UNLIKELY else "sound"
        found[number] = replace(one, unlikely=float(chance), state=state)
    return list(found.values())


def _usual(rows: Iterable[Judged]) -> dict[str, float]:
    """The median time of every labeler over items without a known answer."""
    times: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        if row.stratum != "gold":
            times[row.labeler].append(row.seconds)
    return {name: median(seconds) for name, seconds in times.items()}


def _evidence(given: Sequence[Judged], usual: Mapping[str, float]) -> Leak:
    """One item, before the others are thought of; `state` is unknown as yet."""
    from scipy import stats

    first = given[0]
    if len(given) < FEWEST:
        return Leak(first.item, first.record, len(given), "unknown")
    middle = len(given) // 2
    early, late = ([_as_known(row) for row in half] for half in (given[:middle], given[middle:]))
    table = [[sum(late), len(late) - sum(late)], [sum(early), len(early) - sum(early)]]
    test: Any = stats.fisher_exact(table, alternative="greater")
    paces = [row.seconds / usual[row.labeler] for row in given[middle:] if usual.get(row.labeler)]
    return Leak(
        item=first.item,
        record=first.record,
        answers=len(given),
        state="unknown",
        before=sum(early) / len(early),
        after=sum(late) / len(late),
        unlikely=float(test.pvalue),
        alike=Counter(row.ranks for row in given[middle:]).most_common(1)[0][1] / len(late),
        pace=median(paces) if paces else None,
        since=given[middle].at,
    )


def _as_known(row: Judged) -> bool:
    """Whether every pair that the key orders is put in that order."""
    gold, ranks = row.gold or (), row.ranks
    return all(
        (gold[a] < gold[b]) == (ranks[a] < ranks[b]) and ranks[a] != ranks[b]
        for a, b in combinations(range(len(gold)), 2)
        if gold[a] != gold[b]
    )
