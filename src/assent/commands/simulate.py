"""`assent label simulate`: the sandbox's labelers at the app, through the same HTTP as people. Never loads torch."""

import hmac
import os
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import tyro

from assent import records
from assent.commands import Files

KEY_VARIABLE = "ASSENT_LABEL_KEY"


@dataclass(frozen=True, kw_only=True)
class Simulate:
    """Let the sandbox's labelers work through the same pages as people do, until nothing is left."""

    prompts: tyro.conf.Positional[Files]
    """Files of the sandbox's prompts or samples that were imported: a labeler knows the world by their ids."""
    url: str = "http://127.0.0.1:8000"
    labelers: int = 40
    heldout: int = 0
    threads: int = 8
    seed: int = 0
    """The sandbox's world."""

    def start(self) -> None:
        """Work until nothing is left."""
        if find_spec("httpx") is None:
            raise ValueError("httpx is not installed; pip install 'assent[label]'")
        key = os.environ.get(KEY_VARIABLE, "")
        if not key:
            raise ValueError(f"{KEY_VARIABLE} is not set; make a key with `assent label key NAME --scopes people`")
        from assent.sandbox.labelers import Labelers

        everybody = Labelers.make(self.seed)
        known = {_words(prompt): prompt for path in self.prompts for prompt in _prompts(path)}
        chosen = [(one, "train") for one in everybody.train[: self.labelers]]
        chosen += [(one, "heldout") for one in everybody.heldout[: self.heldout]]
        board = _Board(list(chosen))
        hands = [
            threading.Thread(target=_work_through, args=(self.url, key, known, board), daemon=True)
            for _ in range(min(self.threads, len(chosen)))
        ]
        for hand in hands:
            hand.start()
        for hand in hands:
            hand.join()
        if board.wrong:
            raise ValueError(f"{len(board.wrong)} labelers stopped: {board.wrong[0]}")
        print(f"{board.done} tasks done by {len(chosen)} labelers")


@dataclass
class _Board:
    """What the hands of a simulation share: who is still to work, what was done, what went wrong."""

    waiting: list[tuple[Any, str]]
    resting: list[tuple[Any, str]] = field(default_factory=list[tuple[Any, str]])
    done: int = 0
    wrong: list[str] = field(default_factory=list[str])
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next(self) -> tuple[Any, str] | None:
        """A labeler who has not worked yet, or whose turn it is again."""
        with self.lock:
            return self.waiting.pop(0) if self.waiting else None

    def back(self, one: tuple[Any, str], kind: str) -> None:
        """Queue again, so that everybody gets a share of the work; what was written may be for others to review."""
        with self.lock:
            self.done += 1
            self.waiting.append(one)
            if kind == "demonstrate":
                self.waiting += self.resting
                self.resting.clear()

    def rest(self, one: tuple[Any, str]) -> None:
        """Nothing is left for somebody, as yet."""
        with self.lock:
            self.resting.append(one)


def _work_through(url: str, key: str, known: dict[str, Any], board: _Board) -> None:
    sessions: dict[str, Any] = {}
    while (one := board.next()) is not None:
        labeler, team = one
        try:
            browser = sessions.get(labeler.name) or _joined(url, key, labeler.name, team)
            sessions[labeler.name] = browser
            kind = _one_task(browser, labeler, known)
            board.back(one, kind) if kind else board.rest(one)
        except Exception as error:  # one who stumbles does not stop the others
            board.wrong.append(f"{labeler.name}: {error}")
    for browser in sessions.values():
        browser.close()


def _joined(url: str, key: str, name: str, team: str) -> Any:
    """A browser in which a simulated labeler is signed in; joined by an invitation the first time."""
    import httpx

    from assent.label.client import Client

    browser = httpx.Client(base_url=url, headers={"Origin": url.rstrip("/")}, timeout=60.0)
    password = hmac.digest(key.encode(), f"password {name}".encode(), "sha256").hex()
    if browser.post("/session", json={"name": name, "password": password}).status_code == 200:
        return browser
    with Client(url, key) as client:
        token = client.invite(team)
    answer = browser.post("/session/invite", json={"token": token, "name": name, "password": password})
    if answer.status_code != 200:
        raise ValueError(answer.json()["detail"])
    return browser


def _one_task(browser: Any, labeler: Any, known: dict[str, Any]) -> str:
    """Do the next task; its kind, or "" when there is none."""
    task = _asked(browser, "POST", "/work/claim", {})["task"]
    if task is None:
        return ""
    prompt = known.get("\x1f".join(one["content"] for one in task["prompt"]["messages"]))
    if prompt is None:
        raise ValueError("a prompt that none of the files has; name the files that were imported")
    document = {"demonstrate": _demonstration, "rank": _ranking, "review": _review}[task["kind"]](labeler, prompt, task)
    path = f"/work/{task['slot']}"
    _asked(browser, "PUT", f"{path}/draft", {"document": document, "version": task["draft_version"]})
    _asked(browser, "POST", f"{path}/submit", {"key": str(uuid.uuid4()), "document": document})
    return task["kind"]


def _asked(browser: Any, method: str, path: str, body: dict[str, Any], tries: int = 20) -> Any:
    """An answer; a server that is busy or restarting is asked again with the same body."""
    import httpx

    for attempt in range(tries):
        try:
            answer = browser.request(method, path, json=body)
        except httpx.TransportError:
            if attempt + 1 == tries:
                raise
        else:
            if answer.status_code not in (502, 503):
                if answer.is_error:
                    raise ValueError(f"{method} {path}: {answer.json()['detail']}")
                return answer.json()
        time.sleep(min(0.1 * 2**attempt, 2.0))
    raise ValueError(f"{method} {path}: the server stays busy")


def _ranking(labeler: Any, prompt: records.Prompt, task: dict[str, Any]) -> dict[str, Any]:
    ranked = labeler.rank(prompt, [records.Response(text=one["text"]) for one in task["responses"]])
    ranks = dict(zip((one["key"] for one in task["responses"]), ranked.ranks, strict=True))
    return {**_review(labeler, prompt, task), "ranks": ranks, "seconds": ranked.seconds}


def _review(labeler: Any, prompt: records.Prompt, task: dict[str, Any]) -> dict[str, Any]:
    rated = {one["key"]: labeler.rate(prompt, records.Response(text=one["text"])) for one in task["responses"]}
    return {
        "schema": task["questions"]["version"],
        "ratings": {
            key: {"overall": one.overall, "flags": {name: bool(value) for name, value in one.flags.items()}}
            for key, one in rated.items()
        },
        "prompt_flags": {},
        "note": "",
        "seconds": sum(one.seconds for one in rated.values()),
    }


def _demonstration(labeler: Any, prompt: records.Prompt, _: dict[str, Any]) -> dict[str, Any]:
    made = labeler.demonstrate(prompt)
    return {"schema": 1, "response": made.response, "prompt_flags": {}, "note": "", "seconds": made.seconds}


def _prompts(path: Path) -> Iterator[records.Prompt]:
    from assent.label.store import importing

    for one in importing.read(path):
        yield one if isinstance(one, records.Prompt) else one.prompt


def _words(prompt: records.Prompt) -> str:
    return "\x1f".join(message.content for message in prompt.messages)
