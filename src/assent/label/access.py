"""Who may ask for what. Every route stands in one table; a route without an entry keeps the server from starting."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.routing import APIRoute

from assent.label import accounts
from assent.label.accounts import Person
from assent.label.phrases import phrase
from assent.label.store.database import Database

ANYBODY = frozenset({"anonymous", "labeler", "lead", "researcher", "admin"})
EVERYBODY = ANYBODY - {"anonymous"}
LABELERS = frozenset({"labeler", "lead"})
LEADS = frozenset({"lead"})
READERS = frozenset({"lead", "researcher"})
ADMINS = frozenset({"admin"})
CODED = frozenset({"lead", "admin"})  # who need an authenticator, where the settings ask for it
UNCODED = frozenset(  # what they may do before they have one
    {
        "GET /",
        "GET /account",
        "POST /account/code",
        "POST /account/language",
        "POST /account/password",
        "POST /sign-out",
        "GET /session",
        "DELETE /session",
        "POST /session/code",
        "POST /session/password",
    }
)
KEYS = frozenset({"key"})  # programs, by a scope; never a cookie
ROLES: Mapping[str, str] = {  # as words
    str(one): one for one in (phrase("labeler"), phrase("lead"), phrase("researcher"), phrase("admin"))
}


def routes(app: FastAPI) -> dict[str, APIRoute]:
    """All routes of an application by "METHOD /path"."""
    return {f"{method} {one.path}": one for one in _all(app.routes) for method in (one.methods or set()) - {"HEAD"}}


def _all(found: Iterable[Any]) -> Iterator[APIRoute]:
    for route in found:
        if isinstance(route, APIRoute):
            yield route
        elif (
            included := getattr(route, "original_router", None)
        ) is not None:  # how newer versions of FastAPI keep a router
            yield from _all(included.routes)


def complete(app: FastAPI, table: Mapping[str, frozenset[str]]) -> None:
    """See that every route has an entry and every entry a route."""
    missing = routes(app).keys() - table.keys()
    unused = table.keys() - routes(app).keys()
    if missing or unused:
        raise AssertionError(f"the table of access lacks {sorted(missing)} and has {sorted(unused)} for nothing")


def allow(request: Request) -> None:
    """Let a request through or raise 401 or 403; a dependency of every route."""
    name = f"{'GET' if request.method == 'HEAD' else request.method} {request.scope['route'].path}"
    roles: frozenset[str] = request.app.state.access[name]
    if roles == KEYS:
        return  # api.py asks for the key, and never looks at a cookie
    found = _person(request)
    request.state.person = found
    if found is None and "anonymous" not in roles:
        raise HTTPException(401, "sign in first")
    if found is not None and found.role not in roles:
        raise HTTPException(403, phrase("this is not for a %(role)s", role=ROLES[found.role]))
    if found is not None and needs_code(request, found) and name not in UNCODED and "anonymous" not in roles:
        raise HTTPException(403, "set up an authenticator first, on the page of your account", {"Location": "/account"})


def needs_code(request: Request, one: Person) -> bool:
    """Whether somebody has to set up an authenticator before anything else."""
    return bool(request.app.state.settings.codes) and one.role in CODED and not one.coded


def _person(request: Request) -> Person | None:
    token = request.cookies.get(request.app.state.settings.cookie, "")
    if not 20 <= len(token) <= 100:
        return None
    database: Database = request.app.state.database
    found = accounts.session_person(database, token)
    if found is not None and found[1]:
        database.transact(lambda connection: accounts.touch(connection, token))
    return None if found is None else found[0]


def person(request: Request) -> Person:
    """Who is signed in, on a route that is only for those who are."""
    found: Any = request.state.person
    assert isinstance(found, Person)
    return found


def visitor(request: Request) -> Person | None:
    """Who is signed in, if anybody."""
    return request.state.person
