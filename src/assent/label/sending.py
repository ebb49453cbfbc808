"""Sending what waits in the outbox: to registered hosts alone, at addresses of the public net, within a time limit.

The name is looked up once and the connection goes to the address that was checked, so that a name that is looked up
again cannot lead elsewhere. Nothing is followed, no proxy is asked, and of an answer only the status is read.
"""

import asyncio
import ipaddress
import logging
import threading
from typing import Any
from urllib.parse import urlsplit

import httpx

from assent.label import webhooks
from assent.label.store import outbox
from assent.label.store.database import Database

SECONDS = 10.0  # that a try may take, from the look-up to the status
PAUSE = 2.0  # seconds between looks into an empty box

_log = logging.getLogger("assent.label")


class UnsentError(Exception):
    """A try that failed: says what happened. last: another one is of no use."""

    def __init__(self, said: str, *, last: bool = False) -> None:
        super().__init__(said)
        self.said, self.last = said, last


class Sender:
    """A thread of the server that sends deliveries, one after the other, until it is stopped."""

    def __init__(self, database: Database, secret: bytes, known: frozenset[tuple[str, str]]) -> None:
        self.database, self.secret, self.known = database, secret, known
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the try that is going on."""
        self._stop.set()
        self._thread.join(SECONDS + 5)

    def _run(self) -> None:
        while not self._stop.wait(PAUSE):
            try:
                while not self._stop.is_set() and self.step():
                    pass
            except Exception as error:  # a database that restarts; what waits is still there afterwards
                _log.error("deliveries wait: %s", type(error).__name__)

    def step(self) -> bool:
        """Try one delivery that is due; False when none is."""
        row = outbox.take(self.database)
        if row is None:
            return False
        try:
            status = self._send(row)
        except UnsentError as error:
            said, last = error.said, error.last
            self.database.transact(lambda c: outbox.failed(c, row.id, row.tries, said, last=last))
        else:
            self.database.transact(lambda c: outbox.took(c, row.id, str(status)))
        return True

    def _send(self, row: Any) -> int:
        if row.stopped is not None or not webhooks.allowed(row.url, self.known):
            raise UnsentError("no longer allowed", last=True)
        body = row.body.encode()
        secret = webhooks.secret_of(self.secret, row.salt)
        return post(row.url, body, webhooks.headers(secret, row.id, int(row.now), body))


def post(url: str, body: bytes, headers: dict[str, str], seconds: float = SECONDS) -> int:
    """The status of a receiver that took a body, 2xx; raises UnsentError for everything else."""
    try:
        return asyncio.run(asyncio.wait_for(_post(url, body, headers), seconds))
    except TimeoutError:
        raise UnsentError(f"no answer within {seconds:.0f} seconds") from None
    except (httpx.HTTPError, OSError) as error:
        raise UnsentError(f"no connection: {type(error).__name__}") from None


async def _post(url: str, body: bytes, headers: dict[str, str]) -> int:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    address = await _address(host, port, local=parts.scheme == "http")
    pinned = httpx.URL(url).copy_with(host=address)
    sent = {**headers, "host": parts.netloc, "content-type": "application/json", "user-agent": "Assent"}
    async with (
        httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=None) as client,
        client.stream("POST", pinned, content=body, headers=sent, extensions={"sni_hostname": host}) as answer,
    ):
        if not answer.is_success:
            more = "; redirects are not followed" if answer.is_redirect else ""
            raise UnsentError(f"answered {answer.status_code}{more}")
        return answer.status_code


async def _address(host: str, port: int, *, local: bool) -> str:
    """The address to connect to. local: of this machine, and else every address of the name must be public."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=1)  # SOCK_STREAM
    addresses = [str(one[4][0]) for one in found]
    fits = is_loopback if local else is_public
    if not addresses or not all(fits(one) for one in addresses):
        raise UnsentError("the name leads to an address that is not public")
    return addresses[0]


def is_loopback(address: str) -> bool:
    """Whether an address is this machine's own."""
    return ipaddress.ip_address(address).is_loopback


def is_public(address: str) -> bool:
    """Whether an address is one of the public net, and does not hold another one (mapped, translated, tunnelled)."""
    one = ipaddress.ip_address(address)
    if isinstance(one, ipaddress.IPv6Address):
        holds = one.ipv4_mapped or one.sixtofour or one.teredo or one in ipaddress.ip_network("64:ff9b::/96")
        if holds or one.scope_id is not None:
            return False
    return one.is_global and not one.is_multicast
