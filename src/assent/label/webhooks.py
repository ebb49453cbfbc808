"""Webhooks: which are registered, where they may go, and how a delivery is signed (as standardwebhooks.com has it).

A webhook goes to a host that the server's settings name, and nowhere else. Its secret is made from the server's own, so
that no table and no backup holds it.
"""

import base64
import hmac
import secrets
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection, insert, select, update

from assent.label.phrases import phrase
from assent.label.settings import SettingsError
from assent.label.store import audit
from assent.label.store.database import now
from assent.label.store.outbox import EVENTS
from assent.label.store.slots import RefusedError
from assent.label.store.tables import delivery, webhook

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def places(hooks: Sequence[str]) -> frozenset[tuple[str, str]]:
    """(scheme, host:port) of what settings name: `HOST`, `HOST:PORT`, or `http://` and a host of this machine.

    Raises SettingsError for anything else.
    """
    found: set[tuple[str, str]] = set()
    for one in hooks:
        scheme, _, place = one.rpartition("://")
        parts = urlsplit(f"//{place}")
        try:
            right = scheme in ("", "https") or (scheme == "http" and place.rpartition(":")[0] in LOOPBACK)
            if not right or not parts.hostname or parts.netloc != place or "@" in place or parts.port == 0:
                raise ValueError
        except ValueError:
            raise SettingsError(
                f"hooks: {one!r} is no host; write HOST or HOST:PORT (reached by https), or http://127.0.0.1:PORT"
            ) from None
        found.add(_place(scheme or "https", place))
    return frozenset(found)


def _place(scheme: str, netloc: str) -> tuple[str, str]:
    parts = urlsplit(f"//{netloc}")
    host = parts.hostname or ""
    port = parts.port or (443 if scheme == "https" else 80)
    return scheme, f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def allowed(url: str, known: frozenset[tuple[str, str]]) -> bool:
    """Whether an address is one that a server may send to."""
    try:
        parts = urlsplit(url)
        plain = url.isascii() and url.isprintable() and " " not in url and not parts.fragment
        return plain and "@" not in parts.netloc and _place(parts.scheme, parts.netloc) in known
    except ValueError:
        return False


def register(
    connection: Connection, url: str, events: Sequence[str], author: int, known: frozenset[tuple[str, str]]
) -> tuple[int, str]:
    """A webhook, from now on: its number, and the salt that its secret is made from."""
    if not known:
        raise RefusedError(409, "this server sends to no host; start it with --hooks HOST")
    if len(url) > 500 or not allowed(url, known):
        raise RefusedError(422, "url: goes to no host that this server may send to; --hooks names them")
    if not events or not set(events) <= EVENTS.keys():
        raise RefusedError(422, phrase("events: one or more of %(events)s", events=", ".join(EVENTS)))
    values = {"url": url, "events": sorted(set(events)), "salt": secrets.token_hex(16), "author": author}
    made = insert(webhook).values(**values, created=now()).returning(webhook.c.id)
    number = connection.execute(made).scalar_one()
    told = {"host": urlsplit(url).netloc, "events": values["events"]}
    audit.append(connection, author, "registered", f"webhook {number}", told)
    return number, str(values["salt"])


def stop(connection: Connection, number: int, actor: int) -> None:
    """Send nothing more there; what waits is parked."""
    stopped = update(webhook).where(webhook.c.id == number, webhook.c.stopped.is_(None)).values(stopped=now())
    if connection.execute(stopped).rowcount == 0:
        raise RefusedError(404, phrase("there is no webhook %(number)s", number=number))
    waiting = update(delivery).where(delivery.c.webhook == number, delivery.c.state == "waiting")
    connection.execute(waiting.values(state="parked"))
    audit.append(connection, actor, "stopped", f"webhook {number}")


def listed(connection: Connection) -> list[Any]:
    """All webhooks, those that were stopped too."""
    return list(connection.execute(select(webhook).order_by(webhook.c.id)).all())


# -- signatures ------------------------------------------------------------------------------------------------------


def secret_of(server: bytes, salt: str) -> str:
    """The secret of a webhook, as its receiver writes it down."""
    key = hmac.digest(server, f"webhook {salt}".encode(), "sha256")
    return "whsec_" + base64.b64encode(key).decode()


def headers(secret: str, identity: str, moment: int, body: bytes) -> dict[str, str]:
    """What goes with a delivery. moment: seconds since 1970 of this try; signed with it, so that none can be kept."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.digest(key, f"{identity}.{moment}.".encode() + body, "sha256")
    signature = "v1," + base64.b64encode(digest).decode()
    return {"webhook-id": identity, "webhook-timestamp": str(moment), "webhook-signature": signature}
