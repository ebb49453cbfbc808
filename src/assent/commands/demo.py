"""The verbs of the sandbox: the whole method in minutes, and the world's data and base model made anew."""

import json
import os
import resource
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from assent import recipes, records
from assent.demo.claims import across, markdown
from assent.demo.evaluation import results
from assent.demo.experiments import EXPERIMENTS, LARGER
from assent.demo.perform import perform
from assent.demo.ring import WORLD, Plan, Ring, seeded
from assent.demo.stages import STAGES, Stage
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

        ring = Ring(self.run, self.plan, seeded(recipes.sandbox(), self.plan.seed), self.machine)
        workers = at_once(self.workers)
        start = time.monotonic()
        seconds = watched(ring, workers, STAGES)
        found = summary(ring, seconds, time.monotonic() - start, workers)
        (self.run / "summary.json").write_text(json.dumps(found, indent=1) + "\n")
        shown = [ring.at(name) for name in (*SHOWN, *(name for name in STAGES if name.startswith("answers")))]
        page = report.report(shown, self.run / "report.html")
        wide = None if sys.stdout.isatty() else 150
        Console(width=wide).print(claims_table(results(ring.at("comparison"))["claims"]))
        print(f"\nin {found['seconds']['total']:.0f} s, at most {found['peak_rss_mb']:.0f} MB\n{page}")
        print(f"assent chat --model {ring.model('ppo_ptx')}   talks to the result")


def at_once(workers: int) -> int:
    """How many stages are performed side by side; 0 is one a processor core."""
    return workers or min(len(os.sched_getaffinity(0)), 8)


def watched(ring: Ring, workers: int, stages: Mapping[str, Stage]) -> dict[str, float]:
    """Perform stages under a progress bar; the seconds of each."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:32s}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    told: set[str] = set()
    with Progress(*columns) as progress:
        task = progress.add_task("starting", total=len(stages))

        def show(running: list[str], seconds: dict[str, float]) -> None:
            for name in seconds.keys() - told:
                progress.console.print(f"  {name:24s} {seconds[name]:6.1f} s")
            told.update(seconds)
            progress.update(task, completed=len(seconds), description=", ".join(running) or "done")

        return perform(ring, workers, show, stages)


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

    columns = [name for name in rows[0] if name not in ("claim", "paper", "holds")]
    table = Table("claim", "paper", *columns, "", title="The paper's claims in the sandbox, with 95 % intervals")
    for row in rows:
        colour = {"holds": "green", "does not hold": "red"}.get(row["holds"], "white")
        table.add_row(row["claim"], row["paper"], *(row[name] for name in columns), f"[{colour}]{row['holds']}[/]")
    return table


@dataclass(frozen=True, kw_only=True)
class Claims:
    """Test the paper's claims as experiments over several seeds, and say in how many of them each holds."""

    run: Path = Path("runs/claims")
    """A directory a seed, and what became of the claims; the same command goes on where a killed one stopped."""
    seeds: tuple[int, ...] = (0, 1, 2)
    large: Path | None = None
    """A base model about ten times larger, if there is one; without it one is trained first (hours)."""
    plan: Plan = Plan()
    workers: int = 0
    """Stages performed side by side, one thread each; 0 is one a processor core."""
    machine: Machine = Machine(tokens=4096, cache_tokens=32_768)

    def start(self) -> None:
        """Run the verb."""
        from rich.console import Console

        if self.large is not None and not (self.large / "config.json").exists():
            raise ValueError(f"--large: {self.large} is no model directory (no config.json); leave it out to train one")
        workers = at_once(self.workers)
        tables: dict[int, list[dict[str, Any]]] = {}
        ring = Ring(self.run, self.plan, recipes.sandbox(), self.machine)
        if self.large is None:
            watched(ring, workers, LARGER)
        given = {**ring.given, "large": self.large or ring.model("large")}
        for seed in self.seeds:
            plan, recipe = replace(self.plan, seed=seed), seeded(recipes.sandbox(), seed)
            ring = Ring(self.run / f"seed-{seed}", plan, recipe, self.machine, given=given)
            watched(ring, workers, EXPERIMENTS)
            tables[seed] = [row for name in ("comparison", "gathered") for row in results(ring.at(name))["claims"]]
            report.report([ring.at(name) for name in ("gathered", *SHOWN, "overoptimised")], ring.at("report.html"))
        rows = across(tables)
        kept = self.run / "claims.json"
        kept.write_text(json.dumps(rows, indent=1) + "\n")
        kept.with_suffix(".md").write_text(markdown(rows))
        Console(width=None if sys.stdout.isatty() else 200).print(claims_table(rows))
        print(f"\n{kept}, beside it the same for a document; a report of each seed in seed-N/report.html")


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
