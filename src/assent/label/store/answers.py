"""Taking work in: submit, revise, skip; each is one transaction, and each is done once for a key.

Answers are appended and never changed. What comes late is taken where a slot is still free and else kept as surplus.
"""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from assent.label import schema
from assent.label.store import audit, slots
from assent.label.store.database import Database, now
from assent.label.store.slots import RefusedError, Worker
from assent.label.store.tables import answer, batch, draft, item, receipt, slot, view

PARKED_AFTER = 3  # skips by as many labelers: the item waits for a lead


def _once(
    database: Database,
    worker: Worker,
    identity: str,
    key: str,
    action: str,
    work: Callable[[Connection, Any], dict[str, Any]],
) -> dict[str, Any]:
    """Do `work` once for a key; the same key again has the same answer."""

    def whole(connection: Connection) -> dict[str, Any]:
        row = slots.owned(connection, worker, identity, locked=True)
        spent = connection.execute(select(receipt).where(receipt.c.labeler == worker.id, receipt.c.key == key)).first()
        if spent is not None:
            if (spent.view, spent.action) != (identity, action):
                raise RefusedError(409, "this key belongs to another submission; make a new one")
            return dict(spent.result)
        result = work(connection, row)
        connection.execute(
            insert(receipt).values(labeler=worker.id, key=key, action=action, view=identity, result=result, at=now())
        )
        return result

    return database.transact(whole)


def submit(database: Database, worker: Worker, identity: str, key: str, document: Any) -> dict[str, Any]:
    """Take in an answer: {"state": "accepted" | "surplus", "warnings": [...]}."""

    def work(connection: Connection, row: Any) -> dict[str, Any]:
        whole, warnings = _checked(connection, row, document)
        if row.state in ("accepted", "surplus"):
            if _same(_latest(connection, identity).document, whole):
                return {"state": row.state, "warnings": warnings}
            raise RefusedError(409, "this task was handed in from another window; open it again to revise it")
        if row.state == "skipped":
            raise RefusedError(409, "this task was skipped; ask for the next one")
        state = "accepted" if _occupy(connection, worker, row) else "surplus"
        _append(connection, row, whole, 1, state)
        connection.execute(update(view).where(view.c.id == identity).values(state=state))
        connection.execute(delete(draft).where(draft.c.view == identity))
        return {"state": state, "warnings": warnings}

    return _once(database, worker, identity, key, "submit", work)


def _occupy(connection: Connection, worker: Worker, row: Any) -> bool:
    """Fill the labeler's slot, or one that is free again; False when all are taken or the batch is closed."""
    facts = connection.execute(
        select(batch.c.state, item.c.state, item.c.stratum)
        .join(item, item.c.batch == batch.c.id)
        .where(item.c.id == row.item)
        .with_for_update(read=True)  # nobody freezes the batch or sets the item aside meanwhile
    ).one()
    if facts[0] != "open" or facts[1] == "quarantined":
        return False
    if facts[2] == "practice":
        return True
    mine = (slot.c.item == row.item, slot.c.labeler == worker.id, slot.c.state == slots.OPEN)
    if connection.execute(update(slot).where(*mine).values(state="submitted")).rowcount == 1:
        return True
    return slots.take(connection, worker, row.item, state="submitted") is not None


def revise(database: Database, worker: Worker, identity: str, key: str, document: Any) -> dict[str, Any]:
    """Append a revision to an answer, until the batch is frozen: {"state": "revised", "revision": int}."""

    def work(connection: Connection, row: Any) -> dict[str, Any]:
        if row.state not in ("accepted", "surplus"):
            raise RefusedError(409, "this task has not been handed in; submit it first")
        state = connection.execute(
            select(batch.c.state).where(batch.c.id == row.batch).with_for_update(read=True)
        ).scalar_one()
        if state != "open":
            raise RefusedError(409, "the batch is frozen; its answers can no longer be changed")
        whole, warnings = _checked(connection, row, document)
        revision = _latest(connection, identity).revision + 1
        _append(connection, row, whole, revision, row.state)
        return {"state": "revised", "revision": revision, "warnings": warnings}

    return _once(database, worker, identity, key, "revise", work)


def skip(database: Database, worker: Worker, identity: str, key: str, reason: str, note: str) -> dict[str, Any]:
    """Give a task back with a reason. Personal data sets the item aside for everybody at once."""
    if reason not in schema.SKIP_REASONS:
        raise RefusedError(422, f"reason: {reason!r} is not one of {', '.join(schema.SKIP_REASONS)}")

    def work(connection: Connection, row: Any) -> dict[str, Any]:
        if row.state in ("accepted", "surplus"):
            raise RefusedError(409, "this task has been handed in; it can no longer be skipped")
        if row.state == "open":
            connection.execute(update(view).where(view.c.id == identity).values(state="skipped", reason=reason))
            connection.execute(
                update(slot)
                .where(slot.c.item == row.item, slot.c.labeler == worker.id, slot.c.state == slots.OPEN)
                .values(labeler=None, expires=0)
            )
            counted = {"skips": item.c.skips + 1}
            connection.execute(update(item).where(item.c.id == row.item).values(**counted))
            _set_aside(connection, worker, row.item, reason, note)
        return {"state": "skipped"}

    return _once(database, worker, identity, key, "skip", work)


def _set_aside(connection: Connection, worker: Worker, item_id: int, reason: str, note: str) -> None:
    """Quarantine an item with personal data; park one that nobody wants."""
    quarantined = reason == "personal_data"
    where = (item.c.id == item_id, item.c.state == "open")
    if not quarantined:
        where = (*where, item.c.skips >= PARKED_AFTER, item.c.stratum != "practice")
    state = "quarantined" if quarantined else "parked"
    changed = connection.execute(update(item).where(*where).values(state=state)).rowcount
    if changed:
        close = update(slot).where(slot.c.item == item_id, slot.c.state == slots.OPEN).values(state="void")
        connection.execute(close)
        audit.append(connection, worker.id, state, f"item {item_id}", {"reason": reason, "note": note})
    elif note:
        audit.append(connection, worker.id, "skipped", f"item {item_id}", {"reason": reason, "note": note})


def _checked(connection: Connection, row: Any, document: Any) -> tuple[dict[str, Any], list[str]]:
    kind = connection.execute(select(item.c.kind).where(item.c.id == row.item)).scalar_one()
    keys = [key for key, _ in row.shown]
    try:
        whole = schema.checked(kind, document, keys)
    except schema.DocumentError as error:
        raise RefusedError(422, error.args[0]) from None
    return whole, schema.contradictions(whole, keys) if kind == "rank" else []


def _latest(connection: Connection, identity: str) -> Any:
    return connection.execute(
        select(answer).where(answer.c.view == identity).order_by(answer.c.revision.desc()).limit(1)
    ).one()


def _append(connection: Connection, row: Any, document: Mapping[str, Any], revision: int, state: str) -> None:
    guideline = connection.execute(select(batch.c.guideline).where(batch.c.id == row.batch)).scalar_one()
    connection.execute(
        insert(answer).values(
            view=row.id,
            item=row.item,
            batch=row.batch,
            labeler=row.labeler,
            revision=revision,
            state=state,
            schema=document["schema"],
            guideline=guideline,
            document=document,
            seconds=document["seconds"],
            at=now(),
        )
    )


def _same(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    return {**first, "seconds": 0} == {**second, "seconds": 0}
