"""Attention over a row of many sequences: one function, registered with transformers, that follows a plan.

transformers calls `attend` in every layer of every family that supports pluggable attention; what it does is decided
by the plan in force: a row of whole sequences (`RowPlan`), the same while filling a cache (`PrefillPlan`), or one new
token for each of many sequences against the cache (`DecodePlan`).
"""

import contextlib
import functools
import math
import mmap
from collections.abc import Generator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import AttentionInterface

from assent.engine.attention import flash, slices, step
from assent.engine.attention.turn import Turn
from assent.engine.layout import Layout
from assent.engine.machine import Machine, sent
from assent.engine.processor import attention as processor

NAME = "assent"
_outside: Any = torch.compiler.disable  # of compiled layers

Row = Float[Tensor, "row heads width"]


class Plan(Protocol):
    """How the tokens of the row in hand see each other."""

    def attend(self, layer: int, query: Row, key: Row, value: Row, scale: float, window: int | None) -> Row:
        """The attention output of every token of the row; `window`: how many places a token sees at most."""
        ...


_plan: ContextVar[Plan | None] = ContextVar("plan", default=None)
Windows = set[tuple[int, int | None]]  # of a layer: how many places its tokens see at most

_seen_windows: ContextVar[Windows | None] = ContextVar("seen_windows", default=None)


def in_force() -> Plan:
    """The plan that attention follows here."""
    plan = _plan.get()
    assert plan is not None, "a model of the engine was called outside a plan"
    return plan


def _row_in_hand() -> "RowPlan | None":
    plan = _plan.get()
    rows = plan.rows if isinstance(plan, PrefillPlan) else plan
    return rows if isinstance(rows, RowPlan) else None


def rows_read() -> Int[Tensor, " rows"] | None:
    """Which tokens of the row are read after the last layer; None: all of them."""
    row = _row_in_hand()
    return None if row is None else row.read


def row_length() -> int:
    """How many tokens the row has; 0 where there is none."""
    row = _row_in_hand()
    return 0 if row is None else len(row.layout.ids)


@contextlib.contextmanager
def following(plan: Plan) -> Generator[None, None, None]:
    """Inside, the models' attention follows `plan`."""
    token = _plan.set(plan)
    try:
        yield
    finally:
        _plan.reset(token)


@contextlib.contextmanager
def watching_windows() -> Generator[Windows, None, None]:
    """Collect the windows that layers ask for: a family that says it has windows must pass them here."""
    seen: Windows = set()
    token = _seen_windows.set(seen)
    try:
        yield seen
    finally:
        _seen_windows.reset(token)


def note_windows(asked: Windows) -> None:
    """Tell who is watching what layers ask for."""
    seen = _seen_windows.get()
    if seen is not None:
        seen |= asked


class UnsupportedError(NotImplementedError):
    """An attention variant that rows cannot express; the model takes the plain path instead."""


@_outside
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
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    query, key, value = (tensor[0].transpose(0, 1) for tensor in (query, key, value))
    layer: Any = module.layer_idx
    return attend_row(layer, query, key, value, scale, sliding_window)[None], None


def attend_row(layer: int, query: Row, key: Row, value: Row, scale: float, window: int | None) -> Row:
    """Attention by the plan in force."""
    note_windows({(layer, window)})
    return in_force().attend(layer, query, key, value, scale, window)


@_outside
def attend_turning(layer: int, query: Row, key: Row, value: Row, turn: Turn, scale: float, window: int | None) -> Row:
    """The same for queries and keys that have not been turned to their places yet."""
    plan = in_force()
    if isinstance(plan, DecodePlan) and plan.in_one_pass(layer, query, key, value):
        return plan.attend(layer, query, key, value, scale, window, turn)
    return attend_row(layer, turn.of(query), turn.of(key), value, scale, window)


AttentionInterface.register(NAME, attend)


@dataclass(frozen=True)
class RowPlan:
    """Whole sequences, by the fastest way that takes them; all ways give the same numbers.

    read: the tokens whose states are read after the last layer; None: all of them.
    """

    layout: Layout
    read: Int[Tensor, " rows"] | None = None

    def attend(self, layer: int, query: Row, key: Row, value: Row, scale: float, window: int | None) -> Row:
        """See `Plan`."""
        if processor.takes(query, key, value):
            return self._trees.attend(query, key, value, scale, window)
        if flash.takes(query, key, value):
            return self._sequences.attend(query, key, value, scale, window)
        return self.slices.attend(query, key, value, scale, window)

    @functools.cached_property
    def slices(self) -> slices.Slices:
        """The row cut into slices."""
        return slices.Slices.of(self.layout)

    @functools.cached_property
    def _trees(self) -> processor.Trees:
        return processor.Trees.of(self.layout.trees)

    @functools.cached_property
    def _sequences(self) -> flash.Sequences:
        return flash.Sequences.of(self.layout)


class Cache:
    """Keys and values of the sequences being decoded: per layer `[slots, length, key heads, width]`.

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

    def filled(self, layer: int) -> tuple[Tensor, Tensor]:
        """The same, once a prompt is in them."""
        return self._stores[layer]

    def _store(self, row: Row) -> Tensor:
        _, heads, width = row.shape
        return _zeros((self.slots, self.length, heads, width), self._dtype or row.dtype, row.device)

    def move(self, source: int, target: int, length: int) -> None:
        """Copy the first `length` places of one slot to another."""
        for stores in self._stores.values():
            for store in stores:
                store[target, :length] = store[source, :length]


def _zeros(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Zeros; on a processor pages of the system's own, which take memory once something is written to them.

    A cache has room for the longest sequence in every slot, and most are shorter.
    """
    if device.type != "cpu":
        return torch.zeros(shape, dtype=dtype, device=device)
    pages = mmap.mmap(-1, math.prod(shape) * dtype.itemsize, access=mmap.ACCESS_COPY)
    return torch.frombuffer(pages, dtype=dtype).view(shape)


@dataclass(frozen=True)
class PrefillPlan:
    """Prompts, whose keys and values are also stored; `slots[tree]` are the slots that share a prompt."""

    rows: RowPlan
    cache: Cache
    slots: tuple[Int[Tensor, " k"], ...]

    def attend(self, layer: int, query: Row, key: Row, value: Row, scale: float, window: int | None) -> Row:
        """See `Plan`."""
        token, slot, place = self._entries
        for store, row in zip(self.cache.stores(layer, key, value), (key, value), strict=True):
            store[slot, place] = row[token].to(store.dtype)
        return self.rows.attend(layer, query, key, value, scale, window)

    @functools.cached_property
    def _entries(self) -> tuple[Tensor, Tensor, Tensor]:
        """Which token of the row goes to which place of which slot."""
        spans = torch.tensor([tree[0] for tree in self.rows.layout.trees])
        starts, lengths = spans.repeat_interleave(torch.tensor([len(group) for group in self.slots]), 0).unbind(1)
        slot = torch.cat([group.cpu() for group in self.slots]).repeat_interleave(lengths)
        place = torch.arange(len(slot)) - (lengths.cumsum(0) - lengths).repeat_interleave(lengths)
        token = starts.repeat_interleave(lengths) + place
        device = self.rows.layout.ids.device
        return sent(token, device), sent(slot, device), sent(place, device)


@dataclass(frozen=True)
class DecodePlan:
    """One new token for each of the first `len(positions)` slots; `length` bounds what any of them has to see."""

    cache: Cache
    positions: Int[Tensor, " slots"]
    length: int

    def in_one_pass(self, layer: int, query: Row, key: Row, value: Row) -> bool:
        """Whether one kernel does it all, and turns queries and keys as well."""
        return flash.takes(query, *self.cache.stores(layer, key, value)) and step.available()

    def attend(
        self, layer: int, query: Row, key: Row, value: Row, scale: float, window: int | None, turn: Turn | None = None
    ) -> Row:
        """See `Plan`; with `turn`, queries and keys are turned on the way, which takes `in_one_pass`."""
        stores = self.cache.stores(layer, key, value)
        if processor.takes(query, key, value):
            return processor.decode(query, key, value, stores, self.positions, scale, window)
        if self.in_one_pass(layer, query, key, value):
            return step.decode(query, key, value, stores, self.positions, scale, window, turn)
        count = len(self.positions)
        slots = torch.arange(count, device=query.device)
        for store, row in zip(stores, (key, value), strict=True):
            store[slots, self.positions] = row.to(store.dtype)
        if flash.takes(query, *stores):
            return flash.decode(query, stores, self.positions, scale, window)
        places = torch.arange(self.length, device=query.device)[None, :]
        visible = places <= self.positions[:, None]
        if window is not None:
            visible &= places > self.positions[:, None] - window
        keys, values = (store[:count, : self.length].transpose(1, 2) for store in stores)
        query = query.to(keys.dtype)
        return slices.attention(query[:, :, None], keys, values, visible[:, None, None], scale)[:, :, 0]
