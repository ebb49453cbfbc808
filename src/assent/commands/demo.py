"""The verbs of the sandbox: the whole method in minutes, and the world's data and base model made anew."""

import json
import os
import resource
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from assent import recipes, records
from assent.demo.evaluation import results
from assent.demo.perform import perform
from assent.demo.ring import WORLD, Plan, Ring, seeded
from assent.demo.stages import STAGES
from assent.engine.machine import Machine
from assent.evaluate import report
from assent.sandbox import corpus, instructions
from assent.sandbox.labelers import Labelers
from assent.sandbox.world import World

SHOWN = ("records", "sft", "init", "reward", "ppo", "ppo_ptx", "gold", "comparison")  # in the report


@dataclass(frozen=True, kw_only=True)
class Demo:
    """Run the whole method in the sandbox and hold what comes out against the paper's claims."""

    run: Path = Path("runs/demo")
    """The same command goes on where a killed demo stopped."""
    plan: Plan = Plan()
    workers: int = 0
    """Stages performed side by side, one thread each; 0 is one a processor core."""
    machine: Machine = Machine(tokens=4096, cache_tokens=32_768)

    def start(self) -> None:
        """Run the verb."""
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        ring = Ring(self.run, self.plan, seeded(recipes.sandbox(), self.plan.seed), self.machine)
        workers = self.workers or min(len(os.sched_getaffinity(0)), 8)
        start = time.monotonic()
        columns = (TextColumn("{task.description:32s}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        told: set[str] = set()
        with Progress(*columns) as progress:
            task = progress.add_task("starting", total=len(STAGES))

            def show(running: list[str], seconds: dict[str, float]) -> None:
                for name in seconds.keys() - told:
                    progress.console.print(f"  {name:16s} {seconds[name]:6.1f} s")
                told.update(seconds)
                progress.update(task, completed=len(seconds), description=", ".join(running) or "done")

            seconds = perform(ring, workers, show)
        found = summary(ring, seconds, time.monotonic() - start, workers)
        (self.run / "summary.json").write_text(json.dumps(found, indent=1) + "\n")
        shown = [ring.at(name) for name in (*SHOWN, *(name for name in STAGES if name.startswith("answers")))]
        page = report.report(shown, self.run / "report.html")
        wide = None if sys.stdout.isatty() else 150
        Console(width=wide).print(claims_table(results(ring.at("comparison"))["claims"]))
        print(f"\nin {found['seconds']['total']:.0f} s, at most {found['peak_rss_mb']:.0f} MB\n{page}")
        print(f"assent chat --model {ring.model('ppo_ptx')}   talks to the result")


def summary(ring: Ring, seconds: dict[str, float], total: float, workers: int) -> dict[str, Any]:
    """What summary.json holds; numbers with an interval are [low, value, high]."""
    kept = results(ring.at("comparison"))
    del kept["claims"], kept["frontier"], kept["seconds"], kept["peak_rss_mb"]
    evaluate = sum(value for name, value in seconds.items() if name.startswith(("answers", "panel", "comparison")))
    timed = {name: seconds[name] for name in ("sft", "init", "reward", "ppo", "ppo_ptx", "gold")}
    peak = max(results(ring.at(name))["peak_rss_mb"] for name in STAGES)
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    return {
        "plan": asdict(ring.plan),
        "seconds": {**timed, "evaluate": evaluate, "total": total, "stages": seconds},
        "peak_rss_mb": round(own + workers * peak, 1),  # an upper bound: all workers at the largest stage
        **kept,
    }


def claims_table(rows: list[dict[str, Any]]) -> Any:
    """The paper and here, side by side."""
    from rich.table import Table

    table = Table("claim", "paper", "here (95 % interval)", "", title="The paper's claims in the sandbox")
    for row in rows:
        colour = {"holds": "green", "does not hold": "red"}.get(row["holds"], "white")
        table.add_row(row["claim"], row["paper"], row["here"], f"[{colour}]{row['holds']}[/]")
    return table


@dataclass(frozen=True, kw_only=True)
class Sandbox:
    """Write the world's records for one's own experiments: corpus, prompts, demonstrations by simulated labelers."""

    output: Path
    """A new directory for corpus, heldout, prompts, test and demonstrations, each as .jsonl."""
    world: int = WORLD
    """The seed of the world; the base model that ships with Assent has read about 0."""
    documents: int = 40_000
    prompts: int = 9_000
    demonstrations: int = 1_000

    def start(self) -> None:
        """Run the verb."""
        if self.output.exists():
            raise ValueError(f"--output: {self.output} exists; choose a new directory, nothing is overwritten")
        world, labelers = World.make(self.world), Labelers.make(self.world)
        asked = instructions.prompts(world, "train", self.prompts)
        kinds = {
            "corpus": corpus.documents(world, "train", self.documents),
            "heldout": corpus.documents(world, "heldout", self.documents // 20),
            "prompts": asked,
            "test": instructions.prompts(world, "test", self.prompts // 8),
            "demonstrations": [labelers.demonstrate(prompt) for prompt in asked[: self.demonstrations]],
        }
        for name, rows in kinds.items():
            print(f"{records.write(self.output / f'{name}.jsonl', rows):7d}  {self.output / name}.jsonl")
