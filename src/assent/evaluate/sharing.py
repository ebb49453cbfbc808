"""Log-probabilities of many completions with everything that is common computed once: likelihood tasks at full speed.

Three levels are shared. The beginning that all contexts have in common (instruction and examples) goes through the
model once and stays as keys and values. Each context is laid out once, its completions as branches of it. And the last
token of a completion is predicted, never fed. Nothing of this shows in the numbers: see the laws in the tests.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from assent.engine.attention.plans import Cache, Plan, Row, RowPlan, UnsupportedError, following
from assent.engine.attention.slices import Slice
from assent.engine.batches import Tokens
from assent.engine.forward import RowForward
from assent.engine.layout import Layout
from assent.engine.logits import fast_products
from assent.engine.machine import Machine
from assent.engine.processor import attention as processor

SHORTEST = 16  # tokens: a shorter common beginning is not worth a second kind of attention
SCORES = 2**26  # attention scores held at a time, in numbers
CACHED = 2048  # tokens of one pass on a processor: more leave its caches between layers, and cost a sixth more


@dataclass(frozen=True)
class Question:
    """A context of at least one token, and completions of at least one token each, which are weighed."""

    context: Tokens
    endings: tuple[Tokens, ...]


def common_beginning(contexts: Sequence[Tokens]) -> int:
    """How many tokens all contexts begin with alike, of each of which at least one token is left; 0 if it is short."""
    if len(contexts) < 2:
        return 0
    length = min(len(context) for context in contexts) - 1
    first = contexts[0][:length]
    for context in contexts[1:]:
        differs = torch.nonzero(context[:length] != first[:length])
        length = min(length, int(differs[0]) if len(differs) else length)
    return length if length >= SHORTEST else 0


class Beginning:
    """A beginning that went through the model once: its keys and values, layer by layer."""

    def __init__(self, forward: RowForward, ids: Tokens) -> None:
        self.length = len(ids)
        self.cache = Cache(1, len(ids), forward.machine)
        forward.prefill([ids], self.cache, [torch.tensor([0], device=forward.machine.torch_device)])

    def keys_and_values(self, layer: int, key: Row, value: Row) -> tuple[Tensor, Tensor]:
        """Keys and values of a layer, [key heads, length, width]."""
        keys, values = self.cache.stores(layer, key, value)
        return keys[0].transpose(0, 1).to(key.dtype), values[0].transpose(0, 1).to(value.dtype)


@dataclass(frozen=True)
class AfterBeginning:
    """The plan of a row whose sequences all come after one beginning, which each of their tokens sees whole."""

    rows: RowPlan
    beginning: Beginning

    def attend(self, layer: int, query: Row, key: Row, value: Row, scale: float, window: int | None) -> Row:
        """See `Plan`."""
        if window is not None:
            raise UnsupportedError("a window over a shared beginning")
        before = self.beginning.keys_and_values(layer, key, value)
        if processor.takes(query, key, value):
            return _joined(self._trees.attend_with_normalisers(query, key, value, scale), query, before, scale)
        parts = [_attend_slice(piece, query, key, value, before, scale) for piece in self.rows.slices.pieces]
        return torch.cat(parts)[self.rows.slices.order]

    @functools.cached_property
    def _trees(self) -> processor.Trees:
        return processor.Trees.of(self.rows.layout.trees)


def _joined(own: tuple[Row, Tensor], query: Row, before: tuple[Tensor, Tensor], scale: float) -> Row:
    """Attention over own tokens and over the beginning as one: each softmax weighs as much as it was divided by."""
    out, normalisers = own
    keys, values = before  # [key heads, length, width]
    queries = (query * scale).to(keys.dtype).transpose(0, 1).unflatten(0, (len(keys), -1)).flatten(1, 2)
    scores = torch.bmm(queries, keys.transpose(1, 2)).float()
    largest = scores.amax(-1, keepdim=True)
    shares = scores.sub_(largest).exp_()
    total = shares.sum(-1, keepdim=True)
    first = torch.bmm(shares.to(values.dtype), values).float() / total
    first = first.view(query.shape[1], len(query), -1).transpose(0, 1)
    others = (largest + total.log()).view(query.shape[1], len(query)).t()
    weight = torch.sigmoid(others - normalisers)[..., None]
    return torch.lerp(out.float(), first, weight).to(out.dtype)


def _attend_slice(
    piece: Slice, query: Row, key: Row, value: Row, before: tuple[Tensor, Tensor], scale: float
) -> Tensor:
    """Attention of one slice: scores against the beginning and against its own tokens, one softmax over both."""
    queries = query[piece.places].transpose(1, 2) * scale  # [sequences, heads, length, width]
    repeats = query.shape[1] // key.shape[1]
    keys, values = (_own(row, piece).repeat_interleave(repeats, dim=1) for row in (key, value))
    first_keys, first_values = (part.repeat_interleave(repeats, dim=0) for part in before)
    own = (queries @ keys.transpose(2, 3)).float().masked_fill(~_visible(piece)[:, None], float("-inf"))
    flat = queries.transpose(0, 1).flatten(1, 2)  # [heads, sequences * length, width]: the beginning is never copied
    first = (flat @ first_keys.transpose(1, 2)).float().unflatten(1, (len(queries), -1)).transpose(0, 1)
    weights = torch.cat([first, own], dim=-1).softmax(-1).to(values.dtype)
    width = first.shape[-1]
    out = weights[..., width:] @ values
    share = weights[..., :width].transpose(0, 1).flatten(1, 2) @ first_values
    out = out + share.unflatten(1, (len(queries), -1)).transpose(0, 1)
    return out.transpose(1, 2)[piece.inside]


def _own(row: Row, piece: Slice) -> Tensor:
    places = piece.places if piece.context is None else torch.cat([piece.context, piece.places], dim=1)
    return row[places].transpose(1, 2)


def _visible(piece: Slice) -> Tensor:
    """[sequences, length, keys]: a token sees its context and, among its own, itself and what is before it."""
    length = piece.places.shape[1]
    causal = torch.ones(length, length, dtype=torch.bool, device=piece.places.device).tril()
    causal = causal.expand(len(piece.places), -1, -1)
    if piece.context_inside is None:
        return causal
    return torch.cat([piece.context_inside[:, None, :].expand(-1, length, -1), causal], dim=2)


def states_before(
    forward: RowForward, questions: Sequence[Question], beginning: Beginning | None
) -> Float[Tensor, "tokens width"]:
    """The hidden state before every token of every ending, question after question.

    With a beginning, the contexts are what comes after it.
    """
    machine = forward.machine
    fed = [[ending[:-1] for ending in one.endings if len(ending) > 1] for one in questions]
    layout = Layout.of([one.context for one in questions], fed, machine.torch_device)
    rows = RowPlan(layout)
    plan: Plan = rows if beginning is None else AfterBeginning(rows, beginning)
    positions = layout.positions + (beginning.length if beginning else 0)
    return _trunk(forward.module, layout.ids, positions, plan, machine)[_predictors(questions, machine)]


def _trunk(module: Any, ids: Tensor, positions: Tensor, plan: Plan, machine: Machine) -> Float[Tensor, "row width"]:
    with following(plan), machine.autocast(), fast_products(machine.torch_device, machine.bf16):
        found = module.base_model(input_ids=ids[None], position_ids=positions[None], use_cache=False)
    return found.last_hidden_state[0]


def _predictors(questions: Sequence[Question], machine: Machine) -> Tensor:
    """Where in the row the state lies that predicts each token: the end of the context, then the token before."""
    places: list[Tensor] = []
    place = 0
    for one in questions:
        end = place + len(one.context) - 1
        place = end + 1
        for ending in one.endings:
            places += [torch.tensor([end]), torch.arange(place, place + len(ending) - 1)]
            place += len(ending) - 1
    return torch.cat(places).to(machine.torch_device)


def budget(machine: Machine, beginning: int, heads: int) -> int:
    """Tokens of one pass: what the machine holds, and fewer on a processor, or where each scores a long beginning."""
    most = machine.tokens if machine.torch_device.type == "cuda" else min(machine.tokens, CACHED)
    return min(most, max(256, SCORES // (heads * beginning))) if beginning else most
