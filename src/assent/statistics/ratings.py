"""What every rating model shares: comparisons in, strengths with clustered intervals out.

A strength is the logarithm of how much a policy is worth against others; strengths sum to 0. They are only defined
when every policy is linked to every other by a chain of wins (a tie counts both ways): otherwise some could be
infinitely better, and the answer is that they are not comparable. Each model has a scale of its own: the strengths
of one must never be compared with those of another that treats ties differently.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped
from scipy.sparse import csgraph

from assent.statistics.clusters import Clustered, Clusters
from assent.statistics.intervals import Interval

POSITION = "position"
FARTHEST = 15.0  # a parameter beyond it, odds of millions to one, is on its way to infinity
DISPLAY_RIDGE = 1e-3  # keeps strengths finite, for a table, where they are not comparable


@dataclass(frozen=True)
class Comparison:
    """One labeler's order of some policies' responses to a prompt; rank 1 is best, equal ranks are ties.

    shown: the place at which each response was shown, 0 first; empty when it was not recorded.
    """

    policies: tuple[str, ...]
    ranks: tuple[int, ...]
    prompt: str
    labeler: str
    shown: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if len(self.policies) != len(self.ranks) or len(self.ranks) < 2:
            raise ValueError(
                f"{len(self.ranks)} ranks of {len(self.policies)} policies; each has one, and two are compared"
            )
        if self.shown and len(self.shown) != len(self.ranks):
            raise ValueError(f"{len(self.shown)} places of {len(self.ranks)} responses; record all or none")


@dataclass(frozen=True)
class Likelihood:
    """A model's log-likelihood at some parameters: its value, one score (gradient) an observation, its information."""

    value: float
    scores: Float[np.ndarray, "n parameters"]
    information: Float[np.ndarray, "parameters parameters"]


Model = Callable[[Float[np.ndarray, " parameters"]], Likelihood]


@dataclass(frozen=True)
class Ratings:
    """Fitted strengths, best first.

    strengths: of each policy. ties: the tie parameters by how many responses tie, such as {2: nu}. covariates: what
    else the log odds depend on, where it was asked for. caution: empty, or why the policies are not comparable; then
    the strengths are only for display, and their intervals are NaN. groups: the sets of policies that are comparable
    among themselves.
    """

    strengths: dict[str, Clustered]
    ties: dict[int, Interval]
    covariates: dict[str, Clustered]
    caution: str
    groups: tuple[tuple[str, ...], ...]
    influence: Float[np.ndarray, "n policies"]
    policies: tuple[str, ...]
    clusters: Clusters

    @property
    def position(self) -> Clustered | None:
        """The log odds of being preferred when shown first, against last, where it was asked for."""
        return self.covariates.get(POSITION)

    def difference(self, one: str, other: str) -> Clustered:
        """How much stronger `one` is than `other`; more certain than two intervals side by side suggest."""
        gap = self.strengths[one].estimate - self.strengths[other].estimate
        first, second = self.policies.index(one), self.policies.index(other)
        return self.clusters.interval(gap, self.influence[:, first] - self.influence[:, second])


def elo(strength: float) -> float:
    """A strength on the scale of chess: 400 points are odds of ten to one, the mean is 1000."""
    return 1000 + 400 / math.log(10) * strength


def names(comparisons: Sequence[Comparison]) -> tuple[str, ...]:
    """The policies, in alphabetical order. Raises ValueError when there are fewer than two."""
    found = tuple(sorted({policy for one in comparisons for policy in one.policies}))
    if len(found) < 2:
        raise ValueError(f"ratings compare policies, and the comparisons name {len(found)}; give at least two")
    return found


def linked(policies: Sequence[str], comparisons: Iterable[Comparison]) -> tuple[tuple[str, ...], ...]:
    """The groups of policies that chains of wins link both ways; one group means that all are comparable."""
    number = {policy: place for place, policy in enumerate(policies)}
    wins = np.zeros((len(policies), len(policies)))
    for one in comparisons:
        place, rank = np.array([number[policy] for policy in one.policies]), np.array(one.ranks)
        above, below = np.nonzero(rank[:, None] <= rank[None, :])
        wins[place[above], place[below]] = 1
    count, owner = csgraph.connected_components(wins, directed=True, connection="strong")
    return tuple(tuple(p for p, group in zip(policies, owner, strict=True) if group == k) for k in range(count))


@dataclass(frozen=True)
class Fitted:
    """The parameters where a log-likelihood is highest, and what each observation adds to their error."""

    parameters: Float[np.ndarray, " parameters"]
    influence: Float[np.ndarray, "n parameters"]
    converged: bool


def maximise(model: Model, start: Float[np.ndarray, " parameters"], policies: int, ridge: float = 0.0) -> Fitted:
    """Newton's method with halved steps for a concave log-likelihood whose first `policies` parameters sum to 0.

    ridge: half of it times the squared parameters is taken off. `converged` is False when there is no maximum.
    """
    gauge = np.zeros((len(start), len(start)))
    gauge[:policies, :policies] = 1 / policies
    parameters, here = start, model(start)
    for _ in range(100):
        gradient = here.scores.sum(axis=0) - ridge * parameters
        curvature = here.information + ridge * np.eye(len(start)) + gauge
        if np.linalg.cond(curvature) > 1e14 or np.abs(parameters).max() > FARTHEST:
            return Fitted(parameters, np.full_like(here.scores, np.nan), False)
        step = np.linalg.solve(curvature, gradient)
        if gradient @ step < 1e-12 * max(len(here.scores), 1):
            return Fitted(parameters, here.scores @ np.linalg.inv(curvature), True)
        height, size = here.value - ridge / 2 * (parameters @ parameters), 1.0
        while size > 1e-6:
            moved = parameters + size * step
            there = model(moved)
            if there.value - ridge / 2 * (moved @ moved) > height:
                break
            size /= 2
        else:
            return Fitted(parameters, here.scores @ np.linalg.inv(curvature), True)  # as high as doubles can tell
        parameters, here = moved, there
    return Fitted(parameters, np.full_like(here.scores, np.nan), False)


def rate(
    model: Model,
    start: Float[np.ndarray, " parameters"],
    comparisons: Sequence[Comparison],
    owner: Shaped[np.ndarray, " n"],
    tie_sizes: Sequence[int] = (),
    covariates: Sequence[str] = (),
) -> Ratings:
    """Ratings of a model whose parameters are strengths, logarithms of tie parameters, and effects of covariates.

    owner: the comparison of each observation. Policies that are not linked, and likelihoods without a maximum, are
    fitted with a small ridge for display.
    """
    policies, groups = names(comparisons), linked(names(comparisons), comparisons)
    fitted = maximise(model, start, len(policies))
    caution = "" if fitted.converged else "not comparable: the likelihood has no maximum; collect more comparisons"
    if len(groups) > 1:
        caution = f"not comparable: no chain of wins both ways links {_groups(groups)}"
    if caution:
        shown = maximise(model, start, len(policies), DISPLAY_RIDGE)
        fitted = Fitted(shown.parameters, np.full_like(shown.influence, np.nan), False)
    clusters = Clusters(
        np.array([comparisons[place].prompt for place in owner]),
        np.array([comparisons[place].labeler for place in owner]),
    )
    found = [
        clusters.interval(float(value), fitted.influence[:, place]) for place, value in enumerate(fitted.parameters)
    ]
    strengths = dict(zip(policies, found, strict=False))
    extra = found[len(policies) :]
    return Ratings(
        strengths=dict(sorted(strengths.items(), key=lambda entry: -entry[1].estimate)),
        ties={size: exponential(one.interval) for size, one in zip(tie_sizes, extra, strict=False)},
        covariates=dict(zip(covariates, extra[len(tie_sizes) :], strict=True)),
        caution=caution,
        groups=groups,
        influence=fitted.influence[:, : len(policies)],
        policies=policies,
        clusters=clusters,
    )


def exponential(interval: Interval) -> Interval:
    """The interval of exp(x) from the one of x."""
    return Interval(math.exp(interval.estimate), *(float(np.exp(end)) for end in (interval.low, interval.high)))


def _groups(groups: Iterable[Sequence[str]]) -> str:
    return " and ".join("{" + ", ".join(group) + "}" for group in groups)
