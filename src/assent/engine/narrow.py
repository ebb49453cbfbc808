"""Weights of a trunk's products as it computes with them: for good in a frozen model, else while it samples.

In sampling all weights are read at every token for few rows, so that it counts how often and how wide: there products
of the same input are one. Autocast would round weights at every token.
"""

import contextlib
from collections.abc import Generator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

SIBLINGS = (
    ("q_proj", "k_proj", "v_proj"),
    ("gate_proj", "up_proj"),
)  # layers that a block feeds the same input, in turn


class _First(nn.Module):
    """Stands for the first of some layers: computes them all in one product, and keeps the others' results for them."""

    def __init__(self, layers: Sequence[Any], dtype: torch.dtype) -> None:
        super().__init__()
        self.weight = torch.cat([layer.weight.detach().to(dtype) for layer in layers])
        biases = [layer.bias for layer in layers]
        self.bias = None if biases[0] is None else torch.cat([bias.detach().to(dtype) for bias in biases])
        self.sizes = [layer.out_features for layer in layers]
        self.rest: tuple[Tensor, ...] = ()

    def forward(self, states: Tensor) -> Tensor:
        """The first layer's result."""
        first, *rest = linear(states, self.weight, self.bias).split(self.sizes, -1)
        self.rest = tuple(rest)
        return first


class _Later(nn.Module):
    """Stands for a later one of them."""

    def __init__(self, first: _First, number: int) -> None:
        super().__init__()
        self.firsts, self.number = [first], number  # in a list: it is a member of the block already

    def forward(self, states: Tensor) -> Tensor:
        """What the first one computed for this one."""
        return self.firsts[0].rest[self.number]


def narrow(trunk: nn.Module, dtype: torch.dtype) -> list[tuple[Any, Any]]:
    """Let the linear layers of a trunk hold their weights as `dtype`; what they held."""
    layers = [one for one in trunk.modules() if isinstance(one, nn.Linear)]
    masters: list[tuple[Any, Any]] = [(layer, layer.weight) for layer in layers]
    for layer in layers:
        layer.weight = nn.Parameter(layer.weight.detach().to(dtype), requires_grad=False)
    return masters


@contextlib.contextmanager
def narrowed(trunk: nn.Module, dtype: torch.dtype) -> Generator[None, None, None]:
    """Inside, the linear layers of a trunk hold their weights as `dtype`, siblings side by side."""
    masters: list[tuple[Any, Any]] = []
    places: list[tuple[nn.Module, str, nn.Module]] = []
    try:
        for block in list(trunk.modules()):
            for names in SIBLINGS:
                layers: list[Any] = [getattr(block, name, None) for name in names]
                if _alike(layers):
                    first = _First(layers, dtype)
                    stand_ins = [first, *(_Later(first, number) for number in range(len(layers) - 1))]
                    for name, layer, stand_in in zip(names, layers, stand_ins, strict=True):
                        places.append((block, name, layer))
                        setattr(block, name, stand_in)
        masters = narrow(trunk, dtype)
        yield
    finally:
        for layer, master in masters:
            layer.weight = master
        for block, name, layer in places:
            setattr(block, name, layer)


def _alike(layers: Sequence[Any]) -> bool:
    """Whether these are plain linear layers of the same input, all with a bias or all without."""
    plain = all(type(layer) is nn.Linear for layer in layers)
    return plain and len({(layer.in_features, layer.bias is None) for layer in layers}) == 1
