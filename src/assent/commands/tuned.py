"""The parts of `assent evaluate` that are about tuning: what it cost elsewhere, and how far it should go."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assent.commands import Files
from assent.commands.people import Part, tell
from assent.evaluate import frontier, frontier_grids, grids, tax
from assent.run import Run, RunError


@dataclass(frozen=True, kw_only=True)
class Tuned(Part):
    """Pairs of evaluations, and PPO runs with what their answers are worth."""

    tax: tuple[str, ...] = ()
    """Two evaluations, before and after: run directories, or RUN#MODEL where one holds several models."""
    frontier: Files = ()
    """Run directories of PPO: reward against KL along their checkpoints."""
    best_of: Path | None = None
    """A run of `assent sample` with several responses to a prompt, or a file of samples: the best of n by --proxy."""
    proxy: str = ""
    """The reward model that training saw."""
    gold: str = ""
    """A better one that it did not see: what answers are worth, and the fit of over-optimisation."""

    def taxed(self, run: Run) -> None:
        """What one model gained and lost against the other."""
        if len(self.tax) != 2:
            raise RunError(f"--tax: {len(self.tax)} evaluations given; name two, the one before and the one after")
        before, after = (tax.Side.parse(one) for one in self.tax)
        found = tax.tax(before, after)
        self.done(run, "tax", found, *(side.directory / "results.json" for side in (before, after)))
        grids.show(tax.grids(found))
        tell(found["gaps"])

    def reach(self, run: Run) -> None:
        """Reward against KL."""
        scorers = frontier.Scorers.load(self.proxy, self.gold, self.machine)
        runs = [frontier.path(one, scorers, run, self.machine) for one in self.frontier]
        best: dict[str, Any] | None = None
        if self.best_of is not None:
            best = frontier.best_of([row for _, row in frontier.samples(self.best_of)], scorers)
        gaps = [gap for one in (*runs, *([best] if best else [])) for gap in one.pop("gaps")]
        found = {"runs": runs, "best_of": best, "proxy": self.proxy, "gold": self.gold, "gaps": gaps}
        read = [one / name for one in self.frontier for name in ("metrics.jsonl", "samples.jsonl")]
        read = [one for one in read if one.exists()] + ([self.best_of] if self.best_of else [])
        judges = [frontier.model_of(Path(one)) for one in (self.proxy, self.gold) if one]
        self.done(run, "reach", found, *read, *judges)
        grids.show(frontier_grids.grids(found))
        tell(gaps)
