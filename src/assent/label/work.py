"""The labeler's screens as JSON: claim, draft, submit, skip, revise. No name of a model passes through here."""

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from sqlalchemy import Connection, Integer, String, bindparam, select

from assent.label import access, render, schema
from assent.label.store import answers, slots
from assent.label.store.database import Database
from assent.label.store.slots import Worker
from assent.label.store.tables import answer, batch, draft, item, view

router = APIRouter(prefix="/work")
ACCESS = {
    "POST /work/claim": access.LABELERS,
    "GET /work/{slot}": access.LABELERS,
    "PUT /work/{slot}/draft": access.LABELERS,
    "POST /work/{slot}/submit": access.LABELERS,
    "POST /work/{slot}/skip": access.LABELERS,
    "POST /work/{slot}/revise": access.LABELERS,
}


class Draft(BaseModel):
    """A draft, and the version that it was made from (0: none)."""

    document: dict[str, Any]
    version: int = Field(ge=0)


class Submission(BaseModel):
    """An answer under a key that the browser made for it."""

    key: str = Field(min_length=8, max_length=64)
    document: dict[str, Any]


class Skip(BaseModel):
    """A task given back."""

    key: str = Field(min_length=8, max_length=64)
    reason: str
    note: str = Field(default="", max_length=schema.MAX_NOTE)


def worker(request: Request) -> Worker:
    """The labeler of a request."""
    one = access.person(request)
    return Worker(one.id, one.team, request.app.state.settings.lease)


@router.post("/claim")
def claim(request: Request) -> dict[str, Any]:
    """The task to work on; or null, and how many places are free that others are just being put on."""
    database: Database = request.app.state.database
    who = worker(request)

    def both(connection: Connection) -> tuple[Any, int]:
        identity = slots.claimed(connection, who)
        return (None, slots.left(connection, who)) if identity is None else (rows(connection, who, identity), 0)

    found, left = database.transact(both)
    return {"task": None, "left": left} if found is None else {"task": shown(who, found)}


@router.get("/{slot}")
def get(request: Request, slot: str) -> dict[str, Any]:
    """A task of one's own."""
    database: Database = request.app.state.database
    who = worker(request)
    with database.read() as connection:
        found = rows(connection, who, slot)
    return shown(who, found)


@router.put("/{slot}/draft")
def put_draft(request: Request, slot: str, given: Draft) -> dict[str, int]:
    """Keep a draft; 409 with the newer one when another window has written since."""
    database: Database = request.app.state.database
    return {"version": slots.keep_draft(database, worker(request), slot, given.document, given.version)}


@router.post("/{slot}/submit")
def submit(request: Request, slot: str, given: Submission) -> dict[str, Any]:
    """Hand an answer in; the same key again has the same answer."""
    database: Database = request.app.state.database
    return answers.submit(database, worker(request), slot, given.key, given.document)


@router.post("/{slot}/skip")
def skip(request: Request, slot: str, given: Skip) -> dict[str, Any]:
    """Give a task back."""
    database: Database = request.app.state.database
    return answers.skip(database, worker(request), slot, given.key, given.reason, given.note)


@router.post("/{slot}/revise")
def revise(request: Request, slot: str, given: Submission) -> dict[str, Any]:
    """Change an answer, until the batch is frozen."""
    database: Database = request.app.state.database
    return answers.revise(database, worker(request), slot, given.key, given.document)


def task(connection: Connection, who: Worker, identity: str) -> dict[str, Any]:
    """What a labeler sees of a task: texts, questions, their own draft; nobody else's work and no origin."""
    return shown(who, rows(connection, who, identity))


@dataclass(frozen=True)
class Rows:
    """What is read of a task: its row, and the document to begin with, with its version."""

    row: Any
    document: dict[str, Any] | None
    version: int


_TASK = (
    select(view.c.id, view.c.shown, view.c.state, item.c.kind, item.c.mode, item.c.stratum, item.c.prompt)
    .add_columns(item.c.responses, batch.c.state.label("batch_state"), batch.c.guideline)
    .add_columns(draft.c.version, draft.c.document)
    .join(item, item.c.id == view.c.item)
    .join(batch, batch.c.id == view.c.batch)
    .outerjoin(draft, draft.c.view == view.c.id)
    .where(view.c.id == bindparam("the_view", type_=String), view.c.labeler == bindparam("me", type_=Integer))
)
_LATEST = (
    select(answer.c.document)
    .where(answer.c.view == bindparam("the_view", type_=String))
    .order_by(answer.c.revision.desc())
    .limit(1)
)


def rows(connection: Connection, who: Worker, identity: str) -> Rows:
    """Read a task of one's own: with the draft while it is open, and later with what was handed in last."""
    row = connection.execute(_TASK, {"the_view": identity, "me": who.id}).first()
    if row is None:
        raise slots.absent()
    if row.state == "open":
        return Rows(row, row.document, row.version or 0)
    return Rows(row, connection.execute(_LATEST, {"the_view": identity}).scalar_one_or_none(), 0)


def shown(who: Worker, found: Rows) -> dict[str, Any]:
    """A task as it is shown; texts are made into pages here, when no transaction waits for it."""
    row, document = found.row, found.document
    responses = [(key, str(row.responses[place]["text"])) for key, place in row.shown]
    state = "open" if row.state == "open" else "submitted"
    return {
        "slot": row.id,
        "kind": row.kind,
        "mode": row.mode,
        "prompt": {
            "messages": [
                {"role": one["role"], "content": one["content"], "html": render.html(one["content"])}
                for one in row.prompt["messages"]
            ]
        },
        "responses": [{"key": key, "text": text, "html": render.html(text)} for key, text in responses],
        "questions": schema.questions(schema.asked_by(document) or schema.VERSION),
        "guideline": {"version": row.guideline},
        "draft": document,
        "draft_version": found.version,
        "lease_seconds": int(who.lease),
        "practice": row.stratum == "practice",
        "state": "frozen" if row.batch_state == "frozen" else state,
    }
