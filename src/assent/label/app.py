"""The application: middleware, routes, and how a failure is told."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from assent.label import access, api, languages, manage, pages, render, signing, staffing, webhooks, work
from assent.label.guard import DATA_PATHS, PROGRAM_PATHS, Guard, TooLargeError
from assent.label.measuring import Measures
from assent.label.oidc import Client
from assent.label.pages import admin, hooks, labeler, lead, provider, quality, sign_in, staff
from assent.label.phrases import phrase
from assent.label.sending import Sender
from assent.label.settings import Settings
from assent.label.store.database import BusyError, Database, FullError, StoreError, UnfitError
from assent.label.store.importing import ImportRefusedError
from assent.label.store.migrate import newest, revision
from assent.label.store.slots import RefusedError

STATUSES = (phrase("Not Found"), phrase("Method Not Allowed"))  # what the framework says by itself
STATIC = Path(__file__).parent / "static"


def create_app(settings: Settings) -> FastAPI:
    """The application over a database that is at the newest revision; raises StoreError when it is not."""
    render.html("")  # loads what it is made with now, and not while the first labelers wait
    languages.names()  # a catalogue that is at fault keeps the server from starting, and nobody finds it later
    known = webhooks.places(settings.hooks)
    client = Client(settings.oidc, settings.secret) if settings.oidc else None
    database = Database(settings.database, busy_seconds=settings.busy_seconds)
    database.claim_process()
    if (found := revision(database)) != newest():
        database.close()
        raise StoreError(
            f"the database is at revision {found}, this version needs {newest()}; `assent label serve` migrates"
        )
    database.expected = found  # should a newer version change the tables while we run, we write no more
    app = FastAPI(
        title="Assent label",
        docs_url=None,
        redoc_url=None,
        openapi_url=None if settings.production else "/api/v1/openapi.json",
        dependencies=[Depends(access.allow)],
        lifespan=_sending,
    )
    app.state.settings = settings
    app.state.database = database
    app.state.hooks, app.state.oidc = known, client
    app.state.measures = Measures(database)
    table: dict[str, frozenset[str]] = {}
    modules = [signing, work, manage, staffing, api, sign_in, labeler, lead, quality, staff, admin, hooks]
    for module in [*modules, *([provider] if client else [])]:
        app.include_router(module.router)
        table |= module.ACCESS
    access.complete(app, table)
    app.state.access = table
    app.mount("/static", StaticFiles(directory=STATIC, check_dir=False), name="static")
    _tell_failures(app)
    app.add_middleware(Guard, https=settings.https, max_body=settings.max_body, max_import=settings.max_import)
    return app


@asynccontextmanager
async def _sending(app: FastAPI) -> AsyncGenerator[None, None]:
    """While the server runs, what waits in the outbox is sent, if there is anywhere to send it."""
    sender = Sender(app.state.database, app.state.settings.secret, app.state.hooks)
    if app.state.hooks:
        sender.start()
    yield
    if app.state.hooks:
        sender.stop()


def _tell_failures(app: FastAPI) -> None:
    """One sentence for every failure, with the status that says whether to try again."""

    def told(status: int) -> Callable[[Request, Exception], Response]:
        def handler(request: Request, error: Exception) -> Response:
            headers = {"Retry-After": "1"} if status == 503 else {}
            return _answer(request, status, error.args[0], headers)

        return handler

    def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, RefusedError)
        return _answer(request, error.status, error.sentence, {}, error.more)

    def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return _answer(request, error.status_code, error.detail, dict(error.headers or {}))

    def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        faults = [f"{'.'.join(map(str, one['loc'][1:])) or 'body'}: {one['msg']}" for one in error.errors()]
        told = "; ".join(faults)
        if not request.url.path.startswith(PROGRAM_PATHS):
            told = phrase("what was sent does not fit (%(faults)s)", faults=told)
        return _answer(request, 422, told, {})

    app.add_exception_handler(BusyError, told(503))
    app.add_exception_handler(FullError, told(507))
    app.add_exception_handler(UnfitError, told(422))
    app.add_exception_handler(TooLargeError, told(413))
    app.add_exception_handler(ImportRefusedError, told(422))
    app.add_exception_handler(RefusedError, refused)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, invalid)


def _answer(
    request: Request, status: int, sentence: str, headers: dict[str, str], more: dict[str, Any] | None = None
) -> Response:
    path = request.url.path
    if not path.startswith(PROGRAM_PATHS):
        sentence = pages.language(request).said(sentence)
    sentence = sentence.encode(errors="replace").decode()  # it may quote half a character that somebody sent
    if path.startswith(DATA_PATHS):
        return JSONResponse({"detail": sentence, **(more or {})}, status, headers)
    if status == 401 and request.method == "GET":
        where = quote(request.scope["path"])  # of a batch, which may be called by any characters
        return RedirectResponse(f"/sign-in?next={quote(where, safe='/')}", 303)
    if "Location" in headers:
        return RedirectResponse(headers["Location"], 303)
    response = pages.error(request, status, sentence)
    response.headers.update(headers)
    return response
