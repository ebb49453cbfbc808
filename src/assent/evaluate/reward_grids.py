"""The tables about a reward model (appendix E.2), from what `reward_model.evaluate` found."""

from collections.abc import Mapping
from typing import Any

from assent.evaluate.grids import Cell, Grid, listed, words

PAPER = "The paper: 72.4 % of pairs of training labelers, 69.6 % of held-out ones; people agree on 72.6 and 77.3 %."


def grids(found: Mapping[str, Any]) -> list[Grid]:
    """Whom it agrees with, over all and by group, and what fools it."""
    whole = [
        (words(name), listed(value), words(f"{found['rankings']} rankings"))
        for name, value in found.items()
        if isinstance(value, list) and len(value) == 3 and not isinstance(value[0], dict)
    ]
    error = (words("calibration error"), Cell(value=found["calibration"]["error"]), words(f"{found['pairs']} pairs"))
    groups = [(f"{row['by']} {row['group']}", row["accuracy"], row["rankings"]) for row in found["by"]]
    probes = [(row["probe"], row["prefers the original"], row["responses"]) for row in found["probes"]]
    made = [
        Grid("Reward model against labelers", ("", "value", "of"), (*whole, error), (PAPER,), axis="table", line=0.0)
    ]
    for title, counted, rows in (
        ("Pair accuracy by group", "rankings", groups),
        ("Probes: how often the original scores above a spoilt copy", "responses", probes),
    ):
        cells = tuple((words(name), listed(value), words(count)) for name, value, count in rows)
        made.append(Grid(title, ("", "value", counted), cells, axis=(0.0, 1.0), line=0.5))
    return [grid for grid in made if grid.rows]


def folds(found: Mapping[str, Any]) -> Grid:
    """Cross-validation by groups of labelers, from what `train.select.summary` found."""
    tests = (
        ("labelers it was trained on", "own", "72.4 +- 0.4"),
        ("labelers of the group left out", "held_out", "69.6 +- 0.9"),
    )
    cells = tuple(
        (
            words(title),
            words(f"{100 * found[name]['accuracy']:.1f} +- {100 * found[name]['standard_error']:.1f}"),
            words(paper, "soft"),
            words(len(found["models"])),
        )
        for title, name, paper in tests
    )
    notes = (
        "On prompts that no model of a fold was trained on; +- is the standard error over the models. Appendix E.2 "
        "exchanges the words inter and intra; section 4.1 has them right.",
    )
    return Grid("Cross-validation by labelers", ("rankings of", "% of pairs", "paper", "models"), cells, notes)
