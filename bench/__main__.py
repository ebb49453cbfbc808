"""`python -m bench`: Assent beside TRL, each job on each model; prints a table and writes `bench/results.json`.

python -m bench [--jobs sft,reward] [--models 3m] [--repeats 5] [--seconds 6] [--threads N] [--no-peer] [--tune]
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from bench import HOME, environments, results, suite, tune
from bench.work import JOBS, SIZES

RESULTS = Path(__file__).parent / "results.json"


def listed(known: dict[str, object]) -> "type[list[str]]":
    """A parser of comma-separated names."""

    def parse(text: str) -> list[str]:
        for name in text.split(","):
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name} is not one of {', '.join(known)}")
        return text.split(",")

    return parse  # type: ignore[return-value]


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--jobs", type=listed(dict(JOBS)), default=list(JOBS))
    parser.add_argument("--models", type=listed(dict(SIZES)), default=list(SIZES))
    parser.add_argument("--repeats", type=int, default=5, help="repetitions of every side")
    parser.add_argument("--seconds", type=float, default=8.0, help="about what the slowest side takes for one")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--no-peer", action="store_true", help="our side and the limits only")
    parser.add_argument("--tune", action="store_true", help="find the peer's best options instead, and print them")
    return parser.parse_args()


def main() -> None:
    """Set up, measure, write."""
    asked = arguments()
    HOME.mkdir(exist_ok=True)
    flags = suite.Flags(asked.repeats, asked.seconds, asked.threads)
    with_peer = not asked.no_peer
    try:
        if with_peer:
            environments.prepare()
    except environments.NoPeerError as error:
        print(error)
        with_peer = False
    command = (sys.executable, "-m", "bench.assets")
    subprocess.run(command, env=environments.environment(flags.threads), check=True)
    if asked.tune:
        tune.run(asked.jobs, asked.models, flags)
        return
    limits = suite.measure_limits(flags.threads)
    for job in asked.jobs:
        for model in asked.models:
            if row := suite.run(job, model, limits, flags, with_peer):
                results.save(RESULTS, [row])
    rows = results.save(RESULTS, [])
    print(f"{results.table(rows)}\n{results.notes(rows)}")


if __name__ == "__main__":
    main()
