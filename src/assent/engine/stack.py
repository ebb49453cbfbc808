"""A language model all of whose parts are known: one new token of each sequence takes one call through all layers.

At few rows a layer's calls cost more than its products. Where `blocks` has exchanged every part of every layer, and
the layers are put together in the usual way (norms before, sums after), their weights are packed for one kernel while
the model samples. What is put together in another way shows in the numbers: `choice.choose` compares.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from assent.engine import blocks
from assent.engine.attention import plans
from assent.engine.processor.compiled import runs_on
from assent.engine.processor.decoder import Decoder, Layer, Linear, Norm

TRUNK = {"embed_tokens", "layers", "norm", "rotary_emb"}


class Stack:
    """The packed layers of a language model."""

    def __init__(self, trunk: Any, decoder: Decoder, asks: plans.Windows) -> None:
        self.trunk, self.decoder, self.asks = trunk, decoder, asks

    @classmethod
    def of(cls, module: Any, dtype: torch.dtype) -> "Stack | None":
        """Pack the layers as `dtype`; None for a model that has other parts, or is somewhere else."""
        trunk = module.base_model
        if not is_stack(trunk):
            return None
        attentions = [layer.self_attn for layer in trunk.layers]
        windows = [blocks.window(attention) for attention in attentions]
        layers = [_layer(layer, window) for layer, window in zip(trunk.layers, windows, strict=True)]
        norm, width = _norm(trunk.norm), attentions[0].head_dim
        if not Decoder.takes(layers, norm, width):
            return None
        asks = {(attention.layer_idx, window) for attention, window in zip(attentions, windows, strict=True)}
        return cls(trunk, Decoder(layers, norm, width, dtype), asks)

    def states(
        self, ids: Int[Tensor, " slots"], positions: Int[Tensor, " slots"], cache: plans.Cache
    ) -> Float[Tensor, "slots width"]:
        """The last states of one new token for each of the first slots, whose prompts are in the cache."""
        plans.note_windows(self.asks)
        embedded = self.trunk.embed_tokens(ids)
        cosines, sines = self.trunk.rotary_emb(embedded[None], position_ids=positions[None])
        stores = [cache.filled(number) for number in range(len(self.asks))]
        return self.decoder.step(embedded, stores, positions, cosines[0].contiguous(), sines[0].contiguous())


def is_stack(trunk: Any) -> bool:
    """Whether all of its parts are known, hold plain weights that a kernel can read, and are watched by nobody."""
    if {name for name, _ in trunk.named_children()} != TRUNK or not runs_on(trunk.embed_tokens.weight):
        return False
    parts: list[Any] = list(trunk.modules())
    if any(part._forward_hooks or part._forward_pre_hooks for part in parts):
        return False
    norms = [trunk.norm]
    for number, layer in enumerate(trunk.layers):
        if {name for name, _ in layer.named_children()} != blocks.LAYER or layer.self_attn.layer_idx != number:
            return False
        norms += [layer.input_layernorm, layer.post_attention_layernorm, *_head_norms(layer.self_attn)]
        linears = [part for part in layer.modules() if isinstance(part, nn.Linear)]
        known = isinstance(layer.self_attn, blocks.Rotary) and isinstance(layer.mlp, blocks.Gated)
        if not known or len(linears) != 7 or any(type(part) is not nn.Linear for part in linears):
            return False
    exact = trunk.embed_tokens.weight.dtype == torch.float32
    return exact and type(trunk.embed_tokens) is nn.Embedding and all(isinstance(norm, blocks.Norm) for norm in norms)


def _head_norms(attention: Any) -> list[Any]:
    """Of queries and keys, in families that have them."""
    return [attention.q_norm, attention.k_norm] if hasattr(attention, "q_norm") else []


def _layer(layer: Any, window: int | None) -> Layer:
    attention, gated = layer.self_attn, layer.mlp
    of_queries, of_keys = map(_norm, _head_norms(attention)) if _head_norms(attention) else (None, None)
    return Layer(
        before_attention=_norm(layer.input_layernorm),
        queries=_linear(attention.q_proj),
        keys=_linear(attention.k_proj),
        values=_linear(attention.v_proj),
        out=_linear(attention.o_proj),
        before_gates=_norm(layer.post_attention_layernorm),
        gate=_linear(gated.gate_proj),
        up=_linear(gated.up_proj),
        down=_linear(gated.down_proj),
        of_queries=of_queries,
        of_keys=of_keys,
        scale=attention.scaling,
        window=window,
    )


def _norm(norm: Any) -> Norm:
    return Norm(norm.weight, blocks.epsilon(norm))


def _linear(linear: nn.Linear) -> Linear:
    return Linear(linear.weight, linear.bias)
