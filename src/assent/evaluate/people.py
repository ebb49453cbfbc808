"""The results of section 4.1 for some rankings and ratings, as results.json takes them: who is preferred, how surely.

`preference` computes; here its numbers become rows, policies with too few judgements are left out and named, and what
was planned is held against what was collected. `people_table` prints them.
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np

from assent.evaluate import preference
from assent.evaluate.rows import Row, rounded, spread, with_holm
from assent.evaluate.standing import agreements, rated, strengths
from assent.evaluate.weighing import weighted
from assent.records import Ranking, Rating
from assent.statistics import clustered_mean, planning
from assent.statistics.clusters import FEWEST_PROMPTS, standard_error
from assent.statistics.multiple import p_value


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked of the judgements: who is held against whom, and which labelers stand apart.

    baseline: the policy that the others are held against; the paper's is the 175B SFT model. held_out: labelers whose
    data no model was trained on. detect: the smallest win rate that would matter, for planning; 0 plans nothing.
    ties: their share while nothing was collected. chances: by the id of a ranking, with which probability its item was
    chosen, where a batch was chosen actively.
    """

    baseline: str = ""
    held_out: Collection[str] = ()
    detect: float = 0.0
    ties: float = 0.0
    chances: Mapping[str, float] = field(default_factory=dict[str, float])


def judged(rankings: Sequence[Ranking], ratings: Sequence[Rating], question: Question) -> Row:
    """Everything that rankings and ratings say. Without rankings, ratings of one prompt by one labeler order them.

    Raises ValueError when nothing names a policy, or nothing was judged beside the baseline.
    """
    rows = list(rankings) or preference.rankings_of(ratings)
    named = [row for row in rows if all(response.policy for response in row.responses)]
    if not named and rows:
        raise ValueError(
            "--rankings: no ranking names the policies of its responses; give each response a `policy` (or `models`)"
        )
    kept, gaps = _with_enough(named, question.baseline)
    if len(named) < len(rows):
        gaps.insert(0, f"{len(rows) - len(named)} of {len(rows)} rankings do not name all their policies; left out")
    found: Row = {"counts": _counts(named, ratings), "by": "rankings" if rankings else "ratings"}
    found |= {"baseline": question.baseline, "held_out": sorted(question.held_out)}
    if kept:
        found |= compared(kept, question)
        found["weighted"], lacking = weighted(kept, question.baseline, question.held_out, question.chances)
        gaps += lacking
        found["strengths"] = strengths(named)
        found["agreement"] = agreements(named, question.held_out)
    found |= rated(ratings, question.held_out)
    return found | {"gaps": gaps}


def _with_enough(rows: Sequence[Ranking], baseline: str) -> tuple[list[Ranking], list[str]]:
    """The rankings without the policies that met the baseline on too few prompts for any interval."""
    prompts: dict[str, set[str]] = {}
    for row in rows:
        names = {response.policy for response in row.responses}
        for name in names - {baseline} if baseline in names else ():
            prompts.setdefault(name, set()).add(row.prompt.id)
    if rows and not prompts:
        known = sorted({response.policy for row in rows for response in row.responses})
        shown = ", ".join(known[:8]) + (", ..." if len(known) > 8 else "")
        raise ValueError(f"--baseline: nothing was ranked beside {baseline!r}; name one of {shown}")
    few = sorted(name for name, seen in prompts.items() if len(seen) < FEWEST_PROMPTS)
    if not few or len(few) == len(prompts):
        return list(rows), []
    kept = [_without(row, {baseline, *prompts} - set(few)) for row in rows]
    reason = f"fewer than {FEWEST_PROMPTS} prompts beside {baseline}: {', '.join(few)}; not compared"
    return [row for row in kept if row], [reason]


def _without(row: Ranking, policies: Collection[str]) -> Ranking | None:
    places = [place for place, response in enumerate(row.responses) if response.policy in policies]
    if len(places) < 2:
        return None
    responses, ranks = tuple(row.responses[n] for n in places), tuple(row.ranks[n] for n in places)
    return replace(row, responses=responses, ranks=ranks)


def _counts(rankings: Sequence[Ranking], ratings: Sequence[Rating]) -> Row:
    rows = [*rankings, *ratings]
    labelers, prompts = {row.labeler for row in rows}, {row.prompt.id for row in rows}
    return {"rankings": len(rankings), "ratings": len(ratings), "prompts": len(prompts), "labelers": len(labelers)}


# -- win rates -----------------------------------------------------------------------------------------------------


def compared(rankings: Sequence[Ranking], question: Question) -> Row:
    """Win rates over the baseline by labelers and use case, at equal length, and two policies against each other."""
    baseline = question.baseline
    rates = preference.preferences(rankings, baseline, question.held_out)
    policies = [policy for policy, part in rates if part == preference.Slice()]
    paired: list[tuple[Row, float]] = []
    for one, other in combinations(policies, 2):
        try:
            found = preference.against(rankings, one, other, baseline)
        except ValueError:  # nobody judged both on one prompt
            continue
        paired.append(({"policy": one, "other": other, **spread(found)}, p_value(found)))
    return {
        "win_rates": [_rate(one) for one in rates.values()],
        "by_source": list(_by_source(rankings, question)),
        "at_equal_length": [_at_equal_length(rankings, policy, baseline) for policy in policies],
        "paired": with_holm(paired),
        "plan": [planned(question, rankings, policy) for policy in policies] if question.detect else [],
    }


def _by_source(rankings: Sequence[Ranking], question: Question) -> Iterator[Row]:
    """Win rates by where the prompts are from, such as the paper's two distributions (Figure 3); nothing for one."""
    parts: dict[str, list[Ranking]] = {}
    for row in rankings:
        parts.setdefault(row.prompt.source or "unnamed", []).append(row)
    for source, rows in parts.items() if len(parts) > 1 else ():
        if any(response.policy == question.baseline for row in rows for response in row.responses):
            rates = preference.preferences(rows, question.baseline, question.held_out).values()
            yield from (_rate(one) | {"source": source} for one in rates if one.slice.use_case == preference.ALL)


def _rate(one: preference.Preference) -> Row:
    total = one.wins + one.ties + one.losses
    row = {"policy": one.policy, "baseline": one.baseline, "group": one.slice.labelers, "use_case": one.slice.use_case}
    counts = {"wins": one.wins, "ties": one.ties, "losses": one.losses, "tie_share": rounded(one.ties / total)}
    return row | spread(one.rate) | counts


def _at_equal_length(rankings: Sequence[Ranking], policy: str, baseline: str) -> Row:
    raw = preference.preference(rankings, policy, baseline).rate
    found = preference.at_equal_length(rankings, policy, baseline)
    effect = {f"effect{end}": rounded(getattr(found.effect, name)) for end, name in _ENDS}
    return {"policy": policy, "raw": rounded(raw.estimate), **spread(found.rate), **effect, "caution": found.caution}


_ENDS = (("", "estimate"), ("_low", "low"), ("_high", "high"))


def planned(question: Question, rankings: Sequence[Ranking] = (), policy: str = "") -> Row:
    """How many judgements tell `detect` from a tie with 80 and 90 % power, and how many there are.

    What was collected says how often ties occur, and by how much shared prompts and labelers widen the interval (the
    design effect); without it, ties are as assumed and judgements independent.
    """
    ties, effect, have = question.ties, 1.0, 0
    if rankings:
        outcomes = preference.outcomes(rankings, policy, question.baseline)
        have, ties = len(outcomes), float(np.mean(outcomes.values == 0.5))
        error, alone = standard_error(clustered_mean(outcomes)), float(outcomes.values.var()) / have
        if alone and not math.isnan(error):
            effect = max(1.0, error**2 / alone)
    needed = {
        f"needed_{round(100 * power)}": math.ceil(
            effect * planning.judgements_to_detect(question.detect, ties=ties, power=power)
        )
        for power in (0.8, 0.9)
    }
    row = {"policy": policy, "detect": question.detect, "ties": rounded(ties), "design_effect": round(effect, 2)}
    return row | needed | {"have": have}
