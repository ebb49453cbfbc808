"""Judgements that share a prompt or a labeler are no independent evidence: intervals that know it.

The two-way estimator of Cameron, Gelbach and Miller (2011): with V_P the variance when prompts are the units of
chance, V_L when labelers are, V_PL when cells (a prompt's judgements by one labeler) are, the variance is
V_P + V_L - V_PL, and no less than V_P or V_L. The t distribution has as many degrees of freedom as the smaller number
of clusters, less one. Every estimate is written as a sum of influences, one a judgement, so that means, differences
and ratings all use the same few lines.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Shaped
from scipy import stats

from assent.statistics.intervals import Interval, Listed, jeffreys_interval

FEWEST_LABELERS, FEWEST_PROMPTS = 8, 20  # below these the interval covers less than it says


@dataclass(frozen=True)
class Judgements:
    """What labelers said about prompts: one number a judgement, such as 1, 1/2 or 0 for a win, a tie or a loss."""

    values: Float[np.ndarray, " n"]
    prompts: Shaped[np.ndarray, " n"]
    labelers: Shaped[np.ndarray, " n"]

    def __len__(self) -> int:
        return len(self.values)


def judgements(values: Listed, prompts: Listed, labelers: Listed) -> Judgements:
    """Judgements from lists of the same length; prompts and labelers are ids.

    Raises ValueError when there is none, lengths differ, or a value is not finite.
    """
    value, prompt, labeler = np.asarray(values, dtype=np.float64), np.asarray(prompts), np.asarray(labelers)
    if not value.shape == prompt.shape == labeler.shape or value.ndim != 1:
        raise ValueError("values, prompts and labelers have different lengths; every judgement has one of each")
    if not len(value) or not np.isfinite(value).all():
        raise ValueError("judgements: none, or one that is not a finite number; an interval needs at least one")
    return Judgements(value, prompt, labeler)


@dataclass(frozen=True)
class Clustered:
    """An estimate with two intervals, both of 95 %.

    interval: for other prompts and other labelers like these, the one to report. this_team: for other prompts judged
    by these very labelers, always too narrow for a claim about people. caution: empty, or why `interval` is not what
    it would be: low and high are NaN where there are too few clusters.
    """

    interval: Interval
    this_team: Interval
    judgements: int
    prompts: int
    labelers: int
    caution: str = ""

    @property
    def estimate(self) -> float:
        """The estimate itself, whatever is known about its error."""
        return self.interval.estimate


class Clusters:
    """Which judgements share a prompt and which a labeler."""

    def __init__(self, prompts: Shaped[np.ndarray, " n"], labelers: Shaped[np.ndarray, " n"]) -> None:
        self._prompt, self.prompts = _numbered(prompts)
        self._labeler, self.labelers = _numbered(labelers)
        self._cell = self._prompt * self.labelers + self._labeler
        if self.prompts * self.labelers > 8 * len(self._cell) + 10_000:  # most cells are empty: number the others
            self._cell, _ = _numbered(self._cell)

    def variances(self, influence: Float[np.ndarray, " n"]) -> tuple[float, float]:
        """The two-way variance of the sum of the influences, and the one that clusters by prompt alone."""
        by_prompt = _spread(influence, self._prompt, self.prompts)
        by_labeler = _spread(influence, self._labeler, self.labelers)
        by_cell = float((np.bincount(self._cell, weights=influence) ** 2).sum())
        return max(by_prompt + by_labeler - by_cell, by_prompt, by_labeler), by_prompt

    def interval(self, estimate: float, influence: Float[np.ndarray, " n"]) -> Clustered:
        """The intervals of an estimate whose error is about the sum of `influence`."""
        return clustered(estimate, self.variances(influence), len(influence), self.prompts, self.labelers)

    def weights(self, draws: int, seed: int) -> Iterator[Float[np.ndarray, " n"]]:
        """The pigeonhole bootstrap (Owen 2007): prompts and labelers drawn apart, a judgement weighs the product."""
        generator = np.random.default_rng(seed)
        for _ in range(draws):
            yield _drawn(generator, self.prompts)[self._prompt] * _drawn(generator, self.labelers)[self._labeler]

    def prompt_weights(self, draws: int, seed: int) -> Iterator[Float[np.ndarray, " n"]]:
        """The bootstrap of prompts alone, for what is said of these labelers only."""
        generator = np.random.default_rng(seed)
        for _ in range(draws):
            yield _drawn(generator, self.prompts)[self._prompt]


def clustered(estimate: float, variances: tuple[float, float], n: int, prompts: int, labelers: int) -> Clustered:
    """The t intervals of an estimate of `n` judgements from its two-way variance and the one by prompt alone."""
    caution = ""
    if prompts < FEWEST_PROMPTS or labelers < FEWEST_LABELERS:
        needed = f"an interval needs {FEWEST_PROMPTS} and {FEWEST_LABELERS}"
        caution = f"too few clusters: {prompts} prompts and {labelers} labelers, {needed}"
    both, by_prompt = variances
    return Clustered(
        interval=_t_interval(estimate, math.nan if caution else both, min(prompts, labelers) - 1),
        this_team=_t_interval(estimate, by_prompt if prompts >= FEWEST_PROMPTS else math.nan, prompts - 1),
        judgements=n,
        prompts=prompts,
        labelers=labelers,
        caution=caution,
    )


def standard_error(found: Clustered) -> float:
    """The two-way clustered standard error of a mean or a difference; NaN where there are too few clusters."""
    freedom = min(found.prompts, found.labelers) - 1
    if math.isnan(found.interval.high) or freedom < 1:
        return math.nan
    return (found.interval.high - found.estimate) / float(stats.t.ppf(0.975, freedom))


def clustered_mean(judged: Judgements) -> Clustered:
    """The mean over judgements, with two-way clustered intervals."""
    mean = float(judged.values.mean())
    return Clusters(judged.prompts, judged.labelers).interval(mean, (judged.values - mean) / len(judged))


def clustered_share(judged: Judgements) -> Clustered:
    """A mean of values in [0, 1], such as a win rate: intervals stay inside, also when every value is 0 or 1.

    There no spread is seen, and Jeffreys' interval takes over, with one trial a cluster: how alike the judgements of
    one prompt or labeler are cannot be told when all are alike.
    """
    if judged.values.min() < 0 or judged.values.max() > 1:
        raise ValueError(f"a share has values in [0, 1], not {judged.values.min()} to {judged.values.max()}")
    found = clustered_mean(judged)
    if found.estimate not in (0.0, 1.0):
        return _with(found, _inside(found.interval), _inside(found.this_team), found.caution)
    few, team = min(found.prompts, found.labelers), found.prompts
    whole = found.interval if found.caution else jeffreys_interval(few * found.estimate, few)
    this_team = jeffreys_interval(team * found.estimate, team) if team >= FEWEST_PROMPTS else found.this_team
    return _with(found, whole, this_team, found.caution or f"all judgements alike: Jeffreys' interval of {few} trials")


def paired_difference(ours: Judgements, theirs: Judgements) -> Clustered:
    """The mean of ours - theirs over the cells (prompt and labeler) that have both, with two-way clustered intervals.

    For two policies against one baseline: what a prompt or a labeler does to both cancels. Several judgements of a
    cell are averaged. `judgements` counts the cells. Raises ValueError when no cell has both.
    """
    one, other = _cells(ours), _cells(theirs)
    shared = [cell for cell in one if cell in other]
    if not shared:
        raise ValueError("no labeler judged both on the same prompt; compare the two with separate intervals")
    differences = [one[cell] - other[cell] for cell in shared]
    return clustered_mean(judgements(differences, [prompt for prompt, _ in shared], [who for _, who in shared]))


def pigeonhole_interval(judged: Judgements, *, draws: int = 1000, seed: int = 0) -> Interval:
    """The mean with the pigeonhole bootstrap's percentile interval, 95 %. It is conservative: it covers 98 to 100 %.

    Draws without any judgement are drawn again by leaving them out. For what has no closed form; a mean has one.
    """
    drawn = Clusters(judged.prompts, judged.labelers).weights(draws, seed)
    means = [weight @ judged.values / weight.sum() for weight in drawn if weight.any()]
    low, high = np.quantile(means, (0.025, 0.975))
    return Interval(float(judged.values.mean()), float(low), float(high))


def _drawn(generator: np.random.Generator, groups: int) -> Float[np.ndarray, " groups"]:
    """How often each group is drawn when as many are drawn as there are, with replacement."""
    return np.bincount(generator.integers(groups, size=groups), minlength=groups).astype(np.float64)


def _numbered(names: Shaped[np.ndarray, " n"]) -> tuple[Int[np.ndarray, " n"], int]:
    """Numbers from 0 in the place of names, and how many there are; whole numbers are counted, others are sorted."""
    if names.dtype.kind in "iu" and len(names) and int(np.ptp(names)) < 8 * len(names):
        here = names - names.min()
        number = np.cumsum(np.bincount(here) > 0)
        return number[here] - 1, int(number[-1])
    found, owner = np.unique(names, return_inverse=True)
    return owner, len(found)


def _spread(influence: Float[np.ndarray, " n"], owner: Int[np.ndarray, " n"], groups: int) -> float:
    """The variance of a sum whose groups are independent; nothing is known from one group, and 0 stands for it."""
    if groups < 2:
        return 0.0
    return float(groups / (groups - 1) * (np.bincount(owner, weights=influence) ** 2).sum())


def _t_interval(estimate: float, variance: float, freedom: int) -> Interval:
    if math.isnan(variance) or freedom < 1:
        return Interval(estimate, math.nan, math.nan)
    half = float(stats.t.ppf(0.975, freedom)) * math.sqrt(variance)
    return Interval(estimate, estimate - half, estimate + half)


def _inside(interval: Interval) -> Interval:
    if math.isnan(interval.low):
        return interval
    return Interval(interval.estimate, max(0.0, interval.low), min(1.0, interval.high))


def _with(found: Clustered, interval: Interval, this_team: Interval, caution: str) -> Clustered:
    return Clustered(interval, this_team, found.judgements, found.prompts, found.labelers, caution)


def _cells(judged: Judgements) -> dict[tuple[str, str], float]:
    sums: dict[tuple[str, str], list[float]] = {}
    for value, prompt, labeler in zip(judged.values, judged.prompts, judged.labelers, strict=True):
        sums.setdefault((str(prompt), str(labeler)), []).append(float(value))
    return {cell: sum(values) / len(values) for cell, values in sums.items()}
