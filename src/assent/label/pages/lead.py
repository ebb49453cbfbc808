"""The lead's pages: where the work stands, whether to trust it, what needs a decision, what comes next."""

import json
from collections.abc import Mapping
from pathlib import PurePath
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Request, Response, UploadFile
from fastapi.concurrency import run_in_threadpool

from assent.label import access, accounts, doubts, manage
from assent.label.book import LATEST, latest
from assent.label.pages import page, reading, see, sentence
from assent.label.pages.quality import agreements
from assent.label.planning import Plan
from assent.label.store import batches, calibration, exporting, guidelines, importing, known, reviews, said
from assent.label.store.database import Database
from assent.label.store.importing import ImportRefusedError, Source
from assent.label.store.slots import RefusedError

router = APIRouter(prefix="/lead", include_in_schema=False)
ACCESS = {
    "GET /lead": access.READERS,
    "GET /lead/batches/new": access.LEADS,
    "POST /lead/batches/new": access.LEADS,
    "GET /lead/batches/{name}": access.READERS,
    "POST /lead/batches/{name}/freeze": access.LEADS,
    "POST /lead/batches/{name}/repeat": access.LEADS,
    "POST /lead/batches/{name}/calibration": access.LEADS,
    "GET /lead/adjudication": access.READERS,
    "GET /lead/items/{number}": access.READERS,
    "POST /lead/items/{number}/decision": access.LEADS,
    "POST /lead/items/{number}/release": access.LEADS,
    "POST /lead/items/{number}/retire": access.LEADS,
    "POST /lead/invite": access.LEADS,
    "POST /lead/guidelines": access.LEADS,
    "GET /lead/guidelines": access.LEADS,
}
APART = 20  # doubtful items of a batch that are put up


def _database(request: Request) -> Database:
    return request.app.state.database


@router.get("")
def overview(request: Request) -> Response:
    """All batches, and what waits for a decision."""
    return _overview(request, "")


def _overview(request: Request, invite: str) -> Response:
    with _database(request).read() as connection:
        rows = batches.status(connection)
        waiting = reading.set_aside_count(connection)
    return page(request, "lead.html.j2", batches=rows, waiting=waiting, invite=invite)


@router.post("/invite")
def invite(request: Request, team: Annotated[str, Form()] = "train") -> Response:
    """An invitation for a labeler; its link is shown once."""
    one = access.person(request)
    token = _database(request).transact(lambda connection: accounts.make_invite(connection, "labeler", team, one.id))
    return _overview(request, f"{str(request.base_url).rstrip('/')}/invite/{token}")


@router.get("/batches/new")
def new_batch(request: Request) -> Response:
    """The form of a new batch."""
    return _new_batch(request, {}, "")


def _new_batch(request: Request, given: Mapping[str, Any], fault: str, status: int = 200) -> Response:
    with _database(request).read() as connection:
        versions = [version for version, _, _ in reading.guidelines(connection)]
    return page(request, "lead_new.html.j2", status, given=given, fault=fault, versions=versions, plan=Plan())


@router.post("/batches/new")
async def make_batch(
    request: Request,
    name: Annotated[str, Form(max_length=100)],
    guideline: Annotated[str, Form(max_length=50)],
    files: Annotated[list[UploadFile], File()],
    practice: Annotated[int, Form(ge=0, le=100)] = 0,
    meant: Annotated[UploadFile | None, File()] = None,
) -> Response:
    """Import files of records as a batch, all or nothing; what was wrong is told beside the form."""
    form = dict(await request.form())

    def put() -> Response:  # not where all requests are received: a large import would hold them up
        try:
            plan = planned(form)
            work = [one for file in files for one in importing.parse(file.file, PurePath(file.filename or "file").name)]
            explained = manage.meant_of(meant.file if meant else (), "how practice items are meant")
            source = Source(work=tuple(work), practice=practice, meant=explained)
            manage.put(request, name, source, plan, guideline, access.person(request).id)
        except (RefusedError, ImportRefusedError, ValueError) as error:
            told = error.sentence if isinstance(error, RefusedError) else said.known(error)
            return _new_batch(request, {key: str(value) for key, value in form.items()}, sentence(request, told), 422)
        return see(f"/lead/batches/{name}")

    return await run_in_threadpool(put)


def planned(form: Mapping[str, Any]) -> Plan:
    """The plan of a form: shares are given in per cent. Raises ValueError that names the field."""
    values: dict[str, Any] = {"mode": str(form.get("mode", "plain"))}
    for name in ("overlap", "shared_overlap", "reviews", "limit", "seed"):
        values[name] = int(str(form.get(name) or getattr(Plan(), name)))
    for name in ("shared", "gold", "heldout", "uniform"):
        values[name] = float(str(form.get(name) or 100 * getattr(Plan(), name))) / 100
    return Plan.of(values)


@router.get("/batches/{name}")
def batch(request: Request, name: str) -> Response:
    """One batch: how far, how much its labelers agree, what to take out of it."""
    with _database(request).read() as connection:
        one = batches.status(connection, name)[0]
        row = batches.found(connection, name)
        looked = calibration.latest(connection, row.id)
    found, renewing = request.app.state.measures.known(name)
    return page(
        request,
        "lead_batch.html.j2",
        batch=one,
        plan=json.dumps(one["plan"], indent=1),
        found=found,
        renewing=renewing,
        comparing=row.calibration is not None,
        looked=looked,
        agreements=agreements(found["agreement"]) if found else [],
        files=("manifest.json", *exporting.FILES),
    )


@router.post("/batches/{name}/repeat")
def repeat(
    request: Request, name: str, share: Annotated[float, Form()] = 2.5, days: Annotated[float, Form()] = 7
) -> Response:
    """Serve some rankings again to those who made them; share is in per cent."""
    batches.repeat(_database(request), name, share / 100, days, access.person(request).id)
    return see(f"/lead/batches/{name}")


@router.post("/batches/{name}/calibration")
def calibrate(request: Request, name: str, on: Annotated[bool, Form()] = False) -> Response:
    """Let labelers compare what they have handed in, or no longer."""
    calibration.switch(_database(request), name, on, access.person(request).id)
    return see(f"/lead/batches/{name}")


@router.post("/batches/{name}/freeze")
def freeze(request: Request, name: str) -> Response:
    """Close a batch for good."""
    batches.freeze(_database(request), name, access.person(request).id)
    return see(f"/lead/batches/{name}")


@router.get("/adjudication")
def adjudication(request: Request) -> Response:
    """What was set aside, and where labelers, or most of them and a key, are far apart."""
    with _database(request).read() as connection:
        names = [one["name"] for one in batches.status(connection) if one["state"] == "open"]
        found: list[dict[str, Any]] = []
        each = LATEST // max(1, len(names))
        for name in names:
            number = batches.found(connection, name).id
            book = latest(connection, number, most=each)
            decided = doubts.decided(connection, number)
            found += doubts.queue(book, decided, APART)
            found += doubts.poor(reviews.of_batch(connection, number, each), decided, APART)
        apart = reading.items(connection, found)
        aside = reading.set_aside(connection)
    return page(request, "lead_adjudication.html.j2", aside=aside, apart=apart, latest=each)


@router.get("/items/{number}")
def item(request: Request, number: int) -> Response:
    """One item with what everybody said about it; no names of labelers or policies, so that only the texts count."""
    with _database(request).read() as connection:
        shown = reading.item_page(connection, number)
    found = request.app.state.measures.known(shown["batch"])[0] if shown["gold"] and not shown["retired"] else None
    evidence = next((one for one in (found["gold"] if found else []) if one["item"] == number), None)
    return page(request, "lead_item.html.j2", **shown, evidence=evidence)


@router.post("/items/{number}/decision")
def decide(
    request: Request,
    number: int,
    decision: Annotated[str, Form()],
    note: Annotated[str, Form(max_length=10_000)] = "",
) -> Response:
    """Keep an item, or drop its answers from exports; the answers themselves stay as they are."""
    batches.decide(_database(request), number, access.person(request).id, decision, note)
    return see("/lead/adjudication")


@router.post("/items/{number}/release")
def release(request: Request, number: int) -> Response:
    """Give a parked item back to the queue."""
    batches.release(_database(request), number, access.person(request).id)
    return see("/lead/adjudication")


@router.post("/items/{number}/retire")
def retire(
    request: Request,
    number: int,
    since: Annotated[str, Form(max_length=40)] = "",
    note: Annotated[str, Form(max_length=10_000)] = "",
) -> Response:
    """Take a known answer out of use, from now or from the moment given on; what was said of it stays."""
    try:
        moment = float(since) if since else None
    except ValueError:
        raise RefusedError(422, "since: a moment in seconds since 1970, not after now") from None
    known.retire(_database(request), number, access.person(request).id, moment, note)
    return see(f"/lead/items/{number}")


@router.get("/guidelines")
def write_guideline(request: Request) -> Response:
    """The form of a new version, from the one in force."""
    with _database(request).read() as connection:
        version, text, _ = reading.newest_guideline(connection)
    return page(request, "lead_guideline.html.j2", before=version, text=text, version="", fault="")


@router.post("/guidelines")
def add_guideline(
    request: Request,
    version: Annotated[str, Form(pattern=r"^[\w.-]{1,50}$")],
    text: Annotated[str, Form(min_length=1, max_length=200_000)],
) -> Response:
    """Add a version; those that were in use stay as they are."""
    try:
        guidelines.add(_database(request), version, text.replace("\r\n", "\n"), access.person(request).id)
    except RefusedError as error:
        told = sentence(request, error.sentence)
        return page(request, "lead_guideline.html.j2", 409, before="", text=text, version=version, fault=told)
    return see(f"/guidelines/{version}")
