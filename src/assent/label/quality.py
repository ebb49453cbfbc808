"""What a lead sees of a batch: whether labelers agree with each other, with known answers and with themselves.

Everything is computed from the rows, with `assent.statistics`, and nothing is written back, so nothing can differ from
the rows; `measuring` does it beside the server and says of which moment the numbers are. A number that cannot be had
says why instead: a gate is pass, flag, open or unknown, and none of them removes anything.
"""

import statistics
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isnan
from typing import Any

from sqlalchemy import Connection, select

from assent.label import doubts, gold, models, pace, screening
from assent.label.book import MOST, Book, read
from assent.label.pace import Times
from assent.label.phrases import phrase
from assent.label.store import batches, reviews
from assent.label.store.database import now
from assent.records import FLAGS

FEWEST = 10  # items before a number is shown of a part of a batch, or kappa of two labelers
FEW = phrase("fewer than 10 items that several ranked")


@dataclass(frozen=True)
class Gathered:
    """What the numbers of a batch are computed from, read at one moment (`at`, by the database's clock)."""

    batch: str
    frozen: bool
    at: float
    book: Book
    times: Mapping[str, Times]
    decided: tuple[int, ...]
    reviews: tuple[tuple[str, str, int], ...] = ()  # of demonstrations: which, by whom, 1 to 7


def overview(connection: Connection, name: str, most: int = MOST) -> dict[str, Any]:
    """All of it for one batch, as JSON."""
    return computed(gathered(connection, name, most))


def gathered(connection: Connection, name: str, most: int = MOST) -> Gathered:
    """What is needed of a batch; raises RefusedError 404."""
    row = batches.found(connection, name)
    codes = screening.codes(connection)  # who is being screened has a code here as well
    times = pace.times(connection, row.id)
    return Gathered(
        batch=name,
        frozen=row.state == "frozen",
        at=connection.execute(select(now())).scalar_one(),
        book=read(connection, row.id, most=most).named(codes),
        times={codes.get(who, who): one for who, one in times.items()},
        decided=tuple(sorted(doubts.decided(connection, row.id))),
        reviews=tuple(
            (f"{one.item}/{one.writer}", one.reviewer, one.overall)
            for one in reviews.of_batch(connection, row.id, most)
            if one.current
        ),
    )


def computed(given: Gathered) -> dict[str, Any]:
    """The numbers; no database is asked."""
    book = given.book
    model = _plain(models.overview(book, given.frozen))
    return {
        "batch": given.batch,
        "at": given.at,
        "rankings": len(book.rows),
        "answers": book.answers,
        "drawn": book.drawn,
        "corrupt": book.corrupt,
        "agreement": agreement(book),
        "alpha": alphas(book),
        "labelers": labelers(book, given.times),
        "between": between(book),
        "kappa": kappa(book),
        "parts": {"use_cases": parts(book.use_cases()), "weeks": parts(book.weeks())},
        "retest": retest(book),
        "reviews": reviewed(given.reviews),
        "flags": model["flags"],
        "ranks": model["ranks"],
        "gold": [_plain(asdict(one)) for one in gold.leaks(book.everything())],
        "adjudication": doubts.queue(book, set(given.decided)),
    }


# -- agreement -----------------------------------------------------------------------------------------------


def agreement(book: Book) -> dict[str, Any]:
    """Agreement as the paper counts it, by three rules for ties, each with its interval and what chance would give."""
    from assent.statistics.labelers import pairwise_agreement
    from assent.statistics.meetings import RULES

    return {rule: _or_unknown(lambda rule=rule: asdict(pairwise_agreement(book.rankings(), rule))) for rule in RULES}


def between(book: Book) -> Any:
    """Agreement of each two labelers, with what stands behind it; kappa only from `FEWEST` items on."""
    from assent.statistics.labelers import between_labelers, kappas

    def found() -> list[dict[str, Any]]:
        cells, beyond = between_labelers(book.rankings(), "half"), kappas(book.rankings(), FEWEST).between
        return [
            {
                "one": a,
                "other": b,
                "agreement": share,
                "pairs": n,
                "items": beyond[a, b][1],
                "kappa": beyond[a, b][0] if beyond[a, b][1] >= FEWEST else None,
            }
            for (a, b), (share, n) in cells.items()
        ]

    return _or_unknown(found)


def kappa(book: Book) -> Any:
    """The mean of Cohen's kappa over every two labelers who share `FEWEST` items or more."""
    from assent.statistics.labelers import kappas

    found = _or_unknown(lambda: {"mean": asdict(mean) if (mean := kappas(book.rankings(), FEWEST).mean) else None})
    return {"unknown": FEW} if found.get("mean", True) is None else found


def parts(books: Mapping[str, Book]) -> list[dict[str, Any]]:
    """Agreement and the alpha of ratings in parts of a batch; no number for a part with fewer items than `FEWEST`."""
    found: list[dict[str, Any]] = []
    for name, book in books.items():
        items, people = len(book.rankings()), len({row.labeler for row in book.rows})
        few = items < FEWEST
        measured = {"unknown": FEW} if few else {"agreement": agreement(book), "alpha": _alpha(_rated(book), "ordinal")}
        found.append({"name": name, "items": items, "labelers": people, **measured})
    return found


def alphas(book: Book) -> dict[str, Any]:
    """Krippendorff's alpha: of the 1-7 ratings (ordinal) and of every flag (nominal)."""
    rows = book.several()
    flags = {name: _alpha(models.said(rows, name), "nominal") for name in FLAGS}
    return {"overall": _alpha(_rated(book), "ordinal"), **flags}


def _rated(book: Book) -> list[tuple[float, str, str]]:
    """The ratings of responses that several rated: rating, response, labeler."""
    return [
        (float(value), f"{row.item}/{place}", row.labeler)
        for row in book.several()
        for place, value in enumerate(row.overall)
    ]


def _alpha(values: Sequence[tuple[float, str, str]], level: Any) -> Any:
    from assent.statistics.alpha import krippendorff
    from assent.statistics.clusters import judgements

    columns = [list(column) for column in zip(*values, strict=True)] or [[], [], []]
    return _or_unknown(lambda: asdict(krippendorff(judgements(*columns), level, draws=200)))


def retest(book: Book) -> Any:
    """How often labelers agree with themselves a week later: the ceiling of every agreement."""
    from assent.statistics.consistency import Retest, retest_agreement

    rows = book.everything()
    first = {(row.item, row.labeler): row.ranks for row in rows if row.stratum != "retest"}
    pairs = [
        Retest(row.record, row.labeler, first[row.repeats, row.labeler], row.ranks)
        for row in rows
        if row.repeats is not None and (row.repeats, row.labeler) in first
    ]
    return _or_unknown(lambda: asdict(retest_agreement(pairs, "half")))


def reviewed(given: Sequence[tuple[str, str, int]]) -> Any:
    """What others say of demonstrations: how many of which rating, their mean, and how far reviews of one lie apart."""
    from assent.statistics.clusters import clustered_mean, judgements

    if not given:
        return {"unknown": phrase("no demonstration was reviewed yet")}
    which, who, values = ([*column] for column in zip(*given, strict=True))
    together = defaultdict[str, list[int]](list)
    for name, value in zip(which, values, strict=True):
        together[name].append(value)
    several = [max(ratings) - min(ratings) for ratings in together.values() if len(ratings) > 1]
    return _plain(
        {
            "mean": asdict(clustered_mean(judgements(values, which, who))),
            "deviation": statistics.pstdev(values),
            "demonstrations": len(together),
            "reviews": len(values),
            "counts": {str(rating): values.count(rating) for rating in range(1, 8)},
            "below": sum(sum(ratings) / len(ratings) < doubts.POOR for ratings in together.values()),
            "apart": sum(several) / len(several) if several else None,
        }
    )


# -- labelers ------------------------------------------------------------------------------------------------


def labelers(book: Book, times: Mapping[str, Times]) -> list[dict[str, Any]]:
    """Every labeler by name: against others, against gold, by place on the screen, by time. For leads only."""
    from assent.statistics.consistency import position_bias
    from assent.statistics.labelers import standings

    others = _or_unknown(lambda: {name: asdict(one) for name, one in standings(book.rankings(), "half").items()})
    everything = book.everything()
    shown: dict[str, list[tuple[Sequence[int], Sequence[int]]]] = defaultdict(list)
    for row in book.rows:
        shown[row.labeler].append((row.ranks, row.places))
    biases = _or_unknown(lambda: {name: asdict(one) for name, one in position_bias(shown).items()})
    names = sorted({row.labeler for row in everything} | times.keys())
    return [
        {
            "labeler": name,
            "others": _of(others, name),
            "gold": gold.gate(row for row in everything if row.labeler == name),
            "position": _of(biases, name),
            "time": pace.throughput(times[name]) if name in times else {"unknown": phrase("no answers yet")},
        }
        for name in names
    ]


def _of(found: Any, name: str) -> Any:
    return found.get(name, found if "unknown" in found else {"unknown": phrase("nothing to compare with yet")})


def _or_unknown(work: Callable[[], Any]) -> Any:
    """What `work` finds, or why it cannot be known; never a number that means nothing."""
    try:
        return _plain(work())
    except ValueError as error:
        return {"unknown": str(error)}


def _plain(value: Any) -> Any:
    """As JSON has it: no NaN, no numbers of numpy."""
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and isnan(value) else value
