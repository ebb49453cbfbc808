"""What every request and every response goes through: size, origin, and the headers that bind a browser."""

import json
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_log = logging.getLogger("assent.label")

SAFE = ("GET", "HEAD", "OPTIONS")
CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; frame-ancestors 'none'; form-action 'self'; base-uri 'none'"
)
HEADERS = {
    "content-security-policy": CONTENT_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


class Guard:
    """ASGI middleware. max_body, max_import: bytes of a request, in general and for /api/ and /manage/."""

    def __init__(self, app: Any, *, https: bool, max_body: int, max_import: int) -> None:
        self.app = app
        self.max_body = max_body
        self.max_import = max_import
        added = HEADERS | ({"strict-transport-security": "max-age=31536000"} if https else {})
        self.headers = [(name.encode(), value.encode()) for name, value in added.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = str(scope["path"])
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}

        started = False

        async def sending(message: MutableMapping[str, Any]) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                extra = list(self.headers)
                if not path.startswith("/static/"):
                    extra.append((b"cache-control", b"no-store"))
                message["headers"] = [*message.get("headers", ()), *extra]
            await send(message)

        large = path.startswith(("/api/", "/manage/"))
        limit = self.max_import if large else self.max_body
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > limit:
            await _refuse(sending, 413, f"the request is larger than {limit} bytes")
        elif scope["method"] not in SAFE and not path.startswith("/api/") and not same_origin(headers):
            await _refuse(sending, 403, "the request comes from another site")
        else:
            try:
                await self.app(scope, _limited(receive, limit), sending)
            except Exception as error:
                _log.error("%s failed", scope["method"], exc_info=error)
                if started:
                    raise
                await _refuse(sending, 500, "something went wrong here; what was acknowledged before is safe")


def same_origin(headers: MutableMapping[str, str]) -> bool:
    """Whether a request comes from a page of this server: the browser says so, or its origin is our host.

    A request that says neither is not from a browser that can be trusted with a cookie, and is refused.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = headers.get("origin", "")
    return bool(origin) and urlsplit(origin).netloc == headers.get("host", "") and origin != "null"


class TooLargeError(Exception):
    """A body that was larger than announced."""


def _limited(receive: Receive, limit: int) -> Receive:
    read = 0

    async def receiving() -> MutableMapping[str, Any]:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > limit:
            raise TooLargeError(f"the request is larger than {limit} bytes")
        return message

    return receiving


async def _refuse(send: Send, status: int, sentence: str) -> None:
    body = json.dumps({"detail": sentence}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
