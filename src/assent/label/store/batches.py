"""Batches and their items: made in pieces, seen only when whole, frozen once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from assent.label.store import audit
from assent.label.store.database import Database, now
from assent.label.store.slots import RefusedError
from assent.label.store.tables import author, batch, guideline, item, slot, view

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
    gold: Sequence[int] | None = None
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

    A batch that was left half-way by a crash was never visible; it is cleared away and begun anew.
    Raises RefusedError 409 when another batch has the name.
    """

    def begin(connection: Connection) -> tuple[int, bool]:
        known = connection.execute(select(batch).where(batch.c.name == new.name)).first()
        if known is not None and known.state != "loading":
            if known.source_hash == new.source_hash:
                return known.id, True
            raise RefusedError(409, f"batch {new.name!r} exists with other contents; choose another name")
        if known is not None:
            _clear(connection, known.id)
        values = {"name": new.name, "plan": dict(new.plan), "guideline": new.guideline, "author": new.author}
        row = connection.execute(
            insert(batch)
            .values(**values, source_hash=new.source_hash, state="loading", created=now())
            .returning(batch.c.id)
        )
        return row.scalar_one(), False

    number, done = database.transact(begin)
    if done:
        return number
    for start in range(0, len(items), CHUNK):
        piece = items[start : start + CHUNK]
        database.transact(lambda connection, piece=piece: _add(connection, number, piece))

    def finish(connection: Connection) -> None:
        connection.execute(update(batch).where(batch.c.id == number).values(state="open"))
        audit.append(connection, new.author, "imported", f"batch {new.name}", {"items": len(items)})

    database.transact(finish)
    return number


def _clear(connection: Connection, number: int) -> None:
    mine = select(item.c.id).where(item.c.batch == number)
    connection.execute(delete(author).where(author.c.item.in_(mine)))
    connection.execute(delete(slot).where(slot.c.batch == number))
    connection.execute(delete(item).where(item.c.batch == number))
    connection.execute(delete(batch).where(batch.c.id == number))


def _add(connection: Connection, number: int, items: Sequence[NewItem]) -> None:
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
            "gold": None if one.gold is None else list(one.gold),
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
            raise RefusedError(409, f"batch {name!r} is still being imported")
        if row.state == "open":
            connection.execute(update(batch).where(batch.c.id == row.id).values(state="frozen", frozen=now()))
            audit.append(connection, actor, "froze", f"batch {name}")

    database.transact(work)


def found(connection: Connection, name: str) -> Any:
    """The row of a batch by its name; raises RefusedError 404."""
    row = connection.execute(select(batch).where(batch.c.name == name)).first()
    if row is None:
        raise RefusedError(404, f"there is no batch {name!r}")
    return row


def status(connection: Connection, name: str = "") -> list[dict[str, Any]]:
    """Where every batch (or one) stands, in counts that a lead reads."""
    chosen = [found(connection, name)] if name else connection.execute(select(batch).order_by(batch.c.id)).all()
    numbers = [row.id for row in chosen]
    items = _counts(connection, item.c.batch, item.c.state, numbers)
    strata = _counts(connection, item.c.batch, item.c.stratum, numbers)
    slots = _counts(connection, slot.c.batch, slot.c.state, numbers)
    views = _counts(connection, view.c.batch, view.c.state, numbers)
    leased = dict(
        connection.execute(
            select(slot.c.batch, func.count())
            .where(slot.c.state == "open", slot.c.labeler.is_not(None), slot.c.expires >= now())
            .group_by(slot.c.batch)
        ).all()
    )
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


def _counts(connection: Connection, group: Any, kind: Any, numbers: Iterable[int]) -> dict[int, dict[str, int]]:
    found_counts: dict[int, dict[str, int]] = {}
    statement = select(group, kind, func.count()).where(group.in_(list(numbers))).group_by(group, kind)
    for number, name, count in connection.execute(statement):
        found_counts.setdefault(number, {})[name] = count
    return found_counts


def release(database: Database, number: int, actor: int) -> None:
    """Give a parked item back to the queue, with its skips forgotten. A quarantined one stays where it is."""

    def work(connection: Connection) -> None:
        row = connection.execute(select(item).where(item.c.id == number)).first()
        if row is None or row.state != "parked":
            raise RefusedError(409, f"item {number} is not parked")
        connection.execute(update(item).where(item.c.id == number).values(state="open", skips=0))
        again = {"state": "open", "labeler": None, "expires": 0}
        connection.execute(update(slot).where(slot.c.item == number, slot.c.state == "void").values(**again))
        audit.append(connection, actor, "released", f"item {number}")

    database.transact(work)


def add_guideline(database: Database, version: str, words: str, actor: int | None) -> None:
    """Add a version of the guidelines. A version is never changed; the same words again change nothing."""

    def work(connection: Connection) -> None:
        known = connection.execute(select(guideline).where(guideline.c.version == version)).first()
        if known is not None:
            if known.text != words:
                raise RefusedError(409, f"guideline {version!r} exists and is never changed; choose a new version")
            return
        connection.execute(insert(guideline).values(version=version, text=words, author=actor, created=now()))
        audit.append(connection, actor, "wrote", f"guideline {version}")

    database.transact(work)


def answered(connection: Connection, number: int) -> int:
    """How many answers of a batch count."""
    return connection.execute(
        select(func.count()).select_from(view).where(view.c.batch == number, view.c.state == "accepted")
    ).scalar_one()
