"""Blind comparison by people (section 4.1): which model's responses they prefer, by how much, and how sure that is.

Everything is computed from records: rankings, votes on pairs (rankings of two), and ratings. The paper does not say
what it does with ties; here a tie is half a win, and the share of ties stands beside every rate.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import groupby, product

import numpy as np

from assent.records import FLAGS, Ranking, Rating
from assent.statistics import Interval, bootstrap_interval
from assent.statistics.clusters import Clustered, Judgements, clustered_mean, clustered_share, judgements
from assent.statistics.clusters import paired_difference as difference
from assent.statistics.length import Contests, LengthControlled, length_controlled
from assent.statistics.luce import davidson_luce
from assent.statistics.ratings import Comparison, Ratings

ALL = "all"


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


# -- one policy against a baseline ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Slice:
    """Some of the judgements: by which labelers, `all`, `training` or `held_out`, on which use case, `all` or one."""

    labelers: str = ALL
    use_case: str = ALL


@dataclass(frozen=True)
class Preference:
    """How a policy did against a baseline. wins, ties and losses count pairs of responses; rate has a tie as half."""

    policy: str
    baseline: str
    slice: Slice
    rate: Clustered
    wins: int
    ties: int
    losses: int


def preference(rankings: Sequence[Ranking], policy: str, baseline: str, part: Slice | None = None) -> Preference:
    """The win rate of `policy` over `baseline` in the rankings that hold both, with two-way clustered intervals.

    A ranking is one judgement: where it holds several responses of a policy, their pairs are averaged. part: says
    what the rankings are, for the table. Raises ValueError when no ranking holds both.
    """
    pairs = [ours - theirs for row in rankings for ours, theirs in _pairs(row, policy, baseline)]
    rate = clustered_share(outcomes(rankings, policy, baseline))
    counts = (sum(gap < 0 for gap in pairs), pairs.count(0), sum(gap > 0 for gap in pairs))
    return Preference(policy, baseline, part or Slice(), rate, *counts)


def preferences(
    rankings: Sequence[Ranking], baseline: str, held_out: Collection[str] = ()
) -> dict[tuple[str, Slice], Preference]:
    """Every policy against the baseline: over all, by training and held-out labelers apart, and by use case.

    held_out: the ids of the labelers whose data no model was trained on. Groups and use cases without a judgement
    that counts are left out. Raises ValueError when nothing was ranked with the baseline.
    """
    if not any(response.policy == baseline for row in rankings for response in row.responses):
        raise ValueError(f"no ranking has a response of {baseline!r}; name a policy that was ranked as the baseline")
    policies = sorted({response.policy for row in rankings for response in row.responses} - {baseline})
    found: dict[tuple[str, Slice], Preference] = {}
    for part, rows in slices(rankings, held_out).items():
        for policy in policies:
            if any(_pairs(row, policy, baseline) for row in rows):
                found[policy, part] = preference(rows, policy, baseline, part)
    return found


def slices(rankings: Sequence[Ranking], held_out: Collection[str] = ()) -> dict[Slice, list[Ranking]]:
    """The rankings by labelers (all, training, held-out) and by use case (all, each one that occurs)."""
    parts: dict[Slice, list[Ranking]] = {}
    for row in rankings:
        group = "held_out" if row.labeler in held_out else "training"
        groups = (ALL, group) if held_out else (ALL,)
        for labelers, use_case in product(groups, dict.fromkeys((ALL, row.prompt.use_case or "unnamed"))):
            parts.setdefault(Slice(labelers, use_case), []).append(row)
    return parts


def outcomes(rankings: Sequence[Ranking], policy: str, baseline: str) -> Judgements:
    """1, 1/2 or 0 for every ranking that holds both. Raises ValueError when none does."""
    values: list[float] = []
    rows = [row for row in rankings if _pairs(row, policy, baseline)]
    if not rows:
        raise ValueError(f"no ranking holds responses of both {policy!r} and {baseline!r}; rank them side by side")
    for row in rows:
        gaps = np.array([theirs - ours for ours, theirs in _pairs(row, policy, baseline)])
        values.append(float(np.mean((np.sign(gaps) + 1) / 2)))
    return judgements(values, [row.prompt.id for row in rows], [row.labeler for row in rows])


def against(rankings: Sequence[Ranking], one: str, other: str, baseline: str) -> Clustered:
    """How much higher the win rate of `one` is than that of `other`, both against the baseline, paired.

    By prompt and labeler, so that what is hard for both cancels. Raises ValueError when nobody judged both.
    """
    return difference(outcomes(rankings, one, baseline), outcomes(rankings, other, baseline))


def strengths(rankings: Sequence[Ranking]) -> Ratings:
    """Ratings of all policies at once by Davidson-Luce, with whether they are comparable at all."""
    return davidson_luce(
        [Comparison(tuple(r.policy for r in row.responses), row.ranks, row.prompt.id, row.labeler) for row in rankings]
    )


# -- length --------------------------------------------------------------------------------------------------------


def at_equal_length(rankings: Sequence[Ranking], policy: str, baseline: str) -> LengthControlled:
    """The win rate that would be left if both answers were equally long; to be shown beside the raw one.

    Length is counted in characters. Other policies that were ranked with these two say how difficult a prompt is.
    """
    others = {response.policy for row in rankings for response in row.responses} - {policy, baseline}
    pool = [(other, side) for other in sorted(others) for side in (policy, baseline)]
    return length_controlled(contests(rankings, [(policy, baseline)]), _pool(rankings, pool))


def contests(rankings: Sequence[Ranking], sides: Sequence[tuple[str, str]]) -> Contests:
    """Every pair of responses of the two policies of any side. Raises ValueError when there is none."""
    rows: list[tuple[float, str, str, float, str]] = []
    for row, (one, other) in product(rankings, sides):
        for (i, ours), (j, theirs) in product(enumerate(row.responses), repeat=2):
            if ours.policy == one and theirs.policy == other and (i != j or one == other):
                won = (float(np.sign(row.ranks[j] - row.ranks[i])) + 1) / 2
                gap = float(len(ours.text) - len(theirs.text))
                rows.append((won, row.prompt.id, row.labeler, gap, f"{one} {other}"))
    if not rows:
        raise ValueError(f"no ranking holds responses of both {' and '.join(map(repr, sides[0]))}; rank them together")
    values, prompts, labelers, longer, names = zip(*rows, strict=True)
    return Contests(judgements(values, prompts, labelers), np.array(longer), np.array(names))


def _pool(rankings: Sequence[Ranking], sides: Sequence[tuple[str, str]]) -> Contests | None:
    met = any({one, other} <= {r.policy for r in row.responses} for row in rankings for one, other in sides)
    return contests(rankings, sides) if met else None


def _pairs(row: Ranking, policy: str, baseline: str) -> list[tuple[int, int]]:
    """The ranks of every response of the policy beside every one of the baseline."""
    ranked = list(zip(row.responses, row.ranks, strict=True))
    ours = [rank for response, rank in ranked if response.policy == policy]
    return list(product(ours, [rank for response, rank in ranked if response.policy == baseline]))


# -- ratings -------------------------------------------------------------------------------------------------------


def likert(ratings: Sequence[Rating]) -> dict[str, Clustered]:
    """The mean overall rating, 1 to 7, of every policy, with two-way clustered intervals."""
    return {
        policy: clustered_mean(_judged(rows, [row.overall for row in rows])) for policy, rows in _by_policy(ratings)
    }


def flag_rates(ratings: Sequence[Rating]) -> dict[str, dict[str, Clustered]]:
    """Policy -> flag of Table 3 -> how often it was set, of the ratings to which it applies; others are left out."""
    found: dict[str, dict[str, Clustered]] = {}
    for policy, rows in _by_policy(ratings):
        found[policy] = {}
        for flag in FLAGS:
            told = [row for row in rows if row.flags.get(flag) is not None]
            if told:
                found[policy][flag] = clustered_share(_judged(told, [float(bool(row.flags[flag])) for row in told]))
    return found


def rankings_of(ratings: Sequence[Rating]) -> list[Ranking]:
    """What one labeler's ratings of one prompt's responses say as a ranking: equal ratings are ties.

    So that ratings can be compared as rankings are. Prompts of which a labeler rated one response say nothing.
    """
    key = [(row.prompt.id, row.labeler) for row in ratings]
    found: list[Ranking] = []
    for (prompt, labeler), places in groupby(sorted(range(len(key)), key=lambda n: key[n]), key=lambda n: key[n]):
        rows = [ratings[place] for place in places]
        order = sorted({row.overall for row in rows}, reverse=True)
        if len(rows) > 1:
            found.append(
                Ranking(
                    id=f"{prompt}-{labeler}",
                    prompt=rows[0].prompt,
                    responses=tuple(row.response for row in rows),
                    ranks=tuple(order.index(row.overall) + 1 for row in rows),
                    labeler=labeler,
                    source=rows[0].source,
                    licence=rows[0].licence,
                )
            )
    return found


def _by_policy(ratings: Sequence[Rating]) -> list[tuple[str, list[Rating]]]:
    names = sorted({row.response.policy for row in ratings})
    return [(name, [row for row in ratings if row.response.policy == name]) for name in names]


def _judged(ratings: Sequence[Rating], values: Sequence[float]) -> Judgements:
    return judgements(values, [row.prompt.id for row in ratings], [row.labeler for row in ratings])
