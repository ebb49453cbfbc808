"""Records to token ids, and the length filter: what is too long is left out with a reason, here and nowhere earlier.

The paper filters at training time (appendix A, tables 9 to 11 show raw lengths beyond the limits), so that the records
stay whole and another limit needs no new data.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from assent import records
from assent.engine.batches import RankingBatch, TextBatch, Tokens
from assent.engine.text import Limits, Text

T = TypeVar("T")


class TextItem(NamedTuple):
    """A prompt and what is learned after it."""

    prompt: Tokens
    response: Tokens


class RankingItem(NamedTuple):
    """A prompt, its responses, their ranks, and the record they come from."""

    prompt: Tokens
    responses: tuple[Tokens, ...]
    ranks: Tensor
    record: records.Ranking


class PromptItem(NamedTuple):
    """A prompt and the record it comes from."""

    prompt: Tokens
    record: records.Prompt


@dataclass(frozen=True)
class Encoded(Generic[T]):
    """Items, and the rows that were left out, each with its id and reason."""

    items: list[T]
    rejected: list[dict[str, Any]]


def prompts(text: Text, rows: Iterable[records.Prompt], limits: Limits) -> Encoded[PromptItem]:
    """Prompts short enough to be answered."""
    found: Encoded[PromptItem] = Encoded([], [])
    for row in rows:
        ids = text.prompt(row.messages)
        if reason := _too_long("prompt", len(ids), limits.prompt):
            found.rejected.append(_rejection(row.id, "prompt", reason))
        else:
            found.items.append(PromptItem(ids, row))
    return found


def demonstrations(text: Text, rows: Sequence[records.Demonstration], limits: Limits) -> Encoded[TextItem]:
    """Demonstrations within the limits; a response is learned with the end-of-turn token after it."""
    found: Encoded[TextItem] = Encoded([], [])
    for row, response in zip(rows, text.responses([row.response for row in rows]), strict=True):
        prompt = text.prompt(row.prompt.messages)
        if reason := _over_limits(prompt, response, limits):
            found.rejected.append(_rejection(row.id, "response", reason))
        else:
            found.items.append(TextItem(prompt, response))
    return found


def rankings(text: Text, rows: Iterable[records.Ranking], limits: Limits) -> Encoded[RankingItem]:
    """Rankings with at least one ordered pair among the responses that are short enough."""
    found: Encoded[RankingItem] = Encoded([], [])
    for row in rows:
        prompt = text.prompt(row.prompt.messages)
        kept: list[tuple[Tensor, int]] = []
        for number, (response, rank) in enumerate(zip(row.responses, row.ranks, strict=True)):
            ids = text.response(response.text, ended=response.finish != "length")
            reason = _over_limits(prompt, ids, limits) if len(ids) else "the response is empty and unfinished"
            if reason:
                found.rejected.append(_rejection(row.id, f"responses[{number}]", reason))
            else:
                kept.append((ids, rank))
        if len({rank for _, rank in kept}) < 2:
            reason = (
                "fewer than two responses are left" if len(kept) < 2 else "all responses are tied: no pair to learn"
            )
            found.rejected.append(_rejection(row.id, "ranks", reason))
        else:
            ranks = torch.tensor([rank for _, rank in kept])
            found.items.append(RankingItem(prompt, tuple(ids for ids, _ in kept), ranks, row))
    return found


def documents(text: Text, rows: Iterable[records.Document], context: int) -> list[TextItem]:
    """Pretraining text in pieces of `context` tokens, learned from the second token on."""
    return [TextItem(ids[:1], ids[1:]) for ids in text.chunks((row.text for row in rows), context)]


def text_batch(items: Sequence[TextItem]) -> TextBatch:
    """Items as a batch."""
    return TextBatch(tuple(item.prompt for item in items), tuple(item.response for item in items))


def ranking_batch(items: Sequence[RankingItem]) -> RankingBatch:
    """Rankings as a batch."""
    prompts_, responses, ranks, _ = zip(*items, strict=True)
    return RankingBatch(prompts_, responses, ranks)


def fitting(limits: Limits, positions: int | None) -> Limits:
    """The limits, refused when the model has fewer positions than they ask for."""
    if positions is not None and limits.context > positions:
        raise ValueError(
            f"limits.context is {limits.context} tokens and the model has {positions} positions; lower limits.context"
        )
    return limits


def within(limits: Limits, positions: int | None) -> Limits:
    """The limits brought down to a model's positions: for sampling, where the user has not asked for a length.

    The answer keeps at most half of the positions, so that something is left for the prompt.
    """
    context = min(limits.context, positions or limits.context)
    response = min(limits.response, max(1, context // 2))
    return Limits(prompt=min(limits.prompt, context - response), response=response, context=context)


def _too_long(what: str, length: int, limit: int) -> str:
    return f"the {what} has {length} tokens, the limit is {limit}" if length > limit else ""


def _over_limits(prompt: Tokens, response: Tokens, limits: Limits) -> str:
    both = len(prompt) + len(response)
    return (
        _too_long("prompt", len(prompt), limits.prompt)
        or _too_long("response", len(response), limits.response)
        or _too_long("prompt with its response", both, limits.context)
    )


def _rejection(identity: str, field: str, reason: str) -> dict[str, Any]:
    return {"id": identity, "field": field, "reason": reason}
