"""The audit log: append-only, each entry with a hash over itself and the one before, in the transaction it tells of.

Whoever changes or removes an entry, even with the database in hand, breaks the chain at that place; cutting off the
end is seen by comparing the last hash with one written down elsewhere (`assent label verify` prints it).
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, insert, select, text

from assent.label.store.database import now
from assent.label.store.tables import audit

_START = "0" * 64
_LOCK = 0x41535345  # one writer of the log at a time (PostgreSQL; SQLite has one writer anyway)


def append(
    connection: Connection, actor: int | None, action: str, thing: str, detail: Mapping[str, Any] | None = None
) -> None:
    """Add an entry; last in its transaction, since others wait from here on."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    last = connection.execute(select(audit.c.number, audit.c.hash).order_by(audit.c.number.desc()).limit(1)).first()
    number, before = (last.number + 1, last.hash) if last is not None else (1, _START)
    at = round(float(connection.execute(select(now())).scalar_one()), 3)
    entry: dict[str, Any] = {
        "number": number,
        "at": at,
        "actor": actor,
        "action": action,
        "object": thing[:200],
        "detail": json.dumps(detail or {}, ensure_ascii=True, sort_keys=True),
    }
    connection.execute(insert(audit).values(**entry, hash=_hash(before, entry)))


def verify(connection: Connection) -> tuple[int, str, str]:
    """(entries, last hash, what is wrong or ""), reading the whole log."""
    before, count = _START, 0
    for row in connection.execute(select(audit).order_by(audit.c.number)):
        count += 1
        entry = {name: getattr(row, name) for name in ("number", "at", "actor", "action", "object", "detail")}
        if row.number != count:
            return count, before, f"entry {count} of the audit log is missing"
        if row.hash != _hash(before, entry):
            return count, before, f"entry {count} of the audit log was changed"
        before = row.hash
    return count, before, ""


def _hash(before: str, entry: Mapping[str, Any]) -> str:
    line = json.dumps([before, *(entry[name] for name in sorted(entry))], ensure_ascii=True)
    return hashlib.sha256(line.encode()).hexdigest()
