"""One self-contained page about some runs: what was run, from what, how it went, what came out. Opens offline.

Reads run directories and nothing else, whatever state they are in: running, killed in the middle of a line, finished.
"""

import contextlib
import csv
import io
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from assent.evaluate import grids
from assent.evaluate.cells import inert
from assent.evaluate.charts import charts, draw_time, drawn, headlines, seconds
from assent.evaluate.compared import side_by_side
from assent.evaluate.grids import FLAT, flat
from assent.evaluate.part import Part, Rows
from assent.evaluate.reach_charts import reach
from assent.evaluate.sections import KEYS, sections
from assent.evaluate.strips import strip
from assent.run import atomically

EXAMPLES = 3  # rejected rows shown for a reason
REASONS = 50  # reasons of a run
_ID, _NUMBER = re.compile(r"\(id [^)]*\)"), re.compile(r"\d+")
HEADLINES = (
    "claims",
    "frontier",
    "sweep",
    "overoptimisation",
    "best_of",
)  # results that stand at the top of the page, not in a table


def report(runs: Sequence[Path], output: Path) -> Path:
    """Write what `runs` hold to `output`: a page, or what its ending says: .json, .csv, .txt.

    Raises RunError when one of them is not a run directory.
    """
    parts = [Part.read(path) for path in runs]
    written = WRITERS.get(output.suffix, page)(parts, output)
    with atomically(output) as temporary:
        temporary.write_text(written, encoding="utf-8")
    return output


def tell(runs: Sequence[Path]) -> None:
    """Print the tables of the page in the terminal."""
    for section in sections([Part.read(path) for path in runs]):
        print(section.title, end="\n\n")
        shown = [block.grid for block in section.blocks]
        grids.show([replace(grid, title="") if grid.title == section.title else grid for grid in shown])


def page(parts: Sequence[Part], output: Path) -> str:
    """The page: the paper's claims where they were tested, its section 4, the runs, and samples side by side."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("assent.evaluate", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["show"] = show
    environment.filters["number"] = grids.number
    return environment.get_template("report.html.j2").render(
        parts=[_shown(part) for part in parts],
        sections=sections(parts),
        drawn=reach,
        strip=strip,
        link=partial(_link, output.parent),
        lineage=list(_lineage(parts)),
        time=drawn(lambda axes: draw_time(axes, parts)) if any(seconds(part) for part in parts) else None,
        claims=_claims(parts),
        headlines=[chart for part in parts for chart in headlines(part)],
        compared=side_by_side(parts),
        rejections={part.name: _rejections(part) for part in parts if part.rejected},
    )


def _claims(parts: Sequence[Part]) -> Rows:
    """The claims of all runs; what two runs say alike stands once."""
    rows = [row for part in parts for row in part.results.get("claims", [])]
    return [row for number, row in enumerate(rows) if row not in rows[:number]]


def _link(folder: Path, target: Path) -> str:
    """From the page to a file, wherever both are moved together."""
    return os.path.relpath(target, folder)


def _as_json(parts: Sequence[Part], _: Path) -> str:
    found = [
        {"section": section.title, "sources": [asdict(one) for one in block.sources], **asdict(block.grid)}
        for section in sections(parts)
        for block in section.blocks
    ]
    runs = [
        {"run": part.name, "directory": str(part.directory), **part.info, "results": part.results} for part in parts
    ]
    return json.dumps({"tables": found, "runs": runs}, indent=2, ensure_ascii=False, default=str) + "\n"


def _as_csv(parts: Sequence[Part], _: Path) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, FLAT, lineterminator="\n")
    writer.writeheader()
    for section in sections(parts):
        for block in section.blocks:
            rows = flat(block.grid, " ".join(one.run for one in block.sources), section.title)
            writer.writerows({name: inert(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def _as_text(parts: Sequence[Part], _: Path) -> str:
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        tell([part.directory for part in parts])
    return text.getvalue()


WRITERS: Mapping[str, Callable[[Sequence[Part], Path], str]] = {".json": _as_json, ".csv": _as_csv, ".txt": _as_text}


def _shown(part: Part) -> dict[str, Any]:
    results = {name: value for name, value in part.results.items() if name not in (*HEADLINES, *KEYS)}
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


def _rejections(part: Part) -> list[dict[str, Any]]:
    """Reasons with their counts, the most frequent; ids and numbers inside a reason do not make it another reason."""
    counts: Counter[str] = Counter()
    examples: dict[str, Rows] = {}
    for row in part.rejected:
        words = _ID.sub("(id ...)", _NUMBER.sub("N", str(row.get("reason", ""))))
        field = _NUMBER.sub("N", str(row.get("field", "")))
        reason = f"{field}: {words}" if field else words
        counts[reason] += 1
        if len(examples.setdefault(reason, [])) < EXAMPLES:
            examples[reason].append({name: str(value)[:200] for name, value in row.items() if name != "row"})
    shown = [{"reason": reason, "count": n, "examples": examples[reason]} for reason, n in counts.most_common(REASONS)]
    others = counts.most_common()[REASONS:]
    left = {"reason": f"{len(others)} other reasons", "count": sum(n for _, n in others), "examples": []}
    return [*shown, *([left] if others else [])]
