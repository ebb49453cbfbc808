"""The tables about judges: their votes, their agreement with people, and what they prefer."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from assent.evaluate import people_grids
from assent.evaluate.grids import Cell, Grid, interval, words


def grids(found: Mapping[str, Any]) -> list[Grid]:
    """All tables that the results have something for."""
    return [grid for grid in _grids(found) if grid.rows]


def _grids(found: Mapping[str, Any]) -> Iterator[Grid]:
    names = ("pairs", "votes", "turned", "alike", "unknown", "silent", "cut")
    cells = tuple(
        (
            words(row["judge"]),
            *(words(row[name], "bad" if name in names[4:] and row[name] else "") for name in names),
            Cell("" if row["first"] is not None else "-", row["first"]),
        )
        for row in found["judges"]
    )
    asked = (
        "A language model is asked about each pair in both orders; a vote that turns with the order is a tie. Unknown "
        "verdicts, silence and cut prompts count for nobody. First: the share of preferences for the response shown "
        "first, 0.5 without bias.",
    )
    alone = tuple(
        f"{row['judge']} is a reward model: the higher reward is preferred, and a difference of at most "
        f"{row['margin']:g} is a tie. It scores a response alone, so that no order can matter."
        for row in found["judges"]
        if row.get("margin") is not None
    )
    notes = asked if len(alone) < len(found["judges"]) else ()
    yield Grid("Judges", ("judge", *names, "first"), cells, notes + alone)
    cells = tuple(
        (
            words(row["judge"]),
            words(row["rule"]),
            interval(row),
            interval(row, low="team_low", high="team_high"),
            Cell("" if row["people"] is not None else "-", row["people"]),
            words(row["pairs"]),
        )
        for row in found["agreement"]
    )
    columns = ("judge", "rule for ties", "agrees with people", "this team only", "people among themselves", "pairs")
    cautions = tuple(dict.fromkeys(row["caution"] for row in found["agreement"] if row["caution"]))
    yield Grid("Judges and people on the same pairs", columns, cells, cautions, axis=(0.0, 1.0), line=0.5)
    if found["preference"]:
        raw = {**found["preference"], "plan": [], "paired": [], "agreement": []}
        for grid in people_grids.grids(raw):
            yield replace(grid, title=f"By judges: {grid.title[0].lower()}{grid.title[1:]}")
