"""Databases, people and items for the tests of the labeling app."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select

from assent.label import schema
from assent.label.store import batches, guidelines
from assent.label.store.batches import NewBatch, NewItem, NewSlot
from assent.label.store.database import Database
from assent.label.store.tables import person

POSTGRESQL = sorted(Path("/usr/lib/postgresql").glob("*/bin")) if Path("/usr/lib/postgresql").exists() else []


class Server:
    """A PostgreSQL server of our own in a temporary directory, or another empty one, reached by a socket."""

    def __init__(self, root: Path | None = None, **more: str) -> None:
        where = shutil.which("initdb")
        found = POSTGRESQL[-1] if POSTGRESQL else (Path(where).resolve().parent if where else None)
        if found is None:
            pytest.skip("PostgreSQL's server is not installed; Debian: apt-get install postgresql")
        self.bin = found
        self.root = root or Path(tempfile.mkdtemp(prefix="pg"))
        self.data = self.root / "data"
        if os.geteuid() == 0:
            shutil.chown(self.root, "postgres", "postgres")
        self._run("initdb", "-D", self.data, "-A", "trust", "-U", "assent", "--no-sync", "-E", "UTF8")
        options = {
            "listen_addresses": "''",
            "unix_socket_directories": f"'{self.root}'",
            "shared_buffers": "'32MB'",
            "max_connections": "120",
            **more,
        }
        text = "".join(f"{name} = {value}\n" for name, value in options.items())
        script = f"cat >> {self.data}/postgresql.conf <<'END'\n{text}END"
        subprocess.run([*self._user(), "sh", "-c", script], check=True)
        self.start()
        self.count = 0

    def _user(self) -> list[str]:
        return ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []

    def _run(self, program: str, *arguments: object) -> None:
        command = [*self._user(), str(self.bin / program), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, cwd="/")
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stdout}{done.stderr}")

    def start(self) -> None:
        self._run("pg_ctl", "-D", self.data, "-w", "-l", self.root / "log", "start")

    def stop(self, mode: str = "immediate") -> None:
        self._run("pg_ctl", "-D", self.data, "-w", "-m", mode, "stop")

    def processes(self) -> list[int]:
        """The server's processes, the first one first."""
        first = int((self.data / "postmaster.pid").read_text().split()[0])
        found = [first]
        for path in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                if int(path.read_text().rpartition(")")[2].split()[1]) == first:
                    found.append(int(path.parent.name))
        return found

    def stall(self) -> None:
        """Stop the process that writes the log behind the others' backs: from here on, what is on disk was waited for.

        Killing processes does not empty the system's caches as a loss of power would; this stands in for it.
        """
        for one in self.processes():
            with contextlib.suppress(OSError):
                if b"walwriter" in Path(f"/proc/{one}/cmdline").read_bytes():
                    os.kill(one, signal.SIGSTOP)

    def kill(self) -> int:
        """SIGKILL to every process of the server; how many there were."""
        found = self.processes()
        for one in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        return len(found)

    def start_again(self) -> None:
        """Start after a kill; the first tries may find what the dead one has left."""
        for attempt in range(20):
            try:
                return self.start()
            except RuntimeError:
                if attempt == 19:
                    raise
                time.sleep(0.5)

    def fresh(self) -> str:
        """The URL of a new empty database."""
        self.count += 1
        name = f"label{self.count}"
        self._run("createdb", "-h", self.root, "-U", "assent", name)
        return f"postgresql://assent@/{name}?host={self.root}"

    def runs(self) -> bool:
        """Whether it answers."""
        command = [*self._user(), str(self.bin / "pg_ctl"), "-D", str(self.data), "status"]
        return subprocess.run(command, capture_output=True, cwd="/").returncode == 0

    def remove(self) -> None:
        if self.runs():
            self.stop()
        shutil.rmtree(self.root, ignore_errors=True)


def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.remove()


def people(database: Database, count: int, role: str = "labeler", team: str = "train") -> list[int]:
    """New people without passwords; their numbers."""
    with database.write() as connection:
        start = connection.execute(select(func.count()).select_from(person)).scalar_one()
        rows = [
            {"uid": f"uid{start + n}", "name": f"{role}-{start + n}", "role": role, "team": team, "created": 0.0}
            for n in range(count)
        ]
        statement = insert(person).returning(person.c.id, sort_by_parameter_order=True)
        return list(connection.execute(statement, rows).scalars().all())


def items(count: int, overlap: int, responses: int = 4, **more: object) -> list[NewItem]:
    """Items to rank, each with `overlap` slots."""
    return [
        NewItem(
            record=f"record-{n}",
            kind="rank" if responses else "demonstrate",
            mode="plain",
            prompt={"id": f"prompt-{n}", "messages": [{"role": "user", "content": f"Question {n}?"}]},
            responses=[{"text": f"Answer {k} to {n}", "policy": f"secret-model-{k}"} for k in range(responses)],
            source="",
            licence="",
            stratum="single",
            slots=[NewSlot("any", n / count) for _ in range(overlap)],
            **more,  # pyright: ignore[reportArgumentType]
        )
        for n in range(count)
    ]


def batch(database: Database, made: list[NewItem], name: str = "first", author: int | None = None) -> int:
    """Put items in as an open batch."""
    guidelines.add(database, "g1", "Be helpful, truthful, harmless.", None)
    new = NewBatch(name=name, plan={"seed": 1}, guideline="g1", source_hash=name, author=author)
    return batches.create(database, new, made)


def ranking(keys: list[str], seconds: float = 12.0) -> dict[str, object]:
    """A whole answer: the first shown is best."""
    return {
        "schema": schema.VERSION,
        "ratings": {key: {"overall": 7 - min(place, 6), "flags": {}} for place, key in enumerate(keys)},
        "ranks": {key: place for place, key in enumerate(keys, start=1)},
        "prompt_flags": {},
        "note": "",
        "seconds": seconds,
    }
