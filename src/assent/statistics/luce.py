"""Ratings from rankings with ties: Davidson-Luce, and Bradley-Terry for those who count a tie as half a win.

Davidson-Luce (Firth, Kosmidis and Turner 2019): a ranking is made from the top; of the responses that are left, the
set S is put first together with probability in proportion to delta_|S| times the geometric mean of its members'
worths, delta_1 = 1. For pairs it is Davidson's model (1970) with nu = delta_2, without ties it is Plackett-Luce, and
for pairs without ties Bradley-Terry. All of them are conditional logits, so that the log-likelihood is concave.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float, Int
from scipy import special

from assent.statistics.ratings import POSITION, Comparison, Likelihood, Model, Ratings, names, rate


def davidson_luce(comparisons: Sequence[Comparison]) -> Ratings:
    """Strengths and tie parameters from rankings of any K with ties.

    Tie parameters are those of the tie sizes that occur; others are 0. Raises ValueError with fewer than two policies.
    """
    return _davidson_luce(comparisons, ())


def davidson_luce_with_position(comparisons: Sequence[Comparison]) -> Ratings:
    """The same with what it is worth to be shown first: the log odds against being shown last.

    Places between count in proportion. Raises ValueError when a comparison does not say what was shown where.
    """
    for one in comparisons:
        if not one.shown:
            raise ValueError(f"prompt {one.prompt!r}: no places are recorded; without them there is no position effect")
    return _davidson_luce(comparisons, (POSITION,))


def bradley_terry(comparisons: Sequence[Comparison]) -> Ratings:
    """Strengths from all pairs of the rankings, a tie as half a win of either side.

    This compresses the scale (by 0.7 with 27 % ties), so never set it beside a model of ties. The pairs of a ranking
    share its prompt and its labeler, which the intervals respect.
    """
    policies = names(comparisons)
    number = {policy: place for place, policy in enumerate(policies)}
    rows: list[_Stage] = []
    for owner, one in enumerate(comparisons):
        for i, j in combinations(range(len(one.ranks)), 2):
            items = (number[one.policies[i]], number[one.policies[j]])
            if items[0] != items[1]:
                gap = one.ranks[i] - one.ranks[j]
                sides = ((0,), (1,)) if gap == 0 else ((0,),) if gap < 0 else ((1,),)
                rows.extend(_Stage(items, (0.0, 0.0), side, owner, 1 / len(sides)) for side in sides)
    choices = [_choices(rows, (1,), len(policies), 0)]
    return rate(_model(choices), np.zeros(len(policies)), comparisons, _owners(choices))


@dataclass(frozen=True)
class _Stage:
    """One choice: which of the responses that are left come first together."""

    items: tuple[int, ...]
    shown: tuple[float, ...]
    chosen: tuple[int, ...]
    owner: int
    weight: float = 1.0


@dataclass(frozen=True)
class _Choices:
    """All stages with equally many responses left.

    features: what each alternative set is made of, in terms of the stage's own responses and tie sizes. jacobian:
    how these depend on the parameters.
    """

    features: Float[np.ndarray, "sets local"]
    jacobian: Float[np.ndarray, "n local parameters"]
    chosen: Int[np.ndarray, " n"]
    weight: Float[np.ndarray, " n"]
    owner: Int[np.ndarray, " n"]


def _davidson_luce(comparisons: Sequence[Comparison], covariates: tuple[str, ...]) -> Ratings:
    policies = names(comparisons)
    number = {policy: place for place, policy in enumerate(policies)}
    stages = [stage for owner, one in enumerate(comparisons) for stage in _stages(one, number, owner)]
    sizes = tuple(sorted({len(stage.chosen) for stage in stages}))
    by_left: dict[int, list[_Stage]] = {}
    for stage in stages:
        by_left.setdefault(len(stage.items), []).append(stage)
    choices = [_choices(rows, sizes, len(policies), len(covariates)) for rows in by_left.values()]
    ties = tuple(size for size in sizes if size > 1)
    start = np.zeros(len(policies) + len(ties) + len(covariates))
    return rate(_model(choices), start, comparisons, _owners(choices), ties, covariates)


def _stages(one: Comparison, number: dict[str, int], owner: int) -> list[_Stage]:
    """The choices that made a ranking, from the top; the last response alone is no choice."""
    last = len(one.ranks) - 1
    found: list[_Stage] = []
    for rank in sorted(set(one.ranks)):
        left = [place for place, other in enumerate(one.ranks) if other >= rank]
        if len(left) > 1:
            items = tuple(number[one.policies[place]] for place in left)
            shown = tuple(0.5 - one.shown[place] / last if one.shown else 0.0 for place in left)
            chosen = tuple(local for local, place in enumerate(left) if one.ranks[place] == rank)
            found.append(_Stage(items, shown, chosen, owner))
    return found


def _choices(rows: Sequence[_Stage], sizes: Sequence[int], policies: int, positions: int) -> _Choices:
    left = len(rows[0].items)
    ties = [size for size in sizes if size > 1]
    sets = [chosen for size in sizes for chosen in combinations(range(left), size)]
    features = np.zeros((len(sets), left + len(ties)))
    for place, members in enumerate(sets):
        features[place, list(members)] = 1 / len(members)
        if len(members) > 1:
            features[place, left + ties.index(len(members))] = 1
    jacobian = np.zeros((len(rows), left + len(ties), policies + len(ties) + positions))
    items = np.array([row.items for row in rows])
    jacobian[np.arange(len(rows))[:, None], np.arange(left), items] = 1
    for tie in range(len(ties)):
        jacobian[:, left + tie, policies + tie] = 1
    if positions:
        jacobian[:, :left, -1] = [row.shown for row in rows]
    index = {members: place for place, members in enumerate(sets)}
    return _Choices(
        features,
        jacobian,
        np.array([index[row.chosen] for row in rows]),
        np.array([row.weight for row in rows]),
        np.array([row.owner for row in rows]),
    )


def _owners(choices: Sequence[_Choices]) -> Int[np.ndarray, " n"]:
    return np.concatenate([one.owner for one in choices])


def _model(choices: Sequence[_Choices]) -> Model:
    """The log-likelihood of the conditional logit, its scores and its information, over all stages."""

    def likelihood(parameters: Float[np.ndarray, " parameters"]) -> Likelihood:
        value, scores = 0.0, list[Float[np.ndarray, "n parameters"]]()
        information = np.zeros((len(parameters), len(parameters)))
        for one in choices:
            F, J = one.features, one.jacobian
            logits = (J @ parameters) @ F.T
            logits -= special.logsumexp(logits, axis=1, keepdims=True)
            p = np.exp(logits)
            mean = p @ F
            second = (p @ np.einsum("sa,sb->sab", F, F).reshape(len(F), -1)).reshape(-1, F.shape[1], F.shape[1])
            spread = (second - mean[:, :, None] * mean[:, None, :]) * one.weight[:, None, None]
            value += float(one.weight @ logits[np.arange(len(p)), one.chosen])
            scores.append(np.einsum("na,nap->np", (F[one.chosen] - mean) * one.weight[:, None], J))
            information += np.tensordot(J, np.matmul(spread, J), axes=((0, 1), (0, 1)))
        return Likelihood(value, np.concatenate(scores), information)

    return likelihood
