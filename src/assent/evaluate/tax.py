"""The alignment tax (sections 3.5 and 4.2): what a model gained and lost against another, task by task.

Both were evaluated before; only their run directories are read. Differences are paired over items, and p values are
adjusted by Holm for all tasks of the table, so that a loss that chance explains is not called one.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assent.evaluate import metrics, tasks
from assent.evaluate.grids import Grid, interval, number, p_value, words
from assent.evaluate.made import results
from assent.evaluate.rows import Row, rounded, with_holm
from assent.evaluate.tasks.task import Task
from assent.run import RunError
from assent.statistics.paired import Change, corpus_change, mean_change

SIGNIFICANT = 0.05

Scores = Sequence[Mapping[str, Any]]  # of items, as `measure.scored` has them


@dataclass(frozen=True)
class Side:
    """A model of an evaluation: its name there, and what stands in results.json about it."""

    name: str
    directory: Path
    rows: Sequence[Mapping[str, Any]]

    @classmethod
    def parse(cls, given: str) -> "Side":
        """From RUN, or RUN#MODEL where several models were evaluated. Raises RunError for anything else."""
        place, _, name = given.partition("#")
        directory = Path(place)
        if not (directory / "run.json").exists():
            raise RunError(f"--tax: {place} is no run directory; name what `assent evaluate --run` wrote")
        rows = results(directory).get("evaluation", [])
        models = list(dict.fromkeys(row["model"] for row in rows))
        if name not in models and (name or len(models) != 1):
            known = ", ".join(f"{place}#{model}" for model in models) or "none: it holds no evaluation of models"
            raise RunError(f"--tax: {given!r} names no model; there are {known}")
        name = name or models[0]
        return cls(name, directory, [row for row in rows if row["model"] == name and not row["subset"]])

    def how(self, task: Task, kind: str) -> tuple[int, str] | None:
        """With how many examples a task was asked, and who scored it."""
        rows = (
            row for row in self.rows if (row["task"], row["prompt"], row["metric"]) == (task.name, kind, task.headline)
        )
        return next(((row["shots"], row["by"]) for row in rows), None)

    def scores(self, task: str) -> dict[tuple[str, str], Mapping[str, Any]]:
        """The scores of a task by prompt type and item; empty where there are none."""
        path = self.directory / "scores" / self.name.replace("/", "_") / f"{task}.jsonl"
        if not path.exists():
            return {}
        lines = path.read_text(encoding="utf-8").splitlines()
        return {(row["prompt"], row["item"]): row for row in map(json.loads, lines)}


def tax(before: Side, after: Side) -> Row:
    """Every task that both did, with what changed; what cannot be compared is a gap.

    Raises ValueError when no task can be compared.
    """
    gaps: list[str] = []
    found = [pair for task in _tasks(before, after) for pair in _task(task, before, after, gaps)]
    if not found:
        raise ValueError(f"--tax: no task can be compared; {'; '.join(gaps) or 'the runs share no task'}")
    rows = [row | {"verdict": _verdict(row)} for row in with_holm(found)]
    old, new = ({"model": side.name, "run": str(side.directory)} for side in (before, after))
    return {"before": old, "after": new, "rows": rows, "gaps": gaps}


def _tasks(before: Side, after: Side) -> list[str]:
    return list(dict.fromkeys(row["task"] for side in (before, after) for row in side.rows))


def _task(name: str, before: Side, after: Side, gaps: list[str]) -> Iterator[tuple[Row, float]]:
    """The headline of a task in every prompt type that both were asked in."""
    if name not in tasks.TASKS:
        gaps.append(f"{name}: no task of this version of Assent; evaluate both models again")
        return
    task = tasks.TASKS[name]
    old, new = before.scores(name), after.scores(name)
    for kind in dict.fromkeys(kind for kind, _ in (*old, *new)):
        shared = [key for key in old if key[0] == kind and key in new and _has(task, old[key]) and _has(task, new[key])]
        apart = sum(key[0] == kind for key in old.keys() ^ new.keys())
        if not shared:
            gaps.append(f"{name}, {kind}: no item has {task.headline} of both models")
            continue
        if before.how(task, kind) != after.how(task, kind):
            gaps.append(f"{name}, {kind}: asked with other examples, or scored by another; evaluate both alike")
            continue
        if apart:
            gaps.append(f"{name}, {kind}: {apart} items were answered by one model only; compared on {len(shared)}")
        yield _row(task, kind, [old[key] for key in shared], [new[key] for key in shared])
    if not old or not new:
        lacking = before.name if not old else after.name
        gaps.append(f"{name}: {lacking} has no scores of items; evaluate it on this task")


def _has(task: Task, row: Mapping[str, Any]) -> bool:
    return "bleu" in row if task.corpus else task.headline in row["scores"]


def _row(task: Task, kind: str, old: Scores, new: Scores) -> tuple[Row, float]:
    groups, scale = [row["group"] for row in old], 100 if task.percent else 1
    if task.corpus:
        first, second = ([row["bleu"] for row in rows] for rows in (old, new))
        ends = metrics.bleu_of(np.sum(first, axis=0)), metrics.bleu_of(np.sum(second, axis=0))
        change = corpus_change(first, second, groups, lambda sums: metrics.bleu_of(sums.astype(np.int64)))
    else:
        first, second = ([scale * row["scores"][task.headline] for row in rows] for rows in (old, new))
        ends = float(np.mean(first)), float(np.mean(second))
        change = mean_change(first, second, groups)
    place = {"task": task.name, "title": task.title, "prompt": kind, "metric": task.headline, "better": task.better}
    return place | {"before": rounded(ends[0]), "after": rounded(ends[1]), **_spread(change)}, change.p_value


def _spread(change: Change) -> Row:
    """The change with its interval; without one where every item changed alike, which shows no spread."""
    found = change.interval
    low, high = (None, None) if found.low == found.high else (rounded(found.low), rounded(found.high))
    ends = {"value": rounded(found.estimate), "low": low, "high": high}
    return ends | {"n": change.items, "groups": change.groups}


def _verdict(row: Row) -> str:
    """gained or lost where Holm's p value says that something changed; else nothing."""
    if row["p_holm"] is None or row["p_holm"] >= SIGNIFICANT or math.isclose(row["value"], 0):
        return ""
    return "gained" if (row["value"] > 0) == (row["better"] == "higher") else "lost"


def grids(found: Mapping[str, Any]) -> list[Grid]:
    """The table, what was gained first."""
    before, after = found["before"]["model"], found["after"]["model"]
    order = {"gained": 0, "": 1, "lost": 2}
    cells = tuple(
        (
            words(row["title"]),
            words(row["prompt"]),
            words(f"{row['metric']}{'' if row['better'] == 'higher' else ', lower is better'}"),
            words(number(row["before"])),
            words(number(row["after"])),
            interval(row),
            words(p_value(row["p_holm"])),
            words(row["verdict"], {"gained": "good", "lost": "bad"}.get(row["verdict"], "")),
            words(row["n"]),
        )
        for row in sorted(found["rows"], key=lambda row: order[row["verdict"]])
    )
    columns = ("task", "prompt", "metric", before, after, "change", "p (Holm)", "verdict", "items")
    count = {name: sum(row["verdict"] == name for row in found["rows"]) for name in order}
    note = (
        f"Gained {count['gained']}, lost {count['lost']}, no change shown {count['']}: paired over the same items, "
        f"95 % intervals over passages, Holm's correction for {len(found['rows'])} tests at 5 %."
    )
    return [Grid(f"Alignment tax: {after} after {before}", columns, cells, (note,), line=0.0)]
