"""What run directories hold, in the order of the paper's section 4: tables, each with the command and file behind it.

Evaluations of several runs stand side by side: a model of one run is a column beside the models of another.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from assent.evaluate import frontier_grids, judge_grids, people_grids, reward_grids, task_grids, tax
from assent.evaluate.grids import Grid, words
from assent.evaluate.part import Part

PEOPLE, TAX, REACH, REWARD, JUDGES, BASIS = (
    "4.1 What people prefer",
    "4.2 Alignment tax",
    "Reward against KL",
    "Reward models",
    "4.1 What judges prefer",
    "What this rests on",
)
PUBLIC = tuple(name for name in task_grids.SECTIONS if name.startswith("4.2"))
PROBES = tuple(name for name in task_grids.SECTIONS if name not in PUBLIC)
ORDER = (PEOPLE, JUDGES, *PUBLIC, TAX, *PROBES, REACH, REWARD, BASIS)
KEYS = {  # of results.json that stand in these sections
    *("preference", "plan", "judges", "judge_sets", "evaluation", "instruments", "gaps", "files", "models"),
    *("reward_model", "tax", "reach", "made", "failed"),
}


@dataclass(frozen=True)
class Source:
    """Where a figure comes from: the run, the file and the key in it, the command, and what that read."""

    run: str
    file: Path
    key: str
    command: str = ""
    files: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True)
class Block:
    """A table with where it comes from; drawn: a run's results of which a chart is drawn beside it."""

    grid: Grid
    sources: tuple[Source, ...]
    drawn: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Section:
    """A part of the report."""

    title: str
    blocks: list[Block] = field(default_factory=list[Block])

    @property
    def anchor(self) -> str:
        """What links to it."""
        return "".join(letter if letter.isalnum() else "-" for letter in self.title.lower())


def sections(parts: Sequence[Part]) -> list[Section]:
    """The sections that some runs have something for."""
    made = {title: Section(title) for title in ORDER}
    for title, block in _blocks(parts):
        blocks = made[title].blocks
        if blocks and blocks[-1].grid == block.grid:  # the same of another run, such as what an instrument is worth
            block = replace(block, sources=(*blocks.pop().sources, *block.sources))
        blocks.append(block)
    return [section for section in made.values() if section.blocks]


def source(part: Part, key: str, made: str = "") -> Source:
    """Where results come from; made: the part of the evaluation that made them, where it has another name."""
    about = part.results.get("made", {}).get(made or key, {})
    command = about.get("command") or part.info.get("command", "")
    return Source(part.name, part.directory / "results.json", key, command, tuple(about.get("files", ())))


Tables = Callable[[Any], list[Grid]]
BY_KEY: Sequence[tuple[str, str, Tables]] = (
    ("preference", PEOPLE, people_grids.grids),
    ("plan", PEOPLE, lambda rows: [people_grids.plan(rows)]),
    ("judges", JUDGES, judge_grids.grids),
    ("tax", TAX, tax.grids),
    ("reward_model", REWARD, reward_grids.grids),
)


def _blocks(parts: Sequence[Part]) -> Iterator[tuple[str, Block]]:
    for part in parts:
        for key, title, tables in BY_KEY:
            if key in part.results:
                for grid in tables(part.results[key]):
                    yield title, Block(grid, (source(part, key),))
        if part.info["step"] == "crossvalidate" and part.results.get("models"):
            yield REWARD, Block(reward_grids.folds(part.results), (source(part, "own, held_out"),))
        if "reach" in part.results:
            for number, grid in enumerate(frontier_grids.grids(part.results["reach"])):
                yield REACH, Block(grid, (source(part, "reach"),), part.results["reach"] if number == 0 else None)
    yield from _tasks(parts)
    yield from _basis(parts)


def _tasks(parts: Sequence[Part]) -> Iterator[tuple[str, Block]]:
    """All models of all evaluations side by side; a name that two runs use says its run."""
    evaluated = [part for part in parts if part.results.get("evaluation")]
    names = Counter(name for part in evaluated for name in {row["model"] for row in part.results["evaluation"]})
    rows: list[dict[str, Any]] = []
    for part in evaluated:
        for row in part.results["evaluation"]:
            name = row["model"] if names[row["model"]] == 1 else f"{part.name}: {row['model']}"
            rows.append(row | {"model": name})
    for title, grid in task_grids.grids(rows):
        yield title, Block(grid, tuple(source(part, "evaluation") for part in evaluated))


def _basis(parts: Sequence[Part]) -> Iterator[tuple[str, Block]]:
    """Instruments, files and gaps."""
    for part in parts:
        if part.results.get("instruments"):
            yield (
                BASIS,
                Block(
                    task_grids.instruments(part.results["instruments"]), (source(part, "instruments", "evaluation"),)
                ),
            )
    gaps = [(part.name, *gap) for part in parts for gap in _gaps(part)]
    if gaps:
        cells = tuple(tuple(words(one) for one in gap) for gap in gaps)
        lacking = tuple(source(part, "gaps", "evaluation") for part in parts if any(_gaps(part)))
        yield BASIS, Block(Grid("What is missing, and why", ("run", "about", "reason"), cells), lacking)
    files = [(part.name, row) for part in parts for row in part.results.get("files", [])]
    if files:
        columns = ("run", "task", "rows", "items", "rejected", "unused", "why unused", "file")
        cells = tuple((words(run), *(words(row.get(name)) for name in columns[1:])) for run, row in files)
        reading = tuple(source(part, "files", "evaluation") for part in parts if part.results.get("files"))
        yield BASIS, Block(Grid("Files, and what became of their rows", columns, cells, folded=True), reading)


def _gaps(part: Part) -> Iterator[tuple[str, str]]:
    """Everything that was not done, of all parts of an evaluation."""
    for gap in part.results.get("gaps", []):
        yield " ".join(filter(None, (gap["model"], gap["task"]))) or "all", gap["reason"]
    for key in ("preference", "judges", "tax", "reach"):
        for reason in part.results.get(key, {}).get("gaps", []):
            yield key, reason
    for one in part.results.get("failed", []):
        yield one["part"], one["reason"]
