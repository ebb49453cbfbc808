"""Batches and their items: made in pieces, seen only when whole, frozen once."""

import random
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from assent.label.phrases import phrase
from assent.label.store import audit, counts, outbox
from assent.label.store.database import Database, now
from assent.label.store.slots import OPEN, RefusedError
from assent.label.store.tables import adjudication, author, batch, item, slot, view

_REPEATED = ("kind", "mode", "prompt", "responses", "source", "licence")
CHUNK = 500  # items a transaction, so that labelers wait milliseconds and not seconds while a batch comes in


@dataclass(frozen=True)
class NewSlot:
    """A place for one labeler on an item; smaller priorities are handed out first."""

    team: str
    priority: float


@dataclass(frozen=True, kw_only=True)
class NewItem:
    """An item as it is put in, with its slots. See `tables.item` for the words."""

    record: str
    kind: str
    mode: str
    prompt: Mapping[str, Any]
    responses: Sequence[Mapping[str, Any]]
    source: str
    licence: str
    stratum: str
    chosen: str = "all"
    propensity: float = 1.0
    repeats: int | None = None
    gold: Sequence[int] | None = None
    meant: Mapping[str, str] | None = None
    authors: Sequence[int] = ()
    slots: Sequence[NewSlot] = ()


@dataclass(frozen=True, kw_only=True)
class NewBatch:
    """A batch as it is put in. source_hash: of what is imported, so that the same import twice is one."""

    name: str
    plan: Mapping[str, Any]
    guideline: str
    source_hash: str
    author: int | None


def create(database: Database, new: NewBatch, items: Sequence[NewItem]) -> int:
    """Put a batch in, all or nothing; its number. The same batch again changes nothing.

    A batch that was left half-way was never visible; it is cleared away and begun anew. Whoever was at work on it all
    the same, such as the first of two clicks, is refused and puts nothing more in.
    Raises RefusedError 409 then, and when another batch has the name.
    """
    mark = f"loading {secrets.token_hex(16)}"  # whose it is until it is whole; a number may be given again

    def begin(connection: Connection) -> tuple[int, bool]:
        known = connection.execute(select(batch).where(batch.c.name == new.name)).first()
        if known is not None and known.state != "loading":
            if known.source_hash == new.source_hash:
                return known.id, True
            told = phrase("batch %(name)s exists with other contents; choose another name", name=repr(new.name))
            raise RefusedError(409, told)
        if known is not None:
            _clear(connection, known.id)
        values = {"name": new.name, "plan": dict(new.plan), "guideline": new.guideline, "author": new.author}
        made = insert(batch).values(**values, source_hash=mark, state="loading", created=now())
        return connection.execute(made.returning(batch.c.id)).scalar_one(), False

    number, done = database.transact(begin)
    if done:
        return number

    def change(connection: Connection, **values: str) -> None:
        mine = update(batch).where(batch.c.id == number, batch.c.source_hash == mark)
        if connection.execute(mine.values(**values)).rowcount != 1:
            told = phrase("batch %(name)s was begun anew by a later import; look for that one", name=repr(new.name))
            raise RefusedError(409, told)

    def put(connection: Connection, piece: Sequence[NewItem]) -> None:
        change(connection, state="loading")
        add(connection, number, piece)

    for start in range(0, len(items), CHUNK):
        piece = items[start : start + CHUNK]
        database.transact(lambda connection, piece=piece: put(connection, piece))

    def finish(connection: Connection) -> None:
        change(connection, state="open", source_hash=new.source_hash)
        audit.append(connection, new.author, "imported", f"batch {new.name}", {"items": len(items)})

    database.transact(finish)
    database.look_through("item", "slot")
    return number


def _clear(connection: Connection, number: int) -> None:
    mine = select(item.c.id).where(item.c.batch == number)
    connection.execute(delete(author).where(author.c.item.in_(mine)))
    connection.execute(delete(slot).where(slot.c.batch == number))
    connection.execute(delete(item).where(item.c.batch == number))
    connection.execute(delete(batch).where(batch.c.id == number))


def add(connection: Connection, number: int, items: Sequence[NewItem]) -> None:
    """Put items into a batch, with their slots."""
    rows = [
        {
            "batch": number,
            "record": one.record,
            "kind": one.kind,
            "mode": one.mode,
            "prompt": one.prompt,
            "responses": list(one.responses),
            "source": one.source,
            "licence": one.licence,
            "stratum": one.stratum,
            "chosen": one.chosen,
            "propensity": one.propensity,
            "repeats": one.repeats,
            "gold": None if one.gold is None else list(one.gold),
            "meant": one.meant,
        }
        for one in items
    ]
    made = connection.execute(insert(item).returning(item.c.id, sort_by_parameter_order=True), rows).scalars().all()
    slots = [
        {"item": identity, "batch": number, "n": n, "team": place.team, "priority": place.priority}
        for identity, one in zip(made, items, strict=True)
        for n, place in enumerate(one.slots)
    ]
    authors = [
        {"item": identity, "person": who} for identity, one in zip(made, items, strict=True) for who in one.authors
    ]
    if slots:
        connection.execute(insert(slot), slots)
    if authors:
        connection.execute(insert(author), authors)


def freeze(database: Database, name: str, actor: int | None) -> None:
    """Close a batch for good: no claim, no revision; what comes late is kept as surplus. Again changes nothing."""

    def work(connection: Connection) -> None:
        row = found(connection, name)
        if row.state == "loading":
            raise RefusedError(409, phrase("batch %(name)s is still being imported", name=repr(name)))
        if row.state == "open":
            connection.execute(update(batch).where(batch.c.id == row.id).values(state="frozen", frozen=now()))
            outbox.frozen(connection, row.id, name)
            audit.append(connection, actor, "froze", f"batch {name}")

    database.transact(work)


def found(connection: Connection, name: str) -> Any:
    """The row of a batch by its name; raises RefusedError 404."""
    row = connection.execute(select(batch).where(batch.c.name == name)).first()
    if row is None:
        raise RefusedError(404, phrase("there is no batch %(name)s", name=repr(name)))
    return row


def names(connection: Connection) -> list[str]:
    """The names of all batches, the oldest first."""
    return list(connection.execute(select(batch.c.name).order_by(batch.c.id)).scalars())


def newest_answered(connection: Connection) -> str:
    """The name of the newest batch with answers; empty without one."""
    answers = select(view.c.id).where(view.c.batch == batch.c.id, view.c.state == "accepted").exists()
    newest = select(batch.c.name).where(answers).order_by(batch.c.id.desc()).limit(1)
    return connection.execute(newest).scalar_one_or_none() or ""


def status(connection: Connection, name: str = "") -> list[dict[str, Any]]:
    """Where every batch (or one) stands, in counts that a lead reads."""
    chosen = [found(connection, name)] if name else connection.execute(select(batch).order_by(batch.c.id)).all()
    numbers = [row.id for row in chosen]
    items, strata = counts.of_items(connection, numbers)
    slots = counts.by_kind(connection, slot.c.batch, slot.c.state, numbers)
    views = counts.by_kind(connection, view.c.batch, view.c.state, numbers)
    held = select(slot.c.batch, func.count()).where(slot.c.state == OPEN, slot.c.labeler > 0, slot.c.expires >= now())
    leased = dict(connection.execute(held.group_by(slot.c.batch)).all())
    return [
        {
            "name": row.name,
            "state": row.state,
            "guideline": row.guideline,
            "created": row.created,
            "frozen": row.frozen,
            "plan": row.plan,
            "items": items.get(row.id, {}),
            "strata": strata.get(row.id, {}),
            "slots": {**slots.get(row.id, {}), "leased": leased.get(row.id, 0)},
            "views": views.get(row.id, {}),
        }
        for row in chosen
    ]


def release(database: Database, number: int, actor: int) -> None:
    """Give a parked item back to the queue, with its skips forgotten. A quarantined one stays where it is."""

    def work(connection: Connection) -> None:
        row = connection.execute(select(item).where(item.c.id == number)).first()
        if row is None or row.state != "parked":
            raise RefusedError(409, phrase("item %(number)s is not parked", number=number))
        connection.execute(update(item).where(item.c.id == number).values(state="open", skips=0))
        again = {"state": "open", "labeler": None, "expires": 0}
        if row.retired is None:
            connection.execute(update(slot).where(slot.c.item == number, slot.c.state == "void").values(**again))
        audit.append(connection, actor, "released", f"item {number}")

    database.transact(work)


def decide(database: Database, number: int, lead: int, decision: str, note: str) -> None:
    """What a lead decides about a doubtful item: keep it, or drop its answers from exports; the last time counts."""
    if decision not in ("keep", "drop"):
        raise RefusedError(422, "decision: keep or drop")

    def work(connection: Connection) -> None:
        asked = select(batch.c.state).join(item, item.c.batch == batch.c.id).where(item.c.id == number)
        row = connection.execute(asked).first()
        if row is None:
            raise RefusedError(404, phrase("there is no item %(number)s", number=number))
        if row.state == "frozen":
            raise RefusedError(409, "the batch is frozen; what it exports no longer changes")
        values = {"item": number, "lead": lead, "verdict": {"decision": decision}, "note": note}
        connection.execute(insert(adjudication).values(**values, at=now()))
        audit.append(connection, lead, "decided", f"item {number}", {"decision": decision, "note": note})

    database.transact(work)


def repeat(database: Database, name: str, share: float, days: float, actor: int | None, seed: int = 0) -> int:
    """Serve a share of what every labeler has ranked to the same labeler again, some days later, in a new order.

    Returns how many were planned. Items that are repeated already are not repeated again.
    """

    def work(connection: Connection) -> int:
        row = found(connection, name)
        if row.state != "open":
            raise RefusedError(409, phrase("batch %(name)s is not open", name=repr(name)))
        known = select(item.c.repeats).where(item.c.batch == row.id, item.c.repeats.is_not(None))
        done = connection.execute(
            select(view.c.labeler, item)
            .join(item, item.c.id == view.c.item)
            .where(view.c.batch == row.id, view.c.state == "accepted", view.c.compared.is_(None), item.c.kind == "rank")
            .where(item.c.stratum.in_(("single", "overlap")), item.c.state == "open", item.c.id.not_in(known))
            .order_by(item.c.id, view.c.labeler)
        ).all()
        chosen = random.Random(f"repeat {seed} {row.id}").sample(done, round(share * len(done)))
        for one in chosen:
            values = {column: getattr(one, column) for column in _REPEATED}
            made = insert(item).values(
                **values, batch=row.id, record=f"{one.record}#again{one.labeler}", stratum="retest", repeats=one.id
            )
            number = connection.execute(made.returning(item.c.id)).scalar_one()
            place = {"item": number, "batch": row.id, "n": 0, "team": "any", "reserved": one.labeler, "priority": -1.0}
            connection.execute(insert(slot).values(**place, after=now() + days * 86400))
        audit.append(connection, actor, "repeated", f"batch {name}", {"items": len(chosen), "days": days})
        return len(chosen)

    return database.transact(work)
