"""Style beside strength: features by hand, a taste that is found and taken out."""

import math

import numpy as np
import pytest

from assent.statistics.luce import bradley_terry
from assent.statistics.ratings import Comparison
from assent.statistics.style import FEATURES, style, style_controlled


def test_features_by_hand() -> None:
    text = (
        "# Title\n\nSome **bold words** and __more__.\n\n- one\n- two\n1. three\n\n```\n# no heading\n- no item\n```\n"
    )
    assert dict(zip(FEATURES, style(text), strict=True)) == {"words": 21, "headings": 1, "list_items": 3, "bold": 2}
    assert style("2 * 3 * 4 #5") == (6, 0, 0, 0)
    assert style("") == (0, 0, 0, 0)


def told(seed: int, taste: float) -> tuple[list[Comparison], list[list[tuple[float, ...]]]]:
    """Policy b is better by 0.5, a writes longer; labelers like length by `taste` and no heading at all."""
    generator, rows, styles = np.random.default_rng(seed), list[Comparison](), list[list[tuple[float, ...]]]()
    for n in range(2000):
        words = int(generator.integers(130, 230)), int(generator.integers(50, 150))
        headings = generator.integers(0, 3, size=2).tolist()
        gap = (words[0] - words[1]) / sum(words)
        won = generator.random() < 1 / (1 + math.exp(0.5 - taste * gap))
        rows.append(Comparison(("a", "b"), (1, 2) if won else (2, 1), f"p{n % 300}", f"l{n % 20}"))
        styles.append([(words[0], headings[0], 0, 0), (words[1], headings[1], 0, 0)])
    return rows, styles


def test_style_is_found_and_taken_out() -> None:
    rows, styles = told(0, 4.0)
    found = style_controlled(rows, styles)
    gap = found.difference("b", "a").interval
    assert gap.low < 0.5 < gap.high
    assert gap.low > 0
    assert bradley_terry(rows).difference("b", "a").interval.high < 0  # length made the worse one win
    assert found.covariates["words"].interval.low > 0
    assert found.covariates["headings"].interval.low < 0 < found.covariates["headings"].interval.high
    assert found.covariates["bold"].estimate == 0.0


def test_without_taste_it_is_bradley_terry() -> None:
    rows, styles = told(1, 0.0)
    flat = [[(10, 0, 0, 0)] * 2 for _ in styles]
    plain = bradley_terry(rows).difference("b", "a")
    assert style_controlled(rows, flat).difference("b", "a").estimate == pytest.approx(plain.estimate, abs=1e-6)
    with pytest.raises(ValueError, match="every response"):
        style_controlled(rows, styles[:-1])
