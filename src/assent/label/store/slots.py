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
    JSON,
    Connection,
    Exists,
    Float,
    Integer,
    Select,
    String,
    and_,
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
LASTING = 0.99  # a draft renews its lease when less of it is left: not at every few keystrokes

# The statements, built once: building them anew would cost more than running them.
_me, _team = bindparam("me", type_=Integer), bindparam("my_team", type_=String)
_lease = bindparam("my_lease", type_=Float)
_slot = slot.alias("free")
_other = slot.alias("other")
_OPEN_BATCHES = select(batch.c.id).where(  # made by somebody else: nobody works on what they themselves put in
    batch.c.state == "open", or_(batch.c.author.is_(None), batch.c.author != _me)
)


def _of_each(rows: Select[tuple[int]]) -> Exists:
    """Whether there are such rows, asked of each slot in turn.

    OFFSET keeps PostgreSQL from turning the question into a join, for which it would look through whole tables: it does
    not know yet how long they are when a batch has just come in.
    """
    return rows.offset(literal_column("0")).exists()


# A free slot is looked for along the queue, in the order of priority, and the rest is asked of each in turn. Asked as
# "in one of the open batches", SQLite would take all slots of a batch and sort them.
_FREE = select(_slot.c.id).where(
    _slot.c.state == OPEN,
    or_(_slot.c.labeler.is_(None), _slot.c.expires < now()),
    or_(_slot.c.team == "any", _slot.c.team == _team),
    or_(_slot.c.reserved.is_(None), _slot.c.reserved == _me),
    _slot.c.after <= now(),
    _of_each(_OPEN_BATCHES.where(batch.c.id == _slot.c.batch)),
    ~_of_each(select(_other.c.id).where(_other.c.item == _slot.c.item, _other.c.labeler == _me)),
    ~_of_each(select(view.c.id).where(view.c.item == _slot.c.item, view.c.labeler == _me, view.c.state != "open")),
    ~_of_each(select(author.c.item).where(author.c.item == _slot.c.item, author.c.person == _me)),
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
    select(slot.c.id, slot.c.item, slot.c.batch)
    .add_columns(_OPEN_BATCHES.where(batch.c.id == slot.c.batch).exists().label("open"))
    .where(slot.c.labeler == _me, slot.c.state == OPEN)
    .with_for_update(of=slot)
)
_RENEW = update(slot).where(slot.c.id == bindparam("the_slot", type_=Integer)).values(expires=now() + _lease)
_LEAVE = (  # a slot of a batch that is closed must not keep its labeler from other work
    update(slot).where(slot.c.id == bindparam("the_slot", type_=Integer)).values(labeler=None, expires=0)
)
_PRACTICE = (
    select(item.c.id, item.c.batch)
    .join(batch, batch.c.id == item.c.batch)
    .where(item.c.stratum == PRACTICE, item.c.state == "open", batch.c.state == "open")
    .where(~exists().where(view.c.item == item.c.id, view.c.labeler == _me, view.c.state != "open"))
    .order_by(item.c.batch, item.c.id)  # by id alone, SQLite would look through all items for the first
    .limit(1)
)
_SEEN = (  # what a labeler has been shown of an item, and what it takes to show it
    select(view.c.id.label("view"), item.c.responses, batch.c.plan, person.c.uid)
    .join(batch, batch.c.id == item.c.batch)
    .join(person, person.c.id == _me)
    .outerjoin(view, and_(view.c.item == item.c.id, view.c.labeler == person.c.id))
    .where(item.c.id == bindparam("the_item", type_=Integer))
)
_SHOW = insert(view).values(state="open", opened=now())
_identity = bindparam("the_view", type_=String)
_OWNED = select(view).where(view.c.id == _identity, view.c.labeler == _me)
_LOCKED = _OWNED.with_for_update()
_DRAFTED = (
    select(view.c.state, draft.c.version, slot.c.id.label("slot"), (slot.c.expires - now()).label("lasts"))
    .outerjoin(draft, draft.c.view == view.c.id)
    .outerjoin(slot, and_(slot.c.item == view.c.item, slot.c.labeler == view.c.labeler, slot.c.state == OPEN))
    .where(view.c.id == _identity, view.c.labeler == _me)
    .with_for_update(of=view)
)
_DRAFT = select(draft.c.version, draft.c.document).where(draft.c.view == _identity)
_KEEP = insert(draft).values(version=1, at=now())
_KEEP_NEXT = (
    update(draft)
    .where(draft.c.view == _identity, draft.c.version == bindparam("from_version", type_=Integer))
    .values(version=draft.c.version + 1, document=bindparam("said", type_=JSON), at=now())
)


class RefusedError(Exception):
    """A request that cannot be met: an HTTP status, a sentence, and what goes with it."""

    def __init__(self, status: int, sentence: str, **more: Any) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.more = more


def absent() -> RefusedError:
    """What is said of a task that is somebody else's, or nobody's."""
    return RefusedError(404, "there is no such task among yours")


@dataclass(frozen=True)
class Worker:
    """Who works: a person's number and team, and how long a lease lasts, in seconds."""

    id: int
    team: str
    lease: float


def claim(database: Database, worker: Worker) -> tuple[str | None, int]:
    """The view a labeler is to work on and 0; or None, and how many free slots there were all the same (others' locks).

    An open lease is given again, also one that ran out unless somebody else has taken the slot.
    """

    def work(connection: Connection) -> tuple[str | None, int]:
        identity = claimed(connection, worker)
        return identity, left(connection, worker) if identity is None else 0

    return database.transact(work)


def claimed(connection: Connection, worker: Worker) -> str | None:
    """`claim` inside the caller's transaction: the view."""
    held = connection.execute(_HELD, _parameters(worker)).first()
    if held is not None and held.open:
        connection.execute(_RENEW, {"the_slot": held.id, "my_lease": worker.lease})
        return _view(connection, worker, held.item, held.batch)
    practice = connection.execute(_PRACTICE, {"me": worker.id}).first()
    if practice is not None:
        return _view(connection, worker, practice.id, practice.batch)
    if held is not None:
        connection.execute(_LEAVE, {"the_slot": held.id})
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


def _view(connection: Connection, worker: Worker, item_id: int, batch_id: int) -> str:
    """What a labeler is shown of an item, made at the first claim and the same for ever after."""
    row = connection.execute(_SEEN, {"me": worker.id, "the_item": item_id}).one()
    if row.view is not None:
        return row.view
    identity = secrets.token_hex(16)
    places = order(row.plan.get("seed", 0), item_id, row.uid, len(row.responses))
    shown = [[secrets.token_hex(4), place] for place in places]
    connection.execute(
        _SHOW, {"id": identity, "item": item_id, "batch": batch_id, "labeler": worker.id, "shown": shown}
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
    row = connection.execute(_LOCKED if locked else _OWNED, {"the_view": identity, "me": worker.id}).first()
    if row is None:
        raise absent()
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
        row = connection.execute(_DRAFTED, {"the_view": identity, "me": worker.id}).first()
        if row is None:
            raise absent()
        if row.state != "open":
            raise RefusedError(409, "this task has been handed in; open it again to revise it")
        if row.version is None:
            connection.execute(_KEEP, {"view": identity, "document": kept})
        else:
            change = {"the_view": identity, "from_version": version, "said": kept}
            if row.version != version or connection.execute(_KEEP_NEXT, change).rowcount == 0:
                return _already(connection, identity, kept)
        if row.slot is not None and row.lasts < LASTING * worker.lease:
            connection.execute(_RENEW, {"the_slot": row.slot, "my_lease": worker.lease})
        return 1 if row.version is None else version + 1

    return database.transact(work)


def _already(connection: Connection, identity: str, kept: Any) -> int:
    """The version of a draft that says the same, since the answer to it was lost on its way; else RefusedError 409."""
    known = connection.execute(_DRAFT, {"the_view": identity}).one()
    if known.document == kept:
        return known.version
    raise RefusedError(409, "another window has a newer draft", version=known.version, document=known.document)
