"""What every request and every response goes through: size, origin, and the headers that bind a browser."""

import json
import logging
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import cookie_parser

from assent.label import languages, pages
from assent.label.languages import Language
from assent.label.phrases import Phrase, phrase

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_log = logging.getLogger("assent.label")

SAFE = ("GET", "HEAD", "OPTIONS")
DATA_PATHS = ("/work", "/session", "/manage", "/api", "/static")  # where failures are JSON, whoever asks
IMPORT_PATHS = ("/api/", "/manage/", "/lead/batches/new")  # where whole files of records come in
PROGRAM_PATHS = ("/api", "/manage")  # what programs are told stays in English
CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-ancestors 'none'; form-action 'self'; base-uri 'none'"
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
    """ASGI middleware. max_body, max_import: bytes of a request, in general and where files are imported."""

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

        limit = self.max_import if path.startswith(IMPORT_PATHS) else self.max_body
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > limit:
            await _refuse(sending, 413, _too_large(limit), path, headers)
        elif scope["method"] not in SAFE and not path.startswith("/api/") and not same_origin(headers):
            await _refuse(sending, 403, phrase("the request comes from another site"), path, headers)
        else:
            try:
                await self.app(scope, _limited(receive, limit), sending)
            except Exception as error:
                _log.error("%s failed\n%s", scope["method"], told(error))
                if started:
                    raise
                sentence = phrase("something went wrong here; what was acknowledged before is safe")
                await _refuse(sending, 500, sentence, path, headers)


def told(error: BaseException) -> str:
    """Where an error came from, for the log: every line indented, so that nothing quoted in it looks like an entry."""
    lines = "".join(traceback.format_exception(error)).splitlines()  # at everything that could end a line
    return "\n".join("    " + "".join(one if one.isprintable() else "\ufffd" for one in line) for line in lines)


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
            raise TooLargeError(_too_large(limit))
        return message

    return receiving


def _too_large(limit: int) -> Phrase:
    return phrase("the request is larger than %(limit)s bytes", limit=limit)


def _language(path: str, headers: MutableMapping[str, str]) -> Language:
    """The language of whoever asks, as far as headers say; programs have English."""
    if path.startswith(PROGRAM_PATHS):
        return languages.language(languages.ENGLISH)
    chosen = cookie_parser(headers.get("cookie", "")).get("language", "")
    return languages.negotiated(chosen, headers.get("accept-language", ""))


async def _refuse(send: Send, status: int, sentence: Phrase, path: str, asked: MutableMapping[str, str]) -> None:
    spoken = _language(path, asked)
    if not path.startswith(DATA_PATHS) and "text/html" in asked.get("accept", ""):
        theme = cookie_parser(asked.get("cookie", "")).get("theme", "")
        body, kind = pages.refusal(path, status, sentence, spoken, theme).encode(), b"text/html; charset=utf-8"
    else:
        body, kind = json.dumps({"detail": spoken.said(sentence)}).encode(), b"application/json"
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
