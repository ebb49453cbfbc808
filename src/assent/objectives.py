"""The mathematics of the paper, in its order: pure functions of tensors, no model, config or device inside.

Conventions. Per-token tensors are flat over the response tokens of all sequences, sequence after sequence; `lengths`
says how many tokens each has. Index t belongs to response token t: `logprobs[t]` is the log-probability of token t,
`values[t]` is the value of the state *before* token t, `rewards[t]` is what emitting token t earned. Losses return one
term per token (or per ranking) and never a mean: dividing by the count over the whole optimiser step is the learner's
business, and so any split of a batch gives the same gradient.
"""

from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import logsigmoid

PairNormaliser = Literal["pairs", "all"]


# -- Section 3.5, supervised fine-tuning ---------------------------------------------------------------------------


class TextTerms(NamedTuple):
    """Terms of the next-token loss, one per learned token."""

    loss: Float[Tensor, " tokens"]


def next_token_loss(logprobs: Float[Tensor, " tokens"]) -> TextTerms:
    """Cross-entropy of the learned tokens, in nats; also the pretraining term of equation 2."""
    return TextTerms(loss=-logprobs)


# -- Section 3.5, reward modelling ---------------------------------------------------------------------------------


class RankingTerms(NamedTuple):
    """Terms of the ranking loss, one per ranking."""

    loss: Float[Tensor, " rankings"]
    pair_accuracy: Float[Tensor, " rankings"]


def better_pairs(ranks: Int[Tensor, " k"]) -> Bool[Tensor, "k k"]:
    """Entry (i, j) is True where response i was ranked above j; ties are False both ways. Rank 1 is best."""
    return ranks[:, None] < ranks[None, :]


def ranking_loss(
    scores: Float[Tensor, " responses"],
    ranks: Int[Tensor, " responses"],
    lengths: Int[Tensor, " rankings"],
    normaliser: PairNormaliser = "pairs",
) -> RankingTerms:
    """Equation 1: minus the mean of log sigmoid(r_w - r_l) over the ordered pairs of each ranking.

    scores, ranks: flat over the responses of all rankings; lengths: K of each. Ties make no pair. `normaliser`
    says what a ranking with ties is divided by: its ordered pairs ("pairs"), or all K(K-1)/2 as printed ("all").
    Every ranking weighs the same whatever its K. The accuracy counts an equal score as half right.
    Raises ValueError when a ranking has ties only.
    """
    losses: list[Tensor] = []
    accuracies: list[Tensor] = []
    sizes: list[int] = lengths.tolist()
    for score, rank in zip(scores.split(sizes), ranks.split(sizes), strict=True):
        better = better_pairs(rank)
        pairs = int(better.sum())
        if pairs == 0:
            raise ValueError("a ranking has ties only: it makes no pair and cannot be learned from")
        difference = (score[:, None] - score[None, :])[better]
        count = pairs if normaliser == "pairs" else len(rank) * (len(rank) - 1) // 2
        losses.append(-logsigmoid(difference).sum() / count)
        with torch.no_grad():
            accuracies.append((difference.sign() + 1).mean() / 2)
    return RankingTerms(loss=torch.stack(losses), pair_accuracy=torch.stack(accuracies))


def calibration_bias(demonstration_scores: Float[Tensor, " demonstrations"]) -> Float[Tensor, ""]:
    """The bias that gives labeler demonstrations a mean score of 0 (section 3.5); equation 1 cannot see it."""
    return -demonstration_scores.mean()


# -- Section 3.5, reinforcement learning ---------------------------------------------------------------------------


def penalised_rewards(
    scores: Float[Tensor, " sequences"],
    logprobs: Float[Tensor, " tokens"],
    reference_logprobs: Float[Tensor, " tokens"],
    lengths: Int[Tensor, " sequences"],
    kl_coef: float,
) -> Float[Tensor, " tokens"]:
    """Equation 2, first line, token by token: -beta (log pi - log pi_ref), and the score at the last token."""
    rewards = -kl_coef * (logprobs - reference_logprobs)
    return rewards.index_add(0, lengths.cumsum(0) - 1, scores)


def sequence_sums(values: Float[Tensor, " tokens"], lengths: Int[Tensor, " sequences"]) -> Float[Tensor, " sequences"]:
    """The sum over the tokens of each sequence; of log pi - log pi_ref it is the KL of an episode, signed."""
    owner = torch.repeat_interleave(torch.arange(len(lengths), device=values.device), lengths)
    return values.new_zeros(len(lengths)).index_add(0, owner, values)


class Advantages(NamedTuple):
    """Generalised advantage estimates and the returns they imply, per token."""

    advantages: Float[Tensor, " tokens"]
    returns: Float[Tensor, " tokens"]


def generalised_advantages(
    rewards: Float[Tensor, " tokens"],
    values: Float[Tensor, " tokens"],
    lengths: Int[Tensor, " sequences"],
    trace_decay: float,
) -> Advantages:
    """GAE with discount 1 (appendix C.4); the value after the last token is 0; returns = advantages + values.

    trace_decay: lambda. Backwards: A_t = (R_t + V_{t+1} - V_t) + lambda A_{t+1}.
    """
    inside = torch.arange(int(lengths.max()), device=lengths.device)[None, :] < lengths[:, None]
    reward, value = (torch.zeros(inside.shape, dtype=x.dtype, device=x.device) for x in (rewards, values))
    reward[inside], value[inside] = rewards, values
    advantage = torch.zeros_like(value)
    following_value = following_advantage = value.new_zeros(len(lengths))
    for t in range(inside.shape[1] - 1, -1, -1):
        delta = reward[:, t] + following_value - value[:, t]
        # past the end reward and value are 0, hence also the advantage, and each row starts as if it ended here
        following_advantage = delta + trace_decay * following_advantage
        following_value = value[:, t]
        advantage[:, t] = following_advantage
    advantages = advantage[inside]
    return Advantages(advantages=advantages, returns=advantages + values)


def standardise(values: Float[Tensor, " tokens"]) -> Float[Tensor, " tokens"]:
    """Mean 0 and variance 1 over all tokens."""
    return (values - values.mean()) * torch.rsqrt(values.var(correction=0) + 1e-8)


class PolicyTerms(NamedTuple):
    """Terms of the clipped policy loss and what to watch beside it, one per token."""

    loss: Float[Tensor, " tokens"]
    clip_fraction: Float[Tensor, " tokens"]
    approx_kl: Float[Tensor, " tokens"]
    ratio: Float[Tensor, " tokens"]


def clipped_policy_loss(
    logprobs: Float[Tensor, " tokens"],
    behaviour_logprobs: Float[Tensor, " tokens"],
    advantages: Float[Tensor, " tokens"],
    clip: float,
) -> PolicyTerms:
    """PPO's pessimistic surrogate: max(-A ratio, -A clip(ratio, 1 - clip, 1 + clip)), ratio = pi / pi_behaviour."""
    log_ratio = logprobs - behaviour_logprobs
    ratio = log_ratio.exp()
    loss = torch.maximum(-advantages * ratio, -advantages * ratio.clamp(1 - clip, 1 + clip))
    with torch.no_grad():
        clipped = ((ratio - 1).abs() > clip).to(loss.dtype)
        return PolicyTerms(loss=loss, clip_fraction=clipped, approx_kl=log_ratio.square() / 2, ratio=ratio.detach())


class ValueTerms(NamedTuple):
    """Terms of the clipped value loss and what to watch beside it, one per token."""

    loss: Float[Tensor, " tokens"]
    clip_fraction: Float[Tensor, " tokens"]


def clipped_value_loss(
    values: Float[Tensor, " tokens"],
    old_values: Float[Tensor, " tokens"],
    returns: Float[Tensor, " tokens"],
    clip: float,
) -> ValueTerms:
    """Half the larger of the squared errors of V and of V held within `clip` of its value at the rollout."""
    held = old_values + (values - old_values).clamp(-clip, clip)
    free_error, held_error = (values - returns).square(), (held - returns).square()
    with torch.no_grad():
        clipped = ((values - old_values).abs() > clip).to(values.dtype)
    return ValueTerms(loss=torch.maximum(free_error, held_error) / 2, clip_fraction=clipped)


def explained_variance(values: Float[Tensor, " tokens"], returns: Float[Tensor, " tokens"]) -> float:
    """1 - var(returns - values) / var(returns): 1 is a perfect critic, 0 a constant one, below 0 a harmful one."""
    spread = float(returns.var(correction=0))
    return 1 - float((returns - values).var(correction=0)) / spread if spread > 0 else 0.0


# -- Appendix C, schedules: factors of the peak learning rate ------------------------------------------------------


def cosine_to(final: float, progress: float) -> float:
    """Half a cosine from 1 at progress 0 to `final` at progress 1 (C.1 to C.3: final 0.1)."""
    angle = torch.pi * min(max(progress, 0.0), 1.0)
    return final + (1 - final) * (1 + float(torch.cos(torch.tensor(angle, dtype=torch.float64)))) / 2


def warmup_from(start: float, iterations: int, iteration: int) -> float:
    """A line from `start` at iteration 0 to 1 at `iterations`, constant after (C.4: from 0.1 over 10)."""
    return min(1.0, start + (1 - start) * iteration / iterations) if iterations else 1.0


def averaged(average: Tensor, weights: Tensor, decay: float) -> Tensor:
    """One step of the exponential moving average of the weights (C.4: decay 0.992)."""
    return torch.lerp(average, weights, 1 - decay)
