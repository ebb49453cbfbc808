"""Known answers that have become known: taken out of use, with everything that was said of them kept."""

from sqlalchemy import ColumnElement, Connection, select, update

from assent.label.phrases import phrase
from assent.label.store import audit
from assent.label.store.database import Database, now
from assent.label.store.slots import OPEN, RefusedError
from assent.label.store.tables import item, slot


def retire(database: Database, number: int, actor: int, since: float | None, note: str) -> float:
    """Hand a gold item out no more, and count no answer to it from `since` on (None: from now); that moment.

    Again, the earlier moment stays. Whoever is at work on it may hand it in, as surplus. Raises RefusedError 404 when
    there is no such gold item, 422 for a moment that is still to come.
    """

    def work(connection: Connection) -> float:
        row = connection.execute(
            select(item.c.stratum, item.c.retired, now().label("now")).where(item.c.id == number).with_for_update()
        ).first()
        if row is None or row.stratum != "gold":
            raise RefusedError(404, phrase("there is no known answer to retire at item %(number)s", number=number))
        moment = row.now if since is None else since
        if not 0 <= moment <= row.now:
            raise RefusedError(422, "since: a moment in seconds since 1970, not after now")
        moment = min(moment, row.retired or moment)
        connection.execute(update(item).where(item.c.id == number).values(retired=moment))
        places = update(slot).where(slot.c.item == number, slot.c.state == OPEN)
        connection.execute(places.values(state="void"))
        audit.append(connection, actor, "retired", f"item {number}", {"since": round(moment, 3), "note": note})
        return moment

    return database.transact(work)


def retired(connection: Connection, number: int) -> list[tuple[int, float]]:
    """The retired known answers of a batch: (item, from when on it does not count), the latest first."""
    rows = select(item.c.id, item.c.retired).where(*retired_of(number))
    return [(row.id, row.retired) for row in connection.execute(rows.order_by(item.c.retired.desc(), item.c.id))]


def retired_of(number: int) -> tuple[ColumnElement[bool], ...]:
    """Which items these are, so that both databases read the gold items alone."""
    states = item.c.state.in_(("open", "parked", "quarantined"))
    return (item.c.batch == number, states, item.c.stratum == "gold", item.c.retired.is_not(None))
