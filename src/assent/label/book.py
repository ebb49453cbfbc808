"""The rankings of a batch as they count, read from the rows for whoever computes with them.

A small batch is read whole. Of a large one items are drawn by lot, each with everything that was said about it, so that
what is computed estimates what all rows would give; known answers and repeated items are few, and read apart.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from math import inf
from typing import Any

from sqlalchemy import Connection, Select, func, select

from assent.label.store.exporting import by_place
from assent.label.store.tables import answer, batch, item, person, view

MOST = 4_000  # rankings that numbers are computed from; ten to thirty seconds beside the server
LATEST = 500  # rankings, the newest, that are looked through for doubtful items
CHUNK = 200  # items read at once


@dataclass(frozen=True)
class Judged:
    """One ranking as it counts: ranks, ratings and flags in the order of the import; places: where each was shown.

    gold: what was known when this was said. policies: which wrote each response, "" where the import did not say.
    seconds: the time taken. retired: the item's known answer has been taken out of use. use_case: what the prompt asks
    for, "" where it does not say.
    """

    item: int
    record: str
    labeler: str
    stratum: str
    ranks: tuple[int, ...]
    overall: tuple[int, ...]
    flags: tuple[Mapping[str, bool | None], ...]
    places: tuple[int, ...]
    gold: tuple[int, ...] | None
    repeats: int | None
    at: float
    policies: tuple[str, ...] = ()
    seconds: float = 0.0
    retired: bool = False
    use_case: str = ""


@dataclass(frozen=True)
class Book:
    """Rankings of a batch, how many rows could not be read, and of how many answers these were drawn.

    rows: all of a batch, the latest, or those of items drawn by lot (`drawn`), the oldest first. apart: rankings with
    known answers, and repeated ones with what they repeat, beside the drawn.
    """

    rows: tuple[Judged, ...]
    corrupt: int
    answers: int = 0
    drawn: bool = False
    apart: tuple[Judged, ...] = ()

    def rankings(self) -> dict[str, dict[str, tuple[int, ...]]]:
        """Item -> labeler -> ranks, of the items that several ranked."""
        found: dict[str, dict[str, tuple[int, ...]]] = defaultdict(dict)
        for row in self.rows:
            if row.stratum != "retest":
                found[str(row.item)][row.labeler] = row.ranks
        return {name: by_labeler for name, by_labeler in found.items() if len(by_labeler) > 1}

    def several(self) -> list[Judged]:
        """The rows of the items that several ranked."""
        several = self.rankings()
        return [row for row in self.rows if str(row.item) in several and row.stratum != "retest"]

    def use_cases(self) -> dict[str, "Book"]:
        """The items that several ranked, by what their prompts ask for; "" where the prompt does not say."""
        return self._divided(lambda rows: rows[0].use_case)

    def weeks(self) -> dict[str, "Book"]:
        """The items that several ranked, by the week (ISO 8601, UTC) in which the last of them handed it in."""
        return self._divided(lambda rows: f"{datetime.fromtimestamp(max(row.at for row in rows), UTC):%G-W%V}")

    def _divided(self, name: Callable[[list[Judged]], str]) -> dict[str, "Book"]:
        of_item: dict[int, list[Judged]] = defaultdict(list)
        for row in self.several():
            of_item[row.item].append(row)
        parts: dict[str, list[Judged]] = defaultdict(list)
        for rows in of_item.values():
            parts[name(rows)] += rows
        return {one: Book(tuple(parts[one]), 0) for one in sorted(parts)}

    def named(self, names: Mapping[str, str]) -> "Book":
        """The same with other names for some labelers."""
        rows, apart = (
            tuple(replace(one, labeler=names[one.labeler]) if one.labeler in names else one for one in part)
            for part in (self.rows, self.apart)
        )
        return replace(self, rows=rows, apart=apart)

    def everything(self) -> list[Judged]:
        """Rows and those apart, each once, in the order in which they were done."""
        known = {(row.item, row.labeler): row for row in (*self.rows, *self.apart)}
        return sorted(known.values(), key=lambda row: row.at)


def read(connection: Connection, number: int, *, most: int = MOST) -> Book:
    """The accepted rankings of a batch: all, or of so many items drawn by lot that there are about `most`."""
    answers = connection.execute(
        select(func.count()).select_from(view).where(view.c.batch == number, view.c.state == "accepted")
    ).scalar_one()
    if answers <= most:
        return _book(connection, _rankings(number), answers)
    items = _with_answers(connection, number)
    random.Random(f"book {number}").shuffle(items)
    found: list[Judged] = []
    corrupt = 0
    for start in range(0, len(items), CHUNK):
        piece = _book(connection, _rankings(number).where(answer.c.item.in_(items[start : start + CHUNK])))
        found, corrupt = [*found, *piece.rows], corrupt + piece.corrupt
        if len(found) >= most:
            break
    rows = sorted(found, key=lambda row: row.at)
    return Book(tuple(rows), corrupt, answers, True, tuple(_apart(connection, number, most)))


def latest(connection: Connection, number: int, *, most: int = LATEST) -> Book:
    """The latest rankings of a batch, about `most` of them, and all others of the same items."""
    newest = select(answer.c.item).where(answer.c.batch == number).order_by(answer.c.id.desc()).limit(most)
    items = list(dict.fromkeys(connection.execute(newest).scalars()))
    found: list[Judged] = []
    for start in range(0, len(items), CHUNK):
        found += _book(connection, _rankings(number).where(answer.c.item.in_(items[start : start + CHUNK]))).rows
        if len(found) >= most:
            break
    return Book(tuple(found), 0)


def of_labeler(connection: Connection, number: int, who: int) -> tuple[Judged, ...]:
    """The rankings of one labeler in a batch, the latest, oldest first."""
    mine = _rankings(number).where(answer.c.labeler == who).order_by(answer.c.id.desc()).limit(MOST)
    return _book(connection, mine).rows


def _with_answers(connection: Connection, number: int) -> list[int]:
    """The items to draw from: where most have one labeler, only those that are planned for more can agree."""
    plan = connection.execute(select(batch.c.plan).where(batch.c.id == number)).scalar_one()
    if plan.get("overlap", 2) == 1 and not plan.get("heldout") and plan.get("shared"):
        several = select(item.c.id).where(item.c.batch == number, item.c.stratum.in_(("overlap", "gold")))
        return list(connection.execute(several.order_by(item.c.id)).scalars())
    answered = select(answer.c.item).where(answer.c.batch == number).distinct()
    return sorted(connection.execute(answered).scalars())


def _apart(connection: Connection, number: int, most: int) -> Iterator[Judged]:
    """The latest rankings with known answers, and those that were repeated, with what they repeat."""
    for stratum in ("gold", "retest"):
        chosen = select(item.c.id, item.c.repeats).where(item.c.batch == number, item.c.stratum == stratum)
        rows = connection.execute(chosen.order_by(item.c.id.desc()).limit(most // 10)).all()
        wanted = [one for row in rows for one in (row.id, row.repeats) if one is not None]
        for start in range(0, len(wanted), CHUNK):
            piece = _rankings(number).where(answer.c.item.in_(wanted[start : start + CHUNK]))
            yield from _book(connection, piece.order_by(answer.c.id.desc()).limit(most)).rows


def _rankings(number: int) -> Select[Any]:
    last = answer.alias("later")
    newer = select(last.c.id).where(last.c.view == answer.c.view, last.c.revision > answer.c.revision).exists()
    columns = (answer.c.id.label("answer"), answer.c.document, answer.c.at, answer.c.seconds, view.c.shown)
    return (
        select(*columns, person.c.name, item)
        .join(view, view.c.id == answer.c.view)
        .join(person, person.c.id == answer.c.labeler)
        .join(item, item.c.id == answer.c.item)
        .where(answer.c.batch == number, answer.c.state == "accepted", item.c.kind == "rank", ~newer)
        .where(item.c.stratum != "practice", item.c.state != "quarantined")
    )


def _book(connection: Connection, statement: Select[Any], answers: int = 0) -> Book:
    """The rows of a statement, the oldest first; one that cannot be read is counted and left out."""
    found: list[Judged] = []
    corrupt = 0
    for row in sorted(connection.execute(statement), key=lambda row: row.answer):
        try:
            found.append(_judged(row))
        except (KeyError, TypeError, ValueError, AttributeError):
            corrupt += 1
    return Book(tuple(found), corrupt, answers)


def _judged(row: Any) -> Judged:
    ratings = by_place(row.shown, row.document["ratings"])
    return Judged(
        item=row.id,
        record=row.record,
        labeler=row.name,
        stratum=row.stratum,
        ranks=tuple(int(rank) for rank in by_place(row.shown, row.document["ranks"])),
        overall=tuple(int(one["overall"]) for one in ratings),
        flags=tuple(dict(one["flags"]) for one in ratings),
        places=tuple(by_place(row.shown, {key: place for place, (key, _) in enumerate(row.shown)})),
        gold=None if row.gold is None or row.at >= (row.retired or inf) else tuple(row.gold),
        repeats=row.repeats,
        at=row.at,
        policies=tuple(str(one.get("policy", "")) for one in row.responses),
        seconds=row.seconds,
        retired=row.retired is not None,
        use_case=str(row.prompt.get("use_case", "")),
    )
