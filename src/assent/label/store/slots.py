"""Handing out work: claims and drafts; each is one transaction.

An item's slots are made with it, and a claim is one statement that puts a labeler on a free one. A lease that runs
out frees the slot for others but takes nothing from whoever held it: the draft stays, and late work is taken (see
`answers`).
"""

import hashlib
import random
import secrets
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Connection,
    Float,
    Integer,
    Select,
    String,
    bindparam,
    exists,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)

from assent.label import schema
from assent.label.store.database import Database, now
from assent.label.store.tables import author, batch, draft, item, person, slot, view

OPEN = literal_column("'open'")  # spelled out: only then do both databases use the index of open slots
PRACTICE = literal_column("'practice'")

# The statements of a claim, built once: building them anew would cost more than running them.
_me, _team = bindparam("me", type_=Integer), bindparam("my_team", type_=String)
_lease = bindparam("my_lease", type_=Float)
_slot = slot.alias("free")
_other = slot.alias("other")
_OPEN_BATCHES = select(batch.c.id).where(  # made by somebody else: nobody works on what they themselves put in
    batch.c.state == "open", or_(batch.c.author.is_(None), batch.c.author != _me)
)
# A free slot is looked for along the queue, in the order of priority, and the rest is asked of each in turn. Asked as
# "in one of the open batches", SQLite would take all slots of a batch and sort them.
_FREE = select(_slot.c.id).where(
    _slot.c.state == OPEN,
    or_(_slot.c.labeler.is_(None), _slot.c.expires < now()),
    or_(_slot.c.team == "any", _slot.c.team == _team),
    or_(_slot.c.reserved.is_(None), _slot.c.reserved == _me),
    _slot.c.after <= now(),
    _OPEN_BATCHES.where(batch.c.id == _slot.c.batch).exists(),
    ~exists().where(_other.c.item == _slot.c.item, _other.c.labeler == _me),
    ~exists().where(view.c.item == _slot.c.item, view.c.labeler == _me, view.c.state != "open"),
    ~exists().where(author.c.item == _slot.c.item, author.c.person == _me),
)
_LEFT = select(func.count()).select_from(_FREE.limit(200).subquery())


def _taking(free: Select[tuple[int]]) -> Any:
    """Put a labeler on the first free slot that nobody else is just being put on."""
    first = free.order_by(_slot.c.priority, _slot.c.id).limit(1).with_for_update(skip_locked=True, of=_slot)
    values = {"labeler": _me, "expires": now() + _lease, "attempt": slot.c.attempt + 1}
    taken = update(slot).where(slot.c.id == first.scalar_subquery())
    return taken.values(**values, state=bindparam("to_state")).returning(slot.c.item, slot.c.batch)


_TAKE = _taking(_FREE)
_TAKE_OF = _taking(_FREE.where(_slot.c.item == bindparam("only_item", type_=Integer)))
_HELD = (
    update(slot)
    .where(slot.c.labeler == _me, slot.c.state == OPEN, slot.c.batch.in_(_OPEN_BATCHES))
    .values(expires=now() + _lease)
    .returning(slot.c.item, slot.c.batch)
)
_LEAVE = (  # a slot of a batch that is closed must not keep its labeler from other work
    update(slot)
    .where(slot.c.labeler == _me, slot.c.state == OPEN, slot.c.batch.not_in(_OPEN_BATCHES))
    .values(labeler=None, expires=0)
)


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
    held = connection.execute(_HELD, _parameters(worker)).first()
    if held is not None:
        return _view(connection, worker, held.item, held.batch)
    practice = _practice(connection, worker)
    if practice is not None:
        return practice
    connection.execute(_LEAVE, _parameters(worker))
    taken = take(connection, worker)
    return None if taken is None else _view(connection, worker, taken[0], taken[1])


def take(
    connection: Connection, worker: Worker, only_item: int | None = None, state: str = "open"
) -> tuple[int, int] | None:
    """Put a labeler on a free slot with one statement: (item, batch), or None."""
    parameters = {**_parameters(worker), "to_state": state}
    if only_item is None:
        row = connection.execute(_TAKE, parameters).first()
    else:
        row = connection.execute(_TAKE_OF, {**parameters, "only_item": only_item}).first()
    return None if row is None else (row.item, row.batch)


def left(connection: Connection, worker: Worker) -> int:
    """How many slots a labeler could still be put on; counted up to 200."""
    return connection.execute(_LEFT, _parameters(worker)).scalar_one()


def _parameters(worker: Worker) -> dict[str, Any]:
    return {"me": worker.id, "my_team": worker.team, "my_lease": worker.lease}


def _practice(connection: Connection, worker: Worker) -> str | None:
    """A practice item that the labeler has not finished; it has no slots, everybody gets it once."""
    done = exists().where(view.c.item == item.c.id, view.c.labeler == worker.id, view.c.state != "open")
    row = connection.execute(
        select(item.c.id, item.c.batch)
        .join(batch, batch.c.id == item.c.batch)
        .where(item.c.stratum == PRACTICE, item.c.state == "open", batch.c.state == "open", ~done)
        .order_by(item.c.batch, item.c.id)  # by id alone, SQLite would look through all items for the first
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
    try:
        kept = schema.draft(document)
    except schema.DocumentError as error:
        raise RefusedError(422, error.args[0]) from None

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
            .where(slot.c.item == row.item, slot.c.labeler == worker.id, slot.c.state == OPEN)
            .values(expires=now() + worker.lease)
        )
        return 1 if known is None else known.version + 1

    return database.transact(work)
