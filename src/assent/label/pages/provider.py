"""Coming in by a provider of sign-ins. These routes are there only where the settings name one."""

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Form, HTTPException, Request, Response

from assent.label import access, accounts, identities, languages, signing
from assent.label.oidc import Client, OidcError
from assent.label.pages import page, see
from assent.label.pages.sign_in import local
from assent.label.store.database import Database
from assent.label.store.slots import RefusedError

T = TypeVar("T")

router = APIRouter(include_in_schema=False)
ACCESS = {
    "GET /sign-in/provider": access.ANYBODY,
    "GET /sign-in/provider/back": access.ANYBODY,
    "GET /account/provider": access.EVERYBODY,
    "POST /invite/{token}/provider": access.ANYBODY,
}


def _database(request: Request) -> Database:
    return request.app.state.database


def _client(request: Request) -> Client:
    return request.app.state.oidc


def _cookie(request: Request) -> str:
    return "__Host-provider" if request.app.state.settings.https else "provider"


def _back(request: Request) -> str:
    """Where the provider sends people back to; it knows this address and sends nobody to another."""
    scheme = "https" if request.app.state.settings.https else "http"
    return f"{scheme}://{request.headers.get('host', '')}/sign-in/provider/back"


def _told(work: Callable[[], T]) -> T:
    try:
        return work()
    except OidcError as error:
        raise HTTPException(502 if error.provider else 403, error.sentence) from None


def _leaving(request: Request, intent: dict[str, Any], shown: Callable[[str], Response]) -> Response:
    """An answer that leads to the provider; what somebody wants there stays in their browser."""
    _told(_client(request).metadata)
    state = _database(request).transact(identities.begin)
    response = shown(_told(lambda: _client(request).address(state, _back(request))))
    kept = urlsafe_b64encode(json.dumps({**intent, "state": state}).encode()).decode()
    more: dict[str, Any] = {"secure": request.app.state.settings.https, "httponly": True, "samesite": "lax"}
    response.set_cookie(_cookie(request), kept, max_age=int(identities.SECONDS), path="/", **more)
    return response


@router.get("/sign-in/provider")
def leave(request: Request, next: str = "/", language: str = "") -> Response:
    """To the provider, and back to where one was going."""
    return _leaving(request, {"next": local(next)[:500], "language": language[:20]}, see)


@router.get("/account/provider")
def link(request: Request) -> Response:
    """To the provider, to sign in there from now on."""
    return _leaving(request, {"next": "/account", "person": access.person(request).id}, see)


@router.post("/invite/{token}/provider")
def accept(
    request: Request,
    token: str,
    name: Annotated[str, Form(max_length=200)],
    language: Annotated[str, Form(max_length=20)] = "",
) -> Response:
    """A name is chosen; the way on is a link, since the policy lets no form lead to another server."""
    with _database(request).read() as connection:
        accounts.open_invite(connection, token)
        accounts.checked_name(connection, name)
    intent = {"next": "/", "token": token, "name": name, "language": language}
    called = _client(request).provider.name
    return _leaving(request, intent, lambda where: page(request, "provider.html.j2", where=where, called=called))


@router.get("/sign-in/provider/back")
def come_back(request: Request) -> Response:
    """Back from the provider: the account of whoever came, or the one that an invitation makes."""
    intent = _intent(request)
    given = dict(request.query_params)
    state = given.get("state", "")
    if not state or not hmac.compare_digest(state.encode(), str(intent.get("state", "")).encode()):
        raise HTTPException(400, "this sign-in was begun elsewhere, or too long ago, or is over; begin again")
    _database(request).transact(lambda connection: identities.back(connection, state))
    subject = _told(lambda: _client(request).subject(given, state, _back(request)))
    session = _entered(request, intent, subject)
    response = see(local(str(intent.get("next", "/"))))
    signing.set_cookie(response, request.app.state.settings, session)
    response.delete_cookie(_cookie(request), path="/")
    return response


def _intent(request: Request) -> dict[str, Any]:
    """What this browser wanted when it left; nothing in it is believed that could not be typed."""
    try:
        found = json.loads(urlsafe_b64decode(request.cookies.get(_cookie(request), "")))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _entered(request: Request, intent: dict[str, Any], subject: str) -> str:
    """A new session for whoever came; the one that this browser had ends."""
    issuer = _client(request).provider.issuer
    visitor, wanted = access.visitor(request), str(intent.get("language", ""))
    before = request.cookies.get(request.app.state.settings.cookie, "")
    with _database(request).write() as connection:
        if "person" in intent:
            if visitor is None or visitor.id != intent["person"]:
                raise RefusedError(403, "you are no longer signed in as whoever began this; begin again")
            identities.link(connection, visitor.id, issuer, subject)
        elif "token" in intent:
            identities.join(connection, str(intent["token"]), str(intent.get("name", "")), issuer, subject)
        one = identities.known(connection, issuer, subject)
        if one is None:
            raise RefusedError(403, "nobody is known here by this sign-in; ask the lead of your project to invite you")
        if before:
            accounts.end_session(connection, before)
        if wanted in languages.tags():
            accounts.choose_language(connection, one.id, wanted)
        return accounts.start_session(connection, one)
