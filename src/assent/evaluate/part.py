"""A run directory as it is read for a report, in whatever state it is: running, killed in mid-line, finished."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assent.run import RunError

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Part:
    """A run directory as the page shows it. notes: what about it cannot be read, or is not there yet."""

    name: str
    directory: Path
    info: dict[str, Any]
    metrics: Rows
    samples: Rows
    rejected: Rows
    results: dict[str, Any]
    notes: list[str] = field(default_factory=list[str])

    @classmethod
    def read(cls, directory: Path) -> "Part":
        """Read a run directory. Raises RunError when it is none."""
        notes: list[str] = []
        info = _object(directory / "run.json", notes)
        if "step" not in info:
            raise RunError(f"{directory} is not a run directory: it has no readable run.json; name what --run created")
        files = (_lines(directory / f"{name}.jsonl", notes) for name in ("metrics", "samples", "rejected"))
        metrics, samples, rejected = files
        if info.get("status") != "finished":
            notes.append(f"not finished: its status is {info.get('status')!r}; the same command goes on with it")
        results = _object(directory / "results.json", notes)
        return cls(directory.name, directory, info, metrics, samples, rejected, results, notes)

    def series(self, name: str) -> tuple[list[float], list[float]]:
        """Steps and values of a metric, where it was logged."""
        rows = [(row["step"], row[name]) for row in self.metrics if isinstance(row.get(name), int | float)]
        return [step for step, _ in rows], [value for _, value in rows]

    @property
    def metric_names(self) -> list[str]:
        """What was logged, in the order in which it first appeared."""
        return list(dict.fromkeys(name for row in self.metrics for name in row if name != "step"))


def _object(path: Path, notes: list[str]) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else {}
    except ValueError as error:
        notes.append(f"{path.name} cannot be read ({error})")
        return {}


def _lines(path: Path, notes: list[str]) -> Rows:
    """The objects of a JSONL file; lines that are none, such as a last one half written, are noted."""
    rows: Rows = []
    broken: list[int] = []
    for number, line in enumerate(path.read_bytes().splitlines() if path.exists() else [], start=1):
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if isinstance(row, dict):
            rows.append(row)
        else:
            broken.append(number)
    if broken:
        notes.append(f"{path.name}: {len(broken)} lines cannot be read, the first is line {broken[0]}; left out here")
    return rows
