"""Choose the SFT model by reward-model score on validation prompts (appendix C.1: it foretells human preference
better than validation loss), and cross-validate a reward model by groups of labelers (section 4.1, appendix E.2)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from assent.engine.checkpoint import States
from assent.engine.encode import PromptItem, RankingItem
from assent.engine.generate import Key
from assent.engine.models import LanguageModel, ScalarModel
from assent.engine.stream import permutation
from assent.run import Run
from assent.train.reward import RewardConfig, accuracy
from assent.train.rollout import Sampling, answers

REWARD_NAMES = ("reward", "standard_error")


@torch.no_grad()
def mean_reward(
    run: Run,
    step: int,
    name: str,
    policy: LanguageModel,
    reward: ScalarModel,
    prompts: Sequence[PromptItem],
    sampling: Sampling,
) -> dict[str, float]:
    """Mean reward-model score of one response a prompt, with its standard error; the answers go to samples.jsonl.

    Every model draws with the same random numbers, so that what differs is the model.
    """
    sampled = policy.sample([p.prompt for p in prompts], sampling.limit, sampling.temperature, Key(0, 0))
    run.log_samples(step, name, answers(sampled, prompts, policy.text, name, sampling.temperature))
    scores = reward.score(sampled)
    found = float(scores.mean()), float(scores.std() / len(scores) ** 0.5)
    return dict(zip(REWARD_NAMES, found, strict=True))


@dataclass(frozen=True, kw_only=True)
class CrossValidation:
    """How often the reward model is trained: once for every group of labelers and seed (paper: 5 groups, 3 seeds)."""

    folds: int
    seeds: int
    reward: RewardConfig


@dataclass(frozen=True)
class LabelerSplit:
    """One fold. train and own are by the same labelers, held_out by others; no prompt of train is in the two tests."""

    train: list[RankingItem]
    own: list[RankingItem]
    held_out: list[RankingItem]

    @property
    def tests(self) -> dict[str, list[RankingItem]]:
        """The two tests by name."""
        return {"own": self.own, "held_out": self.held_out}


def labeler_split(rankings: Sequence[RankingItem], folds: int, number: int, seed: int) -> LabelerSplit:
    """Fold `number`: the rankings of its group of labelers are held out, and of the others a share of the prompts.

    Raises ValueError with too few labelers, or when a part would be empty.
    """
    groups = labeler_folds(rankings, folds, seed)
    others = [item for place, group in enumerate(groups) if place != number for item in group]
    prompts = sorted({item.record.prompt.id for item in rankings})
    unseen = {prompts[i] for i in permutation(len(prompts), seed, 1)[: -(-len(prompts) // folds)]}
    train = [item for item in others if item.record.prompt.id not in unseen]
    seen = {item.record.prompt.id for item in train}
    own = [item for item in others if item.record.prompt.id in unseen]
    held_out = [item for item in groups[number] if item.record.prompt.id not in seen]
    if not (train and own and held_out):
        raise ValueError(
            f"fold {number}: {len(train)} rankings to train on, {len(own)} and {len(held_out)} to test on; "
            "cross-validation needs more prompts, or fewer folds"
        )
    return LabelerSplit(train, own, held_out)


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


Trained = Callable[[str, int, Sequence[RankingItem]], ScalarModel]  # (name of the fold, seed, rankings) -> model


def cross_validate(settings: CrossValidation, run: Run, rankings: Sequence[RankingItem], trained: Trained) -> None:
    """Train the reward model without each group of labelers in turn; a fold is a step, so that a killed run goes on."""
    for step in run.steps(settings.folds * settings.seeds, States()):
        seed, number = divmod(step, settings.folds)
        seed += settings.reward.seed
        split = labeler_split(rankings, settings.folds, number, seed)
        model = trained(f"seed-{seed}/fold-{number}", seed, split.train)
        run.log(step, {name: accuracy(model, part) for name, part in split.tests.items()})
    run.results(summary(run.metrics()))
    run.finish()


def summary(rows: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Mean accuracy on either test with its standard error over the models trained, and the rows themselves."""
    found: dict[str, Any] = {}
    for name in ("own", "held_out"):
        values = np.array([row[name] for row in rows])
        found[name] = {"accuracy": values.mean(), "standard_error": values.std(ddof=1) / len(values) ** 0.5}
    return {**found, "models": [{name: row[name] for name in ("step", "own", "held_out")} for row in rows]}
