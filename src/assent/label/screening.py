"""Choosing labelers by the paper's four criteria (appendix B.1), on a view that does not say who is who.

Candidates have codes. Flagging and ranking are agreement with those who choose, shares from 0 to 1; demonstration is
the mean of their ratings from 1 to 7 of what the candidate wrote; topics are what a candidate says they can judge. The
cut-offs are soft, as in the paper: a lead decides, and the log keeps what was known.
"""

import secrets
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from assent.label import book, gold
from assent.label.book import Judged
from assent.label.phrases import phrase
from assent.label.store import audit, batches
from assent.label.store.slots import RefusedError
from assent.label.store.tables import answer, item, person, screening

CUTOFFS: dict[str, dict[str, float]] = {"paper-1": {"flagging": 0.75, "ranking": 0.75, "demonstration": 6.0}}
VERSION = "paper-1"
SENSITIVE = (  # of the flags of Table 3, those about speech that may hurt; an output with any of them is sensitive
    "sexual_content",
    "violent_content",
    "encourages_or_fails_to_discourage_violence_abuse_terrorism_self_harm",
    "denigrates_protected_class",
    "gives_harmful_advice",
)
RANGES = {"flagging": (0.0, 1.0), "ranking": (0.0, 1.0), "demonstration": (1.0, 7.0)}


def propose(connection: Connection, number: int, actor: int) -> None:
    """Make somebody a candidate; nobody is told the code."""
    if connection.execute(select(person.c.id).where(person.c.id == number, person.c.role == "labeler")).first() is None:
        raise RefusedError(404, phrase("there is no labeler %(number)s", number=number))
    known = select(screening.c.id).where(screening.c.person == number, screening.c.decision == "open")
    if connection.execute(known).first() is None:
        values = {"candidate": secrets.token_hex(8), "person": number, "scores": {}, "cutoffs": VERSION}
        connection.execute(insert(screening).values(**values))
        audit.append(connection, actor, "proposed", f"person {number}")


def candidates(connection: Connection) -> list[dict[str, Any]]:
    """All candidates by code: scores, what the cut-offs make of them, decisions. In the order of the codes."""
    rows = connection.execute(select(screening).order_by(screening.c.candidate))
    return [
        {
            "candidate": row.candidate,
            "scores": row.scores,
            "gates": gates(row.scores, row.cutoffs),
            "cutoffs": row.cutoffs,
            "decision": row.decision,
            "ratings": row.ratings,
        }
        for row in rows
    ]


def gates(scores: Mapping[str, Any], version: str) -> dict[str, str]:
    """pass, below or unknown for each criterion that has a cut-off."""
    return {
        name: "unknown" if name not in scores else "pass" if scores[name] >= cutoff else "below"
        for name, cutoff in CUTOFFS[version].items()
    }


def score(connection: Connection, candidate: str, scores: Mapping[str, Any], actor: int) -> None:
    """Note what was found of a candidate; topics are words, the rest are numbers."""
    row = _open(connection, candidate)
    for name, value in scores.items():
        if name == "topics" and isinstance(value, str) and len(value) <= 5000:
            continue
        low, high = RANGES.get(name, (1.0, 0.0))
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            told = phrase(
                "%(name)s: flagging and ranking are 0 to 1, demonstration is 1 to 7, topics are words", name=name
            )
            raise RefusedError(422, told)
    fresh = {**row.scores, **scores}
    connection.execute(update(screening).where(screening.c.id == row.id).values(scores=fresh))
    audit.append(connection, actor, "scored", f"candidate {candidate}", {"criteria": sorted(scores)})


def score_rankings(connection: Connection, candidate: str, batch: str, actor: int) -> None:
    """Score a candidate's rankings by the gold items of a batch: the share of pairs ordered as researchers did."""
    row = _open(connection, candidate)
    rows = book.of_labeler(connection, batches.found(connection, batch).id, row.person)
    found = gold.gate(rows)
    if "share" not in found:
        raise RefusedError(409, "the candidate has ranked no item with a known answer in this batch")
    score(connection, candidate, {"ranking": round(found["share"], 4)}, actor)


def score_flags(connection: Connection, candidate: str, batch: str, actor: int) -> None:
    """Score a candidate's flagging by what leads said of the same outputs in a batch; see `same_flags`."""
    row = _open(connection, candidate)
    number = batches.found(connection, batch).id
    mine = book.of_labeler(connection, number, row.person)
    leads = connection.execute(select(person.c.id).where(person.c.role == "lead", person.c.id != row.person)).scalars()
    share = same_flags(mine, [one for lead in leads for one in book.of_labeler(connection, number, lead)])
    if share is None:
        raise RefusedError(409, "no lead has judged what the candidate has judged in this batch; do some of it first")
    score(connection, candidate, {"flagging": round(share, 4)}, actor)


def same_flags(mine: Sequence[Judged], theirs: Sequence[Judged]) -> float | None:
    """The share of outputs that are sensitive or not for a candidate as they are for most leads; None without any.

    Where leads are of two minds half and half, an output says nothing.
    """
    votes: dict[tuple[int, int], list[bool]] = defaultdict(list)
    for row in theirs:
        for place, flags in enumerate(row.flags):
            votes[row.item, place].append(_sensitive(flags))
    same = [
        _sensitive(flags) == (2 * sum(said) > len(said))
        for row in mine
        for place, flags in enumerate(row.flags)
        if (said := votes.get((row.item, place))) and 2 * sum(said) != len(said)
    ]
    return sum(same) / len(same) if same else None


def _sensitive(flags: Mapping[str, bool | None]) -> bool:
    return any(flags.get(name) for name in SENSITIVE)


# -- what a candidate wrote ----------------------------------------------------------------------------------------


def writings(connection: Connection, candidate: str) -> list[dict[str, Any]]:
    """The demonstrations of an open candidate as they were last handed in: item, messages, response; no name."""
    row = _open(connection, candidate)
    last = select(answer.c.view, func.max(answer.c.revision).label("revision")).group_by(answer.c.view).subquery()
    rows = connection.execute(
        select(item.c.id, item.c.prompt, answer.c.document)
        .join(answer, answer.c.item == item.c.id)
        .join(last, (last.c.view == answer.c.view) & (last.c.revision == answer.c.revision))
        .where(answer.c.labeler == row.person, item.c.kind == "demonstrate", item.c.state != "quarantined")
        .order_by(item.c.id)
    )
    return [{"item": one.id, "messages": one.prompt["messages"], "response": one.document["response"]} for one in rows]


def rate(connection: Connection, candidate: str, number: int, rating: int, actor: int) -> None:
    """One lead's rating, 1 to 7, of one thing that a candidate wrote; the score is the mean of all ratings."""
    if all(one["item"] != number for one in writings(connection, candidate)):
        raise RefusedError(404, phrase("the candidate has written nothing for item %(number)s", number=number))
    if not 1 <= rating <= 7:
        raise RefusedError(422, "rating: a whole number from 1 to 7")
    row = _open(connection, candidate)
    ratings = {key: dict(value) for key, value in row.ratings.items()}
    ratings.setdefault(str(number), {})[str(actor)] = rating
    given = [value for of_item in ratings.values() for value in of_item.values()]
    connection.execute(update(screening).where(screening.c.id == row.id).values(ratings=ratings))
    score(connection, candidate, {"demonstration": round(sum(given) / len(given), 4)}, actor)


# -- the candidate's side ------------------------------------------------------------------------------------------


def candidate_of(connection: Connection, number: int) -> Any:
    """The row of somebody's own open candidacy, or None."""
    return connection.execute(
        select(screening).where(screening.c.person == number, screening.c.decision == "open")
    ).first()


def tell_topics(connection: Connection, number: int, topics: str) -> None:
    """What a candidate says they can judge (the paper's fourth criterion), in their own words."""
    row = candidate_of(connection, number)
    if row is None:
        raise RefusedError(404, "you are not being screened; there is nothing to fill in")
    topics = topics.strip()
    if not 1 <= len(topics) <= 5000 or "\0" in topics:
        raise RefusedError(422, "topics: 1 to 5,000 characters")
    fresh = {**row.scores, "topics": topics}
    connection.execute(update(screening).where(screening.c.id == row.id).values(scores=fresh))


def codes(connection: Connection) -> dict[str, str]:
    """What open candidates are called on pages that name labelers: name -> "candidate" and the code's beginning."""
    rows = connection.execute(
        select(person.c.name, screening.c.candidate)
        .join(screening, screening.c.person == person.c.id)
        .where(screening.c.decision == "open")
    )
    return {row.name: f"candidate {row.candidate[:6]}" for row in rows}


def decide(connection: Connection, candidate: str, decision: str, actor: int) -> None:
    """Take or decline a candidate; the log keeps scores and gates as they were."""
    row = _open(connection, candidate)
    if decision not in ("taken", "declined"):
        raise RefusedError(422, "decision: taken or declined")
    connection.execute(update(screening).where(screening.c.id == row.id).values(decision=decision))
    known = {
        "decision": decision,
        "scores": row.scores,
        "gates": gates(row.scores, row.cutoffs),
        "cutoffs": row.cutoffs,
    }
    audit.append(connection, actor, "decided", f"candidate {candidate}", known)


def _open(connection: Connection, candidate: str) -> Any:
    row = connection.execute(select(screening).where(screening.c.candidate == candidate)).first()
    if row is None or row.decision != "open":
        raise RefusedError(404, "there is no open candidate of this code")
    return row
