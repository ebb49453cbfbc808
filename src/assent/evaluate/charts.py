"""The charts of a report, as SVG that stands in the page."""

import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from assent.evaluate.part import Part

PHASES = 8  # that a chart of time tells apart
SMOOTHED = 12  # windows in a curve of many steps: thin line as logged, thick line averaged
QUIET = ("seconds/", "memory/")  # shown in the chart of time


def charts(part: Part) -> Iterator[dict[str, Any]]:
    """The charts of one run: overviews first, then every metric that moves."""
    names = [name for name in part.metric_names if not name.startswith(QUIET)]
    if {"reward", "kl"} <= set(names):
        yield chart("reward against KL", lambda axes: _draw_frontier(axes, part))
    norms = [name for name in ("gradient_norm/policy", "gradient_norm/pretrain") if name in names]
    if len(norms) == 2:
        yield chart("gradient norms of both parts, before clipping", lambda axes: _draw_curves(axes, part, norms))
    table = part.results.get("reward_model", part.results).get("calibration", {}).get("reliability")
    if table:
        yield chart("reward model: sure against right", lambda axes: _draw_reliability(axes, table))
    for name in names:
        if name not in norms or len(norms) < 2:
            yield chart(name, lambda axes, name=name: _draw_curves(axes, part, [name]))


def headlines(part: Part) -> Iterator[dict[str, Any]]:
    """The charts of a comparison, for the top of the page: win rates, and the reward that was hoped for and earned."""
    for key, words in (("win_rate", "sampled at temperature 1"), ("win_rate_greedy", "greedy")):
        rates = part.results.get(key)
        if rates:
            title = f"preferred to SFT, {words}; 95 % intervals over prompts"
            yield chart(title, lambda axes, rates=rates: _draw_rates(axes, rates))
    for name, path in part.results.get("frontier", {}).items():
        title = f"{name}: what the reward model promised and what the answers were worth, against KL"
        yield chart(title, lambda axes, path=path: _draw_promise(axes, path))
    found = part.results.get("overoptimisation")
    if found:
        title = "without a KL penalty: what is promised, what it is worth, and d (a - b ln d) fitted to that"
        yield chart(title, lambda axes: _draw_law(axes, found))
    if "sweep" in part.results:
        title = "KL coefficients without the mix, and the mix: what is won, and what is kept"
        yield chart(title, lambda axes: _draw_sweep(axes, part.results["sweep"]))
    if "sweep" in part.results and "best_of" in part.results:
        title = "best of n and policies: what they are worth, against KL"
        yield chart(title, lambda axes: _draw_best_of(axes, part.results["best_of"], part.results["sweep"]))


def _draw_rates(axes: Any, rates: Mapping[str, Mapping[str, Sequence[float]]]) -> None:
    names = list(next(iter(rates.values())))
    for number, (group, found) in enumerate(rates.items()):
        places = [place + (number - 0.5) * 0.25 for place in range(len(names))]
        middles = [found[name][1] for name in names]
        low, high = ([abs(found[name][side] - found[name][1]) for name in names] for side in (0, 2))
        axes.errorbar(places, middles, yerr=[low, high], fmt="o", ms=4, lw=1.2, label=f"{group} labelers")
    axes.axhline(0.5, color="grey", lw=0.6)
    axes.set_xticks(range(len(names)), names)
    axes.set_ylim(0, 1)
    axes.legend(frameon=False)


def _draw_promise(axes: Any, path: Sequence[Mapping[str, float]]) -> None:
    steps = [max(row["kl"], 0.0) ** 0.5 for row in path]
    axes.plot(steps, [row["reward"] for row in path], marker="o", ms=3, label="reward of training")
    axes.plot(steps, [row["gold"] for row in path], marker="s", ms=3, label="true worth")
    axes.set_xlabel("square root of the KL to the reference, nats an episode")
    axes.legend(frameon=False)


def _draw_law(axes: Any, found: Mapping[str, Any]) -> None:
    path, fit = found["path"], found["fit"]
    _draw_promise(axes, path)
    if fit:
        steps = [number * max(row["kl"] for row in path) ** 0.5 / 100 for number in range(1, 101)]
        curve = [path[0]["gold"] + d * (fit["a"] - fit["b"] * math.log(d)) for d in steps]
        axes.plot(steps, curve, color="C1", lw=0.8, ls="--")


def _draw_sweep(axes: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    for row in rows:
        (low, loss, high), (least, rate, most) = row["corpus_loss"], row["win_rate"]
        mixed = row["policy"] == "ppo_ptx"
        errors = {"xerr": [[loss - low], [high - loss]], "yerr": [[rate - least], [most - rate]]}
        axes.errorbar(loss, rate, **errors, fmt="s" if mixed else "o", ms=4, lw=0.8, color="C1" if mixed else "C0")
        axes.annotate(f" {'mix, ' if mixed else ''}beta {row['beta']:g}", (loss, rate), fontsize=6)
    axes.set_xlabel("loss on the corpus, nats a token")
    axes.set_ylabel("preferred to SFT")


def _draw_best_of(axes: Any, curve: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]) -> None:
    for points, name in ((curve, "gold"), (rows, "gold_best_of_prompts")):
        found = [row[name] for row in points]
        errors = [[value - low for low, value, _ in found], [high - value for _, value, high in found]]
        label, fmt = ("best of 1, 2, 4, ...", "o-") if points is curve else ("policies", "s")
        values = [value for _, value, _ in found]
        axes.errorbar([row["kl"] for row in points], values, yerr=errors, fmt=fmt, ms=3, lw=0.8, label=label)
    axes.set_xlabel("KL to where PPO starts, nats an episode")
    axes.set_ylabel("true worth")
    axes.legend(frameon=False)


def chart(title: str, draw: Callable[[Any], None]) -> dict[str, Any]:
    """A figure with its caption."""
    return {"title": title, "svg": drawn(draw)}


def drawn(draw: Callable[[Any], None]) -> Any:
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


def seconds(part: Part) -> dict[str, float]:
    """Seconds by phase."""
    names = [name for name in part.metric_names if name.startswith("seconds/")]
    return {name.removeprefix("seconds/"): sum(part.series(name)[1]) for name in names}


def draw_time(axes: Any, parts: Sequence[Part]) -> None:
    """Where the time of each run went, and its memory at its peak."""
    timed = [(part, seconds(part)) for part in parts if seconds(part)]
    totals: dict[str, float] = {}
    for _, spent in timed:
        for phase, length in spent.items():
            totals[phase] = totals.get(phase, 0.0) + length
    named = sorted(totals, key=lambda phase: -totals[phase])[:PHASES]
    phases = [*(phase for phase in totals if phase in named), *(["other"] if len(totals) > PHASES else [])]
    for number, (part, spent) in enumerate(timed):
        left = 0.0
        for phase, length in spent.items():
            shown = phase if phase in named else "other"
            axes.barh(number, length / 60, left=left, color=f"C{phases.index(shown)}")
            left += length / 60
        peak = max(part.series("memory/peak_gib")[1], default=0.0)
        axes.text(left, number, f" {peak:.1f} GiB", va="center")
    for phase in phases:
        axes.barh(0, 0, color=f"C{phases.index(phase)}", label=phase)
    axes.set_yticks(range(len(timed)), [part.name for part, _ in timed])
    axes.invert_yaxis()
    axes.margins(x=0.2)
    axes.set_xlabel("minutes by phase; memory at its peak")
    axes.legend(frameon=False, fontsize=6, loc="upper left", bbox_to_anchor=(1, 1))
