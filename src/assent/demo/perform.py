"""Performing the stages: side by side where nothing stands between them, each in a process with one thread.

At this size one thread a process and two processes beat two threads; a stage that is alone gets all threads. A stage
whose run directory is finished is not performed again, and one that was killed goes on where it stood.
"""

import concurrent.futures
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from assent.demo.evaluation import results
from assent.demo.ring import Ring
from assent.demo.stages import STAGES, Stage
from assent.run import Run

Show = Callable[[list[str], dict[str, float]], None]  # which stages run, and the seconds of those that have finished


def perform(ring: Ring, workers: int, show: Show, stages: Mapping[str, Stage] = STAGES) -> dict[str, float]:
    """Perform every stage, at most `workers` at a time; the seconds each took.

    stages: another table is another method; its functions must be importable by name. Raises RuntimeError, naming the
    stage, when one fails.
    """
    seconds: dict[str, float] = {}
    running: dict[concurrent.futures.Future[float], str] = {}
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(workers, mp_context=context) as pool:
        while len(seconds) < len(stages):
            busy = {*seconds, *running.values()}
            ready = [name for name, stage in stages.items() if name not in busy and {*stage.needs} <= seconds.keys()]
            alone = len(ready) + len(running) == 1
            for name in ready[: workers - len(running)]:
                threads = workers if alone else 1
                running[pool.submit(stage_in_process, ring, name, stages[name], threads)] = name
            show(list(running.values()), seconds)
            done, _ = concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in done:
                name = running.pop(future)
                try:
                    seconds[name] = future.result()
                except Exception as error:
                    pool.shutdown(cancel_futures=True)
                    raise RuntimeError(f"stage {name!r} in {ring.at(name)}: {error}") from error
    show([], seconds)
    return seconds


def stage_in_process(ring: Ring, name: str, stage: Stage, threads: int = 1) -> float:
    """One stage; the seconds it took, also when it was performed earlier."""
    import torch

    torch.set_num_threads(threads)
    directory = ring.at(name)
    start = time.monotonic()
    parents: dict[str, Path] = {need: ring.at(need) / "run.json" for need in stage.needs}
    with Run.open(directory, name, stage.config(ring), parents, save_every=10, quiet=True) as run:
        if not run.finished:
            stage.work(ring, run)
            run.results({"seconds": round(time.monotonic() - start, 2), "peak_rss_mb": peak_rss_mb()})
        return results(directory)["seconds"]


def peak_rss_mb() -> float:
    """The largest memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
