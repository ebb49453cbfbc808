"""PPO: `assent.train.ppo`, without the pretraining mix, which the peer does not have."""

from collections.abc import Mapping

from assent.engine.learner import Optimiser
from assent.engine.machine import Machine
from assent.engine.models import LanguageModel, ScalarModel
from assent.engine.text import Limits
from assent.run import Run
from assent.train import ppo
from assent.train.rollout import Models
from bench import ASSETS
from bench.assets import LIMITS, SEED, read
from bench.ours.common import arguments, in_turns
from bench.work import KL_COEF, MINIBATCHES, PROMPTS, RATES, RESPONSE


def main() -> None:
    """Train in turns."""
    name = arguments().model
    policy = LanguageModel.load(ASSETS / f"{name}-policy", Machine())
    value, judge = (ScalarModel.load(ASSETS / f"{name}-reward", Machine()) for _ in range(2))
    prompts = read(policy.text, "prompts")["prompts"]
    optimiser = Optimiser(learning_rate=RATES["ppo"], epsilon=1e-5)
    config = ppo.PPOConfig(
        episodes=PROMPTS * 10_000,
        batch=PROMPTS,
        minibatch=PROMPTS // MINIBATCHES,
        policy=optimiser,
        value=optimiser,
        kl_coef=KL_COEF,
        pretrain_coef=0.0,
        validate_every=10**9,
        limits=Limits(prompt=LIMITS.prompt, response=RESPONSE, context=LIMITS.context),
        seed=SEED,
    )

    def count(step: int, logged: Mapping[str, float]) -> tuple[float, int]:
        return PROMPTS, round(PROMPTS * logged["response_length"])

    def train(run: Run) -> None:
        ppo.train(config, run, Models.start(policy, value, judge), prompts)

    in_turns(config, train, count)


if __name__ == "__main__":
    main()
