"""The labeler's pages: tasks, one task, guidelines, one's own work."""

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from assent.label import access, render, schema, screening, work
from assent.label.pages import facts, page, reading, see
from assent.label.phrases import phrase
from assent.label.store import calibration, slots
from assent.label.store.database import Database

router = APIRouter(include_in_schema=False)
ACCESS = {
    "GET /": access.EVERYBODY,
    "GET /tasks": access.LABELERS,
    "POST /tasks/next": access.LABELERS,
    "GET /task/{slot}": access.LABELERS,
    "GET /practice/{slot}": access.LABELERS,
    "GET /calibration/{slot}": access.LABELERS,
    "POST /calibration/{slot}": access.LABELERS,
    "GET /guidelines": access.EVERYBODY,
    "GET /guidelines/{version}": access.EVERYBODY,
    "GET /history": access.LABELERS,
    "POST /preview": access.LABELERS,
}
HOMES = {"labeler": "/tasks", "lead": "/lead", "researcher": "/lead", "admin": "/admin"}
SHOWN = 200  # of one's own work


class Text(BaseModel):
    """A text that is being written."""

    text: str = Field(max_length=schema.MAX_TEXT)


@router.get("/")
def home(request: Request) -> Response:
    """Where one's work begins."""
    one = access.person(request)
    return see("/account" if access.needs_code(request, one) else HOMES[one.role])


@router.get("/tasks")
def tasks(request: Request) -> Response:
    """What waits, and what was begun."""
    database: Database = request.app.state.database
    with database.read() as connection:
        shown = reading.desk(connection, work.worker(request))
        screened = screening.candidate_of(connection, access.person(request).id) is not None
    return page(request, "tasks.html.j2", **shown, screened=screened)


@router.post("/tasks/next")
def claim(request: Request) -> Response:
    """The next task, or back to where one sees that there is none."""
    database: Database = request.app.state.database
    identity, _ = slots.claim(database, work.worker(request))
    return see("/tasks" if identity is None else f"/task/{identity}")


@router.get("/task/{slot}")
def task(request: Request, slot: str) -> Response:
    """One task of one's own: to rank, to write, or to review what somebody wrote."""
    database: Database = request.app.state.database
    with database.read() as connection:
        shown = work.task(connection, work.worker(request), slot)
    name = "write.html.j2" if shown["kind"] == "demonstrate" else "task.html.j2"
    return page(request, name, task=shown, facts=facts(shown))


@router.get("/practice/{slot}")
def practice(request: Request, slot: str) -> Response:
    """A practice item of one's own, done, beside how it was meant."""
    database: Database = request.app.state.database
    with database.read() as connection:
        shown = reading.practice(connection, work.worker(request), slot)
    return page(request, "practice.html.j2", **shown)


@router.get("/calibration/{slot}")
def compare(request: Request, slot: str) -> Response:
    """An item that one has handed in beside what others said of it, once one has said that one wants to see it."""
    database: Database = request.app.state.database
    with database.read() as connection:
        found = calibration.shown(connection, work.worker(request), slot)
    return page(request, "calibration.html.j2", slot=slot, **reading.compared(found))


@router.post("/calibration/{slot}")
def look(request: Request, slot: str) -> Response:
    """Look at what others said; no answer to the item is revised from then on."""
    database: Database = request.app.state.database
    calibration.look(database, work.worker(request), slot)
    return see(f"/calibration/{slot}")


@router.get("/guidelines")
def guidelines(request: Request) -> Response:
    """The guideline in force."""
    return _guideline(request, "")


@router.get("/guidelines/{version}")
def guideline(request: Request, version: str) -> Response:
    """A version of the guidelines."""
    return _guideline(request, version)


def _guideline(request: Request, version: str) -> Response:
    database: Database = request.app.state.database
    with database.read() as connection:
        known = reading.guidelines(connection)
    chosen = next((one for one in known if one[0] == version or not version), None)
    if chosen is None:
        raise slots.RefusedError(404, phrase("there is no version %(version)s of the guidelines", version=version))
    versions = [(name, at) for name, _, at in known]
    return page(request, "guidelines.html.j2", version=chosen[0], text=chosen[1], at=chosen[2], versions=versions)


@router.get("/history")
def history(request: Request) -> Response:
    """One's own work."""
    database: Database = request.app.state.database
    with database.read() as connection:
        return page(request, "history.html.j2", rows=reading.history(connection, work.worker(request), SHOWN))


@router.post("/preview")
def preview(given: Text) -> dict[str, str]:
    """A text as others will see it."""
    return {"html": render.html(given.text)}
