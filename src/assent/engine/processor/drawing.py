"""Drawing tokens on a processor: drawing.cpp and its use from torch."""

import ctypes
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from assent.engine.processor.compiled import dense, kernels, pointer


def draw(
    logits: Float[Tensor, "n v"], uniform: Float[Tensor, " n"], temperature: float
) -> tuple[Int[Tensor, " n"], Float[Tensor, " n"]]:
    """See `decoding.pick`; logits in fp32, uniform numbers in fp64."""
    logits = dense(logits)
    number, vocabulary = logits.shape
    tokens = torch.empty(number, dtype=torch.int64)
    logprobs = torch.empty(number)
    compiled: Any = kernels()
    compiled.draw(
        *(ctypes.c_int64(count) for count in (number, vocabulary)), ctypes.c_float(temperature),
        ctypes.c_int64(torch.get_num_threads()), pointer(logits), ctypes.c_int64(logits.stride(0)),
        pointer(uniform.contiguous()), pointer(tokens), pointer(logprobs),
    )  # fmt: skip
    return tokens, logprobs
