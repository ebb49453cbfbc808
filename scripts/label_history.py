"""What labelers have asked and were told, in order, and whether the database can have come about like that.

Every request is two events, `invoke` and then `ok`, `fail` (refused: it has had no effect) or `info` (nobody knows). The
check is made afterwards, from the events and from what the database holds in the end:

- every acknowledged answer and revision is there, with its text, and one that was refused is not;
- what is there was asked for;
- an item has no more accepted answers than places, and at no moment more labelers on it;
- a labeler has answered an item once;
- the revisions of an answer are numbered without a gap, and one that was acknowledged before the next was asked for comes
  before it.
"""

import itertools
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

MARGIN = 0.5  # seconds by which a lease may seem longer from here than by the database's clock


@dataclass(frozen=True)
class Event:
    """One side of a request. call: both sides have it. text: what makes an answer recognisable. told: what came back."""

    at: float
    call: int
    kind: str  # invoke | ok | fail | info
    deed: str  # claim | submit | revise
    labeler: int
    task: str = ""
    text: str = ""
    told: str = ""


@dataclass
class History:
    """Events as they happen, from many threads."""

    events: list[Event] = field(default_factory=list[Event])
    _calls: "itertools.count[int]" = field(default_factory=itertools.count)
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def invoke(self, deed: str, labeler: int, task: str = "", text: str = "") -> Event:
        """Note that something is asked for."""
        with self._turn:
            made = Event(time.monotonic(), next(self._calls), "invoke", deed, labeler, task, text)
            self.events.append(made)
        return made

    def end(self, begun: Event, kind: str, told: str = "", task: str = "") -> None:
        """Note what became of it."""
        with self._turn:
            at, found = time.monotonic(), task or begun.task
            self.events.append(Event(at, begun.call, kind, begun.deed, begun.labeler, found, begun.text, told))


@dataclass(frozen=True)
class Kept:
    """An answer in the database."""

    task: str
    item: int
    labeler: int
    revision: int
    state: str
    text: str


def wrong(
    events: Sequence[Event], kept: Sequence[Kept], tasks: dict[str, int], places: dict[int, int], lease: float
) -> list[str]:
    """What cannot be, in sentences. tasks: the item of each task; places: of each item; lease: seconds of a claim."""
    begun = {one.call: one for one in events if one.kind == "invoke"}
    ended = {one.call: one for one in events if one.kind != "invoke"}
    found = list(_texts(begun.values(), ended, kept))
    found += _once(kept, places)
    found += _order(begun, ended, kept)
    found += _crowded(begun, ended, tasks, places, lease)
    return found


def _texts(begun: Iterable[Event], ended: dict[int, Event], kept: Sequence[Kept]) -> Iterable[str]:
    there = {(one.task, one.text): one for one in kept}
    asked: set[tuple[str, str]] = set()
    refused: set[tuple[str, str]] = set()
    for one in begun:
        if one.deed == "claim":
            continue
        what, end = (one.task, one.text), ended.get(one.call)
        (refused if end is not None and end.kind == "fail" else asked).add(what)
        if end is not None and end.kind == "ok":
            answer = there.get(what)
            said = answer and (answer.state if one.deed == "submit" else str(answer.revision))
            if said is None:
                yield f"{one.deed} {one.text} of {one.task} was acknowledged and is not there"
            elif said != end.told:
                yield f"{one.deed} {one.text} of {one.task} was told to be {end.told} and is {said}"
    for what in there:
        if what not in asked:
            yield f"{what[1]} of {what[0]} is there and was {'refused' if what in refused else 'never sent'}"


def _once(kept: Sequence[Kept], places: dict[int, int]) -> Iterable[str]:
    first = [one for one in kept if one.revision == 1]
    for item, count in Counter(one.item for one in first if one.state == "accepted").items():
        if count > places[item]:
            yield f"item {item} has {count} answers for {places[item]} places"
    for (item, labeler), count in Counter((one.item, one.labeler) for one in first).items():
        if count > 1:
            yield f"labeler {labeler} has answered item {item} {count} times"


def _order(begun: dict[int, Event], ended: dict[int, Event], kept: Sequence[Kept]) -> Iterable[str]:
    of_task: dict[str, list[Kept]] = defaultdict(list)
    for one in kept:
        of_task[one.task].append(one)
    for task, answers in of_task.items():
        numbers = sorted(one.revision for one in answers)
        if numbers != list(range(1, len(numbers) + 1)):
            yield f"the revisions of {task} are numbered {numbers}"
    number = {(one.task, one.text): one.revision for one in kept}
    done = [(begun[call], end) for call, end in ended.items() if end.kind == "ok" and end.deed != "claim"]
    by_task: dict[str, list[tuple[Event, Event]]] = defaultdict(list)
    for pair in done:
        by_task[pair[0].task].append(pair)
    for task, pairs in by_task.items():
        for (first, end), (second, _) in itertools.permutations(pairs, 2):
            before, after = number.get((task, first.text)), number.get((task, second.text))
            if before is None or after is None or first.text == second.text:
                continue
            if end.at < second.at and before > after:
                yield f"{first.text} of {task} was there before {second.text} was sent, and comes after it"


def _crowded(
    begun: dict[int, Event], ended: dict[int, Event], tasks: dict[str, int], places: dict[int, int], lease: float
) -> Iterable[str]:
    """Moments at which more labelers stood on an item for certain, or had filled a place, than it has places."""
    moments: dict[int, list[tuple[float, int]]] = defaultdict(list)
    handed = {one.task: one.at for one in sorted(begun.values(), key=lambda one: -one.at) if one.deed == "submit"}
    last: dict[str, float] = {}
    for call, end in sorted(ended.items(), key=lambda one: one[1].at):
        if end.deed == "claim" and end.kind == "ok" and end.task:
            until = min(begun[call].at + lease - MARGIN, handed.get(end.task, float("inf")))
            start = max(end.at, last.get(end.task, 0.0))  # the same task again: one stay, not two
            if until > start:
                moments[tasks[end.task]] += [(start, 1), (until, -1)]
                last[end.task] = until
    filled = {end.task: end.at for end in ended.values() if end.deed == "submit" and end.told == "accepted"}
    for task, at in filled.items():
        moments[tasks[task]].append((at, 1))
    for item, changes in moments.items():
        count = 0
        for _, change in sorted(changes):
            count += change
            if count > places[item]:
                yield f"item {item} had {count} labelers at once on {places[item]} places"
                break
