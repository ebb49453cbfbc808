"""The win rate that would be left if both answers were equally long, beside the raw one and never instead of it.

People prefer longer answers, and sometimes rightly. In the manner of length-controlled AlpacaEval (Dubois and others
2024), the log odds of a win are theta + phi tanh(difference in length / its size) + psi gamma_x, and the rate is
averaged with the middle term at 0. gamma_x says how well other policies do on a prompt, fitted on the same judgements
with their own length term; nothing is downloaded. Everything turns round when the two policies are exchanged.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Shaped
from scipy import special

from assent.statistics.clusters import FEWEST_PROMPTS, Clustered, Clusters, Judgements
from assent.statistics.intervals import Interval

RIDGES = (0.01, 1.0, 100.0)  # on phi and psi; the one that foretells judgements of other prompts best is taken
FOLDS = 5
STEADY = 1e-4  # a ridge on theta, so that it is finite where every judgement is a win


@dataclass(frozen=True)
class Contests:
    """Judgements of one response against another, with how much longer the first is, in characters.

    sides: which two policies met, in any naming; the pool that difficulties are fitted on has many.
    """

    judged: Judgements
    longer: Float[np.ndarray, " n"]
    sides: Shaped[np.ndarray, " n"]


@dataclass(frozen=True)
class LengthControlled:
    """The win rate at equal length; its interval comes from a bootstrap of prompts and labelers, and is conservative.

    effect: phi, what length does to the log odds; positive when longer answers win. caution: empty, or what limits
    the answer.
    """

    rate: Clustered
    effect: Interval
    ridge: float
    caution: str


def length_controlled(
    contests: Contests, pool: Contests | None = None, *, draws: int = 200, seed: int = 0
) -> LengthControlled:
    """The length-controlled win rate of contests between two policies, over the judgements there are.

    pool: contests of other policies against these two, for the difficulty of prompts; without it, prompts are taken
    as equally difficult. Each draw of the bootstrap fits everything again but the ridge.
    """
    model = _Model(contests, pool)
    ridge = model.best_ridge()
    rate, effect = model.fit(np.ones(model.size), ridge)
    everybody = Clusters(model.prompts, model.labelers)  # of the pool as well: a prompt is drawn for both
    own = Clusters(contests.judged.prompts, contests.judged.labelers)
    few_prompts = own.prompts < FEWEST_PROMPTS
    few = own.interval(rate, np.zeros(len(contests.judged))).caution
    both = _refits(model, ridge, everybody.weights(0 if few else draws, seed))
    team = _refits(model, ridge, everybody.prompt_weights(0 if few_prompts else draws, seed))
    found = Clustered(
        interval=_percentiles(rate, both[:, 0], few != ""),
        this_team=_percentiles(rate, team[:, 0], few_prompts),
        judgements=len(contests.judged),
        prompts=own.prompts,
        labelers=own.labelers,
        caution=few,
    )
    return LengthControlled(found, _percentiles(effect, both[:, 1], few != ""), ridge, few or model.caution)


class _Model:
    """Both fits, difficulty and then contest, for any weights of the judgements: the contests', then the pool's."""

    def __init__(self, contests: Contests, pool: Contests | None) -> None:
        judged = contests.judged
        self.own, self.value, self.length = len(judged), judged.values, _bent(contests.longer)
        self.pool = pool
        others = pool.judged if pool else Judgements(judged.values[:0], judged.prompts[:0], judged.labelers[:0])
        self.prompts = np.concatenate([judged.prompts.astype(np.str_), others.prompts.astype(np.str_)])
        self.labelers = np.concatenate([judged.labelers.astype(np.str_), others.labelers.astype(np.str_)])
        self.prompt = np.unique(self.prompts, return_inverse=True)[1]
        self.size, self.count = len(self.prompts), int(self.prompt.max()) + 1
        self.pool_design = _pool_design(pool) if pool else np.zeros((0, 1))
        self.start = np.zeros(self.pool_design.shape[1]), np.zeros(self.count)

    @property
    def caution(self) -> str:
        """What keeps length and quality apart, where something does."""
        if self.length.std() < 1e-9 and self.length.any():
            return "one answer is always longer by as much: length cannot be told from quality"
        return "" if self.pool else "no other policies: prompts are taken as equally difficult"

    def says(self, weight: Float[np.ndarray, " all"]) -> bool:
        """Whether a draw left any contest."""
        return bool(weight[: self.own].any())

    def fit(self, weight: Float[np.ndarray, " all"], ridge: float) -> tuple[float, float]:
        """The win rate at equal length, and what length does."""
        design = self._design(weight)
        theta = _logistic(design, self.value, weight[: self.own], _penalty(ridge))
        level = special.expit(design[:, [0, 2]] @ theta[[0, 2]])
        return float(weight[: self.own] @ level / weight[: self.own].sum()), float(theta[1])

    def best_ridge(self) -> float:
        """The ridge under which some prompts foretell the others best; prompts are dealt to folds in their order."""
        if self.count < FOLDS:
            return RIDGES[-1]
        design, fold = self._design(np.ones(self.size)), self.prompt[: self.own] % FOLDS
        losses: list[float] = []
        for ridge in RIDGES:
            total = 0.0
            for held in range(FOLDS):
                logit = design @ _logistic(design, self.value, (fold != held).astype(np.float64), _penalty(ridge))
                lost = self.value * special.log_expit(logit) + (1 - self.value) * special.log_expit(-logit)
                total -= float(lost[fold == held].sum())
            losses.append(round(total, 6))  # so that an exchange of the policies, which rounds otherwise, ties alike
        return RIDGES[int(np.argmin(losses))]

    def _design(self, weight: Float[np.ndarray, " all"]) -> Float[np.ndarray, "n 3"]:
        gamma = np.zeros(self.count)
        if self.pool:
            drawn = np.flatnonzero(weight[self.own :])
            prompt, value = self.prompt[self.own :][drawn], self.pool.judged.values[drawn]
            theta, gamma = _difficulty(self.pool_design[drawn], value, prompt, weight[self.own :][drawn], self.start)
            if weight.all():
                self.start = theta, gamma  # a draw of the bootstrap is near to everything that was drawn from
        return np.stack([np.ones(self.own), self.length, gamma[self.prompt[: self.own]]], axis=1)


def _refits(model: _Model, ridge: float, drawn: Iterator[Float[np.ndarray, " all"]]) -> Float[np.ndarray, "draws 2"]:
    """The fit of every draw that left a contest."""
    return np.array([model.fit(weight, ridge) for weight in drawn if model.says(weight)]).reshape(-1, 2)


def _bent(longer: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """tanh of the difference in length over its root mean square."""
    size = math.sqrt(float((longer**2).mean()))
    return np.tanh(longer / size) if size else np.zeros_like(longer)


def _pool_design(pool: Contests) -> Float[np.ndarray, "m columns"]:
    """One column for each two sides, and the length."""
    names, side = np.unique(pool.sides, return_inverse=True)
    return np.column_stack([np.eye(len(names))[side], _bent(pool.longer)])


def _penalty(ridge: float) -> Float[np.ndarray, " 3"]:
    return np.array([STEADY, ridge, ridge])


def _logistic(
    design: Float[np.ndarray, "n k"],
    value: Float[np.ndarray, " n"],
    weight: Float[np.ndarray, " n"],
    penalty: Float[np.ndarray, " k"],
) -> Float[np.ndarray, " k"]:
    """Logistic regression with a ridge, by Newton's method; values between 0 and 1 are shares of a win."""
    theta = np.zeros(design.shape[1])
    for _ in range(50):
        p = special.expit(design @ theta)
        gradient = design.T @ (weight * (value - p)) - penalty * theta
        curvature = (design * (weight * p * (1 - p))[:, None]).T @ design + np.diag(penalty)
        step = np.linalg.solve(curvature, gradient)
        theta = theta + step / max(1.0, float(np.abs(step).max()))  # no step beyond 1: it cannot run away
        if np.abs(step).max() < 1e-9:
            break
    return theta


def _difficulty(
    design: Float[np.ndarray, "m k"],
    value: Float[np.ndarray, " m"],
    prompt: Int[np.ndarray, " m"],
    weight: Float[np.ndarray, " m"],
    start: tuple[Float[np.ndarray, " k"], Float[np.ndarray, " prompts"]],
) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, " prompts"]]:
    """Effects of the columns of the design, and one log odds a prompt with a standard normal prior.

    The prompts' block of the curvature is diagonal, and is taken out before the rest is solved. start: where Newton's
    method begins; the fit does not depend on it.
    """
    (theta, gamma), count = start, len(start[1])
    for _ in range(50):
        p = special.expit(design @ theta + gamma[prompt])
        missed, spread = weight * (value - p), weight * p * (1 - p)
        down = np.bincount(prompt, weights=missed, minlength=count) - gamma
        own = np.bincount(prompt, weights=spread, minlength=count) + 1
        columns = (np.bincount(prompt, weights=column * spread, minlength=count) for column in design.T)
        cross = np.stack(list(columns), axis=1)
        across = design.T @ missed - STEADY * theta
        left = (design * spread[:, None]).T @ design + STEADY * np.eye(len(theta)) - cross.T @ (cross / own[:, None])
        step = np.linalg.solve(left, across - cross.T @ (down / own))
        turn = (down - cross @ step) / own
        longest = max(1.0, float(np.abs(step).max()), float(np.abs(turn).max()))
        theta, gamma = theta + step / longest, gamma + turn / longest
        if longest == 1.0 and max(np.abs(step).max(), np.abs(turn).max()) < 1e-7:
            break
    return theta, gamma


def _percentiles(estimate: float, drawn: Float[np.ndarray, " draws"], few: bool) -> Interval:
    if few or not len(drawn):
        return Interval(estimate, math.nan, math.nan)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Interval(estimate, float(low), float(high))
