"""Every test of the store runs on both databases."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from assent.label.store.database import Database
from assent.label.store.migrate import migrate
from tests.label import kit
from tests.label.web import Site


@pytest.fixture(scope="session")
def postgresql() -> Iterator[kit.Server]:
    yield from kit.server()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A directory in memory where there is one: a thousand small transactions need not wait for a disk."""
    shared = Path("/dev/shm")
    if not os.access(shared, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=shared) as made:
        yield Path(made)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, folder: Path) -> str:
    """An empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{folder}/label.db"
    return request.getfixturevalue("postgresql").fresh()


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    """A database with the newest tables."""
    made = Database(url)
    migrate(made)
    yield made
    made.close()


@pytest.fixture
def light(folder: Path) -> Iterator[Database]:
    """SQLite only, where the database makes no difference."""
    made = Database(f"sqlite:///{folder}/label.db")
    migrate(made)
    yield made
    made.close()


@pytest.fixture
def site(folder: Path) -> Iterator[Site]:
    """A server on SQLite."""
    made = Site.at(folder)
    yield made
    made.close()
