"""What stands between the products of a decoder's blocks, on a processor: blocks.cpp and its use from torch.

Each function takes rows in fp32 or bf16 and computes in fp32; what it keeps for backward is its input.
"""

import ctypes
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from assent.engine.processor.compiled import dense, kernels, pointer

PORTION = 128  # rows, as in blocks.cpp


class _Rows(ctypes.Structure):
    """[n, width] whose last dimension is dense."""

    _fields_ = (("data", ctypes.c_void_p), ("stride", ctypes.c_int64), ("half", ctypes.c_int64))

    @classmethod
    def of(cls, tensor: Tensor) -> "_Rows":
        return cls(tensor.data_ptr(), tensor.stride(0), tensor.dtype == torch.bfloat16)


def norm(x: Float[Tensor, "n width"], weight: Float[Tensor, " width"], epsilon: float, dtype: torch.dtype) -> Tensor:
    """x / sqrt(mean(x^2) + epsilon) * weight (Zhang and Sennrich 2019), as `dtype`; weight in fp32."""
    if torch.is_grad_enabled():
        return _Norm.apply(x, weight, epsilon, dtype)  # pyright: ignore[reportReturnType]
    return _normed(x, weight, epsilon, dtype, None)


def gate(gates: Float[Tensor, "n width"], ups: Float[Tensor, "n width"]) -> Float[Tensor, "n width"]:
    """silu(gates) * ups (Shazeer 2020), as the gates are held."""
    if torch.is_grad_enabled():
        return _Gate.apply(gates, ups)  # pyright: ignore[reportReturnType]
    return _gated(gates, ups)


def rotate(
    x: Float[Tensor, "n heads width"], cosines: Float[Tensor, "n width"], sines: Float[Tensor, "n width"]
) -> Float[Tensor, "n heads width"]:
    """Rotary positions, halves of a head against each other (Su et al. 2021), in fp32 cosines and sines."""
    if torch.is_grad_enabled():
        return _Rotate.apply(x, cosines, sines)  # pyright: ignore[reportReturnType]
    return _rotated(x, cosines, sines, back=False)


def _normed(x: Tensor, weight: Tensor, epsilon: float, dtype: torch.dtype, scales: Tensor | None) -> Tensor:
    x = dense(x)
    out = x.new_empty(x.shape, dtype=dtype)
    number, width = x.shape
    compiled: Any = kernels()
    compiled.norm(
        *_counts(number, width), ctypes.c_float(epsilon), _threads(), _Rows.of(x), pointer(weight), _Rows.of(out),
        pointer(scales),
    )  # fmt: skip
    return out


class _Norm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float, dtype: torch.dtype) -> Tensor:
        scales = torch.empty(len(x))
        ctx.save_for_backward(x, weight, scales)
        return _normed(x, weight, epsilon, dtype, scales)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, weight, scales = ctx.saved_tensors
        x, given = dense(x), dense(grads[0])
        number, width = x.shape
        d_x = torch.empty_like(x)
        portions = torch.empty(-(-number // PORTION), width)
        compiled: Any = kernels()
        compiled.norm_backward(
            *_counts(number, width), _threads(), _Rows.of(x), pointer(weight), pointer(scales), _Rows.of(given),
            _Rows.of(d_x), pointer(portions),
        )  # fmt: skip
        return d_x, portions.sum(0), None, None


def _gated(gates: Tensor, ups: Tensor) -> Tensor:
    gates, ups = dense(gates), dense(ups)
    out = gates.new_empty(gates.shape)
    compiled: Any = kernels()
    compiled.gate(*_counts(*gates.shape), _threads(), _Rows.of(gates), _Rows.of(ups), _Rows.of(out))
    return out


class _Gate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gates: Tensor, ups: Tensor) -> Tensor:
        ctx.save_for_backward(gates, ups)
        return _gated(gates, ups)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        given = [dense(tensor) for tensor in (*ctx.saved_tensors, grads[0])]
        wanted = [tensor.new_empty(tensor.shape) for tensor in given[:2]]
        compiled: Any = kernels()
        compiled.gate_backward(*_counts(*given[0].shape), _threads(), *map(_Rows.of, given + wanted))
        return tuple(wanted)


def _rotated(x: Tensor, cosines: Tensor, sines: Tensor, *, back: bool) -> Tensor:
    number, heads, width = x.shape
    x = x if x.stride(2) == 1 and x.stride(1) == width else x.contiguous()
    out = x.new_empty(x.shape)
    compiled: Any = kernels()
    compiled.rotate(
        *_counts(number, heads, width, back), _threads(), _Rows.of(x), pointer(cosines), pointer(sines), _Rows.of(out)
    )
    return out


class _Rotate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
        ctx.save_for_backward(cosines, sines)
        return _rotated(x, cosines, sines, back=False)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return _rotated(grads[0], *ctx.saved_tensors, back=True), None, None


def _counts(*numbers: int) -> list[ctypes.c_int64]:
    return [ctypes.c_int64(number) for number in numbers]


def _threads() -> ctypes.c_int64:
    return ctypes.c_int64(torch.get_num_threads())
