"""Choose the SFT model by reward-model score on validation prompts (appendix C.1: it foretells human preference
better than validation loss), and cross-validate a reward model by groups of labelers (section 4.1, appendix E.2)."""

from collections.abc import Sequence

import torch

from assent.engine.encode import PromptItem, RankingItem
from assent.engine.generate import Key
from assent.engine.models import LanguageModel, ScalarModel
from assent.engine.stream import permutation
from assent.run import Run
from assent.train.rollout import Sampling, answers


@torch.no_grad()
def mean_reward(
    run: Run, name: str, policy: LanguageModel, reward: ScalarModel, prompts: Sequence[PromptItem], sampling: Sampling
) -> dict[str, float]:
    """Mean reward-model score of one response a prompt, with its standard error; the answers go to samples.jsonl."""
    sampled = policy.sample([p.prompt for p in prompts], sampling.limit, sampling.temperature, Key(0, 0))
    run.log_samples(0, name, answers(sampled, prompts, policy.text, name, sampling.temperature))
    scores = reward.score(sampled)
    return {"reward": float(scores.mean()), "standard_error": float(scores.std() / len(scores) ** 0.5)}


def labeler_folds(rankings: Sequence[RankingItem], folds: int, seed: int) -> list[list[RankingItem]]:
    """Groups of labelers with about equal data, the rankings of each group. Raises ValueError with too few labelers."""
    by_labeler: dict[str, list[RankingItem]] = {}
    for item in rankings:
        by_labeler.setdefault(item.record.labeler, []).append(item)
    if len(by_labeler) < folds:
        raise ValueError(f"{folds} groups need as many labelers; the rankings name {len(by_labeler)} (field `labeler`)")
    groups: list[list[RankingItem]] = [[] for _ in range(folds)]
    names = [sorted(by_labeler)[i] for i in permutation(len(by_labeler), seed)]
    for name in sorted(names, key=lambda one: -len(by_labeler[one])):
        min(groups, key=len).extend(by_labeler[name])
    return groups
