"""Crowd-BT: strengths and, at the same time, how much each labeler can be trusted (Chen and others, 2013).

P_l(i over j) = eta_l sigmoid(lambda_i - lambda_j) + (1 - eta_l) sigmoid(lambda_j - lambda_i): with probability eta a
labeler means what they say, and otherwise the opposite; 1/2 is a coin. The prior on eta leans to honest labelers
(mode 10/11), which also keeps strengths and labelers from turning over together. Trust and scale are told apart only
where some policies are far better than others; where all are close, the prior speaks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float
from scipy import optimize, special

from assent.statistics.clusters import Clustered, Clusters
from assent.statistics.intervals import Interval
from assent.statistics.luce import bradley_terry
from assent.statistics.ratings import Comparison, names

PRIOR = (10.0, 1.0)  # eta^10 (1 - eta)^1, on the scale of its log odds


@dataclass(frozen=True)
class Crowd:
    """strengths: of each policy, best first, summing to 0. trust: each labeler's eta. caution: as in `Ratings`."""

    strengths: dict[str, Clustered]
    trust: dict[str, Interval]
    caution: str


def crowd_bradley_terry(comparisons: Sequence[Comparison]) -> Crowd:
    """The most probable strengths and trust, from all pairs of the rankings; a tie is half a win of either side.

    Intervals come from the curvature at the maximum and the spread of the scores: of a strength over prompts and
    labelers, of a labeler's trust over prompts. Starts at the Bradley-Terry strengths with honest labelers. Policies
    that are not comparable have NaN intervals.
    """
    plain, policies = bradley_terry(comparisons), names(comparisons)
    labelers = sorted({one.labeler for one in comparisons})
    pairs = _Pairs(comparisons, policies, labelers)
    strengths = np.array([plain.strengths[policy].estimate for policy in policies])
    start = np.concatenate([strengths, np.full(len(labelers), special.logit(10 / 11))])
    best = optimize.minimize(pairs.loss, start, jac=pairs.gradient, method="BFGS", options={"gtol": 1e-5 * len(pairs)})
    parameters = np.asarray(best.x)
    parameters[: len(policies)] -= parameters[: len(policies)].mean()
    influence = pairs.scores(parameters) @ np.linalg.inv(pairs.curvature(parameters))
    if plain.caution:
        influence[:] = np.nan
    clusters = Clusters(pairs.prompts, pairs.owners)
    found = [clusters.interval(float(value), influence[:, place]) for place, value in enumerate(parameters)]
    rated = sorted(zip(policies, found, strict=False), key=lambda entry: -entry[1].estimate)
    trust = [_probability(one.this_team) for one in found[len(policies) :]]
    return Crowd(dict(rated), dict(zip(labelers, trust, strict=True)), plain.caution)


class _Pairs:
    """All pairs that say something, and the posterior of the parameters: strengths, then log odds of trust."""

    def __init__(self, comparisons: Sequence[Comparison], policies: Sequence[str], labelers: Sequence[str]) -> None:
        policy = {name: place for place, name in enumerate(policies)}
        labeler = {name: place for place, name in enumerate(labelers)}
        rows: list[tuple[int, int, float, int, str]] = []
        for one in comparisons:
            for i, j in combinations(range(len(one.ranks)), 2):
                if one.policies[i] != one.policies[j]:
                    outcome = (float(np.sign(one.ranks[j] - one.ranks[i])) + 1) / 2
                    sides = (policy[one.policies[i]], policy[one.policies[j]])
                    rows.append((*sides, outcome, labeler[one.labeler], one.prompt))
        self.first, self.second = (np.array([row[side] for row in rows]) for side in (0, 1))
        self.outcome = np.array([row[2] for row in rows])
        self.owners, self.prompts = np.array([row[3] for row in rows]), np.array([row[4] for row in rows])
        self.policies, self.labelers = len(policies), len(labelers)

    def __len__(self) -> int:
        return len(self.outcome)

    def loss(self, parameters: Float[np.ndarray, " parameters"]) -> float:
        """Minus the log posterior; a ridge on the sum of the strengths, which nothing else fixes."""
        win, _, _, odds = self._at(parameters)
        prior = PRIOR[0] * special.log_expit(odds) + PRIOR[1] * special.log_expit(-odds)
        told = self.outcome @ np.log(win) + (1 - self.outcome) @ np.log1p(-win)
        return float(-told - prior.sum() + parameters[: self.policies].sum() ** 2 / 2)

    def scores(self, parameters: Float[np.ndarray, " parameters"]) -> Float[np.ndarray, "n parameters"]:
        """The gradient of each pair's log-likelihood."""
        win, likes, trust, _ = self._at(parameters)
        slope = (self.outcome - win) / (win * (1 - win))
        gap = slope * (2 * trust - 1) * likes * (1 - likes)
        found, rows = np.zeros((len(self), len(parameters))), np.arange(len(self))
        found[rows, self.first], found[rows, self.second] = gap, -gap
        found[rows, self.policies + self.owners] = slope * (2 * likes - 1) * trust * (1 - trust)
        return found

    def gradient(self, parameters: Float[np.ndarray, " parameters"]) -> Float[np.ndarray, " parameters"]:
        """The gradient of `loss`."""
        found = -self.scores(parameters).sum(axis=0)
        trust = special.expit(parameters[self.policies :])
        found[self.policies :] -= PRIOR[0] * (1 - trust) - PRIOR[1] * trust
        found[: self.policies] += parameters[: self.policies].sum()
        return found

    def curvature(self, parameters: Float[np.ndarray, " parameters"]) -> Float[np.ndarray, "parameters parameters"]:
        """The second derivatives of `loss`, by central differences of the gradient."""
        steps = 1e-5 * np.eye(len(parameters))
        rows = [(self.gradient(parameters + step) - self.gradient(parameters - step)) / 2e-5 for step in steps]
        found = np.array(rows)
        return (found + found.T) / 2

    def _at(self, parameters: Float[np.ndarray, " parameters"]) -> tuple[Float[np.ndarray, " n"], ...]:
        """The probability that the first wins, that it is liked better, the labeler's trust; the log odds of trust."""
        odds = parameters[self.policies :]
        likes = special.expit(parameters[self.first] - parameters[self.second])
        trust = special.expit(odds)[self.owners]
        win = np.clip(trust * likes + (1 - trust) * (1 - likes), 1e-12, 1 - 1e-12)
        return win, likes, trust, odds


def _probability(interval: Interval) -> Interval:
    return Interval(*(float(special.expit(end)) for end in (interval.estimate, interval.low, interval.high)))
