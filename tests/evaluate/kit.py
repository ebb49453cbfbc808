"""What tests of evaluation share: a small policy world that people rank, an endpoint that obeys, files of tasks."""

import contextlib
import json
import threading
from collections.abc import Generator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests import tiny
from tests.data.kit import write

from assent.records import Message, Prompt, Ranking, Rating, Response

MACHINE = replace(tiny.MACHINE, tokens=4096, cache_tokens=4096)
WORTH = {"base": -1.0, "sft": 0.0, "ppo": 0.8}
USES = ("generation", "chat")


def results(run: Path) -> dict[str, Any]:
    """The results of a run; a NaN in them is no JSON."""
    return json.loads((run / "results.json").read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def prompt(number: int) -> Prompt:
    return Prompt(id=f"p{number}", messages=(Message("user", f"question {number}"),), use_case=USES[number % 2])


def simulated(prompts: int = 60, labelers: int = 10, seed: int = 0) -> list[Ranking]:
    """Three policies ranked whole by two labelers a prompt, ties where they are close; better texts say `good`."""
    generator, rows = np.random.default_rng(seed), list[Ranking]()
    for number in range(prompts):
        for labeler in generator.choice(labelers, size=2, replace=False):
            utility = {name: round(worth + generator.gumbel()) for name, worth in WORTH.items()}
            order = sorted(set(utility.values()), reverse=True)
            responses = tuple(Response(text=f"{name} {number}", policy=name) for name in WORTH)
            ranks = tuple(order.index(utility[name]) + 1 for name in WORTH)
            row = Ranking(id=f"r{number}-{labeler}", prompt=prompt(number), responses=responses, ranks=ranks)
            rows.append(replace(row, labeler=f"l{labeler}"))
    return rows


def ratings(rankings: list[Ranking]) -> list[Rating]:
    """A rating for every response of a ranking: 7 for the first, one less a rank."""
    return [
        Rating(
            id=f"{row.id}/{place}",
            prompt=row.prompt,
            response=response,
            overall=8 - rank,
            flags={"hallucination": rank == 3, "sexual_content": None},
            labeler=row.labeler,
        )
        for row in rankings
        for place, (response, rank) in enumerate(zip(row.responses, row.ranks, strict=True))
    ]


class Server(BaseHTTPRequestHandler):
    """Says yes where it reads good, no where bad, something else where odd; stalls at slow or drip, fails at broken.

    Asked for A, B or tie, it prefers the response that holds ppo, then sft; where it reads `turns`, always the first.
    """

    released = threading.Event()

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        words = body.get("prompt") or body["messages"][0]["content"]
        if "slow" in words:
            self.released.wait(5)
        if "broken" in words:
            self.send_error(400)
            return
        said = self.verdict(words) if "A, B or tie" in words else self.answer(words)
        choice: dict[str, Any] = {"finish_reason": "stop"}
        choice |= {"text": said} if "prompt" in body else {"message": {"content": said}}
        answer = json.dumps({"choices": [choice]} if "strange" not in words else {"nothing": 1}).encode()
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # nobody waits for an answer that is late
            for _ in range(40 if "drip" in words else 0):  # two seconds: whoever waits longer is answered
                self.released.wait(0.05)
                self.wfile.write(b" ")
            self.wfile.write(answer)

    @staticmethod
    def answer(words: str) -> str:
        return "Well, perhaps" if "odd" in words else "yes." if "good" in words else "no\nQ: more"

    @staticmethod
    def verdict(words: str) -> str:
        first, second = (words.partition(f"Response {name}:\n")[2].partition("\n")[0] for name in "AB")
        if "odd" in words:
            return "The first one"
        if "turns" in words:
            return "A"
        worth = [("ppo" in text) * 2 + ("sft" in text) for text in (first, second)]
        return "tie" if worth[0] == worth[1] else "A" if worth[0] > worth[1] else "B."

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@contextlib.contextmanager
def serving() -> Generator[str, None, None]:
    """The URL of a server while it runs."""
    Server.released.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    Server.released.set()
    server.shutdown()
    server.server_close()


def task_files(folder: Path) -> Path:
    """A folder with small files of six tasks, one of them with a bad row."""
    color = [f"{word} then {other}" for word in tiny.WORDS[:3] for other in tiny.WORDS[:3]]
    files: dict[str, list[Any]] = {
        "rte": [{"premise": one, "hypothesis": one, "label": n % 2 == 0} for n, one in enumerate(color)],
        "drop": [{"passage": one, "question": "say", "answers": [one]} for one in color[:4]]
        + [{"passage": "x", "question": "say", "answers": []}],
        "lambada": [{"text": f"say {one}"} for one in color],
        "crows_pairs": [{"sent_more": one, "sent_less": one[::-1], "bias_type": "color"} for one in color],
        "truthfulqa": [
            {"question": one, "best_answer": "good", "correct_answers": ["good", "fine"], "incorrect_answers": ["bad"]}
            for one in (*color[:3], "odd then even")
        ],
        "real_toxicity_prompts": [{"prompt": one} for one in color[:3]],
    }
    for name, rows in files.items():
        write(folder / f"{name}.jsonl", rows)
    (folder / "bad_words_en.txt").write_text("bad\n")
    return folder
