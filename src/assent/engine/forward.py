"""The training forward in two ways that agree: one row without padding, or one sequence at a time.

`RowForward` is fast and asks much of a model family: pluggable attention, explicit positions, a linear head.
`PlainForward` asks nothing but a causal language model. Which one a model gets is found out by its numbers (choice.py).
"""

import contextlib
from collections.abc import Generator, Sequence
from typing import Any, Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor

from assent.engine import blocks
from assent.engine.attention.plans import Cache, DecodePlan, Plan, PrefillPlan, RowPlan, following
from assent.engine.batches import Tokens
from assent.engine.layout import Layout
from assent.engine.logits import all_logits, chosen_logprobs
from assent.engine.machine import Machine, sent
from assent.engine.narrow import narrow, narrowed
from assent.engine.stack import Stack, is_stack


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
        self.in_one_call = False  # whether a step of decoding may be one
        self._stack: Stack | None = None
        self._stays = False  # whether the weights stay as they are
        self._kept: Stack | None = None  # the packed layers of weights that do

    def logprobs(
        self, prompts: Sequence[Tokens], responses: Sequence[Tokens], temperature: float
    ) -> Float[Tensor, " tokens"]:
        """See `Forward`."""
        states = self.states_before(prompts, responses)
        targets = sent(torch.cat(list(responses)), states.device)
        return chosen_logprobs(states, *self.head(), targets, temperature, coarse=self.machine.bf16)

    def states_before(self, prompts: Sequence[Tokens], responses: Sequence[Tokens]) -> Float[Tensor, "tokens width"]:
        """See `Forward`."""
        layout = Layout.of(prompts, [(response,) for response in responses], self.machine.torch_device)
        return self._states(layout, RowPlan(layout, layout.predictors), layout.predictors)

    def states_at_end(
        self, prompts: Sequence[Tokens], branches: Sequence[Sequence[Tokens]]
    ) -> Float[Tensor, "branches width"]:
        """See `Forward`."""
        layout = Layout.of(prompts, branches, self.machine.torch_device)
        return self._states(layout, RowPlan(layout, layout.lasts), layout.lasts)

    def prefill(self, prompts: Sequence[Tokens], cache: Cache, slots: Sequence[Tensor]) -> Float[Tensor, "prompts v"]:
        """Put prompts into the cache, each into all its `slots`; the logits after each prompt."""
        layout = Layout.of(prompts, [()] * len(prompts), self.machine.torch_device)
        plan = PrefillPlan(RowPlan(layout, layout.prompt_ends), cache, tuple(slots))
        return self.logits(self._states(layout, plan, layout.prompt_ends))

    @contextlib.contextmanager
    def ready_to_sample(self) -> Generator[None, None, None]:
        """Inside, many short calls are fast, and nothing can be learned."""
        self._stack = self._packed_layers() if self.in_one_call else None
        with_products = contextlib.nullcontext() if self.packed else narrowed(self.module.base_model, self._dtype)
        try:
            with with_products:
                yield
        finally:
            self._stack = None

    def _packed_layers(self) -> Stack | None:
        """Anew, unless the weights stay as they are."""
        kept = self._kept if is_stack(self.module.base_model) else None
        stack = kept or Stack.of(self.module, self._dtype)
        self._kept = stack if self._stays else None
        return stack

    def narrow(self) -> None:
        """Hold the weights of products as they are computed with, for good; nothing can be learned after it."""
        self._stays = True
        narrow(self.module.base_model, self._dtype)
        for rest in self.module.parameters():
            if rest.dtype != self._dtype:  # the file that it was mapped from would stay in memory, whole
                rest.data = rest.data.clone()

    @property
    def _dtype(self) -> torch.dtype:
        return torch.bfloat16 if self.machine.bf16 else self.module.dtype

    @property
    def packed(self) -> bool:
        """Whether a step of decoding is one call now."""
        return self._stack is not None

    def decode(self, ids: Tensor, cache: Cache, positions: Tensor, length: int) -> Float[Tensor, "slots v"]:
        """Feed one token to each of the first slots; the logits after it."""
        if self._stack is not None:
            return self.logits(self._stack.states(ids, positions, cache))
        on_gpu = self.machine.torch_device.type == "cuda"
        with blocks.decoding(self.module) if on_gpu else contextlib.nullcontext():
            return self.logits(self._trunk(ids, positions, DecodePlan(cache, positions, length)))

    def head(self) -> tuple[Tensor, Tensor | None]:
        """Weight and bias of the unembedding."""
        head = self.module.get_output_embeddings()
        return head.weight, getattr(head, "bias", None)

    def logits(self, states: Float[Tensor, "n width"]) -> Float[Tensor, "n v"]:
        """All logits at few states, in fp32."""
        return all_logits(states, *self.head(), coarse=self.machine.bf16)

    def _states(self, layout: Layout, plan: Plan, read: Int[Tensor, " rows"]) -> Float[Tensor, "rows width"]:
        states = self._trunk(layout.ids, layout.positions, plan)
        return states if blocks.reads_few(self.module) else states.index_select(0, read)

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
