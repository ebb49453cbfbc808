"""Backups: all rows of one moment as lines with hashes, the same for both databases, so that one restores the other.

Sessions and wrong passwords stay behind: nobody is signed in after a restore. So does who has answered the survey: two
backups would say it of single answers. After a restore everybody may answer again. Deliveries to webhooks stay
too: what is restored elsewhere tells nobody again.
"""

import base64
import gzip
import hashlib
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, func, insert, inspect, select, text

from assent.label.store import audit, tables
from assent.label.store.database import Database, StoreError
from assent.label.store.migrate import migrate, revision
from assent.label.store.tables import answer, batch, item, slot, view
from assent.run import atomically

FORMAT = 1
LEFT = ("session", "attempt", "surveyed", "delivery", "begun")
CHUNK = 1000


def backup(database: Database, path: Path) -> dict[str, Any]:
    """Write a backup of one moment; what it says of itself. The file is whole and on disk, or not there."""
    if path.exists():
        raise ValueError(f"{path} exists; choose a new file, backups never overwrite")
    known = revision(database)
    if known is None:
        raise StoreError("the database is empty; there is nothing to back up")
    with atomically(path) as temporary:
        try:
            return _written(database, known, temporary)
        except BaseException:
            temporary.unlink(missing_ok=True)  # a disk may be full of it
            raise


def _written(database: Database, known: str, path: Path) -> dict[str, Any]:
    summary: dict[str, Any] = {"format": FORMAT, "revision": known, "tables": {}}
    with database.snapshot() as connection, gzip.open(path, "wb") as file:
        file.write(_line({"format": FORMAT, "revision": known}))
        for table in _tables(connection):
            count, whole = 0, hashlib.sha256()
            for row in _rows(connection, table):
                line = _line({"table": table.name, "row": row})
                file.write(line)
                whole.update(line)
                count += 1
            summary["tables"][table.name] = {"rows": count, "sha256": whole.hexdigest()}
        file.write(_line({"summary": summary}))
    return summary


def restore(database: Database, path: Path) -> dict[str, Any]:
    """Fill an empty database from a backup that is whole, and bring it to the newest tables."""
    summary = check(path)
    if revision(database) is not None:
        raise StoreError("the database is not empty; restore into a new one")
    migrate(database, summary["revision"])
    with database.write() as connection:
        pending: list[dict[str, Any]] = []
        current = ""
        for name, row in _read(path):
            if pending and (name != current or len(pending) == CHUNK):
                connection.execute(insert(tables.metadata.tables[current]), pending)
                pending = []
            current = name
            pending.append(row)
        if pending:
            connection.execute(insert(tables.metadata.tables[current]), pending)
        _count_on(connection)
    with database.read() as connection:
        if (found := hashes(connection)) != summary["tables"]:
            wrong = [name for name in summary["tables"] if found.get(name) != summary["tables"][name]]
            raise StoreError(f"what was restored differs from the backup in {', '.join(wrong)}")
    migrate(database)
    return summary


def check(path: Path) -> dict[str, Any]:
    """What a backup says of itself, when it is whole; raises StoreError when it was cut off or changed."""
    found: dict[str, dict[str, Any]] = {}
    running: dict[str, Any] = {}
    summary: dict[str, Any] | None = None
    try:
        with gzip.open(path, "rb") as file:
            for line in file:
                entry = json.loads(line)
                if "table" in entry:
                    running.setdefault(entry["table"], hashlib.sha256()).update(line)
                    found.setdefault(entry["table"], {"rows": 0})["rows"] += 1
                summary = entry.get("summary")
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise StoreError(f"{path}: the backup is damaged ({error}); use another one") from None
    if summary is None:
        raise StoreError(f"{path}: the backup is cut off; use another one")
    if summary["format"] != FORMAT:
        raise StoreError(f"{path}: format {summary['format']}; this version of Assent reads backups of format {FORMAT}")
    for name, said in summary["tables"].items():
        whole = running.get(name, hashlib.sha256()).hexdigest()
        if (found.get(name, {"rows": 0})["rows"], whole) != (said["rows"], said["sha256"]):
            raise StoreError(f"{path}: the rows of {name} are not those that were written; use another backup")
    return summary


def hashes(connection: Connection) -> dict[str, dict[str, Any]]:
    """Rows and hash of every table, as a backup has them."""
    found: dict[str, dict[str, Any]] = {}
    for table in _tables(connection):
        count, whole = 0, hashlib.sha256()
        for row in _rows(connection, table):
            whole.update(_line({"table": table.name, "row": row}))
            count += 1
        found[table.name] = {"rows": count, "sha256": whole.hexdigest()}
    return found


def faults(connection: Connection) -> list[str]:
    """What is wrong with a database, in sentences: the audit chain, and answers against slots."""
    _, _, broken = audit.verify(connection)
    found = [broken] if broken else []
    counted = select(view.c.item, func.count().label("count")).where(view.c.state == "accepted").group_by(view.c.item)
    filled = select(slot.c.item, func.count().label("count")).where(slot.c.state == "submitted").group_by(slot.c.item)
    a, b = counted.subquery(), filled.subquery()
    rows = (
        select(item.c.id, func.coalesce(a.c.count, 0), func.coalesce(b.c.count, 0))
        .outerjoin(a, a.c.item == item.c.id)
        .outerjoin(b, b.c.item == item.c.id)
        .where(item.c.stratum != "practice", func.coalesce(a.c.count, 0) != func.coalesce(b.c.count, 0))
    )
    found += [f"item {row[0]} counts {row[1]} answers in {row[2]} slots" for row in connection.execute(rows)]
    handed = select(view.c.id).where(view.c.state.in_(("accepted", "surplus")))
    missing = connection.execute(handed.where(view.c.id.not_in(select(answer.c.view)))).scalars().all()
    found += [f"task {identity} was handed in and has no answer" for identity in missing]
    loading = connection.execute(select(batch.c.name).where(batch.c.state == "loading")).scalars().all()
    found += [f"batch {name!r} was left half-way; import it again" for name in loading]
    return found


def _tables(connection: Connection) -> Iterator[Table]:
    there = set(inspect(connection).get_table_names())
    yield from (one for one in tables.metadata.sorted_tables if one.name in there and one.name not in LEFT)


def _rows(connection: Connection, table: Table) -> Iterator[dict[str, Any]]:
    statement = select(table).order_by(*table.primary_key.columns).execution_options(yield_per=CHUNK)
    for row in connection.execute(statement).mappings():
        yield {name: _plain(value) for name, value in row.items()}


def _plain(value: Any) -> Any:
    return {"$bytes": base64.b64encode(value).decode()} if isinstance(value, bytes | memoryview) else value


def _read(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    with gzip.open(path, "rb") as file:
        for line in file:
            entry = json.loads(line)
            if "table" in entry:
                row = {
                    name: base64.b64decode(value["$bytes"]) if isinstance(value, dict) and "$bytes" in value else value
                    for name, value in entry["row"].items()
                }
                yield entry["table"], row


def _count_on(connection: Connection) -> None:
    """Let PostgreSQL number new rows after the restored ones."""
    if connection.dialect.name != "postgresql":
        return
    for table in _tables(connection):
        if "id" in table.c and table.c.id.type.python_type is int:
            last = connection.execute(select(func.max(table.c.id))).scalar_one()
            sequence = connection.execute(
                text("SELECT pg_get_serial_sequence(:name, 'id')"), {"name": table.name}
            ).scalar_one_or_none()
            if last is not None and sequence is not None:
                connection.execute(text("SELECT setval(:sequence, :last)"), {"sequence": sequence, "last": last})


def _line(entry: dict[str, Any]) -> bytes:
    return json.dumps(entry, ensure_ascii=False, sort_keys=True).encode() + b"\n"
