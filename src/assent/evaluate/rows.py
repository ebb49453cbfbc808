"""Numbers as rows of results.json: estimates with intervals, p values with Holm's correction."""

import math
from collections.abc import Sequence
from typing import Any

from assent.statistics import Clustered
from assent.statistics.multiple import holm

Row = dict[str, Any]


def spread(found: Clustered) -> Row:
    """An estimate with both intervals and what it rests on; what is not known is null."""
    whole, team = found.interval, found.this_team
    return {
        "value": rounded(found.estimate),
        "low": rounded(whole.low),
        "high": rounded(whole.high),
        "team_low": rounded(team.low),
        "team_high": rounded(team.high),
        "n": found.judgements,
        "prompts": found.prompts,
        "labelers": found.labelers,
        "caution": found.caution,
    }


def rounded(value: float) -> float | None:
    """A number with six decimals; NaN and infinities are null, which JSON has."""
    return round(float(value), 6) + 0.0 if math.isfinite(value) else None  # 0.0 takes the sign from a zero


def with_holm(rows: Sequence[tuple[Row, float]]) -> list[Row]:
    """Rows with their p values and with those that Holm adjusts for as many tests as there are; NaN is no test."""
    known = [p for _, p in rows if not math.isnan(p)]
    adjusted = iter(holm(known)) if known else iter(())
    return [
        row | {"p": rounded(p), "p_holm": None if math.isnan(p) else rounded(float(next(adjusted)))} for row, p in rows
    ]
