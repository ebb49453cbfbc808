"""Log-probabilities of chosen tokens without ever holding `[tokens, vocabulary]`: the vocabulary comes in pieces.

Forward keeps one number a token (the log of the normaliser); backward computes each piece of the logits again. All in
fp32, whatever the model computes in. The temperature divides the logits here and nowhere else.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

PIECE = 2**23  # logits held at a time: 32 MiB in fp32


class _ChosenLogprobs(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
        normaliser = states.new_full((len(states),), float("-inf"))
        chosen = torch.zeros_like(normaliser)
        for start, stop in _pieces(states, weight):
            logits = torch.addmm(bias[start:stop], states, weight[start:stop].t())
            normaliser = torch.logaddexp(normaliser, logits.logsumexp(1))
            here = (targets >= start) & (targets < stop)
            found = logits.gather(1, (targets - start).clamp(0, stop - start - 1)[:, None])[:, 0]
            chosen = torch.where(here, found, chosen)
        ctx.save_for_backward(states, weight, bias, targets, normaliser)
        return chosen - normaliser

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        states, weight, bias, targets, normaliser = ctx.saved_tensors
        scale = grads[0][:, None]
        wants_states, wants_weight, wants_bias = ctx.needs_input_grad[:3]
        d_states = torch.zeros_like(states)
        d_weight = torch.empty_like(weight) if wants_weight else None
        d_bias = torch.empty_like(bias) if wants_bias else None
        for start, stop in _pieces(states, weight):
            logits = torch.addmm(bias[start:stop], states, weight[start:stop].t())
            delta = torch.exp(logits - normaliser[:, None]).neg_()  # d log p_target / d logit = [is target] - p
            rows = torch.nonzero((targets >= start) & (targets < stop))[:, 0]
            delta[rows, targets[rows] - start] += 1
            delta *= scale
            if wants_states:
                d_states.addmm_(delta, weight[start:stop])
            if d_weight is not None:
                torch.mm(delta.t(), states, out=d_weight[start:stop])
            if d_bias is not None:
                torch.sum(delta, 0, out=d_bias[start:stop])
        return d_states if wants_states else None, d_weight, d_bias, None


def _pieces(states: Tensor, weight: Tensor) -> list[tuple[int, int]]:
    width = max(1, PIECE // max(1, len(states)))
    return [(start, min(start + width, len(weight))) for start in range(0, len(weight), width)]


def chosen_logprobs(
    states: Float[Tensor, "tokens width"],
    weight: Float[Tensor, "vocabulary width"],
    bias: Float[Tensor, " vocabulary"] | None,
    targets: Int[Tensor, " tokens"],
    temperature: float,
) -> Float[Tensor, " tokens"]:
    """log softmax((states weight' + bias) / temperature) at the targets."""
    precision = torch.promote_types(weight.dtype, torch.float32)
    with torch.autocast(states.device.type, enabled=False):
        offset = weight.new_zeros(len(weight), dtype=precision) if bias is None else bias.to(precision)
        # dividing states and bias divides the logits, and costs one small tensor instead of every piece
        scaled = states.to(precision) / temperature
        return _ChosenLogprobs.apply(scaled, weight.to(precision), offset / temperature, targets)  # pyright: ignore[reportReturnType]
