"""The routes of a labeler's screens in memory, with faults to order: what the screens are tested against alone.

It keeps the promises that the contract makes (one draft version after the other, one answer a key) and nothing else;
the whole app has tests of its own. The pages are the real ones.
"""

import socket
import threading
import time
from types import SimpleNamespace
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles

from assent.label import pages, render, schema

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def message(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content, "html": render.html(content)}


def ranking(slot: str, texts: list[str], prompt: str = "What is the capital of France?") -> dict[str, Any]:
    """A task to rate and rank; the keys say nothing about the texts."""
    keys = [f"k{(7 * place + 3) % 101:03d}" for place in range(len(texts))]
    responses = [{"key": k, "text": t, "html": render.html(t)} for k, t in zip(keys, texts, strict=True)]
    return task(slot, "rank", "plain", [message("user", prompt)], responses)


def task(slot: str, kind: str, mode: str, messages: list[Any], responses: list[Any]) -> dict[str, Any]:
    return {
        "slot": slot,
        "kind": kind,
        "mode": mode,
        "prompt": {"messages": messages},
        "responses": responses,
        "questions": schema.questions(schema.VERSION),
        "guideline": {"version": "1"},
        "draft": None,
        "draft_version": 0,
        "lease_seconds": 3600,
        "practice": False,
        "state": "open",
    }


class Fake:
    """A server on a port of its own; `tasks` by slot, `answers` as they were taken, `requests` as they came."""

    def __init__(self) -> None:
        self.tasks: dict[str, dict[str, Any]] = {}
        self.reset()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        config = uvicorn.Config(self.app(), host="127.0.0.1", port=self.port, log_level="error", lifespan="off")
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)
        self.url = f"http://127.0.0.1:{self.port}"

    def reset(self) -> None:
        self.tasks.clear()
        self.answers: list[dict[str, Any]] = []
        self.receipts: dict[str, Any] = {}
        self.requests: list[tuple[str, str]] = []
        self.status = 0  # what every work route answers instead, when it is not 0
        self.lose_answers = 0  # so many submissions are taken, and their answers lost on the way
        self.person: Any = SimpleNamespace(name="mira", role="labeler", id=1)

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join()

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.middleware("http")
        async def around(request: Request, call_next: Any) -> Any:
            self.requests.append((request.method, request.url.path))
            if request.url.path.startswith("/work") and self.status:
                return JSONResponse({"detail": "Not now."}, status_code=self.status)
            answer = await call_next(request)
            answer.headers["content-security-policy"] = POLICY
            if not request.url.path.startswith("/static"):
                answer.headers["cache-control"] = "no-store"
            return answer

        app.mount("/static", StaticFiles(directory=pages.STATIC))
        app.add_api_route("/", lambda: HTMLResponse("<!doctype html><title>Home</title><p>home"), methods=["GET"])
        app.add_api_route("/task/{slot}", self.page, methods=["GET"], response_class=HTMLResponse)
        app.add_api_route("/sign-in", lambda: HTMLResponse("sign in"), methods=["GET"])
        app.add_api_route("/session", self.again, methods=["POST"])
        app.add_api_route("/preview", self.preview, methods=["POST"])
        app.add_api_route("/work/claim", self.claim, methods=["POST"])
        app.add_api_route("/work/{slot}/draft", self.draft, methods=["PUT"])
        for action in ("submit", "skip", "revise"):
            app.add_api_route(f"/work/{{slot}}/{action}", self.decided(action), methods=["POST"])
        return app

    def page(self, slot: str, request: Request) -> Any:
        found = self.tasks.get(slot)
        if found is None:
            return RedirectResponse("/", 303)
        name = "write.html.j2" if found["kind"] == "demonstrate" else "task.html.j2"
        theme = request.cookies.get("theme", "")
        return HTMLResponse(pages.filled(name, "", self.person, theme, task=found, facts=pages.facts(found)))

    async def again(self, request: Request) -> Any:
        body = await request.json()
        if body["password"] != "right horse battery":
            return JSONResponse({"detail": "the name, the password or the code is wrong"}, status_code=401)
        self.status = 0
        return JSONResponse({"name": body["name"]})

    async def preview(self, request: Request) -> Any:
        return JSONResponse({"html": render.html((await request.json())["text"])})

    def claim(self) -> Any:
        waiting = [found for found in self.tasks.values() if found["state"] == "open"]
        return {"task": waiting[0] if waiting else None, "left": len(waiting)}

    async def draft(self, slot: str, request: Request) -> Any:
        body, found = await request.json(), self.tasks[slot]
        schema.draft(body["document"])
        if body["version"] != found["draft_version"]:
            stale = {"detail": "another window has a newer draft", "version": found["draft_version"]}
            return JSONResponse(stale | {"document": found["draft"]}, status_code=409)
        found.update(draft=body["document"], draft_version=found["draft_version"] + 1)
        return {"version": found["draft_version"]}

    def decided(self, action: str) -> Any:
        async def decide(slot: str, request: Request) -> Any:
            body, found = await request.json(), self.tasks[slot]
            if body["key"] not in self.receipts:
                self.receipts[body["key"]] = self.taken(action, found, body)
            if self.lose_answers:
                self.lose_answers -= 1
                return JSONResponse({"detail": "lost"}, status_code=502)
            return self.receipts[body["key"]]

        return decide

    def taken(self, action: str, found: dict[str, Any], body: dict[str, Any]) -> Any:
        if action == "skip":
            assert body["reason"] in schema.SKIP_REASONS
            found["state"] = "skipped"
            self.answers.append({"slot": found["slot"], "reason": body["reason"], "note": body["note"]})
            return {"state": "skipped"}
        keys = [response["key"] for response in found["responses"]]
        try:
            whole = schema.checked(found["kind"], body["document"], keys)
        except schema.DocumentError as error:
            return JSONResponse({"detail": str(error)}, status_code=422)
        if action == "submit" and found["state"] != "open":
            return JSONResponse({"detail": "handed in from another window"}, status_code=409)
        found.update(state="submitted", draft=whole, draft_version=0)
        self.answers.append({"slot": found["slot"], "action": action, "document": whole})
        return {"state": "revised", "revision": 2} if action == "revise" else {"state": "accepted", "warnings": []}
