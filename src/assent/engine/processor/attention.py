"""Attention on a processor: attention.cpp and its use from torch."""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from assent.engine.layout import Span
from assent.engine.processor.compiled import dense, kernels, pointer, runs_on

WIDEST = 256  # of a head: beyond, blocks of queries would leave the caches

Row = Float[Tensor, "row heads width"]


class _Shape(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int64) for name in ("row", "heads", "key_heads", "width", "window", "trees", "threads")),
        ("scale", ctypes.c_float),
    )


class View(ctypes.Structure):
    """A tensor whose last dimension is dense."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in ("row", "head", "place", "half")),
    )

    @classmethod
    def of(cls, tensor: Tensor) -> "View":
        """Of [row, heads, width], or of a store [slots, length, heads, width]."""
        place = tensor.stride(1) if tensor.dim() == 4 else 0
        half = int(tensor.dtype == torch.bfloat16)
        return cls(tensor.data_ptr(), tensor.stride(0), tensor.stride(-2), place, half)


def takes(query: Tensor, key: Tensor, value: Tensor) -> bool:
    """Whether the kernels compute this attention: on a processor, in fp32 or bf16, heads of a usual width."""
    return query.shape[-1] == key.shape[-1] == value.shape[-1] <= WIDEST and runs_on(query, value)


@dataclass(frozen=True)
class Trees:
    """A row's trees as the kernels read them: starts and lengths, and where each tree begins among them."""

    spans: Int[Tensor, "spans 2"]
    begins: Int[Tensor, " trees_and_1"]

    @classmethod
    def of(cls, trees: Sequence[Sequence[Span]]) -> "Trees":
        """Write down spans; the longest trees come first, so that none is left for one thread at the end."""
        ordered = sorted(trees, key=lambda tree: -sum(length for _, length in tree))
        spans = torch.tensor([span for tree in ordered for span in tree], dtype=torch.int64)
        return cls(spans, torch.tensor([0, *(len(tree) for tree in ordered)]).cumsum(0))

    def attend(self, query: Row, key: Row, value: Row, scale: float, window: int | None) -> Row:
        """The attention output of every token of the row, as precise as the values are."""
        query, key = query.to(value.dtype), key.to(value.dtype)
        return _Attention.apply(query, key, value, self, scale, window)  # pyright: ignore[reportReturnType]

    def attend_with_normalisers(
        self, query: Row, key: Row, value: Row, scale: float
    ) -> tuple[Row, Float[Tensor, "row heads"]]:
        """Without gradients: `attend`, and the log of the sum of exponentials that each softmax was divided by.

        So that attention over keys that lie elsewhere can be joined to it.
        """
        out, normalisers = _attended(query.to(value.dtype), key.to(value.dtype), value, self, scale, None)
        return out, normalisers.t()


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, trees: Trees, scale: float, window: int | None
    ) -> Tensor:
        query, key, value = (dense(tensor) for tensor in (query, key, value))
        out, normalisers = _attended(query, key, value, trees, scale, window)
        ctx.shape = _shape(query, key, scale, window, len(trees.begins) - 1)
        ctx.trees = trees
        ctx.save_for_backward(query, key, value, out, normalisers)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        query, key, value, out, normalisers = ctx.saved_tensors
        given = dense(grads[0])
        wanted = [torch.empty_like(tensor) for tensor in (query, key, value)]
        compiled: Any = kernels()
        compiled.attend_backward(
            ctx.shape,
            *_views(query, key, value, out),
            pointer(normalisers),
            *_views(given, *wanted),
            pointer(ctx.trees.spans),
            pointer(ctx.trees.begins),
        )
        return (*wanted, None, None, None)


def _attended(
    query: Row, key: Row, value: Row, trees: Trees, scale: float, window: int | None
) -> tuple[Row, Float[Tensor, "heads row"]]:
    query, key, value = (dense(tensor) for tensor in (query, key, value))
    out = torch.empty_like(query)
    normalisers = torch.empty(query.shape[1], query.shape[0])
    shape = _shape(query, key, scale, window, len(trees.begins) - 1)
    compiled: Any = kernels()
    compiled.attend(
        shape, *_views(query, key, value, out), pointer(normalisers), pointer(trees.spans), pointer(trees.begins)
    )
    return out, normalisers


def decode(
    query: Row,
    key: Row,
    value: Row,
    stores: tuple[Tensor, Tensor],
    positions: Int[Tensor, " slots"],
    scale: float,
    window: int | None,
) -> Row:
    """One new token for each of the first slots: its key and value enter the stores, its query sees them.

    stores: keys and values, [slots, length, key heads, width].
    """
    query, key, value = (dense(tensor) for tensor in (query, key, value))
    out = torch.empty_like(query, dtype=value.dtype)
    compiled: Any = kernels()
    shape = _shape(query, key, scale, window, 0)
    compiled.decode(shape, *_views(query, key, value, out, *stores), pointer(positions))
    return out


def _shape(query: Tensor, key: Tensor, scale: float, window: int | None, trees: int) -> Any:
    row, heads, width = query.shape
    threads = torch.get_num_threads()
    return ctypes.byref(_Shape(row, heads, key.shape[1], width, window or 0, trees, threads, scale))


def _views(*tensors: Tensor) -> list[Any]:
    return [ctypes.byref(View.of(tensor)) for tensor in tensors]
