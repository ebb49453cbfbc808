"""Intervals as small drawings that stand in the cells of a table: what is known, and what it is held against."""

from typing import Any

from assent.evaluate.grids import Cell

WIDE, HIGH = 132, 16  # of a drawing, in its own units


def strip(cell: Cell, span: tuple[float, float] | None, line: float | None) -> Any:
    """The interval of a cell as SVG; empty where there is none. Ticks hang below the axis, the line crosses it."""
    from markupsafe import Markup

    if not cell.bounded or cell.apart or span is None or span[0] == span[1]:
        return Markup("")
    assert cell.value is not None
    assert cell.low is not None
    assert cell.high is not None
    first, value, last = (_place(end, span) for end in (cell.low, cell.value, cell.high))
    middle = HIGH / 2
    drawn = [f'<line class="axis" x1="0" x2="{WIDE}" y1="{middle:g}" y2="{middle:g}"/>']
    if line is not None and span[0] <= line <= span[1]:
        drawn.append(f'<line class="zero" x1="{_place(line, span):g}" x2="{_place(line, span):g}" y1="0" y2="{HIGH}"/>')
    drawn += [
        f'<line class="tick" x1="{_place(one, span):g}" x2="{_place(one, span):g}" y1="{middle:g}" y2="{HIGH}"/>'
        for one in cell.ticks
    ]
    drawn.append(f'<line class="range" x1="{first:g}" x2="{max(last, first + 1):g}" y1="{middle:g}" y2="{middle:g}"/>')
    drawn.append(f'<circle cx="{value:g}" cy="{middle:g}" r="3.2"/>')
    said = (
        f"{cell.value:.3g}, between {cell.low:.3g} and {cell.high:.3g}, on an axis from {span[0]:.3g} to {span[1]:.3g}"
    )
    title = f"<title>{said}</title>"
    return Markup(f'<svg class="strip" viewBox="0 0 {WIDE} {HIGH}" role="img">{title}{"".join(drawn)}</svg>')


def _place(value: float, span: tuple[float, float]) -> float:
    share = (value - span[0]) / (span[1] - span[0])
    return round(4 + min(max(share, 0.0), 1.0) * (WIDE - 8), 2)
