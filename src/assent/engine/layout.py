"""Where tokens lie: all sequences of a batch in one row without padding, prompts that are shared only once.

A batch is a list of trees: a prompt and K >= 0 branches that each see the prompt and themselves. A text is a tree with
one branch, a ranking has K, a prompt to be continued has none. In the row a tree is its prompt, then its branches;
positions go on after the prompt in every branch. How attention cuts the row is the business of `engine.attention`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from assent.engine.batches import Tokens
from assent.engine.machine import sent

Span = tuple[int, int]  # where in the row it starts, and how many tokens it has


@dataclass(frozen=True)
class Layout:
    """A batch as one row.

    ids, positions: of every token of the row. predictors: for each response token, in the order of the batch, the
    place whose state predicts it. prompt_ends: the last place of each prompt. lasts: the last place of each branch.
    trees: how the row is made up: of each tree the span that all its branches see, then theirs; a prompt with a single
    branch is one span.
    """

    ids: Int[Tensor, " row"]
    positions: Int[Tensor, " row"]
    predictors: Int[Tensor, " tokens"]
    lasts: Int[Tensor, " branches"]
    prompt_ends: Int[Tensor, " trees"]
    trees: tuple[tuple[Span, ...], ...]

    @classmethod
    def of(cls, prompts: Sequence[Tokens], branches: Sequence[Sequence[Tokens]], device: torch.device) -> "Layout":
        """Lay out trees: one prompt and any number of branches each."""
        ids: list[Tensor] = []
        positions: list[Tensor] = []
        predictors: list[Tensor] = []
        lasts: list[int] = []
        prompt_ends: list[int] = []
        trees: list[tuple[Span, ...]] = []
        place = 0
        for prompt, group in zip(prompts, branches, strict=True):
            start, width = place, len(prompt)
            end = start + width - 1
            ids.append(prompt)
            positions.append(torch.arange(width))
            prompt_ends.append(end)
            spans = [(start, width)]
            place += width
            for branch in group:
                first, length = place, len(branch)
                ids.append(branch)
                positions.append(torch.arange(width, width + length))
                predictors.append(torch.tensor([end]))
                predictors.append(torch.arange(first, first + length - 1))
                lasts.append(first + length - 1)
                spans.append((first, length))
                place += length
            trees.append(tuple(spans) if len(group) != 1 else ((start, place - start),))
        return cls(
            ids=sent(torch.cat(ids), device),
            positions=sent(torch.cat(positions), device),
            predictors=sent(_indices(predictors), device),
            lasts=sent(torch.tensor(lasts, dtype=torch.int64), device),
            prompt_ends=sent(torch.tensor(prompt_ends), device),
            trees=tuple(trees),
        )


def _indices(parts: list[Tensor]) -> Tensor:
    return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.int64)
