"""PPO: the PPOTrainer of TRL 1.12, with its three phases timed by stamps around its own functions.

All 64 prompts are one batch with `gradient_accumulation_steps` 1: with more, TRL counts the micro-batches of the whole
batch together and makes one optimiser step where 8 minibatches ask for eight.
"""

import time
from typing import Any

import torch
import trl.experimental.ppo.ppo_trainer as trainer_module
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from bench.peer.common import Turn, asked, trainer_options
from bench.turns import Steps, Turns
from bench.work import KL_COEF, MINIBATCHES, PROMPTS, RATES, RESPONSE, tokens


class Stamped:
    """Puts time stamps around generation, scoring (three forwards and the advantages) and the update."""

    def __init__(self, steps: Steps, end: int) -> None:
        self.steps, self.end = steps, end
        self.mark, self.responses = 0.0, 0
        self.generate, self.whiten = trainer_module.batch_generation, trainer_module.masked_whiten
        trainer_module.batch_generation, trainer_module.masked_whiten = self.batch_generation, self.masked_whiten

    def batch_generation(self, model: Any, queries: torch.Tensor, *arguments: Any, **more: Any) -> Any:
        """TRL's, timed; the tokens of the responses are counted."""
        self.mark = time.perf_counter()
        found = self.generate(model, queries, *arguments, **more)
        self._phase("rollout")
        ended = (found[0][:, queries.shape[1] :] == self.end).cumsum(1) > 0
        self.responses = int((~ended).sum() + ended.any(1).sum())
        return found

    def masked_whiten(self, *arguments: Any, **more: Any) -> Any:
        """TRL's; it is what scoring ends with."""
        found = self.whiten(*arguments, **more)
        self._phase("scoring")
        return found

    def updated(self) -> None:
        """The minibatches are done."""
        self._phase("update")

    def _phase(self, name: str) -> None:
        now = time.perf_counter()
        self.steps.phase(name, now - self.mark)
        self.mark = now


class Counted(Turn):
    """Counts episodes at the end of an iteration."""

    def __init__(self, steps: Steps, stamps: Stamped) -> None:
        super().__init__(steps)
        self.stamps = stamps

    def on_step_end(self, *arguments: Any, **more: Any) -> None:
        """Count, report and wait."""
        self.stamps.updated()
        self.steps.count(PROMPTS, self.stamps.responses)
        super().on_step_end(*arguments, **more)


def main() -> None:
    """Train in turns."""
    how = asked()
    prompts: list[list[int]] = tokens("prompts")

    def model() -> Any:
        return AutoModelForCausalLM.from_pretrained(how.directory("policy"), dtype=torch.float32)

    def judge() -> Any:
        return AutoModelForSequenceClassification.from_pretrained(how.directory("reward"), dtype=torch.float32)

    config = trainer_module.PPOConfig(
        **trainer_options(how.options),
        per_device_train_batch_size=PROMPTS,
        gradient_accumulation_steps=1,
        num_mini_batches=MINIBATCHES,
        num_ppo_epochs=1,
        total_episodes=PROMPTS * 10_000,
        response_length=RESPONSE,
        stop_token="eos",
        temperature=1.0,
        local_rollout_forward_batch_size=PROMPTS,
        num_sample_generations=0,
        learning_rate=RATES["ppo"],
        lr_scheduler_type="constant",
        kl_coef=KL_COEF,
    )
    steps = Steps(Turns())
    tokenizer = AutoTokenizer.from_pretrained(how.directory("policy"), padding_side="left")
    stamps = Stamped(steps, tokenizer.eos_token_id)
    trainer = trainer_module.PPOTrainer(
        args=config,
        processing_class=tokenizer,
        model=model(),
        ref_model=model(),
        reward_model=judge(),
        value_model=judge(),
        train_dataset=Dataset.from_dict({"input_ids": prompts}),
        callbacks=[Counted(steps, stamps)],
    )
    trainer.train()


if __name__ == "__main__":
    main()
