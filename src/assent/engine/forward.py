"""The training forward in two ways that agree: one row without padding, or one sequence at a time.

`RowForward` is fast and asks much of a model family: pluggable attention, explicit positions, a linear head.
`PlainForward` asks nothing but a causal language model. `choose` compares the two on a few tokens when a model is
loaded and takes the row only when they agree.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Generator, Sequence
from typing import Any, Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from assent.engine import blocks
from assent.engine.attention.plans import (
    NAME,
    Cache,
    DecodePlan,
    Plan,
    PrefillPlan,
    RowPlan,
    UnsupportedError,
    Windows,
    following,
    watching_windows,
)
from assent.engine.batches import Tokens
from assent.engine.layout import Layout
from assent.engine.logits import all_logits, chosen_logprobs
from assent.engine.machine import Machine
from assent.engine.narrow import narrowed
from assent.engine.processor.compiled import kernels

PARITY = 2e-3  # rounding in fp32 stays far below, a wrong mask or position far above


class Forward(Protocol):
    """From token ids to log-probabilities or hidden states, for trees of one prompt and its branches."""

    def logprobs(
        self, prompts: Sequence[Tokens], responses: Sequence[Tokens], temperature: float
    ) -> Float[Tensor, " tokens"]:
        """Log-probability of every response token."""
        ...

    def states_before(self, prompts: Sequence[Tokens], responses: Sequence[Tokens]) -> Float[Tensor, "tokens width"]:
        """Last hidden state before every response token."""
        ...

    def states_at_end(
        self, prompts: Sequence[Tokens], branches: Sequence[Sequence[Tokens]]
    ) -> Float[Tensor, "branches width"]:
        """Last hidden state at the last token of every branch."""
        ...


class RowForward:
    """All sequences in one row; logits only where they are learned."""

    def __init__(self, module: Any, machine: Machine) -> None:
        self.module = module
        self.machine = machine

    def logprobs(
        self, prompts: Sequence[Tokens], responses: Sequence[Tokens], temperature: float
    ) -> Float[Tensor, " tokens"]:
        """See `Forward`."""
        states = self.states_before(prompts, responses)
        targets = torch.cat(list(responses)).to(states.device)
        return chosen_logprobs(states, *self.head(), targets, temperature, coarse=self.machine.bf16)

    def states_before(self, prompts: Sequence[Tokens], responses: Sequence[Tokens]) -> Float[Tensor, "tokens width"]:
        """See `Forward`."""
        layout = Layout.of(prompts, [(response,) for response in responses], self.machine.torch_device)
        return self._states(layout, RowPlan(layout))[layout.predictors]

    def states_at_end(
        self, prompts: Sequence[Tokens], branches: Sequence[Sequence[Tokens]]
    ) -> Float[Tensor, "branches width"]:
        """See `Forward`."""
        layout = Layout.of(prompts, branches, self.machine.torch_device)
        return self._states(layout, RowPlan(layout))[layout.lasts]

    def prefill(self, prompts: Sequence[Tokens], cache: Cache, slots: Sequence[Tensor]) -> Float[Tensor, "prompts v"]:
        """Put prompts into the cache, each into all its `slots`; the logits after each prompt."""
        layout = Layout.of(prompts, [()] * len(prompts), self.machine.torch_device)
        plan = PrefillPlan(RowPlan(layout), cache, tuple(slots))
        return self.logits(self._states(layout, plan)[layout.prompt_ends])

    @contextlib.contextmanager
    def ready_to_sample(self) -> Generator[None, None, None]:
        """Inside, many short calls are fast, and nothing can be learned."""
        dtype = torch.bfloat16 if self.machine.bf16 else self.module.dtype
        with narrowed(self.module, self.module.get_output_embeddings(), dtype), blocks.sampling(self.module):
            yield

    def decode(self, ids: Tensor, cache: Cache, positions: Tensor, length: int) -> Float[Tensor, "slots v"]:
        """Feed one token to each of the first slots; the logits after it."""
        return self.logits(self._trunk(ids, positions, DecodePlan(cache, positions, length)))

    def head(self) -> tuple[Tensor, Tensor | None]:
        """Weight and bias of the unembedding."""
        head = self.module.get_output_embeddings()
        return head.weight, getattr(head, "bias", None)

    def logits(self, states: Float[Tensor, "n width"]) -> Float[Tensor, "n v"]:
        """All logits at few states, in fp32."""
        return all_logits(states, *self.head(), coarse=self.machine.bf16)

    def _states(self, layout: Layout, plan: Plan) -> Float[Tensor, "row width"]:
        return self._trunk(layout.ids, layout.positions, plan)

    def _trunk(self, ids: Tensor, positions: Tensor, plan: Plan) -> Float[Tensor, "row width"]:
        with following(plan), self.machine.autocast():
            trunk = self.module.base_model
            return trunk(input_ids=ids[None], position_ids=positions[None], use_cache=False).last_hidden_state[0]


class PlainForward:
    """One sequence a call, the model's own attention, positions and head."""

    def __init__(self, module: Any, machine: Machine) -> None:
        self.module = module
        self.machine = machine

    def logprobs(
        self, prompts: Sequence[Tokens], responses: Sequence[Tokens], temperature: float
    ) -> Float[Tensor, " tokens"]:
        """See `Forward`."""
        parts: list[Tensor] = []
        for prompt, response in zip(prompts, responses, strict=True):
            with self.machine.autocast():
                logits = self.module(self._ids(prompt, response), use_cache=False).logits[0]
            logits = logits[len(prompt) - 1 : -1].to(torch.promote_types(self.module.dtype, torch.float32))
            targets = response.to(logits.device)[:, None]
            parts.append((logits / temperature).log_softmax(-1).gather(1, targets)[:, 0])
        return torch.cat(parts)

    def states_before(self, prompts: Sequence[Tokens], responses: Sequence[Tokens]) -> Float[Tensor, "tokens width"]:
        """See `Forward`."""
        pairs = zip(prompts, responses, strict=True)
        return torch.cat([self._states(prompt, response)[len(prompt) - 1 : -1] for prompt, response in pairs])

    def states_at_end(
        self, prompts: Sequence[Tokens], branches: Sequence[Sequence[Tokens]]
    ) -> Float[Tensor, "branches width"]:
        """See `Forward`."""
        trees = zip(prompts, branches, strict=True)
        return torch.stack([self._states(prompt, branch)[-1] for prompt, group in trees for branch in group])

    def _states(self, prompt: Tokens, response: Tokens) -> Float[Tensor, "length width"]:
        with self.machine.autocast():
            return self.module.base_model(self._ids(prompt, response), use_cache=False).last_hidden_state[0]

    def _ids(self, prompt: Tokens, response: Tokens) -> Tensor:
        return torch.cat([prompt, response])[None].to(self.machine.torch_device)


@torch.no_grad()
def choose(module: Any, machine: Machine, warn: Callable[[str], None]) -> Forward:
    """`RowForward` when the model gives the same numbers in a row as one sequence at a time, else `PlainForward`.

    module: a causal language model, or a trunk with a scalar head; in either case left ready for the choice.
    """
    exact = dataclasses.replace(machine, precision="fp32")
    usual = module.config._attn_implementation
    expected = _probe(module, PlainForward(module, exact))
    try:
        module.set_attn_implementation(NAME)
        with watching_windows() as windows:
            found = _probe(module, RowForward(module, exact))
        _refuse_hidden_windows(module.config, windows)
        error = _error(expected, found)
        if not error < PARITY:
            raise UnsupportedError(f"rows differ from single sequences by {error:.2g}")
        if machine.torch_device.type == "cuda":
            _fuse(module, exact, expected, windows, blocks.ON_A_GPU)
        elif kernels() is not None and not machine.compiles:
            _fuse(module, exact, expected, windows, blocks.KINDS)
        return RowForward(module, machine)
    except Exception as reason:  # whatever a foreign model makes of a row, the plain path is right
        module.set_attn_implementation(usual)
        warn(
            f"{type(module).__name__} cannot be packed into rows ({reason}); "
            "its sequences are computed one at a time, which is slower and gives the same numbers"
        )
        return PlainForward(module, machine)


def _fuse(
    module: Any, machine: Machine, expected: list[Tensor], windows: Windows, wanted: Sequence[type[torch.nn.Module]]
) -> None:
    """Exchange the known parts of blocks: those of all wanted kinds, or of the kinds that change no number.

    Every layer must ask for the window that it asked for before: on few tokens a forgotten one would look right.
    """

    def agrees(kinds: Sequence[type[torch.nn.Module]]) -> bool:
        blocks.fuse(module, kinds)
        with contextlib.suppress(Exception):  # a part that only looked like a known one
            with watching_windows() as asked:
                found = _probe(module, RowForward(module, machine))
            if _error(expected, found) < PARITY and asked == windows:
                return True
        blocks.unfuse(module, kinds)
        return False

    if not agrees(wanted):
        for kind in wanted:
            agrees((kind,))


def _error(expected: list[Tensor], found: list[Tensor]) -> float:
    """The largest difference, beside the largest number where that is more than 1 (states of large models)."""
    return max(float((a - b).abs().max() / a.abs().max().clamp(min=1)) for a, b in zip(expected, found, strict=True))


def _probe(module: Any, forward: Forward) -> list[Tensor]:
    """Numbers that show every way a layout can be wrong: lengths that differ, a shared prompt, a filled cache."""
    vocabulary = module.get_input_embeddings().weight.shape[0]
    generator = torch.Generator().manual_seed(0)
    lengths = (7, 3, 5, 9, 2, 6)
    ids = [torch.randint(0, vocabulary, (length,), generator=generator) for length in lengths]
    states = forward.states_before(ids[:3], ids[3:])
    seen = [states, forward.states_at_end(ids[:2], [ids[2:5], ids[3:]])]
    if module.get_output_embeddings() is not None:
        seen.append(forward.logprobs(ids[:3], ids[3:], 0.7))
        if isinstance(forward, RowForward):
            with blocks.sampling(module):
                seen.append(_decoded(forward, ids[0], ids[3]))
        else:
            seen.append(forward.logprobs(ids[:1], ids[3:4], 1.0))
    return seen


def _decoded(forward: RowForward, prompt: Tokens, response: Tokens) -> Float[Tensor, " tokens"]:
    """Log-probabilities of a response fed token by token through the cache."""
    length = len(prompt) + len(response)
    cache = Cache(2, length, forward.machine)
    device = forward.machine.torch_device
    logits = [forward.prefill([prompt], cache, [torch.tensor([0, 1], device=device)])[0]]
    for place, token in enumerate(response[:-1].tolist(), start=len(prompt)):
        ids, positions = (torch.tensor([n, n], device=device) for n in (token, place))
        logits.append(forward.decode(ids, cache, positions, place + 1)[1])
    return torch.stack(logits).log_softmax(-1).gather(1, response.to(device)[:, None])[:, 0]


def _refuse_hidden_windows(config: Any, seen: Windows) -> None:
    """A family may build its window into a mask we never see; on few tokens that would look right."""
    window = getattr(config, "sliding_window", None)
    kinds = set(getattr(config, "layer_types", None) or [])
    windowed = window is not None and getattr(config, "use_sliding_window", True) and kinds != {"full_attention"}
    if (windowed and window not in {size for _, size in seen}) or kinds - {"full_attention", "sliding_attention"}:
        raise UnsupportedError("attention with a window or pattern of its own")
