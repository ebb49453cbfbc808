"""Engines, guards, transactions, and the database's clock.

SQLite writes take the lock when they begin (BEGIN IMMEDIATE): a transaction that reads first and writes later can be
refused in the middle, and under load nearly all are. Its write-ahead log has a race that can corrupt a file (SQLite
3.7.0 to 3.51.2, mended in 3.51.3, 3.50.7 and 3.44.6), so older versions run with a rollback journal. A commit is the
end of that journal: it is truncated and synced, since one that is removed (SQLite's default) may be there again after a
loss of power, and the answer that was acknowledged is rolled back.
"""

import contextlib
import errno
import fcntl
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Executable, Float, Row, create_engine, event, make_url, select
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

T = TypeVar("T")

BUSY_SECONDS = 5.0
RETRIES = 5


class StoreError(ValueError):
    """A database that cannot be used as asked; says why and what to do."""


class BusyError(Exception):
    """The database cannot be reached or is locked just now: the same request may be sent again in a moment."""


class FullError(Exception):
    """The disk on which the database lies is full or fails; what was acknowledged before is safe."""


class UnfitError(Exception):
    """A value that no column can hold, such as a number of thirty digits or half a surrogate pair."""


class _Now(FunctionElement[float]):
    """Seconds since 1970 by the clock of the database."""

    type = Float()
    inherit_cache = True


@compiles(_Now, "sqlite")
def _sqlite_now(element: Any, compiler: Any, **_: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(_Now, "postgresql")
def _postgresql_now(element: Any, compiler: Any, **_: Any) -> str:
    return "extract(epoch from clock_timestamp())::float8"


now = _Now


class Database:
    """One database: SQLite (`sqlite:///path`) or PostgreSQL (`postgresql+psycopg://...`)."""

    def __init__(self, url: str, *, busy_seconds: float = BUSY_SECONDS) -> None:
        self.url = make_url(url)
        self.busy_seconds = busy_seconds
        self.sqlite = self.url.get_backend_name() == "sqlite"
        self.expected: str | None = None  # the revision of the tables that whoever writes was made for; None: any
        self._writing = threading.Lock()
        self._lock: Any = None
        if self.sqlite:
            if not self.url.database or self.url.database == ":memory:":
                raise StoreError("database: SQLite needs a file, such as sqlite:///label/label.db")
            self.engine = self._sqlite_engine()
        elif self.url.get_backend_name() == "postgresql":
            self.url = self.url.set(drivername="postgresql+psycopg")
            more: dict[str, Any] = {"pool_pre_ping": True, "pool_timeout": 30, "hide_parameters": True}
            self.engine = create_engine(self.url, pool_size=20, max_overflow=20, pool_use_lifo=True, **more)
        else:
            raise StoreError(f"database: {self.url.drivername!r}; use sqlite:///PATH or postgresql://USER@HOST/NAME")
        self._plain = self.engine.execution_options(isolation_level="AUTOCOMMIT")

    def _sqlite_engine(self) -> Engine:
        engine = create_engine(
            self.url,
            pool_size=20,
            max_overflow=30,
            pool_use_lifo=True,  # the last one used first: its cache knows the pages, and the others' stay small
            hide_parameters=True,  # values are people's, and errors go to the log
            connect_args={"timeout": self.busy_seconds, "check_same_thread": False},
        )

        @event.listens_for(engine, "connect")
        def _connected(connection: Any, _: Any) -> None:
            connection.isolation_level = None  # transactions are begun by us, below
            connection.create_function("lower", 1, _lower, deterministic=True)  # SQLite's own knows ASCII only
            guard(connection, sqlite3.sqlite_version_info)

        @event.listens_for(engine, "begin")
        def _begun(connection: Connection) -> None:
            options = connection.get_execution_options()
            if options.get("isolation_level") != "AUTOCOMMIT":
                connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("writes", False) else "BEGIN")

        return engine

    # -- transactions ----------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def read(self) -> Generator[Connection, None, None]:
        """One transaction that only reads, in which everything is of one moment."""
        options = {} if self.sqlite else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        with _translated(), self.engine.connect().execution_options(**options) as connection, connection.begin():
            yield connection

    @contextlib.contextmanager
    def snapshot(self) -> Generator[Connection, None, None]:
        """One moment to read for long, without keeping anybody from writing.

        A reader of a SQLite file with a rollback journal holds up commits; so the file is copied, by SQLite's own
        backup, and the copy is read.
        """
        if not self.sqlite or wal_is_safe(sqlite3.sqlite_version_info):
            with self.read() as connection:
                yield connection
            return
        with tempfile.TemporaryDirectory(prefix=".copy-", dir=Path(str(self.url.database)).parent) as folder:
            copy = Path(folder) / "copy.db"
            with (
                _translated(),
                self.engine.connect() as connection,
                contextlib.closing(sqlite3.connect(copy)) as target,
            ):
                raw: Any = connection.connection.driver_connection
                raw.backup(target)
            copied = Database(f"sqlite:///{copy}")
            try:
                with copied.read() as connection:
                    yield connection
            finally:
                copied.close()

    @contextlib.contextmanager
    def write(self) -> Generator[Connection, None, None]:
        """One transaction that writes: whole or not at all, and on disk when this returns.

        Raises BusyError once the tables are no longer those that this program was made for (`expected`).
        """
        with _translated(), self._turn(), self.engine.connect() as plain:
            connection = plain.execution_options(writes=True)
            with connection.begin():
                if self.expected is not None:
                    _still(connection, self.expected)
                yield connection

    def transact(self, work: Callable[[Connection], T]) -> T:
        """Do `work` in one write transaction; again when another one came first.

        Two tabs of one labeler, or two labelers at one slot, meet at a unique constraint or a lock; the second then
        finds what the first has done. `work` must have no effect but on the connection.
        """
        for attempt in range(RETRIES):
            try:
                with self.write() as connection:
                    return work(connection)
            except IntegrityError:
                if attempt + 1 == RETRIES:
                    raise
            except DBAPIError as error:
                if attempt + 1 == RETRIES or _sqlstate(error) not in ("40001", "40P01"):
                    raise
        raise AssertionError("unreachable")

    def look_through(self, *tables: str) -> None:
        """Let PostgreSQL see how long tables have become, rather than a minute later and with claims waiting."""
        if not self.sqlite:
            with self.write() as connection:
                connection.exec_driver_sql(f"ANALYZE {', '.join(tables)}")

    def glance(self, statement: Executable, parameters: Mapping[str, Any]) -> Row[Any] | None:
        """The first row of one statement that reads, without a transaction around it."""
        with _translated(), self._plain.connect() as connection:
            return connection.execute(statement, parameters).first()

    @contextlib.contextmanager
    def _turn(self) -> Generator[None, None, None]:
        """Threads of one process wait in line for SQLite's only pen, instead of asking it over and over."""
        if not self.sqlite:
            yield
            return
        if not self._writing.acquire(timeout=self.busy_seconds + 25):
            raise BusyError("the database is busy; try again in a moment")
        try:
            yield
        finally:
            self._writing.release()

    def now(self) -> float:
        """Seconds since 1970 by the database's clock."""
        with self.read() as connection:
            return connection.execute(select(now())).scalar_one()

    # -- one process -----------------------------------------------------------------------------------------

    def claim_process(self) -> None:
        """Make this the only server of a SQLite file; raises StoreError when another one runs."""
        if not self.sqlite or self._lock is not None:
            return
        path = Path(str(self.url.database) + ".lock")
        self._lock = path.open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # freed by the kernel however we die
        except OSError:
            self._lock.close()
            self._lock = None
            raise StoreError(
                f"{self.url.database} is served by another process; stop it, or use PostgreSQL for several servers"
            ) from None

    def close(self) -> None:
        """Give everything back."""
        self.engine.dispose()
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def _still(connection: Connection, expected: str) -> None:
    """See that the tables are those of a revision; they stay so until the transaction ends (see `migrate`)."""
    if connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() != expected:
        raise BusyError("another version of Assent has changed the database; this server has to be started anew")


def wal_is_safe(version: tuple[int, ...]) -> bool:
    """Whether the write-ahead log of a SQLite version is free of the reset race."""
    return version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45)


def guard(connection: Any, version: tuple[int, ...]) -> None:
    """Set a SQLite connection to what durability needs, and see that it took it. Raises StoreError."""
    if version < (3, 35):
        raise StoreError(f"SQLite {'.'.join(map(str, version))} is too old; Assent needs 3.35 or newer, or PostgreSQL")
    wanted = {
        "journal_mode": "wal" if wal_is_safe(version) else "truncate",
        "synchronous": 2,  # FULL: on disk before a commit returns
        "foreign_keys": 1,
    }
    for name, value in wanted.items():
        if connection.execute(f"PRAGMA {name}").fetchone()[0] != value:
            connection.execute(f"PRAGMA {name} = {value}")
        found = connection.execute(f"PRAGMA {name}").fetchone()[0]
        if found != value:
            raise StoreError(f"SQLite: {name} is {found!r} and not {value!r}; is the file on a network share?")


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _sqlstate(error: DBAPIError) -> str:
    return str(getattr(error.orig, "sqlstate", "") or "")


@contextlib.contextmanager
def _translated() -> Generator[None, None, None]:
    """Say BusyError, FullError and UnfitError in one way for both databases."""
    try:
        yield
    except (DataError, OverflowError, UnicodeEncodeError) as error:
        raise UnfitError("holds a value that cannot be stored: a number too large, or a character like NUL") from error
    except DBAPIError as error:
        message, code = str(error.orig), _sqlstate(error)
        if "disk is full" in message or code == "53100" or getattr(error.orig, "errno", 0) == errno.ENOSPC:
            raise FullError(
                "there is no space left on the server's disk; nothing was saved, try again later"
            ) from error
        if "disk I/O error" in message or "unable to open database file" in message or code == "58030":
            raise FullError("the server's disk fails; what was sent may not be saved, try again later") from error
        locked = "database is locked" in message or "database table is locked" in message
        gone = error.connection_invalidated or code[:2] in ("08", "57") or code in ("53300", "55P03")
        if locked or gone or (_is_operational(error) and not code and "sqlite" not in type(error.orig).__module__):
            raise BusyError("the database is busy or restarting; try again in a moment") from error
        raise
    except PoolTimeout as error:
        raise BusyError("the database is busy; try again in a moment") from error


def _is_operational(error: DBAPIError) -> bool:
    return type(error).__name__ in ("OperationalError", "InterfaceError")
