"""`python -m bench --tune`: which of the peer's own options serve it best here; `peer/options.py` keeps the winners.

Each choice of the grid in a process of its own, one after the other, for `--repeats` single steps. Items a second
decide on a machine that does nothing else; on one that does, items a second of processor time with `--threads 1`.
"""

import json
import statistics
from collections.abc import Sequence

from bench import HOME
from bench.peer.options import TUNED, grid, shipped
from bench.results import median_rate
from bench.sides import Answer, Side, SideError, peer
from bench.suite import Flags
from bench.work import JOBS


def tried(side: Side, name: str, repeats: int) -> list[Answer]:
    """Single steps of one choice, after one that does not count; none when it cannot run here."""
    try:
        process = side.start(HOME / "logs" / f"{name}.log")
    except SideError as error:
        print(f"{name}: {error}", flush=True)
        return []
    try:
        process.turn(1)
        return [process.turn(1) for _ in range(repeats)]
    except SideError as error:
        print(f"{name}: {error}", flush=True)
        return []
    finally:
        process.stop()


def run(jobs: Sequence[str], models: Sequence[str], flags: Flags) -> None:
    """Try the grid of every job on every model; print the choices, the fastest first."""
    for job in jobs:
        for model in models:
            found: dict[str, list[float]] = {}
            for options in [shipped(job), *grid(job)]:
                side = peer("tried", job, model, options, flags.threads)
                if answers := tried(side, f"tune-{job}-{model}", flags.repeats):
                    per_cpu = statistics.median(one.items / one.cpu for one in answers)
                    words = options.differences(shipped(job)) or "as shipped"
                    found[words] = [median_rate(answers), per_cpu]
                    print(f"  {found[words][0]:10.4g} {per_cpu:10.4g}  {words}", flush=True)
            best = max(found, key=lambda words: found[words][0])
            print(f"{job}, {model}: {JOBS[job].unit}, and per second of processor time; best: {best}")
            print(f"  in use: {TUNED[job, model].differences(shipped(job))}", flush=True)
            (HOME / f"tune-{job}-{model}.json").write_text(json.dumps(found, indent=1) + "\n")
