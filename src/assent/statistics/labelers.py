"""Labelers against each other (section 3.4): how often they agree, by the authors' count and by three rules for ties.

The paper says that training labelers agree 72.6 +- 1.5 % of the time and held-out ones 77.3 +- 1.3 %, and neither how
ties count nor what +- is. So all three rules are here, to be shown together, each with what chance alone would give.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float
from scipy import stats

from assent.statistics.clusters import Clustered, clustered
from assent.statistics.intervals import Interval, bootstrap_interval
from assent.statistics.meetings import Groups, Rankings, Rule, check, grouped, meetings, ties
from assent.statistics.pairs import ordered_pairs


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
        check(prompt, by_labeler)
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
    groups = grouped(rankings)
    met = meetings(groups, rule)
    estimate = met.mean()
    who = np.unique(met.labelers)
    without = [kept.mean() for who_left in who if len(kept := met.without(int(who_left)))]
    return Agreement(
        rule,
        clustered(estimate, met.variances(), len(met), len(np.unique(met.item)), len(who)),
        _jackknife(estimate, np.array(without), len(who)),
        _chance(groups, rule),
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
    met = meetings(grouped(rankings), rule)
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
    met, found = meetings(grouped(rankings), rule), dict[tuple[str, str], tuple[float, int]]()
    for one, other in np.unique(met.labelers, axis=0):
        here = (met.labelers == (one, other)).all(axis=1)
        pairs = met.pairs[here]
        found[met.names[one], met.names[other]] = float(met.agree[here] @ pairs / pairs.sum()), int(pairs.sum())
    return found


@dataclass(frozen=True)
class Kappas:
    """Cohen's kappa of every two labelers who ranked the same items, and their mean.

    between: by two names in order, kappa and the number of items; kappa is None where both tie everything, since chance
    alone is perfect then. mean: over the pairs of labelers with `fewest` items or more (Light 1971), with the interval
    that leaves out every labeler once; None without such a pair.
    """

    between: dict[tuple[str, str], tuple[float | None, int]]
    mean: Interval | None


def kappas(rankings: Rankings, fewest: int = 10) -> Kappas:
    """Kappa of what two labelers say of each pair of responses: better, worse or tied, every item weighing the same.

    Which response of a pair is named first means nothing, so each pair counts both ways round: a labeler's habits are
    how often they tie. Raises ValueError when labelers ranked different numbers of responses, or nobody ranked the
    same item as another.
    """
    groups = grouped(rankings)
    tables: dict[tuple[int, int], Float[np.ndarray, "3 3"]] = {}
    items: Counter[tuple[int, int]] = Counter()
    for group in groups.groups:
        one, other = group.meetings()
        first, second = group.signs[one], group.signs[other]
        values = (-1, 0, 1)
        shares = np.array([[((first == x) & (second == y)).mean(axis=1) for y in values] for x in values])
        shares = (shares + shares[::-1, ::-1]) / 2
        for number, pair in enumerate(zip(group.labeler[one].tolist(), group.labeler[other].tolist(), strict=True)):
            tables[pair] = tables.get(pair, 0.0) + shares[:, :, number]
            items[pair] += 1
    if not tables:
        raise ValueError("no pair of responses was judged by two labelers; agreement needs items ranked twice")
    each = {pair: _kappa(table / items[pair]) for pair, table in sorted(tables.items())}
    known = {pair: value for pair, value in each.items() if value is not None and items[pair] >= fewest}
    names = groups.names
    between = {(names[a], names[b]): (value, items[a, b]) for (a, b), value in each.items()}
    return Kappas(between, _mean_kappa(known) if known else None)


def _kappa(table: Float[np.ndarray, "3 3"]) -> float | None:
    chance = float(table.sum(axis=0) @ table.sum(axis=1))
    return None if chance >= 1 - 1e-12 else (float(table.trace()) - chance) / (1 - chance)


def _mean_kappa(known: Mapping[tuple[int, int], float]) -> Interval:
    who = sorted({name for pair in known for name in pair})
    left = ([value for pair, value in known.items() if name not in pair] for name in who)
    without = np.array([np.mean(values) for values in left if values])
    return _jackknife(float(np.mean(list(known.values()))), without, len(who))


def _chance(groups: Groups, rule: Rule) -> float:
    """Agreement of two labelers who tie as often as these and else toss a coin."""
    if rule == "drop":
        return 0.5
    t = ties(groups)
    return t**2 + (1 - t) ** 2 / 2 if rule == "strict" else 0.5 + t**2 / 2


def _jackknife(estimate: float, without: Float[np.ndarray, " labelers"], labelers: int) -> Interval:
    if labelers < 3 or len(without) < labelers:
        return Interval(estimate, math.nan, math.nan)
    variance = (labelers - 1) / labelers * float(((without - without.mean()) ** 2).sum())
    half = float(stats.t.ppf(0.975, labelers - 1)) * math.sqrt(variance)
    return Interval(estimate, estimate - half, estimate + half)
