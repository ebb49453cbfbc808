"""The admin's pages: people and invitations, keys of programs, the audit log."""

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request, Response
from sqlalchemy import select

from assent.label import access, accounts, keys
from assent.label.pages import log, page, see
from assent.label.store import audit, tables
from assent.label.store.database import Database

router = APIRouter(prefix="/admin", include_in_schema=False)
ACCESS = {
    "GET /admin": access.ADMINS,
    "POST /admin/invite": access.ADMINS,
    "POST /admin/people/{number}": access.ADMINS,
    "GET /admin/keys": access.ADMINS,
    "POST /admin/keys": access.ADMINS,
    "POST /admin/keys/{number}/revoke": access.ADMINS,
    "GET /admin/audit": access.ADMINS,
}
PAGE = 100  # entries of the log on a page


def _database(request: Request) -> Database:
    return request.app.state.database


@router.get("")
def people(request: Request) -> Response:
    """Everybody."""
    return _people(request, "")


def _people(request: Request, invite: str) -> Response:
    with _database(request).read() as connection:
        rows = accounts.people(connection)
    return page(request, "admin.html.j2", rows=rows, roles=accounts.ROLES, teams=accounts.TEAMS, invite=invite)


@router.post("/invite")
def invite(request: Request, role: Annotated[str, Form()], team: Annotated[str, Form()] = "train") -> Response:
    """An invitation; its link is shown once."""
    one = access.person(request)
    token = _database(request).transact(lambda connection: accounts.make_invite(connection, role, team, one.id))
    return _people(request, f"{str(request.base_url).rstrip('/')}/invite/{token}")


@router.post("/people/{number}")
def change(
    request: Request, number: int, role: Annotated[str, Form()] = "", state: Annotated[str, Form()] = ""
) -> Response:
    """Another role, or disabled, enabled, deleted; their sessions end."""
    actor = access.person(request).id
    _database(request).transact(lambda connection: accounts.change(connection, number, actor, role=role, state=state))
    return see("/admin")


@router.get("/keys")
def list_keys(request: Request) -> Response:
    """Keys of programs, without what opens them."""
    return _keys(request, "")


def _keys(request: Request, made: str) -> Response:
    with _database(request).read() as connection:
        rows = keys.listed(connection)
    return page(request, "admin_keys.html.j2", rows=rows, scopes=keys.SCOPES, made=made)


@router.post("/keys")
def make_key(
    request: Request,
    name: Annotated[str, Form(min_length=1, max_length=100)],
    scopes: Annotated[list[str] | None, Form()] = None,
) -> Response:
    """A key; it is shown once. Without a scope it may do nothing."""
    actor = access.person(request).id
    return _keys(
        request, _database(request).transact(lambda connection: keys.make(connection, name, scopes or [], actor))
    )


@router.post("/keys/{number}/revoke")
def revoke_key(request: Request, number: int) -> Response:
    """End a key."""
    actor = access.person(request).id
    _database(request).transact(lambda connection: keys.revoke(connection, number, actor))
    return see("/admin/keys")


@router.get("/audit")
def audit_log(request: Request, before: int = 0) -> Response:
    """The log, the newest entry first, and whether its chain holds."""
    with _database(request).read() as connection:
        statement = select(tables.audit, tables.person.c.name)
        statement = statement.outerjoin(tables.person, tables.person.c.id == tables.audit.c.actor)
        if before:
            statement = statement.where(tables.audit.c.number < before)
        rows = connection.execute(statement.order_by(tables.audit.c.number.desc()).limit(PAGE)).all()
        count, last, wrong = audit.verify(connection)
    values: dict[str, Any] = {"rows": rows, "count": count, "last": last, "wrong": log.broken(wrong)}
    return page(request, "admin_audit.html.j2", **values, deed=log.deed, thing=log.thing)
