"""What a loss of power leaves on a disk, from a record of all that a program did to its files (power.c).

A disk holds for certain what was synced. Of what was written since, any sectors may be there and others not; of files
that were made and removed since their folder was synced, a first part. So SQLite's files can be put as they may be
found after the power went at any moment, and SQLite, and whoever trusts it, must be content with each of them.

The program that is recorded: python -m tests.label.power URL JOURNAL SYNCHRONOUS labelers|faults PEOPLE...
"""

import ctypes
import errno
import itertools
import json
import os
import random
import struct
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import event, select
from sqlalchemy.exc import DBAPIError

from assent.label.store import answers, backup, database, slots
from assent.label.store.database import Database
from assent.label.store.slots import Worker
from assent.label.store.tables import answer, view
from tests.label import kit

ROOT = Path(__file__).parents[2]
CREATED, WRITTEN, TRUNCATED, SYNCED, REMOVED, MARKED = range(6)
SECTOR = 512
HEAD = struct.Struct("=iiqq")


@dataclass(frozen=True)
class Step:
    """One thing that was done: to which file, at which place, with what."""

    kind: int
    name: str
    place: int
    length: int
    data: bytes


def library(folder: Path) -> Path:
    """power.c, compiled."""
    made = folder / "power.so"
    source = Path(__file__).with_name("power.c")
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", made, source, "-lpthread"], check=True)
    return made


def recorded(book: Path, url: str, *arguments: str) -> str:
    """Run the program below, its steps in the folder of a database written to `book` (elsewhere); its output."""
    folder = Path(url.removeprefix("sqlite:///")).parent
    known = {"LD_PRELOAD": str(library(book.parent)), "POWER_FOLDER": str(folder), "POWER_BOOK": str(book)}
    command = [sys.executable, "-m", "tests.label.power", url, *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env={**os.environ, **known})
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def read(book: Path) -> list[Step]:
    data, place, found = book.read_bytes(), 0, list[Step]()
    while place < len(data):
        kind, named, where, length = HEAD.unpack_from(data, place)
        place += HEAD.size
        name = data[place : place + named].decode()
        place += named
        size = length if kind == WRITTEN else 0
        found.append(Step(kind, name, where, length, data[place : place + size]))
        place += size
    return found


@dataclass
class File:
    """What is certain of a file, and what was done to it since it was synced."""

    certain: bytearray = field(default_factory=bytearray)
    since: list[Step] = field(default_factory=list[Step])

    def sync(self) -> None:
        for step in self.since:
            done(self.certain, step)
        self.since = []

    def found(self, rng: random.Random, chance: float) -> bytes:
        """One of the ways in which it may be found: each sector written since is there, by this chance."""
        made = bytearray(self.certain)
        for step in self.since:
            for part in sectors(step):
                if rng.random() < chance:
                    done(made, part)
        return bytes(made)


def sectors(step: Step) -> Iterator[Step]:
    if step.kind != WRITTEN:
        yield step
        return
    start = step.place
    while start < step.place + len(step.data):
        end = min((start // SECTOR + 1) * SECTOR, step.place + len(step.data))
        yield Step(WRITTEN, step.name, start, end - start, step.data[start - step.place : end - step.place])
        start = end


def done(content: bytearray, step: Step) -> None:
    if step.kind == TRUNCATED and step.place < len(content):
        del content[step.place :]
        return
    end = step.place + len(step.data)
    content.extend(bytes(max(0, end - len(content))))
    content[step.place : end] = step.data


class Disk:
    """A folder while steps are done to it: what is certain, and what may be found instead."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)
        self.files = {str(path): File(bytearray(path.read_bytes())) for path in folder.iterdir() if path.is_file()}
        self.names = [dict(self.files)]  # as they were when the folder was synced, and after every change since
        self.marked: list[int] = []

    def do(self, step: Step) -> None:
        if step.kind == MARKED:
            self.marked.append(step.place)
        elif step.kind == SYNCED and step.name == self.folder:
            self.names = self.names[-1:]
        elif step.kind == SYNCED:
            self.files[step.name].sync()
        elif step.kind in (CREATED, REMOVED):
            self.files.pop(step.name, None)
            if step.kind == CREATED:
                self.files[step.name] = File()
            self.names.append(dict(self.files))
        else:
            self.files[step.name].since.append(step)

    def lose_power(self, rng: random.Random, target: Path) -> None:
        """Write down what may be found, in one of the ways."""
        chance = rng.choice((0.0, 0.5, 1.0))
        for name, file in rng.choice((self.names[0], rng.choice(self.names), self.names[-1])).items():
            (target / Path(name).name).write_bytes(file.found(rng, chance))


def wrong(url: str, acknowledged: list[int]) -> list[str]:
    """What is wrong with a database in which answers with these numbers are to be: in sentences."""
    found = Database(url)
    try:
        with found.read() as connection:
            whole = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
            if whole != ["ok"]:
                return [f"integrity_check: {whole[0]}"]
            there = set(connection.execute(select(answer.c.document["note"].as_string())).scalars())
            lost = [f"answer {one} was acknowledged and is not there" for one in acknowledged if str(one) not in there]
            return lost + backup.faults(connection)
    except DBAPIError as error:
        return [f"it cannot be read: {error.orig}"]
    finally:
        found.close()


# -- the program that is recorded ------------------------------------------------------------------------------------


class Recorder:
    """The part of power.c that a recorded program talks to."""

    def __init__(self) -> None:
        self.calls = ctypes.CDLL(None)
        self.calls.power_mark.argtypes = [ctypes.c_int64]
        self.calls.power_fail.argtypes = [ctypes.c_int64, ctypes.c_int, ctypes.c_int]
        self.calls.power_fail.restype = ctypes.c_int64

    def mark(self, number: int) -> None:
        """Note that a number was acknowledged."""
        self.calls.power_mark(number)

    def fail(self, operations: int, error: int = 0, *, lasts: bool = False) -> int:
        """Let the operation after so many fail, and all after it if it lasts; how many failed since the last call."""
        return self.calls.power_fail(operations, error, lasts)


def careless(made: Database, journal: str, synchronous: str) -> None:
    """With a write-ahead log or a rollback journal, whatever SQLite's version; with another care where one is named."""
    database.wal_is_safe = lambda version: journal == "wal"  # for one process it is; its race needs two

    @event.listens_for(made.engine, "connect")
    def connected(raw: Any, _: Any) -> None:
        if journal not in ("rollback", "wal"):
            raw.execute(f"PRAGMA journal_mode = {journal}")
        if synchronous:
            raw.execute(f"PRAGMA synchronous = {synchronous}")


def begun(made: Database, worker: Worker) -> tuple[str, dict[str, Any]] | None:
    """A task of a labeler, and a whole answer to it."""
    name, _ = slots.claim(made, worker)
    if name is None:
        return None
    with made.read() as connection:
        shown = connection.execute(select(view.c.shown).where(view.c.id == name)).scalar_one()
    return name, kit.ranking([key for key, _ in shown])


def labelers(made: Database, numbers: list[int], recorder: Recorder) -> None:
    """Labelers at once; the note of an answer is its number, marked when the answer was taken in."""

    def work(worker: Worker) -> None:
        count = 0
        while (task := begun(made, worker)) is not None:
            name, document = task
            count += 1
            number = 1000 * worker.id + count
            slots.keep_draft(made, worker, name, {"note": "begun"}, 0)
            answers.submit(made, worker, name, f"key-{number:08}", {**document, "note": str(number)})
            recorder.mark(number)

    threads = [threading.Thread(target=work, args=(Worker(one, "train", 60.0),)) for one in numbers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def faults(made: Database, number: int, recorder: Recorder) -> None:
    """Hand in again and again while one operation after the other fails; print what was said, and how often."""
    said: Counter[str] = Counter()
    worker = Worker(number, "train", 60.0)
    for error, lasts in ((errno.ENOSPC, False), (errno.ENOSPC, True), (errno.EIO, False), (errno.EIO, True)):
        for operation in itertools.count():
            task = begun(made, worker)
            assert task is not None, "there is too little to do"
            name, document = task
            key = f"key-{error}-{lasts}-{operation}"
            recorder.fail(operation, error, lasts=lasts)
            try:
                answers.submit(made, worker, name, key, document)
                told = ""
            except Exception as failure:
                told = f"{type(failure).__name__}: {failure}"
            if recorder.fail(-1) == 0:
                break  # there are no more operations than those that have failed
            said[f"{errno.errorcode[error]} {told}"] += 1
            with made.read() as connection:
                there = connection.execute(select(answer.c.id).where(answer.c.view == name)).first()
            if not told or "nothing was saved" in told:
                assert (there is None) == bool(told), (operation, told)
            assert answers.submit(made, worker, name, key, document)["state"] == "accepted"
    print(json.dumps(said))


def main() -> None:
    url, journal, synchronous, what, *numbers = sys.argv[1:]
    made = Database(url)
    careless(made, journal, synchronous)
    if what == "labelers":
        labelers(made, [int(one) for one in numbers], Recorder())
    else:
        faults(made, int(numbers[0]), Recorder())
    made.close()


if __name__ == "__main__":
    main()
