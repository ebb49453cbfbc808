"""`python -m bench --tune`: which of the peer's own options serve it best here; `peer/options.py` keeps the winners.

Each choice of the grid in a process of its own, one after the other. Items a second decide on a machine that does
nothing else; on one that does, items a second of processor time, with `--threads 1`.
"""

import json
import statistics
from collections.abc import Sequence

from bench import HOME
from bench.peer.options import TUNED, grid, shipped
from bench.results import median_rate
from bench.sides import peer
from bench.suite import Flags, rounds
from bench.work import JOBS


def run(jobs: Sequence[str], models: Sequence[str], flags: Flags) -> None:
    """Try the grid of every job on every model; print the choices, the fastest first."""
    for job in jobs:
        for model in models:
            name = f"tune-{job}-{model}"
            found: dict[str, list[float]] = {}
            for options in [shipped(job), *grid(job)]:
                words = options.differences(shipped(job)) or "as shipped"
                side = peer("tried", job, model, options, flags.threads)
                if answers := rounds([side], name, flags.repeats, flags.seconds, JOBS[job].steps).get("tried"):
                    found[words] = [median_rate(answers), statistics.median(one.items / one.cpu for one in answers)]
            print(f"{job}, {model}: {JOBS[job].unit}, and per second of processor time")
            print(f"in use: {TUNED[job, model].differences(shipped(job))}")
            for words, (rate, per_cpu) in sorted(found.items(), key=lambda row: -row[1][0]):
                print(f"  {rate:10.4g} {per_cpu:10.4g}  {words}", flush=True)
            (HOME / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")
