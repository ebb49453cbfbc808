"""SQLite when the power goes and when the disk refuses: every acknowledged answer is there, whatever the disk kept.

Killing a process shows nothing of this, since the system still writes what the process has handed over. So everything
the program does to its files is recorded, and what a disk may hold is made of that (tests.label.power).
"""

import json
import random
import shutil
import sys
from pathlib import Path

import pytest

from assent.label.store.database import Database
from assent.label.store.migrate import migrate
from tests.label import kit, power

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("cc") is None, reason="files are recorded on Linux, with a C compiler"
)


def furnished(home: Path, items: int, overlap: int, people: int) -> tuple[str, list[str]]:
    """A database with work, and the numbers of those who do it."""
    home.mkdir()
    made = Database(f"sqlite:///{home}/label.db")
    migrate(made)
    kit.batch(made, kit.items(items, overlap, responses=3))
    numbers = kit.people(made, people)
    made.close()
    return str(made.url), [str(number) for number in numbers]


def found(folder: Path, journal: str, synchronous: str, moments: int = 60) -> list[str]:
    """Four labelers at work, the power lost at some moments of it and whenever an answer had just been acknowledged.

    The first thing that is wrong after each loss.
    """
    home, image, rng = folder / "home", folder / "image", random.Random(0)
    url, people = furnished(home, 12, 2, 4)
    disk = power.Disk(home)
    power.recorded(folder / "book", url, journal, synchronous, "labelers", *people)
    steps = power.read(folder / "book")
    chosen, wrong = set(rng.sample(range(len(steps)), moments)), list[str]()
    for number, step in enumerate(steps):
        disk.do(step)
        if number in chosen or step.kind == power.MARKED:
            image.mkdir()
            disk.lose_power(rng, image)
            wrong += power.wrong(f"sqlite:///{image}/label.db", disk.marked)[:1]
            shutil.rmtree(image)
    assert len(disk.marked) == 24
    return wrong


@pytest.mark.parametrize("journal", ["rollback", "wal"])
def test_what_was_acknowledged_survives_a_loss_of_power(folder: Path, journal: str) -> None:
    assert found(folder, journal, "") == []


@pytest.mark.parametrize(
    ("journal", "synchronous"),
    [
        ("rollback", "OFF"),
        ("wal", "NORMAL"),
        ("delete", "FULL"),  # SQLite's own defaults: the removal of the journal is not synced, so it may come back
    ],
)
def test_less_care_would_be_noticed(folder: Path, journal: str, synchronous: str) -> None:
    wrong = found(folder, journal, synchronous)
    assert any("acknowledged" in one for one in wrong), wrong
    if synchronous == "OFF":
        assert any("integrity_check" in one or "cannot be read" in one for one in wrong), wrong


@pytest.mark.parametrize("journal", ["rollback", "wal"])
def test_a_fault_at_every_operation_in_turn(folder: Path, journal: str) -> None:
    """What failed is told in a sentence and is not there, or told as unsure; sent again, it is there once."""
    url, people = furnished(folder / "home", 400, 1, 1)
    said = json.loads(power.recorded(folder / "book", url, journal, "", "faults", *people))
    allowed = {
        "ENOSPC FullError: there is no space left on the server's disk; nothing was saved, try again later",
        "ENOSPC FullError: the server's disk fails; what was sent may not be saved, try again later",
        "EIO FullError: the server's disk fails; what was sent may not be saved, try again later",
    }
    assert {what for what in said if "Error" in what} <= allowed, said
    assert sum(said.values()) > (100 if journal == "rollback" else 20), said
    assert {"ENOSPC", "EIO"} == {what.partition(" ")[0] for what in said if "Error" in what}
    assert power.wrong(url, []) == []
