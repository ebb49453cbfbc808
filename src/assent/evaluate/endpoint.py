"""A client of OpenAI-compatible endpoints, for models and judges that run elsewhere. Standard library only.

An answer that does not come is a sentence and a gap, never a wait without end: every request has a time limit, is tried
a few times, and after some failures in a row the endpoint is given up.
"""

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

TRIES = 3
GIVEN_UP = 3  # requests in a row that failed
AT_ONCE = 8
KEY = "ASSENT_API_KEY"  # the environment variable that holds the key of endpoints that want one


@dataclass
class Endpoint:
    """A model behind a URL such as http://localhost:8000/v1. failures: what went wrong, as sentences."""

    url: str
    model: str
    seconds: float = 60.0
    pause: float = 1.0
    failures: list[str] = field(default_factory=list[str])
    in_a_row: int = 0

    @classmethod
    def parse(cls, given: str, seconds: float) -> "Endpoint":
        """An endpoint written as URL#MODEL; raises ValueError for anything else."""
        url, _, model = given.partition("#")
        if not url.startswith(("http://", "https://")) or not model:
            raise ValueError(f"{given!r} is no endpoint; write URL#MODEL, such as http://localhost:8000/v1#my-model")
        return cls(url.rstrip("/"), model, seconds)

    @property
    def name(self) -> str:
        """How it is called in tables."""
        return f"{self.url}#{self.model}"

    def write(self, prompts: Sequence[str], limit: int, stop: str, *, chat: bool) -> list[tuple[str, str] | None]:
        """Text and finish for each prompt at temperature 0; None where none came, with a sentence in `failures`."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(lambda prompt: self._one(prompt, limit, stop, chat), prompts))

    def _one(self, prompt: str, limit: int, stop: str, chat: bool) -> tuple[str, str] | None:
        if self.in_a_row >= GIVEN_UP:
            return None
        body: dict[str, Any] = {"model": self.model, "max_tokens": limit, "temperature": 0}
        if stop.strip("\0"):
            body["stop"] = [stop]
        asked = {"messages": [{"role": "user", "content": prompt}]} if chat else {"prompt": prompt}
        try:
            choice = self._post("chat/completions" if chat else "completions", body | asked)["choices"][0]
            text = choice["message"]["content"] if chat else choice["text"]
            if not isinstance(text, str):
                raise TypeError("its text is no text")
        except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
            self._note(error)
            return None
        self.in_a_row = 0
        finish = {"stop": "eos", "length": "length"}.get(str(choice.get("finish_reason")), "")
        return text.partition(stop)[0].strip(), finish

    def _note(self, error: Exception) -> None:
        self.in_a_row += 1
        if isinstance(error, TimeoutError) or isinstance(getattr(error, "reason", None), TimeoutError):
            why = f"gave no answer within {self.seconds:g} seconds; see that it runs, or raise --seconds"
        elif isinstance(error, urllib.error.HTTPError):
            why = f"refused with status {error.code}; see its URL, its model and {KEY}"
        elif isinstance(error, urllib.error.URLError):
            why = f"cannot be reached ({error.reason}); see that it runs"
        else:
            why = f"answered with something else than an OpenAI-compatible completion ({error}); see its URL"
        self.failures.append(f"{self.name} {why}")
        if self.in_a_row == GIVEN_UP:
            self.failures.append(f"{self.name} failed {GIVEN_UP} times in a row and was given up; run again to go on")

    def _post(self, path: str, body: Mapping[str, Any]) -> Any:
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get(KEY, ""):
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(f"{self.url}/{path}", json.dumps(body).encode(), headers)
        for attempt in range(TRIES):
            try:
                with urllib.request.urlopen(request, timeout=self.seconds) as answer:
                    return json.loads(self._read(answer))
            except urllib.error.HTTPError as error:
                if error.code not in (429, 500, 502, 503, 504) or attempt + 1 == TRIES:
                    raise
                time.sleep(self.pause * 2**attempt)
        raise AssertionError("the last attempt returns or raises")

    def _read(self, answer: Any) -> bytes:
        """The whole answer. The limit of a request holds for each wait; one that drips would never come to it."""
        end, parts = time.monotonic() + self.seconds, list[bytes]()
        while part := answer.read1():
            parts.append(part)
            if time.monotonic() > end:
                raise TimeoutError
        return b"".join(parts)
