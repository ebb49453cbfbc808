"""Choosing labelers by the paper's four criteria (appendix B.1), on a view that does not say who is who.

Candidates have codes. Flagging and ranking are agreement with researchers, shares from 0 to 1; demonstration is the
mean of researchers' ratings from 1 to 7; topics are what a candidate says they can judge. The cut-offs are soft, as in
the paper: a lead decides, and the log keeps what was known.
"""

import secrets
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, insert, select, update

from assent.label import book, quality
from assent.label.store import audit, batches
from assent.label.store.slots import RefusedError
from assent.label.store.tables import person, screening

CUTOFFS: dict[str, dict[str, float]] = {"paper-1": {"flagging": 0.75, "ranking": 0.75, "demonstration": 6.0}}
VERSION = "paper-1"
RANGES = {"flagging": (0.0, 1.0), "ranking": (0.0, 1.0), "demonstration": (1.0, 7.0)}


def propose(connection: Connection, number: int, actor: int) -> None:
    """Make somebody a candidate; nobody is told the code."""
    if connection.execute(select(person.c.id).where(person.c.id == number, person.c.role == "labeler")).first() is None:
        raise RefusedError(404, f"there is no labeler {number}")
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
            raise RefusedError(
                422, f"{name}: flagging and ranking are 0 to 1, demonstration is 1 to 7, topics are words"
            )
    fresh = {**row.scores, **scores}
    connection.execute(update(screening).where(screening.c.id == row.id).values(scores=fresh))
    audit.append(connection, actor, "scored", f"candidate {candidate}", {"criteria": sorted(scores)})


def score_rankings(connection: Connection, candidate: str, batch: str, actor: int) -> None:
    """Score a candidate's rankings by the gold items of a batch: the share of pairs ordered as researchers did."""
    row = _open(connection, candidate)
    name = connection.execute(select(person.c.name).where(person.c.id == row.person)).scalar_one()
    rows = book.read(connection, batches.found(connection, batch).id).rows
    found = quality.gold_gate(one for one in rows if one.labeler == name)
    if "share" not in found:
        raise RefusedError(409, "the candidate has ranked no item with a known answer in this batch")
    score(connection, candidate, {"ranking": round(found["share"], 4)}, actor)


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
