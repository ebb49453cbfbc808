"""Blind comparison by people (section 4.1): how often one model's response is ranked above another's."""

from collections.abc import Sequence

from assent.records import Ranking
from assent.statistics import Interval, bootstrap_interval


def win_rate(rankings: Sequence[Ranking], policy: str, baseline: str) -> Interval:
    """The share of prompts on which `policy` was ranked above `baseline`, a tie as half; 95 % interval over prompts.

    Rankings hold one response of either policy. The paper does not say what it does with ties. Raises ValueError when
    a ranking lacks one of them.
    """
    wins: list[float] = []
    for row in rankings:
        names = [response.policy for response in row.responses]
        if policy not in names or baseline not in names:
            raise ValueError(f"ranking {row.id!r} has no response of {policy if policy not in names else baseline!r}")
        ours, theirs = row.ranks[names.index(policy)], row.ranks[names.index(baseline)]
        wins.append(1.0 if ours < theirs else 0.5 if ours == theirs else 0.0)
    return bootstrap_interval(wins, [row.prompt.id for row in rankings])


def share(values: Sequence[float | bool]) -> Interval:
    """A mean over prompts with its 95 % interval."""
    return bootstrap_interval([float(value) for value in values], range(len(values)))
