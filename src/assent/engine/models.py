"""Models behind verbs: `logprobs` and `sample` of a language model, `score` and `values` of a scalar model.

Weights are held in fp32; the trunk computes in what the machine says, heads and log-probabilities in fp32. Dropout is
off in every model, always: training adds residual dropout itself (learner.py).
"""

import contextlib
import copy
import warnings
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from assent.engine import distributed, layers
from assent.engine.batches import Batch, RankingBatch, Sampled, TextBatch, Tokens, in_order, micro_batches
from assent.engine.choice import choose
from assent.engine.forward import Forward, RowForward
from assent.engine.generate import Key, generate
from assent.engine.loading import load_module, load_scalar
from assent.engine.machine import Machine
from assent.engine.text import Template, Text

M = TypeVar("M", bound="Model")
BIAS = "reward_bias"  # in config.json of a scalar model: the calibration of section 3.5


@dataclass(frozen=True, kw_only=True)
class Lora:
    """Low-rank adapters on all linear layers of the trunk, trained instead of the weights; 0 ranks is none."""

    rank: int = 0
    alpha: int = 32
    seed: int = 0


class Model:
    """What language and scalar models share: a transformers module, its text, its adapter, its machine."""

    def __init__(self, module: Any, text: Text, machine: Machine, lora: Lora) -> None:
        self.text = text
        self.machine = machine
        self.module = module.to(machine.torch_device).eval()
        self.forward: Forward = choose(self.module, machine, _warn)
        self.adapter: Any = _with_adapter(self.module, lora) if lora.rank else None
        self._prepare_layers()
        self._frozen = False
        self._parked = False

    @property
    def positions(self) -> int | None:
        """How many tokens the model can read, None when its configuration names no bound."""
        return getattr(self.module.config, "max_position_embeddings", None)

    def parameters(self) -> dict[str, nn.Parameter]:
        """What is trained, by name."""
        return {name: p for name, p in self.module.named_parameters() if p.requires_grad}

    def save(self, directory: Path) -> None:
        """Write the model, its adapter merged in, and its tokenizer; `from_pretrained` loads it.

        Raises ValueError for a frozen model, whose weights may be rounded.
        """
        if self._frozen:
            raise ValueError("this model was frozen, and its weights may be rounded; save it before, or load it again")
        module = self.module if self.adapter is None else copy.deepcopy(self.adapter).merge_and_unload()
        module.save_pretrained(directory)
        self.text.save(directory)

    def freeze(self: M) -> M:
        """From now on this model is used and does not learn: products hold their weights as they compute with them.

        No number changes; in bf16 the weights take half of the memory, and are not rounded again in every pass.
        """
        self._frozen = True
        self.module.requires_grad_(False)
        if isinstance(self.forward, RowForward) and self.adapter is None:
            self.forward.narrow()
        return self

    def park(self) -> None:
        """Freeze a model that only scores: where the machine offloads, it leaves the device in between."""
        self.freeze()
        self._parked = self.machine.offload
        if self._parked:
            self._move(torch.device("cpu"))

    @contextlib.contextmanager
    def _present(self) -> Generator[None, None, None]:
        """Inside, a parked model is on the device."""
        if self._parked:
            self._move(self.machine.torch_device)
        yield
        if self._parked:
            self._move(torch.device("cpu"))

    def _move(self, device: torch.device) -> None:
        self.module.to(device)

    def _prepare_layers(self) -> None:
        if not isinstance(self.forward, RowForward):
            return
        if self.machine.checkpointing:
            layers.checkpoint_layers(self.module)
        if self.machine.compiles:
            layers.compile_layers(self.module)

    def _per_group(self, batch: Any, compute: Any, lengths: Sequence[int]) -> Tensor:
        """With gradients: `compute` the batch, a micro-batch, in one pass. Without: deal it out in micro-batches."""
        if torch.is_grad_enabled():
            return compute(batch)
        groups = micro_batches(batch.sizes, self.machine.tokens)
        with self._present():
            parts = distributed.share(groups, lambda group: compute(batch.select(group)))
        return in_order(groups, parts, lengths)


class LanguageModel(Model):
    """A causal language model: the policy, the reference, the SFT model."""

    @classmethod
    def load(
        cls, directory: Path, machine: Machine, *, lora: Lora | None = None, template: Template = ""
    ) -> "LanguageModel":
        """Load a model directory; raises ValueError when it holds no causal language model."""
        from transformers import AutoModelForCausalLM

        text = Text.load(directory, template)
        return cls(load_module(AutoModelForCausalLM, directory), text, machine, lora or Lora())

    def logprobs(self, batch: TextBatch, temperature: float = 1.0) -> Float[Tensor, " tokens"]:
        """Log-probability of every response token given what is before it."""

        def compute(part: TextBatch) -> Tensor:
            return self.forward.logprobs(part.prompts, part.responses, temperature)

        return self._per_group(batch, compute, batch.lengths.tolist())

    @torch.no_grad()
    def sample(self, prompts: Sequence[Tokens], limit: int, temperature: float, key: Key) -> Sampled:
        """One response of at most `limit` tokens to each prompt; a function of (key, index, position) per token.

        Temperature 0 takes the likeliest token. Repeat a prompt to get several responses; they share a prefill.
        """
        return generate(self.forward, prompts, limit, temperature, key, self.text.end)

    def reference(self) -> "Reference":
        """The model as it is now, frozen: the policy with its adapter off, or a copy when there is none."""
        if self.adapter is not None:
            return Reference(self)
        frozen = copy.copy(self)
        frozen.module = copy.deepcopy(self.module)
        frozen.forward = copy.copy(self.forward)
        frozen.forward.module = frozen.module  # pyright: ignore[reportAttributeAccessIssue]
        frozen._prepare_layers()
        frozen.park()
        return Reference(frozen)


@dataclass(frozen=True)
class Reference:
    """A frozen language model that only scores; of an adapted model, what lies under the adapter."""

    model: LanguageModel

    @torch.no_grad()
    def logprobs(self, batch: TextBatch, temperature: float = 1.0) -> Float[Tensor, " tokens"]:
        """Log-probability of every response token given what is before it."""
        off = self.model.adapter.disable_adapter() if self.model.adapter is not None else contextlib.nullcontext()
        with off:
            return self.model.logprobs(batch, temperature)


class ScalarModel(Model):
    """A trunk with a scalar head and a bias: the reward model, or the value model that starts from it."""

    def __init__(self, module: Any, text: Text, machine: Machine, lora: Lora, bias: float | None) -> None:
        super().__init__(module, text, machine, lora)
        self.calibrated = bias is not None
        self.bias = nn.Parameter(torch.tensor(bias or 0.0, device=machine.torch_device), requires_grad=False)
        self.module.score.requires_grad_(True)

    @classmethod
    def fresh(cls, directory: Path, machine: Machine, *, seed: int, lora: Lora | None = None) -> "ScalarModel":
        """The trunk of a language model directory with a new head, normal with std 1/sqrt(d + 1)."""
        text = Text.load(directory)
        model = cls(load_scalar(directory), text, machine, lora or Lora(), None)
        weight = model.module.score.weight
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            weight.copy_(torch.randn(weight.shape, generator=generator) * (weight.shape[1] + 1) ** -0.5)
        model.module.config.pad_token_id = text.padding()
        return model

    @classmethod
    def load(cls, directory: Path, machine: Machine, *, lora: Lora | None = None) -> "ScalarModel":
        """Load a trained reward model with its calibration. Raises ValueError when it was never calibrated."""
        module = load_scalar(directory)
        bias = getattr(module.config, BIAS, None)
        if bias is None:
            raise ValueError(
                f"{directory} has no {BIAS} in config.json: a reward model counts only once demonstrations score 0 on "
                "average. Train it with `assent reward --demonstrations FILE`"
            )
        return cls(module, Text.load(directory), machine, lora or Lora(), bias)

    def parameters(self) -> dict[str, nn.Parameter]:
        """What is trained, by name."""
        return super().parameters() | ({"bias": self.bias} if self.bias.requires_grad else {})

    def score(self, batch: Batch) -> Float[Tensor, " responses"]:
        """The scalar at the last token of every response; of rankings flat over their responses."""

        def compute(part: Batch) -> Tensor:
            branches = part.responses if isinstance(part, RankingBatch) else [(one,) for one in part.responses]
            return self._scalar(self.forward.states_at_end(part.prompts, branches))

        return self._per_group(
            batch, compute, batch.lengths.tolist() if isinstance(batch, RankingBatch) else [1] * len(batch)
        )

    def values(self, batch: TextBatch) -> Float[Tensor, " tokens"]:
        """The scalar before every response token: what is expected when token t is still to come."""

        def compute(part: TextBatch) -> Tensor:
            return self._scalar(self.forward.states_before(part.prompts, part.responses))

        return self._per_group(batch, compute, batch.lengths.tolist())

    def calibrate(self, bias: float) -> None:
        """Set the bias."""
        with torch.no_grad():
            self.bias.fill_(bias)
        self.calibrated = True

    def save(self, directory: Path) -> None:
        """Write the model as a sequence classifier with one label, the bias in its config."""
        setattr(self.module.config, BIAS, float(self.bias.detach()) if self.calibrated else None)
        super().save(directory)

    def _move(self, device: torch.device) -> None:
        super()._move(device)
        self.bias.data = self.bias.data.to(device)

    def _scalar(self, states: Float[Tensor, "n width"]) -> Float[Tensor, " n"]:
        weight = self.module.score.weight
        with torch.autocast(states.device.type, enabled=False):
            return states.to(weight.dtype) @ weight[0] + self.bias


def _with_adapter(module: Any, lora: Lora) -> Any:
    from peft import LoraConfig, get_peft_model

    apart = ["score"] if hasattr(module, "score") else None  # a scalar head is trained whole
    config = LoraConfig(r=lora.rank, lora_alpha=lora.alpha, target_modules="all-linear", exclude_modules=apart)
    with torch.random.fork_rng():
        torch.manual_seed(lora.seed)
        return get_peft_model(module, config)


def _warn(message: str) -> None:
    warnings.warn(message, stacklevel=4)
