"""A table of results, once for every reader: printed in the terminal, drawn in a page, flat for programs.

A cell is words, or a number with its interval. Whoever has results makes grids of them; nothing here knows what they
measure.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

WIDEST = 72  # characters of a column of the terminal; longer words go on in the next line


def number(value: float) -> str:
    """A number with three digits that count, without powers of ten."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return "0" if value == 0 else "0.000" if 0 < value < 5e-4 else "-0.000" if -5e-4 < value < 0 else f"{value:.3g}"


def p_value(value: float | None) -> str:
    """A p value as it is printed."""
    return "-" if value is None else "< 0.001" if value < 0.001 else f"{value:.2g}"


@dataclass(frozen=True)
class Cell:
    """Words, or a value with its interval.

    mark: `good`, `bad` or `soft`, how a page colours it. ticks: places marked on the axis, such as the paper's values.
    apart: of another unit than the row's other intervals, so that it is not drawn on their axis.
    """

    text: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    mark: str = ""
    ticks: tuple[float, ...] = ()
    apart: bool = False

    @property
    def bounded(self) -> bool:
        """Whether there is an interval."""
        return None not in (self.value, self.low, self.high)

    def words(self) -> str:
        """The cell as text: the value, its interval, and the words beside them."""
        found = "" if self.value is None else number(self.value)
        if self.low is not None and self.high is not None:
            found += f" [{number(self.low)}, {number(self.high)}]"
        return " ".join(filter(None, (found, self.text)))


Axis = Literal["row", "table"] | tuple[float, float]


@dataclass(frozen=True)
class Grid:
    """A table. axis: on which its intervals are drawn: one a row, one for all rows, or from one value to another.

    line: a place marked on it, such as one half. notes: sentences below. folded: long, and shown when asked for.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    axis: Axis = "row"
    line: float | None = None
    folded: bool = False

    def span(self, row: Sequence[Cell]) -> tuple[float, float] | None:
        """The ends of the axis for a row; None when nothing on it has an interval."""
        if isinstance(self.axis, tuple):
            return self.axis
        cells = row if self.axis == "row" else [cell for one in self.rows for cell in one]
        drawn = [cell for cell in cells if cell.bounded and not cell.apart]
        ends = [end for cell in drawn for end in (cell.low, cell.high, *cell.ticks) if end is not None]
        if not ends:
            return None
        ends += [] if self.line is None else [self.line]
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
        if grid.title:
            print(grid.title)
        table = Table(*grid.columns, pad_edge=False, box=None)
        for column in table.columns:
            column.max_width, column.overflow = WIDEST, "fold"
        for row in grid.rows:
            table.add_row(*(cell.words() for cell in row))
        wide = Console(width=10_000).measure(table).maximum
        Console(width=wide + 1, highlight=False, markup=False).print(table)
        for note in grid.notes:
            print(f"* {note}")
        print()


FLAT: tuple[str, ...] = ("run", "section", "table", "row", "column", "text", "value", "low", "high")


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
