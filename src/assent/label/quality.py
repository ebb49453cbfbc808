"""What a lead sees of a batch: whether labelers agree with each other, with known answers and with themselves.

Everything is computed from the rows, with `assent.statistics`; nothing is kept, so nothing can differ from the rows.
A number that cannot be had says why instead: a gate is pass, flag, open or unknown, and none of them removes anything.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from math import isnan
from statistics import median
from typing import Any

from sqlalchemy import Connection, select

from assent.label import doubts
from assent.label.book import MOST, Book, Judged, read
from assent.label.store import batches
from assent.label.store.tables import answer, person
from assent.records import FLAGS

SESSION_GAP = 1800.0  # seconds without an answer that end a sitting
FATIGUE = (10, 25, 50, 100)  # answers into a sitting


def overview(connection: Connection, name: str) -> dict[str, Any]:
    """All of it for one batch, as JSON."""
    chosen = batches.found(connection, name)
    book = read(connection, chosen.id)
    return {
        "batch": name,
        "rankings": len(book.rows),
        "of_the_latest": MOST,
        "corrupt": book.corrupt,
        "agreement": agreement(book),
        "alpha": alphas(book),
        "labelers": labelers(book, _times(connection, chosen.id)),
        "between": between(book),
        "retest": retest(book),
        "flags": flag_model(book),
        "adjudication": doubts.queue(connection, chosen.id, book),
    }


# -- agreement -----------------------------------------------------------------------------------------------


def agreement(book: Book) -> dict[str, Any]:
    """Agreement as the paper counts it, by three rules for ties, each with its interval and what chance would give."""
    from assent.statistics.labelers import RULES, pairwise_agreement

    return {rule: _or_unknown(lambda rule=rule: asdict(pairwise_agreement(book.rankings(), rule))) for rule in RULES}


def between(book: Book) -> Any:
    """Agreement of each two labelers, with the number of pairs behind it."""
    from assent.statistics.labelers import between_labelers

    def found() -> list[dict[str, Any]]:
        cells = between_labelers(book.rankings(), "half").items()
        return [{"one": a, "other": b, "agreement": share, "pairs": n} for (a, b), (share, n) in cells]

    return _or_unknown(found)


def alphas(book: Book) -> dict[str, Any]:
    """Krippendorff's alpha: of the 1-7 ratings (ordinal) and of every flag (nominal)."""
    from assent.statistics.alpha import krippendorff
    from assent.statistics.clusters import judgements

    def one(values: list[tuple[float, str, str]], level: Any) -> Any:
        columns = [list(column) for column in zip(*values, strict=True)] or [[], [], []]
        return _or_unknown(lambda: asdict(krippendorff(judgements(*columns), level, draws=200)))

    rated = [
        (float(value), f"{row.item}/{place}", row.labeler)
        for row in _several(book)
        for place, value in enumerate(row.overall)
    ]
    return {"overall": one(rated, "ordinal")} | {name: one(_flagged(book, name), "nominal") for name in FLAGS}


def _several(book: Book) -> list[Judged]:
    several = book.rankings()
    return [row for row in book.rows if str(row.item) in several and row.stratum != "retest"]


def _flagged(book: Book, name: str) -> list[tuple[float, str, str]]:
    return [
        (float(bool(flags.get(name))), f"{row.item}/{place}", row.labeler)
        for row in _several(book)
        for place, flags in enumerate(row.flags)
        if flags.get(name) is not None
    ]


def flag_model(book: Book) -> dict[str, Any]:
    """For every flag, how often it is so and how reliably each labeler says it (Dawid and Skene)."""
    from assent.statistics.clusters import judgements
    from assent.statistics.quality import dawid_skene

    def one(name: str) -> dict[str, Any]:
        columns = [list(column) for column in zip(*_flagged(book, name), strict=True)] or [[], [], []]
        found = dawid_skene(judgements(*columns))
        accuracy = {who: asdict(interval) for who, interval in found.accuracy.items()}
        return {"prevalence": float(found.prevalence[-1]), "accuracy": accuracy, "switched": found.switched}

    return {name: _or_unknown(lambda name=name: one(name)) for name in FLAGS}


def retest(book: Book) -> Any:
    """How often labelers agree with themselves a week later: the ceiling of every agreement."""
    from assent.statistics.consistency import Retest, retest_agreement

    first = {(row.item, row.labeler): row.ranks for row in book.rows if row.stratum != "retest"}
    pairs = [
        Retest(row.record, row.labeler, first[row.repeats, row.labeler], row.ranks)
        for row in book.rows
        if row.repeats is not None and (row.repeats, row.labeler) in first
    ]
    return _or_unknown(lambda: asdict(retest_agreement(pairs, "half")))


# -- labelers ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Times:
    """One labeler's answers: when, in seconds since 1970, and how long each took."""

    at: tuple[float, ...]
    seconds: tuple[float, ...]


def _times(connection: Connection, number: int, *, most: int = MOST) -> dict[str, Times]:
    rows = (
        select(person.c.name, answer.c.at, answer.c.seconds)
        .join(person, person.c.id == answer.c.labeler)
        .where(answer.c.batch == number, answer.c.revision == 1)
        .order_by(answer.c.id.desc())
        .limit(most)
    )
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for name, at, seconds in connection.execute(rows):
        found[name].append((at, seconds))
    return {
        name: Times(*(tuple(column) for column in zip(*sorted(pairs), strict=True))) for name, pairs in found.items()
    }


def labelers(book: Book, times: Mapping[str, Times]) -> list[dict[str, Any]]:
    """Every labeler by name: against others, against gold, by place on the screen, by time. For leads only."""
    from assent.statistics.consistency import position_bias
    from assent.statistics.labelers import standings

    others = _or_unknown(lambda: {name: asdict(one) for name, one in standings(book.rankings(), "half").items()})
    shown: dict[str, list[tuple[Sequence[int], Sequence[int]]]] = defaultdict(list)
    for row in book.rows:
        shown[row.labeler].append((row.ranks, row.places))
    biases = _or_unknown(lambda: {name: asdict(one) for name, one in position_bias(shown).items()})
    names = sorted({row.labeler for row in book.rows} | times.keys())
    return [
        {
            "labeler": name,
            "others": _of(others, name),
            "gold": gold_gate(row for row in book.rows if row.labeler == name),
            "position": _of(biases, name),
            "time": throughput(times[name]) if name in times else {"unknown": "no answers yet"},
        }
        for name in names
    ]


def _of(found: Any, name: str) -> Any:
    return found.get(name, found if "unknown" in found else {"unknown": "nothing to compare with yet"})


def gold_gate(rows: Iterable[Judged]) -> dict[str, Any]:
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


def throughput(times: Times) -> dict[str, Any]:
    """Answers, median seconds and hours of work; and how the median moves within a sitting (fatigue)."""
    later: dict[str, list[float]] = defaultdict(list)
    before, place = float("-inf"), 0
    for at, seconds in zip(times.at, times.seconds, strict=True):
        place = 1 if at - before > SESSION_GAP else place + 1
        before = at
        bound = next((bound for bound in FATIGUE if place <= bound), 0)
        later[f"to {bound}" if bound else f"after {FATIGUE[-1]}"].append(seconds)
    return {
        "answers": len(times.at),
        "median_seconds": median(times.seconds),
        "hours": sum(times.seconds) / 3600,
        "sitting": {name: median(values) for name, values in later.items()},
    }


def _or_unknown(work: Callable[[], Any]) -> Any:
    """What `work` finds, or why it cannot be known; never a number that means nothing."""
    try:
        return _plain(work())
    except ValueError as error:
        return {"unknown": str(error)}


def _plain(value: Any) -> Any:
    """As JSON has it: no NaN, no numbers of numpy."""
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and isnan(value) else value
