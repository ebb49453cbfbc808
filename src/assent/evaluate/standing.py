"""What stands beside win rates, as rows: strengths of all policies at once, agreement of labelers, Likert and flags."""

from collections.abc import Collection, Mapping, Sequence

from assent.evaluate import preference
from assent.evaluate.rows import Row, rounded, spread
from assent.records import Ranking, Rating
from assent.statistics.labelers import pairwise_agreement
from assent.statistics.luce import bradley_terry
from assent.statistics.meetings import RULES
from assent.statistics.multiple import places
from assent.statistics.ratings import Comparison, Ratings, elo


def strengths(rankings: Sequence[Ranking]) -> Row:
    """Davidson-Luce and Bradley-Terry strengths of all policies, whether they are comparable, and places in order."""
    rows = [
        Comparison(tuple(r.policy for r in row.responses), row.ranks, row.prompt.id, row.labeler) for row in rankings
    ]
    found, without_ties = preference.strengths(rankings), bradley_terry(rows)
    return {
        "caution": found.caution,
        "groups": [list(group) for group in found.groups],
        "ties": {str(size): rounded(one.estimate) for size, one in found.ties.items()},
        "rows": _strength_rows(found, without_ties),
    }


def _strength_rows(found: Ratings, without_ties: Ratings) -> list[Row]:
    order = places([one.interval for one in found.strengths.values()])
    return [
        {
            "policy": policy,
            **spread(one),
            "elo": round(elo(one.estimate)),
            "place": place.rank,
            "places": [place.best, place.worst],
            "bradley_terry": rounded(without_ties.strengths[policy].estimate),
        }
        for (policy, one), place in zip(found.strengths.items(), order, strict=True)
    ]


def agreements(rankings: Sequence[Ranking], held_out: Collection[str] = ()) -> list[Row]:
    """How often two labelers who ranked the same responses agree, by each rule for ties and group of labelers."""
    found: list[Row] = []
    for part, rows in preference.slices(rankings, held_out).items():
        if part.use_case != preference.ALL:
            continue
        for rule in RULES:
            try:
                one = pairwise_agreement(by_item(rows), rule)
            except ValueError:  # no two labelers ranked the same responses
                continue
            row = {"group": part.labelers, "rule": rule, **spread(one.found), "pairs": one.pairs}
            found.append(row | {"chance": rounded(one.chance)})
    return found


def by_item(rankings: Sequence[Ranking]) -> Mapping[str, Mapping[str, Sequence[int]]]:
    """Item -> labeler -> ranks, where an item is a prompt with its responses, in an order of their own."""
    found: dict[str, dict[str, Sequence[int]]] = {}
    for row in rankings:
        order = sorted(range(len(row.responses)), key=lambda n: (row.responses[n].policy, row.responses[n].text))
        item = "\0".join([row.prompt.id, *(f"{row.responses[n].policy}\0{row.responses[n].text}" for n in order)])
        found.setdefault(item, {})[row.labeler] = [row.ranks[n] for n in order]
    return found


def rated(ratings: Sequence[Rating], held_out: Collection[str]) -> Row:
    """Likert means and flag rates by policy and group of labelers."""
    groups = {preference.ALL: list(ratings)}
    if held_out:
        groups["training"] = [row for row in ratings if row.labeler not in held_out]
        groups["held_out"] = [row for row in ratings if row.labeler in held_out]
    named = {group: [row for row in rows if row.response.policy] for group, rows in groups.items()}
    return {
        "likert": [
            {"policy": policy, "group": group, **spread(one)}
            for group, rows in named.items()
            for policy, one in preference.likert(rows).items()
        ],
        "flags": [
            {"policy": policy, "group": group, "flag": flag, **spread(one)}
            for group, rows in named.items()
            for policy, flags in preference.flag_rates(rows).items()
            for flag, one in flags.items()
        ],
    }
