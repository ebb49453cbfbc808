"""The admin's page of webhooks: which there are, what was delivered, what waits, what was given up."""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response

from assent.label import access, webhooks
from assent.label.pages import page, see, sentence
from assent.label.store import outbox
from assent.label.store.database import Database
from assent.label.store.slots import RefusedError

router = APIRouter(prefix="/admin/webhooks", include_in_schema=False)
ACCESS = {
    "GET /admin/webhooks": access.ADMINS,
    "POST /admin/webhooks": access.ADMINS,
    "POST /admin/webhooks/{number}/stop": access.ADMINS,
    "POST /admin/webhooks/deliveries/{delivery}/again": access.ADMINS,
}


def _database(request: Request) -> Database:
    return request.app.state.database


@router.get("")
def hooks(request: Request) -> Response:
    """All webhooks and the latest deliveries."""
    return _hooks(request)


def _hooks(request: Request, status: int = 200, fault: str = "", made: str = "", url: str = "") -> Response:
    with _database(request).read() as connection:
        rows, sent = webhooks.listed(connection), outbox.listed(connection)
    hosts = request.app.state.settings.hooks
    values = {"rows": rows, "sent": sent, "hosts": hosts, "events": outbox.EVENTS}
    return page(request, "admin_webhooks.html.j2", status, **values, fault=fault, made=made, url=url)


@router.post("")
def register(
    request: Request,
    url: Annotated[str, Form(max_length=1000)],
    events: Annotated[list[str] | None, Form()] = None,
) -> Response:
    """A webhook; its secret is shown once."""
    actor, known = access.person(request).id, request.app.state.hooks
    try:
        _, salt = _database(request).transact(
            lambda connection: webhooks.register(connection, url.strip(), events or [], actor, known)
        )
    except RefusedError as error:
        return _hooks(request, error.status, sentence(request, error.sentence), url=url)
    return _hooks(request, made=webhooks.secret_of(request.app.state.settings.secret, salt))


@router.post("/{number}/stop")
def stop(request: Request, number: int) -> Response:
    """Send nothing more there."""
    actor = access.person(request).id
    _database(request).transact(lambda connection: webhooks.stop(connection, number, actor))
    return see("/admin/webhooks")


@router.post("/deliveries/{delivery}/again")
def again(request: Request, delivery: str) -> Response:
    """Send what was given up once more."""
    _database(request).transact(lambda connection: outbox.again(connection, delivery))
    return see("/admin/webhooks")
