"""What a language model thinks of texts: its loss on them, and which of several endings it finds likeliest."""

from collections.abc import Sequence

import torch

from assent.engine.batches import TextBatch, Tokens
from assent.engine.encode import TextItem, text_batch
from assent.engine.models import LanguageModel
from assent.objectives import sequence_sums
from assent.statistics import Interval, bootstrap_interval


@torch.no_grad()
def corpus_loss(model: LanguageModel, documents: Sequence[TextItem]) -> Interval:
    """Mean loss per token, in nats; the interval draws whole pieces of text."""
    batch = text_batch(documents)
    lengths = batch.lengths
    losses = -sequence_sums(model.logprobs(batch), lengths) / lengths
    return bootstrap_interval(
        torch.repeat_interleave(losses, lengths).numpy(), torch.repeat_interleave(torch.arange(len(batch)), lengths)
    )


@torch.no_grad()
def chosen(model: LanguageModel, questions: Sequence[tuple[Tokens, Sequence[Tokens]]]) -> list[int]:
    """For each text and its possible endings the number of the ending with the highest log-probability."""
    flat = [(text, ending) for text, endings in questions for ending in endings]
    batch = TextBatch(tuple(text for text, _ in flat), tuple(ending for _, ending in flat))
    sums = sequence_sums(model.logprobs(batch), batch.lengths)
    return [int(part.argmax()) for part in sums.split([len(endings) for _, endings in questions])]
