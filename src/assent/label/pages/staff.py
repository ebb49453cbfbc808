"""Choosing labelers, and asking who they are: the lead's pages have codes and counts, never a name; a candidate's own
page says what is looked at, and the survey keeps nothing of who answered."""

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request, Response
from pydantic import BaseModel, ConfigDict

from assent.label import access, render, screening, survey
from assent.label.pages import page, see, sentence
from assent.label.phrases import phrase
from assent.label.store import batches
from assent.label.store.database import Database
from assent.label.store.slots import RefusedError

router = APIRouter(include_in_schema=False)
ACCESS = {
    "GET /lead/candidates": access.READERS,
    "GET /lead/candidates/{candidate}": access.READERS,
    "POST /lead/candidates/{candidate}/batch": access.LEADS,
    "POST /lead/candidates/{candidate}/writing/{number}": access.LEADS,
    "POST /lead/candidates/{candidate}/decision": access.LEADS,
    "POST /admin/people/{number}/propose": access.ADMINS,
    "GET /screening": access.LABELERS,
    "POST /screening": access.LABELERS,
    "GET /lead/survey": access.READERS,
    "GET /survey": access.LABELERS,
    "POST /survey": access.LABELERS,
}
CRITERIA = {
    "flagging": phrase("Flags sensitive outputs as leads do"),
    "ranking": phrase("Ranks as the known answers do"),
    "demonstration": phrase("Writes well about what is sensitive"),
}


class Choices(BaseModel):
    """Choices of a form by question, whatever they are; the survey knows its own."""

    model_config = ConfigDict(extra="allow")


def _database(request: Request) -> Database:
    return request.app.state.database


# -- screening, for leads ------------------------------------------------------------------------------------------


@router.get("/lead/candidates")
def candidates(request: Request) -> Response:
    """Everybody who is or was screened, by code."""
    with _database(request).read() as connection:
        rows = screening.candidates(connection)
    return page(request, "lead_candidates.html.j2", rows=rows, criteria=CRITERIA, cutoffs=screening.CUTOFFS)


@router.get("/lead/candidates/{candidate}")
def candidate(request: Request, candidate: str) -> Response:
    """One candidate: the four criteria, what they wrote, the decision."""
    return _candidate(request, candidate, "", 200)


def _candidate(request: Request, candidate: str, fault: str, status: int) -> Response:
    with _database(request).read() as connection:
        one = next((row for row in screening.candidates(connection) if row["candidate"] == candidate), None)
        if one is None:
            raise RefusedError(404, "there is no candidate of this code")
        written = screening.writings(connection, candidate) if one["decision"] == "open" else []
        names = batches.names(connection)
    me = str(request.state.person.id)
    shown = [
        {
            "item": row["item"],
            "messages": [{**said, "html": render.html(said["content"])} for said in row["messages"]],
            "html": render.html(row["response"]),
            "mine": one["ratings"].get(str(row["item"]), {}).get(me),
        }
        for row in written
    ]
    values: dict[str, Any] = {"one": one, "written": shown, "names": names, "fault": fault}
    cutoffs = screening.CUTOFFS[one["cutoffs"]]
    return page(request, "lead_candidate.html.j2", status, **values, criteria=CRITERIA, cutoffs=cutoffs)


@router.post("/lead/candidates/{candidate}/batch")
def score_batch(
    request: Request, candidate: str, batch: Annotated[str, Form()], what: Annotated[str, Form()]
) -> Response:
    """Score flags (by leads' answers) or rankings (by known answers) of a batch, or say why it cannot be done."""
    actor = access.person(request).id
    ways = {"flagging": screening.score_flags, "ranking": screening.score_rankings}
    if what not in ways:
        raise RefusedError(422, "what: flagging or ranking")
    try:
        _database(request).transact(lambda connection: ways[what](connection, candidate, batch, actor))
    except RefusedError as error:
        if error.status != 409:
            raise
        return _candidate(request, candidate, sentence(request, error.sentence), 409)
    return see(f"/lead/candidates/{candidate}")


@router.post("/lead/candidates/{candidate}/writing/{number}")
def rate(request: Request, candidate: str, number: int, rating: Annotated[int, Form()]) -> Response:
    """Rate one thing that a candidate wrote."""
    actor = access.person(request).id
    _database(request).transact(lambda connection: screening.rate(connection, candidate, number, rating, actor))
    return see(f"/lead/candidates/{candidate}#item-{number}")


@router.post("/lead/candidates/{candidate}/decision")
def decide(request: Request, candidate: str, decision: Annotated[str, Form()]) -> Response:
    """Take or decline a candidate."""
    actor = access.person(request).id
    _database(request).transact(lambda connection: screening.decide(connection, candidate, decision, actor))
    return see("/lead/candidates")


@router.post("/admin/people/{number}/propose")
def propose(request: Request, number: int) -> Response:
    """Make a labeler a candidate; who knows the name sees no score."""
    actor = access.person(request).id
    _database(request).transact(lambda connection: screening.propose(connection, number, actor))
    return see("/admin")


# -- for labelers --------------------------------------------------------------------------------------------------


@router.get("/screening")
def screened(request: Request) -> Response:
    """What is looked at when somebody is screened, and the one question that they answer themselves."""
    with _database(request).read() as connection:
        row = screening.candidate_of(connection, access.person(request).id)
    topics = None if row is None else str(row.scores.get("topics", ""))
    cutoffs = screening.CUTOFFS[screening.VERSION]
    return page(request, "screening.html.j2", topics=topics, criteria=CRITERIA, cutoffs=cutoffs)


@router.post("/screening")
def tell_topics(request: Request, topics: Annotated[str, Form(max_length=6000)]) -> Response:
    """Say which topics and groups one can judge."""
    number = access.person(request).id
    _database(request).transact(lambda connection: screening.tell_topics(connection, number, topics))
    return see("/screening")


@router.get("/survey")
def survey_form(request: Request, told: str = "") -> Response:
    """The voluntary survey, or thanks."""
    with _database(request).read() as connection:
        done = told == "done" or survey.answered(connection, access.person(request).id)
    return _survey(request, "", done, 200)


def _survey(request: Request, fault: str, done: bool, status: int) -> Response:
    values = {"questions": survey.QUESTIONS, "fewest": survey.FEWEST, "fault": fault, "done": done}
    return page(request, "survey.html.j2", status, **values)


@router.post("/survey")
def survey_answer(request: Request, given: Annotated[Choices, Form()]) -> Response:
    """Keep what was answered, and apart from it that somebody has."""
    number = access.person(request).id
    answers = {name: str(value) for name, value in (given.model_extra or {}).items() if value}
    try:
        _database(request).transact(lambda connection: survey.add(connection, answers, number))
    except RefusedError as error:
        return _survey(request, sentence(request, error.sentence), False, error.status)
    return see("/survey?told=done")


@router.get("/lead/survey")
def survey_results(request: Request) -> Response:
    """Counts, without those from which a person could be made out."""
    with _database(request).read() as connection:
        found = survey.results(connection)
    return page(request, "lead_survey.html.j2", found=found, fewest=survey.FEWEST)
