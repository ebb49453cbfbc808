"""How cost grows: `python -m bench.costs` measures time and peak memory of one update, one batch of samples or one PPO
iteration, moves one of K, prompt length, response length, batch and model size at a time, and fits `costmodel` to it.

Every point is measured in a process of its own (a fork of this one, which has loaded everything and computed
nothing), so that its peak memory is its own. Prints measured against modelled, writes `bench/costs.json` and
`docs/costs.png`.
"""

import argparse
import json
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from assent import records
from assent.engine.batches import RankingBatch, TextBatch
from assent.engine.encode import PromptItem
from assent.engine.generate import Key
from assent.engine.learner import Learner, Optimiser
from assent.engine.machine import Machine, keep_memory
from assent.engine.models import LanguageModel, ScalarModel
from assent.engine.text import Limits, quiet_transformers
from assent.run import Run
from assent.train import ppo
from assent.train.reward import ranked
from assent.train.rollout import Models
from assent.train.sft import next_token
from bench import HOME, ROOT
from bench.assets import create_model, create_tokenizer
from bench.corpus import prose
from bench.costmodel import JOBS, Measured, Point, fit, report
from bench.work import SIZES, VOCABULARY, Size

MODELS = HOME / "costs"
SHAPES = {"1.5m": Size(128, 512, 4, 4), "3m": SIZES["3m"], "9m": Size(320, 1024, 6, 5), "25m": SIZES["25m"]}
REPEATS, PASSES = 3, 2  # a point is measured in two processes that are minutes apart; the quicker one counts
MINIBATCHES = 4  # of a PPO iteration
RATE = Optimiser(learning_rate=1e-5)


def points() -> Iterator[Point]:
    """The base point of every job, and the points around it."""
    for job in JOBS:
        base = Point(job, "3m", SHAPES["3m"], batch=32 if job in ("decode", "ppo") else 16, prompt=64, response=64, k=4)
        yield base
        yield from (replace(base, prompt=length) for length in (16, 128, 256))
        yield from (replace(base, response=length) for length in (16, 32, 128, 192))
        yield from (replace(base, batch=number) for number in (base.batch // 2, base.batch * 2, base.batch * 4))
        yield from (replace(base, model=name, size=size) for name, size in SHAPES.items() if name != base.model)
        if job == "reward":
            yield from (replace(base, k=k) for k in (2, 6, 9))


# -- one point -----------------------------------------------------------------------------------------------------


def drawn(random: np.random.Generator, number: int, mean: int) -> list[Tensor]:
    """Token ids, from half to one and a half of the mean long; as many tokens in all as the mean says."""
    lengths = np.linspace(0.5, 1.5, number) * mean if number > 1 else np.array([mean])
    return [torch.tensor(random.integers(2, VOCABULARY, round(length))) for length in random.permutation(lengths)]


def update(point: Point) -> Callable[[], Any]:
    """An SFT update."""
    random = np.random.default_rng(0)
    prompts, responses = (drawn(random, point.batch, mean) for mean in (point.prompt, point.response))
    batch = TextBatch(tuple(prompts), tuple(responses))
    learner = Learner(LanguageModel.load(MODELS / point.model, Machine()), RATE, lambda update: 1.0)
    return lambda: (learner.backward(next_token, batch), learner.step())


def reward_update(point: Point) -> Callable[[], Any]:
    """A reward update; `batch` rankings."""
    random = np.random.default_rng(0)
    groups = [tuple(drawn(random, point.k, point.response)) for _ in range(point.batch)]
    ranks = tuple(torch.tensor(random.permutation(point.k) + 1) for _ in groups)
    batch = RankingBatch(tuple(drawn(random, point.batch, point.prompt)), tuple(groups), ranks)
    learner = Learner(ScalarModel.fresh(MODELS / point.model, Machine(), seed=0), RATE, lambda update: 1.0)
    return lambda: (learner.backward(partial(ranked, "pairs"), batch), learner.step())


def decoding(point: Point) -> Callable[[], Any]:
    """One response of exactly `response` tokens to each of `batch` prompts."""
    prompts = drawn(np.random.default_rng(0), point.batch, point.prompt)
    policy = LanguageModel.load(MODELS / point.model, Machine()).freeze()
    policy.text.end = -1  # nothing ends early
    return lambda: policy.sample(prompts, point.response, 1.0, Key(0, 0))


SIMPLE = {"sft": update, "reward": reward_update, "decode": decoding}


def seconds_of(work: Callable[[], Any]) -> float:
    """The least of some repetitions, after one that does not count: what else the machine does can only add."""
    times: list[float] = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times[1:])


def iteration(point: Point) -> float:
    """Seconds of a PPO iteration, by the phases that a run logs."""
    prompts = drawn(np.random.default_rng(0), point.batch, point.prompt)
    record = records.Prompt(id="one", messages=(records.Message("user", "any"),))
    config = ppo.PPOConfig(
        episodes=point.batch * (REPEATS + 1),
        batch=point.batch,
        minibatch=point.batch // MINIBATCHES,
        policy=RATE,
        value=RATE,
        pretrain_coef=0.0,
        limits=Limits(prompt=512, response=point.response, context=1024),
    )
    value, judge = (ScalarModel.fresh(MODELS / point.model, Machine(), seed=0) for _ in range(2))
    models = Models.start(LanguageModel.load(MODELS / point.model, Machine()), value, judge)
    with (
        tempfile.TemporaryDirectory() as temporary,
        Run.open(Path(temporary), "bench", config, {}, save_every=10**6, quiet=True) as run,
    ):
        ppo.train(config, run, models, [PromptItem(ids, record) for ids in prompts])
        steps = [[v for name, v in row.items() if name.startswith("seconds/")] for row in run.metrics()]
    return min(sum(phases) for phases in steps[1:])


def measure(point: Point) -> tuple[float, float]:
    """Seconds and peak MiB of a point."""
    keep_memory()
    seconds = iteration(point) if point.job == "ppo" else seconds_of(SIMPLE[point.job](point))
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def apart(point: Point) -> Measured:
    """Measure a point in a process of its own."""
    receive, send = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=lambda: send.send(measure(point)))
    process.start()
    send.close()
    try:
        seconds, peak = receive.recv()
    except EOFError:
        raise RuntimeError(f"{point} could not be measured; what it said stands above") from None
    finally:
        process.join()
    print(f"{seconds:8.3f} s {peak:7.0f} MiB  {point.words}", flush=True)
    return Measured(point, seconds, peak)


# -- all of them ---------------------------------------------------------------------------------------------------


def create_models() -> None:
    """The models of all shapes, once."""
    if (MODELS / "ready").exists():
        return
    text = prose()
    for name, size in SHAPES.items():
        create_tokenizer(text, MODELS / name)
        create_model(size, MODELS / name)
    (MODELS / "ready").touch()


def plot(measured: list[Measured], path: Path) -> None:
    """Time and memory of every job along every direction: dots as measured, lines as modelled."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    directions = ("prompt", "response", "batch", "parameters", "k")
    figure, axes = pyplot.subplots(len(JOBS), len(directions), figsize=(15, 10), squeeze=False)
    for line, (job, name) in zip(axes, JOBS.items(), strict=True):
        mine = [one for one in measured if one.point.job == job]
        fitted = fit(mine)
        for axis, direction in zip(line, directions, strict=True):
            shown = sorted(along(mine, direction), key=lambda one: one.point.along(direction))
            if len(shown) < 2:
                axis.set_axis_off()
                continue
            where = [one.point.along(direction) for one in shown]
            other = axis.twinx()
            for ax, colour, get, model in (
                (axis, "C0", lambda one: one.seconds, fitted.seconds),
                (other, "C1", lambda one: one.peak_mb, fitted.peak_mb),
            ):
                ax.plot(where, [get(one) for one in shown], "o", color=colour)
                ax.plot(where, [model(one.point) for one in shown], "-", color=colour)
                ax.set_ylim(bottom=0)
                ax.tick_params(axis="y", labelcolor=colour)
            axis.set_title(f"{name}: {direction}", fontsize=9)
    figure.suptitle("Seconds (blue, left) and peak MiB (orange, right); dots measured, lines modelled")
    figure.tight_layout()
    figure.savefig(path, dpi=70)


def along(measured: list[Measured], direction: str) -> list[Measured]:
    """The base point (the first) and those that differ from it in one direction."""
    return [one for one in measured if one.point.moved(measured[0].point) in (None, direction)]


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m bench.costs", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--jobs", type=lambda text: text.split(","), default=list(JOBS))
    parser.add_argument("--fit-only", action="store_true", help="fit again what bench/costs.json holds")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    asked = parser.parse_args()
    kept = ROOT / "bench" / "costs.json"
    if asked.fit_only:
        old = json.loads(kept.read_text())
        threads, measured = old["threads"], [Measured.of(row) for row in old["points"]]
    else:
        quiet_transformers()
        models = multiprocessing.get_context("fork").Process(target=create_models)  # this process computes nothing
        models.start()
        models.join()
        torch.set_num_threads(asked.threads)
        threads, measured = asked.threads, list[Measured]()
        wanted = [point for point in points() if point.job in asked.jobs]
        passes = [[apart(point) for point in wanted] for _ in range(PASSES)]
        measured = [min(found, key=lambda one: one.seconds) for found in zip(*passes, strict=True)]
    fits = {job: fit([one for one in measured if one.point.job == job]) for job in JOBS if job in asked.jobs}
    print(report(measured, fits))
    if set(asked.jobs) == set(JOBS):
        found: dict[str, Any] = {"threads": threads, "fits": {job: one.terms for job, one in fits.items()}}
        found["points"] = [{**asdict(one), "modelled": fits[one.point.job].both(one.point)} for one in measured]
        kept.write_text(json.dumps(found, indent=1) + "\n")
        plot(measured, ROOT / "docs" / "costs.png")


if __name__ == "__main__":
    main()
