"""What is measured on people's judgements: intervals, win rates, ratings, agreement, the quality of labelers.

Numpy and scipy only. The names that most callers need are here; the rest is in the files, by subject.
"""

from assent.statistics.clusters import (
    Clustered,
    Judgements,
    clustered_mean,
    clustered_share,
    judgements,
    paired_difference,
)
from assent.statistics.intervals import Interval, bootstrap_interval, jeffreys_interval, wilson_interval
from assent.statistics.labelers import agreement
from assent.statistics.pairs import (
    Bin,
    Calibration,
    Pairs,
    calibration,
    length_correlation,
    ordered_pairs,
    pair_accuracy,
)

__all__ = [
    "Bin",
    "Calibration",
    "Clustered",
    "Interval",
    "Judgements",
    "Pairs",
    "agreement",
    "bootstrap_interval",
    "calibration",
    "clustered_mean",
    "clustered_share",
    "jeffreys_interval",
    "judgements",
    "length_correlation",
    "ordered_pairs",
    "pair_accuracy",
    "paired_difference",
    "wilson_interval",
]
