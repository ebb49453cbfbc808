"""One self-contained page about some runs: what was run, from what, how it went, what came out. Opens offline.

Reads run directories and nothing else, whatever state they are in: running, killed in the middle of a line, finished.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from assent.evaluate.charts import charts, draw_time, drawn, headlines, seconds
from assent.evaluate.part import Part, Rows
from assent.run import atomically

SAMPLES = 24  # prompts shown
EXAMPLES = 3  # rejected rows shown for a reason
HEADLINES = (
    "claims",
    "frontier",
    "sweep",
    "overoptimisation",
    "best_of",
)  # results that stand at the top of the page, not in a table


def report(runs: Sequence[Path], output: Path) -> Path:
    """Write the page about `runs` to `output`. Raises RunError when one of them is not a run directory."""
    import jinja2

    parts = [Part.read(path) for path in runs]
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("assent.evaluate", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["show"] = show
    page = environment.get_template("report.html.j2").render(
        parts=[_shown(part) for part in parts],
        lineage=list(_lineage(parts)),
        time=drawn(lambda axes: draw_time(axes, parts)) if any(seconds(part) for part in parts) else None,
        claims=[row for part in parts for row in part.results.get("claims", [])],
        headlines=[chart for part in parts for chart in headlines(part)],
        compared=_compared(parts),
        rejections={part.name: _rejections(part) for part in parts if part.rejected},
    )
    with atomically(output) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return output


def _shown(part: Part) -> dict[str, Any]:
    results = {name: value for name, value in part.results.items() if name not in HEADLINES}
    return {"run": part, "results": results, "charts": list(charts(part)), "config": dict(_flat(part.info["config"]))}


def show(value: Any) -> str:
    """A value as a reader wants it: numbers to four digits, everything else as it is."""
    if isinstance(value, bool) or not isinstance(value, float):
        return "" if value is None else str(value)
    return f"{value:,.0f}" if value.is_integer() and abs(value) < 1e15 else f"{value:.4g}"


# -- what lies in a run directory ----------------------------------------------------------------------------------


def _lineage(parts: Sequence[Part]) -> Iterator[dict[str, str]]:
    """What each run was made from; `run` where that is part of another run of the page."""
    homes = {part.directory.resolve(): part.name for part in parts}
    for part in parts:
        for name, parent in part.info.get("parents", {}).items():
            path = Path(parent["path"]).resolve()
            home = next((homes[place] for place in (path, *path.parents) if place in homes), "")
            yield {"child": part.name, "as": name, "path": parent["path"], "run": home, "sha": parent["sha256"][:12]}


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _flat(item, f"{prefix}.{name}" if prefix else name)
    else:
        yield prefix, value


def _compared(parts: Sequence[Part]) -> dict[str, Any] | None:
    """The last samples of every model, side by side by prompt; prompts that more models answered come first."""
    columns: dict[str, int] = {}
    prompts: dict[str, Any] = {}
    cells: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for part in parts:
        last = {row["policy"]: row["step"] for row in part.samples if {"policy", "step", "prompt"} <= row.keys()}
        for row in part.samples:
            if last.get(row.get("policy", "")) == row.get("step", -1):
                columns.setdefault(row["policy"], len(columns))
                identity = row["prompt"]["id"]
                prompts.setdefault(identity, row["prompt"])
                cells.setdefault(identity, {}).setdefault(row["policy"], []).extend(row["responses"])
    if not prompts:
        return None
    shown = sorted(prompts, key=lambda identity: -len(cells[identity]))[:SAMPLES]
    rows = [{"prompt": prompts[identity], "cells": cells[identity]} for identity in shown]
    return {"columns": list(columns), "rows": rows, "total": len(prompts)}


def _rejections(part: Part) -> list[dict[str, Any]]:
    """Reasons with their counts; numbers inside a reason do not make it another reason."""
    counts: Counter[str] = Counter()
    examples: dict[str, Rows] = {}
    for row in part.rejected:
        words = " ".join("N" if word.isdigit() else word for word in str(row.get("reason", "")).split())
        field = "".join("N" if letter.isdigit() else letter for letter in str(row.get("field", "")))
        reason = f"{field}: {words}" if field else words
        counts[reason] += 1
        if len(examples.setdefault(reason, [])) < EXAMPLES:
            examples[reason].append({name: str(value)[:200] for name, value in row.items() if name != "row"})
    return [{"reason": reason, "count": n, "examples": examples[reason]} for reason, n in counts.most_common()]
