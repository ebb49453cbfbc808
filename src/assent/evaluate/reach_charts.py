"""The charts of a frontier: what the proxy promised and what the answers were worth, against KL, with the fit."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from assent.evaluate.charts import chart

Row = Mapping[str, Any]


def reach(found: Row) -> list[dict[str, Any]]:
    """One chart a run, and one of best of n."""
    rows: list[tuple[str, Row]] = [(row["run"], row) for row in found["runs"]]
    rows += [("best of n", found["best_of"])] if found["best_of"] else []
    return [chart(title, lambda axes, row=row: _draw(axes, row)) for title, row in rows]


def _draw(axes: Any, row: Row) -> None:
    points = row["points"]
    promised = _known(points, "proxy")
    axes.plot(*promised, marker="o", ms=3, lw=1, label="promised by the proxy")
    if any(point.get("gold") is not None for point in points):
        axes.plot(*_known(points, "gold"), marker="s", ms=3, lw=1, label="worth by gold")
        (steps, low), (_, high) = _known(points, "low"), _known(points, "high")
        axes.vlines(steps, low, high, color="C1", alpha=0.5, lw=1)
    if row.get("fit"):
        _draw_fit(axes, row["fit"])
    axes.set_xlabel("square root of the KL to where PPO started, nats")
    axes.legend(frameon=False)


def _known(points: Sequence[Row], name: str) -> tuple[list[float], list[float]]:
    """Distances and values of the points that have a value."""
    found = [point for point in points if point.get(name) is not None]
    return [max(point["kl"], 0.0) ** 0.5 for point in found], [point[name] for point in found]


def _draw_fit(axes: Any, fit: Row) -> None:
    steps = [number * fit["highest_kl"] ** 0.5 / 100 for number in range(1, 101)]
    turns = [math.log(d) if fit["kind"] == "rl" else d for d in steps]
    curve = [fit["start"] + d * (fit["a"] - fit["b"] * turn) for d, turn in zip(steps, turns, strict=True)]
    axes.plot(steps, curve, color="C1", lw=0.9, ls="--")
    if not fit["extrapolated"]:
        label = f"recommended KL {fit['peak_kl']:.3g}"
        axes.axvline(fit["peak_kl"] ** 0.5, color="grey", lw=0.8, ls=":", label=label)
