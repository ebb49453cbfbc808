"""The API for programs: import, export, status. By key and scope; a cookie is never looked at here."""

import json
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from pydantic import BaseModel, Field

from assent.label import access, accounts, keys, manage
from assent.label.planning import Plan
from assent.label.store import batches, guidelines, importing, said
from assent.label.store.database import Database
from assent.label.store.importing import Source
from assent.label.store.slots import RefusedError

router = APIRouter(prefix="/api/v1")
ACCESS = {
    "GET /api/v1/batches": access.KEYS,
    "GET /api/v1/batches/{name}": access.KEYS,
    "PUT /api/v1/batches/{name}": access.KEYS,
    "POST /api/v1/batches/{name}/freeze": access.KEYS,
    "GET /api/v1/batches/{name}/export/{file}": access.KEYS,
    "PUT /api/v1/guidelines/{version}": access.KEYS,
    "POST /api/v1/invites": access.KEYS,
}


class NewBatch(BaseModel):
    """A batch: the guideline's version, a plan (see `planning.Plan`), records as in Assent's files."""

    guideline: str
    plan: dict[str, Any] = {}
    records: str = Field(description="JSONL: prompts, samples, and rankings as gold")
    scores: dict[str, float] | None = None
    practice: int = Field(default=0, ge=0, le=100)
    meant: list[dict[str, Any]] = Field(default=[], max_length=100)


class Guideline(BaseModel):
    """The text of a version of the guidelines."""

    text: str = Field(min_length=1, max_length=200_000)


class Invite(BaseModel):
    """A labeler to come, and of which team."""

    team: str = "train"


class Invited(BaseModel):
    """What an invitation is accepted with."""

    token: str


def scope(name: str) -> Callable[[Request], str]:
    """A dependency: the name of the key, if it has the scope."""

    def check(request: Request) -> str:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        found = None
        if kind.lower() == "bearer" and token:
            database: Database = request.app.state.database
            with database.read() as connection:
                found = keys.scopes_of(connection, token.strip())
        if found is None:
            raise HTTPException(401, "a key is needed: Authorization: Bearer ...", {"WWW-Authenticate": "Bearer"})
        if name not in found[2]:
            raise HTTPException(403, f"this key lacks the scope {name!r}")
        return found[1]

    return check


Importing = Annotated[str, Depends(scope("import"))]
Exporting = Annotated[str, Depends(scope("export"))]
Asking = Annotated[str, Depends(scope("status"))]
Inviting = Annotated[str, Depends(scope("people"))]


@router.get("/batches")
def list_batches(request: Request, key: Asking) -> list[dict[str, Any]]:
    """Where every batch stands."""
    with request.app.state.database.read() as connection:
        return batches.status(connection)


@router.get("/batches/{name}")
def get_batch(request: Request, name: str, key: Asking) -> dict[str, Any]:
    """Where a batch stands."""
    with request.app.state.database.read() as connection:
        return batches.status(connection, name)[0]


@router.put("/batches/{name}")
def put_batch(request: Request, name: str, given: NewBatch, key: Importing) -> dict[str, Any]:
    """Make a batch, all or nothing; the same again changes nothing."""
    work = importing.parse(given.records.encode(errors="surrogatepass").splitlines(), "records")
    try:
        plan = Plan.of(given.plan)
    except ValueError as error:
        raise RefusedError(422, said.known(error)) from None
    explained = manage.meant_of([json.dumps(one) for one in given.meant], "meant")
    source = Source(work=tuple(work), scores=given.scores, practice=given.practice, meant=explained)
    return manage.put(request, name, source, plan, given.guideline, None)


@router.post("/batches/{name}/freeze", status_code=204)
def freeze(request: Request, name: str, key: Importing) -> None:
    """Close a batch for good."""
    batches.freeze(request.app.state.database, name, None)


@router.get("/batches/{name}/export/{file}")
def export(request: Request, name: str, file: str, key: Exporting, floor: manage.Floor = 0.0) -> Response:
    """A file of a batch's export: manifest.json names them all.

    floor: demonstrations are left out that other labelers rated lower on average, or not at all.
    """
    return manage.export_file(request, name, file, None, floor)


@router.put("/guidelines/{version}", status_code=204)
def put_guideline(request: Request, version: str, given: Guideline, key: Importing) -> None:
    """Write a version of the guidelines; the same again changes nothing."""
    checked = manage.NewGuideline(version=version, text=given.text)
    guidelines.add(request.app.state.database, checked.version, checked.text, None)


@router.post("/invites")
def invite(request: Request, given: Invite, key: Inviting) -> Invited:
    """Invite a labeler; programs cannot invite anybody else."""
    database: Database = request.app.state.database
    return Invited(
        token=database.transact(lambda connection: accounts.make_invite(connection, "labeler", given.team, None))
    )
