"""What the databases promise: durable settings, whole transactions, one clock, migrations that keep the data."""

import re
import sqlite3
import threading
import time
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import event, func, insert, inspect, select, update

from assent.label.store import audit, tables
from assent.label.store.database import BusyError, Database, FullError, StoreError, guard, now, wal_is_safe
from assent.label.store.migrate import migrate, newest, revision
from tests.label import kit

SOURCE = Path(__file__).parents[2] / "src" / "assent" / "label"


@pytest.mark.parametrize(
    ("version", "safe"),
    [
        ((3, 40, 1), False),
        ((3, 44, 5), False),
        ((3, 44, 6), True),
        ((3, 45, 0), False),
        ((3, 50, 6), False),
        ((3, 50, 7), True),
        ((3, 51, 0), False),
        ((3, 51, 2), False),
        ((3, 51, 3), True),
        ((3, 53, 0), True),
    ],
)
def test_wal_only_where_its_race_is_mended(version: tuple[int, int, int], safe: bool, tmp_path: Path) -> None:
    assert wal_is_safe(version) is safe
    connection = sqlite3.connect(tmp_path / "x.db")
    guard(connection, version)
    assert connection.execute("PRAGMA journal_mode").fetchone()[0] == ("wal" if safe else "truncate")
    connection.close()


def test_sqlite_is_durable_and_keeps_its_references(light: Database) -> None:
    with light.read() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("synchronous", "foreign_keys", "busy_timeout")
        }
    assert found == {"synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000}


def test_a_sqlite_that_is_too_old_is_refused() -> None:
    with pytest.raises(StoreError, match="too old"):
        guard(None, (3, 34, 0))


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://x@y/z"])
def test_a_database_that_cannot_keep_anything_is_refused(url: str) -> None:
    with pytest.raises((StoreError, ModuleNotFoundError), match="database: "):
        Database(url)


def test_a_sqlite_file_has_one_server(light: Database) -> None:
    light.claim_process()
    second = Database(str(light.url))
    with pytest.raises(StoreError, match="another process"):
        second.claim_process()
    second.close()


def test_a_transaction_that_fails_leaves_nothing(database: Database) -> None:
    def fail() -> None:
        with database.write() as connection:
            connection.execute(insert(tables.guideline).values(version="v", text="t", created=now()))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with database.read() as connection:
        assert connection.execute(select(func.count()).select_from(tables.guideline)).scalar_one() == 0


def test_what_is_read_is_of_one_moment(database: Database) -> None:
    kit.people(database, 1)
    with database.read() as connection:
        before = connection.execute(select(func.count()).select_from(tables.person)).scalar_one()
        done = threading.Thread(target=kit.people, args=(database, 2))
        done.start()
        time.sleep(0.2)
        assert connection.execute(select(func.count()).select_from(tables.person)).scalar_one() == before
    done.join()
    with database.read() as connection:
        assert connection.execute(select(func.count()).select_from(tables.person)).scalar_one() == before + 2


def test_time_is_the_databases(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program whose clock is an hour wrong changes nothing; only the database is asked."""
    before = database.now()
    real = time.time()
    monkeypatch.setattr(time, "time", lambda: real - 3600)
    assert 0 <= database.now() - before < 5
    assert abs(before - real) < 5


def test_the_store_never_asks_the_programs_clock() -> None:
    for path in [*SOURCE.glob("store/*.py"), SOURCE / "accounts.py", SOURCE / "work.py"]:
        assert not re.search(r"time\.time\(|datetime\.|utcnow", path.read_text()), path


def test_writers_begin_as_writers() -> None:
    """A SQLite transaction that reads first and writes later is refused under load; every write begins IMMEDIATE."""
    for path in SOURCE.rglob("*.py"):
        if path.name != "database.py":
            assert not re.search(r"engine\.(begin|connect)|\"BEGIN", path.read_text()), path


def test_a_lock_that_lasts_is_said_and_nothing_is_lost(tmp_path: Path) -> None:
    made = Database(f"sqlite:///{tmp_path}/label.db", busy_seconds=0.2)
    migrate(made)
    other = sqlite3.connect(tmp_path / "label.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(BusyError, match="try again"):
        kit.people(made, 1)
    other.execute("ROLLBACK")
    other.close()
    assert kit.people(made, 1) == [1]
    made.close()


def test_a_full_disk_is_said_and_what_was_there_is_intact(tmp_path: Path) -> None:
    made = Database(f"sqlite:///{tmp_path}/label.db")
    migrate(made)
    kit.people(made, 3)
    with made.read() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    made.engine.dispose()
    full = Database(f"sqlite:///{tmp_path}/label.db")
    event.listen(full.engine, "connect", lambda raw, _: raw.execute(f"PRAGMA max_page_count = {pages}"))
    rows = [{"version": f"v{n}", "text": "x" * 4000, "created": 0} for n in range(200)]
    with pytest.raises(FullError, match="no space left"), full.write() as connection:
        connection.execute(insert(tables.guideline), rows)
    full.close()
    with made.read() as connection:
        assert connection.execute(select(func.count()).select_from(tables.person)).scalar_one() == 3
    assert len(kit.people(made, 1)) == 1
    made.close()


def test_migrations_make_exactly_the_tables(database: Database) -> None:
    assert revision(database) == newest()
    with database.write() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables.metadata) == []


def test_down_and_up_again_keeps_the_answers(url: str) -> None:
    made = Database(url)
    migrate(made)
    kit.people(made, 3)
    kit.batch(made, kit.items(4, 2))
    with made.write() as connection:
        connection.execute(
            insert(tables.screening).values(candidate="c", person=1, scores={}, decision="open", cutoffs="1")
        )
    migrate(made, "0002")
    assert revision(made) == "0002"
    with made.read() as connection:
        assert not inspect(connection).has_table("screening")
        assert connection.execute(select(func.count()).select_from(tables.slot)).scalar_one() == 8
    migrate(made)
    with made.read() as connection:
        assert connection.execute(select(func.count()).select_from(tables.screening)).scalar_one() == 0
        assert connection.execute(select(func.count()).select_from(tables.person)).scalar_one() == 3
    made.transact(lambda connection: audit.append(connection, None, "a", "b"))
    with pytest.raises(Exception, match="append-only"), made.write() as connection:
        connection.execute(update(tables.audit).values(action="c"))
    migrate(made, "base")
    with made.read() as connection:
        assert set(inspect(connection).get_table_names()) <= {"alembic_version"}
    made.close()


def test_the_audit_log_shows_every_tampering(database: Database) -> None:
    for n in range(5):
        with database.write() as connection:
            audit.append(connection, n, "did", f"thing {n}\r\nforged line", {"n": n})
    with database.read() as connection:
        count, head, wrong = audit.verify(connection)
        assert (count, wrong) == (5, "")
        assert len(head) == 64
        rows = connection.execute(select(tables.audit.c.object)).scalars().all()
        assert rows[0] == "thing 0\r\nforged line"  # data in a column, never a line of its own
    disarm = {
        "sqlite": ["DROP TRIGGER audit_UPDATE", "DROP TRIGGER audit_DELETE"],
        "postgresql": ["DROP TRIGGER audit_append_only ON audit"],
    }
    with database.write() as connection:
        for statement in disarm[connection.dialect.name]:
            connection.exec_driver_sql(statement)
    for deed, said in (
        ("UPDATE audit SET actor = 9 WHERE number = 2", "entry 2 of the audit log was changed"),
        ("DELETE FROM audit WHERE number = 4", "entry 4 of the audit log is missing"),
    ):
        with database.engine.connect() as connection:
            transaction = connection.begin()
            connection.exec_driver_sql(deed)
            assert audit.verify(connection)[2] == said
            transaction.rollback()


def test_writers_of_the_log_take_turns(database: Database) -> None:
    def write() -> None:
        for _ in range(5):
            database.transact(lambda connection: audit.append(connection, 1, "did", "it"))

    threads = [threading.Thread(target=write) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as connection:
        assert audit.verify(connection)[::2] == (30, "")
