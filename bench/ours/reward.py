"""The reward model: `assent.train.reward`. With `--shared 0` every response is read with a prompt of its own."""

from collections.abc import Mapping

from torch import Tensor

from assent.engine.batches import Batch, RankingBatch, TextBatch
from assent.engine.learner import Optimiser
from assent.engine.machine import Machine
from assent.engine.models import ScalarModel
from assent.engine.stream import Stream
from assent.train import reward
from bench import ASSETS
from bench.assets import LIMITS, SEED, read
from bench.ours.common import arguments, in_turns
from bench.work import RANKINGS, RATES


class Unshared(ScalarModel):
    """A reward model that reads a prompt again for each of its responses: one branch a tree."""

    def score(self, batch: Batch) -> Tensor:
        """The scores of a batch."""
        if isinstance(batch, RankingBatch):
            pairs = [(p, one) for p, group in zip(batch.prompts, batch.responses, strict=True) for one in group]
            batch = TextBatch(tuple(prompt for prompt, _ in pairs), tuple(one for _, one in pairs))
        return super().score(batch)


def main() -> None:
    """Train in turns."""
    asked = arguments()
    model = (ScalarModel if asked.shared else Unshared).fresh(ASSETS / f"{asked.model}-policy", Machine(), seed=SEED)
    items = read(model.text, "rankings", "demonstrations")
    config = reward.RewardConfig(
        epochs=2,
        batch=RANKINGS,
        optimiser=Optimiser(learning_rate=RATES["reward"]),
        final_learning_rate=1.0,
        limits=LIMITS,
        seed=SEED,
    )
    stream = Stream(items["rankings"], RANKINGS, SEED)

    def count(step: int, logged: Mapping[str, float]) -> tuple[float, int]:
        return RANKINGS, sum(len(item.prompt) + sum(map(len, item.responses)) for item in stream[step])

    in_turns(config, lambda run: reward.train(config, run, model, items["rankings"], items["demonstrations"]), count)


if __name__ == "__main__":
    main()
