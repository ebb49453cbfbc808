"""Kill the three steps with SIGKILL at random moments, start them again, and compare the bytes with a run left alone.

python scripts/kill.py --times 10
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

MACHINE = ["--machine.device", "cpu", "--machine.precision", "fp32", "--quiet"]


def words(verb: str, data: Path, run: Path, *more: str) -> list[str]:
    """The command line of a step on the data that `tests.tiny.write` wrote."""
    d = {name: str(data / f"{name}.jsonl") for name in ("prompts", "demonstrations", "rankings", "text")}
    judge = ["--data", d["rankings"], "--demonstrations", d["demonstrations"], "--validation", d["rankings"]]
    asked = ["--prompts", d["prompts"], "--pretraining", d["text"], "--validation", d["prompts"]]
    base, init = str(data / "pretrain" / "model"), str(data / "init" / "model")
    flags = {
        "pretrain": ["--text", d["text"]],
        "sft": ["--model", base, "--data", d["demonstrations"], "--validation", d["demonstrations"]],
        "init": ["--model", base, "--data", d["demonstrations"], "--pretraining", d["text"]],
        "reward": ["--model", str(data / "sft" / "model"), *judge],
        "crossvalidate": ["--model", str(data / "sft" / "model"), *judge],
        "ppo": ["--model", init, "--reward", str(data / "reward" / "model"), *asked],
    }
    config = ["--config", "tests.tiny:recipe", "--save-every", "3"]
    return [verb, *config, *flags[verb], "--run", str(run), *MACHINE, *more]


def call(arguments: list[str]) -> None:
    """Run a command line in this process."""
    from assent import cli

    old, sys.argv = sys.argv, ["assent", *arguments]
    try:
        cli.main()
    finally:
        sys.argv = old


def assent(verb: str, data: Path, run: Path, *more: str) -> None:
    """Run a step in this process."""
    call(words(verb, data, run, *more))


def survives(verb: str, data: Path, runs: Path, times: int, seed: int) -> int:
    """How many of `times` runs of a step, each killed once, end in the same bytes as the finished run in `data`."""
    from assent.run import digest

    dice, same = random.Random(seed), 0
    for number in range(times):
        run = runs / f"{verb}-{number}"
        arguments = words(verb, data, run)
        wait = dice.random()
        process = start(arguments)
        while not (run / "run.json").exists() and process.poll() is None:
            time.sleep(0.02)
        begun = len((data / verb / "metrics.jsonl").read_text().splitlines())
        goal = 1 + int(wait * begun)
        while process.poll() is None and steps(run) < goal:
            time.sleep(0.005)
        time.sleep(wait * 0.05)
        killed = process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
        at = steps(run)
        if start(arguments).wait() != 0:
            raise RuntimeError(f"{verb}: did not go on after it was killed")
        good = all(digest(run / part) == digest(data / verb / part) for part in ("model", "results.json"))
        how = f"killed in step {at} of {begun}" if killed else "had finished"
        print(f"{verb:7s} {number}: {how}: {'the same bytes' if good else 'DIFFERENT'}", flush=True)
        same += good
    return same


def start(arguments: list[str]) -> "subprocess.Popen[bytes]":
    """A step in a process of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "scripts.kill", "step", *arguments]
    return subprocess.Popen(command, cwd=ROOT, env=environment)


def steps(run: Path) -> int:
    """How many steps a run has logged."""
    log = run / "metrics.jsonl"
    return log.read_bytes().count(b"\n") if log.exists() else 0


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    import torch
    from tests import tiny

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        data = Path(temporary)
        tiny.write(data)
        for verb in ("pretrain", "sft", "init", "reward", "ppo"):
            assent(verb, data, data / verb)
        kept = {verb: survives(verb, data, data, asked.times, asked.seed) for verb in ("sft", "reward", "ppo")}
    print(", ".join(f"{verb}: {count} of {asked.times}" for verb, count in kept.items()))
    sys.exit(any(count < asked.times for count in kept.values()))


if __name__ == "__main__":
    if sys.argv[1:2] == ["step"]:  # one step, as the command line runs it
        call(sys.argv[2:])
    else:
        main()
