"""Complete named configurations. A recipe is a function that returns whole configs; the command line overrides few.

`paper_1b`, `paper_6b`, `paper_175b` are the paper's numbers (appendix C); the last is documentation: nobody has run
it with this code. `small` is for models of a few million parameters from scratch on a laptop, `sandbox` for the world
of the demo.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from assent.engine.learner import Optimiser
from assent.engine.text import Limits
from assent.train.ppo import PPOConfig
from assent.train.pretrain import Shape
from assent.train.reward import RewardConfig
from assent.train.sft import SFTConfig


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The configuration of every step."""

    shape: Shape = Shape()
    pretrain: SFTConfig
    sft: SFTConfig
    init: SFTConfig
    reward: RewardConfig
    ppo: PPOConfig


def paper_1b() -> Recipe:
    """The 1.3B models of the paper; the reward and value models are 6B there."""
    init = SFTConfig(epochs=2, optimiser=Optimiser(learning_rate=5e-6), residual_dropout=0.0, pretrain_fraction=0.1)
    return Recipe(pretrain=small().pretrain, sft=SFTConfig(), init=init, reward=RewardConfig(), ppo=PPOConfig())


def paper_6b() -> Recipe:
    """The 6B models of the paper."""
    paper = paper_1b()
    return replace(paper, init=replace(paper.init, optimiser=Optimiser(learning_rate=1.04e-5)))


def paper_175b() -> Recipe:
    """The 175B models of the paper; the value learning rate is printed, the policy's is the lower of the two tried."""
    paper = paper_1b()
    return replace(
        paper,
        sft=replace(paper.sft, batch=8, optimiser=Optimiser(learning_rate=5.03e-6)),
        init=replace(paper.init, batch=8, optimiser=Optimiser(learning_rate=2.45e-6)),
        ppo=replace(
            paper.ppo,
            policy=Optimiser(learning_rate=2.55e-6, epsilon=1e-5),
            value=Optimiser(learning_rate=5e-6, epsilon=1e-5),
        ),
    )


def small() -> Recipe:
    """Models of a few million parameters from scratch: larger learning rates, shorter texts, fewer episodes."""
    limits = Limits(prompt=320, response=128, context=448)
    tuned = SFTConfig(epochs=3, batch=16, optimiser=Optimiser(learning_rate=1e-3), residual_dropout=0.1, limits=limits)
    return Recipe(
        shape=Shape(width=128),
        pretrain=replace(
            tuned, epochs=2, optimiser=Optimiser(learning_rate=3e-3), residual_dropout=0.0, warmup_steps=50
        ),
        sft=tuned,
        init=replace(tuned, epochs=2, residual_dropout=0.0, pretrain_fraction=0.1),
        reward=RewardConfig(
            batch=16,
            optimiser=Optimiser(learning_rate=3e-4),
            limits=Limits(prompt=384, response=384, context=512),
        ),
        ppo=PPOConfig(
            episodes=1280,
            batch=64,
            minibatch=8,
            policy=Optimiser(learning_rate=1e-4, epsilon=1e-5),
            value=Optimiser(learning_rate=3e-4, epsilon=1e-5),
            kl_coef=0.05,
            pretrain_coef=1.0,
            average_decay=0.95,
            validate_every=5,
            limits=Limits(prompt=144, response=48, context=192),
        ),
    )


def sandbox() -> Recipe:
    """The world of simulated labelers and its base model (docs/sandbox.md); what was tuned, was tuned on seed 0."""
    limits = Limits(prompt=160, response=96, context=192)
    tuned = SFTConfig(epochs=3, batch=32, optimiser=Optimiser(learning_rate=7e-4), residual_dropout=0.0, limits=limits)
    return Recipe(
        shape=Shape(vocabulary=1024, width=128),
        pretrain=replace(
            tuned,
            epochs=1,
            batch=8,
            optimiser=Optimiser(learning_rate=2.5e-3, weight_decay=0.05),
            final_learning_rate=0.05,
            warmup_steps=200,
            limits=Limits(prompt=192, response=192, context=192),
        ),
        sft=tuned,
        init=replace(tuned, epochs=2, pretrain_fraction=0.1),
        reward=RewardConfig(
            batch=4,
            optimiser=Optimiser(learning_rate=5e-4),
            limits=Limits(prompt=160, response=160, context=320),
        ),
        ppo=PPOConfig(
            episodes=26 * 128,
            batch=128,
            minibatch=16,
            policy=Optimiser(learning_rate=2e-4, epsilon=1e-5),
            value=Optimiser(learning_rate=3e-4, epsilon=1e-5),
            warmup_iterations=3,
            kl_coef=0.1,
            pretrain_coef=1.0,
            pretrain_ratio=1,
            average_decay=0.9,
            validate_every=5,
            limits=Limits(prompt=120, response=72, context=192),
        ),
    )


RECIPES: dict[str, Callable[[], Recipe]] = {f.__name__: f for f in (small, sandbox, paper_1b, paper_6b, paper_175b)}
