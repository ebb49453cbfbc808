"""Attention over a row on any device and in any precision: gathered into slices of similar length, padded inside.

The reference beside the fast ways (processor.py, flash.py), and what is left where neither of them runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from assent.engine.layout import Layout, Span

S = TypeVar("S")

SLICE_FILL = 0.75  # a slice takes sequences down to this share of its longest: less padding against fewer calls

Row = Float[Tensor, "row heads width"]


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


@dataclass(frozen=True)
class Slices:
    """A row cut up: every token in one slice; `order`: for each token of the row, where the slices hold it."""

    pieces: tuple[Slice, ...]
    order: Int[Tensor, " row"]

    @classmethod
    def of(cls, layout: Layout) -> "Slices":
        """Cut a layout."""
        firsts = [tree[0] for tree in layout.trees]
        branches = [(branch, tree[0]) for tree in layout.trees for branch in tree[1:]]
        device = layout.ids.device
        pieces = tuple(_move(piece, device) for piece in [*_causal_slices(firsts), *_branch_slices(branches)])
        order = torch.cat([piece.places[piece.inside] for piece in pieces])
        back = torch.empty_like(order).scatter_(0, order, torch.arange(len(order), device=device))
        return cls(pieces, back)

    def attend(self, query: Row, key: Row, value: Row, scale: float, window: int | None) -> Row:
        """The attention output of every token of the row."""
        parts = [_attend_slice(piece, query, key, value, scale, window) for piece in self.pieces]
        return torch.cat(parts)[self.order]


def _causal_slices(spans: list[Span]) -> list[Slice]:
    return [Slice(*_padded(group)) for group in _by_length(spans, [length for _, length in spans])]


def _branch_slices(branches: list[tuple[Span, Span]]) -> list[Slice]:
    slices: list[Slice] = []
    for group in _by_length(branches, [length + width for (_, length), (_, width) in branches]):
        places, inside = _padded([branch for branch, _ in group])
        slices.append(Slice(places, inside, *_padded([prompt for _, prompt in group])))
    return slices


def _by_length(sequences: Sequence[S], lengths: list[int]) -> "list[list[S]]":
    """Groups from long to short in which none is much shorter than the longest."""
    groups: list[list[S]] = []
    longest = 0
    for index in sorted(range(len(sequences)), key=lambda i: -lengths[i]):
        if not groups or lengths[index] < SLICE_FILL * longest:
            groups.append([])
            longest = lengths[index]
        groups[-1].append(sequences[index])
    return groups


def _padded(spans: list[Span]) -> tuple[Tensor, Tensor]:
    starts = torch.tensor([start for start, _ in spans])
    lengths = torch.tensor([length for _, length in spans])
    steps = torch.arange(int(lengths.max()))
    inside = steps[None, :] < lengths[:, None]
    return torch.where(inside, starts[:, None] + steps[None, :], 0), inside


def _move(piece: Slice, device: torch.device) -> Slice:
    context = None if piece.context is None else piece.context.to(device)
    context_inside = None if piece.context_inside is None else piece.context_inside.to(device)
    return Slice(piece.places.to(device), piece.inside.to(device), context, context_inside)


def _attend_slice(piece: Slice, query: Row, key: Row, value: Row, scale: float, window: int | None) -> Row:
    """Attention of one slice; returns its real tokens, sequence after sequence."""
    queries, keys, values = (row[piece.places].transpose(1, 2) for row in (query, key, value))
    if piece.context is not None:
        keys = torch.cat([key[piece.context].transpose(1, 2), keys], dim=2)
        values = torch.cat([value[piece.context].transpose(1, 2), values], dim=2)
    out = attention(queries, keys, values, _visible(piece, window), scale)
    return out.transpose(1, 2)[piece.inside]


def _visible(piece: Slice, window: int | None) -> Bool[Tensor, "..."] | None:
    """Which keys each query of a slice sees; None for plain causal attention.

    Padding lies to the right of what counts, so causality alone keeps it out of a slice of whole sequences.
    """
    length = piece.places.shape[1]
    steps = torch.arange(length, device=piece.places.device)
    causal = steps[:, None] >= steps[None, :]
    if piece.context is None:
        if window is None or window >= length:
            return None
        return causal & (steps[:, None] - steps[None, :] < window)
    assert piece.context_inside is not None
    shape = (len(piece.places), 1, length)
    prompt = piece.context_inside[:, None, None, :].expand(*shape, -1)
    branch = causal.expand(*shape, -1)
    if window is not None:
        widths = piece.context_inside.sum(1)[:, None, None, None]
        places = torch.arange(piece.context_inside.shape[1], device=steps.device)
        prompt = prompt & (widths + steps[:, None] - places < window)
        branch = branch & (steps[:, None] - steps[None, :] < window)
    return torch.cat([prompt, branch], dim=-1)


def attention(query: Tensor, key: Tensor, value: Tensor, visible: Tensor | None, scale: float) -> Tensor:
    """Attention of padded sequences, [sequences, heads, length, width]; causal when nothing says what is visible."""
    grouped = query.shape[1] != key.shape[1]
    return scaled_dot_product_attention(
        query, key, value, attn_mask=visible, is_causal=visible is None, scale=scale, enable_gqa=grouped
    )
