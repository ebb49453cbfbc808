"""Every test of the store runs on both databases."""

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


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/label.db"
    return request.getfixturevalue("postgresql").fresh()


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    """A database with the newest tables."""
    made = Database(url)
    migrate(made)
    yield made
    made.close()


@pytest.fixture
def light(tmp_path: Path) -> Iterator[Database]:
    """SQLite only, where the database makes no difference."""
    made = Database(f"sqlite:///{tmp_path}/label.db")
    migrate(made)
    yield made
    made.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A server on SQLite."""
    made = Site.at(tmp_path)
    yield made
    made.close()
