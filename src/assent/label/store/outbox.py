"""What is to be told to webhooks: rows written in the transaction of what they tell, sent by `sending` afterwards.

A delivery that is written is tried until it is taken or parked, at least once and perhaps twice: its id says so. One
process has it at a time, by a lease. What it says holds no text of a labeler and no name of a person.
"""

import json
import secrets
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, text, update

from assent.label.phrases import phrase
from assent.label.store.database import Database, now
from assent.label.store.slots import OPEN, RefusedError
from assent.label.store.tables import batch, delivery, item, slot, view, webhook

EVENTS: dict[str, str] = {
    "batch.finished": phrase("the last place of a batch is filled"),
    "batch.frozen": phrase("a batch is frozen"),
    "export.made": phrase("an export is made"),
    "item.quarantined": phrase("an item is set aside for personal data"),
}
TRIES = 10  # then a delivery is parked, some four hours after the first
FIRST_WAIT, LONGEST_WAIT = 30.0, 6 * 3600.0  # seconds; doubled after every try
LEASE = 60.0  # longer than a try takes
KEPT = 30 * 86400.0  # seconds that what was sent is still shown
_LOCK = 0x4655  # with a batch's number: of two who fill its last places, the second sees the first


def tell(connection: Connection, event: str, facts: Mapping[str, Any]) -> int:
    """Write a delivery for every webhook that asks for an event; how many. Part of the caller's transaction."""
    rows = connection.execute(select(webhook.c.id, webhook.c.events, now()).where(webhook.c.stopped.is_(None))).all()
    wanting = [row for row in rows if event in row.events]
    for row in wanting:
        identity = secrets.token_hex(16)
        body = json.dumps({"id": identity, "event": event, "at": round(row[2], 3), **facts}, sort_keys=True)
        values = {"id": identity, "webhook": row.id, "event": event, "body": body}
        connection.execute(insert(delivery).values(**values, due=now(), created=now()))
    return len(wanting)


def frozen(connection: Connection, number: int, name: str) -> None:
    """A batch was frozen."""
    answers = select(func.count()).where(view.c.batch == number, view.c.state == "accepted")
    tell(connection, "batch.frozen", {"batch": name, "answers": connection.execute(answers).scalar_one()})


def finished(connection: Connection, number: int) -> None:
    """A place was filled or closed: if it was the last of its batch, tell."""
    wanting = connection.execute(select(webhook.c.events).where(webhook.c.stopped.is_(None))).scalars().all()
    if not any("batch.finished" in events for events in wanting):
        return
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key, :batch)"), {"key": _LOCK, "batch": number})
    open_ones = select(slot.c.id).where(slot.c.batch == number, slot.c.state == OPEN).limit(1)
    if connection.execute(open_ones).first() is None:
        name = connection.execute(select(batch.c.name).where(batch.c.id == number)).scalar_one()
        tell(connection, "batch.finished", {"batch": name})


def quarantined(connection: Connection, number: int) -> None:
    """An item was set aside for personal data."""
    named = select(batch.c.name).join(item, item.c.batch == batch.c.id).where(item.c.id == number)
    tell(connection, "item.quarantined", {"batch": connection.execute(named).scalar_one(), "item": number})


# -- taken from the box, by whoever sends ----------------------------------------------------------------------------

_DUE = (
    select(delivery.c.id)
    .where(delivery.c.state == "waiting", delivery.c.due <= now(), delivery.c.leased <= now())
    .order_by(delivery.c.tries, delivery.c.due)
    .limit(1)
)


def take(database: Database) -> Any:
    """A delivery that is due, for this process alone for `LEASE` seconds: its row with url and salt; or None.

    The try counts from now on, so that one on which a process dies is parked in the end as well.
    """
    if database.glance(_DUE, {}) is None:
        return None

    def work(connection: Connection) -> Any:
        chosen = _DUE.with_for_update(skip_locked=True).scalar_subquery()
        taken = (
            update(delivery)
            .where(delivery.c.id == chosen)
            .values(leased=now() + LEASE, tries=delivery.c.tries + 1)
            .returning(delivery.c.id)
        )
        identity = connection.execute(taken).scalar_one_or_none()
        joined = select(delivery, webhook.c.url, webhook.c.salt, webhook.c.stopped, now().label("now"))
        joined = joined.join(webhook, webhook.c.id == delivery.c.webhook)
        return None if identity is None else connection.execute(joined.where(delivery.c.id == identity)).first()

    return database.transact(work)


def took(connection: Connection, identity: str, said: str) -> None:
    """A delivery was taken; forgets those that were, a month ago."""
    values = {"state": "sent", "leased": 0, "said": said[:200]}
    connection.execute(update(delivery).where(delivery.c.id == identity).values(**values))
    connection.execute(delete(delivery).where(delivery.c.state == "sent", delivery.c.created < now() - KEPT))


def failed(connection: Connection, identity: str, tries: int, said: str, *, last: bool = False) -> None:
    """A try failed: another one later, or none after `TRIES` or when it was the last."""
    wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** (tries - 1))
    state = "parked" if last or tries >= TRIES else "waiting"
    values = {"state": state, "leased": 0, "said": said[:200], "due": now() + wait}
    connection.execute(update(delivery).where(delivery.c.id == identity, delivery.c.tries == tries).values(**values))


def again(connection: Connection, identity: str) -> None:
    """Send a parked delivery again, from the first try on."""
    where = (delivery.c.id == identity, delivery.c.state == "parked")
    values = {"state": "waiting", "tries": 0, "due": now()}
    if connection.execute(update(delivery).where(*where).values(**values)).rowcount == 0:
        raise RefusedError(409, "this delivery is not parked")


def listed(connection: Connection, most: int = 100) -> list[Any]:
    """The latest deliveries, and where they go."""
    rows = select(delivery, webhook.c.url).join(webhook, webhook.c.id == delivery.c.webhook)
    return list(connection.execute(rows.order_by(delivery.c.created.desc()).limit(most)).all())
