"""A step of decoding through a whole decoder, on a processor: decoder.cpp and its use from torch."""

import ctypes
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import pad

from assent.engine.processor.attention import WIDEST, View
from assent.engine.processor.compiled import TYPES, kernels, pointer

LANES, PANEL = 16, 32  # columns, as in decoder.cpp


class Linear(NamedTuple):
    """Weight and bias of a product."""

    weight: Float[Tensor, "out in"]
    bias: Float[Tensor, " out"] | None


class Norm(NamedTuple):
    """Weight and epsilon of an RMSNorm."""

    weight: Float[Tensor, " width"]
    epsilon: float


class Layer(NamedTuple):
    """x + out(attention(queries, keys, values of norm(x))), then x + down(silu(gate(norm(x))) * up(norm(x))).

    of_queries, of_keys: norms of each head before it is turned. window: how many places a token sees at most.
    """

    before_attention: Norm
    queries: Linear
    keys: Linear
    values: Linear
    out: Linear
    before_gates: Norm
    gate: Linear
    up: Linear
    down: Linear
    of_queries: Norm | None
    of_keys: Norm | None
    scale: float
    window: int | None


class _Product(ctypes.Structure):
    _fields_ = (
        ("panels", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
        ("columns", ctypes.c_int64),
        ("steps", ctypes.c_int64),
    )


class _Layer(ctypes.Structure):
    _fields_ = (
        ("norm_before_attention", ctypes.c_void_p),
        ("norm_before_gates", ctypes.c_void_p),
        *((name, ctypes.c_float) for name in ("epsilon_before_attention", "epsilon_before_gates", "scale")),
        *((name, _Product) for name in ("inputs", "out", "gates", "down")),
        ("window", ctypes.c_int64),
        *((name, ctypes.c_void_p) for name in ("of_queries", "of_keys")),
        *((name, ctypes.c_float) for name in ("epsilon_of_queries", "epsilon_of_keys")),
    )


class _Decoder(ctypes.Structure):
    _fields_ = (
        ("layers", ctypes.POINTER(_Layer)),
        *((name, ctypes.c_int64) for name in ("number", "width", "heads", "key_heads", "head_width", "gated")),
        ("norm", ctypes.c_void_p),
        ("epsilon", ctypes.c_float),
        ("half", ctypes.c_int64),
    )


class Decoder:
    """Layers and a last norm, their weights packed as the kernel reads them, in fp32 or bf16."""

    def __init__(self, layers: Sequence[Layer], norm: Norm, head_width: int, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self._kept: list[Tensor] = []  # what the structures point to
        first = layers[0]
        self._layers = (_Layer * len(layers))(*map(self._layer, layers))
        self._decoder = _Decoder(
            self._layers, len(layers), len(norm.weight), len(first.queries.weight) // head_width,
            len(first.keys.weight) // head_width, head_width, _up(len(first.gate.weight), LANES),
            self._vector(norm.weight), norm.epsilon, dtype == torch.bfloat16,
        )  # fmt: skip

    @staticmethod
    def takes(layers: Sequence[Layer], norm: Norm, head_width: int) -> bool:
        """Whether the kernel computes with such layers: all alike, pairs of numbers everywhere, norms in fp32."""
        shapes = {tuple(part.weight.shape for part in layer if isinstance(part, (Linear, Norm))) for layer in layers}
        products = [part for layer in layers for part in layer if isinstance(part, Linear)]
        norms = [norm, *(part for layer in layers for part in layer if isinstance(part, Norm))]
        return (
            len(shapes) == 1
            and head_width <= WIDEST
            and head_width % 2 == 0
            and all(product.weight.shape[1] % 2 == 0 and product.weight.dtype in TYPES for product in products)
            and all(one.weight.dtype == torch.float32 for one in norms)
        )

    def step(
        self,
        embedded: Float[Tensor, "slots width"],
        stores: Sequence[tuple[Tensor, Tensor]],
        positions: Int[Tensor, " slots"],
        cosines: Float[Tensor, "slots head_width"],
        sines: Float[Tensor, "slots head_width"],
    ) -> Float[Tensor, "slots width"]:
        """The states after the last norm of one new token for each of the first slots.

        embedded: in fp32, and used up. stores: keys and values of each layer, [slots, length, key heads, width]; the
        new ones enter them at `positions`.
        """
        keys, values = ((View * len(stores))(*map(View.of, column)) for column in zip(*stores, strict=True))
        compiled: Any = kernels()
        compiled.decode_step(
            ctypes.byref(self._decoder), ctypes.c_int64(len(embedded)), keys, values, pointer(positions),
            pointer(cosines), pointer(sines), pointer(embedded), ctypes.c_int64(torch.get_num_threads()),
        )  # fmt: skip
        return embedded

    def _layer(self, layer: Layer) -> _Layer:
        of_heads = (layer.of_queries, layer.of_keys)
        return _Layer(
            self._vector(layer.before_attention.weight),
            self._vector(layer.before_gates.weight),
            layer.before_attention.epsilon,
            layer.before_gates.epsilon,
            layer.scale,
            self._product(_below(*map(self._rounded, (layer.queries, layer.keys, layer.values)))),
            self._product(self._rounded(layer.out)),
            self._product(_by_turns(self._rounded(layer.gate), self._rounded(layer.up))),
            self._product(self._rounded(layer.down)),
            layer.window or 0,
            *(None if norm is None else self._vector(norm.weight) for norm in of_heads),
            *(0.0 if norm is None else norm.epsilon for norm in of_heads),
        )

    def _rounded(self, linear: Linear) -> Linear:
        bias = None if linear.bias is None else linear.bias.detach().float()
        return Linear(linear.weight.detach().to(self.dtype), bias)

    def _vector(self, numbers: Tensor) -> int:
        self._kept.append(_filled(numbers.detach().float(), PANEL))
        return self._kept[-1].data_ptr()

    def _product(self, linear: Linear) -> _Product:
        """Panel by panel of columns: for each step in depth, what each column multiplies in it (see decoder.cpp)."""
        lanes = linear.weight.contiguous().view(torch.int32)
        panels = _filled(lanes, PANEL).unflatten(0, (-1, PANEL)).transpose(1, 2).contiguous()
        self._kept.append(panels)
        bias = None if linear.bias is None else self._vector(linear.bias)
        return _Product(panels.data_ptr(), bias, len(panels) * PANEL, panels.shape[1])


def _up(number: int, unit: int) -> int:
    return -(-number // unit) * unit


def _filled(rows: Tensor, unit: int) -> Tensor:
    """With zeros below, up to whole units."""
    missing = _up(len(rows), unit) - len(rows)
    return pad(rows, (*(0, 0) * (rows.dim() - 1), 0, missing)) if missing else rows.contiguous()


def _below(*parts: Linear) -> Linear:
    """Products of the same input as one, a bias of zeros where only others have one."""
    weight = torch.cat([part.weight for part in parts])
    if all(part.bias is None for part in parts):
        return Linear(weight, None)
    biases = [torch.zeros(len(part.weight)) if part.bias is None else part.bias for part in parts]
    return Linear(weight, torch.cat(biases))


def _by_turns(gate: Linear, up: Linear) -> Linear:
    """A vector of gates, then their ups: a panel holds both."""

    def turns(first: Tensor, second: Tensor) -> Tensor:
        parts = [_filled(one, LANES).unflatten(0, (-1, LANES)) for one in (first, second)]
        return torch.stack(parts, 1).flatten(0, 2)

    both = _below(gate, up)
    bias = None if both.bias is None else turns(*both.bias.split(len(gate.weight)))
    return Linear(turns(gate.weight, up.weight), bias)
