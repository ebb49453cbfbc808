"""Where tokens lie: all sequences of a batch in one row without padding, prompts that are shared only once.

A batch is a list of trees: a prompt and K >= 0 branches that each see the prompt and themselves. A text is a tree with
one branch, a ranking has K, a prompt to be continued has none. In the row a tree is its prompt, then its branches;
positions go on after the prompt in every branch. Padding exists only inside attention, within slices of sequences of
similar length.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from assent.engine.batches import Tokens

S = TypeVar("S")

SLICE_FILL = 0.75  # a slice takes sequences down to this share of its longest: less padding against fewer calls


@dataclass(frozen=True)
class Slice:
    """Sequences of similar length that attend together, padded on the right.

    places: where in the row each token lies (0 where there is none); inside: where there is one.
    context, context_inside: for branches, the same of the prompt each of them sees before itself.
    """

    places: Int[Tensor, "sequences length"]
    inside: Bool[Tensor, "sequences length"]
    context: Int[Tensor, "sequences prompt"] | None = None
    context_inside: Bool[Tensor, "sequences prompt"] | None = None
    rows: tuple[int, ...] = ()  # which trees the sequences belong to


@dataclass(frozen=True)
class Layout:
    """A batch as one row.

    ids, positions: of every token of the row. predictors: for each response token, in the order of the batch, the
    place whose state predicts it. prompt_ends: the last place of each prompt. lasts: the last place of each branch.
    slices: how attention cuts the row.
    """

    ids: Int[Tensor, " row"]
    positions: Int[Tensor, " row"]
    predictors: Int[Tensor, " tokens"]
    lasts: Int[Tensor, " branches"]
    prompt_ends: Int[Tensor, " trees"]
    slices: tuple[Slice, ...]

    @classmethod
    def of(cls, prompts: Sequence[Tokens], branches: Sequence[Sequence[Tokens]], device: torch.device) -> "Layout":
        """Lay out trees: one prompt and any number of branches each."""
        ids: list[Tensor] = []
        positions: list[Tensor] = []
        predictors: list[Tensor] = []
        lasts: list[int] = []
        prompt_ends: list[int] = []
        causal: list[tuple[int, int, int]] = []  # tree, start, length
        branched: list[tuple[int, int, int, int, int]] = []  # tree, start, length, prompt's start and length
        place = 0
        for tree, (prompt, group) in enumerate(zip(prompts, branches, strict=True)):
            start, width = place, len(prompt)
            end = start + width - 1
            ids.append(prompt)
            positions.append(torch.arange(width))
            prompt_ends.append(end)
            place += width
            for branch in group:
                first, length = place, len(branch)
                ids.append(branch)
                positions.append(torch.arange(width, width + length))
                predictors.append(torch.tensor([end]))
                predictors.append(torch.arange(first, first + length - 1))
                lasts.append(first + length - 1)
                branched.append((tree, first, length, start, width))
                place += length
            if len(group) == 1:  # a plain sequence: prompt and response attend as one
                branched.pop()
                causal.append((tree, start, place - start))
            else:
                causal.append((tree, start, width))
        slices = [*_causal_slices(causal), *_branch_slices(branched)]
        return cls(
            ids=torch.cat(ids).to(device),
            positions=torch.cat(positions).to(device),
            predictors=_indices(predictors).to(device),
            lasts=torch.tensor(lasts, dtype=torch.int64, device=device),
            prompt_ends=torch.tensor(prompt_ends, device=device),
            slices=tuple(_move(piece, device) for piece in slices),
        )

    def restore(self) -> Int[Tensor, " row"]:
        """For each token of the row, where the slices, one after the other without padding, hold it."""
        order = torch.cat([piece.places[piece.inside] for piece in self.slices])
        return torch.empty_like(order).scatter_(0, order, torch.arange(len(order), device=order.device))


def _causal_slices(sequences: list[tuple[int, int, int]]) -> list[Slice]:
    groups = _by_length(sequences, [length for _, _, length in sequences])
    return [
        Slice(*_padded([(start, length) for _, start, length in group]), rows=tuple(tree for tree, _, _ in group))
        for group in groups
    ]


def _branch_slices(branches: list[tuple[int, int, int, int, int]]) -> list[Slice]:
    slices: list[Slice] = []
    for group in _by_length(branches, [length + width for _, _, length, _, width in branches]):
        places, inside = _padded([(first, length) for _, first, length, _, _ in group])
        context, context_inside = _padded([(start, width) for _, _, _, start, width in group])
        slices.append(Slice(places, inside, context, context_inside, tuple(tree for tree, *_ in group)))
    return slices


def _by_length(sequences: list[S], lengths: list[int]) -> "list[list[S]]":
    """Groups from long to short in which none is much shorter than the longest."""
    groups: list[list[S]] = []
    longest = 0
    for index in sorted(range(len(sequences)), key=lambda i: -lengths[i]):
        if not groups or lengths[index] < SLICE_FILL * longest:
            groups.append([])
            longest = lengths[index]
        groups[-1].append(sequences[index])
    return groups


def _padded(spans: list[tuple[int, int]]) -> tuple[Tensor, Tensor]:
    starts = torch.tensor([start for start, _ in spans])
    lengths = torch.tensor([length for _, length in spans])
    steps = torch.arange(int(lengths.max()))
    inside = steps[None, :] < lengths[:, None]
    return torch.where(inside, starts[:, None] + steps[None, :], 0), inside


def _indices(parts: list[Tensor]) -> Tensor:
    return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.int64)


def _move(piece: Slice, device: torch.device) -> Slice:
    context = None if piece.context is None else piece.context.to(device)
    context_inside = None if piece.context_inside is None else piece.context_inside.to(device)
    return Slice(piece.places.to(device), piece.inside.to(device), context, context_inside, piece.rows)
