"""The tables of section 4.2 and 4.3: models on tasks, the paper's numbers beside them, and the instruments.

Rows are those of `evaluation` in results.json, so that a page can be made from a run directory alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from assent.evaluate import tasks
from assent.evaluate.grids import Cell, Grid, interval, words

Row = Mapping[str, Any]
SHOWN = ("GPT", "PPO-ptx")  # of the paper's models
MARKS = {  # counts that stand beside a number -> what they mean
    "missing": "without an answer, or without this number",
    "cut": "prompts lost their beginning, for want of positions",
    "empty": "answers say nothing; a model that is tuned to a chat template may answer texts with --prompting chat",
    "alike": "answers are the same words: read them before the number",
}
SECTIONS = {  # part of section 4 -> the tasks it is about
    "4.2 Truthfulness": ("truthful_qa", "truthful_qa_choice"),
    "4.2 Toxicity and bias": ("real_toxicity", "winogender", "crows_pairs"),
    "4.2 Public tasks": ("hellaswag", "wsc", "rte", "sst", "quac", "squad", "drop", "wmt_fr_en", "cnn_dm", "tldr"),
    "4.3 Probes": ("false_premise", "hedging", "constraints", "language", "refusal", "sycophancy", "code", "xstest"),
    "Beyond the paper": (),
}


def section(task: str) -> str:
    """The part of section 4 that a task belongs to."""
    return next((name for name, names in SECTIONS.items() if task in names), "Beyond the paper")


def grids(rows: Sequence[Row]) -> list[tuple[str, Grid]]:
    """What stands for each task, of all models, by part of section 4; every number is in results.csv."""
    rows = [row for row in rows if not row["subset"] and _stands(row, rows)]
    parts = {name: [row for row in rows if section(row["task"]) == name] for name in SECTIONS}
    return [(name, _grid(name, part)) for name, part in parts.items() if part]


def _stands(row: Row, rows: Sequence[Row]) -> bool:
    """Whether a number stands for its task: its headline, what the paper prints, or all where it has no headline."""
    return row["headline"] or _paper(row) or not any(one["headline"] for one in rows if one["task"] == row["task"])


def _paper(row: Row) -> bool:
    return any(row.get(f"paper {name}") for name in SHOWN)


def _grid(title: str, rows: Sequence[Row]) -> Grid:
    models = list(dict.fromkeys(row["model"] for row in rows))
    lines: dict[tuple[str, str, str, int], dict[str, Row]] = {}
    for row in rows:
        lines.setdefault((row["task"], row["prompt"], row["metric"], row["shots"]), {})[row["model"]] = row
    paper = [f"paper {name}" for name in SHOWN] if any(map(_paper, rows)) else []
    cells = tuple(tuple(_line(found, models, paper)) for found in lines.values())
    order = dict.fromkeys(row["task"] for row in rows)
    notes = [
        f"{tasks.TASKS[name].title if name in tasks.TASKS else name}: {note}"
        for name in order
        for note in dict.fromkeys(row["note"] for row in rows if row["task"] == name and row["note"])
    ]
    notes += [
        f"{name.capitalize()}: so many {meaning}."
        for name, meaning in MARKS.items()
        if any(row.get(name) for row in rows)
    ]
    if paper:
        notes.append("The paper's numbers are those of its models of 1.3B, 6B and 175B (Table 14), drawn as ticks.")
    columns = ("task", "prompt", "metric", "n", *models, *paper)
    return Grid(title, columns, cells, tuple(notes))


def _line(found: Mapping[str, Row], models: Sequence[str], paper: Sequence[str]) -> Iterator[Cell]:
    one = next(iter(found.values()))
    shots = f", {one['shots']} examples" if one["shots"] else ""
    yield words(f"{one['task']}{'*' if one['note'] else ''}")
    yield words(f"{one['prompt']}{shots}")
    yield words(one["metric"])
    yield words(max(row["n"] for row in found.values()))
    for name in models:
        yield _number(found[name]) if name in found else words("-", "soft")
    for name in paper:
        yield words(" ".join(f"{value:g}" for value in one.get(name) or ()), "soft")


def _number(row: Row) -> Cell:
    marks = [f"{row[name]} {name}" for name in MARKS if row.get(name)]
    cell = interval(row, text=f"({', '.join(marks)})" if marks else "")
    return replace(cell, ticks=tuple(value for name in SHOWN for value in row.get(f"paper {name}") or ()))


def counted(files: Sequence[Row], rows: Sequence[Row], seconds: Mapping[str, float]) -> Grid:
    """What became of every row of every file; seconds: of each task, of all models together."""
    cells: list[tuple[Cell, ...]] = []
    for file in files:
        asked: dict[str, int] = {}
        for row in rows:
            if row["task"] == file["task"] and not row["subset"]:
                asked[row["prompt"]] = max(asked.get(row["prompt"], 0), row["n"] + row["missing"])
        took = seconds.get(file["task"])
        cells.append(
            (
                words(file["task"]),
                *(words(file[name]) for name in ("rows", "items")),
                words(
                    "examples" if file.get("examples") else ", ".join(f"{n} {name}" for name, n in asked.items()) or "-"
                ),
                words(file["rejected"], "bad" if file["rejected"] else ""),
                words(file["unused"]),
                words(file["why unused"]),
                words("-" if took is None else f"{took:.0f}"),
            )
        )
    columns = ("task", "rows in file", "items", "asked, by prompt", "left out", "unused", "why unused", "seconds")
    notes = (
        "Items fewer than rows: several rows make one. Asked fewer than items: --limit, or the others are examples.",
    )
    return Grid("What became of every row", columns, tuple(cells), notes)


def instruments(rows: Sequence[Row]) -> Grid:
    """How far scorers and judges agree with people on labelled texts."""
    cells = tuple(
        (
            words(row["check"]),
            words(row["scorer"]),
            interval(row, "accuracy"),
            Cell(value=row["always the usual label"]),
            Cell(value=row["ranked above"]),
            words(row["n"]),
            words(row["missing"], "bad" if row["missing"] else ""),
        )
        for row in rows
    )
    columns = ("labelled texts", "instrument", "agrees", "always the usual label", "ranked above", "n", "missing")
    return Grid("How good the instruments are", columns, cells, axis=(0.0, 1.0))


def gaps(rows: Sequence[Row]) -> Grid:
    """What was not evaluated, and why."""
    cells = tuple((words(row["task"] or "all"), words(row["model"] or "all"), words(row["reason"])) for row in rows)
    return Grid("What is missing, and why", ("task", "model", "reason"), cells)
