"""Two who work at one database at once, in every order of their statements, one statement at a time.

Each has a connection of their own and stops before every statement and every commit, until it is their turn. Whoever
waits for a lock of the other has no turn. All orders are tried in which the turn is taken from somebody who could go on
at most so many times; most faults need one or two such moments. So PostgreSQL tests its isolation; here it is the
program's own transactions that are ordered.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import event, text

from assent.label.store.database import Database

_BLOCKING = text("SELECT cardinality(pg_blocking_pids(:pid))")
PATIENCE = 20.0  # seconds without any progress, after which an order is called stuck


class Hand:
    """One of the two: a thread that does `work` and stops before every statement."""

    def __init__(self, database: Database, work: Callable[[Database], Any]) -> None:
        self.database, self.work = database, work
        self.result: Any = None
        self.ended = False
        self.waits = False  # for a lock of the other
        self.process = 0  # PostgreSQL's, at the other end
        self._go = threading.Semaphore(0)
        self._there: queue.Queue[bool] = queue.Queue()  # True: it has ended
        self._thread = threading.Thread(target=self._run, daemon=True)
        event.listen(database.engine, "before_cursor_execute", self._statement)
        event.listen(database.engine, "commit", self._stop)
        self._thread.start()
        self.arrives(PATIENCE)

    def _statement(self, connection: Any, *_: Any) -> None:
        raw = connection.connection.driver_connection
        self.process = getattr(getattr(raw, "info", None), "backend_pid", 0)
        self._stop()

    def _stop(self, *_: Any) -> None:
        self._there.put(False)
        assert self._go.acquire(timeout=PATIENCE)

    def _run(self) -> None:
        try:
            self.result = self.work(self.database)
        except BaseException as error:
            self.result = error
        self._there.put(True)

    def arrives(self, seconds: float) -> bool:
        """Whether it comes to its next stop, or to its end, within so many seconds."""
        try:
            self.ended = self._there.get(timeout=seconds)
        except queue.Empty:
            return False
        self.waits = False
        return True

    def go(self) -> None:
        """Let it do what it stands before."""
        self._go.release()

    def leave(self) -> None:
        """Listen no more."""
        self._thread.join(PATIENCE)
        event.remove(self.database.engine, "before_cursor_execute", self._statement)
        event.remove(self.database.engine, "commit", self._stop)


@dataclass(frozen=True)
class Ran:
    """An order that was run: who had the turn, who could have had it, and the results."""

    turns: tuple[int, ...]
    could: tuple[tuple[int, ...], ...]
    results: tuple[Any, ...]

    def taken(self, count: int) -> int:
        """How often, in the first turns, the turn was taken from somebody who could have gone on."""
        pairs = zip(self.turns, self.turns[1:], self.could[1:], strict=False)
        return sum(before != now and before in could for before, now, could in list(pairs)[: max(0, count - 1)])


class Stage:
    """Two connections to one database, and a third one that looks on."""

    def __init__(self, url: str) -> None:
        self.databases = [Database(url), Database(url)]
        self.onlooker = Database(url)

    def close(self) -> None:
        for one in (*self.databases, self.onlooker):
            one.close()

    def run(self, works: Sequence[Callable[[Database], Any]], first: Sequence[int]) -> Ran:
        """Give the turn as `first` says, and then to whoever has it for as long as they can go on."""
        hands = [Hand(database, work) for database, work in zip(self.databases, works, strict=True)]
        turns: list[int] = []
        could: list[tuple[int, ...]] = []
        while not all(hand.ended for hand in hands):
            able = tuple(n for n, hand in enumerate(hands) if not hand.ended and not hand.waits)
            if not able:
                assert any(hand.arrives(PATIENCE / 2) for hand in hands if hand.waits), f"stuck after {turns}"
                continue
            wanted = first[len(turns)] if len(turns) < len(first) else turns[-1] if turns else able[0]
            chosen = wanted if wanted in able else able[0]
            turns.append(chosen)
            could.append(able)
            hands[chosen].go()
            self._settle(hands[chosen], hands[1 - chosen])
            if hands[1 - chosen].waits:
                self._settle(hands[1 - chosen], hands[chosen])
        for hand in hands:
            hand.leave()
        return Ran(tuple(turns), tuple(could), tuple(hand.result for hand in hands))

    def _settle(self, hand: Hand, other: Hand) -> None:
        """Wait until a hand has arrived, or waits for the other."""
        end = time.monotonic() + PATIENCE
        while not hand.arrives(0.03 if self.onlooker.sqlite else 0.002):
            if not other.ended and self._is_blocked(hand):
                hand.waits = True
                return
            assert time.monotonic() < end, "neither done nor waiting"

    def _is_blocked(self, hand: Hand) -> bool:
        if self.onlooker.sqlite:
            return True  # it waits for the only pen, or would have arrived
        row = self.onlooker.glance(_BLOCKING, {"pid": hand.process})
        return row is not None and row[0] > 0

    def orders(self, make: Callable[[], Sequence[Callable[[Database], Any]]], most: int) -> Iterator[Ran]:
        """All orders in which the turn is taken at most so often; `make` sets up both works anew for each."""
        waiting: list[tuple[int, ...]] = [(0,), (1,)]
        while waiting:
            first = waiting.pop()
            ran = self.run(make(), first)
            yield ran
            for place in range(len(first), len(ran.turns)):
                for other in ran.could[place]:
                    if other == ran.turns[place]:
                        continue
                    longer = Ran((*ran.turns[:place], other), ran.could[: place + 1], ())
                    if longer.taken(place + 1) <= most:
                        waiting.append(longer.turns)
