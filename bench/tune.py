"""`python -m bench --tune`: which of the peer's own options serve it best here; `peer/options.py` keeps the winners.

One repetition at a time of each choice of the grid, in turns; the medians decide.
"""

import json
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
            choices = dict(enumerate([shipped(job), *grid(job)]))
            sides = [peer(f"{number}", job, model, one, flags.threads) for number, one in choices.items()]
            found = rounds(sides, f"tune-{job}-{model}", flags.repeats, flags.seconds, JOBS[job].steps)
            rates = {number: median_rate(found[f"{number}"]) for number in choices if f"{number}" in found}
            print(f"{job}, {model}: {JOBS[job].unit}; now in use: {TUNED[job, model].differences(shipped(job))}")
            for number in sorted(rates, key=lambda number: -rates[number]):
                print(f"  {rates[number]:10.4g}  {choices[number].differences(shipped(job)) or 'as shipped'}")
            kept = {choices[number].differences(shipped(job)): rate for number, rate in rates.items()}
            (HOME / f"tune-{job}-{model}.json").write_text(json.dumps(kept, indent=1) + "\n")
