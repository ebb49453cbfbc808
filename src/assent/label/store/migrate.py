"""Bringing a database to a revision of the tables, up or down."""

from pathlib import Path
from typing import Any

from sqlalchemy import inspect, text

from assent.label.store.database import Database

MIGRATIONS = Path(__file__).parent.parent / "migrations"


def migrate(database: Database, revision: str = "head") -> None:
    """Bring the tables to a revision ("head": the newest; "base": none), in one transaction."""
    from alembic import command

    config = _config()
    with database.write() as connection:
        config.attributes["connection"] = connection
        known = _revision(connection)
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
