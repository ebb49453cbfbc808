"""The objectives against slow loops, values worked out by hand, and invariances. All in float64."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from assent.objectives import (
    averaged,
    better_pairs,
    calibration_bias,
    clipped_policy_loss,
    clipped_value_loss,
    cosine_to,
    explained_variance,
    generalised_advantages,
    next_token_loss,
    penalised_rewards,
    ranking_loss,
    sequence_sums,
    standardise,
    warmup_from,
)


def t(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def n(*values: int) -> Tensor:
    return torch.tensor(values)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


lists = st.lists(st.floats(-3, 3), min_size=2, max_size=9)

# -- equation 1 ----------------------------------------------------------------------------------------------------


def test_ranking_loss_by_hand() -> None:
    found = ranking_loss(t(2, 1, 0), n(1, 2, 3), n(3))
    assert float(found.loss) == pytest.approx(-(2 * math.log(sigmoid(1)) + math.log(sigmoid(2))) / 3)
    assert float(found.pair_accuracy) == 1


@settings(max_examples=40, deadline=None)
@given(lists, st.integers(1, 4))
def test_ranking_loss_is_the_loop_over_pairs(scores: list[float], levels: int) -> None:
    ranks = [1 + (7 * i) % levels for i in range(len(scores))]
    pairs = [(i, j) for i in range(len(scores)) for j in range(len(scores)) if ranks[i] < ranks[j]]
    if not pairs:
        with pytest.raises(ValueError, match="ties only"):
            ranking_loss(t(*scores), n(*ranks), n(len(scores)))
        return
    total = -sum(math.log(sigmoid(scores[i] - scores[j])) for i, j in pairs)
    right = sum(1.0 if scores[i] > scores[j] else 0.5 if scores[i] == scores[j] else 0.0 for i, j in pairs)
    found = ranking_loss(t(*scores), n(*ranks), n(len(scores)))
    assert float(found.loss) == pytest.approx(total / len(pairs))
    assert float(found.pair_accuracy) == pytest.approx(right / len(pairs))
    printed = ranking_loss(t(*scores), n(*ranks), n(len(scores)), "all")
    assert float(printed.loss) == pytest.approx(total / math.comb(len(scores), 2))


def test_a_ranking_of_nine_has_36_pairs_and_ties_fewer() -> None:
    assert int(better_pairs(torch.arange(1, 10)).sum()) == 36
    assert int(better_pairs(n(1, 1, 2)).sum()) == 2


def test_rankings_weigh_the_same_and_neither_order_nor_a_constant_matters() -> None:
    scores, ranks = t(0.3, -1, 2, 0.5, 0.1), n(2, 1, 1, 2, 3)
    both = ranking_loss(scores, ranks, n(2, 3)).loss
    apart = [ranking_loss(scores[a:b], ranks[a:b], n(b - a)).loss for a, b in ((0, 2), (2, 5))]
    torch.testing.assert_close(both, torch.cat(apart))
    order = n(1, 0, 4, 2, 3)
    torch.testing.assert_close(ranking_loss(scores[order] + 5, ranks[order], n(2, 3)).loss, both)


def test_the_gradient_of_equation_1() -> None:
    """d loss / d score of the winner of one pair is -sigmoid(-(difference))."""
    scores = t(0.7, 0.2).requires_grad_()
    ranking_loss(scores, n(1, 2), n(2)).loss.sum().backward()
    assert scores.grad is not None
    assert scores.grad.tolist() == pytest.approx([-sigmoid(-0.5), sigmoid(-0.5)])


def test_calibrated_demonstrations_score_zero() -> None:
    scores = t(1, 2, 6)
    assert float((scores + calibration_bias(scores)).mean()) == pytest.approx(0)


# -- equation 2 ----------------------------------------------------------------------------------------------------


def test_next_token_loss_is_minus_the_log_probability() -> None:
    assert next_token_loss(t(-1, -0.5)).loss.tolist() == [1, 0.5]


def test_penalised_rewards_by_hand() -> None:
    """Two sequences, of 2 tokens and of 1; beta 0.1."""
    found = penalised_rewards(t(5, -3), t(-1, -2, -0.5), t(-1.5, -1, -0.5), n(2, 1), 0.1)
    assert found.tolist() == pytest.approx([-0.05, 0.1 + 5, -3])


def test_the_rewards_of_an_episode_are_its_score_less_beta_kl() -> None:
    new, old, lengths = torch.randn(9).double(), torch.randn(9).double(), n(4, 3, 2)
    found = penalised_rewards(t(1, 2, 3), new, old, lengths, 0.02)
    kl = sequence_sums(new - old, lengths)
    torch.testing.assert_close(sequence_sums(found, lengths), t(1, 2, 3) - 0.02 * kl)
    assert sequence_sums(t(1, 2, 3, 4), n(1, 3)).tolist() == [1, 9]


def slow_advantages(rewards: list[float], values: list[float], decay: float) -> list[float]:
    """The sum as GAE defines it: A_t = sum_k decay^k delta_{t+k}, the value after the end 0."""
    after = [*values[1:], 0.0]
    deltas = [r + b - a for r, a, b in zip(rewards, values, after, strict=True)]
    return [sum(decay**k * delta for k, delta in enumerate(deltas[i:])) for i in range(len(deltas))]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.floats(-2, 2), min_size=1, max_size=6), min_size=1, max_size=4), st.floats(0, 1))
def test_advantages_are_the_slow_sum_whatever_the_neighbours(episodes: list[list[float]], decay: float) -> None:
    values = [[math.sin(7 * x + i) for i, x in enumerate(one)] for one in episodes]
    flat_rewards, flat_values = (t(*(x for one in rows for x in one)) for rows in (episodes, values))
    lengths = n(*map(len, episodes))
    found = generalised_advantages(flat_rewards, flat_values, lengths, decay)
    expected = [a for r, v in zip(episodes, values, strict=True) for a in slow_advantages(r, v, decay)]
    torch.testing.assert_close(found.advantages, t(*expected))
    torch.testing.assert_close(found.returns, t(*expected) + flat_values)


def test_advantages_by_hand() -> None:
    """Reward 1 at the end, values 0.5 and 0.4, lambda 0.5: deltas -0.1 and 0.6."""
    found = generalised_advantages(t(0, 1), t(0.5, 0.4), n(2), 0.5)
    assert found.advantages.tolist() == pytest.approx([-0.1 + 0.5 * 0.6, 0.6])
    assert generalised_advantages(t(0, 1), t(0.5, 0.4), n(2), 1.0).returns.tolist() == pytest.approx([1, 1])


def test_standardised_numbers_have_mean_0_and_variance_1() -> None:
    found = standardise(t(1, 2, 3, 10))
    assert float(found.mean()) == pytest.approx(0, abs=1e-12)
    assert float(found.square().mean()) == pytest.approx(1)
    assert standardise(t(2, 2)).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "moves"),
    [(1.5, 1, -1.2, False), (1.5, -1, 1.5, True), (0.5, 1, -0.5, True), (0.5, -1, 0.8, False), (1.1, 2, -2.2, True)],
)
def test_the_policy_loss_is_pessimistic(ratio: float, advantage: float, loss: float, moves: bool) -> None:
    new = t(math.log(ratio)).requires_grad_()
    found = clipped_policy_loss(new, t(0), t(advantage), 0.2)
    found.loss.sum().backward()
    assert found.loss.item() == pytest.approx(loss)
    assert new.grad is not None
    assert (float(new.grad) != 0) == moves
    assert float(found.clip_fraction) == float(abs(ratio - 1) > 0.2)
    assert float(found.approx_kl) == pytest.approx(math.log(ratio) ** 2 / 2)
    assert float(found.ratio) == pytest.approx(ratio)


def test_at_ratio_1_the_gradient_is_that_of_the_policy_gradient() -> None:
    new = t(-1, -2).requires_grad_()
    clipped_policy_loss(new, new.detach().clone(), t(3, -4), 0.2).loss.sum().backward()
    assert new.grad is not None
    assert new.grad.tolist() == [-3, 4]


@pytest.mark.parametrize(
    ("value", "loss", "clipped"),
    [(1.1, 0.5 * 0.9**2, 0), (1.5, 0.5 * 0.8**2, 1), (0.5, 0.5 * 1.5**2, 1), (3.0, 0.5 * 1.0**2, 1)],
)
def test_the_value_loss_is_pessimistic(value: float, loss: float, clipped: int) -> None:
    """Old value 1, return 2, clip 0.2."""
    found = clipped_value_loss(t(value), t(1), t(2), 0.2)
    assert float(found.loss) == pytest.approx(loss)
    assert float(found.clip_fraction) == clipped


def test_explained_variance() -> None:
    returns = t(1, 2, 4)
    assert explained_variance(returns, returns) == 1
    assert explained_variance(t(0, 0, 0), returns) == pytest.approx(0)
    assert explained_variance(-returns, returns) == pytest.approx(-3)
    assert explained_variance(t(1, 2), t(3, 3)) == 0


# -- schedules -----------------------------------------------------------------------------------------------------


def test_schedules() -> None:
    assert [warmup_from(0.1, 10, i) for i in (0, 5, 10, 400)] == pytest.approx([0.1, 0.55, 1, 1])
    assert warmup_from(0.1, 0, 0) == 1
    assert [cosine_to(0.1, p) for p in (0, 0.5, 1, 2)] == pytest.approx([1, 0.55, 0.1, 0.1])


def test_the_average_has_a_closed_form() -> None:
    """Weights that stay at w: w + decay^n (start - w)."""
    average = t(5.0)
    for _ in range(30):
        average = averaged(average, t(2.0), 0.992)
    assert float(average) == pytest.approx(2 + 3 * 0.992**30)
