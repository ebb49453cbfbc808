"""Versions of the guidelines: written once, never changed."""

from importlib.resources import files

from sqlalchemy import Connection, insert, select

from assent.label.phrases import phrase
from assent.label.store import audit
from assent.label.store.database import Database, now
from assent.label.store.slots import RefusedError
from assent.label.store.tables import guideline

FIRST = "1"  # the version that comes with the app


def add(database: Database, version: str, words: str, actor: int | None) -> None:
    """Add a version of the guidelines. A version is never changed; the same words again change nothing."""

    def work(connection: Connection) -> None:
        known = connection.execute(select(guideline).where(guideline.c.version == version)).first()
        if known is not None and known.text == words:
            return
        if known is not None:
            told = phrase("guideline %(name)s exists and is never changed; choose a new version", name=repr(version))
            raise RefusedError(409, told)
        connection.execute(insert(guideline).values(version=version, text=words, author=actor, created=now()))
        audit.append(connection, actor, "wrote", f"guideline {version}")

    database.transact(work)


def add_shipped(database: Database) -> None:
    """The guidelines that come with the app, as version 1, where none were written yet."""
    with database.snapshot() as connection:
        written = connection.execute(select(guideline.c.version).limit(1)).first()
    if written is None:
        shipped = files("assent.label").joinpath("guidelines", f"{FIRST}.md")
        add(database, FIRST, shipped.read_text(encoding="utf-8"), None)
