"""Known parts of decoder blocks in fewer passes: norms, attention with rotary positions, gates.

On a processor each is one pass of a kernel; on a GPU norms round to what products read, and attention turns queries and
keys itself while decoding. A part is known by its members and, once its forward is exchanged, by its numbers:
`choice.choose` compares the model with itself before, and gives back what differs. Parts keep their class's name,
their weights and their hooks; where the kernels do not run, or not in such a type, they go their own way.
"""

import contextlib
from collections.abc import Generator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from assent.engine import layers
from assent.engine.attention import plans
from assent.engine.attention.turn import Turn
from assent.engine.processor import blocks
from assent.engine.processor.compiled import runs_on


class Norm(nn.Module):
    """Mixed into an RMSNorm. What goes into products only is rounded here, once, as autocast would before each."""

    before_products = False

    def forward(self, hidden_states: Tensor) -> Any:
        """In one pass."""
        weight: Any = self.weight
        kind = _computing(hidden_states) if self.before_products else None
        if not runs_on(hidden_states, weight) or weight.dtype != torch.float32:
            out: Any = super().forward(hidden_states)
            return out if kind is None else out.to(kind)
        rows = hidden_states.reshape(-1, hidden_states.shape[-1])
        return blocks.norm(rows, weight, epsilon(self), kind or torch.float32).view(hidden_states.shape)


class Gated(nn.Module):
    """Mixed into an MLP of the form down(silu(gate(x)) * up(x))."""

    def forward(self, x: Tensor) -> Any:
        """The product of gates and ups in one pass."""
        part: Any = self
        gates, ups = part.gate_proj(x), part.up_proj(x)
        if not runs_on(gates, ups):
            return part.down_proj(part.act_fn(gates) * ups)
        width = gates.shape[-1]
        return part.down_proj(blocks.gate(gates.view(-1, width), ups.view(-1, width)).view(gates.shape))


class Rotary(nn.Module):
    """Mixed into an attention whose queries and keys are turned by rotary positions, perhaps normed before."""

    decoding = False  # attention turns them, where it can do so in its own pass
    last = False  # of the layers: only the rows that are read go on

    def forward(self, hidden_states: Tensor, *arguments: Any, position_embeddings: Any, **named: Any) -> Any:
        """Each turn in one pass, or left to attention."""
        part: Any = self
        if (not self.decoding and not runs_on(hidden_states)) or part.config._attn_implementation != plans.NAME:
            return super().forward(hidden_states, *arguments, position_embeddings=position_embeddings, **named)
        row = hidden_states.shape[1]
        query, key, value = (
            project(hidden_states)[0].view(row, -1, part.head_dim)
            for project in (part.q_proj, part.k_proj, part.v_proj)
        )
        if hasattr(self, "q_norm"):
            query, key = part.q_norm(query), part.k_norm(key)
        cosines, sines = position_embeddings
        turn = Turn(cosines[0], sines[0])
        out = plans.attend_turning(part.layer_idx, query, key, value, turn, part.scaling, window(part))
        rows = plans.rows_read() if self.last else None
        out = out.reshape(row, -1) if rows is None else out.reshape(row, -1).index_select(0, rows)
        return part.o_proj(out[None]), None


class Last(nn.Module):
    """Mixed into the last layer: what comes after attention is computed only for tokens whose states are read.

    Of a prompt that is its last token, of a response that is ranked as well: other tokens are there to be attended to.
    """

    def forward(self, hidden_states: Tensor, *arguments: Any, **named: Any) -> Any:
        """x + attention(norm(x)), then x + mlp(norm(x)), in the usual order."""
        rows = plans.rows_read()
        if rows is None:
            return super().forward(hidden_states, *arguments, **named)
        part: Any = self
        attended, _ = part.self_attn(part.input_layernorm(hidden_states), *arguments, **named)
        if attended.shape[1] == hidden_states.shape[1]:  # attention went its own way
            attended = attended.index_select(1, rows)
        states = hidden_states[0].index_select(0, rows)[None] + attended
        return states + part.mlp(part.post_attention_layernorm(states))


BEFORE_PRODUCTS = {"input_layernorm", "post_attention_layernorm"}  # of layers that have no other norm
LAYER = {"self_attn", "mlp", *BEFORE_PRODUCTS}
KINDS: tuple[type[nn.Module], ...] = (Norm, Gated, Rotary, Last)
ON_A_GPU = (Norm, Rotary)  # where layers are compiled, gates are one pass anyway


def fuse(module: nn.Module, kinds: Sequence[type[nn.Module]] = KINDS) -> None:
    """Exchange the forward of every known part of these kinds."""
    for part in list(module.modules()):
        kind = _known(part)
        if kind in kinds:
            part.__class__ = layers.mixed(kind, type(part))
    repeated = layers.repeated(module)
    for layer in repeated:
        norms = {name: part for name, part in layer.named_children() if isinstance(part, Norm)}
        if norms.keys() == BEFORE_PRODUCTS:
            for part in norms.values():
                part.before_products = True
    if Last in kinds and repeated and {name for name, _ in repeated[-1].named_children()} == LAYER:
        repeated[-1].__class__ = layers.mixed(Last, type(repeated[-1]))
        repeated[-1].self_attn.last = isinstance(repeated[-1].self_attn, Rotary)


def reads_few(module: nn.Module) -> bool:
    """Whether only the states come out that the plan says are read."""
    return any(isinstance(layer, Last) for layer in layers.repeated(module)[-1:])


@contextlib.contextmanager
def decoding(module: nn.Module) -> Generator[None, None, None]:
    """Inside, attention gets its queries and keys before they are turned."""
    parts = [part for part in module.modules() if isinstance(part, Rotary)]
    for part in parts:
        part.decoding = True
    try:
        yield
    finally:
        for part in parts:
            part.decoding = False


def unfuse(module: nn.Module, kinds: Sequence[type[nn.Module]] = KINDS) -> None:
    """Give the parts of these kinds their own forward back."""
    parts: list[Any] = [part for part in module.modules() if isinstance(part, tuple(kinds))]
    for part in parts:
        if isinstance(part, Last):
            attention: Any = part.self_attn
            attention.last = False
        part.__class__ = type(part).__mro__[2]


def window(attention: Any) -> int | None:
    """How many places a token sees at most in this layer."""
    return getattr(attention, "sliding_window", getattr(attention.config, "sliding_window", None))


def epsilon(norm: Any) -> float:
    """What an RMSNorm adds to the mean of squares; 0 where it has no name that is known."""
    return getattr(norm, "variance_epsilon", None) or getattr(norm, "eps", None) or 0.0


def _known(part: Any) -> Any:
    """The kind of a part, None when it is none of them or exchanged already."""
    if isinstance(part, KINDS):
        return None
    members = {name for name, _ in part.named_children()}
    if type(part).__name__.endswith("RMSNorm") and {name for name, _ in part.named_parameters()} == {"weight"}:
        return Norm if epsilon(part) else None
    if members == {"gate_proj", "up_proj", "down_proj", "act_fn"}:
        return Gated if type(part.act_fn).__name__.startswith("SiLU") else None
    turned = members - {"q_norm", "k_norm"} == {"q_proj", "k_proj", "v_proj", "o_proj"} and len(members) in (4, 6)
    if turned and hasattr(part, "scaling") and hasattr(part, "head_dim"):
        clipped = getattr(part.config, "clip_qkv", None) is not None  # which a few tokens may not show
        return None if clipped else Rotary
    return None


def _computing(states: Tensor) -> torch.dtype | None:
    """What products round their input to, if they do."""
    device = states.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
