"""Bringing a database to a revision of the tables, up or down.

Servers that run meanwhile finish what they write, and write nothing afterwards: the tables are no longer theirs.
"""

from pathlib import Path
from typing import Any

from sqlalchemy import inspect, text

from assent.label.store.database import Database, StoreError

MIGRATIONS = Path(__file__).parent.parent / "migrations"
_LOCK = 0x41535346  # one migration at a time (PostgreSQL; SQLite has one writer anyway)


def migrate(database: Database, revision: str = "head") -> None:
    """Bring the tables to a revision ("head": the newest; "base": none), in one transaction.

    Raises StoreError when the tables are of a revision that is not known here.
    """
    from alembic import command

    config = _config()
    with database.write() as connection:
        config.attributes["connection"] = connection
        _wait_for_writers(connection)
        known = _revision(connection)
        if known is not None and known not in _revisions():
            raise StoreError(
                f"the database is at revision {known}, which this version of Assent does not know; use the newer one "
                "that has changed it"
            )
        if revision != "base" and (revision == "head" or known is None or revision >= known):
            command.upgrade(config, revision)
        else:
            command.downgrade(config, revision)


def revision(database: Database) -> str | None:
    """The revision a database is at; None when it is empty."""
    with database.read() as connection:
        return _revision(connection)


def newest() -> str:
    """The newest revision there is."""
    from alembic.script import ScriptDirectory

    return str(ScriptDirectory.from_config(_config()).get_current_head())


def _wait_for_writers(connection: Any) -> None:
    """Whoever writes has read the revision first: wait until they are done, and let the next ones wait for us."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        if inspect(connection).has_table("alembic_version"):
            connection.execute(text("LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE"))


def _revisions() -> set[str]:
    from alembic.script import ScriptDirectory

    return {one.revision for one in ScriptDirectory.from_config(_config()).walk_revisions()}


def _revision(connection: Any) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def _config() -> Any:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    return config
