"""SFT: TRL's SFTTrainer on demonstrations that are token ids already."""

from typing import Any

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer

from bench.peer.common import Turn, asked, in_order, trainer_options
from bench.turns import Steps, Turns
from bench.work import BATCH, CONTEXT, RATES, tokens

ROWS = 6  # of 512 tokens, when documents are packed: about the tokens of 32 demonstrations


class Counted(SFTTrainer):
    """Counts the tokens that every step is given, without padding."""

    steps: Steps

    def training_step(self, model: Any, inputs: dict[str, Any], *rest: Any, **more: Any) -> torch.Tensor:
        """A step."""
        mask = inputs.get("attention_mask")
        real = inputs["input_ids"].numel() if mask is None else int(mask.sum())
        loss = super().training_step(model, inputs, *rest, **more)
        self.steps.count(real, real, float(loss))
        return loss


def main() -> None:
    """Train in turns."""
    how = asked()
    packing: dict[str, Any] = {}
    if how.options.packing in ("bfd", "wrapped"):
        packing = {"packing": True, "packing_strategy": how.options.packing, "per_device_train_batch_size": ROWS}
    if how.options.packing == "bylen":
        packing = {"train_sampling_strategy": "group_by_length"}
    sizes = {"per_device_train_batch_size": BATCH, "max_length": CONTEXT}
    config = SFTConfig(**(trainer_options(how.options) | in_order(RATES["sft"]) | sizes | packing))
    rows = [
        {"input_ids": prompt + response, "labels": [-100] * len(prompt) + response}
        for prompt, response in tokens("demonstrations")
    ]
    steps = Steps(Turns())
    trainer = Counted(
        model=AutoModelForCausalLM.from_pretrained(how.directory(), dtype=torch.float32),
        args=config,
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(how.directory()),
        callbacks=[Turn(steps)],
    )
    trainer.steps = steps
    trainer.train()


if __name__ == "__main__":
    main()
