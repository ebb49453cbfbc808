"""Handing out work and taking it in: claim, draft, submit, skip, revise; each is one transaction.

An item's slots are made with it, and a claim is one statement that puts a labeler on a free one. A lease that runs
out frees the slot for others but takes nothing from whoever held it: the draft stays, and work that comes late is
taken if a slot is still free and else kept as surplus.
"""

import hashlib
import random
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, delete, exists, func, insert, literal_column, or_, select, update

from assent.label import schema
from assent.label.store import audit
from assent.label.store.database import Database, now
from assent.label.store.tables import answer, author, batch, draft, item, person, receipt, slot, view

_OPEN = literal_column("'open'")  # spelled out: only then do both databases use the index of open slots
_free_slot = slot.alias("free")
_other = slot.alias("other")

PARKED_AFTER = 3  # skips by as many labelers: the item waits for a lead


class RefusedError(Exception):
    """A request that cannot be met: an HTTP status, a sentence, and what goes with it."""

    def __init__(self, status: int, sentence: str, **more: Any) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.more = more


@dataclass(frozen=True)
class Worker:
    """Who works: a person's number and team, and how long a lease lasts, in seconds."""

    id: int
    team: str
    lease: float


def claim(database: Database, worker: Worker) -> tuple[str | None, int]:
    """The view a labeler is to work on, or None when there is nothing; and how many free slots are left for the team.

    An open lease is given again, also one that ran out unless somebody else has taken the slot.
    """
    return database.transact(lambda connection: (_claim(connection, worker), left(connection, worker)))


def _claim(connection: Connection, worker: Worker) -> str | None:
    held = connection.execute(
        update(slot)
        .where(slot.c.labeler == worker.id, slot.c.state == _OPEN, slot.c.batch.in_(_open_batches(worker)))
        .values(expires=now() + worker.lease)
        .returning(slot.c.item, slot.c.batch)
    ).first()
    if held is not None:
        return _view(connection, worker, held.item, held.batch)
    practice = _practice(connection, worker)
    if practice is not None:
        return practice
    _leave(connection, worker)
    taken = _take(connection, worker)
    return None if taken is None else _view(connection, worker, taken[0], taken[1])


def _leave(connection: Connection, worker: Worker) -> None:
    """Give up a slot of a batch that is closed, so that it does not keep its labeler from other work."""
    connection.execute(
        update(slot)
        .where(slot.c.labeler == worker.id, slot.c.state == _OPEN, slot.c.batch.not_in(_open_batches(worker)))
        .values(labeler=None, expires=0)
    )


def _take(connection: Connection, worker: Worker, only_item: int | None = None) -> tuple[int, int] | None:
    """Put a labeler on a free slot with one statement: (item, batch), or None."""
    free = _first(_free(worker, only_item).order_by(_free_slot.c.priority, _free_slot.c.id))
    row = connection.execute(
        update(slot)
        .where(slot.c.id == free.scalar_subquery())
        .values(labeler=worker.id, expires=now() + worker.lease, attempt=slot.c.attempt + 1)
        .returning(slot.c.item, slot.c.batch)
    ).first()
    return None if row is None else (row.item, row.batch)


def _free(worker: Worker, only_item: int | None = None) -> Select[tuple[int]]:
    """The numbers of the slots that a labeler may be put on."""
    free = _free_slot.c
    statement = select(free.id).where(
        free.state == _OPEN,
        or_(free.labeler.is_(None), free.expires < now()),
        free.team.in_(("any", worker.team)),
        or_(free.reserved.is_(None), free.reserved == worker.id),
        free.after <= now(),
        free.batch.in_(_open_batches(worker)),
        ~exists().where(_other.c.item == free.item, _other.c.labeler == worker.id),
        ~exists().where(view.c.item == free.item, view.c.labeler == worker.id, view.c.state != "open"),
        ~exists().where(author.c.item == free.item, author.c.person == worker.id),
    )
    return statement if only_item is None else statement.where(free.item == only_item)


def _first(free: Select[tuple[int]]) -> Select[tuple[int]]:
    """The first free slot that nobody else is just being put on."""
    return free.limit(1).with_for_update(skip_locked=True, of=_free_slot)


def _open_batches(worker: Worker) -> Select[tuple[int]]:
    """Batches that are open, and not made by the labeler: nobody works on what they themselves put in."""
    made = or_(batch.c.author.is_(None), batch.c.author != worker.id)
    return select(batch.c.id).where(batch.c.state == "open", made)


def left(connection: Connection, worker: Worker, most: int = 200) -> int:
    """How many slots a labeler could still be put on; counted up to `most`."""
    some = _free(worker).limit(most).subquery()
    return connection.execute(select(func.count()).select_from(some)).scalar_one()


def _practice(connection: Connection, worker: Worker) -> str | None:
    """A practice item that the labeler has not finished; it has no slots, everybody gets it once."""
    done = exists().where(view.c.item == item.c.id, view.c.labeler == worker.id, view.c.state != "open")
    row = connection.execute(
        select(item.c.id, item.c.batch)
        .join(batch, batch.c.id == item.c.batch)
        .where(item.c.stratum == "practice", item.c.state == "open", batch.c.state == "open", ~done)
        .order_by(item.c.id)
        .limit(1)
    ).first()
    return None if row is None else _view(connection, worker, row.id, row.batch)


def _view(connection: Connection, worker: Worker, item_id: int, batch_id: int) -> str:
    """What a labeler is shown of an item, made at the first claim and the same for ever after."""
    found = connection.execute(
        select(view.c.id).where(view.c.item == item_id, view.c.labeler == worker.id)
    ).scalar_one_or_none()
    if found is not None:
        return found
    count = len(connection.execute(select(item.c.responses).where(item.c.id == item_id)).scalar_one())
    seed = connection.execute(select(batch.c.plan).where(batch.c.id == batch_id)).scalar_one().get("seed", 0)
    uid = connection.execute(select(person.c.uid).where(person.c.id == worker.id)).scalar_one()
    identity = secrets.token_hex(16)
    shown = [[secrets.token_hex(4), place] for place in order(seed, item_id, uid, count)]
    connection.execute(
        insert(view).values(
            id=identity, item=item_id, batch=batch_id, labeler=worker.id, shown=shown, state="open", opened=now()
        )
    )
    return identity


def order(seed: int, item_id: int, labeler: str, count: int) -> list[int]:
    """In which order responses are shown: a function of the batch's seed, the item and the labeler."""
    digest = hashlib.sha256(f"{seed}|{item_id}|{labeler}".encode()).digest()
    places = list(range(count))
    random.Random(int.from_bytes(digest[:8])).shuffle(places)
    return places


# -- a view and its draft ------------------------------------------------------------------------------------


def owned(connection: Connection, worker: Worker, identity: str, *, locked: bool = False) -> Any:
    """The row of a labeler's own view; anybody else's does not exist for them. locked: against other windows."""
    statement = select(view).where(view.c.id == identity, view.c.labeler == worker.id)
    row = connection.execute(statement.with_for_update() if locked else statement).first()
    if row is None:
        raise RefusedError(404, "there is no such task among yours")
    return row


def keep_draft(database: Database, worker: Worker, identity: str, document: Any, version: int) -> int:
    """Keep a draft and renew the lease; returns the draft's new version.

    version: the one the browser started from; when a newer one exists, RefusedError 409 carries it.
    """
    kept = schema.draft(document)

    def work(connection: Connection) -> int:
        row = owned(connection, worker, identity, locked=True)
        if row.state != "open":
            raise RefusedError(409, "this task has been handed in; open it again to revise it")
        known = connection.execute(select(draft).where(draft.c.view == identity)).first()
        if known is not None and known.version != version:
            if known.document == kept:
                return known.version  # the answer to this request was lost on its way
            raise RefusedError(409, "another window has a newer draft", version=known.version, document=known.document)
        if known is None:
            connection.execute(insert(draft).values(view=identity, version=1, document=kept, at=now()))
        else:
            fresh = {"version": known.version + 1, "document": kept, "at": now()}
            connection.execute(update(draft).where(draft.c.view == identity).values(**fresh))
        connection.execute(
            update(slot)
            .where(slot.c.item == row.item, slot.c.labeler == worker.id, slot.c.state == _OPEN)
            .values(expires=now() + worker.lease)
        )
        return 1 if known is None else known.version + 1

    return database.transact(work)


# -- handing in ----------------------------------------------------------------------------------------------


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
        row = owned(connection, worker, identity, locked=True)
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
    mine = (slot.c.item == row.item, slot.c.labeler == worker.id, slot.c.state == _OPEN)
    filled = update(slot).where(*mine).values(state="submitted")
    if connection.execute(filled).rowcount == 1:
        return True
    held = select(slot.c.id, slot.c.item).where(slot.c.labeler == worker.id, slot.c.state == _OPEN)
    other = connection.execute(held).first()
    if other is not None:  # a labeler holds one open slot at a time: go straight to submitted
        return _fill_free(connection, worker, row.item)
    return _take(connection, worker, row.item) is not None and connection.execute(filled).rowcount == 1


def _fill_free(connection: Connection, worker: Worker, item_id: int) -> bool:
    free = _first(_free(worker, item_id))
    filled = (
        update(slot)
        .where(slot.c.id == free.scalar_subquery())
        .values(labeler=worker.id, state="submitted", attempt=slot.c.attempt + 1)
    )
    return connection.execute(filled).rowcount == 1


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
                .where(slot.c.item == row.item, slot.c.labeler == worker.id, slot.c.state == _OPEN)
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
        close = update(slot).where(slot.c.item == item_id, slot.c.state == _OPEN).values(state="void")
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
        raise RefusedError(422, str(error)) from None
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
