"""From repetitions to ratios, to the table and to `results.json`."""

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.sides import Answer
from bench.work import JOBS, SIZES

Row = dict[str, Any]
COLUMNS = (
    "job", "model", "unit", "peer", "tuned", "ours", "ratio", "(least, most)", "to tuned", "(least, most)", "of limit",
    "memory",
)  # fmt: skip


def median_rate(answers: Sequence[Answer]) -> float:
    """Items a second."""
    return statistics.median(answer.rate for answer in answers)


def ratios(ours: Sequence[Answer], theirs: Sequence[Answer]) -> tuple[float, float, float]:
    """How many times as fast ours is: median, least and most of the rounds, each within its own round."""
    found = sorted(mine.rate / other.rate for mine, other in zip(ours, theirs, strict=True))
    return statistics.median(found), found[0], found[-1]


def peak(answers: Sequence[Answer]) -> float:
    """MiB at most."""
    return max(answer.peak_mb for answer in answers)


def phases(answers: Sequence[Answer]) -> dict[str, float]:
    """Median seconds a step of each phase."""
    return {
        name: statistics.median(answer.phases.get(name, 0.0) / answer.steps for answer in answers)
        for name in answers[0].phases
    }


def compared(rounds: Mapping[str, Sequence[Answer]], limit: float) -> Row:
    """Our side against the others; None where a side is missing. `limit`: the most items a second."""
    ours = rounds["ours"]
    row: Row = {name: median_rate(found) for name, found in rounds.items()}
    for name, key in (("peer", "ratio"), ("peer_tuned", "ratio_tuned"), ("unshared", "ratio_unshared")):
        if name in rounds:
            row[key], *row[f"{key}_spread"] = ratios(ours, rounds[name])
        elif name != "unshared":
            row |= {name: None, key: None, f"{key}_spread": None}
    memory = {name: peak(found) for name, found in rounds.items()}
    row |= {"limit": limit, "limit_fraction": row["ours"] / limit, "memory_mb": memory}
    for name, key in (("peer", "memory_ratio"), ("peer_tuned", "memory_ratio_tuned")):
        row[key] = memory["ours"] / memory[name] if name in memory else None
    if found := {name: phases(answers) for name, answers in rounds.items() if phases(answers)}:
        row["phases_seconds"] = found
    return row


def merged(old: Sequence[Row], new: Sequence[Row]) -> list[Row]:
    """The rows of both, in order; a new row takes the place of the old one of its job and model."""
    rows = {(row["job"], row["model"]): row for row in (*old, *new)}
    jobs, models = list(JOBS), list(SIZES)
    return sorted(rows.values(), key=lambda row: (jobs.index(row["job"]), models.index(row["model"])))


def save(path: Path, new: Sequence[Row]) -> list[Row]:
    """Merge rows into a file; returns what it holds now."""
    rows = merged(json.loads(path.read_text()) if path.exists() else [], new)
    path.write_text(json.dumps(rows, indent=1, default=float) + "\n")
    return rows


# -- the table -----------------------------------------------------------------------------------------------------


def number(value: float | None) -> str:
    """Three digits that count."""
    return "-" if value is None else f"{float(f'{value:.3g}'):,.10g}"


def spread(values: Sequence[float] | None) -> str:
    """The least and the most."""
    return "" if values is None else f"({number(values[0])}, {number(values[1])})"


def lines(row: Row) -> list[list[str]]:
    """The cells of a row; of rankings a second line: against one forward for every response."""
    tuned = [number(row["ratio_tuned"]), spread(row["ratio_tuned_spread"])]
    cells = [row["job"], row["model"], row["unit"], *(number(row[side]) for side in ("peer", "peer_tuned", "ours"))]
    cells += [number(row["ratio"]), spread(row["ratio_spread"]), *tuned]
    cells += [f"{row['limit_fraction']:.0%}", number(row["memory_ratio"])]
    if "ratio_unshared" not in row:
        return [cells]
    own = ["", "", "  one forward a response", number(row["unshared"]), "", number(row["ours"])]
    return [cells, [*own, number(row["ratio_unshared"]), spread(row["ratio_unshared_spread"]), "", "", "", ""]]


def table(rows: Sequence[Row]) -> str:
    """All rows, in columns."""
    cells = [list(COLUMNS), *(line for row in rows for line in lines(row))]
    widths = [max(len(line[column]) for line in cells) for column in range(len(COLUMNS))]
    aligned = [
        [
            *(cell.ljust(width) for cell, width in zip(line[:3], widths[:3], strict=True)),
            *(cell.rjust(width) for cell, width in zip(line[3:], widths[3:], strict=True)),
        ]
        for line in cells
    ]
    return "\n".join("  ".join(line).rstrip() for line in aligned)


def notes(rows: Sequence[Row]) -> str:
    """What must be known beside the table."""
    said = [
        f"{row['job']} {row['model']}, {row['date']}: median of {row['repeats']} x {row['steps']} steps, "
        f"{row['threads']} threads; tuned: {row['tuning']}"
        for row in rows
    ]
    if any("wrapped" in row["tuning"] for row in rows):
        said.append("(wrapped: documents are cut into full rows and see what stands before them; ours never do)")
    return "\n".join(said)
