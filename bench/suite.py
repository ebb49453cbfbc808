"""One job on one model: the sides take turns, so that what else the machine does falls on all of them alike."""

import datetime
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench import HOME
from bench.environments import environment, versions
from bench.limits import Limits, ceiling
from bench.peer.options import TUNED, shipped
from bench.results import compared
from bench.sides import Answer, Process, Side, SideError, ours, peer, unshared
from bench.work import JOBS, PROMPTS, SIZES

Rounds = dict[str, list[Answer]]
SAME_LOSS = 0.02  # how far first losses may be apart, relatively; bf16 was seen to make 0.001


class DifferentWorkError(RuntimeError):
    """The sides do not compute the same thing; a ratio would mean nothing."""


@dataclass(frozen=True)
class Flags:
    """How long to measure, on how many threads."""

    repeats: int
    seconds: float
    threads: int


def sides_of(job: str, model: str, threads: int, with_peer: bool) -> list[Side]:
    """The sides of a job, in the order of their turns."""
    found = [
        peer("peer", job, model, shipped(job), threads),
        peer("peer_tuned", job, model, TUNED[job, model], threads),
    ]
    own = [ours(job, model, threads)] + ([unshared(model, threads)] if job == "reward" else [])
    return (found if with_peer else []) + own


def rounds(sides: Sequence[Side], name: str, repeats: int, seconds: float, most: int) -> Rounds:
    """`repeats` repetitions of every side, after two single steps and one repetition that do not count.

    A repetition has so many steps that the slowest side takes about `seconds`, and at most `most` steps are done in
    all. A side that cannot run is said and left out.
    """
    running: dict[str, Process] = {}
    answers: Rounds = {}
    try:
        for side in sides:
            try:
                process = side.start(HOME / "logs" / f"{name}-{side.name}.log")
                running[side.name] = process
                answers[side.name] = [process.turn(1)]
            except SideError as error:
                print(f"{name}: {error}", flush=True)
        if not answers:
            return {}
        check_same_work(name, {side: found[0] for side, found in answers.items()})
        for side, process in running.items():
            answers[side].append(process.turn(1))  # the first was slowed down by all that is made only once
        slowest = max(found[1].seconds for found in answers.values())
        steps = max(1, min(round(seconds / slowest), (most - 2) // (repeats + 1)))
        for number in range(repeats + 1):
            for side, process in running.items():
                answers[side].append(process.turn(steps))
            if number:
                shown = "  ".join(f"{side} {found[-1].rate:.4g}" for side, found in answers.items())
                print(f"{name} {number}/{repeats}, {steps} steps: {shown}", flush=True)
    finally:
        for process in running.values():
            process.stop()
    return {side: found[3:] for side, found in answers.items()}


def check_same_work(name: str, first: Mapping[str, Answer]) -> None:
    """The first step of every side starts from the same weights: as shipped, the peer sees our tokens and our loss.

    (Tuned, its batches may be others.) Raises DifferentWorkError when the two sides do not do the same work.
    """
    if "peer" not in first or "ours" not in first:
        return
    mine, theirs = first["ours"], first["peer"]
    if mine.loss is None or theirs.loss is None:  # what is sampled is not the same on both sides
        return
    if mine.items != theirs.items or abs(mine.loss / theirs.loss - 1) > SAME_LOSS:
        raise DifferentWorkError(
            f"{name}: the first step is not the same: ours {mine.items:g} items with loss {mine.loss:.4f}, the peer's "
            f"{theirs.items:g} with {theirs.loss:.4f}. Delete .bench/assets, or see what changed on either side"
        )


def measure_limits(threads: int) -> Limits:
    """The machine's limits, measured in a process of its own."""
    command = (sys.executable, "-m", "bench.limits")
    done = subprocess.run(command, env=environment(threads), stdout=subprocess.PIPE, text=True, check=True)
    return Limits(**json.loads(done.stdout))


def run(job: str, model: str, limits: Limits, flags: Flags, with_peer: bool) -> dict[str, Any] | None:
    """A row of the results; None when not even our side ran."""
    name, what = f"{job}-{model}", JOBS[job]
    sides = sides_of(job, model, flags.threads, with_peer)
    found = rounds(sides, name, flags.repeats, flags.seconds, what.steps)
    if "ours" not in found:
        return None
    answered = sum(one.tokens for one in found["ours"]) / sum(one.steps * PROMPTS for one in found["ours"])
    return {
        "job": job,
        "model": model,
        "unit": what.unit,
        **compared(found, ceiling(job, SIZES[model], limits, answered)),
        "tuning": TUNED[job, model].differences(shipped(job)),
        "repeats": flags.repeats,
        "steps": found["ours"][0].steps,
        "threads": flags.threads,
        "versions": versions(),
        "date": datetime.date.today().isoformat(),
    }
