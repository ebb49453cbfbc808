"""A table of results, once for every reader: printed in the terminal, drawn in a page, flat for programs.

A cell is words, or a number with its interval. Whoever has results makes grids of them; nothing here knows what they
measure.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WIDEST = 48  # characters of words in a cell of the terminal


@dataclass(frozen=True)
class Cell:
    """Words, or a value with its interval; mark: `good`, `bad` or `soft`, how a page colours it."""

    text: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    mark: str = ""

    @property
    def bounded(self) -> bool:
        """Whether there is an interval to draw."""
        return None not in (self.value, self.low, self.high)

    def words(self) -> str:
        """The cell as text: the value, its interval, and the words beside them."""
        number = "" if self.value is None else f"{self.value:.3g}"
        if self.low is not None and self.high is not None:
            number += f" [{self.low:.3g}, {self.high:.3g}]"
        return " ".join(filter(None, (number, self.text)))


@dataclass(frozen=True)
class Grid:
    """A table. scale: the ends of the axis on which intervals are drawn; None: each row its own. line: a place marked
    on it, such as one half. notes: sentences below."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    scale: tuple[float, float] | None = None
    line: float | None = None

    def span(self, row: Sequence[Cell]) -> tuple[float, float] | None:
        """The ends of the axis for a row; None when nothing in it has an interval."""
        if self.scale:
            return self.scale
        ends = [end for cell in row if cell.bounded for end in (cell.low, cell.high) if end is not None]
        if not ends:
            return None
        margin = 0.08 * (max(ends) - min(ends)) or 0.5
        return min(ends) - margin, max(ends) + margin


def words(value: Any, mark: str = "") -> Cell:
    """A cell of words; nothing for None."""
    return Cell(text="" if value is None else str(value), mark=mark)


def interval(row: Mapping[str, Any], name: str = "value", low: str = "low", high: str = "high", text: str = "") -> Cell:
    """The cell of a row of results that has a value and perhaps its interval; a dash where there is no value."""
    if row.get(name) is None:
        return Cell(text=text or "-", mark="soft")
    return Cell(text, row[name], row.get(low), row.get(high))


def listed(found: Sequence[float | None] | None) -> Cell:
    """The cell of [low, value, high]."""
    low, value, high = found or (None, None, None)
    return interval({"low": low, "value": value, "high": high})


def show(grids: Sequence[Grid]) -> None:
    """Print tables as wide as their contents, so that they read the same wherever nobody sets a width."""
    from rich.console import Console
    from rich.table import Table

    for grid in grids:
        table = Table(*grid.columns, title=grid.title, title_justify="left", pad_edge=False, box=None)
        for column in table.columns:
            column.no_wrap = True
        for row in grid.rows:
            table.add_row(*(_short(cell.words()) for cell in row))
        wide = Console(width=10_000).measure(table).maximum
        Console(width=max(wide, len(grid.title)) + 1, highlight=False, markup=False).print(table)
        for note in grid.notes:
            print(f"* {note}")
        print()


def _short(text: str) -> str:
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 3]}..."


FLAT = ("run", "section", "table", "row", "column", "text", "value", "low", "high")


def flat(grid: Grid, run: str, section: str) -> Iterator[dict[str, Any]]:
    """One row a cell, for programs; a row is named by its words before the first number."""
    for row in grid.rows:
        name: list[str] = []
        for cell in row:
            if cell.value is not None:
                break
            name.append(cell.words())
        for column, cell in zip(grid.columns, row, strict=True):
            if cell.value is not None:
                place = {"run": run, "section": section, "table": grid.title, "row": " / ".join(name)}
                numbers = {"value": cell.value, "low": cell.low, "high": cell.high}
                yield place | {"column": column, "text": cell.text} | numbers
