"""Where the time of some steps goes: a trace to look at, and the ten largest costs to read."""

from pathlib import Path
from typing import Any

import torch
from torch._C._profiler import _ExperimentalConfig  # pyright: ignore[reportPrivateUsage]
from torch.profiler import ProfilerActivity, profile

COSTS = 10


class Profile:
    """Called after every step: skips the first, which allocates and compiles, and watches as many as asked after it.

    Writes `trace.json` (for chrome://tracing or Perfetto) and `costs.txt` into `directory`, and prints the latter.
    """

    def __init__(self, directory: Path, steps: int) -> None:
        self.directory, self.steps = directory, steps
        self._done = 0
        self._watching: Any = None

    def __call__(self, last: bool) -> None:
        """A step has ended; `last`: it was the last one."""
        self._done += 1
        if self._watching is None and self._done == 1 and not last:
            on_gpu = [ProfilerActivity.CUDA] if torch.cuda.is_available() else []
            everywhere = _ExperimentalConfig(profile_all_threads=True)  # two models may learn side by side
            self._watching = profile(activities=[ProfilerActivity.CPU, *on_gpu], experimental_config=everywhere)
            self._watching.start()
        elif self._watching is not None and (last or self._done > self.steps):
            self._watching.stop()
            self._write(self._watching, self._done - 1)
            self._watching = None

    def _write(self, watched: Any, steps: int) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        watched.export_chrome_trace(str(self.directory / "trace.json"))
        text = costs(watched.key_averages(), steps)
        (self.directory / "costs.txt").write_text(text + "\n")
        print(f"{text}\n{self.directory / 'trace.json'}")


def costs(events: Any, steps: int) -> str:
    """The operations, or on a GPU the kernels, that took most of the time of their own, as a table."""
    on_gpu = any(one.self_device_time_total for one in events)
    spent = {one.key: one.self_device_time_total if on_gpu else one.self_cpu_time_total for one in events}
    calls = {one.key: one.count for one in events}
    total = sum(spent.values()) or 1.0
    lines = [f"{'ms a step':>10s}{'share':>8s}{'calls a step':>14s}  operation"]
    for name in sorted(spent, key=lambda name: -spent[name])[:COSTS]:
        milliseconds, share = spent[name] / steps / 1000, spent[name] / total
        lines.append(f"{milliseconds:10.2f}{share:8.1%}{calls[name] / steps:14.1f}  {name[:90]}")
    return "\n".join(lines)
