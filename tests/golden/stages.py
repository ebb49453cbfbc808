"""The first steps of every stage on a blank model: numbers that only a change of meaning moves.

Run as a program (`make golden`) it writes them to golden.json anew.
"""

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import torch

from assent.engine import encode
from assent.engine.models import LanguageModel, ScalarModel
from assent.recipes import Recipe
from assent.run import Run
from assent.train import ppo, reward, sft
from assent.train.rollout import Models
from tests import tiny

PINNED = Path(__file__).with_name("golden.json")
NAMES = (  # of what is logged, what is pinned where it is there
    *("loss", "gradient_norm", "gradient_norm/total", "learning_rate", "pair_accuracy"),
    *("reward", "kl", "response_length", "no_eos", "explained_variance"),
    *("loss/policy", "loss/pretrain", "loss/value", "gradient_norm/policy", "gradient_norm/pretrain"),
    *("gradient_norm/value", "clip_fraction/policy"),
)


def short() -> Recipe:
    """Few steps: rounding, which differs between processors, has no time to grow."""
    long = tiny.recipe()
    return replace(
        long,
        sft=replace(long.sft, epochs=3, batch=4, residual_dropout=0.2),
        init=replace(long.init, epochs=3, batch=4, pretrain_fraction=0.3),
        reward=replace(long.reward, epochs=0.5, batch=9),
        ppo=replace(long.ppo, episodes=48, kl_coef=0.1, missing_eos_penalty=0.5, validate_every=10),
    )


def measure(directory: Path) -> dict[str, dict[str, list[float]]]:
    """Every stage from a blank model in `directory`; what it logged, by stage and name."""
    recipe, blank = short(), directory / "blank"
    tiny.create(blank)
    policy = tiny.model(blank)
    shown = encode.demonstrations(policy.text, tiny.DEMONSTRATIONS, tiny.LIMITS).items
    text = encode.documents(policy.text, tiny.DOCUMENTS, tiny.LIMITS.context)
    for stage, config in (("sft", recipe.sft), ("init", recipe.init)):
        with Run.open(directory / stage, stage, config, {}, quiet=True) as run:
            sft.train(config, run, tiny.model(blank), shown, text)
    judge = ScalarModel.fresh(blank, tiny.MACHINE, seed=1)
    ranked = encode.rankings(judge.text, tiny.RANKINGS, tiny.LIMITS).items
    with Run.open(directory / "reward", "reward", recipe.reward, {}, quiet=True) as run:
        reward.train(recipe.reward, run, judge, ranked, shown)
    start = Models.start(
        LanguageModel.load(directory / "init" / "model", tiny.MACHINE),
        ScalarModel.load(directory / "reward" / "model", tiny.MACHINE),
        ScalarModel.load(directory / "reward" / "model", tiny.MACHINE),
    )
    asked = encode.prompts(start.policy.text, tiny.PROMPTS, tiny.LIMITS).items
    with Run.open(directory / "ppo", "ppo", recipe.ppo, {}, quiet=True) as run:
        ppo.train(recipe.ppo, run, start, asked, text)
    return {stage: _logged(directory / stage) for stage in ("sft", "init", "reward", "ppo")}


def _logged(directory: Path) -> dict[str, list[float]]:
    rows = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    return {name: [float(f"{row[name]:.6g}") for row in rows] for name in NAMES if name in rows[0]}


def main() -> None:
    """Write the pinned numbers."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        PINNED.write_text(json.dumps(measure(Path(temporary)), indent=1) + "\n")


if __name__ == "__main__":
    main()
