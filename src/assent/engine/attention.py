"""Attention over a row of many sequences: one function, registered with transformers, that follows a plan.

transformers calls `attend` in every layer of every family that supports pluggable attention; what it does is decided
by the plan in force: a row of whole sequences (`RowPlan`), the same while filling a cache (`PrefillPlan`), or one new
token for each of many sequences against the cache (`DecodePlan`).
"""

import contextlib
from collections.abc import Generator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from assent.engine.layout import Layout, Slice
from assent.engine.machine import Machine

NAME = "assent"

Row = Float[Tensor, "row heads width"]


class Plan(Protocol):
    """How the tokens of the row in hand see each other."""

    def attend(self, layer: int, query: Row, key: Row, value: Row, scale: float, window: int | None) -> Row:
        """The attention output of every token of the row; `window`: how many places a token sees at most."""
        ...


_plan: ContextVar[Plan | None] = ContextVar("plan", default=None)
_seen_windows: ContextVar[set[int | None] | None] = ContextVar("seen_windows", default=None)


@contextlib.contextmanager
def following(plan: Plan) -> Generator[None, None, None]:
    """Inside, the models' attention follows `plan`."""
    token = _plan.set(plan)
    try:
        yield
    finally:
        _plan.reset(token)


@contextlib.contextmanager
def watching_windows() -> Generator[set[int | None], None, None]:
    """Collect the window sizes that layers ask for: a family that says it has windows must pass them here."""
    seen: set[int | None] = set()
    token = _seen_windows.set(seen)
    try:
        yield seen
    finally:
        _seen_windows.reset(token)


class UnsupportedError(NotImplementedError):
    """An attention variant that rows cannot express; the model takes the plain path instead."""


def attend(
    module: torch.nn.Module,
    query: Float[Tensor, "one heads row width"],
    key: Float[Tensor, "one key_heads row width"],
    value: Float[Tensor, "one key_heads row width"],
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    **variants: Any,
) -> tuple[Float[Tensor, "one row heads width"], None]:
    """What transformers calls; the batch is one row."""
    for name in ("softcap", "s_aux", "position_bias", "head_mask"):
        if variants.get(name) is not None:
            raise UnsupportedError(f"attention with {name}")
    plan, seen = _plan.get(), _seen_windows.get()
    assert plan is not None, "a model of the engine was called outside a plan"
    if seen is not None:
        seen.add(sliding_window)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    query, key, value = (tensor[0].transpose(0, 1) for tensor in (query, key, value))
    layer: Any = module.layer_idx
    return plan.attend(layer, query, key, value, scale, sliding_window)[None], None


AttentionInterface.register(NAME, attend)


@dataclass(frozen=True)
class RowPlan:
    """Whole sequences: each slice is gathered, attends, and goes back to its places."""

    layout: Layout
    order: Int[Tensor, " row"]

    @classmethod
    def of(cls, layout: Layout) -> "RowPlan":
        """The plan of a layout."""
        return cls(layout, layout.restore())

    def attend(self, layer: int, query: Row, key: Row, value: Row, scale: float, window: int | None) -> Row:
        """See `Plan`."""
        parts = [_attend_slice(piece, query, key, value, scale, window) for piece in self.layout.slices]
        return torch.cat(parts)[self.order]


class Cache:
    """Keys and values of the sequences being decoded: per layer `[slots, key heads, length, width]`.

    A layer's stores are made when its first keys arrive, so that their shape is the model's business. They begin as
    zeros: what is masked must at least be finite.
    """

    def __init__(self, slots: int, length: int, machine: Machine) -> None:
        self.slots, self.length = slots, length
        self._dtype = torch.bfloat16 if machine.bf16 else None
        self._stores: dict[int, tuple[Tensor, Tensor]] = {}

    def stores(self, layer: int, key: Row, value: Row) -> tuple[Tensor, Tensor]:
        """The keys and values of a layer; `key` and `value` say how they look."""
        if layer not in self._stores:
            self._stores[layer] = (self._store(key), self._store(value))
        return self._stores[layer]

    def _store(self, row: Row) -> Tensor:
        _, heads, width = row.shape
        return row.new_zeros((self.slots, heads, self.length, width), dtype=self._dtype or row.dtype)

    def move(self, source: int, target: int, length: int) -> None:
        """Copy the first `length` places of one slot to another."""
        for stores in self._stores.values():
            for store in stores:
                store[target, :, :length] = store[source, :, :length]


@dataclass(frozen=True)
class PrefillPlan:
    """Prompts, whose keys and values are also stored; `slots[tree]` are the slots that share a prompt."""

    rows: RowPlan
    cache: Cache
    slots: tuple[Int[Tensor, " k"], ...]

    def attend(self, layer: int, query: Row, key: Row, value: Row, scale: float, window: int | None) -> Row:
        """See `Plan`."""
        for piece in self.rows.layout.slices:
            length = piece.places.shape[1]
            slots = torch.cat([self.slots[tree] for tree in piece.rows])
            repeats = torch.tensor([len(self.slots[tree]) for tree in piece.rows], device=slots.device)
            sources = torch.repeat_interleave(torch.arange(len(piece.rows), device=slots.device), repeats)
            for store, row in zip(self.cache.stores(layer, key, value), (key, value), strict=True):
                store[slots, :, :length] = row[piece.places[sources]].transpose(1, 2).to(store.dtype)
        return self.rows.attend(layer, query, key, value, scale, window)


@dataclass(frozen=True)
class DecodePlan:
    """One new token for each of the first `len(positions)` slots; `length` bounds what any of them has to see."""

    cache: Cache
    positions: Int[Tensor, " slots"]
    length: int

    def attend(self, layer: int, query: Row, key: Row, value: Row, scale: float, window: int | None) -> Row:
        """See `Plan`."""
        count = len(self.positions)
        slots = torch.arange(count, device=query.device)
        keys, values = self.cache.stores(layer, key, value)
        keys[slots, :, self.positions] = key.to(keys.dtype)
        values[slots, :, self.positions] = value.to(values.dtype)
        places = torch.arange(self.length, device=query.device)[None, :]
        visible = places <= self.positions[:, None]
        if window is not None:
            visible &= places > self.positions[:, None] - window
        keys, values = (store[:count, :, : self.length].to(query.dtype) for store in (keys, values))
        return _attention(query[:, :, None], keys, values, visible[:, None, None], scale)[:, :, 0]


def _attend_slice(piece: Slice, query: Row, key: Row, value: Row, scale: float, window: int | None) -> Row:
    """Attention of one slice; returns its real tokens, sequence after sequence."""
    queries, keys, values = (row[piece.places].transpose(1, 2) for row in (query, key, value))
    if piece.context is not None:
        keys = torch.cat([key[piece.context].transpose(1, 2), keys], dim=2)
        values = torch.cat([value[piece.context].transpose(1, 2), values], dim=2)
    visible = _visible(piece, window)
    out = _attention(queries, keys, values, visible, scale)
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


def _attention(query: Tensor, key: Tensor, value: Tensor, visible: Tensor | None, scale: float) -> Tensor:
    grouped = query.shape[1] != key.shape[1]
    return scaled_dot_product_attention(
        query, key, value, attn_mask=visible, is_causal=visible is None, scale=scale, enable_gqa=grouped
    )
