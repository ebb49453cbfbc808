"""Step 3, PPO and PPO-ptx (section 3.5, equation 2; appendix C.4).

Every iteration answers a batch of prompts and goes over the answers once in minibatches. Each minibatch adds the PPO
gradient and, for PPO-ptx, the gradient of the pretraining mix into the same buffers before one update of the policy.
The value model is a network of its own that starts from the reward model.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from assent.engine.batches import PER_TOKEN, TextBatch
from assent.engine.checkpoint import States
from assent.engine.encode import PromptItem, TextItem, text_batch
from assent.engine.generate import Key
from assent.engine.learner import Learner, Optimiser
from assent.engine.models import LanguageModel, ScalarModel
from assent.engine.side_by_side import side_by_side
from assent.engine.stream import Stream, permutation
from assent.engine.text import Limits
from assent.objectives import (
    PolicyTerms,
    ValueTerms,
    clipped_policy_loss,
    clipped_value_loss,
    explained_variance,
    generalised_advantages,
    penalised_rewards,
    sequence_sums,
    standardise,
    warmup_from,
)
from assent.run import Run
from assent.train import invariants
from assent.train.rollout import Models, Rollout, Sampling, answers, collect
from assent.train.sft import next_token

Prompts = Sequence[PromptItem]
Texts = Sequence[TextItem]

VALIDATION = 2**40  # the step whose random numbers validation takes, always the same and no step of training


@dataclass(frozen=True, kw_only=True)
class PPOConfig:
    """Defaults: the 1.3B policy of appendix C.4, PPO-ptx.

    kl_coef: beta of equation 2. pretrain_coef: gamma of equation 2; 0 is plain PPO. pretrain_ratio: pretraining
    sequences per episode. trace_decay: lambda of GAE. value_clip, trace_decay: not printed, from the code of earlier
    work. missing_eos_penalty: taken from the score of a response that ran into the limit; the paper is silent, 0.
    """

    episodes: int = 256_000
    batch: int = 512
    minibatch: int = 64
    policy: Optimiser = Optimiser(learning_rate=8.05e-6, epsilon=1e-5)
    value: Optimiser = Optimiser(learning_rate=9e-6, epsilon=1e-5)
    warmup_iterations: int = 10
    warmup_start: float = 0.1
    kl_coef: float = 0.02
    clip: float = 0.2
    value_clip: float = 0.2
    trace_decay: float = 0.95
    temperature: float = 1.0
    missing_eos_penalty: float = 0.0
    pretrain_coef: float = 27.8
    pretrain_ratio: int = 8
    average_decay: float = 0.992
    validate_every: int = 25
    limits: Limits = field(default_factory=Limits)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.episodes % self.batch or self.batch % self.minibatch:
            raise ValueError(
                f"episodes {self.episodes}, batch {self.batch} and minibatch {self.minibatch} must divide one another"
            )

    @property
    def iterations(self) -> int:
        """How many times a batch of prompts is answered (paper: 256,000 / 512 = 500)."""
        return self.episodes // self.batch

    @property
    def updates(self) -> int:
        """How many updates an iteration makes (paper: 512 / 64 = 8)."""
        return self.batch // self.minibatch

    def warmup(self, update: int) -> float:
        """The share of the policy's learning rate at an update (C.4: from 0.1 over ten iterations)."""
        return warmup_from(self.warmup_start, self.warmup_iterations, update // self.updates)

    @property
    def sampling(self) -> Sampling:
        """How the policy answers."""
        return Sampling(self.limits.response, self.temperature)


@dataclass(frozen=True)
class Experience(TextBatch):
    """A rollout with the credit each token deserves."""

    logprobs: Float[Tensor, " tokens"] = field(metadata=PER_TOKEN)
    values: Float[Tensor, " tokens"] = field(metadata=PER_TOKEN)
    advantages: Float[Tensor, " tokens"] = field(metadata=PER_TOKEN)
    returns: Float[Tensor, " tokens"] = field(metadata=PER_TOKEN)

    @property
    def explained_variance(self) -> float:
        """How much of the returns the value model foresaw."""
        return explained_variance(self.values, self.returns)

    def minibatches(self, size: int, *key: int) -> Iterator["Experience"]:
        """Random parts of `size` sequences, each with its advantages standardised."""
        order = permutation(len(self), *key)
        for start in range(0, len(self), size):
            part = self.select(order[start : start + size])
            yield replace(part, advantages=standardise(part.advantages))


def credit(config: PPOConfig, rollout: Rollout) -> Experience:
    """KL-penalised rewards (equation 2) and generalised advantages of a rollout."""
    cut_off = torch.tensor([not ended for ended in rollout.ended])
    scores = rollout.scores - config.missing_eos_penalty * cut_off
    lengths = rollout.lengths
    rewards = penalised_rewards(scores, rollout.logprobs, rollout.reference_logprobs, lengths, config.kl_coef)
    advantages, returns = generalised_advantages(rewards, rollout.values, lengths, config.trace_decay)
    return Experience(rollout.prompts, rollout.responses, rollout.logprobs, rollout.values, advantages, returns)


def improved(config: PPOConfig, policy: LanguageModel, part: Experience) -> PolicyTerms:
    """The clipped policy loss on a micro-batch."""
    logprobs = policy.logprobs(part, config.temperature)
    old, advantages = part.logprobs.to(logprobs.device), part.advantages.to(logprobs.device)
    return clipped_policy_loss(logprobs, old, advantages, config.clip)


def foreseen(config: PPOConfig, value: ScalarModel, part: Experience) -> ValueTerms:
    """The clipped value loss on a micro-batch."""
    values = value.values(part)
    return clipped_value_loss(values, part.values.to(values.device), part.returns.to(values.device), config.value_clip)


def train(
    config: PPOConfig, run: Run, models: Models, prompts: Prompts, pretraining: Texts = (), validation: Prompts = ()
) -> None:
    """PPO-ptx from `models.policy`, which is also the KL reference (PPO-init); exports the averaged policy."""
    check_start(config, models, prompts)
    policy, value = models.policy, models.value
    stream = Stream(prompts, config.batch, config.seed)
    many = config.minibatch * config.pretrain_ratio
    texts = Stream(pretraining, many, config.seed + 1) if config.pretrain_coef else None
    actor = Learner(policy, config.policy, config.warmup, average_decay=config.average_decay)
    critic = Learner(value, config.value, lambda update: 1.0)
    for step in run.steps(config.iterations, States(policy=actor, value=critic)):
        with run.phase("rollout"):
            asked = [item.prompt for item in stream[step]]
            rollout = collect(models, asked, config.sampling, Key(config.seed, step))
        experience, measured = credit(config, rollout), Means()
        for number, part in enumerate(experience.minibatches(config.minibatch, config.seed, step)):
            improvement, foresight = side_by_side(
                policy.machine,
                partial(_improve, config, run, actor, part),
                partial(_foresee, config, run, critic, part),
            )
            measured.add("policy", improvement)
            if texts is not None:
                with run.phase("pretraining"):
                    text = text_batch(texts[step * config.updates + number])
                    measured.add("pretrain", actor.backward(next_token, text, weight=config.pretrain_coef))
            measured.add("value", foresight)
            measured.add("", actor.step())
        invariants.check_first_ratio(measured.seen["approx_kl/policy"][0], policy.machine.tolerance)
        if (step + 1) % config.validate_every == 0:
            with run.phase("validation"), actor.averaged():
                measured.add("", validate(config, run, step, models, validation))
        run.log(step, rollout.summary() | measured.means() | {"explained_variance": experience.explained_variance})
    with actor.averaged():
        run.results(validate(config, run, config.iterations, models, validation))
        run.export(policy.save)
    run.export(value.save, "value")
    run.finish()


def _improve(config: PPOConfig, run: Run, actor: Learner, part: Experience) -> Mapping[str, float]:
    with run.phase("policy"):
        return actor.backward(partial(improved, config), part)


def _foresee(config: PPOConfig, run: Run, critic: Learner, part: Experience) -> Mapping[str, float]:
    with run.phase("value"):
        measured = critic.backward(partial(foreseen, config), part)
        critic.step()
        return measured


@torch.no_grad()
def validate(config: PPOConfig, run: Run, step: int, models: Models, prompts: Prompts) -> dict[str, float]:
    """Reward and KL on held-out prompts, with the answers put down in samples.jsonl; nothing when there are none."""
    if not prompts:
        return {}
    policy, (limit, temperature) = models.policy, (config.limits.response, config.temperature)
    sampled = policy.sample([item.prompt for item in prompts], limit, temperature, Key(config.seed, VALIDATION))
    ratios = policy.logprobs(sampled, temperature) - models.reference.logprobs(sampled, temperature)
    run.log_samples(step, "ppo", answers(sampled, prompts, policy.text, "ppo", temperature))
    kl = sequence_sums(ratios, sampled.lengths)
    return {"validation/reward": float(models.reward.score(sampled).mean()), "validation/kl": float(kl.mean())}


def check_start(config: PPOConfig, models: Models, prompts: Prompts) -> None:
    """What must hold before the first update (design contract 6)."""
    asked = [item.prompt for item in prompts[:4]]
    sampled = models.policy.sample(asked, 8, config.temperature, Key(config.seed, 0))
    invariants.check_sampler(models.policy, sampled, config.temperature)
    invariants.check_reference(models.policy, models.reference, sampled)
    if isinstance(models.reward, ScalarModel):
        invariants.check_value_start(models.value, models.reward, sampled)


class Means:
    """Means of named numbers over the minibatches of an iteration."""

    def __init__(self) -> None:
        self.seen: dict[str, list[float]] = {}

    def add(self, part: str, numbers: Mapping[str, float]) -> None:
        """Note the numbers of one minibatch under the name of their part."""
        for name, value in numbers.items():
            self.seen.setdefault(f"{name}/{part}" if part else name, []).append(value)

    def means(self) -> dict[str, float]:
        """The mean of each."""
        return {name: sum(values) / len(values) for name, values in self.seen.items()}
