"""Attention on an NVIDIA GPU in bf16: PyTorch's flash attention over sequences of different lengths in one row.

A branch of a tree is a sequence whose keys are its prompt's and its own, put side by side by one gather; its causal
mask ends at its last key. Decoding is the same call with one query a sequence and keys read in place from the cache.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from assent.engine.layout import Layout
from assent.engine.machine import sent

WIDEST = 256  # of a head

Row = Float[Tensor, "row heads width"]


def takes(query: Tensor, key: Tensor, value: Tensor) -> bool:
    """Whether flash attention computes this: on a GPU of the Ampere generation or later, values in bf16."""
    return (
        value.device.type == "cuda"
        and value.dtype == torch.bfloat16
        and query.shape[-1] == key.shape[-1] == value.shape[-1] <= WIDEST
        and query.shape[-1] % 8 == 0
        and torch.cuda.get_device_capability(value.device) >= (8, 0)
    )


@dataclass(frozen=True)
class Sequences:
    """A row as sequences of queries and of keys: where each begins, the longest of each.

    Queries lie as the row does. keys: for every key, its place in the row; None where keys lie as the row does too.
    """

    query_begins: Int[Tensor, " sequences_and_1"]
    key_begins: Int[Tensor, " sequences_and_1"]
    longest_query: int
    longest_key: int
    keys: Int[Tensor, " keys"] | None

    @classmethod
    def of(cls, layout: Layout) -> "Sequences":
        """Of a layout."""
        device = layout.ids.device
        queries: list[int] = []
        keys: list[int] = []
        places: list[Tensor] = []
        for first, *branches in layout.trees:
            queries.append(first[1])
            keys.append(first[1])
            places.append(torch.arange(first[0], sum(first)))
            for branch in branches:
                queries.append(branch[1])
                keys.append(first[1] + branch[1])
                places += [torch.arange(first[0], sum(first)), torch.arange(branch[0], sum(branch))]
        shared = queries != keys
        return cls(
            _begins(queries, device),
            _begins(keys, device),
            max(queries),
            max(keys),
            sent(torch.cat(places), device) if shared else None,
        )

    def attend(self, query: Row, key: Row, value: Row, scale: float, window: int | None) -> Row:
        """The attention output of every token of the row."""
        query, key = query.to(value.dtype), key.to(value.dtype)
        if self.keys is not None:
            key, value = key.index_select(0, self.keys), value.index_select(0, self.keys)
        longest = (self.longest_query, self.longest_key)
        return _flash(query, key, value, self.query_begins, self.key_begins, longest, scale, window)


def decode(
    query: Row, stores: tuple[Tensor, Tensor], positions: Int[Tensor, " slots"], scale: float, window: int | None
) -> Row:
    """One query for each of the first slots against the places of its store up to its position."""
    count, length = len(positions), stores[0].shape[1]
    key, value = (store.flatten(0, 1) for store in stores)
    query = query.to(key.dtype)
    seen = (positions + 1).to(torch.int32)
    steps = torch.arange(count + 1, device=query.device, dtype=torch.int32)
    group = query.shape[1] // key.shape[1]
    if window is not None:
        return _flash(query, key, value, steps, steps * length, (1, length), scale, window, seen)
    # The queries that share a key head stand as tokens that all see the same keys, which are so read once.
    together = query.unflatten(1, (-1, group)).transpose(1, 2).flatten(0, 1)
    begins = (steps * group, steps * length)
    out = _flash(together, key, value, *begins, (group, length), scale, None, seen, causal=False)
    return out.unflatten(0, (count, group)).transpose(1, 2).flatten(1, 2)


def _flash(
    query: Row,
    key: Row,
    value: Row,
    query_begins: Tensor,
    key_begins: Tensor,
    longest: tuple[int, int],
    scale: float,
    window: int | None,
    seen: Tensor | None = None,
    causal: bool = True,
) -> Row:
    """aten's operator itself: the public wrapper of the oldest torch we support has no scale and no lengths in use."""
    left = None if window is None else window - 1
    right = None if window is None else 0
    return torch.ops.aten._flash_attention_forward(
        query, key, value, query_begins, key_begins, *longest, 0.0, causal, False,
        scale=scale, window_size_left=left, window_size_right=right, seqused_k=seen,
    )[0]  # fmt: skip


def _begins(lengths: list[int], device: torch.device) -> Tensor:
    return sent(torch.tensor([0, *lengths]).cumsum(0).to(torch.int32), device)
