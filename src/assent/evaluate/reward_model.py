"""A reward model against rankings: whom it agrees with, how sure it may be, and what fools it (appendix E.2).

Pairs of one prompt are never independent, so every interval draws whole prompts. The probes change a preferred response
in a way that no labeler would like and ask how often the original still scores higher; one half is a coin.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats

from assent import records, statistics
from assent.engine import encode
from assent.engine.encode import RankingItem
from assent.engine.machine import Machine
from assent.engine.models import ScalarModel
from assent.engine.text import Limits
from assent.evaluate import metrics
from assent.evaluate.standing import by_item
from assent.statistics import Interval, bootstrap_interval

PROBED = 512  # preferred responses that the probes change
LARGEST = 20  # groups of a kind that are listed, those with the most rankings


@dataclass(frozen=True)
class Judged:
    """What came out, as results.json takes it, and the rankings that were left out."""

    results: dict[str, Any]
    rejected: list[dict[str, Any]]


@torch.no_grad()
def evaluate(
    directory: Path, rows: Sequence[records.Ranking], machine: Machine, held_out: Collection[str] = ()
) -> Judged:
    """A reward model on rankings; held_out: labelers it was not trained on, who then stand apart.

    Raises ValueError when none of the rankings can be scored.
    """
    model = ScalarModel.load(directory, machine).freeze()
    room = model.positions or 2**20
    kept = encode.rankings(model.text, rows, Limits(prompt=room, response=room, context=room))
    if not kept.items:
        raise ValueError(f"--rankings: none of {len(rows)} rankings can be scored; see rejected.jsonl for the reasons")
    items = kept.items
    flat = model.score(encode.ranking_batch(items)).cpu().double()
    scores = [part.numpy() for part in flat.split([len(item.responses) for item in items])]
    found = {"rankings": len(items), "left out": len(rows) - len(items), **agreement(items, scores, held_out)}
    found["probes"] = list(probes(model, items, room))
    return Judged(found, kept.rejected)


def agreement(
    items: Sequence[RankingItem], scores: Sequence["np.ndarray"], held_out: Collection[str] = ()
) -> dict[str, Any]:
    """Pair accuracy over all and by group, beside what labelers reach among themselves; calibration, what else the
    score goes with, agreement on whole rankings."""
    ranks = [item.ranks.numpy() for item in items]
    prompts = [item.record.prompt.id for item in items]
    pairs = statistics.ordered_pairs(scores, ranks)
    owners = [prompts[number] for number in pairs.ranking]
    calibrated = statistics.calibration(pairs.probability, pairs.outcome)
    lengths = [np.array([len(ids) for ids in item.responses]) for item in items]
    places = [np.arange(len(item.responses)) for item in items]
    taus = [_tau(score, rank) for score, rank in zip(scores, ranks, strict=True)]
    have = [number for number, tau in enumerate(taus) if not np.isnan(tau)]
    best = [float(rank[score.argmax()] == rank.min()) for score, rank in zip(scores, ranks, strict=True)]
    return {
        "pairs": len(pairs.outcome),
        "accuracy": listed(bootstrap_interval(pairs.outcome, owners)),
        "labelers among themselves": _ceiling(items),
        "loss": round(
            float(np.mean(-np.log(np.where(pairs.outcome > 0.5, pairs.probability, 1 - pairs.probability)))), 4
        ),
        "calibration": {
            "error": round(calibrated.error, 4),
            "reliability": [vars(one) for one in calibrated.reliability],
        },
        "length correlation": listed(_correlation(scores, lengths)),
        "labelers' length correlation": listed(_correlation([-rank for rank in ranks], lengths)),
        "position correlation": listed(_correlation(scores, places)),
        "kendall tau": listed(bootstrap_interval([taus[n] for n in have], [prompts[n] for n in have]))
        if have
        else None,
        "best response found": listed(bootstrap_interval(best, prompts)),
        "by": [row for name, of in _groups(held_out).items() for row in _by(name, of, items, pairs)],
    }


def _ceiling(items: Sequence[RankingItem]) -> list[float | None] | None:
    """How often two labelers prefer the same response of a pair: a model that does as well knows what they know.

    None where no two of them ordered the same responses.
    """
    try:
        return listed(statistics.agreement(by_item([item.record for item in items])))
    except ValueError:
        return None


def _tau(score: "np.ndarray", rank: "np.ndarray") -> float:
    """Kendall's tau-b of an order by score with a ranking; NaN where one of them ties all."""
    found: Any = stats.kendalltau(-score, rank)
    return float(found.statistic)


def _correlation(scores: Sequence[Any], others: Sequence[Any]) -> Interval:
    """Spearman's correlation within prompts; NaN where no prompt has one."""
    try:
        return statistics.length_correlation(scores, others)
    except ValueError:
        return Interval(float("nan"), float("nan"), float("nan"))


def listed(interval: Interval) -> list[float | None]:
    """An interval as [low, value, high]; what is not known is null."""
    values = (interval.low, interval.estimate, interval.high)
    return [None if np.isnan(value) else round(float(value), 4) for value in values]


GROUPS: Mapping[str, Callable[[records.Ranking], str]] = {
    "use case": lambda row: row.prompt.use_case,
    "source": lambda row: row.source or row.prompt.source,
    "labeler": lambda row: row.labeler,
    "responses": lambda row: str(len(row.responses)),
}


def _groups(held_out: Collection[str]) -> Mapping[str, Callable[[records.Ranking], str]]:
    if not held_out:
        return GROUPS
    return {"labelers": lambda row: "held out" if row.labeler in held_out else "training", **GROUPS}


def _by(
    name: str, of: Callable[[records.Ranking], str], items: Sequence[RankingItem], pairs: statistics.Pairs
) -> Iterator[dict[str, Any]]:
    """Accuracy within the largest groups of a kind; nothing where there is only one group."""
    groups = [of(item.record) for item in items]
    sizes = {group: groups.count(group) for group in dict.fromkeys(groups)}
    if len(sizes) < 2:
        return
    for group in sorted(sizes, key=lambda one: -sizes[one])[:LARGEST]:
        mine = [number for number, owner in enumerate(pairs.ranking) if groups[owner] == group]
        prompts = [items[pairs.ranking[number]].record.prompt.id for number in mine]
        interval = listed(bootstrap_interval(pairs.outcome[mine], prompts))
        yield {"by": name, "group": group or "(none)", "accuracy": interval, "rankings": sizes[group]}


# -- probes --------------------------------------------------------------------------------------------------------

_PAIRS = (("he", "she"), ("him", "her"), ("his", "hers"), ("i", "you"), ("my", "your"), ("me", "you"), ("we", "they"))
_ROLES = {one: other for pair in _PAIRS for one, other in (pair, pair[::-1])} | {"you": "I"}
_NEGATION = re.compile(r"\b(is|are|was|were|can|will|should|does|do|has|have)\b(?! not|n't)")
_SENTENCE = re.compile(r"(?<=[.!?])\s+")


def _repeated(text: str) -> str:
    """Its last sentence once more: longer, and nothing is said."""
    return f"{text.rstrip()} {_SENTENCE.split(text.strip())[-1]}"


def _shortened(text: str) -> str:
    """Without its last sentence."""
    return " ".join(_SENTENCE.split(text.strip())[:-1])


def _swapped(text: str) -> str:
    """Its pronouns exchanged: who did what to whom is turned round."""

    def other(found: "re.Match[str]") -> str:
        word = _ROLES[found[0].lower()]
        return word.capitalize() if found[0][0].isupper() else word

    return re.sub(rf"\b(?:{'|'.join(_ROLES)})\b", other, text, flags=re.IGNORECASE)


def _denied(text: str) -> str:
    """Its first statement denied."""
    return _NEGATION.sub(r"\1 not", text, count=1)


def _counted(text: str) -> str:
    """Its numbers one too large."""
    return re.sub(r"\b\d{1,9}\b", lambda found: str(int(found[0]) + 1), text)


def _shuffled(text: str) -> str:
    """Its words in another order, the same every time."""
    words = text.split()
    return " ".join(np.random.default_rng(len(words)).permutation(words)) if words else text


PROBES: Mapping[str, Callable[[str], str]] = {
    "last sentence repeated": _repeated,
    "last sentence dropped": _shortened,
    "roles swapped": _swapped,
    "first statement denied": _denied,
    "numbers raised by one": _counted,
    "words shuffled": _shuffled,
}


@torch.no_grad()
def probes(model: ScalarModel, items: Sequence[RankingItem], room: int) -> Iterator[dict[str, Any]]:
    """How often a preferred response scores above a spoilt copy of itself; copies that are the same do not count."""
    first = {item.record.prompt.id: item for item in items}  # one ranking a prompt
    chosen = list(first.values())[:PROBED]
    for name, spoil in PROBES.items():
        rankings: list[records.Ranking] = []
        for item in chosen:
            best = item.record.responses[int(np.argmin(item.record.ranks))]
            worse = spoil(best.text)
            if worse.strip() and worse != best.text:
                pair = (best, records.Response(text=worse, finish=best.finish))
                prompt = item.record.prompt
                rankings.append(records.Ranking(id=prompt.id, prompt=prompt, responses=pair, ranks=(1, 2)))
        kept = encode.rankings(model.text, rankings, Limits(prompt=room, response=room, context=room)).items
        if not kept:
            yield {"probe": name, "prefers the original": None, "responses": 0}
            continue
        scores = model.score(encode.ranking_batch(kept)).cpu().unflatten(0, (-1, 2))
        wins = ((scores[:, 0] - scores[:, 1]).sign() + 1) / 2
        interval = listed(metrics.mean_interval(wins.tolist(), range(len(kept))))
        yield {"probe": name, "prefers the original": interval, "responses": len(kept)}
