"""The stages of the demo, each a function of (ring, run) that meets the others in files.

records -> sft, init -> round_1 (samples, rankings) -> reward_1 -> ppo_1 -> round_2 -> reward -> ppo, ppo_ptx, gold ->
answers of every model -> the blind comparison. The second round is the paper's: labelers also ranked samples of a
first PPO policy (section 3.4).
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from assent import records
from assent.data.prompts import Rules, clean
from assent.demo import evaluation
from assent.demo.ring import Ring, Truth
from assent.demo.rounds import label
from assent.engine import encode
from assent.engine.models import ScalarModel
from assent.run import Run
from assent.sandbox import corpus, instructions
from assent.train import ppo, reward, sft
from assent.train.rollout import Models

FIRST_BETA = 0.3  # of the first PPO, as a share of the last one's
WATCHED = 256  # prompts for validation
PIECE = 96  # tokens of a text in the mix; as much is regained as with pieces of 192, which cost twice the time


def write_records(ring: Ring, run: Run) -> None:
    """Cleaned prompts, demonstrations and the corpus."""
    world, plan = ring.world, ring.plan
    cleaned = clean(instructions.prompts(world, "train", plan.prompts, first=plan.prompts * plan.seed), Rules())
    prompts = list(cleaned.train)
    random.Random(plan.seed).shuffle(prompts)
    shares = (plan.demonstrations, plan.rankings, plan.rankings)
    if len(prompts) <= sum(shares):
        raise ValueError(
            f"{len(prompts)} prompts are left after cleaning, {sum(shares)} are needed; raise plan.prompts"
        )
    kinds: dict[str, Sequence[records.Record]] = {
        "demonstrations": [ring.labelers.demonstrate(prompt) for prompt in prompts[: shares[0]]],
        "round_1": prompts[shares[0] : sum(shares[:2])],
        "round_2": prompts[sum(shares[:2]) : sum(shares)],
        "ppo": prompts[sum(shares) :],
        "validation": cleaned.validation[:WATCHED],
        "corpus": corpus.documents(world, "train", plan.documents),
        "heldout": corpus.documents(world, "heldout", plan.held_out_documents),
    }
    run.reject(asdict(row) for row in cleaned.rejected)
    run.export(lambda path: [records.write(path / f"{name}.jsonl", rows) for name, rows in kinds.items()], "data")
    run.finish()


def fine_tune(config: str, ring: Ring, run: Run) -> None:
    """SFT, or PPO-init with its share of the corpus."""
    policy, how = ring.load("base"), getattr(ring.recipe, config)
    shown = ring.read("records", "demonstrations", records.Demonstration)
    text = ring.read("records", "corpus", records.Document) if how.pretrain_fraction else []
    items = encode.demonstrations(policy.text, shown, how.limits).items
    sft.train(how, run, policy, items, encode.documents(policy.text, text, how.limits.context))


def learn_reward(rounds: tuple[str, ...], ring: Ring, run: Run) -> None:
    """The reward model, from the rankings of some rounds; it starts from the SFT model, as section 3.5 has it."""
    config = ring.recipe.reward
    model = ScalarModel.fresh(ring.model("sft"), ring.machine, seed=ring.plan.seed)
    rows = [row for name in rounds for row in ring.read(name, "rankings", records.Ranking)]
    shown = ring.read("records", "demonstrations", records.Demonstration)
    items = encode.rankings(model.text, rows, config.limits).items
    reward.train(config, run, model, items, encode.demonstrations(model.text, shown, config.limits).items)


def reinforce(
    config_of: Callable[[Ring], ppo.PPOConfig], judge: str, ring: Ring, run: Run, validation: int = 64
) -> None:
    """PPO or PPO-ptx from PPO-init, against a reward model or, where `judge` is `gold`, against the truth.

    validation: how many prompts are answered again and again to see where the policy stands.
    """
    config = config_of(ring)
    policy = ring.load("init")
    rows, held_out = (ring.read("records", name, records.Prompt) for name in ("ppo", "validation"))
    held_out = held_out[:validation]
    scored = ring.model("reward_1" if judge == "gold" else judge)  # gold: only where the value model starts
    value = ScalarModel.load(scored, ring.machine)
    earned = Truth([*rows, *held_out], policy.text) if judge == "gold" else ScalarModel.load(scored, ring.machine)
    asked, watched = (encode.prompts(policy.text, part, config.limits).items for part in (rows, held_out))
    text = ring.read("records", "corpus", records.Document) if config.pretrain_coef else []
    documents = encode.documents(policy.text, text, PIECE)
    ppo.train(config, run, Models.start(policy, value, earned), asked, documents, watched)


def mixed(ring: Ring) -> ppo.PPOConfig:
    """PPO-ptx."""
    return ring.recipe.ppo


def unmixed(ring: Ring) -> ppo.PPOConfig:
    """PPO without the pretraining mix."""
    return replace(ring.recipe.ppo, pretrain_coef=0.0)


def first(ring: Ring) -> ppo.PPOConfig:
    """The short PPO whose samples are ranked in the second round; less held back than the last, so that labelers see
    what the reward model loves too much."""
    config = unmixed(ring)
    return replace(config, episodes=ring.plan.first_episodes, kl_coef=FIRST_BETA * config.kl_coef)


@dataclass(frozen=True)
class Stage:
    """What a stage does, what it must wait for, and the configuration that identifies it."""

    work: Callable[[Ring, Run], None]
    needs: tuple[str, ...]
    config: Callable[[Ring], Any]


def _plan(ring: Ring) -> Any:
    return ring.plan


def _fine_tuning(name: str, ring: Ring) -> Any:
    return getattr(ring.recipe, name)


def _reward(ring: Ring) -> Any:
    return ring.recipe.reward


POLICIES = ("base", "prompted", "sft", "ppo", "ppo_ptx", "gold")  # what is compared
STAGES: dict[str, Stage] = {
    "records": Stage(write_records, (), _plan),
    "sft": Stage(partial(fine_tune, "sft"), ("records",), partial(_fine_tuning, "sft")),
    "init": Stage(partial(fine_tune, "init"), ("records",), partial(_fine_tuning, "init")),
    "round_1": Stage(partial(label, 1, {"sft": 1.0}), ("sft",), _plan),
    "reward_1": Stage(partial(learn_reward, ("round_1",)), ("round_1",), _reward),
    "ppo_1": Stage(partial(reinforce, first, "reward_1"), ("reward_1", "init"), first),
    "gold": Stage(partial(reinforce, unmixed, "gold"), ("reward_1", "init"), unmixed),
    "round_2": Stage(partial(label, 2, {"ppo_1": 0.65, "sft": 0.35}), ("ppo_1",), _plan),
    "reward": Stage(partial(learn_reward, ("round_1", "round_2")), ("round_2",), _reward),
    "ppo_ptx": Stage(partial(reinforce, mixed, "reward"), ("reward", "init"), mixed),
    "ppo": Stage(partial(reinforce, unmixed, "reward"), ("reward", "init"), unmixed),
    **{
        f"answers_{name}": Stage(
            partial(evaluation.answers, name), ("records" if name in ("base", "prompted") else name,), _plan
        )
        for name in POLICIES
    },
    "panel": Stage(evaluation.panel, ("reward",), _plan),
    "comparison": Stage(
        partial(evaluation.compare, POLICIES), ("panel", *(f"answers_{name}" for name in POLICIES)), _plan
    ),
}
