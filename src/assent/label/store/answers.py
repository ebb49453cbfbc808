"""Taking work in: submit, revise, skip; each is one transaction, and each is done once for a key.

Answers are appended and never changed. What comes late is taken where a slot is still free and else kept as surplus.
"""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection, Integer, String, and_, bindparam, delete, func, insert, or_, select, update

from assent.label import schema
from assent.label.phrases import unlisted
from assent.label.store import audit, calibration, outbox, reviews, slots
from assent.label.store.database import Database, now
from assent.label.store.slots import RefusedError, Worker
from assent.label.store.tables import answer, batch, draft, item, receipt, slot, view

PARKED_AFTER = 3  # skips by as many labelers: the item waits for a lead


_me, _identity = bindparam("me", type_=Integer), bindparam("the_view", type_=String)
_FACTS = (  # a key's receipt, and the item and batch of a view
    select(receipt.c.view, receipt.c.action, receipt.c.result)
    .add_columns(item.c.kind, item.c.state.label("item_state"), item.c.stratum)
    .add_columns(batch.c.state.label("batch_state"), batch.c.guideline, batch.c.plan)
    .select_from(view)
    .join(item, item.c.id == view.c.item)
    .join(batch, batch.c.id == view.c.batch)
    .outerjoin(receipt, and_(receipt.c.labeler == _me, receipt.c.key == bindparam("the_key", type_=String)))
    .where(view.c.id == _identity)
)
# nobody freezes the batch or sets the item aside meanwhile
_FACTS_HELD = _FACTS.with_for_update(read=True, of=[item, batch])
_SPEND = insert(receipt).values(at=now())
_FILL = (
    update(slot)
    .where(slot.c.item == bindparam("the_item", type_=Integer), slot.c.labeler == _me, slot.c.state == slots.OPEN)
    .values(state="submitted")
)
_APPEND = insert(answer).values(at=now())
_CLOSE = update(view).where(view.c.id == _identity).values(state=bindparam("to_state", type_=String))
_FORGET = delete(draft).where(draft.c.view == _identity)


def _once(
    database: Database,
    worker: Worker,
    identity: str,
    key: str,
    action: str,
    work: Callable[[Connection, Any, Any], dict[str, Any]],
) -> dict[str, Any]:
    """Do `work` once for a key; the same key again has the same answer. A skip changes the item and holds no lock."""

    def whole(connection: Connection) -> dict[str, Any]:
        row = slots.owned(connection, worker, identity, locked=True)
        asked = {"me": worker.id, "the_view": identity, "the_key": key}
        if not row.shown:
            reviews.held(connection, row.item)
        facts = connection.execute(_FACTS if action == "skip" else _FACTS_HELD, asked).one()
        if facts.view is not None:
            if (facts.view, facts.action) != (identity, action):
                raise RefusedError(409, "this key belongs to another submission; make a new one")
            return dict(facts.result)
        result = work(connection, row, facts)
        spent = {"labeler": worker.id, "key": key, "action": action, "view": identity, "result": result}
        connection.execute(_SPEND, spent)
        return result

    return database.transact(whole)


def submit(database: Database, worker: Worker, identity: str, key: str, document: Any) -> dict[str, Any]:
    """Take in an answer: {"state": "accepted" | "surplus", "warnings": [...]}."""

    def work(connection: Connection, row: Any, facts: Any) -> dict[str, Any]:
        whole, warnings = _checked(row, facts, document)
        if row.state in ("accepted", "surplus"):
            if _same(_latest(connection, identity).document, whole):
                return {"state": row.state, "warnings": warnings}
            raise RefusedError(409, "this task was handed in from another window; open it again to revise it")
        if row.state == "skipped":
            raise RefusedError(409, "this task was skipped; ask for the next one")
        state = "accepted" if _occupy(connection, worker, row, facts) else "surplus"
        _append(connection, row, facts, whole, 1, state)
        connection.execute(_CLOSE, {"the_view": identity, "to_state": state})
        connection.execute(_FORGET, {"the_view": identity})
        _ask_for_reviews(connection, row, facts)
        outbox.finished(connection, row.batch)
        return {"state": state, "warnings": warnings}

    return _once(database, worker, identity, key, "submit", work)


def _occupy(connection: Connection, worker: Worker, row: Any, facts: Any) -> bool:
    """Fill the labeler's slot, or one that is free again; False when all are taken or the batch is closed."""
    if facts.batch_state != "open" or facts.item_state == "quarantined":
        return False
    if facts.stratum == "practice":
        return True
    if connection.execute(_FILL, {"the_item": row.item, "me": worker.id}).rowcount == 1:
        return True
    return slots.take(connection, worker, row.item, state="submitted") is not None


def revise(database: Database, worker: Worker, identity: str, key: str, document: Any) -> dict[str, Any]:
    """Append a revision to an answer, until the batch is frozen: {"state": "revised", "revision": int}."""

    def work(connection: Connection, row: Any, facts: Any) -> dict[str, Any]:
        if row.state not in ("accepted", "surplus"):
            raise RefusedError(409, "this task has not been handed in; submit it first")
        if facts.batch_state != "open":
            raise RefusedError(409, "the batch is frozen; its answers can no longer be changed")
        if calibration.seen(connection, row.item):
            raise RefusedError(409, "answers to this task were compared; they can no longer be changed")
        whole, warnings = _checked(row, facts, document)
        revision = _latest(connection, identity).revision + 1
        _append(connection, row, facts, whole, revision, row.state)
        _ask_for_reviews(connection, row, facts)
        return {"state": "revised", "revision": revision, "warnings": warnings}

    return _once(database, worker, identity, key, "revise", work)


def _ask_for_reviews(connection: Connection, row: Any, facts: Any) -> None:
    wanted = facts.plan.get("reviews", 0)
    if wanted and facts.kind == "demonstrate" and facts.stratum in reviews.REVIEWED:
        reviews.ask(connection, row.item, wanted)


def skip(database: Database, worker: Worker, identity: str, key: str, reason: str, note: str) -> dict[str, Any]:
    """Give a task back with a reason. Personal data sets the item aside for everybody at once."""
    if reason not in schema.SKIP_REASONS:
        raise RefusedError(422, unlisted("reason", reason, schema.SKIP_REASONS))

    def work(connection: Connection, row: Any, _: Any) -> dict[str, Any]:
        if row.state in ("accepted", "surplus"):
            raise RefusedError(409, "this task has been handed in; it can no longer be skipped")
        if row.state == "open":
            connection.execute(update(view).where(view.c.id == identity).values(state="skipped", reason=reason))
            connection.execute(_FORGET, {"the_view": identity})
            connection.execute(
                update(slot)
                .where(slot.c.item == row.item, slot.c.labeler == worker.id, slot.c.state == slots.OPEN)
                .values(labeler=None, expires=0)
            )
            counted = {"skips": item.c.skips + 1}
            connection.execute(update(item).where(item.c.id == row.item).values(**counted))
            _set_aside(connection, worker, row.item, reason, note)
            outbox.finished(connection, row.batch)
        return {"state": "skipped"}

    return _once(database, worker, identity, key, "skip", work)


def _set_aside(connection: Connection, worker: Worker, item_id: int, reason: str, note: str) -> None:
    """Quarantine an item with personal data; park one that nobody wants."""
    quarantined = reason == "personal_data"
    state = "quarantined" if quarantined else "parked"
    if quarantined:  # what repeats or reviews an item holds its texts
        root = func.coalesce(select(item.c.repeats).where(item.c.id == item_id).scalar_subquery(), item_id)
        where = (or_(item.c.id == root, item.c.repeats == root), item.c.state != "quarantined")
    else:
        where = (item.c.id == item_id, item.c.state == "open", item.c.skips >= PARKED_AFTER)
        where = (*where, item.c.stratum != "practice")
    changed = connection.execute(update(item).where(*where).values(state=state).returning(item.c.id)).scalars().all()
    if changed:
        close = update(slot).where(slot.c.item.in_(changed), slot.c.state == slots.OPEN).values(state="void")
        connection.execute(close)
        if quarantined:
            outbox.quarantined(connection, item_id)
        audit.append(connection, worker.id, state, f"item {item_id}", {"reason": reason, "note": note})
    elif note:
        audit.append(connection, worker.id, "skipped", f"item {item_id}", {"reason": reason, "note": note})


def _checked(row: Any, facts: Any, document: Any) -> tuple[dict[str, Any], list[str]]:
    keys = [key for key, _ in row.shown]
    try:
        whole = schema.checked(facts.kind, document, keys)
    except schema.DocumentError as error:
        raise RefusedError(422, error.args[0]) from None
    return whole, schema.contradictions(whole, keys) if facts.kind == "rank" else []


def _latest(connection: Connection, identity: str) -> Any:
    return connection.execute(
        select(answer).where(answer.c.view == identity).order_by(answer.c.revision.desc()).limit(1)
    ).one()


def _append(
    connection: Connection, row: Any, facts: Any, document: Mapping[str, Any], revision: int, state: str
) -> None:
    connection.execute(
        _APPEND,
        {
            "view": row.id,
            "item": row.item,
            "batch": row.batch,
            "labeler": row.labeler,
            "revision": revision,
            "state": state,
            "schema": document["schema"],
            "guideline": facts.guideline,
            "document": document,
            "seconds": document["seconds"],
        },
    )


def _same(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    return {**first, "seconds": 0} == {**second, "seconds": 0}
