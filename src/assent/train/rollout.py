"""Step 3, first half: let the policy answer, and write down what every model thinks of the answers.

A `Rollout` holds facts only: what was sampled, how it ended, the log-probabilities, values and scores. What beta and
lambda make of them is `ppo.credit`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from assent import records
from assent.engine.batches import PER_TOKEN, Sampled, TextBatch, Tokens
from assent.engine.encode import PromptItem
from assent.engine.generate import Key
from assent.engine.models import LanguageModel, Reference, ScalarModel
from assent.engine.text import Text
from assent.objectives import sequence_sums


@dataclass(frozen=True)
class Sampling:
    """How answers are drawn: at most `limit` tokens at `temperature`."""

    limit: int
    temperature: float = 1.0


@dataclass(frozen=True)
class Rollout(TextBatch):
    """Sampled responses and the models' opinions of them.

    ended: whether the response ends in the end-of-turn token. logprobs: of the behaviour policy, computed by the
    scorer, not the sampler. values: before each token. scores: of the reward model at the last token.
    """

    ended: tuple[bool, ...]
    scores: Float[Tensor, " sequences"]
    logprobs: Float[Tensor, " tokens"] = field(metadata=PER_TOKEN)
    reference_logprobs: Float[Tensor, " tokens"] = field(metadata=PER_TOKEN)
    values: Float[Tensor, " tokens"] = field(metadata=PER_TOKEN)

    @property
    def kl(self) -> Float[Tensor, " sequences"]:
        """The KL of each episode: the sum of its log-ratios to the reference, signed, in nats."""
        return sequence_sums(self.logprobs - self.reference_logprobs, self.lengths)

    def summary(self) -> dict[str, float]:
        """What to watch."""
        return {
            "reward": float(self.scores.mean()),
            "reward_std": float(self.scores.std(correction=0)),
            "kl": float(self.kl.mean()),
            "response_length": float(self.lengths.double().mean()),
            "no_eos": 1 - sum(self.ended) / len(self.ended),
            "negative_logprob": -float(self.logprobs.mean()),  # an unbiased estimate of the entropy per token
        }


@runtime_checkable
class Judge(Protocol):
    """What gives responses their scores: a reward model, or a program that knows the truth."""

    def score(self, batch: Sampled) -> Float[Tensor, " sequences"]:
        """One number a response."""
        ...


@dataclass(frozen=True)
class Models:
    """The four models of PPO: the policy and value model that learn, the reference and reward model that do not."""

    policy: LanguageModel
    value: ScalarModel
    reference: Reference
    reward: Judge

    @classmethod
    def start(cls, policy: LanguageModel, value: ScalarModel, reward: Judge) -> "Models":
        """The reference is the policy as it is now; the value model learns the reward model's bias too.

        Raises ValueError when one model is to judge and to learn.
        """
        if reward is value:
            raise ValueError("the value model learns and the reward model does not; load the model twice")
        value.bias.requires_grad_(True)
        if isinstance(reward, ScalarModel):
            reward.park()
        return cls(policy, value, policy.reference(), reward)


@torch.no_grad()
def collect(models: Models, prompts: Sequence[Tokens], sampling: Sampling, key: Key) -> Rollout:
    """One episode a prompt: an answer is sampled, then all four models judge it."""
    temperature = sampling.temperature
    sampled = models.policy.sample(prompts, sampling.limit, temperature, key)
    return Rollout(
        prompts=sampled.prompts,
        responses=sampled.responses,
        ended=sampled.ended,
        scores=models.reward.score(sampled),
        logprobs=models.policy.logprobs(sampled, temperature),
        reference_logprobs=models.reference.logprobs(sampled, temperature),
        values=models.value.values(sampled),
    )


def answers(
    sampled: Sampled, items: Sequence[PromptItem], text: Text, policy: str, temperature: float
) -> Iterator[records.Samples]:
    """Sampled responses as records, the responses to one prompt together."""
    grouped: dict[str, tuple[records.Prompt, list[records.Response]]] = {}
    for item, ids, ended in zip(items, sampled.responses, sampled.ended, strict=True):
        finish = "eos" if ended else "length"
        response = records.Response(text=text.decode(ids), policy=policy, temperature=temperature, finish=finish)
        grouped.setdefault(item.record.id, (item.record, []))[1].append(response)
    for identity, (prompt, responses) in grouped.items():
        yield records.Samples(id=f"{policy}/{identity}", prompt=prompt, responses=tuple(responses))
