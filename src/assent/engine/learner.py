"""Gradients and updates: any split of a batch, any number of processes, the same step.

`backward` adds the gradient of the mean of a loss's terms over a whole batch, `step` moves the weights. Several parts
may be added before one step (PPO and the pretraining mix); each part's norm is measured before they are merged.
"""

import contextlib
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from assent import objectives
from assent.engine import distributed
from assent.engine.attention import plans
from assent.engine.batches import micro_batches
from assent.engine.checkpoint import load_state, save_state
from assent.engine.models import Model


@dataclass(frozen=True, kw_only=True)
class Optimiser:
    """AdamW (appendix C: betas 0.9 and 0.95). The paper prints no weight decay, epsilon or clipping."""

    learning_rate: float
    betas: tuple[float, float] = (0.9, 0.95)
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    clip: float = 1.0


class Terms(Protocol):
    """A named tuple of per-term tensors; the first is the loss."""

    @property
    def loss(self) -> Tensor:
        """What is minimised, one entry a term."""
        ...

    def _asdict(self) -> dict[str, Tensor]: ...


class NotFiniteError(FloatingPointError):
    """A gradient that is not a number or infinite; the update was not made."""


class Learner:
    """The optimiser of one model, with everything that must survive a restart."""

    def __init__(
        self,
        model: Model,
        config: Optimiser,
        schedule: Callable[[int], float],
        *,
        average_decay: float | None = None,
        dropout: float = 0.0,
        seed: int = 0,
    ) -> None:
        self.model, self.config, self.schedule, self.seed = model, config, schedule, seed
        self.parameters = model.parameters()
        self.updates = 0
        self.optimiser = torch.optim.AdamW(
            list(self.parameters.values()),
            lr=config.learning_rate,
            betas=config.betas,
            eps=config.epsilon,
            weight_decay=config.weight_decay,
            fused=True,
        )
        self.average_decay = average_decay
        self.average = {n: p.detach().clone() for n, p in self.parameters.items()} if average_decay else {}
        self.dropout = ResidualDropout(model.module, dropout) if dropout else None
        self._merged: dict[str, Tensor] = {}

    def backward(self, loss: Callable[[Any, Any], Any], batch: Any, weight: float = 1.0) -> dict[str, float]:
        """Add `weight` times the gradient of the mean term of `loss(model, micro-batch)` over the batch.

        Returns the mean of every field of the terms, and `gradient_norm` of this part, before clipping.
        """
        sums: dict[str, Tensor] = {}
        for number, group in list(enumerate(micro_batches(batch.sizes, self.model.machine.tokens)))[self._mine]:
            with self._dropping(number):  # backward too: checkpointed layers are computed there again
                terms: Terms = loss(self.model, batch.select(group))
                terms.loss.sum().backward()
            fields = terms._asdict()  # pyright: ignore[reportPrivateUsage]  (a named tuple's public method)
            for name, values in (fields | {"count": torch.ones_like(terms.loss)}).items():
                sums[name] = sums.get(name, 0) + values.detach().double().sum()
        return self._merge(distributed.sum_numbers({name: float(value) for name, value in sums.items()}), weight)

    def _merge(self, sums: dict[str, float], weight: float) -> dict[str, float]:
        """Divide this part's gradient by the count of the whole batch, once, and add it to the parts before it."""
        count = sums.pop("count")
        gradients = {name: torch.zeros_like(p) if p.grad is None else p.grad for name, p in self.parameters.items()}
        distributed.sum_tensors(list(gradients.values()))
        for name, gradient in gradients.items():
            self.parameters[name].grad = None
            gradient.mul_(weight / count)
            if name in self._merged:
                self._merged[name] = self._merged[name] + gradient
            else:
                self._merged[name] = gradient
        return {name: value / count for name, value in sums.items()} | {"gradient_norm": _norm(gradients)}

    def step(self) -> dict[str, float]:
        """Clip, update, average. Raises NotFiniteError, naming the first bad tensor, and leaves the weights alone."""
        norm = _norm(self._merged)
        if not np.isfinite(norm):
            self._refuse()
        scale = min(1.0, self.config.clip / (norm + 1e-6)) if self.config.clip else 1.0
        rate = self.config.learning_rate * self.schedule(self.updates)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        for name, parameter in self.parameters.items():
            parameter.grad = self._merged[name].mul_(scale)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self._merged = {}
        self.updates += 1
        if self.average_decay is not None:
            for name, parameter in self.parameters.items():
                self.average[name] = objectives.averaged(self.average[name], parameter.detach(), self.average_decay)
        return {"gradient_norm/total": norm, "learning_rate": rate}

    def _refuse(self) -> None:
        bad = next(name for name, gradient in self._merged.items() if not bool(torch.isfinite(gradient).all()))
        raise NotFiniteError(
            f"the gradient of {bad} is not finite at update {self.updates}; no weight was changed. The last checkpoint "
            "is good: look at the batch of this step, or lower the learning rate, and start again"
        )

    @contextlib.contextmanager
    def averaged(self) -> Generator[None, None, None]:
        """Inside, the model has the averaged weights, if an average is kept."""
        kept = {name: p.detach().clone() for name, p in self.parameters.items()} if self.average else {}
        _assign(self.parameters, self.average)
        yield
        _assign(self.parameters, kept)

    # -- state (contract 5) ----------------------------------------------------------------------------------------

    def save(self, directory: Path) -> None:
        """Write weights, moments, average and counter."""
        tensors: dict[str, Tensor] = {}
        for name, parameter in self.parameters.items():
            tensors[f"weights/{name}"] = parameter
            for moment, value in self.optimiser.state.get(parameter, {}).items():
                tensors[f"{moment}/{name}"] = value
        tensors |= {f"average/{name}": value for name, value in self.average.items()}
        save_state(directory, tensors, {"updates": self.updates})

    def load(self, directory: Path) -> None:
        """Restore what `save` wrote."""
        tensors, facts = load_state(directory)
        self.updates = facts["updates"]
        _assign(self.parameters, {name: tensors[f"weights/{name}"] for name in self.parameters})
        self.average = {name: tensors[f"average/{name}"].to(p) for name, p in self.average.items()}
        for name, parameter in self.parameters.items():
            if self.updates:
                moments = ("exp_avg", "exp_avg_sq")
                state = {moment: tensors[f"{moment}/{name}"].to(parameter) for moment in moments}
                self.optimiser.state[parameter] = {"step": tensors[f"step/{name}"].to(parameter.device), **state}

    # -- parts -----------------------------------------------------------------------------------------------------

    @property
    def _mine(self) -> slice:
        return slice(distributed.rank(), None, distributed.world())

    def _dropping(self, number: int) -> contextlib.AbstractContextManager[None]:
        if self.dropout is None:
            return contextlib.nullcontext()
        return self.dropout.active((self.seed, self.updates, number))


class ResidualDropout:
    """Dropout on the output of every attention and MLP block before it is added to the residual stream (C.1).

    The mask is a function of (seed, update, micro-batch, block), whatever the number of processes. Off unless `active`.
    Raises ValueError for a family whose blocks it does not know.
    """

    BLOCKS = ("self_attn", "attn", "attention", "mlp", "feed_forward", "block_sparse_moe", "fc2")

    def __init__(self, module: nn.Module, rate: float) -> None:
        self.rate = rate
        self._key: tuple[int, ...] | None = None
        blocks = [
            child
            for owner in module.modules()
            if isinstance(owner, nn.ModuleList)
            for layer in owner
            for name, child in layer.named_children()
            if name in self.BLOCKS
        ]
        if not blocks:
            raise ValueError(f"residual dropout is not known for {type(module).__name__}; set it to 0")
        for number, block in enumerate(blocks):
            hook: Any = torch.compiler.disable(partial(self._drop, number))
            block.register_forward_hook(hook)

    @contextlib.contextmanager
    def active(self, key: tuple[int, ...]) -> Generator[None, None, None]:
        """Inside, blocks drop."""
        self._key = key
        try:
            yield
        finally:
            self._key = None

    def _drop(self, number: int, module: nn.Module, inputs: Any, output: Any) -> Any:
        if self._key is None:
            return None
        first: Tensor = output[0] if isinstance(output, tuple) else output
        seed = int(np.random.SeedSequence((*self._key, number)).generate_state(1)[0])
        generator = torch.Generator(first.device).manual_seed(seed)
        draw = partial(torch.rand, generator=generator, device=first.device)
        read, length = plans.rows_read(), plans.row_length()
        if read is not None and first.dim() == 3 and first.shape[1] < length:
            # drawn for the whole row: what a token drops does not depend on which others are read
            uniform = draw((1, length, first.shape[2])).index_select(1, read)
        else:
            uniform = draw(first.shape)
        kept = (uniform >= self.rate).to(first) / (1 - self.rate)
        return (first * kept, *output[1:]) if isinstance(output, tuple) else first * kept


def _norm(gradients: dict[str, Tensor]) -> float:
    """Of all together: rows in fp32, and the norms of rows in fp64: as exact and three times as fast."""
    rows = [
        torch.linalg.vector_norm(gradient.reshape(-1, gradient.shape[-1]), dim=1) if gradient.dim() else gradient[None]
        for gradient in gradients.values()
    ]
    return float(torch.linalg.vector_norm(torch.cat(rows), dtype=torch.float64))


@torch.no_grad()
def _assign(parameters: dict[str, nn.Parameter], values: dict[str, Tensor]) -> None:
    for name, value in values.items():
        parameters[name].copy_(value)
