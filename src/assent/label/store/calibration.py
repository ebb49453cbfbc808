"""Labelers who have done the same item see each other's answers: afterwards, and never to change their own.

Where a lead has opened it for a batch, whoever has handed in an item of the overlap stratum may look at what others of
their team have handed in. Agreement stays what it was: an answer can no longer be revised once one of them has looked,
and what somebody has looked at is not served to them again to see whether they agree with themselves.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, exists, func, select, update

from assent.label.store import audit, batches
from assent.label.store.database import Database, now
from assent.label.store.slots import OPEN, RefusedError, Worker
from assent.label.store.tables import answer, batch, item, person, slot, view

LATEST = 20  # items that a lead is shown

_theirs, _them, _me = view.alias("theirs"), person.alias("them"), person.alias("me")
_again = item.alias("again")


def comparable() -> ColumnElement[bool]:
    """Whether a view, joined with its item and its batch, may be laid beside others'."""
    others = exists().where(
        _theirs.c.item == view.c.item, _theirs.c.labeler != view.c.labeler, _theirs.c.state == "accepted"
    )
    same_team = and_(_them.c.id == _theirs.c.labeler, _me.c.id == view.c.labeler, _them.c.team == _me.c.team)
    to_come = exists().where(  # the same item comes back to its labeler first
        _again.c.repeats == view.c.item,
        slot.c.item == _again.c.id,
        slot.c.reserved == view.c.labeler,
        slot.c.state == OPEN,
    )
    return and_(
        batch.c.calibration.is_not(None),
        item.c.stratum == "overlap",
        item.c.kind == "rank",
        item.c.state != "quarantined",
        view.c.state.in_(("accepted", "surplus")),
        others.where(same_team),
        ~to_come,
    )


@dataclass(frozen=True)
class Said:
    """One labeler's answer: ranks, ratings and flags by the place of a response in the import; mine: of who looks."""

    mine: bool
    ranks: dict[int, int]
    ratings: dict[int, int]
    flags: dict[int, tuple[str, ...]]


@dataclass(frozen=True)
class Compared:
    """An item with what was said of it; order: the places of its responses as they were shown to who looks.

    said: empty until they have looked, their own answer first and the others' in an order that says nothing.
    """

    prompt: dict[str, Any]
    responses: Sequence[dict[str, Any]]
    order: tuple[int, ...]
    looked: bool
    said: tuple[Said, ...]


def switch(database: Database, name: str, on: bool, actor: int) -> None:
    """Open a batch for comparing, or close it again. Again changes nothing."""

    def work(connection: Connection) -> None:
        row = batches.found(connection, name)
        if (row.calibration is not None) != on:
            changed = update(batch).where(batch.c.id == row.id)
            connection.execute(changed.values(calibration=now() if on else None))
            audit.append(connection, actor, "opened to compare" if on else "closed to compare", f"batch {name}")

    database.transact(work)


def look(database: Database, who: Worker, identity: str) -> None:
    """Note that a labeler looks: from here on no answer to the item is revised. Raises RefusedError 404."""

    def work(connection: Connection) -> None:
        row = _open(connection, who, identity)
        first = func.coalesce(view.c.compared, now())
        connection.execute(update(view).where(view.c.id == row.id).values(compared=first))

    database.transact(work)


def shown(connection: Connection, who: Worker, identity: str) -> Compared:
    """What a labeler sees of an item that they have handed in. Raises RefusedError 404 when there is nothing to see."""
    row = _open(connection, who, identity)
    order = tuple(place for _, place in row.shown)
    if row.compared is None:
        return Compared(row.prompt, row.responses, order, False, ())
    later = answer.alias("later")
    last = select(func.max(later.c.revision)).where(later.c.view == view.c.id).scalar_subquery()
    rows = connection.execute(
        select(view.c.labeler, view.c.shown, person.c.uid, answer.c.document)
        .join(person, person.c.id == view.c.labeler)
        .join(answer, and_(answer.c.view == view.c.id, answer.c.revision == last))
        .where(view.c.item == row.item)
        .where(and_(view.c.state == "accepted", person.c.team == who.team) | (view.c.id == identity))
    ).all()
    rows = sorted(rows, key=lambda one: (one.labeler != who.id, _lot(row.item, one.uid)))
    return Compared(row.prompt, row.responses, order, True, tuple(_said(one, one.labeler == who.id) for one in rows))


def seen(connection: Connection, number: int) -> bool:
    """Whether anybody has looked at the answers to an item."""
    looked = select(view.c.id).where(view.c.item == number, view.c.compared.is_not(None)).limit(1)
    return connection.execute(looked).first() is not None


def latest(connection: Connection, number: int) -> list[tuple[int, int]]:
    """The items of a batch that were looked at last, and by how many."""
    rows = select(view.c.item, func.count()).where(view.c.batch == number, view.c.compared.is_not(None))
    newest = rows.group_by(view.c.item).order_by(func.max(view.c.compared).desc()).limit(LATEST)
    return [(row[0], row[1]) for row in connection.execute(newest)]


def _open(connection: Connection, who: Worker, identity: str) -> Any:
    row = connection.execute(
        select(view.c.id, view.c.item, view.c.shown, view.c.compared, item.c.prompt, item.c.responses)
        .join(item, item.c.id == view.c.item)
        .join(batch, batch.c.id == view.c.batch)
        .where(view.c.id == identity, view.c.labeler == who.id, comparable())
    ).first()
    if row is None:
        raise RefusedError(404, "there is nothing to compare here")
    return row


def _lot(number: int, uid: str) -> str:
    return hashlib.sha256(f"{number}|{uid}".encode()).hexdigest()


def _said(row: Any, mine: bool) -> Said:
    ranks, ratings = row.document["ranks"], row.document["ratings"]
    return Said(
        mine=mine,
        ranks={place: ranks[key] for key, place in row.shown},
        ratings={place: ratings[key]["overall"] for key, place in row.shown},
        flags={
            place: tuple(name for name, value in ratings[key]["flags"].items() if value) for key, place in row.shown
        },
    )
