"""A run whose steps wait for their turn, and what all of our processes begin with."""

import argparse
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from assent.engine.machine import keep_memory
from assent.run import Run, State
from bench.turns import Steps, Turns

Count = Callable[[int, Mapping[str, float]], tuple[float, int]]  # step and what it logs -> items and tokens of it


class TurnRun(Run):
    """A run as the command line opens it; each step waits until it is this process's turn, and is reported."""

    turns: Steps
    count: Count

    def steps(self, total: int, state: State) -> Iterator[int]:
        """The steps of the run, in turns."""
        for step in super().steps(total, state):
            self.turns.before()
            yield step
            self.turns.after()
        raise RuntimeError("the run came to its end before the driver did; its configuration is too short")

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Log as always; count."""
        for name, seconds in self._phases.items():
            self.turns.phase(name, seconds)
        super().log(step, metrics)
        self.turns.count(*self.count(step, metrics), metrics.get("loss"))


def in_turns(config: Any, train: Callable[[Run], None], count: Count) -> None:
    """Call a training function with a run in a temporary directory."""
    with tempfile.TemporaryDirectory() as temporary:
        run = TurnRun.open(Path(temporary), "bench", config, {}, save_every=10**9, quiet=True)
        assert isinstance(run, TurnRun)
        run.turns, run.count = Steps(Turns()), count
        with run:
            train(run)


def arguments() -> argparse.Namespace:
    """The size that is asked for; the process keeps its memory, as the command line does."""
    keep_memory()
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--shared", type=int, default=1)
    return parser.parse_args()
