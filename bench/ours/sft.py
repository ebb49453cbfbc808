"""SFT: `assent.train.sft`."""

from collections.abc import Mapping

from assent.engine.learner import Optimiser
from assent.engine.machine import Machine
from assent.engine.models import LanguageModel
from assent.engine.stream import Stream
from assent.train import sft
from bench import ASSETS
from bench.assets import LIMITS, SEED, read
from bench.ours.common import arguments, in_turns
from bench.work import BATCH, RATES


def main() -> None:
    """Train in turns."""
    policy = LanguageModel.load(ASSETS / arguments().model, Machine())
    items = read(policy.text, "demonstrations")["demonstrations"]
    config = sft.SFTConfig(
        epochs=2,
        batch=BATCH,
        optimiser=Optimiser(learning_rate=RATES["sft"]),
        final_learning_rate=1.0,
        residual_dropout=0.0,
        limits=LIMITS,
        seed=SEED,
    )
    stream = Stream(items, BATCH, SEED)

    def count(step: int, logged: Mapping[str, float]) -> tuple[float, int]:
        tokens = sum(len(item.prompt) + len(item.response) for item in stream[step])
        return tokens, tokens

    in_turns(config, lambda run: sft.train(config, run, policy, items), count)


if __name__ == "__main__":
    main()
