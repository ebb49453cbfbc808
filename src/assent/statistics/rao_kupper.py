"""The Rao-Kupper model of pairs with ties (1967): a labeler who sees no difference below a threshold calls a tie.

P(i over j) = pi_i / (pi_i + theta pi_j), theta >= 1. With lambda = ln pi and eta = ln theta this is an ordered logit:
P(i over j) = sigmoid(lambda_i - lambda_j - eta), and P(tie) = (theta^2 - 1) P(i over j) P(j over i).
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from jaxtyping import Float
from scipy import special

from assent.statistics.ratings import Comparison, Likelihood, Ratings, names, rate


def rao_kupper(comparisons: Sequence[Comparison]) -> Ratings:
    """Strengths and theta, as `ties[2]`, from all pairs of the rankings.

    Raises ValueError when nothing was tied: theta is then 1 and the model is Bradley-Terry's.
    """
    policies = names(comparisons)
    number = {policy: place for place, policy in enumerate(policies)}
    rows: list[tuple[int, int, int, int]] = []
    for owner, one in enumerate(comparisons):
        for i, j in combinations(range(len(one.ranks)), 2):
            if one.policies[i] != one.policies[j]:
                gap = int(np.sign(one.ranks[j] - one.ranks[i]))
                rows.append((number[one.policies[i]], number[one.policies[j]], gap, owner))
    first, second, outcome, owners = np.array(rows).T
    if (outcome != 0).all():
        raise ValueError("nothing was tied, so there is no threshold to find; use bradley_terry or davidson_luce")
    gap = np.zeros((len(rows), len(policies)))
    gap[np.arange(len(rows)), first], gap[np.arange(len(rows)), second] = 1, -1
    up = np.column_stack([gap, -np.ones(len(rows))])  # what lambda_i - lambda_j - eta is made of
    down = np.column_stack([-gap, -np.ones(len(rows))])
    won, lost, tied = (outcome >= 0).astype(float), (outcome <= 0).astype(float), outcome == 0

    def likelihood(parameters: Float[np.ndarray, " parameters"]) -> Likelihood:
        eta = float(parameters[-1])
        scores, information = np.zeros_like(up), np.zeros((up.shape[1], up.shape[1]))
        if eta <= 0:
            return Likelihood(-np.inf, scores, information)
        value = tied.sum() * (2 * eta + np.log(-np.expm1(-2 * eta)))
        scores[tied, -1] = 2 / -np.expm1(-2 * eta)
        information[-1, -1] = tied.sum() * 4 * np.exp(-2 * eta) / np.expm1(-2 * eta) ** 2
        for weight, side in ((won, up), (lost, down)):
            logit = side @ parameters
            p = special.expit(logit)
            value += weight @ special.log_expit(logit)
            scores += side * (weight * (1 - p))[:, None]
            information += (side * (weight * p * (1 - p))[:, None]).T @ side
        return Likelihood(float(value), scores, information)

    start = np.append(np.zeros(len(policies)), 0.5)
    return rate(likelihood, start, comparisons, owners, (2,))
