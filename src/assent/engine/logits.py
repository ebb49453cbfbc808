"""Log-probabilities of chosen tokens without ever holding `[tokens, vocabulary]`: the vocabulary comes in pieces.

Logits and log-probabilities are fp32, whatever the model computes in (TF32 products on a GPU that computes in bf16).
Forward keeps one number a token, the log of the normaliser, and, where all logits are one piece, their exponentials;
else backward computes each piece again. The two products of backward round to bf16 where the trunk does, as all its
gradients do. The temperature divides the logits here and nowhere else.
"""

import contextlib
from collections.abc import Generator
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

PIECE = {"cpu": 2**23, "cuda": 2**28}  # logits held at a time: 32 MiB and 1 GiB in fp32


class _ChosenLogprobs(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, coarse: bool) -> Tensor:
        pieces = _pieces(states, weight)
        normaliser = states.new_full((len(states),), float("-inf"))
        chosen = torch.zeros_like(normaliser)
        kept = None
        for start, stop in pieces:
            logits = _logits(states, weight[start:stop], None if bias is None else bias[start:stop], coarse)
            here = (targets >= start) & (targets < stop)
            found = logits.gather(1, (targets - start).clamp(0, stop - start - 1)[:, None])[:, 0]
            chosen = torch.where(here, found, chosen)
            largest = logits.amax(1)
            exponentials = logits.sub_(largest[:, None]).exp_()
            normaliser = torch.logaddexp(normaliser, largest + exponentials.sum(1).log())
            if len(pieces) == 1:
                kept = exponentials
        scale = None if kept is None else torch.exp(largest - normaliser)  # pyright: ignore[reportPossiblyUnboundVariable]
        ctx.coarse = coarse
        ctx.save_for_backward(states, weight, bias, targets, normaliser, kept, scale)
        return chosen - normaliser

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        states, weight, bias, targets, normaliser, kept, scale = ctx.saved_tensors
        given = grads[0][:, None]
        wants_states, wants_weight, wants_bias = ctx.needs_input_grad[:3]
        dtype = torch.bfloat16 if ctx.coarse else states.dtype
        narrow = states.to(dtype)
        d_states = torch.zeros_like(states)
        d_weight = torch.empty_like(weight) if wants_weight else None
        d_bias = torch.empty_like(weight[:, 0]) if wants_bias else None
        rows = torch.arange(len(targets), device=targets.device)  # all in every piece: a GPU need not count them
        for start, stop in _pieces(states, weight):
            part = weight[start:stop]
            if kept is None:
                logits = _logits(states, part, None if bias is None else bias[start:stop], ctx.coarse)
                probabilities, factor = logits.sub_(normaliser[:, None]).exp_(), -given
            else:
                probabilities, factor = kept, -given * scale[:, None]
            delta = probabilities.new_empty(probabilities.shape, dtype=dtype)
            torch.mul(probabilities, factor, out=delta)  # d log p_target / d logit = [is target] - p
            here = (targets >= start) & (targets < stop)
            place = (targets - start).clamp(0, stop - start - 1)
            exact = probabilities[rows, place] * factor[:, 0] + torch.where(here, given[:, 0], 0.0)
            delta[rows, place] = exact.to(dtype)
            if wants_states:
                d_states += delta @ part.to(dtype)
            if d_weight is not None:
                d_weight[start:stop] = delta.t() @ narrow
            if d_bias is not None:
                torch.sum(delta, 0, dtype=d_bias.dtype, out=d_bias[start:stop])
        return d_states if wants_states else None, d_weight, d_bias, None, None


def _pieces(states: Tensor, weight: Tensor) -> list[tuple[int, int]]:
    width = max(1, PIECE[states.device.type] // max(1, len(states)))
    return [(start, min(start + width, len(weight))) for start in range(0, len(weight), width)]


def chosen_logprobs(
    states: Float[Tensor, "tokens width"],
    weight: Float[Tensor, "vocabulary width"],
    bias: Float[Tensor, " vocabulary"] | None,
    targets: Int[Tensor, " tokens"],
    temperature: float,
    *,
    coarse: bool = False,
) -> Float[Tensor, " tokens"]:
    """log softmax((states weight' + bias) / temperature) at the targets; `coarse`: the trunk computes in bf16."""
    precision = torch.promote_types(weight.dtype, torch.float32)
    with torch.autocast(states.device.type, enabled=False):
        # dividing states and bias divides the logits, and costs one small tensor instead of every piece
        scaled = states.to(precision) / temperature
        offset = None if bias is None else bias.to(precision) / temperature
        return _ChosenLogprobs.apply(scaled, weight.to(precision), offset, targets, coarse)  # pyright: ignore[reportReturnType]


def all_logits(
    states: Float[Tensor, "n width"],
    weight: Float[Tensor, "vocabulary width"],
    bias: Float[Tensor, " vocabulary"] | None,
    *,
    coarse: bool = False,
) -> Float[Tensor, "n vocabulary"]:
    """All logits at few states, in fp32."""
    return _logits(states.to(weight.dtype), weight, bias, coarse)


def _logits(states: Tensor, weight: Tensor, bias: Tensor | None, coarse: bool) -> Tensor:
    with fast_products(states.device, coarse):
        return states @ weight.t() if bias is None else torch.addmm(bias, states, weight.t())


def _rounds() -> bool:
    processor: Any = torch.cpu
    return processor._is_amx_tile_supported()


@contextlib.contextmanager
def fast_products(device: torch.device, coarse: bool) -> Generator[None, None, None]:
    """fp32 products by the faster of two libraries on a processor, by tensor cores on a GPU that is coarse anyway.

    On a processor the setting is called bf16, but only those with AMX round (to bf16); the others get oneDNN's fp32
    kernels, up to twice as fast as the default's, with errors of fp32.
    """
    on_gpu = device.type == "cuda"
    backends: Any = torch.backends
    library = backends.cuda.matmul if on_gpu else backends.mkldnn.matmul
    wanted = coarse if on_gpu else not _rounds()
    usual = library.fp32_precision
    try:
        if wanted:
            library.fp32_precision = "tf32" if on_gpu else "bf16"
        yield
    finally:
        library.fp32_precision = usual
