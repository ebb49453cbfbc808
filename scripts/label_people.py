"""The server of the labeling app in a process of its own, and labelers who work at it over HTTP: for load and size."""

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from tests.label import kit

from assent.label import accounts
from assent.label.store import backup, tables
from assent.label.store.database import Database
from assent.label.store.migrate import migrate
from scripts.label_history import History, Kept, wrong

LEASE = 10.0  # seconds
PROGRAM = "import sys, tyro; from assent.commands.label import Label; tyro.cli(Label, args=sys.argv[1:]).start()"


@dataclass
class Tally:
    """What all labelers together have seen. acknowledged: (task, state) of every 2xx to a submit."""

    acknowledged: list[tuple[str, str]] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)
    drafts: list[float] = field(default_factory=list)
    errors: Counter = field(default_factory=Counter)
    retries: int = 0
    requests: int = 0
    history: History = field(default_factory=History)


class Server:
    """The app in a process of its own."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.port = one.getsockname()[1]
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        place = ["--data", str(self.folder), "--database", self.url, "--port", str(self.port), "--lease", str(LEASE)]
        arguments = ["serve", *place]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *arguments],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(1200):
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise RuntimeError("the server does not start")

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait()


class Labeler:
    """A browser with a session. Asks again, with the same body, when the server is away or busy."""

    def __init__(
        self, port: int, cookie: str, tally: Tally, stop: threading.Event | None = None, number: int = 0
    ) -> None:
        self.port, self.cookie, self.tally, self.number = port, cookie, tally, number
        self.stop = stop or threading.Event()
        self.connection: http.client.HTTPConnection | None = None

    def close(self) -> None:
        """Hang up."""
        if self.connection is not None:
            self.connection.close()
        self.connection = None

    def ask(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        """JSON in, (status, JSON) out."""
        status, told = self.text(method, path, json.dumps(body))
        return status, json.loads(told)

    def claim(self) -> tuple[int, Any]:
        """Ask for a task, and note it."""
        begun = self.tally.history.invoke("claim", self.number)
        status, told = self.ask("POST", "/work/claim", {})
        task = told["task"]["slot"] if status == 200 and told["task"] else ""
        self.tally.history.end(begun, "ok" if status == 200 else "fail", task=task)
        return status, told

    def hand_in(self, deed: str, task: str, key: str, document: dict[str, Any]) -> tuple[int, Any]:
        """Submit or revise, and note it; the key is the answer's note as well."""
        begun = self.tally.history.invoke(deed, self.number, task, key)
        body = {"key": key, "document": {**document, "note": key}}
        status, told = self.ask("POST", f"/work/{task}/{deed}", body)
        said = str(told["state"] if deed == "submit" else told["revision"]) if status == 200 else ""
        self.tally.history.end(begun, "ok" if status == 200 else "fail" if status < 500 else "info", said)
        return status, told

    def text(self, method: str, path: str, body: str | None = None) -> tuple[int, str]:
        """(status, text) of an answer."""
        headers = {
            "Cookie": f"sid={self.cookie}",
            "Origin": f"http://127.0.0.1:{self.port}",
            "Content-Type": "application/json",
        }
        for attempt in range(400):
            try:
                if self.connection is None:
                    self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
                self.connection.request(method, path, body, headers)
                answer = self.connection.getresponse()
                status, data = answer.status, answer.read()
            except (OSError, http.client.HTTPException):
                self.close()
                self.tally.retries += 1
                time.sleep(min(0.05 * 2**attempt, 0.5))
                continue
            self.tally.requests += 1
            if status not in (502, 503):
                return status, data.decode()
            self.tally.retries += 1
            time.sleep(min(0.05 * 2**attempt, 0.5))
        raise RuntimeError(f"{method} {path}: the server stays away")

    def work(self, seed: int, walks: float, twice: float, pause: float, revises: float = 0.0) -> None:
        """Claim, save, submit until nothing is left twice in a row, or until told to stop."""
        rng, idle = random.Random(seed), 0
        time.sleep(rng.random() * pause)
        while idle < 2 and not self.stop.is_set():
            start = time.perf_counter()
            status, told = self.claim()
            spent = time.perf_counter() - start
            if status != 200:
                self.tally.errors[f"claim {status}"] += 1
                return
            task = told["task"]
            if task is None:
                idle += 1
                self.close()  # a server hangs up on whoever says nothing for so long
                time.sleep(1.0 if told.get("left") else 5.5)  # a lease of somebody who walked away may run out
                continue
            idle = 0
            if rng.random() < walks:
                continue
            document = kit.ranking([one["key"] for one in task["responses"]])
            for n in range(3 if pause else 1):
                if self.stop.wait(pause) and pause:
                    return  # time is up: they all leave as they are; in a rush to finish, nobody would measure anything
                begin = time.perf_counter()
                body = {"document": {**document, "note": str(n)}, "version": task["draft_version"] + n}
                status, told = self.ask("PUT", f"/work/{task['slot']}/draft", body)
                self.tally.drafts.append(1000 * (time.perf_counter() - begin))
                if status not in (200, 409):
                    self.tally.errors[f"draft {status}"] += 1
            key = str(uuid.uuid4())
            start = time.perf_counter()
            status, told = self.hand_in("submit", task["slot"], key, document)
            self.tally.milliseconds.append(1000 * (spent + time.perf_counter() - start))
            if status == 200:
                self.tally.acknowledged.append((task["slot"], told["state"]))
                if rng.random() < twice:
                    again = self.hand_in("submit", task["slot"], key, document)
                    if again != (status, told):
                        self.tally.errors["a repeated key was answered otherwise"] += 1
                for _ in range(2 if rng.random() < revises else 0):
                    self.hand_in("revise", task["slot"], str(uuid.uuid4()), document)
            elif status != 409:
                self.tally.errors[f"submit {status}"] += 1


class Site:
    """A database with signed-in people, and its server."""

    def __init__(self, url: str, folder: Path, labelers: int) -> None:
        self.database = Database(url)
        migrate(self.database)
        self.numbers = kit.people(self.database, labelers)
        with self.database.write() as connection:
            people = [accounts.Person(number, "", "", "labeler", "train") for number in self.numbers]
            self.cookies = [accounts.start_session(connection, one) for one in people]
        self.server = Server(url, folder)
        self.server.start()
        self.acknowledged: list[tuple[str, str]] = []
        self.told = History()

    def run(
        self,
        tabs: int,
        *,
        walks: float = 0.0,
        twice: float = 0.0,
        pause: float = 0.0,
        seconds: float = 0.0,
        revises: float = 0.0,
        faults: Any = None,
    ) -> Tally:
        """Let everybody work, for some seconds or until nothing is left, while `faults` happen."""
        tally, stop = Tally(history=self.told), threading.Event()
        hands = [
            Labeler(self.server.port, cookie, tally, stop, number)
            for number, cookie in zip(self.numbers, self.cookies, strict=True)
            for _ in range(tabs)
        ]
        threads = [
            threading.Thread(target=hand.work, args=(n, walks, twice, pause, revises), daemon=True)
            for n, hand in enumerate(hands)
        ]
        for thread in threads:
            thread.start()
        if faults is not None:
            faults()
        if seconds:
            time.sleep(seconds)
            stop.set()
        for thread, hand in zip(threads, hands, strict=True):
            thread.join()
            hand.close()
        self.acknowledged += tally.acknowledged
        return tally

    def history(self) -> list[str]:
        """What cannot be of all that was asked and told, held against what is there."""
        answer, slot, view = tables.answer, tables.slot, tables.view
        with self.database.read() as connection:
            columns = (answer.c.view, answer.c.item, answer.c.labeler, answer.c.revision, answer.c.state)
            rows = connection.execute(select(*columns, answer.c.document["note"].as_string()))
            kept = [Kept(*row) for row in rows]
            tasks = dict(connection.execute(select(view.c.id, view.c.item)).all())
            counted = select(slot.c.item, func.count()).group_by(slot.c.item)
            places = dict(connection.execute(counted).all())
        return wrong(self.told.events, kept, tasks, places, LEASE)

    def lost(self) -> int:
        """Acknowledged answers that are not there."""
        with self.database.read() as connection:
            there = set(connection.execute(select(tables.answer.c.view)).scalars())
        return len({task for task, _ in self.acknowledged} - there)

    def counts(self, overlap: int | None) -> dict[str, int]:
        """Items with too many accepted answers or too few (where all should be done), and labelers twice on one."""
        slot, answer = tables.slot, tables.answer
        with self.database.read() as connection:
            made = dict(connection.execute(select(slot.c.item, func.count()).group_by(slot.c.item)).all())
            rows = select(answer.c.item, func.count()).where(answer.c.state == "accepted", answer.c.revision == 1)
            done = dict(connection.execute(rows.group_by(answer.c.item)).all())
            pairs = select(answer.c.item).where(answer.c.revision == 1).group_by(answer.c.item, answer.c.labeler)
            twice = len(connection.execute(pairs.having(func.count() > 1)).all())
            books = len(backup.faults(connection))
        over = sum(done.get(item, 0) > count for item, count in made.items())
        short = sum(done.get(item, 0) < count for item, count in made.items()) if overlap is not None else 0
        return {"over_assigned": over, "unfinished": short, "duplicates": twice, "books": books}

    def least(self) -> float:
        """What whoever did least has done, as a share of the mean: nobody is to be starved."""
        with self.database.read() as connection:
            rows = connection.execute(select(func.count()).select_from(tables.answer).group_by(tables.answer.c.labeler))
            counts = list(rows.scalars())
        mean = sum(counts) / len(self.cookies)
        return round(min([*counts, *[0] * (len(self.cookies) - len(counts))]) / mean, 2) if mean else float("nan")

    def memory(self) -> float:
        """Megabytes that the server holds."""
        assert self.server.process is not None
        pages = int(Path(f"/proc/{self.server.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def close(self) -> None:
        self.server.stop()
        self.database.close()


def p95(values: list[float]) -> float:
    return round(sorted(values)[int(0.95 * (len(values) - 1))], 1) if values else float("nan")
