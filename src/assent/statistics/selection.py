"""Which items are worth a labeler's time, and how to report rates when they were not chosen by chance alone.

Where reward models disagree, a judgement teaches most. Rates of items that were chosen for that say nothing about
all prompts, unless each judgement weighs the inverse of the probability with which its item was chosen.
"""

import numpy as np
from jaxtyping import Float

from assent.statistics.clusters import Clustered, Clusters, Judgements
from assent.statistics.intervals import Listed

UNIFORM = 0.25  # of what is served is drawn from all items alike


def disagreement(scores: Float[np.ndarray, "models responses"]) -> float:
    """How differently reward models see the pairs of one prompt: the variance of sigmoid(r_i - r_j), over the pairs."""
    if len(scores) < 2 or scores.shape[1] < 2:
        raise ValueError(f"scores of shape {scores.shape}; disagreement needs two models and two responses or more")
    first, second = np.triu_indices(scores.shape[1], 1)
    sure = 1 / (1 + np.exp(scores[:, second] - scores[:, first]))
    return float(sure.var(axis=0).mean())


def propensities(scores: Listed, serve: int, *, uniform: float = UNIFORM) -> Float[np.ndarray, " items"]:
    """The probability with which each item should be served, so that `serve` of them are on average; to be stored.

    A share `uniform` goes to all items alike and the rest in proportion to their scores; probabilities that come out
    above 1 are 1, and what they leave goes to the others. Raises ValueError when more are served than there are, or
    nothing is uniform: items without a chance could never be weighed.
    """
    score = np.asarray(scores, dtype=np.float64)
    if not 0 < serve <= len(score) or not 0 < uniform <= 1 or (score < 0).any():
        raise ValueError(
            f"{serve} of {len(score)} items, {uniform} of them uniformly, by scores >= 0, cannot be served"
        )
    wanted = score / score.sum() if score.any() else np.full(len(score), 1 / len(score))
    share = uniform / len(score) + (1 - uniform) * wanted
    certain = np.zeros(len(score), dtype=bool)
    while True:
        chance = np.where(certain, 1.0, share * (serve - certain.sum()) / max(share[~certain].sum(), 1e-300))
        if (chance <= 1 + 1e-12).all():
            return np.minimum(chance, 1.0)
        certain |= chance > 1


def weighted_mean(judged: Judgements, propensity: Listed) -> Clustered:
    """The mean over all items, chosen or not, from judgements of chosen ones: each weighs 1 / propensity (Hajek).

    With two-way clustered intervals. Raises ValueError when a propensity is not in (0, 1].
    """
    chance = np.asarray(propensity, dtype=np.float64)
    if chance.shape != judged.values.shape or not ((chance > 0) & (chance <= 1)).all():
        raise ValueError("propensity: every judgement has the probability, in (0, 1], with which its item was chosen")
    weight = 1 / chance / (1 / chance).sum()
    mean = float(weight @ judged.values)
    return Clusters(judged.prompts, judged.labelers).interval(mean, weight * (judged.values - mean))
