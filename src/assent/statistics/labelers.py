"""Labelers against each other (section 3.4): how often they agree, by the authors' count and by three rules for ties.

The paper says that training labelers agree 72.6 +- 1.5 % of the time and held-out ones 77.3 +- 1.3 %, and neither how
ties count nor what +- is. So all three rules are here, to be shown together, each with what chance alone would give.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

from assent.statistics.clusters import Clustered, clustered
from assent.statistics.intervals import Interval, bootstrap_interval
from assent.statistics.pairs import ordered_pairs

Rankings = Mapping[str, Mapping[str, Sequence[int]]]  # item -> labeler -> ranks of the same responses in one order
Rule = Literal["strict", "drop", "half"]

RULES: tuple[Rule, ...] = ("strict", "drop", "half")


def agreement(rankings: Rankings, *, seed: int = 0) -> Interval:
    """How often two labelers prefer the same response of a pair; 1/2 is chance. The paper reports 72.6 +- 1.5 %.

    rankings: prompt -> labeler -> ranks [K] of the same responses in the same order. The paper does not describe its
    computation; this is Stiennon et al. (2020): of the pairs that both order, the share with the same winner, pooled
    over prompts and labelers, pairs that either ties dropped. The interval resamples prompts. Raises ValueError when
    labelers ranked different numbers of responses, or no two of them ordered the same pair.
    """
    same: list[float] = []
    prompts: list[int] = []
    for number, (prompt, by_labeler) in enumerate(rankings.items()):
        _check(prompt, by_labeler)
        for one, other in combinations(by_labeler.values(), 2):
            outcome = ordered_pairs([-np.asarray(other)], [np.asarray(one)]).outcome
            shared = outcome[outcome != 0.5]  # a half is a tie of the other labeler
            same.extend(shared)
            prompts.extend([number] * len(shared))
    if not same:
        raise ValueError("no pair of responses was ordered by two labelers; agreement needs prompts ranked twice")
    return bootstrap_interval(same, prompts, seed=seed)


@dataclass(frozen=True)
class Agreement:
    """How often two labelers agree about a pair, by one rule.

    found: averaged within each item first, so that rankings of many responses do not rule; clustered by item and
    labeler, a comparison of two labelers belonging to both. jackknife: every labeler left out once, as a check.
    chance: what labelers would reach who tie as often and know nothing. pairs: comparisons that counted.
    """

    rule: Rule
    found: Clustered
    jackknife: Interval
    chance: float
    pairs: int


def pairwise_agreement(rankings: Rankings, rule: Rule) -> Agreement:
    """Agreement over all pairs of labelers and all pairs of responses of every item that two labelers ranked.

    strict: the same of better, worse, equal. drop: only pairs that neither ties. half: both tied agree, a tie against
    a preference counts 1/2. Raises ValueError when labelers ranked different numbers of responses, or nothing counts.
    """
    met = _meet(rankings, rule)
    estimate = met.mean()
    who = np.unique(met.labelers)
    without = [kept.mean() for who_left in who if len(kept := met.without(int(who_left)))]
    return Agreement(
        rule,
        clustered(estimate, met.variances(), len(met), len(np.unique(met.item)), len(who)),
        _jackknife(estimate, np.array(without), len(who)),
        _chance(rankings, rule),
        int(met.pairs.sum()),
    )


@dataclass(frozen=True)
class Standing:
    """One labeler against the others who ranked the same items.

    raw: mean over items, with an interval over items. shrunk: drawn towards the mean of all labelers by as much as
    the raw value is unsure; the one to look at, since the extremes of raw values are mostly those with few items.
    """

    raw: Interval
    shrunk: float
    items: int
    pairs: int


def standings(rankings: Rankings, rule: Rule) -> dict[str, Standing]:
    """Every labeler's agreement with all others, shrunk by empirical Bayes (the method of moments)."""
    met = _meet(rankings, rule)
    raws: dict[str, tuple[Interval, float, int, int]] = {}
    for number, name in enumerate(met.names):
        own = met.only(number)
        if len(own):
            values = own.by_item()
            error = values.std(ddof=1) / math.sqrt(len(values)) if len(values) > 1 else math.nan
            half = float(stats.t.ppf(0.975, len(values) - 1)) * error if len(values) > 1 else math.nan
            raw = float(values.mean())
            raws[name] = Interval(raw, raw - half, raw + half), error, len(values), int(own.pairs.sum())
    estimates = np.array([raw.estimate for raw, *_ in raws.values()])
    errors = np.array([error for _, error, *_ in raws.values()])
    known = errors[np.isfinite(errors)]
    between = max(0.0, float(estimates.var(ddof=1) - (known**2).mean())) if len(raws) > 1 and len(known) else 0.0
    middle = float(estimates.mean())
    found: dict[str, Standing] = {}
    for name, (raw, error, items, pairs) in raws.items():
        weight = between / (between + error**2) if between and not math.isnan(error) else 0.0
        found[name] = Standing(raw, middle + weight * (raw.estimate - middle), items, pairs)
    return found


def between_labelers(rankings: Rankings, rule: Rule) -> dict[tuple[str, str], tuple[float, int]]:
    """The agreement of each two labelers who met, with the number of pairs behind it, in the order of their names."""
    met, found = _meet(rankings, rule), dict[tuple[str, str], tuple[float, int]]()
    for one, other in np.unique(met.labelers, axis=0):
        here = (met.labelers == (one, other)).all(axis=1)
        pairs = met.pairs[here]
        found[met.names[one], met.names[other]] = float(met.agree[here] @ pairs / pairs.sum()), int(pairs.sum())
    return found


@dataclass(frozen=True)
class _Meetings:
    """Two labelers on one item: the share of the item's pairs on which they agree, and how many pairs counted."""

    item: Int[np.ndarray, " n"]
    labelers: Int[np.ndarray, "n 2"]
    agree: Float[np.ndarray, " n"]
    pairs: Int[np.ndarray, " n"]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.item)

    def _take(self, keep: Int[np.ndarray, " n"]) -> "_Meetings":
        return _Meetings(self.item[keep], self.labelers[keep], self.agree[keep], self.pairs[keep], self.names)

    def without(self, labeler: int) -> "_Meetings":
        return self._take(np.flatnonzero((self.labelers != labeler).all(axis=1)))

    def only(self, labeler: int) -> "_Meetings":
        return self._take(np.flatnonzero((self.labelers == labeler).any(axis=1)))

    def by_item(self) -> Float[np.ndarray, " items"]:
        """The agreement within each item, all its pairs weighing the same."""
        _, owner = np.unique(self.item, return_inverse=True)
        return np.bincount(owner, weights=self.agree * self.pairs) / np.bincount(owner, weights=self.pairs)

    def mean(self) -> float:
        return float(self.by_item().mean())

    def variances(self) -> tuple[float, float]:
        """The two-way variance and the one by item alone.

        Meetings that share a labeler depend on each other, and every meeting has two. Summing the squares over
        labelers counts meetings of the same two twice, which is taken off again.
        """
        _, item = np.unique(self.item, return_inverse=True)
        items, labelers = int(item.max()) + 1, len(np.unique(self.labelers))
        weight = self.pairs / np.bincount(item, weights=self.pairs)[item] / items
        influence = (self.agree - self.mean()) * weight
        by_item = _factor(items) * float((np.bincount(item, weights=influence) ** 2).sum())
        by_labeler = _factor(labelers) * _dyadic(self.labelers, np.zeros_like(item), influence)
        by_both = _dyadic(self.labelers, item, influence)
        return max(by_item + by_labeler - by_both, by_item, by_labeler), by_item


def _meet(rankings: Rankings, rule: Rule) -> _Meetings:
    names = tuple(sorted({name for by_labeler in rankings.values() for name in by_labeler}))
    number = {name: place for place, name in enumerate(names)}
    rows: list[tuple[int, int, int, float, int]] = []
    for item, (prompt, by_labeler) in enumerate(rankings.items()):
        _check(prompt, by_labeler)
        pairs = {number[name]: signs(by_labeler[name]) for name in sorted(by_labeler)}
        for (one, first), (other, second) in combinations(pairs.items(), 2):
            if len(counted := credit(first, second, rule)):
                rows.append((item, one, other, float(counted.mean()), len(counted)))
    if not rows:
        raise ValueError("no pair of responses was judged by two labelers; agreement needs items ranked twice")
    items, one, other, agree, counts = (np.array(column) for column in zip(*rows, strict=True))
    return _Meetings(items, np.stack([one, other], axis=1), agree, counts, names)


def signs(ranks: Sequence[int]) -> Int[np.ndarray, " pairs"]:
    """-1, 0 or 1 for every pair of responses: the first is better, as good, worse."""
    place = np.asarray(ranks, dtype=np.int64)
    first, second = np.triu_indices(len(place), 1)
    return np.sign(place[first] - place[second])


def credit(
    first: Int[np.ndarray, " pairs"], second: Int[np.ndarray, " pairs"], rule: Rule
) -> Float[np.ndarray, " counted"]:
    """What the pairs of two labelers count by a rule, 0 to 1 each; `drop` leaves out those that either ties."""
    same = (first == second).astype(np.float64)
    if rule == "strict":
        return same
    if rule == "drop":
        return same[(first != 0) & (second != 0)]
    return np.where((first == 0) != (second == 0), 0.5, same)


def _chance(rankings: Rankings, rule: Rule) -> float:
    """Agreement of two labelers who tie as often as these and else toss a coin."""
    met = [by_labeler for by_labeler in rankings.values() if len(by_labeler) > 1]
    t = float(np.mean([np.mean([(signs(ranks) == 0).mean() for ranks in one.values()]) for one in met]))
    return {"strict": t**2 + (1 - t) ** 2 / 2, "drop": 0.5, "half": 0.5 + t**2 / 2}[rule]


def _check(prompt: str, by_labeler: Mapping[str, Sequence[int]]) -> None:
    if len({len(ranks) for ranks in by_labeler.values()}) > 1:
        raise ValueError(f"prompt {prompt!r}: the labelers ranked different numbers of responses")


def _dyadic(
    labelers: Int[np.ndarray, "n 2"], within: Int[np.ndarray, " n"], influence: Float[np.ndarray, " n"]
) -> float:
    """The sum of products over meetings that share a labeler, within each group."""
    one, other = labelers.T
    base = int(labelers.max()) + 1
    shared = _squares(np.concatenate([within * base + one, within * base + other]), np.tile(influence, 2))
    return shared - _squares((within * base + one) * base + other, influence)


def _squares(owner: Int[np.ndarray, " n"], influence: Float[np.ndarray, " n"]) -> float:
    _, compact = np.unique(owner, return_inverse=True)
    return float((np.bincount(compact, weights=influence) ** 2).sum())


def _factor(groups: int) -> float:
    return groups / (groups - 1) if groups > 1 else 1.0


def _jackknife(estimate: float, without: Float[np.ndarray, " labelers"], labelers: int) -> Interval:
    if labelers < 3 or len(without) < labelers:
        return Interval(estimate, math.nan, math.nan)
    variance = (labelers - 1) / labelers * float(((without - without.mean()) ** 2).sum())
    half = float(stats.t.ppf(0.975, labelers - 1)) * math.sqrt(variance)
    return Interval(estimate, estimate - half, estimate + half)
