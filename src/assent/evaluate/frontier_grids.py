"""The tables of a frontier: reward against KL of checkpoints and of best of n, and what the fits recommend."""

from collections.abc import Mapping, Sequence
from typing import Any

from assent.evaluate.grids import Cell, Grid, interval, words

Row = Mapping[str, Any]


def grids(found: Row) -> list[Grid]:
    """Points of every run and of best of n, then the fits."""
    made = [_points(f"Reward against KL: {row['run']}", "step", row["points"]) for row in found["runs"]]
    if found["best_of"]:
        title = f"Best of n: {found['best_of']['prompts']} prompts, {found['best_of']['responses']} responses to each"
        made.append(_points(title, "n", found["best_of"]["points"]))
    fitted = [(row["run"], row["fit"]) for row in found["runs"] if "fit" in row]
    if "fit" in (found["best_of"] or {}):
        fitted.append(("best of n", found["best_of"]["fit"]))
    return [*made, *([_fits(fitted)] if fitted else [])]


def _points(title: str, name: str, points: Sequence[Row]) -> Grid:
    gold = any(point.get("gold") is not None for point in points)
    cells = tuple(
        (
            words(point[name]),
            Cell(value=point["kl"]),
            Cell("" if point["proxy"] is not None else "-", point["proxy"]),
            *([interval(point, "gold")] if gold else []),
        )
        for point in points
    )
    columns = (name, "KL, nats", "proxy: promised", *(["gold: worth"] if gold else []))
    return Grid(title, columns, cells, axis="table", folded=True)


def _fits(fitted: Sequence[tuple[str, Row]]) -> Grid:
    cells = tuple((words(name), *_fit(fit)) for name, fit in fitted)
    columns = ("", "gold gained", "a", "b", "recommended KL", "gain there", "R squared")
    notes = (
        "d is the square root of the KL to where PPO started. The recommended KL is where the fit is highest.",
        "Without an interval, the data do not show that the curve turns; beyond what was measured, none is named.",
    )
    return Grid("Over-optimisation, fitted to gold", columns, cells, notes)


def _fit(fit: Row) -> tuple[Cell, ...]:
    a, b, peak = (
        {"value": one["estimate"], "low": one["low"], "high": one["high"]} if one else {}
        for one in (fit["a_interval"], fit["b_interval"], fit["peak_kl_interval"])
    )
    return (
        words("d (a - b ln d)" if fit["kind"] == "rl" else "d (a - b d)"),
        interval(a),
        interval(b),
        words(f"above {fit['highest_kl']:.3g}", "soft") if fit["extrapolated"] else interval(peak),
        words("-", "soft") if fit["extrapolated"] else interval(fit, "peak_gold"),
        Cell(value=fit["r_squared"]),
    )
