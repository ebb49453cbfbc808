"""The API in a few lines of Python.

with Client("http://127.0.0.1:8000", key) as client:
    client.put_guideline("1", "Be helpful, truthful and harmless.")
    client.put_batch("round-1", samples, guideline="1", overlap=2)
    ...
    rankings = client.rankings("round-1")
"""

import base64
import hmac
import json
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import httpx

from assent import records
from assent.records import Demonstration, Ranking, Rating, Record

R = TypeVar("R", Demonstration, Ranking, Rating)


WINDOW = 300.0  # seconds that a delivery may be old, or early by another clock


class ClientError(ValueError):
    """What the server answered when it did not do what was asked."""


def verified(secret: str, headers: Mapping[str, str], body: bytes, *, at: float | None = None) -> dict[str, Any]:
    """What a webhook tells, if it comes from the server and now; keep its "id", since it may come twice.

    secret: as it was shown when the webhook was registered. headers: by names in small letters. at: seconds since
    1970, now if None. Raises ClientError for a signature that is not the server's, and for an old delivery.
    """
    moment = headers.get("webhook-timestamp", "")
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers.get('webhook-id', '')}.{moment}.".encode() + body
    right = b"v1," + base64.b64encode(hmac.digest(key, signed, "sha256"))
    if not any(hmac.compare_digest(right, one.encode()) for one in headers.get("webhook-signature", "").split()):
        raise ClientError("the signature is not the server's")
    if abs(float(moment) - (time.time() if at is None else at)) > WINDOW:
        raise ClientError(f"the delivery is of {moment}, more than {WINDOW:.0f} seconds from now")
    return json.loads(body)


class Client:
    """A program's way in, by a key and its scopes."""

    def __init__(self, url: str, key: str, *, timeout: float = 60.0) -> None:
        self._http = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=timeout)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *exception: object) -> None:
        self._http.close()

    def _ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        answer = self._http.request(method, f"/api/v1{path}", **more)
        if answer.is_error:
            try:
                sentence = str(answer.json()["detail"])
            except (ValueError, KeyError, TypeError):
                sentence = answer.reason_phrase
            raise ClientError(f"{method} {path}: {answer.status_code}, {sentence}")
        return answer

    def put_guideline(self, version: str, text: str) -> None:
        """Write a version of the guidelines."""
        self._ask("PUT", f"/guidelines/{quote(version, safe='')}", json={"text": text})

    def put_batch(
        self,
        name: str,
        work: Iterable[Record],
        *,
        guideline: str,
        scores: Mapping[str, float] | None = None,
        practice: int = 0,
        meant: Iterable[Mapping[str, Any]] = (),
        **plan: Any,
    ) -> dict[str, Any]:
        """Make a batch of prompts or samples, and rankings as gold; plan: see `planning.Plan`.

        meant: {"id", "reason", "ranks" or "response"} of records that are practice, told when somebody has done one.
        """
        lines = "".join(json.dumps(records.to_json(one)) + "\n" for one in work)
        asked: dict[str, Any] = {"guideline": guideline, "plan": plan, "records": lines, "practice": practice}
        asked["meant"] = [dict(one) for one in meant]
        whole = asked | ({} if scores is None else {"scores": dict(scores)})
        return self._ask("PUT", f"/batches/{quote(name, safe='')}", json=whole).json()

    def status(self, name: str) -> dict[str, Any]:
        """Where a batch stands."""
        return self._ask("GET", f"/batches/{quote(name, safe='')}").json()

    def freeze(self, name: str) -> None:
        """Close a batch for good."""
        self._ask("POST", f"/batches/{quote(name, safe='')}/freeze")

    def invite(self, team: str = "train") -> str:
        """The token of an invitation for one labeler."""
        return str(self._ask("POST", "/invites", json={"team": team}).json()["token"])

    def file(self, name: str, file: str) -> bytes:
        """A file of a batch's export."""
        return self._ask("GET", f"/batches/{quote(name, safe='')}/export/{file}").content

    def demonstrations(self, name: str) -> list[Demonstration]:
        """The demonstrations of a batch."""
        return self._records(name, "demonstrations.jsonl", Demonstration)

    def rankings(self, name: str) -> list[Ranking]:
        """The rankings of a batch."""
        return self._records(name, "rankings.jsonl", Ranking)

    def ratings(self, name: str) -> list[Rating]:
        """The ratings of a batch."""
        return self._records(name, "ratings.jsonl", Rating)

    def _records(self, name: str, file: str, kind: type[R]) -> list[R]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / file
            path.write_bytes(self.file(name, file))
            return list(records.read(path, kind))
