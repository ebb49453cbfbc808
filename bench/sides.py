"""The sides of a job as processes, seen from the driver: started, told how many steps to do, read."""

import json
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench import HOME, ROOT
from bench.environments import PYTHON, WITH_PPO, environment
from bench.peer.options import Options


class SideError(RuntimeError):
    """A side that died; says what it said last."""


@dataclass(frozen=True)
class Answer:
    """One repetition.

    cpu: seconds of all threads; peak_mb: MiB, of the whole life of the process; tokens: without padding, of decoding
    and PPO those of the responses; loss: of the first step; phases: seconds of the parts of its steps.
    """

    seconds: float
    cpu: float
    peak_mb: float
    steps: int
    items: float
    tokens: int
    loss: float | None = None
    phases: dict[str, float] = field(default_factory=dict[str, float])

    @property
    def rate(self) -> float:
        """Items a second."""
        return self.items / self.seconds


@dataclass(frozen=True)
class Side:
    """How a side is started."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str]

    def start(self, log: Path) -> "Process":
        """Start it and wait until it is ready."""
        return Process(self, log)


def ours(job: str, model: str, threads: int) -> Side:
    """Assent at its defaults."""
    command = (sys.executable, "-m", f"bench.ours.{job}", "--model", model)
    return Side("ours", command, environment(threads))


def unshared(model: str, threads: int) -> Side:
    """Assent with one forward for every response of a ranking."""
    command = (sys.executable, "-m", "bench.ours.reward", "--model", model, "--shared", "0")
    return Side("unshared", command, environment(threads))


def peer(name: str, job: str, model: str, options: Options, threads: int) -> Side:
    """The peer with some options."""
    command = (str(PYTHON), "-m", f"bench.peer.{job}", "--model", model, "--options", json.dumps(asdict(options)))
    return Side(name, command, environment(threads, *([WITH_PPO] if job == "ppo" else [])) | options.environment)


class Process:
    """A running side. It computes only between `turn` and its answer."""

    def __init__(self, side: Side, log: Path) -> None:
        self.side, self.log = side, log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w") as errors:
            self._process = subprocess.Popen(
                side.command, env=side.environment, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=errors, text=True,
            )  # fmt: skip
        self._read()

    def turn(self, steps: int) -> Answer:
        """One repetition."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{steps}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._died() from None
        return Answer(**self._read())

    def stop(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._died()
        return json.loads(line)

    def _died(self) -> SideError:
        self._process.wait()
        said = self.log.read_text(errors="replace").strip().splitlines()[-1:]
        where = self.log.relative_to(HOME.parent)
        return SideError(f"{self.side.name} stopped: {''.join(said) or 'it said nothing'} (all of it in {where})")
