"""The rankings of a batch as they count, read from the rows for whoever computes with them."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from assent.label.store.exporting import by_place
from assent.label.store.tables import answer, item, person, view

MOST = 20_000  # documents read for one page: the latest ones


@dataclass(frozen=True)
class Judged:
    """One ranking as it counts: ranks, ratings and flags in the order of the import; places: where each was shown."""

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


@dataclass(frozen=True)
class Book:
    """The latest rankings of a batch, and how many rows could not be read."""

    rows: tuple[Judged, ...]
    corrupt: int

    def rankings(self) -> dict[str, dict[str, tuple[int, ...]]]:
        """Item -> labeler -> ranks, of the items that several ranked."""
        found: dict[str, dict[str, tuple[int, ...]]] = defaultdict(dict)
        for row in self.rows:
            if row.stratum != "retest":
                found[str(row.item)][row.labeler] = row.ranks
        return {name: by_labeler for name, by_labeler in found.items() if len(by_labeler) > 1}


def read(connection: Connection, number: int, *, most: int = MOST) -> Book:
    """The accepted rankings of a batch, oldest first; a row that cannot be read is counted and left out."""
    last = answer.alias("later")
    newer = select(last.c.id).where(last.c.view == answer.c.view, last.c.revision > answer.c.revision).exists()
    columns = (answer.c.document, answer.c.at, view.c.shown, person.c.name, item)
    rows = (
        select(*columns)
        .join(view, view.c.id == answer.c.view)
        .join(person, person.c.id == answer.c.labeler)
        .join(item, item.c.id == answer.c.item)
        .where(answer.c.batch == number, answer.c.state == "accepted", item.c.kind == "rank", ~newer)
        .where(item.c.stratum != "practice", item.c.state != "quarantined")
        .order_by(answer.c.id.desc())
        .limit(most)
    )
    found: list[Judged] = []
    corrupt = 0
    for row in connection.execute(rows):
        try:
            found.append(_judged(row))
        except (KeyError, TypeError, ValueError, AttributeError):
            corrupt += 1
    return Book(tuple(reversed(found)), corrupt)


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
        gold=None if row.gold is None else tuple(row.gold),
        repeats=row.repeats,
        at=row.at,
    )
