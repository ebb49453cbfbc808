"""Whatever two do at once, in whichever order of their statements, ends as if one had come after the other."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import select, update

from assent.label.store import answers, backup, batches, slots
from assent.label.store.database import Database
from assent.label.store.migrate import migrate
from assent.label.store.slots import RefusedError, Worker
from assent.label.store.tables import answer, batch, item, slot, view
from tests.label import kit
from tests.label.orders import Stage

Work = Callable[[Database], Any]


@dataclass
class Scene:
    """A batch with one item in a database, and people in it."""

    database: Database
    name: str
    people: list[Worker]

    @classmethod
    def made(cls, database: Database, name: str, overlap: int, items: int = 1) -> "Scene":
        numbers = kit.people(database, 2)
        kit.batch(database, kit.items(items, overlap, responses=2), name)
        return cls(database, name, [Worker(one, "train", 60.0) for one in numbers])

    def claims(self, who: int) -> Work:
        return lambda database: slots.claim(database, self.people[who])[0]

    def held(self, who: int, lease: float = 60.0) -> str:
        """A task that somebody has claimed, now."""
        worker = Worker(self.people[who].id, "train", lease)
        name, _ = slots.claim(self.database, worker)
        assert name is not None
        return name

    def document(self, task: str, note: str = "") -> dict[str, Any]:
        with self.database.read() as connection:
            shown = connection.execute(select(view.c.shown).where(view.c.id == task)).scalar_one()
        return {**kit.ranking([key for key, _ in shown]), "note": note}

    def submits(self, who: int, task: str, key: str, note: str = "") -> Work:
        document = self.document(task, note)
        return lambda database: answers.submit(database, self.people[who], task, key, document)["state"]

    def revises(self, who: int, task: str, key: str, note: str) -> Work:
        document = self.document(task, note)
        return lambda database: answers.revise(database, self.people[who], task, key, document)["revision"]

    def skips(self, who: int, task: str, reason: str) -> Work:
        return lambda database: answers.skip(database, self.people[who], task, "key-skip", reason, "")["state"]

    def drafts(self, who: int, task: str) -> Work:
        return lambda database: slots.keep_draft(database, self.people[who], task, {"note": "typed"}, 0)

    def freezes(self) -> Work:
        return lambda database: batches.freeze(database, self.name, None)

    def ended(self, results: Sequence[Any]) -> tuple[Any, ...]:
        """What was said to both, and what is there now, without names; whoever found nothing asks once more."""
        said: list[str] = []
        for who, result in enumerate(results):
            if result is None and self.open():
                result = slots.claim(self.database, self.people[who])[0]
            if isinstance(result, RefusedError):
                said.append(str(result.status))
            else:
                said.append(self.task(result) if isinstance(result, str) else repr(result))
        number = {one.id: who for who, one in enumerate(self.people)}
        with self.database.read() as connection:
            here = select(batch.c.id).where(batch.c.name == self.name).scalar_subquery()
            stand = connection.execute(select(slot.c.item, slot.c.labeler, slot.c.state).where(slot.c.batch == here))
            seen = connection.execute(select(view.c.item, view.c.labeler, view.c.state).where(view.c.batch == here))
            kept = connection.execute(
                select(answer.c.item, answer.c.labeler, answer.c.revision, answer.c.state).where(answer.c.batch == here)
            )
            first = connection.execute(select(item.c.id).where(item.c.batch == here).order_by(item.c.id)).scalar()
            rows = tuple(
                tuple(sorted((row[0] - first, number.get(row[1], -1), *map(str, row[2:])) for row in found))
                for found in (stand, seen, kept)
            )
        return tuple(said), rows

    def open(self) -> bool:
        with self.database.read() as connection:
            return connection.execute(select(batch.c.state).where(batch.c.name == self.name)).scalar_one() == "open"

    def task(self, name: str) -> str:
        """Which item a task is; anything else as it is."""
        with self.database.read() as connection:
            found = connection.execute(
                select(item.c.record).join(view, view.c.item == item.c.id).where(view.c.id == name)
            )
            return found.scalar_one_or_none() or name

    def over(self) -> None:
        """Nobody gets anything of this batch any more."""
        if self.open():
            batches.freeze(self.database, self.name, None)


def last_place(scene: Scene) -> tuple[Work, Work]:
    return scene.claims(0), scene.claims(1)


def two_tabs_claim(scene: Scene) -> tuple[Work, Work]:
    return scene.claims(0), scene.claims(0)


def late_submission(scene: Scene) -> tuple[Work, Work]:
    task = scene.held(0, lease=-1)
    return scene.submits(0, task, "key-late-0"), scene.claims(1)


def late_return(scene: Scene) -> tuple[Work, Work]:
    scene.held(0, lease=-1)
    return scene.claims(0), scene.claims(1)


def late_draft(scene: Scene) -> tuple[Work, Work]:
    task = scene.held(0, lease=-1)
    return scene.drafts(0, task), scene.claims(1)


def two_tabs_submit(scene: Scene) -> tuple[Work, Work]:
    task = scene.held(0)
    return scene.submits(0, task, "key-tab-0", "a"), scene.submits(0, task, "key-tab-1", "b")


def one_key_twice(scene: Scene) -> tuple[Work, Work]:
    task = scene.held(0)
    return scene.submits(0, task, "key-same"), scene.submits(0, task, "key-same")


def submission_and_freeze(scene: Scene) -> tuple[Work, Work]:
    return scene.submits(0, scene.held(0), "key-0000"), scene.freezes()


def claim_and_freeze(scene: Scene) -> tuple[Work, Work]:
    return scene.claims(0), scene.freezes()


def revision_and_freeze(scene: Scene) -> tuple[Work, Work]:
    task = scene.held(0)
    scene.submits(0, task, "key-0000")(scene.database)
    return scene.revises(0, task, "key-0001", "better"), scene.freezes()


def two_revisions(scene: Scene) -> tuple[Work, Work]:
    task = scene.held(0)
    scene.submits(0, task, "key-0000")(scene.database)
    return scene.revises(0, task, "key-0001", "better"), scene.revises(0, task, "key-0002", "best")


def personal_data_and_submission(scene: Scene) -> tuple[Work, Work]:
    return scene.skips(0, scene.held(0), "personal_data"), scene.submits(1, scene.held(1), "key-0000")


def skip_and_submission(scene: Scene) -> tuple[Work, Work]:
    task = scene.held(0)
    return scene.skips(0, task, "unclear"), scene.submits(0, task, "key-0000")


SCENES: dict[Callable[[Scene], tuple[Work, Work]], tuple[int, int]] = {  # labelers an item, items
    last_place: (1, 1),
    two_tabs_claim: (1, 2),
    late_submission: (1, 1),
    late_return: (1, 2),
    late_draft: (1, 2),
    two_tabs_submit: (1, 1),
    one_key_twice: (1, 1),
    submission_and_freeze: (1, 1),
    claim_and_freeze: (1, 1),
    revision_and_freeze: (1, 1),
    two_revisions: (1, 1),
    personal_data_and_submission: (2, 1),
    skip_and_submission: (1, 1),
}


@pytest.fixture
def stage(database: Database) -> Iterator[Stage]:
    made = Stage(database.url.render_as_string(hide_password=False))
    yield made
    made.close()


def unlike_any_serial(database: Database, stage: Stage, scene: Callable[[Scene], tuple[Work, Work]]) -> list[Any]:
    """The orders that end as neither one after the other does; every order is tried."""
    count, made = itertools.count(), list[Scene]()

    def make() -> tuple[Work, Work]:
        made.append(Scene.made(database, f"batch-{next(count)}", *SCENES.get(scene, (1, 1))))
        return scene(made[-1])

    serial: set[Any] = set()
    others: list[tuple[Any, Any]] = []
    for ran in stage.orders(make, 1 if database.sqlite else 2):  # SQLite has one pen: whoever begins, ends
        wrong = [one for one in ran.results if isinstance(one, BaseException) and not isinstance(one, RefusedError)]
        assert not wrong, (ran.turns, wrong)
        ended = made[-1].ended(ran.results)
        made[-1].over()
        others.append((ran.turns, ended))
        if ran.taken(len(ran.turns)) == 0:
            serial.add(ended)
    assert len(others) > 5
    assert 1 <= len(serial) <= 2
    return [one for one in others if one[1] not in serial]


@pytest.mark.parametrize("scene", SCENES, ids=lambda one: one.__name__)
def test_every_order_ends_as_one_after_the_other(
    database: Database, stage: Stage, scene: Callable[[Scene], tuple[Work, Work]]
) -> None:
    assert unlike_any_serial(database, stage, scene) == []
    with database.read() as connection:
        assert backup.faults(connection) == []


def careless(scene: Scene) -> tuple[Work, Work]:
    """Look which place is free, and then take it: as it must not be done."""

    def claims(who: int) -> Work:
        def work(database: Database) -> str | None:
            with database.write() as connection:
                free = select(slot.c.id, slot.c.item).where(slot.c.state == "open", slot.c.labeler.is_(None))
                row = connection.execute(free.order_by(slot.c.id.desc()).limit(1)).first()
                if row is None:
                    return None
                connection.execute(update(slot).where(slot.c.id == row.id).values(labeler=scene.people[who].id))
                return "it is mine"

        return work

    return claims(0), claims(1)


def test_an_order_in_which_a_place_is_given_twice_is_found(postgresql: kit.Server) -> None:
    url = postgresql.fresh()
    database, stage = Database(url), Stage(url)
    migrate(database)
    found = unlike_any_serial(database, stage, careless)
    assert any(said == ("it is mine", "it is mine") for _, (said, _) in found), found
    stage.close()
    database.close()
