"""Coming in and going out: sign-in, invitations, one's own account."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Request, Response

from assent.label import access, accounts, identities, languages, signing
from assent.label.accounts import Person
from assent.label.pages import page, see, sentence
from assent.label.phrases import phrase
from assent.label.settings import Settings
from assent.label.store.database import Database
from assent.label.store.slots import RefusedError

router = APIRouter(include_in_schema=False)
ACCESS = {
    "GET /sign-in": access.ANYBODY,
    "POST /sign-in": access.ANYBODY,
    "POST /sign-out": access.EVERYBODY,
    "GET /invite/{token}": access.ANYBODY,
    "POST /invite/{token}": access.ANYBODY,
    "GET /account": access.EVERYBODY,
    "POST /account/password": access.EVERYBODY,
    "POST /account/code": access.EVERYBODY,
    "POST /account/language": access.EVERYBODY,
}
NOTES = {
    "out": phrase("You are signed out."),
    "password": phrase("Your password is changed. Sign in with the new one."),
}
YEAR = 365 * 86_400


@router.get("/sign-in")
def ask(request: Request, next: str = "/", told: str = "", language: str = "") -> Response:
    """The form. A language that is chosen here becomes that of the account by signing in."""
    return _chosen(request, language, lambda: _sign_in(request, next, language, note=NOTES.get(told, "")))


def _sign_in(
    request: Request, next: str, language: str, *, status: int = 200, note: str = "", fault: str = "", name: str = ""
) -> Response:
    values = {"next": local(next), "chosen": language, "note": note, "fault": fault, "name": name}
    values["provider"] = _provider(request)
    return page(request, "sign_in.html.j2", status, **values)


@router.post("/sign-in")
def enter(
    request: Request,
    name: Annotated[str, Form(max_length=200)],
    password: Annotated[str, Form(max_length=1000)],
    code: Annotated[str, Form(max_length=20)] = "",
    next: Annotated[str, Form(max_length=500)] = "/",
    language: Annotated[str, Form(max_length=20)] = "",
) -> Response:
    """Sign in, and go on to where one was going."""
    try:
        one, token = signing.enter(request, name, password, code)
    except HTTPException as error:
        told = sentence(request, error.detail)
        return _sign_in(request, next, language, status=error.status_code, fault=told, name=name)
    response = see(local(next))
    signing.set_cookie(response, request.app.state.settings, token)
    _keep(request, response, one, language)
    return response


@router.post("/sign-out")
def leave(request: Request) -> Response:
    """Sign out."""
    signing.leave(request)
    response = see("/sign-in?told=out")
    response.delete_cookie(request.app.state.settings.cookie, path="/")
    return response


@router.get("/invite/{token}")
def invited(request: Request, token: str, language: str = "") -> Response:
    """Who one is going to be; the invitation says as what."""
    return _chosen(request, language, lambda: _invited(request, token, language))


def _invited(
    request: Request, token: str, language: str, *, status: int = 200, fault: str = "", name: str = ""
) -> Response:
    database: Database = request.app.state.database
    with database.read() as connection:
        role = accounts.open_invite(connection, token).role
    values = {"role": role, "chosen": language, "fault": fault, "name": name, "provider": _provider(request)}
    return page(request, "invite.html.j2", status, **values)


@router.post("/invite/{token}")
def join(
    request: Request,
    token: str,
    name: Annotated[str, Form(max_length=200)],
    password: Annotated[str, Form(max_length=1000)],
    language: Annotated[str, Form(max_length=20)] = "",
) -> Response:
    """Use the invitation; it works once."""
    try:
        one, session = signing.accept(request, token, name, password)
    except RefusedError as error:
        if error.status == 404:
            raise
        told = sentence(request, error.sentence)
        return _invited(request, token, language, status=error.status, fault=told, name=name)
    response = see("/")
    signing.set_cookie(response, request.app.state.settings, session)
    _keep(request, response, one, language)
    return response


@router.get("/account")
def account(request: Request) -> Response:
    """One's own password and authenticator."""
    return _account(request)


def _account(request: Request, status: int = 200, fault: str = "", url: str = "") -> Response:
    needed = not url and access.needs_code(request, access.person(request))
    with request.app.state.database.read() as connection:
        linked, password = identities.ways(connection, access.person(request).id)
    values = {"url": url, "needed": needed, "provider": _provider(request), "linked": linked, "password": password}
    return page(request, "account.html.j2", status, fault=fault, **values)


def _provider(request: Request) -> str:
    """Where people may sign in as well, as they call it; empty without one."""
    known = request.app.state.settings.oidc
    return known.name if known else ""


@router.post("/account/password")
def password(
    request: Request,
    old: Annotated[str, Form(max_length=1000)],
    new: Annotated[str, Form(max_length=1000)],
) -> Response:
    """Another password; every session ends."""
    database: Database = request.app.state.database
    one = access.person(request)
    try:
        database.transact(lambda connection: accounts.change_password(connection, one, old, new))
    except RefusedError as error:
        return _account(request, 422, sentence(request, error.sentence))
    return see("/sign-in?told=password")


@router.post("/account/code")
def code(request: Request) -> Response:
    """A key for an authenticator, told once."""
    return _account(request, url=signing.set_up_code(request)["url"])


# -- the language of the screens -----------------------------------------------------------------------------


@router.post("/account/language")
def choose(request: Request, language: Annotated[str, Form(max_length=20)] = "") -> Response:
    """Another language, on every device; without one, what each browser asks for."""
    tag = language if language in languages.tags() else ""
    database: Database = request.app.state.database
    number = access.person(request).id
    database.transact(lambda connection: accounts.choose_language(connection, number, tag))
    response = see("/account")
    _remember(response, request.app.state.settings, tag)
    return response


def _chosen(request: Request, tag: str, shown: Callable[[], Response]) -> Response:
    """A page in the language that was just chosen on it, kept for the next visit of this browser."""
    if tag not in languages.tags():
        return shown()
    request.state.language = tag
    response = shown()
    _remember(response, request.app.state.settings, tag)
    return response


def _keep(request: Request, response: Response, one: Person, tag: str) -> None:
    """Give an account the language that was chosen while signing in, and a browser that of the account."""
    if tag in languages.tags():
        database: Database = request.app.state.database
        database.transact(lambda connection: accounts.choose_language(connection, one.id, tag))
    elif one.language:
        _remember(response, request.app.state.settings, one.language)


def _remember(response: Response, settings: Settings, tag: str) -> None:
    """Let this browser remember a language, or forget it; only for pages of nobody, an account has its own."""
    age = YEAR if tag else 0
    response.set_cookie("language", tag, max_age=age, path="/", secure=settings.https, httponly=True, samesite="lax")


def local(path: str) -> str:
    """The path if it is one of this server, or else the first page: nobody is sent elsewhere by a link to sign in."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) and "\n" not in path else "/"
