"""JSON for choosing labelers and for the voluntary survey."""

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel

from assent.label import access, screening, survey
from assent.label.store.database import Database

router = APIRouter()
ACCESS = {
    "GET /manage/candidates": access.READERS,
    "POST /manage/candidates": access.ADMINS,
    "POST /manage/candidates/{candidate}/scores": access.READERS,
    "POST /manage/candidates/{candidate}/rankings": access.READERS,
    "POST /manage/candidates/{candidate}/flags": access.READERS,
    "POST /manage/candidates/{candidate}/decision": access.LEADS,
    "GET /manage/survey": access.READERS,
    "GET /work-survey": access.LABELERS,
    "POST /work-survey": access.LABELERS,
}


class Proposal(BaseModel):
    """Who is a candidate."""

    person: int


class Scores(BaseModel):
    """What was found: flagging, ranking, demonstration, topics."""

    scores: dict[str, Any]


class OfBatch(BaseModel):
    """The batch in which a candidate has worked."""

    batch: str


class Choice(BaseModel):
    """taken or declined."""

    decision: str


class Answers(BaseModel):
    """Choices by question."""

    answers: dict[str, str]


def _database(request: Request) -> Database:
    return request.app.state.database


@router.get("/manage/candidates")
def list_candidates(request: Request) -> list[dict[str, Any]]:
    """All candidates by code."""
    with _database(request).read() as connection:
        rows = screening.candidates(connection)
    return [{name: value for name, value in row.items() if name != "ratings"} for row in rows]


@router.post("/manage/candidates", status_code=204)
def propose(request: Request, given: Proposal) -> None:
    """Make a labeler a candidate: the admin, who knows the names, does not see the scores."""
    actor = access.person(request).id
    _database(request).transact(lambda connection: screening.propose(connection, given.person, actor))


@router.post("/manage/candidates/{candidate}/scores", status_code=204)
def score(request: Request, candidate: str, given: Scores) -> None:
    """Note what was found of a candidate."""
    actor = access.person(request).id
    _database(request).transact(lambda connection: screening.score(connection, candidate, given.scores, actor))


@router.post("/manage/candidates/{candidate}/rankings", status_code=204)
def score_rankings(request: Request, candidate: str, given: OfBatch) -> None:
    """Score a candidate's rankings by a batch's gold items."""
    actor = access.person(request).id
    _database(request).transact(lambda connection: screening.score_rankings(connection, candidate, given.batch, actor))


@router.post("/manage/candidates/{candidate}/flags", status_code=204)
def score_flags(request: Request, candidate: str, given: OfBatch) -> None:
    """Score a candidate's flags by what leads said of the same outputs in a batch."""
    actor = access.person(request).id
    _database(request).transact(lambda connection: screening.score_flags(connection, candidate, given.batch, actor))


@router.post("/manage/candidates/{candidate}/decision", status_code=204)
def decide(request: Request, candidate: str, given: Choice) -> None:
    """Take or decline a candidate."""
    actor = access.person(request).id
    _database(request).transact(lambda connection: screening.decide(connection, candidate, given.decision, actor))


@router.get("/manage/survey")
def results(request: Request) -> dict[str, Any]:
    """Counts of the survey, without those from which a person could be made out."""
    with _database(request).read() as connection:
        return survey.results(connection)


@router.get("/work-survey")
def questions(request: Request) -> dict[str, Any]:
    """The questions of the survey; every one may be left out."""
    return {name: {"text": text, "choices": choices} for name, (text, choices) in survey.QUESTIONS.items()}


@router.post("/work-survey", status_code=204)
def answer(request: Request, given: Answers) -> None:
    """Answer the survey, once; nothing is kept of who said what."""
    number = access.person(request).id
    _database(request).transact(lambda connection: survey.add(connection, given.answers, number))
