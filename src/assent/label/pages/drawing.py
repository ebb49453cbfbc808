"""Small pictures as SVG, drawn on the server: they need no script, and their colours are those of the page."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from markupsafe import Markup

from assent.label.languages import Language
from assent.label.phrases import phrase

WIDTH, LINE, LEFT, RIGHT = 680, 46, 18, 18


def share_chart(rows: Sequence[Mapping[str, Any]], title: str, language: Language) -> Markup:
    """Shares with intervals on one axis from 0 to 100 %, one line each: name, estimate, low, high, chance."""
    height = LINE * len(rows) + 34
    parts = [f'<svg class="chart" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(str(title))}">']
    for tick in range(0, 101, 25):
        x, words = _x(tick / 100), _percent(tick / 100, 0, language)
        parts.append(f'<line class="tick" x1="{x}" y1="8" x2="{x}" y2="{height - 24}"/>')
        parts.append(f'<text class="axis" x="{x}" y="{height - 8}" text-anchor="middle">{words}</text>')
    for number, row in enumerate(rows):
        parts += _line(row, 18 + number * LINE, language)
    return Markup("".join([*parts, "</svg>"]))


def _line(row: Mapping[str, Any], y: int, language: Language) -> list[str]:
    middle, chance = _x(row["estimate"]), _x(row["chance"])
    words = _percent(row["estimate"], 1, language)
    if row["low"] is not None:
        between = language.said(
            phrase("%(low)s to %(high)s", low=_share(row["low"], language), high=_share(row["high"], language))
        )
        words += f" ({between})"
    return [
        f'<text class="name" x="{LEFT}" y="{y}">{escape(language.said(row["name"]))}</text>',
        f'<text class="value" x="{WIDTH - RIGHT}" y="{y}" text-anchor="end">{words}</text>',
        f'<line class="chance" x1="{chance}" y1="{y + 5}" x2="{chance}" y2="{y + 21}"/>',
        *_interval(row["low"], row["high"], y + 13),
        f'<circle class="dot" cx="{middle}" cy="{y + 13}" r="5"/>',
    ]


def _interval(
    low: float | None, high: float | None, y: int, left: int = LEFT, width: int = WIDTH - LEFT - RIGHT
) -> list[str]:
    if low is None or high is None:
        return []
    x1, x2 = _x(max(0.0, low), left, width), _x(min(1.0, high), left, width)
    return [f'<line class="interval" x1="{x1}" y1="{y}" x2="{x2}" y2="{y}"/>']


def small_interval(estimate: float, low: float | None, high: float | None, shrunk: float) -> Markup:
    """One share with its interval, small enough for a cell; the dot is the shrunken value, a stroke what was seen."""
    width = 116
    seen = _x(estimate, 6, width - 12)
    parts = [
        f'<svg class="spark" viewBox="0 0 {width} 20" width="{width}" height="20" aria-hidden="true">',
        f'<line class="tick" x1="6" y1="10" x2="{width - 6}" y2="10"/>',
        f'<line class="chance" x1="{_x(0.5, 6, width - 12)}" y1="4" x2="{_x(0.5, 6, width - 12)}" y2="16"/>',
        *_interval(low, high, 10, 6, width - 12),
        f'<circle class="dot" cx="{_x(shrunk, 6, width - 12)}" cy="10" r="4.5"/>',
        f'<line class="seen" x1="{seen}" y1="2" x2="{seen}" y2="18"/></svg>' if shrunk != estimate else "</svg>",
    ]
    return Markup("".join(parts))


def progress(done: int, leased: int, total: int) -> Markup:
    """How much of a batch is done, and how much is being worked on."""
    whole = max(total, 1)
    first, second = 200 * done / whole, 200 * (done + leased) / whole
    return Markup(
        '<svg class="bar-chart" viewBox="0 0 200 8" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="all" width="200" height="8"/><rect class="some" width="{second:.1f}" height="8"/>'
        f'<rect class="done" width="{first:.1f}" height="8"/></svg>'
    )


def _x(share: float, left: int = LEFT, width: int = WIDTH - LEFT - RIGHT) -> float:
    return round(left + width * min(max(share, 0.0), 1.0), 1)


def _percent(share: float, digits: int, language: Language) -> str:
    from babel.numbers import format_percent

    return format_percent(share, "#,##0" + "." * bool(digits) + "0" * digits + "\u00a0%", language.locale)


def _share(share: float, language: Language) -> str:
    """A share in per cent, without the sign."""
    from babel.numbers import format_decimal

    return format_decimal(100 * share, "#,##0.0", language.locale)
