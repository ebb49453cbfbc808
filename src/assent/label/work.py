"""The labeler's screens as JSON: claim, draft, submit, skip, revise. No name of a model passes through here."""

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from sqlalchemy import Connection, select

from assent.label import access, render, schema
from assent.label.store import answers, slots
from assent.label.store.database import Database
from assent.label.store.slots import Worker
from assent.label.store.tables import answer, batch, draft, item

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
    """The task to work on, or null, and how many are left."""
    database: Database = request.app.state.database
    who = worker(request)
    identity, left = slots.claim(database, who)
    if identity is None:
        return {"task": None, "left": left}
    with database.read() as connection:
        return {"task": task(connection, who, identity), "left": left}


@router.get("/{slot}")
def get(request: Request, slot: str) -> dict[str, Any]:
    """A task of one's own."""
    database: Database = request.app.state.database
    with database.read() as connection:
        return task(connection, worker(request), slot)


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
    row = slots.owned(connection, who, identity)
    facts = connection.execute(
        select(item, batch.c.state.label("batch_state"), batch.c.guideline)
        .join(batch, batch.c.id == item.c.batch)
        .where(item.c.id == row.item)
    ).one()
    document, version = _document(connection, row)
    responses = [(key, str(facts.responses[place]["text"])) for key, place in row.shown]
    state = "open" if row.state == "open" else "submitted"
    return {
        "slot": row.id,
        "kind": facts.kind,
        "mode": facts.mode,
        "prompt": {
            "messages": [
                {"role": one["role"], "content": one["content"], "html": render.html(one["content"])}
                for one in facts.prompt["messages"]
            ]
        },
        "responses": [{"key": key, "text": text, "html": render.html(text)} for key, text in responses],
        "questions": schema.questions(schema.asked_by(document) or schema.VERSION),
        "guideline": {"version": facts.guideline},
        "draft": document,
        "draft_version": version,
        "lease_seconds": int(who.lease),
        "practice": facts.stratum == "practice",
        "state": "frozen" if facts.batch_state == "frozen" else state,
    }


def _document(connection: Connection, row: Any) -> tuple[dict[str, Any] | None, int]:
    """The draft of an open task, or what was handed in last."""
    if row.state == "open":
        kept = connection.execute(select(draft).where(draft.c.view == row.id)).first()
        return (None, 0) if kept is None else (kept.document, kept.version)
    latest = connection.execute(
        select(answer.c.document).where(answer.c.view == row.id).order_by(answer.c.revision.desc()).limit(1)
    ).scalar_one_or_none()
    return latest, 0
