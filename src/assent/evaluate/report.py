"""One self-contained page about some runs: what was run, from what, how it went, what came out. Opens offline.

Reads run directories and nothing else, whatever state they are in: running, killed in the middle of a line, finished.
"""

import io
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assent.run import RunError, atomically

SAMPLES = 24  # prompts shown
EXAMPLES = 3  # rejected rows shown for a reason
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
        time=_drawn(lambda axes: _draw_time(axes, parts)) if any(_seconds(part) for part in parts) else None,
        compared=_compared(parts),
        rejections={part.name: _rejections(part) for part in parts if part.rejected},
    )
    with atomically(output) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return output


def _shown(part: Part) -> dict[str, Any]:
    return {"run": part, "charts": list(_charts(part)), "config": dict(_flat(part.info["config"]))}


def show(value: Any) -> str:
    """A value as a reader wants it: numbers to four digits, everything else as it is."""
    if isinstance(value, bool) or not isinstance(value, float):
        return "" if value is None else str(value)
    return f"{value:,.0f}" if value.is_integer() and abs(value) < 1e15 else f"{value:.4g}"


# -- what lies in a run directory ----------------------------------------------------------------------------------


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


# -- charts --------------------------------------------------------------------------------------------------------

SMOOTHED = 12  # windows in a curve of many steps: thin line as logged, thick line averaged
QUIET = ("seconds/", "memory/")  # shown in the chart of time


def _charts(part: Part) -> Iterator[dict[str, Any]]:
    """The charts of one run: overviews first, then every metric that moves."""
    names = [name for name in part.metric_names if not name.startswith(QUIET)]
    if {"reward", "kl"} <= set(names):
        yield _chart("reward against KL", lambda axes: _draw_frontier(axes, part))
    norms = [name for name in ("gradient_norm/policy", "gradient_norm/pretrain") if name in names]
    if len(norms) == 2:
        yield _chart("gradient norms of both parts, before clipping", lambda axes: _draw_curves(axes, part, norms))
    table = part.results.get("calibration", {}).get("reliability")
    if table:
        yield _chart("reward model: sure against right", lambda axes: _draw_reliability(axes, table))
    for name in names:
        if name not in norms or len(norms) < 2:
            yield _chart(name, lambda axes, name=name: _draw_curves(axes, part, [name]))


def _chart(title: str, draw: Callable[[Any], None]) -> dict[str, Any]:
    return {"title": title, "svg": _drawn(draw)}


def _drawn(draw: Callable[[Any], None]) -> Any:
    """A figure as SVG to stand in the page; the same numbers give the same bytes."""
    import matplotlib
    from markupsafe import Markup
    from matplotlib.figure import Figure

    style: Any = {"svg.fonttype": "none", "svg.hashsalt": "assent", "text.parse_math": False, "font.size": 8}
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(4.2, 2.5), layout="constrained")
        axes = figure.subplots()
        axes.spines[["top", "right"]].set_visible(False)
        draw(axes)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    return Markup(text.getvalue().partition("<svg")[1] + text.getvalue().partition("<svg")[2])


def _draw_curves(axes: Any, part: Part, names: Sequence[str]) -> None:
    for number, name in enumerate(names):
        steps, values = part.series(name)
        many = len(values) > 4 * SMOOTHED
        marker = "o" if len(values) < 2 else None
        axes.plot(steps, values, color=f"C{number}", alpha=0.3 if many else 1, lw=1, marker=marker, label=name)
        if many:
            width = len(values) // SMOOTHED
            centres = range(width // 2, len(values) - width // 2)
            means = [sum(values[i - width // 2 : i + width // 2 + 1]) / (2 * (width // 2) + 1) for i in centres]
            axes.plot([steps[i] for i in centres], means, color=f"C{number}", lw=2)
    axes.set_xlabel("step")
    if len(names) > 1:
        axes.set_yscale("log")
        axes.legend(frameon=False)


def _draw_frontier(axes: Any, part: Part) -> None:
    for name, marker in (("", "."), ("validation/", "o")):
        kl, reward = part.series(f"{name}kl")[1], part.series(f"{name}reward")[1]
        if kl and len(kl) == len(reward):
            axes.plot(kl, reward, marker=marker, lw=0.6, label="held-out prompts" if name else "training prompts")
    axes.set_xlabel("KL to the reference, nats an episode")
    axes.set_ylabel("reward")
    axes.legend(frameon=False)


def _draw_reliability(axes: Any, table: Sequence[Mapping[str, float]]) -> None:
    axes.plot([0.5, 1], [0.5, 1], color="grey", lw=0.6)
    sure, right = ([row[name] for row in table] for name in ("confidence", "accuracy"))
    axes.scatter(sure, right, s=[8 + 200 * row["pairs"] / sum(one["pairs"] for one in table) for row in table])
    axes.set_xlabel("probability given to the preferred response")
    axes.set_ylabel("share that labelers preferred")


def _seconds(part: Part) -> dict[str, float]:
    """Seconds by phase."""
    names = [name for name in part.metric_names if name.startswith("seconds/")]
    return {name.removeprefix("seconds/"): sum(part.series(name)[1]) for name in names}


def _draw_time(axes: Any, parts: Sequence[Part]) -> None:
    timed = [(part, _seconds(part)) for part in parts if _seconds(part)]
    phases = list(dict.fromkeys(phase for _, seconds in timed for phase in seconds))
    for number, (part, seconds) in enumerate(timed):
        left = 0.0
        for phase, length in seconds.items():
            axes.barh(number, length / 60, left=left, color=f"C{phases.index(phase)}")
            left += length / 60
        peak = max(part.series("memory/peak_gib")[1], default=0.0)
        axes.text(left, number, f" {peak:.1f} GiB", va="center")
    for phase in phases:
        axes.barh(0, 0, color=f"C{phases.index(phase)}", label=phase)
    axes.set_yticks(range(len(timed)), [part.name for part, _ in timed])
    axes.invert_yaxis()
    axes.margins(x=0.2)
    axes.set_xlabel("minutes by phase; memory at its peak")
    axes.legend(frameon=False, fontsize=6)
