"""A worker's end of its conversation with the driver: it waits for its turn, works, says how long it took.

The driver writes a number of steps on a line; the worker does that many and answers with one JSON line. An empty
input ends the worker. Everything that libraries print goes to the log (standard error).
"""

import json
import os
import resource
import sys
import time
from typing import Any


class Turns:
    """`start` waits for a turn, `end` reports it."""

    def __init__(self) -> None:
        sys.stdout.flush()
        self._answers = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)
        self._said_ready = False
        self.began = self.began_cpu = 0.0

    def start(self) -> int:
        """How many steps to do; the clock runs from here. Ends the process when there is no more to do."""
        if not self._said_ready:
            self._say({"ready": True})
            self._said_ready = True
        line = sys.stdin.readline()
        if not line:
            self._answers.close()
            os._exit(0)  # the trainers have things to do at their end that nobody waits for
        self.began, self.began_cpu = time.perf_counter(), time.process_time()
        return int(line)

    def end(self, **done: Any) -> None:
        """Report what was done (see `sides.Answer`)."""
        seconds, cpu = time.perf_counter() - self.began, time.process_time() - self.began_cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # MiB; of the whole life of the process
        self._say({"seconds": seconds, "cpu": cpu, "peak_mb": peak, **done})

    def _say(self, what: dict[str, Any]) -> None:
        print(json.dumps(what), file=self._answers, flush=True)


class Steps:
    """Turns of a training loop that somebody else runs: call `before` ahead of every step, `after` behind it."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.left = self.asked = 0
        self.items, self.tokens, self.losses, self.phases = 0.0, 0, list[float](), dict[str, float]()

    def before(self) -> None:
        """Wait when the steps of this turn are done."""
        if not self.left:
            self.items, self.tokens, self.losses, self.phases = 0.0, 0, [], {}
            self.left = self.asked = self.turns.start()

    def count(self, items: float, tokens: int, loss: float | None = None) -> None:
        """Note what a step was given: items, tokens without padding; `loss` of it."""
        self.items += items
        self.tokens += tokens
        if loss is not None:
            self.losses.append(loss)

    def phase(self, name: str, seconds: float) -> None:
        """Note how long a part of a step took."""
        self.phases[name] = self.phases.get(name, 0.0) + seconds

    def after(self) -> None:
        """Report when this was the last step of the turn."""
        self.left -= 1
        if not self.left:
            loss = self.losses[0] if self.losses else None
            self.turns.end(steps=self.asked, items=self.items, tokens=self.tokens, loss=loss, phases=self.phases)
