"""Slowing down guesses: so many tries in a quarter of an hour, by account and by address; nobody is locked out.

A try is noted before its password is looked at and taken back when it was right. Were it noted afterwards, forty
guesses at once would all be looked at before the first of them counted.
"""

from sqlalchemy import Connection, delete, insert, select, text, update

from assent.label import accounts
from assent.label.store.database import now
from assent.label.store.tables import attempt

WINDOW_SECONDS = 900.0
ACCOUNT_TRIES, ADDRESS_TRIES = 8, 40  # of an address only what was wrong counts: many may work behind one


def begin(connection: Connection, name: str, address: str) -> tuple[int, float]:
    """Note a try: its number and 0, or 0 and how many seconds to wait before another one."""
    account = accounts.hashed_token(accounts.spelled(name).lower())
    if connection.dialect.name == "postgresql":  # tries of one account are counted one after the other
        key = int.from_bytes(account[:8], signed=True)
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})
    since = now() - WINDOW_SECONDS
    for column, value, most in (
        (attempt.c.account, account, ACCOUNT_TRIES),
        (attempt.c.address, address[:64] or "?", ADDRESS_TRIES),
    ):
        tries = select(attempt.c.at, now()).where(column == value, attempt.c.at > since).order_by(attempt.c.at.desc())
        rows = connection.execute(tries.limit(most)).all()
        if len(rows) == most:
            return 0, max(1.0, rows[-1][0] + WINDOW_SECONDS - rows[-1][1])
    noted = insert(attempt).values(account=account, address="", at=now()).returning(attempt.c.id)
    return connection.execute(noted).scalar_one(), 0.0


def failed(connection: Connection, number: int, address: str) -> None:
    """A try was wrong: it counts for the address too. Forgets those that no longer count."""
    connection.execute(delete(attempt).where(attempt.c.at < now() - WINDOW_SECONDS))
    connection.execute(update(attempt).where(attempt.c.id == number).values(address=address[:64] or "?"))


def passed(connection: Connection, number: int) -> None:
    """A try was right, and never counts."""
    connection.execute(delete(attempt).where(attempt.c.id == number))
