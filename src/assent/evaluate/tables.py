"""An evaluation as people and programs read it: in the run directory, and as a table in the terminal.

The run directory holds everything: `results.json` (numbers, gaps, files), `results.csv`, `outputs/MODEL/TASK.jsonl`
(samples as records), `samples.jsonl` (the first of them, for the report), `rejected.jsonl`, and `cache/`.
"""

import csv
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from assent import records
from assent.evaluate import grids, task_grids
from assent.evaluate.answerers import Answerer
from assent.evaluate.cells import inert
from assent.evaluate.evaluation import Table
from assent.evaluate.made import results
from assent.evaluate.measure import Result
from assent.evaluate.sources import Read
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
    old = results(run.directory)
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
    _write_csv(run.directory / "results.csv", values["evaluation"])
    _write_samples(run)
    return rows


def _write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    with atomically(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        columns = list(rows[0]) if rows else ["task"]
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        for row in rows:
            writer.writerow(
                {name: inert(" ".join(map(str, one)) if isinstance(one, list) else one) for name, one in row.items()}
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


def show(rows: Sequence[Result], read: Read, table: Table, seconds: Mapping[str, float]) -> None:
    """Print what stands for each task, of all models, beside the paper's; the instruments; every row; and every gap."""
    values = [to_row(row) for row in rows]
    made = [grid for _, grid in task_grids.grids(values)]
    if table.checks:
        made.append(task_grids.instruments(table.checks))
    if read.files:
        made.append(task_grids.counted(read.files, values, seconds))
    grids.show(made)
    for gap in table.gaps:
        print(f"gap: {' '.join(filter(None, (gap.model, gap.task)))}: {gap.reason}")
