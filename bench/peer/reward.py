"""The reward model: TRL's RewardTrainer, which knows pairs: a ranking of K responses is its K(K-1)/2 pairs.

The pairs of a ranking stay together, so that a step has the same rankings as Assent's and one ranking's pairs are one
part of the batch, as the paper asks.
"""

from itertools import combinations
from typing import Any

import torch
from datasets import Dataset
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from trl import RewardConfig, RewardTrainer

from bench.peer.common import Turn, asked, in_order, trainer_options
from bench.turns import Steps, Turns
from bench.work import CONTEXT, RANKINGS, RATES, K, tokens

PAIRS = K * (K - 1) // 2


class Counted(RewardTrainer):
    """Counts the rankings that every step is given."""

    steps: Steps

    def training_step(self, model: Any, inputs: dict[str, Any], *rest: Any, **more: Any) -> torch.Tensor:
        """A step."""
        rankings, real = len(inputs["input_ids"]) / 2 / PAIRS, int(inputs["attention_mask"].sum())
        loss = super().training_step(model, inputs, *rest, **more)
        self.steps.count(rankings, real, float(loss))
        return loss


def pairs() -> list[dict[str, list[int]]]:
    """The chosen and the rejected side of every pair, ranking after ranking."""
    rows: list[dict[str, list[int]]] = []
    for prompt, responses, ranks in tokens("rankings"):
        for i, j in combinations(range(K), 2):
            better, worse = (i, j) if ranks[i] < ranks[j] else (j, i)
            rows.append({"chosen_ids": prompt + responses[better], "rejected_ids": prompt + responses[worse]})
    return rows


def main() -> None:
    """Train in turns."""
    how = asked()
    sizes = {"per_device_train_batch_size": PAIRS * RANKINGS, "max_length": CONTEXT}
    steps = Steps(Turns())
    trainer = Counted(
        model=AutoModelForSequenceClassification.from_pretrained(how.directory("reward"), dtype=torch.float32),
        args=RewardConfig(**(trainer_options(how.options) | in_order(RATES["reward"]) | sizes)),
        train_dataset=Dataset.from_list(pairs()),
        processing_class=AutoTokenizer.from_pretrained(how.directory("reward")),
        callbacks=[Turn(steps)],
    )
    trainer.steps = steps
    trainer.train()


if __name__ == "__main__":
    main()
