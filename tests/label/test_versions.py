"""Two versions of Assent at one database: a server whose tables a newer one has changed writes no more, and says so.

The newer version is made up: the migrations there are, and one more.
"""

import contextlib
import shutil
import threading
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from assent.label.app import create_app
from assent.label.store import answers, backup, migrate, slots
from assent.label.store.database import BusyError, Database, StoreError
from assent.label.store.slots import Worker
from assent.label.store.tables import answer, view
from tests.label import kit
from tests.label.web import Site, settings

NEXT = "9999"
MIGRATION = """
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "{next}", "{newest}", None, None


def upgrade():
    op.add_column("answer", sa.Column("mood", sa.String(20), nullable=False, server_default="calm"))


def downgrade():
    op.drop_column("answer", "mood")
"""
TOLD = "this server has to be started anew"

Newer = Callable[[], contextlib.AbstractContextManager[None]]


@pytest.fixture
def newer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Newer:
    """What happens inside is done by the next version."""
    made = folder / "migrations"
    shutil.copytree(migrate.MIGRATIONS, made, ignore=shutil.ignore_patterns("__pycache__"))
    (made / "versions" / f"{NEXT}_mood.py").write_text(MIGRATION.format(next=NEXT, newest=migrate.newest()))

    @contextlib.contextmanager
    def inside() -> Generator[None]:
        with monkeypatch.context() as patch:
            patch.setattr(migrate, "MIGRATIONS", made)
            assert migrate.newest() == NEXT
            yield

    return inside


def test_a_server_whose_tables_have_changed_writes_no_more(url: str, newer: Newer) -> None:
    """Claims, drafts and answers are refused until the newer version serves; then the same answer is taken in."""
    site, present = Site(url), migrate.newest()
    kit.batch(site.database, kit.items(4, 1))
    ada = site.person("labeler", "Ada")
    other = Database(url)
    bodies: list[tuple[str, dict[str, object]]] = []
    for number in range(2):
        task = ada.post("/work/claim", json={}).json()["task"]
        document = kit.ranking([one["key"] for one in task["responses"]])
        bodies.append((f"/work/{task['slot']}", {"key": f"key-{number:06}", "document": document}))
        if number == 0:
            assert ada.post(f"{bodies[0][0]}/submit", json=bodies[0][1]).status_code == 200
    place, body = bodies[1]
    with newer():
        migrate.migrate(other)
    with site.database.read() as connection:
        before = backup.hashes(connection)
    for asked in (
        ada.post(f"{place}/submit", json=body),
        ada.put(f"{place}/draft", json={"document": body["document"], "version": 0}),
        ada.post("/work/claim", json={}),
    ):
        assert (asked.status_code, asked.headers["retry-after"]) == (503, "1"), asked.text
        assert TOLD in asked.json()["detail"]
    with site.database.read() as connection:
        assert backup.hashes(connection) == before
    site.close()
    with pytest.raises(StoreError, match="needs"):
        create_app(settings(url))

    with newer():
        site = Site(url, as_it_is=True)
    again = site.client()
    again.cookies = ada.cookies
    assert again.post(f"{place}/submit", json=body).json()["state"] == "accepted"
    with newer():
        migrate.migrate(other, present)
    assert TOLD in again.post("/work/claim", json={}).json()["detail"]
    site.close()

    site = Site(url)
    with site.database.read() as connection:
        assert connection.execute(select(func.count()).select_from(answer)).scalar_one() == 2
        assert backup.faults(connection) == []
    site.close()
    other.close()


def test_nobody_writes_across_a_migration(url: str, newer: Newer) -> None:
    """While eight work, the tables change: what was taken in is there, and nothing is taken in afterwards."""
    made, other = Database(url), Database(url)
    migrate.migrate(made)
    made.expected = migrate.newest()
    kit.batch(made, kit.items(400, 1))
    taken: list[str] = []
    told: list[str] = []
    begun = threading.Event()

    def work(worker: Worker) -> None:
        try:
            while (name := slots.claim(made, worker)[0]) is not None:
                with made.read() as connection:
                    shown = connection.execute(select(view.c.shown).where(view.c.id == name)).scalar_one()
                answers.submit(made, worker, name, f"key-{name}", kit.ranking([key for key, _ in shown]))
                taken.append(name)
                if len(taken) > 20:
                    begun.set()
        except BusyError as error:
            told.append(str(error))

    threads = [threading.Thread(target=work, args=(Worker(one, "train", 60),)) for one in kit.people(made, 8)]
    for thread in threads:
        thread.start()
    assert begun.wait(60)
    with newer():
        migrate.migrate(other)
    count = len(taken)
    for thread in threads:
        thread.join()
    assert len(told) == 8
    assert all(TOLD in one for one in told), told
    assert count + 8 >= len(taken)  # whoever was acknowledged at that moment had not written it down yet
    with other.read() as connection:
        assert set(connection.execute(select(answer.c.view)).scalars()) == set(taken)
        assert backup.faults(connection) == []
    made.close()
    other.close()


def test_two_who_start_at_once_change_the_tables_once(url: str) -> None:
    wrong: list[BaseException] = []

    def start() -> None:
        made = Database(url)
        try:
            migrate.migrate(made)
        except BaseException as error:
            wrong.append(error)
        finally:
            made.close()

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, wrong[0]


def test_tables_of_a_later_version_are_a_sentence(url: str, newer: Newer) -> None:
    made = Database(url)
    with newer():
        migrate.migrate(made)
    with pytest.raises(StoreError, match=f"revision {NEXT}, which this version of Assent does not know"):
        migrate.migrate(made)
    assert migrate.revision(made) == NEXT
    made.close()
