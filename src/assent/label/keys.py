"""Keys of programs: hashed, scoped, revocable. A key without a scope may do nothing."""

import secrets
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, insert, select, update

from assent.label import accounts
from assent.label.phrases import unlisted
from assent.label.store import audit
from assent.label.store.database import now
from assent.label.store.slots import RefusedError
from assent.label.store.tables import api_key

SCOPES = ("import", "export", "status", "people")


def make(connection: Connection, name: str, scopes: Sequence[str], author: int | None) -> str:
    """A key for a program, told once. Without scopes it may do nothing."""
    for scope in scopes:
        if scope not in SCOPES:
            raise RefusedError(422, unlisted("scopes", scope, SCOPES))
    token = f"assent-{secrets.token_urlsafe(32)}"
    values = {"hash": accounts.hashed_token(token), "name": name[:100], "scopes": list(scopes), "author": author}
    number = connection.execute(insert(api_key).values(**values, created=now()).returning(api_key.c.id)).scalar_one()
    audit.append(connection, author, "made", f"key {number}", {"scopes": list(scopes)})
    return token


def scopes_of(connection: Connection, token: str) -> tuple[int, str, tuple[str, ...]] | None:
    """(number, name, scopes) of a key, or None."""
    rows = select(api_key).where(api_key.c.hash == accounts.hashed_token(token), api_key.c.revoked.is_(None))
    row = connection.execute(rows).first()
    return None if row is None else (row.id, row.name, tuple(row.scopes))


def listed(connection: Connection) -> list[dict[str, Any]]:
    """All keys, without what opens them."""
    names = ("id", "name", "scopes", "created", "revoked")
    return [{name: getattr(row, name) for name in names} for row in connection.execute(select(api_key))]


def revoke(connection: Connection, number: int, actor: int | None) -> None:
    """End a key."""
    connection.execute(update(api_key).where(api_key.c.id == number).values(revoked=now()))
    audit.append(connection, actor, "revoked", f"key {number}")
