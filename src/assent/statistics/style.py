"""Ratings beside what the style of an answer does: its length, headings, lists and bold words (as Chatbot Arena's).

For each two responses and each feature, x = (a - b) / (a + b), made comparable by its standard deviation; the log
odds of a win are lambda_i - lambda_j + beta x, with a ridge on beta alone. What is left is strength at equal style.
It stands beside the plain ratings, since style may be what people rightly want.
"""

import re
from collections.abc import Sequence
from itertools import combinations

import numpy as np
from jaxtyping import Float
from scipy import special

from assent.statistics.ratings import Comparison, Likelihood, Ratings, names, rate

FEATURES = ("words", "headings", "list_items", "bold")
RIDGE = 0.5

_MARKS = (
    re.compile(r"\S+"),
    re.compile(r"^ {0,3}#{1,6}\s", re.MULTILINE),
    re.compile(r"^\s*(?:[-*+]|\d+[.)])\s", re.MULTILINE),
    re.compile(r"\*\*\S.*?\*\*|__\S.*?__"),
)
_CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def style(text: str) -> tuple[int, int, int, int]:
    """How many words, Markdown headings, list items and bold passages a text has; code blocks have words only."""
    prose = _CODE.sub("", text)
    words, *marks = _MARKS
    headings, items, bold = (len(mark.findall(prose)) for mark in marks)
    return len(words.findall(text)), headings, items, bold


def style_controlled(comparisons: Sequence[Comparison], styles: Sequence[Sequence[Sequence[float]]]) -> Ratings:
    """Bradley-Terry strengths at equal style, from all pairs, a tie as half; `covariates` has what each feature does.

    styles: for each comparison, the features of each response, as `style` gives them. Effects are the log odds of one
    standard deviation of x. A feature that never differs has no effect. Raises ValueError when a comparison lacks
    the style of a response.
    """
    if [len(one) for one in styles] != [len(one.ranks) for one in comparisons]:
        raise ValueError("styles: every response of every comparison has one; compute them from the same records")
    policies = names(comparisons)
    number = {policy: place for place, policy in enumerate(policies)}
    sides, values, owners, gaps = list[tuple[int, int]](), list[float](), list[int](), list[Float[np.ndarray, " f"]]()
    for owner, (one, features) in enumerate(zip(comparisons, styles, strict=True)):
        counts = np.asarray(features, dtype=np.float64)
        for i, j in combinations(range(len(one.ranks)), 2):
            if one.policies[i] != one.policies[j]:
                sides.append((number[one.policies[i]], number[one.policies[j]]))
                values.append((float(np.sign(one.ranks[j] - one.ranks[i])) + 1) / 2)
                gaps.append(_contrast(counts[i], counts[j]))
                owners.append(owner)
    x = np.array(gaps)
    spread = x.std(axis=0)
    design = np.zeros((len(values), len(policies) + len(FEATURES)))
    rows = np.arange(len(values))
    design[rows, [side for side, _ in sides]], design[rows, [side for _, side in sides]] = 1, -1
    design[:, len(policies) :] = x / np.where(spread > 0, spread, 1.0)
    value, penalty = np.array(values), np.repeat([0.0, RIDGE], [len(policies), len(FEATURES)])

    def likelihood(parameters: Float[np.ndarray, " parameters"]) -> Likelihood:
        logit = design @ parameters
        p = special.expit(logit)
        told = value @ special.log_expit(logit) + (1 - value) @ special.log_expit(-logit)
        scores = design * (value - p)[:, None] - penalty * parameters / len(value)  # the ridge, shared out
        information = (design * (p * (1 - p))[:, None]).T @ design + np.diag(penalty)
        return Likelihood(float(told - penalty @ parameters**2 / 2), scores, information)

    start = np.zeros(design.shape[1])
    return rate(likelihood, start, comparisons, np.array(owners), covariates=FEATURES)


def _contrast(one: Float[np.ndarray, " f"], other: Float[np.ndarray, " f"]) -> Float[np.ndarray, " f"]:
    total = one + other
    return (one - other) / np.where(total > 0, total, 1.0)
