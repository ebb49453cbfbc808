"""Models and data of the benchmark, by seed: `python -m bench.assets`.

In `.bench/assets`, once for a version of the recipe: a byte-level BPE tokenizer, the two models of `work.SIZES` with
random weights (`3m`, `25m`), the same after a short SFT so that they end their responses (`3m-policy`), reward models
(`3m-reward`), Assent records (`*.jsonl`), and as `*.json` the same data as the ids that Assent makes of the records,
in the order in which its streams deliver them. The peer reads only that, so that both sides see the same tokens.
"""

import fcntl
import json
import shutil
from bisect import bisect
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from assent import records
from assent.engine import encode
from assent.engine.learner import Optimiser
from assent.engine.machine import Machine, keep_memory
from assent.engine.models import LanguageModel, ScalarModel
from assent.engine.stream import Stream
from assent.engine.text import Limits, Text, quiet_transformers
from assent.run import Run, atomically
from assent.train import sft
from bench import ASSETS, HOME
from bench.corpus import prose
from bench.work import BATCH, CONTEXT, COUNTS, RANKINGS, SIZES, VOCABULARY, K, Size

VERSION = 2  # of this recipe; assets of another version are made anew
SEED = 0
END, PAD = "<|endoftext|>", "<|pad|>"
TEMPLATE = "{% for message in messages %}{{ message['content'] }}\n\n{% endfor %}"
# Tokens, lognormal: mean, sigma of the logarithm, least, most.
PROMPT, RESPONSE = (40, 0.6, 4, 120), (60, 0.7, 4, 240)
SHARED = 0.5  # sigma that the responses of one ranking have in common, and the sigma of each around it
LIMITS = Limits(prompt=128, response=256, context=CONTEXT)
WARM = {"3m": 120, "25m": 60}  # updates after which a third to a half of the responses end within 48 tokens


def create_tokenizer(text: str, directory: Path, vocabulary: int = VOCABULARY) -> None:
    """Train a byte-level BPE tokenizer on the lines of a text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=[END, PAD], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(text.splitlines(), trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, pad_token=PAD)
    fast.chat_template = TEMPLATE
    fast.save_pretrained(directory)


def create_model(size: Size, directory: Path, vocabulary: int = VOCABULARY) -> None:
    """Write a model with random weights beside its tokenizer."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(SEED)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=size.hidden,
        intermediate_size=size.inter,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=0,
        pad_token_id=1,
    )
    LlamaForCausalLM(config).save_pretrained(directory)


class Cutter:
    """Cuts pieces of a wanted number of tokens out of a text; each begins with a word."""

    def __init__(self, text: str, tokenizer: Any, seed: int) -> None:
        self.tokenizer = tokenizer
        self.random = np.random.default_rng(seed)
        self.ids = tokenizer(text.replace("\n", " "), add_special_tokens=False)["input_ids"]
        tokens = tokenizer.convert_ids_to_tokens(self.ids)
        self.starts = [place for place, token in enumerate(tokens) if token[0] == "Ġ" and token[1:2].isalpha()]

    def length(self, kind: tuple[float, float, int, int], shift: float = 0.0) -> int:
        """A number of tokens; `shift` is added to the logarithm."""
        mean, sigma, least, most = kind
        size = np.exp(np.log(mean) - sigma**2 / 2 + shift + sigma * self.random.standard_normal())
        return int(np.clip(round(size), least, most))

    def piece(self, length: int) -> str:
        """A piece of about so many tokens."""
        fitting = bisect(self.starts, len(self.ids) - length)
        place = self.starts[self.random.integers(fitting)]
        return self.tokenizer.decode(self.ids[place : place + length]).strip()

    def prompt(self, kind: str, number: int) -> records.Prompt:
        """A prompt record."""
        message = records.Message("user", self.piece(self.length(PROMPT)))
        return records.Prompt(id=f"{kind}-{number}", messages=(message,), source="bench")

    def ranking(self, number: int) -> records.Ranking:
        """K responses, ranked by their share of words that end in -ing or -ed, with a little noise."""
        mean, _, least, most = RESPONSE
        shift = SHARED * self.random.standard_normal() - SHARED**2 / 2  # the mean stays
        texts = [self.piece(self.length((mean, SHARED, least, most), shift)) for _ in range(K)]
        shares = [sum(word.endswith(("ing", "ed")) for word in text.split()) / len(text.split()) for text in texts]
        order = np.argsort(-(np.array(shares) + 0.02 * self.random.standard_normal(K)))
        return records.Ranking(
            id=f"ranking-{number}",
            prompt=self.prompt("ranking", number),
            responses=tuple(records.Response(text=text) for text in texts),
            ranks=tuple(int(rank) for rank in np.argsort(order) + 1),
            source="bench",
        )

    def demonstration(self, number: int) -> records.Demonstration:
        """A prompt and a response."""
        prompt, response = self.prompt("demonstration", number), self.piece(self.length(RESPONSE))
        return records.Demonstration(id=prompt.id, prompt=prompt, response=response, source="bench")


Data = dict[str, list[Any]]


def create_data(text: str, tokenizer: Any, counts: Mapping[str, int] = COUNTS, seed: int = SEED) -> Data:
    """Records of every kind."""
    cutter = Cutter(text, tokenizer, seed)
    return {
        "demonstrations": [cutter.demonstration(number) for number in range(counts["demonstrations"])],
        "rankings": [cutter.ranking(number) for number in range(counts["rankings"])],
        "prompts": [cutter.prompt("prompt", number) for number in range(counts["prompts"])],
    }


def encoded(text: Text, data: Mapping[str, Iterable[Any]]) -> Data:
    """The records as Assent's items. Raises ValueError when one does not fit."""
    make: dict[str, Any] = {
        "demonstrations": encode.demonstrations,
        "rankings": encode.rankings,
        "prompts": encode.prompts,
    }
    found = {kind: make[kind](text, list(rows), LIMITS) for kind, rows in data.items()}
    for kind, rows in found.items():
        if rows.rejected:
            raise ValueError(f"{kind}: {rows.rejected[0]}; lengths in bench/assets.py and its LIMITS disagree")
    return {kind: rows.items for kind, rows in found.items()}


def as_delivered(items: list[Any], batch: int) -> list[Any]:
    """One pass over the items in the order of Assent's stream."""
    stream = Stream(items, batch, SEED)
    return [item for step in range(len(items) // batch) for item in stream[step]]


def as_ids(items: Data) -> dict[str, list[Any]]:
    """What the peer reads."""
    demonstrations = as_delivered(items["demonstrations"], BATCH)
    rankings = as_delivered(items["rankings"], RANKINGS)
    return {
        "demonstrations": [[item.prompt.tolist(), item.response.tolist()] for item in demonstrations],
        "rankings": [
            [item.prompt.tolist(), [one.tolist() for one in item.responses], item.ranks.tolist()] for item in rankings
        ],
        "prompts": [item.prompt.tolist() for item in items["prompts"]],
    }


def read(text: Text, *wanted: str) -> Data:
    """The items of the records on disk, of the kinds that are wanted: what a job does not need takes no memory."""
    kinds = {"demonstrations": records.Demonstration, "rankings": records.Ranking, "prompts": records.Prompt}
    return encoded(text, {name: list(records.read(ASSETS / f"{name}.jsonl", kinds[name])) for name in wanted})


def warm(name: str) -> None:
    """The policy of a size, by a short SFT, and a reward model with its trunk."""
    base, steps = ASSETS / name, WARM[name]
    policy = LanguageModel.load(base, Machine())
    items = read(policy.text, "demonstrations")["demonstrations"]
    config = sft.SFTConfig(
        epochs=steps * BATCH / len(items), optimiser=Optimiser(learning_rate=1e-3), residual_dropout=0.0, limits=LIMITS
    )
    with Run.open(ASSETS / f"{name}-run", "sft", config, {"model": base}, save_every=20, quiet=True) as run:
        if not run.finished:
            sft.train(config, run, policy, items)
    reward = ScalarModel.fresh(run.model, Machine(), seed=SEED)
    reward.calibrate(0.0)
    shutil.copytree(run.model, ASSETS / f"{name}-policy", dirs_exist_ok=True)
    with atomically(ASSETS / f"{name}-reward") as temporary:
        temporary.mkdir()
        reward.save(temporary)
    shutil.rmtree(run.directory)


def create() -> None:
    """Make what is not there."""
    version = ASSETS / "version"
    if not version.exists() or version.read_text() != str(VERSION):
        shutil.rmtree(ASSETS, ignore_errors=True)
        ASSETS.mkdir()
        version.write_text(str(VERSION))
    if not (ASSETS / "prompts.json").exists():
        print("writing text, models and data to .bench/assets", flush=True)
        create_blank()
    for name in SIZES:
        if not (ASSETS / f"{name}-reward").exists():
            print(f"warming the {name} model up", flush=True)
            warm(name)


def create_blank() -> None:
    """Models with random weights, and the data."""
    text = prose()
    for name, size in SIZES.items():
        create_tokenizer(text, ASSETS / name)
        create_model(size, ASSETS / name)
    rows = Text.load(ASSETS / "3m")
    for kind, data in create_data(text, rows.tokenizer).items():
        (ASSETS / f"{kind}.jsonl").unlink(missing_ok=True)  # records are appended to what a killed run left
        records.write(ASSETS / f"{kind}.jsonl", data)
    for kind, ids in as_ids(read(rows, *COUNTS)).items():
        with atomically(ASSETS / f"{kind}.json") as temporary:
            temporary.write_text(json.dumps(ids))


def main() -> None:
    """Entry point; one process at a time, the others wait."""
    quiet_transformers()
    keep_memory()
    HOME.mkdir(exist_ok=True)
    with (HOME / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        create()


if __name__ == "__main__":
    main()
