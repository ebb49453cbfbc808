"""The numbers of a batch, worked out beside the server: a page never waits for them, and neither do labelers.

The rows are read here, in one short transaction. What is computed from them, ten to thirty seconds for four thousand
rankings, is done by a process of its own (this module, run as a program: rows in, numbers out, both JSON) that lets
everybody else go first. The numbers are kept in memory with the moment they are of; a page shows them, and asks for new
ones when answers have come since.
"""

import json
import logging
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from assent.label import quality
from assent.label.book import Book, Judged
from assent.label.pace import Times
from assent.label.quality import Gathered
from assent.label.store import batches, known
from assent.label.store.database import Database
from assent.label.store.slots import RefusedError
from assent.label.store.tables import adjudication, answer, item, screening

RENEW = 60.0  # seconds that numbers are good enough, whatever has come since
LONGEST = 1800.0  # seconds after which a computation is given up

_log = logging.getLogger("assent.label")


@dataclass(frozen=True)
class Kept:
    """Numbers of a batch as they were: of which answers (`stamp`), and when, by a clock that only goes forward."""

    found: Mapping[str, Any]
    stamp: tuple[int, ...]
    since: float


class Measures:
    """What is known of every batch, by its number. One computation runs at a time."""

    def __init__(self, database: Database, renew: float = RENEW) -> None:
        self.database = database
        self.renew = renew
        self._kept: dict[int, Kept] = {}
        self._asked: set[int] = set()
        self._failed: dict[int, float] = {}
        self._lock = threading.Lock()
        self._turn = threading.Lock()

    def known(self, name: str) -> tuple[Mapping[str, Any] | None, bool]:
        """The numbers of a batch, None when there are none; and whether newer ones are being worked out.

        Returns at once. What has failed is not tried again at once. Raises RefusedError 404.
        """
        number, stamp = self._stamp(name)
        kept = self._kept.get(number)
        if time.monotonic() - self._failed.get(number, -math.inf) < self.renew:
            return None if kept is None else kept.found, False
        if kept is not None and (kept.stamp == stamp or time.monotonic() - kept.since < self.renew):
            return kept.found, kept.stamp != stamp
        with self._lock:
            if number not in self._asked:
                self._asked.add(number)
                threading.Thread(target=self._work, args=(name, number), daemon=True).start()
        return None if kept is None else kept.found, True

    def fresh(self, name: str) -> Mapping[str, Any]:
        """The numbers of a batch as it stands; waits for them. Raises RefusedError 404, and 500 when there are none."""
        number, stamp = self._stamp(name)
        kept = self._kept.get(number)
        if kept is None or kept.stamp != stamp:
            self._renew(name, number)
        return self._kept[number].found

    def _stamp(self, name: str) -> tuple[int, tuple[int, ...]]:
        """The number of a batch, and what changes whenever its numbers may: answers, decisions, its state."""
        with self.database.read() as connection:
            row = batches.found(connection, name)
            return row.id, _moment(connection, row.id, row.state)

    def _work(self, name: str, number: int) -> None:
        try:
            self._renew(name, number)
        except Exception as error:  # a look in a while tries again
            self._failed[number] = time.monotonic()
            _log.error("the numbers of a batch could not be worked out", exc_info=error)
        finally:
            with self._lock:
                self._asked.discard(number)

    def _renew(self, name: str, number: int) -> None:
        with self._turn:
            with self.database.read() as connection:
                row = batches.found(connection, name)
                stamp = _moment(connection, number, row.state)
                given = quality.gathered(connection, name)
            self._kept[number] = Kept(beside(given), stamp, time.monotonic())


def _moment(connection: Connection, number: int, state: str) -> tuple[int, ...]:
    newest = select(func.max(answer.c.id))  # of all batches: that is one look at an index, of one it is a million
    aside = select(func.count()).where(item.c.batch == number, item.c.state == "quarantined")
    decided = select(func.max(adjudication.c.id))
    screened = select(func.count()).where(screening.c.decision == "open")  # these have codes for names
    retired = select(func.count()).where(*known.retired_of(number))
    rows = [aside, decided, screened, retired, *([] if state == "frozen" else [newest])]
    return tuple(connection.execute(one).scalar_one() or 0 for one in rows)


def beside(given: Gathered) -> dict[str, Any]:
    """`quality.computed` in a process of its own, which goes last wherever there is little to go round."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "assent.label.measuring"],
        input=json.dumps(asdict(given)),
        capture_output=True,
        text=True,
        env=environment,
        timeout=LONGEST,
    )
    if done.returncode:
        _log.error("the numbers of a batch could not be worked out: %s", done.stderr.strip()[-2000:])
        raise RefusedError(500, "the numbers could not be worked out; the server's log says why")
    return json.loads(done.stdout)


def gathered(text: str) -> Gathered:
    """What `beside` hands over."""
    row = json.loads(text)
    book = row["book"]
    rows, apart = ([_judged(one) for one in book[name]] for name in ("rows", "apart"))
    return Gathered(
        batch=row["batch"],
        frozen=row["frozen"],
        at=row["at"],
        book=Book(tuple(rows), book["corrupt"], book["answers"], book["drawn"], tuple(apart)),
        times={name: Times(**one) for name, one in row["times"].items()},
        decided=tuple(row["decided"]),
        reviews=tuple((which, who, value) for which, who, value in row["reviews"]),
    )


def _judged(row: dict[str, Any]) -> Judged:
    lists: dict[str, Any] = {name: tuple(value) for name, value in row.items() if isinstance(value, list)}
    return Judged(**(row | lists))


def main() -> None:
    """Rows in, numbers out."""
    os.nice(10)
    json.dump(quality.computed(gathered(sys.stdin.read())), sys.stdout, allow_nan=False)


if __name__ == "__main__":
    main()
