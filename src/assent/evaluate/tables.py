"""An evaluation as people and programs read it: in the run directory, and as a table in the terminal.

The run directory holds everything: `results.json` (numbers, gaps, files), `results.csv`, `outputs/MODEL/TASK.jsonl`
(samples as records), `samples.jsonl` (the first of them, for the report), `rejected.jsonl`, and `cache/`.
"""

import csv
import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from assent import records
from assent.evaluate.answerers import Answerer
from assent.evaluate.evaluation import Gap, Read, Table
from assent.evaluate.measure import Result
from assent.evaluate.tasks.table14 import MODELS
from assent.run import Run, atomically

SHOWN = 4  # samples of each task and prompt type in the report
PAPER = {f"paper {name}": name for name in MODELS}


def to_row(result: Result) -> dict[str, Any]:
    """A result as a flat row with the same columns whatever the task."""
    row = dataclasses.asdict(result)
    del row["paper"]
    return row | {column: (result.paper or {}).get(name) for column, name in PAPER.items()}


def from_row(row: dict[str, Any]) -> Result:
    """The result that `to_row` wrote."""
    paper = {name: row[column] for column, name in PAPER.items() if row.get(column)}
    fields = {one.name: row[one.name] for one in dataclasses.fields(Result) if one.name in row}
    return Result(**fields, paper=paper or None)


def write(run: Run, read: Read, table: Table, models: Sequence[Answerer]) -> list[Result]:
    """Everything into the run directory; numbers of models and tasks that were not evaluated now are kept."""
    old = _results(run.directory / "results.json")
    new = {(row.model, row.task) for row in table.results}
    kept = [one for one in map(from_row, old.get("evaluation", [])) if (one.model, one.task) not in new]
    rows = [*kept, *table.results]
    names = {model.name: {"model": model.name, "path": model.path, "hash": model.key[:16]} for model in models}
    files = {(row["task"], row["file"]): row for row in [*old.get("files", []), *read.files]}
    values = {
        "evaluation": [to_row(row) for row in rows],
        "instruments": table.checks or old.get("instruments", []),
        "gaps": [dataclasses.asdict(gap) for gap in table.gaps],
        "files": list(files.values()),
        "models": list(({row["model"]: row for row in old.get("models", [])} | names).values()),
    }
    run.results(values)
    run.reject(dataclasses.asdict(row) for row in read.rejected)
    _write_csv(run.directory / "results.csv", values["evaluation"])
    _write_samples(run)
    return rows


def _results(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    with atomically(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        columns = list(rows[0]) if rows else ["task"]
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        for row in rows:
            writer.writerow(
                {name: " ".join(map(str, one)) if isinstance(one, list) else one for name, one in row.items()}
            )


def _write_samples(run: Run) -> None:
    """The first samples of every task and prompt type, of all models that were ever evaluated here."""
    (run.directory / "samples.jsonl").unlink(missing_ok=True)
    for folder in sorted((run.directory / "outputs").glob("*")):
        for path in sorted(folder.glob("*.jsonl")):
            rows = list(_first(records.read(path, records.Samples)))
            run.log_samples(0, rows[0].responses[0].policy, rows)


def _first(rows: Iterator[records.Samples]) -> Iterator[records.Samples]:
    seen: dict[str, int] = {}
    for row in rows:
        kind = row.prompt.id.rpartition("/")[0]
        seen[kind] = seen.get(kind, 0) + 1
        if seen[kind] <= SHOWN:
            yield row


# -- the terminal --------------------------------------------------------------------------------------------------


def show(rows: Sequence[Result], checks: Sequence[dict[str, Any]], gaps: Sequence[Gap]) -> None:
    """Print what stands for each task, of all models, beside the paper's; the instruments; and every gap."""
    models = list(dict.fromkeys(row.model for row in rows))
    lines: dict[tuple[str, str, str], dict[str, Result]] = {}
    for row in rows:
        if not row.subset and (row.headline or row.paper or row.task not in _with_headline(rows)):
            lines.setdefault((row.task, row.prompt, row.metric), {})[row.model] = row
    if lines:
        _print_grid(lines, models)
    for note in dict.fromkeys(f"{row.task}: {row.note}" for row in rows if row.note):
        print(f"* {note}")
    for row in checks:
        print(", ".join(f"{name} {value}" for name, value in row.items()))
    for gap in gaps:
        print(f"gap: {' '.join(filter(None, (gap.model, gap.task)))}: {gap.reason}")


def _with_headline(rows: Sequence[Result]) -> set[str]:
    return {row.task for row in rows if row.headline}


def _print_grid(lines: dict[tuple[str, str, str], dict[str, Result]], models: Sequence[str]) -> None:
    from rich.console import Console
    from rich.table import Table as Grid

    grid = Grid("task", "prompt", "metric", "n", *models, "paper GPT", "paper PPO-ptx", pad_edge=False, box=None)
    for column in grid.columns:
        column.no_wrap = True
    for (task, prompt, metric), cells in lines.items():
        one = next(iter(cells.values()))
        paper = [_three(one, name) for name in ("GPT", "PPO-ptx")]
        numbers = [_cell(cells.get(name)) for name in models]
        grid.add_row(f"{task}{'*' if one.note else ''}", prompt, metric, str(one.n), *numbers, *paper)
    Console(width=116 + 48 * len(models)).print(grid)  # the same wherever nobody sets a width


def _three(row: Result, model: str) -> str:
    return " ".join(f"{value:g}" for value in row.paper[model]) if row.paper else ""


def _cell(row: Result | None) -> str:
    if row is None:
        return "-"
    marks = [f"{n} {word}" for n, word in ((row.missing, "missing"), (row.cut, "cut"), (row.empty, "empty")) if n]
    missing = f" ({', '.join(marks)})" if marks else ""
    interval = f" [{row.low:.3g}, {row.high:.3g}]" if row.low is not None and row.high is not None else ""
    return f"{row.value:.3g}{interval}{missing}"
