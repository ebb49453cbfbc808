"""Coming in and going out: sign-in, invitations, one's own account."""

from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Request, Response

from assent.label import access, accounts, signing
from assent.label.pages import page, see
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
}


@router.get("/sign-in")
def ask(request: Request, next: str = "/", told: str = "") -> Response:
    """The form."""
    notes = {"out": "You are signed out.", "password": "Your password is changed. Sign in with the new one."}
    return page(request, "sign_in.html.j2", next=local(next), fault="", note=notes.get(told, ""), name="")


@router.post("/sign-in")
def enter(
    request: Request,
    name: Annotated[str, Form(max_length=200)],
    password: Annotated[str, Form(max_length=1000)],
    code: Annotated[str, Form(max_length=20)] = "",
    next: Annotated[str, Form(max_length=500)] = "/",
) -> Response:
    """Sign in, and go on to where one was going."""
    try:
        _, token = signing.enter(request, name, password, code)
    except HTTPException as error:
        told = str(error.detail)
        fault = told[:1].upper() + told[1:] + "."
        return page(request, "sign_in.html.j2", error.status_code, next=local(next), fault=fault, note="", name=name)
    response = see(local(next))
    signing.set_cookie(response, request.app.state.settings, token)
    return response


@router.post("/sign-out")
def leave(request: Request) -> Response:
    """Sign out."""
    signing.leave(request)
    response = see("/sign-in?told=out")
    response.delete_cookie(request.app.state.settings.cookie, path="/")
    return response


@router.get("/invite/{token}")
def invited(request: Request, token: str) -> Response:
    """Who one is going to be; the invitation says as what."""
    database: Database = request.app.state.database
    with database.read() as connection:
        role = accounts.open_invite(connection, token).role
    return page(request, "invite.html.j2", role=role, fault="", name="")


@router.post("/invite/{token}")
def join(
    request: Request,
    token: str,
    name: Annotated[str, Form(max_length=200)],
    password: Annotated[str, Form(max_length=1000)],
) -> Response:
    """Use the invitation; it works once."""
    try:
        _, session = signing.accept(request, token, name, password)
    except RefusedError as error:
        if error.status == 404:
            raise
        told = error.sentence[:1].upper() + error.sentence[1:] + "."
        database: Database = request.app.state.database
        with database.read() as connection:
            role = accounts.open_invite(connection, token).role
        return page(request, "invite.html.j2", error.status, role=role, fault=told, name=name)
    response = see("/")
    signing.set_cookie(response, request.app.state.settings, session)
    return response


@router.get("/account")
def account(request: Request) -> Response:
    """One's own password and authenticator."""
    return _account(request)


def _account(request: Request, status: int = 200, fault: str = "", url: str = "") -> Response:
    needed = not url and access.needs_code(request, access.person(request))
    return page(request, "account.html.j2", status, fault=fault, url=url, needed=needed)


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
        told = error.sentence[:1].upper() + error.sentence[1:] + "."
        return _account(request, 422, told)
    return see("/sign-in?told=password")


@router.post("/account/code")
def code(request: Request) -> Response:
    """A key for an authenticator, told once."""
    return _account(request, url=signing.set_up_code(request)["url"])


def local(path: str) -> str:
    """The path if it is one of this server, or else the first page: nobody is sent elsewhere by a link to sign in."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) and "\n" not in path else "/"
