"""The bookkeeping between sampling and learning, and the invariants that stop a wrong run."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests import tiny

from assent.engine import encode
from assent.engine.batches import Sampled
from assent.engine.generate import Key
from assent.engine.models import ScalarModel
from assent.engine.text import Text
from assent.objectives import generalised_advantages, penalised_rewards
from assent.train import invariants
from assent.train.ppo import PPOConfig, check_start, credit
from assent.train.rollout import Models, Rollout, Sampling, answers, collect
from assent.train.select import labeler_folds


def rollout(seed: int = 0) -> Rollout:
    batch = tiny.texts(6, seed)
    g = torch.Generator().manual_seed(seed)
    flat = (torch.randn(int(batch.lengths.sum()), generator=g) for _ in range(3))
    logprobs, reference, values = flat
    ended = (True, False, True, True, False, True)
    return Rollout(batch.prompts, batch.responses, ended, torch.arange(6.0), logprobs, reference, values)


@pytest.fixture(scope="module")
def models(blank: Path, tmp_path_factory: pytest.TempPathFactory) -> Models:
    path = tmp_path_factory.mktemp("reward") / "model"
    judge = ScalarModel.fresh(blank, tiny.MACHINE, seed=0)
    judge.calibrate(0.5)
    judge.save(path)
    value, reward = (ScalarModel.load(path, tiny.MACHINE) for _ in range(2))
    return Models.start(tiny.model(blank), value, reward)


def test_one_model_cannot_judge_and_learn(blank: Path) -> None:
    value = ScalarModel.fresh(blank, tiny.MACHINE, seed=0)
    with pytest.raises(ValueError, match="load the model twice"):
        Models.start(tiny.model(blank), value, value)


def test_credit_is_equation_2_then_the_advantages() -> None:
    config, facts = PPOConfig(kl_coef=0.1, trace_decay=0.9, missing_eos_penalty=2.0), rollout()
    scores = torch.tensor([0.0, 1 - 2, 2, 3, 4 - 2, 5])
    lengths = facts.lengths
    rewards = penalised_rewards(scores, facts.logprobs, facts.reference_logprobs, lengths, 0.1)
    expected = generalised_advantages(rewards, facts.values, lengths, 0.9)
    found = credit(config, facts)
    torch.testing.assert_close(found.advantages, expected.advantages)
    torch.testing.assert_close(found.returns, expected.returns)
    assert found.logprobs is facts.logprobs
    assert found.values is facts.values


def test_the_summary_says_what_happened() -> None:
    facts = rollout()
    found = facts.summary()
    first = int(facts.lengths[0])
    assert facts.kl[0].item() == pytest.approx((facts.logprobs - facts.reference_logprobs)[:first].sum().item())
    assert found["no_eos"] == pytest.approx(2 / 6)
    assert found["reward"] == 2.5
    assert found["kl"] == pytest.approx(facts.kl.mean().item())
    assert found["response_length"] == pytest.approx(facts.lengths.double().mean().item())
    assert found["negative_logprob"] == pytest.approx(-facts.logprobs.mean().item())


def test_minibatches_are_all_sequences_once_with_standard_advantages() -> None:
    experience = credit(PPOConfig(), rollout())
    parts = list(experience.minibatches(3, 0, 7))
    seen = sorted(tuple(ids.tolist()) for part in parts for ids in part.responses)
    assert seen == sorted(tuple(ids.tolist()) for ids in experience.responses)
    for part in parts:
        assert part.advantages.mean().item() == pytest.approx(0, abs=1e-6)
        assert part.advantages.square().mean().item() == pytest.approx(1, rel=1e-4)
        assert len(part.logprobs) == int(part.lengths.sum())
    again = list(experience.minibatches(3, 0, 7))
    assert all(torch.equal(a.logprobs, b.logprobs) for a, b in zip(parts, again, strict=True))
    assert not torch.equal(parts[0].logprobs, next(iter(experience.minibatches(3, 0, 8))).logprobs)


def test_collected_facts_are_what_the_models_say(models: Models) -> None:
    prompts = list(tiny.texts(5).prompts)
    found = collect(models, prompts, Sampling(6, 0.8), Key(0, 3))
    with torch.no_grad():
        for index in range(5):
            one = found.select([index])
            torch.testing.assert_close(one.logprobs, models.policy.logprobs(one, 0.8), atol=1e-5, rtol=1e-4)
            torch.testing.assert_close(one.values, models.value.values(one), atol=1e-5, rtol=1e-4)
            torch.testing.assert_close(one.scores, models.reward.score(one), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found.reference_logprobs, found.logprobs, atol=1e-5, rtol=1e-4)
    assert not found.logprobs.requires_grad


def test_answers_to_one_prompt_stand_together(blank: Path) -> None:
    text = Text.load(blank)
    items = [item for item in encode.prompts(text, tiny.PROMPTS[:2], tiny.LIMITS).items for _ in range(3)]
    responses = tuple(text.response(word, ended=word != "cut") for word in ("a", "b", "cut", "c", "d", "e"))
    ended = tuple(bool(ids[-1] == text.end) for ids in responses)
    length = sum(map(len, responses))
    sampled = Sampled(tuple(i.prompt for i in items), responses, ended, torch.zeros(length))
    found = list(answers(sampled, items, text, "policy", 1.0))
    assert [[one.text for one in row.responses] for row in found] == [["a", "b", "cut"], ["c", "d", "e"]]
    assert [one.finish for one in found[0].responses] == ["eos", "eos", "length"]


def test_labeler_groups_are_disjoint_and_about_equal(blank: Path) -> None:
    items = encode.rankings(Text.load(blank), tiny.RANKINGS, tiny.LIMITS).items
    groups = labeler_folds(items, 3, 0)
    names = [{item.record.labeler for item in group} for group in groups]
    assert sum(map(len, names)) == len(set.union(*names)) == 3
    assert {len(group) for group in groups} == {len(items) // 3}
    with pytest.raises(ValueError, match="4 groups need as many labelers; the rankings name 3"):
        labeler_folds(items, 4, 0)


def test_a_right_start_passes(models: Models, blank: Path) -> None:
    asked = encode.prompts(Text.load(blank), tiny.PROMPTS, tiny.LIMITS).items
    check_start(PPOConfig(limits=tiny.LIMITS), models, asked)


def broken_start(models: Models, blank: Path, what: str) -> Any:
    """One of the models moved a little, or the sampler off."""
    sampled = models.policy.sample(list(tiny.texts(4).prompts), 5, 1.0, Key(0, 0))
    if what == "sampler":
        wrong = replace(sampled, logprobs=sampled.logprobs * 1.1)
        return invariants.check_sampler(models.policy, wrong, 1.0)
    other = tiny.model(blank)
    with torch.no_grad():
        other.module.get_output_embeddings().weight.add_(torch.randn(320, 32) * 0.05)
    if what == "reference":
        return invariants.check_reference(other, models.reference, sampled)
    moved = ScalarModel.fresh(blank, tiny.MACHINE, seed=1)
    return invariants.check_value_start(moved, models.reward, sampled)


@pytest.mark.parametrize(
    ("what", "says"),
    [("sampler", "sampler and the scorer"), ("reference", "KL to the reference"), ("value", "does not start as")],
)
def test_a_wrong_start_is_refused(models: Models, blank: Path, what: str, says: str) -> None:
    with pytest.raises(invariants.InvariantError, match=says):
        broken_start(models, blank, what)


def test_a_ratio_that_is_not_1_and_ends_that_are_not_learned_are_refused(blank: Path) -> None:
    invariants.check_first_ratio(1e-9, 2e-3)
    for wrong in (0.01, float("nan")):
        with pytest.raises(invariants.InvariantError, match="ratio is not 1"):
            invariants.check_first_ratio(wrong, 2e-3)
    policy = tiny.model(blank)
    items = encode.demonstrations(policy.text, tiny.DEMONSTRATIONS, tiny.LIMITS).items
    invariants.check_ends_are_learned(policy, items)
    with pytest.raises(invariants.InvariantError, match="never learn to stop"):
        invariants.check_ends_are_learned(policy, [encode.TextItem(i.prompt, i.response[:-1]) for i in items])


def test_the_policy_warms_up_over_ten_iterations_of_eight_updates() -> None:
    """C.4: a tenth of the peak in the first iteration, the peak from the eleventh on, constant within each."""
    paper = PPOConfig()
    assert [paper.warmup(update) for update in (0, 7)] == [0.1, 0.1]
    assert paper.warmup(8) == pytest.approx(0.19)
    assert paper.warmup(79) == pytest.approx(0.91)
    assert [paper.warmup(update) for update in (80, 3999)] == [1.0, 1.0]
