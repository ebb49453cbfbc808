"""Step 0, for those who have no base model: a small one from scratch on plain text, tokenizer and weights."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch

from assent.engine.text import quiet_transformers

END = "<|endoftext|>"


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The size of a Llama-shaped model."""

    vocabulary: int = 4096
    width: int = 256
    layers: int = 4
    heads: int = 4
    context: int = 512
    seed: int = 0


def create(shape: Shape, texts: Iterable[str], directory: Path) -> None:
    """Train a byte-level BPE tokenizer on the texts and write it with a freshly initialised model."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    quiet_transformers()
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=shape.vocabulary, special_tokens=[END], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END).save_pretrained(directory)
    torch.manual_seed(shape.seed)
    LlamaForCausalLM(
        LlamaConfig(
            vocab_size=shape.vocabulary,
            hidden_size=shape.width,
            intermediate_size=4 * shape.width,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            max_position_embeddings=shape.context,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=0,
        )
    ).save_pretrained(directory)
