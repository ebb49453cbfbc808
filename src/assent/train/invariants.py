"""What must hold before and while training; each check stops the run with the cause (design contract 6)."""

from collections.abc import Sequence

import torch

from assent.engine.batches import Sampled, TextBatch
from assent.engine.encode import TextItem
from assent.engine.models import LanguageModel, Reference, ScalarModel


class InvariantError(RuntimeError):
    """Something that must hold does not; training would give wrong numbers."""


def check_ends_are_learned(policy: LanguageModel, items: Sequence[TextItem]) -> None:
    """At least one response ends in the end-of-turn or document separator token, or the model never learns to stop."""
    stops = {policy.text.end, policy.text.separator}
    if not any(stops & set(item.response.tolist()) for item in items):
        raise InvariantError("no learned response contains the end-of-turn token; the model would never learn to stop")


@torch.no_grad()
def check_sampler(policy: LanguageModel, sampled: Sampled, temperature: float) -> None:
    """The sampler's log-probabilities are the scorer's: the same model, positions, temperature."""
    gap = _gap(sampled.logprobs, policy.logprobs(sampled, temperature))
    _refuse_over(gap, policy.machine.tolerance, "the sampler and the scorer disagree on log-probabilities")


@torch.no_grad()
def check_reference(policy: LanguageModel, reference: Reference, batch: TextBatch) -> None:
    """Before the first update the policy is its reference: every log-ratio is 0."""
    gap = _gap(policy.logprobs(batch), reference.logprobs(batch))
    _refuse_over(gap, policy.machine.tolerance, "the KL to the reference is not 0 before the first update")


@torch.no_grad()
def check_value_start(value: ScalarModel, reward: ScalarModel, batch: TextBatch) -> None:
    """A value model that starts from the reward model gives its score at the last token."""
    gap = _gap(value.score(batch), reward.score(batch))
    _refuse_over(gap, value.machine.tolerance, "the value model does not start as the reward model")


def check_first_ratio(approx_kl: float, tolerance: float) -> None:
    """At the first minibatch of an iteration nothing has moved since the rollout: the ratio is 1."""
    _refuse_over((2 * approx_kl) ** 0.5, tolerance, "the policy ratio is not 1 at the first minibatch")


def _gap(first: torch.Tensor, second: torch.Tensor) -> float:
    return float((first - second).abs().mean())


def _refuse_over(gap: float, tolerance: float, what: str) -> None:
    if not gap <= tolerance:
        raise InvariantError(f"{what}: they differ by {gap:.3g}, more than {tolerance:.3g}; training would be wrong")
