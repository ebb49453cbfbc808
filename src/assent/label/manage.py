"""JSON for leads and admins: batches, guidelines, people, keys, the audit log."""

import json
from collections.abc import Iterable
from pathlib import PurePath
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Query, Request, Response, UploadFile
from pydantic import BaseModel, Field
from sqlalchemy import Connection, select

from assent.label import access, accounts, keys
from assent.label.phrases import phrase, unlisted
from assent.label.planning import Plan
from assent.label.store import audit, batches, exporting, guidelines, importing, known, outbox, said, tables
from assent.label.store.database import Database
from assent.label.store.importing import Source
from assent.label.store.meant import Meant, parse
from assent.label.store.slots import RefusedError

router = APIRouter(prefix="/manage")
ACCESS = {
    "GET /manage/batches": access.READERS,
    "POST /manage/batches": access.LEADS,
    "GET /manage/batches/{name}": access.READERS,
    "POST /manage/batches/{name}/freeze": access.LEADS,
    "GET /manage/batches/{name}/export/{file}": access.READERS,
    "POST /manage/items/{number}/release": access.LEADS,
    "POST /manage/items/{number}/decision": access.LEADS,
    "POST /manage/items/{number}/retire": access.LEADS,
    "GET /manage/batches/{name}/quality": access.READERS,
    "POST /manage/batches/{name}/repeat": access.LEADS,
    "GET /manage/guidelines": access.EVERYBODY,
    "POST /manage/guidelines": access.LEADS,
    "GET /manage/people": access.ADMINS,
    "POST /manage/people/{number}": access.ADMINS,
    "POST /manage/invites": access.ADMINS | access.LEADS,
    "GET /manage/audit": access.ADMINS,
    "GET /manage/keys": access.ADMINS,
    "POST /manage/keys": access.ADMINS,
    "DELETE /manage/keys/{number}": access.ADMINS,
}


Floor = Annotated[float, Query(ge=0, le=7)]


class NewGuideline(BaseModel):
    """A version of the guidelines, and its text in Markdown."""

    version: str = Field(pattern=r"^[\w.-]{1,50}$")
    text: str = Field(min_length=1, max_length=200_000)


class Decision(BaseModel):
    """keep or drop, and why."""

    decision: str
    note: str = Field(default="", max_length=10_000)


class Retirement(BaseModel):
    """From when on a known answer does not count, in seconds since 1970 (null: from now), and why."""

    since: float | None = Field(default=None, ge=0)
    note: str = Field(default="", max_length=10_000)


class Repeat(BaseModel):
    """Which share of the rankings is served again, and after how many days."""

    share: float = Field(default=0.025, gt=0, le=0.5)
    days: float = Field(default=7, ge=0, le=365)


class NewInvite(BaseModel):
    """Whom an invitation is for."""

    role: str = "labeler"
    team: str = "train"


class Change(BaseModel):
    """What becomes of a person."""

    role: str = ""
    state: str = ""


class NewKey(BaseModel):
    """A key for a program."""

    name: str = Field(min_length=1, max_length=100)
    scopes: list[str]


def _database(request: Request) -> Database:
    return request.app.state.database


@router.get("/batches")
def list_batches(request: Request) -> list[dict[str, Any]]:
    """All batches."""
    with _database(request).read() as connection:
        return batches.status(connection)


@router.get("/batches/{name}")
def get_batch(request: Request, name: str) -> dict[str, Any]:
    """One batch."""
    with _database(request).read() as connection:
        return batches.status(connection, name)[0]


@router.post("/batches")
def make_batch(
    request: Request,
    name: Annotated[str, Form()],
    guideline: Annotated[str, Form()],
    files: Annotated[list[UploadFile], File()],
    plan: Annotated[str, Form()] = "{}",
    practice: Annotated[int, Form(ge=0, le=100)] = 0,
    meant: Annotated[UploadFile | None, File()] = None,
) -> dict[str, Any]:
    """Import files of records as a batch; meant: lines that say how practice items are meant."""
    work = [one for file in files for one in importing.parse(file.file, PurePath(file.filename or "file").name)]
    explained = meant_of(meant.file if meant else (), "meant")
    source = Source(work=tuple(work), practice=practice, meant=explained)
    return put(request, name, source, plan_of(plan), guideline, access.person(request).id)


def put(request: Request, name: str, source: Source, plan: Plan, guideline: str, actor: int | None) -> dict[str, Any]:
    """Make a batch and say where it stands."""
    ids = [one.id for one in source.work]
    if len(set(ids)) != len(ids):
        raise RefusedError(422, "records: an id stands in two files; ids are unique in a batch")
    database = _database(request)
    importing.put(database, name, source, plan, guideline, actor)
    with database.read() as connection:
        return batches.status(connection, name)[0]


def meant_of(lines: Iterable[bytes | str], name: str) -> dict[str, Meant]:
    """How practice items are meant, from lines of JSON."""
    try:
        return parse(lines, name)
    except ValueError as error:
        raise RefusedError(422, said.known(error)) from None


def plan_of(text: str) -> Plan:
    """A plan from a form's JSON."""
    try:
        values = json.loads(text)
        if not isinstance(values, dict):
            raise ValueError(phrase("plan: a JSON object was expected"))
        return Plan.of(values)
    except ValueError as error:
        raise RefusedError(422, said.known(error)) from None


@router.post("/batches/{name}/freeze", status_code=204)
def freeze(request: Request, name: str) -> None:
    """Close a batch for good."""
    batches.freeze(_database(request), name, access.person(request).id)


@router.get("/batches/{name}/export/{file}")
def export(request: Request, name: str, file: str, floor: Floor = 0.0) -> Response:
    """A file of a batch's export; floor: without demonstrations that others rated lower on average, or not at all."""
    return export_file(request, name, file, access.person(request).id, floor)


def export_file(request: Request, name: str, file: str, actor: int | None, floor: float) -> Response:
    """A file of an export as a download."""
    with _database(request).snapshot() as connection:
        made = exporting.export(connection, name, request.app.state.settings.secret, floor)
    if file not in made.files:
        raise RefusedError(404, unlisted("file", file, made.files))
    if file != "manifest.json":
        _database(request).transact(lambda connection: exported(connection, name, file, actor))
    media = "application/json" if file.endswith(".json") else "application/x-ndjson"
    return Response(
        made.files[file], media_type=media, headers={"Content-Disposition": f'attachment; filename="{file}"'}
    )


def exported(connection: Connection, name: str, file: str, actor: int | None) -> None:
    """Note that a file of an export was taken out, and tell webhooks."""
    outbox.tell(connection, "export.made", {"batch": name, "file": file})
    audit.append(connection, actor, "exported", f"batch {name}", {"file": file})


@router.post("/items/{number}/release", status_code=204)
def release(request: Request, number: int) -> None:
    """Give a parked item back to the queue."""
    batches.release(_database(request), number, access.person(request).id)


@router.post("/items/{number}/decision", status_code=204)
def decide(request: Request, number: int, given: Decision) -> None:
    """Keep a doubtful item, or drop its answers from exports."""
    batches.decide(_database(request), number, access.person(request).id, given.decision, given.note)


@router.post("/items/{number}/retire")
def retire(request: Request, number: int, given: Retirement) -> dict[str, float]:
    """Take a known answer out of use; what was said of it stays."""
    return {"since": known.retire(_database(request), number, access.person(request).id, given.since, given.note)}


@router.get("/batches/{name}/quality")
def get_quality(request: Request, name: str) -> dict[str, Any]:
    """What the answers of a batch say about themselves; waits until the numbers are those of the batch as it stands."""
    return dict(request.app.state.measures.fresh(name))


@router.post("/batches/{name}/repeat")
def repeat(request: Request, name: str, given: Repeat) -> dict[str, int]:
    """Serve a share of the rankings again to those who made them."""
    lead = access.person(request).id
    return {"planned": batches.repeat(_database(request), name, given.share, given.days, lead)}


@router.get("/guidelines")
def list_guidelines(request: Request) -> list[dict[str, Any]]:
    """All versions of the guidelines, the newest first."""
    with _database(request).read() as connection:
        rows = connection.execute(select(tables.guideline).order_by(tables.guideline.c.created.desc()))
        return [{"version": row.version, "text": row.text, "created": row.created} for row in rows]


@router.post("/guidelines", status_code=204)
def add_guideline(request: Request, given: NewGuideline) -> None:
    """Write a new version of the guidelines."""
    guidelines.add(_database(request), given.version, given.text, access.person(request).id)


@router.get("/people")
def people(request: Request) -> list[dict[str, Any]]:
    """Everybody."""
    with _database(request).read() as connection:
        return accounts.people(connection)


@router.post("/people/{number}", status_code=204)
def change(request: Request, number: int, given: Change) -> None:
    """Change, disable or delete a person; all their sessions end."""
    actor = access.person(request).id
    _database(request).transact(
        lambda connection: accounts.change(connection, number, actor, role=given.role, state=given.state)
    )


@router.post("/invites")
def invite(request: Request, given: NewInvite) -> dict[str, str]:
    """Invite somebody; the link is told once. Leads invite labelers, admins anybody."""
    one = access.person(request)
    if one.role != "admin" and given.role != "labeler":
        raise RefusedError(403, "a lead invites labelers; other roles are for an admin to give")
    token = _database(request).transact(
        lambda connection: accounts.make_invite(connection, given.role, given.team, one.id)
    )
    return {"token": token, "path": f"/invite/{token}"}


@router.get("/audit")
def audit_log(request: Request, after: int = 0) -> list[dict[str, Any]]:
    """A hundred entries of the audit log."""
    with _database(request).read() as connection:
        rows = select(tables.audit).where(tables.audit.c.number > after).order_by(tables.audit.c.number).limit(100)
        return [dict(row) for row in connection.execute(rows).mappings()]


@router.get("/keys")
def list_keys(request: Request) -> list[dict[str, Any]]:
    """All keys of programs, without what opens them."""
    with _database(request).read() as connection:
        return keys.listed(connection)


@router.post("/keys")
def make_key(request: Request, given: NewKey) -> dict[str, str]:
    """Make a key; it is told once."""
    actor = access.person(request).id
    return {
        "key": _database(request).transact(lambda connection: keys.make(connection, given.name, given.scopes, actor))
    }


@router.delete("/keys/{number}", status_code=204)
def revoke_key(request: Request, number: int) -> None:
    """End a key."""
    actor = access.person(request).id
    _database(request).transact(lambda connection: keys.revoke(connection, number, actor))
