"""How long answers take: counts over all of a batch, medians over each labeler's latest answers. For leads only."""

from collections import defaultdict
from dataclasses import dataclass
from statistics import median
from typing import Any

from sqlalchemy import Connection, func, literal_column, select

from assent.label.store.tables import answer, person

SESSION_GAP = 1800.0  # seconds without an answer that end a sitting
FATIGUE = (10, 25, 50, 100)  # answers into a sitting
LATEST = 500  # answers of a labeler that medians are taken of
_FIRST = answer.c.revision == literal_column("1")  # spelled out: only then is the index of first answers used


@dataclass(frozen=True)
class Times:
    """One labeler's latest answers, the oldest first: when, in seconds since 1970, and how long each took.

    answers, total: how many answers there are in all, and the seconds spent on them.
    """

    at: tuple[float, ...]
    seconds: tuple[float, ...]
    answers: int
    total: float


def times(connection: Connection, number: int, latest: int = LATEST) -> dict[str, Times]:
    """The times of a batch, by labeler."""
    mine = (answer.c.batch == number, _FIRST)
    sums = (
        select(answer.c.labeler, func.count(), func.sum(answer.c.seconds)).where(*mine).group_by(answer.c.labeler)
    ).subquery()
    counted = select(person.c.id, person.c.name, sums).join(sums, sums.c.labeler == person.c.id)
    found: dict[str, Times] = {}
    for row in connection.execute(counted).all():
        chosen = select(answer.c.at, answer.c.seconds).where(*mine, answer.c.labeler == row.id)
        pairs = connection.execute(chosen.order_by(answer.c.at.desc()).limit(latest)).all()
        columns = zip(*((one.at, one.seconds) for one in reversed(pairs)), strict=True)
        at, seconds = (tuple(column) for column in columns)
        found[row.name] = Times(at, seconds, row[3], float(row[4]))
    return found


def throughput(one: Times) -> dict[str, Any]:
    """Answers, median seconds and hours of work; and how the median moves within a sitting (fatigue)."""
    later: dict[str, list[float]] = defaultdict(list)
    before, place = float("-inf"), 0
    for at, seconds in zip(one.at, one.seconds, strict=True):
        place = 1 if at - before > SESSION_GAP else place + 1
        before = at
        bound = next((bound for bound in FATIGUE if place <= bound), 0)
        later[f"to {bound}" if bound else f"after {FATIGUE[-1]}"].append(seconds)
    return {
        "answers": one.answers,
        "median_seconds": median(one.seconds),
        "hours": one.total / 3600,
        "sitting": {name: median(values) for name, values in later.items()},
    }
