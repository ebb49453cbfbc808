"""Decoding: transformers' `generate`, as TRL's PPO calls it or better, and its continuous batching."""

from collections.abc import Callable
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from bench.peer.common import Asked, asked
from bench.turns import Steps, Turns
from bench.work import RESPONSE, tokens

Tokens = list[list[int]]  # of the responses, each to its end


class Decoder:
    """A model and the prompts it answers, padded on the left."""

    def __init__(self, how: Asked) -> None:
        precision = torch.bfloat16 if how.options.bf16 else torch.float32
        self.prompts: list[list[int]] = tokens("prompts")
        self.tokenizer = AutoTokenizer.from_pretrained(how.directory("policy"), padding_side="left")
        self.model = AutoModelForCausalLM.from_pretrained(how.directory("policy"), dtype=precision).eval()
        self.end, pad = self.tokenizer.eos_token_id, self.tokenizer.pad_token_id
        padded = self.tokenizer.pad({"input_ids": self.prompts}, return_tensors="pt")
        self.inputs = {"input_ids": padded["input_ids"], "attention_mask": padded["attention_mask"]}
        self.config = GenerationConfig(
            max_new_tokens=RESPONSE,
            do_sample=True,
            temperature=1.0 + 1e-7,  # as TRL's PPO writes it
            top_k=0,
            top_p=1.0,
            eos_token_id=self.end,
            pad_token_id=pad,
        )

    def scores(self) -> Tokens:
        """As TRL's PPO: with the logits of every step, which become log-probabilities later."""
        found = self._generate(return_dict_in_generate=True, output_scores=True)
        torch.stack(found.scores, 1)
        return self._responses(found.sequences)

    def plain(self) -> Tokens:
        """Tokens only."""
        return self._responses(self._generate())

    def static(self) -> Tokens:
        """Tokens only, from a cache of a fixed size."""
        return self._responses(self._generate(cache_implementation="static", disable_compile=True))

    def continuous(self) -> Tokens:
        """By continuous batching over a paged cache."""
        found = self.model.generate_batch(self.prompts, generation_config=self.config, persistent_manager=True)
        return [one.generated_tokens for one in found.values()]

    def _generate(self, **more: Any) -> Any:
        return self.model.generate(**self.inputs, generation_config=self.config, **more)

    def _responses(self, sequences: torch.Tensor) -> Tokens:
        rows: Tokens = sequences[:, self.inputs["input_ids"].shape[1] :].tolist()
        return [row[: row.index(self.end) + 1] if self.end in row else row for row in rows]


def main() -> None:
    """Decode in turns."""
    how = asked()
    decoder, steps = Decoder(how), Steps(Turns())
    once: Callable[[], Tokens] = getattr(decoder, how.options.generate)
    with torch.no_grad():
        while True:
            steps.before()
            real = sum(map(len, once()))
            steps.count(real, real)
            steps.after()


if __name__ == "__main__":
    main()
