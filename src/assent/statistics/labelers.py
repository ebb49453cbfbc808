"""Labelers against each other (section 3.4): how often they agree, by how the authors and others count it."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from assent.statistics.intervals import Interval, bootstrap_interval
from assent.statistics.pairs import ordered_pairs


def agreement(rankings: Mapping[str, Mapping[str, Sequence[int]]], *, seed: int = 0) -> Interval:
    """How often two labelers prefer the same response of a pair; 1/2 is chance. The paper reports 72.6 +- 1.5 %.

    rankings: prompt -> labeler -> ranks [K] of the same responses in the same order. The paper does not describe its
    computation; this is Stiennon et al. (2020): of the pairs that both order, the share with the same winner, pooled
    over prompts and labelers, pairs that either ties dropped. The interval resamples prompts. Raises ValueError when
    labelers ranked different numbers of responses, or no two of them ordered the same pair.
    """
    same: list[float] = []
    prompts: list[int] = []
    for number, (prompt, by_labeler) in enumerate(rankings.items()):
        if len({len(ranks) for ranks in by_labeler.values()}) > 1:
            raise ValueError(f"prompt {prompt!r}: the labelers ranked different numbers of responses")
        for one, other in combinations(by_labeler.values(), 2):
            outcome = ordered_pairs([-np.asarray(other)], [np.asarray(one)]).outcome
            shared = outcome[outcome != 0.5]  # a half is a tie of the other labeler
            same.extend(shared)
            prompts.extend([number] * len(shared))
    if not same:
        raise ValueError("no pair of responses was ordered by two labelers; agreement needs prompts ranked twice")
    return bootstrap_interval(same, prompts, seed=seed)
