"""The ring through the server: prompts, people's work over HTTP, exports, SFT, samples, rankings, a reward model.

    .venv/bin/python -m scripts.label_ring runs/label-ring [--prompts 80] [--rank 60] [--labelers 8]

Nothing passes by hand: what `assent sandbox` and `assent sample` write is imported, the sandbox's labelers work through
the same routes as people do, and what the app exports is what `assent sft` and `assent reward` are given. Every command
is printed as it is run. A step that is done is not done again.
"""

import argparse
import contextlib
import json
import os
import re
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from assent import records, sandbox
from assent.records import Demonstration, Ranking

PROGRAM = "import sys; from assent.cli import main; sys.exit(main())"
KEY = "ASSENT_LABEL_KEY"


@dataclass(frozen=True)
class Size:
    """How much: prompts that are answered by people, prompts whose samples are ranked, responses of each, people."""

    prompts: int
    rank: int
    responses: int
    labelers: int


def assent(*words: object, **more: str) -> str:
    """Run a command of Assent's, print it, and give what it says. Raises RuntimeError with its last words."""
    arguments = [str(word) for word in words]
    print("assent", shlex.join(arguments), flush=True)
    environment = {**os.environ, **more}
    done = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, env=environment)
    if done.returncode:
        raise RuntimeError(f"assent {shlex.join(arguments)}: {(done.stdout + done.stderr)[-3000:]}")
    return done.stdout


@contextlib.contextmanager
def served(data: Path) -> Iterator[str]:
    """The app in a process of its own; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["label", "serve", "--data", str(data), "--port", str(port)]
    print("assent", shlex.join(words), "&", flush=True)
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, *words], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        for line in process.stdout:  # until it says where it serves, or ends
            if found := re.match(r"Serving at (\S+);", line):
                _reached(port)
                yield found[1]
                break
        else:
            raise RuntimeError("the server did not start")
    finally:
        process.terminate()
        process.communicate()


def _reached(port: int) -> None:
    for _ in range(600):
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError("the server cannot be reached")


def labeled(folder: Path, url: str, key: str, name: str, file: Path, size: Size) -> Path:
    """Import a file as a batch, let everybody work, freeze it, export it; the directory of the export."""
    out, place = folder / name, ("--data", folder / "label")
    if (out / "manifest.json").exists():
        return out
    overlap = ("--overlap", 1, "--shared", 0.2, "--shared-overlap", 3)
    assent("label", "import", file, "--name", name, "--guideline", 1, *overlap, *place)
    assent("label", "simulate", file, "--url", url, "--labelers", size.labelers, **{KEY: key})
    assent("label", "freeze", name, *place)
    assent("label", "export", name, "--output", out, *place)
    return out


def kept_key(folder: Path) -> str:
    """The key with which labelers are invited; the simulated ones sign in by it, so it stays the same."""
    path = folder / "key"
    if not path.exists():
        made = assent("label", "key", "ring", "--scopes", "people", "--data", folder / "label").strip()
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(made)
    return path.read_text()


def ring(folder: Path, size: Size) -> dict[str, object]:
    """All of it; what came out."""
    world, place = folder / "world", ("--data", folder / "label")
    if not world.exists():
        assent("sandbox", "--output", world, "--documents", 200, "--prompts", 1000, "--demonstrations", 10)
    asked = list(records.read(world / "prompts.jsonl", records.Prompt))
    records.write(folder / "write.jsonl", asked[: size.prompts])
    records.write(folder / "sample.jsonl", asked[size.prompts : size.prompts + size.rank])
    with served(folder / "label") as url:
        key = kept_key(folder)
        writing = labeled(folder, url, key, "writing", folder / "write.jsonl", size)
        demonstrations = writing / "demonstrations.jsonl"
        recipe = ("--recipe", "sandbox", "--quiet")
        assent("sft", *recipe, "--model", sandbox.BASE, "--data", demonstrations, "--run", folder / "sft")
        model, samples = folder / "sft" / "model", folder / "samples"
        many = ("--answering.responses", size.responses, "--answering.limits.response", 64)
        sampled = ("--model", model, "--prompts", folder / "sample.jsonl", "--name", "sft")
        assent("sample", *sampled, *many, "--run", samples, "--quiet")
        ranking = labeled(folder, url, key, "ranking", samples / "samples.jsonl", size)
    rankings = ranking / "rankings.jsonl"
    learned = ("--model", model, "--data", rankings, "--demonstrations", demonstrations, "--run", folder / "reward")
    assent("reward", *recipe, *learned)
    assent("label", "verify", *place)
    return {
        "demonstrations": len(list(records.read(demonstrations, Demonstration))),
        "rankings": len(list(records.read(rankings, Ranking))),
        "sft": (folder / "sft" / "results.json").exists(),
        "reward": (folder / "reward" / "model" / "config.json").exists(),
    }


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--prompts", type=int, default=80)
    parser.add_argument("--rank", type=int, default=60)
    parser.add_argument("--responses", type=int, default=4)
    parser.add_argument("--labelers", type=int, default=8)
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    size = Size(chosen.prompts, chosen.rank, chosen.responses, chosen.labelers)
    print(json.dumps(ring(chosen.folder, size), indent=1))


if __name__ == "__main__":
    main()
