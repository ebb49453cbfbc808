"""Models of labelers, for leads: what flags are probably so, and whose rankings can be relied on how far.

Of flags the model of Dawid and Skene, of rankings Crowd-BT; what they say of a labeler is where to look and whom to
talk with, never a list of the best, and nothing is removed by it. How strong policies are is told of a frozen batch
only: a number that is looked at while it grows is looked at too often.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from assent.label.book import Book, Judged
from assent.label.phrases import phrase
from assent.records import FLAGS

CROWD_MOST = 1_000  # rankings that Crowd-BT is fitted to
TOLD = 10  # outputs on which the model and the majority part that are named


def overview(book: Book, frozen: bool) -> dict[str, Any]:
    """All models of one batch; see `flags` and `ranks`."""
    return {"flags": flags(book), "ranks": ranks(book, frozen)}


# -- flags ---------------------------------------------------------------------------------------------------------


def said(rows: Sequence[Judged], name: str) -> list[tuple[float, str, str]]:
    """What was said of a flag: (1 or 0, output, labeler); those for whom it did not apply said nothing."""
    return [
        (float(bool(flags.get(name))), f"{row.item}/{place}", row.labeler)
        for row in rows
        for place, flags in enumerate(row.flags)
        if flags.get(name) is not None
    ]


def flags(book: Book) -> dict[str, Any]:
    """For every flag: how often it was said and how often it is probably so, each labeler, and where the majority errs.

    seen, silent: how probably a labeler says the flag where it is so, and keeps silent where it is not.
    """
    rows = book.several()
    return {name: _flag(said(rows, name)) for name in FLAGS}


def _flag(told: Sequence[tuple[float, str, str]]) -> dict[str, Any]:
    from assent.statistics.clusters import judgements
    from assent.statistics.quality import dawid_skene

    if not told:
        return {"unknown": phrase("no output was judged by several labelers")}
    columns = [list(column) for column in zip(*told, strict=True)]
    try:
        found = dawid_skene(judgements(*columns))
    except ValueError as error:
        return {"unknown": str(error), "said": sum(columns[0]) / len(columns[0])}
    count = Counter(columns[2])
    parted = _parted(told, {output: float(one[-1]) for output, one in found.probabilities.items()})
    return {
        "said": sum(columns[0]) / len(columns[0]),
        "prevalence": float(found.prevalence[-1]),
        "accuracy": {who: asdict(interval) for who, interval in found.accuracy.items()},
        "labelers": {
            who: {"seen": float(table[-1, -1]), "silent": float(table[0, 0]), "outputs": count[who]}
            for who, table in found.confusion.items()
        },
        "parted": parted[:TOLD],
        "parted_count": len(parted),
        "switched": found.switched,
    }


def _parted(told: Sequence[tuple[float, str, str]], probable: Mapping[str, float]) -> list[dict[str, Any]]:
    """Outputs of which the model says otherwise than most labelers, the surest first."""
    votes: dict[str, list[float]] = defaultdict(list)
    for value, output, _ in told:
        votes[output].append(value)
    found = [
        {"item": int(output.split("/")[0]), "place": int(output.split("/")[1]), "yes": sum(one), "of": len(one)}
        | {"probability": probable[output]}
        for output, one in votes.items()
        if (probable[output] - 0.5) * (sum(one) / len(one) - 0.5) < 0
    ]
    return sorted(found, key=lambda one: -abs(one["probability"] - 0.5))


# -- ranks ---------------------------------------------------------------------------------------------------------


def ranks(book: Book, frozen: bool) -> dict[str, Any]:
    """How probably each labeler means an order as they give it, and, once the batch is frozen, how strong policies are.

    trust: 1/2 is a coin. Only items whose responses name two policies or more say anything; the latest count.
    """
    from assent.statistics.crowd import crowd_bradley_terry
    from assent.statistics.ratings import Comparison

    comparisons = [
        Comparison(row.policies, row.ranks, f"item {row.item}", row.labeler, row.places)
        for row in book.rows
        if row.stratum != "retest" and len(set(row.policies)) > 1 and all(row.policies)
    ][-CROWD_MOST:]
    if not comparisons:
        return {
            "unknown": phrase("no ranking compares responses of two named policies; samples with `policy` are needed")
        }
    try:
        found = crowd_bradley_terry(comparisons)
    except ValueError as error:
        return {"unknown": str(error)}
    strengths = {name: asdict(one.interval) for name, one in found.strengths.items()}
    return {
        "trust": {name: asdict(one) for name, one in found.trust.items()},
        "rankings": Counter(one.labeler for one in comparisons),
        "strengths": strengths if frozen else None,
        "caution": found.caution,
    }
