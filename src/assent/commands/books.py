"""Where the label app keeps its things, and the verbs that keep them safe: backup, restore, verify."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import tyro

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the app keeps its things."""

    data: Path = Path("label")
    """The directory of the app: its secret, and its database where that is SQLite."""
    database: str = ""
    """postgresql://USER@HOST/NAME for a team; empty: SQLite in the directory."""

    def open(self) -> Any:
        """The database, at the newest tables."""
        from assent.label.store.database import Database
        from assent.label.store.migrate import migrate, newest, revision

        self.data.mkdir(parents=True, exist_ok=True)
        database = Database(self.url)
        if revision(database) != newest():
            migrate(database)
        return database

    @property
    def url(self) -> str:
        """The URL of the database."""
        return self.database or f"sqlite:///{self.data / 'label.db'}"

    def start(self) -> None:
        """Run the verb."""
        _need_the_extra()
        from assent.label.store.database import BusyError, FullError

        try:
            self.work()
        except (BusyError, FullError) as error:
            raise ValueError(str(error)) from error

    def work(self) -> None:
        """What the verb does."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Backup(Place):
    """Write everything but sessions to one file, also while people work."""

    output: tyro.conf.Positional[Path]

    def work(self) -> None:
        """Back up."""
        from assent.label.store import backup

        with opened(self) as database:
            summary = backup.backup(database, self.output)
        print(f"{sum(one['rows'] for one in summary['tables'].values())} rows in {self.output}")


@dataclass(frozen=True, kw_only=True)
class Restore(Place):
    """Fill a new, empty database (of either kind) from a backup. Keep the secret as well: pseudonyms need it."""

    input: tyro.conf.Positional[Path]

    def work(self) -> None:
        """Restore."""
        from assent.label.store import backup
        from assent.label.store.database import Database

        self.data.mkdir(parents=True, exist_ok=True)
        database = Database(self.url)
        summary = backup.restore(database, self.input)
        database.close()
        print(f"{sum(one['rows'] for one in summary['tables'].values())} rows restored")


@dataclass(frozen=True, kw_only=True)
class Verify(Place):
    """Check the audit log and the books; with a backup, that it is whole and says what the database says."""

    backup: Path | None = None

    def work(self) -> None:
        """Check; the exit status is 1 when something is wrong."""
        from assent.label.store import audit, backup

        with opened(self) as database, database.snapshot() as connection:
            found = backup.faults(connection)
            count, head, _ = audit.verify(connection)
            now = backup.hashes(connection) if self.backup else {}
        if self.backup:
            said = backup.check(self.backup)["tables"]
            found += [f"{name}: the database and the backup differ" for name in said if now.get(name) != said[name]]
        print(f"audit log: {count} entries, last hash {head}")
        if found:
            raise ValueError("; ".join(found))
        print("everything is in order")


def _need_the_extra() -> None:
    missing = [name for name in ("alembic", "argon2", "fastapi", "httpx", "sqlalchemy") if find_spec(name) is None]
    if missing:
        raise ValueError(f"{', '.join(missing)} is not installed; pip install 'assent[label]'")


@contextmanager
def opened(place: Place) -> Generator[Any]:
    """A place's database for the time of a verb."""
    database = place.open()
    try:
        yield database
    finally:
        database.close()


def told(work: Callable[[], T]) -> T:
    """What `work` gives, with a refusal as the sentence it is."""
    from assent.label.store.slots import RefusedError

    try:
        return work()
    except RefusedError as error:
        raise ValueError(error.sentence) from None
