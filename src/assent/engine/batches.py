"""Ragged batches: what algorithms see. No padding, no masks; how the engine lays tokens out never shows here."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

Tokens = Int[Tensor, " _"]  # of any length: many stand side by side

B = TypeVar("B", bound="TextBatch")

PER_TOKEN = {"per_token": True}  # metadata of the fields that are flat over the response tokens of the batch


@dataclass(frozen=True)
class TextBatch:
    """Sequences, each a prompt of at least one token and the response that is learned or was sampled.

    prompts, responses: one int64 tensor a sequence; a response is at least one token long.
    Subclasses add tensors with one entry a sequence, or, declared `field(metadata=PER_TOKEN)`, one a token.
    """

    prompts: tuple[Tokens, ...]
    responses: tuple[Tokens, ...]

    def __post_init__(self) -> None:
        assert len(self.prompts) == len(self.responses), "as many prompts as responses"
        assert all(len(ids) for ids in (*self.prompts, *self.responses)), "no prompt and no response is empty"

    def __len__(self) -> int:
        return len(self.prompts)

    @property
    def lengths(self) -> Int[Tensor, " sequences"]:
        """How many tokens each response has."""
        return torch.tensor([len(ids) for ids in self.responses])

    @property
    def sizes(self) -> list[int]:
        """How many tokens each sequence has in all: what a micro-batch is filled by."""
        return [len(p) + len(r) for p, r in zip(self.prompts, self.responses, strict=True)]

    def select(self: B, indices: Sequence[int]) -> B:
        """The batch of the sequences at `indices`, in that order."""
        lengths: list[int] = self.lengths.tolist()

        def chosen(f: "dataclasses.Field[Any]", value: Any) -> Any:
            if f.metadata.get("per_token"):
                parts = value.split(lengths)
                return torch.cat([parts[i] for i in indices])
            return value[list(indices)] if isinstance(value, Tensor) else tuple(value[i] for i in indices)

        return type(self)(**{f.name: chosen(f, getattr(self, f.name)) for f in dataclasses.fields(self)})


@dataclass(frozen=True)
class RankingBatch:
    """Rankings: a prompt, its K responses, and their ranks (1 is best) each."""

    prompts: tuple[Tokens, ...]
    responses: tuple[tuple[Tokens, ...], ...]
    ranks: tuple[Tokens, ...]

    def __len__(self) -> int:
        return len(self.prompts)

    @property
    def lengths(self) -> Int[Tensor, " rankings"]:
        """K of each ranking."""
        return torch.tensor([len(group) for group in self.responses])

    @property
    def sizes(self) -> list[int]:
        """How many tokens each ranking has with its prompt counted once."""
        return [len(p) + sum(map(len, group)) for p, group in zip(self.prompts, self.responses, strict=True)]

    def select(self, indices: Sequence[int]) -> "RankingBatch":
        """The batch of the rankings at `indices`, in that order."""
        return RankingBatch(
            prompts=tuple(self.prompts[i] for i in indices),
            responses=tuple(self.responses[i] for i in indices),
            ranks=tuple(self.ranks[i] for i in indices),
        )


Batch = TextBatch | RankingBatch


@dataclass(frozen=True)
class Sampled(TextBatch):
    """Responses a policy sampled, with the facts about them; ids are as sampled, never edited.

    ended: whether the response ends in the end-of-turn token (finish `eos`) or ran into the limit (`length`).
    logprobs: what the sampler itself saw; training recomputes them with the scorer.
    """

    ended: tuple[bool, ...]
    logprobs: Float[Tensor, " tokens"] = field(metadata=PER_TOKEN)


def micro_batches(sizes: Sequence[int], budget: int) -> list[list[int]]:
    """Split items into groups of at most `budget` tokens (one item may be larger), similar sizes together.

    A function of the sizes alone, whatever the number of processes, so that any world size does the same sums.
    """
    groups: list[list[int]] = []
    filled = budget
    for index in sorted(range(len(sizes)), key=lambda i: (-sizes[i], i)):
        if filled + sizes[index] > budget:
            groups.append([])
            filled = 0
        groups[-1].append(index)
        filled += sizes[index]
    return groups


def in_order(groups: Sequence[Sequence[int]], results: Sequence[Tensor], lengths: Sequence[int]) -> Tensor:
    """Put flat per-group results back into the order of the items; `lengths`: entries each item has."""
    parts: list[Tensor | None] = [None] * len(lengths)
    for group, result in zip(groups, results, strict=True):
        for index, part in zip(group, result.split([lengths[i] for i in group]), strict=True):
            parts[index] = part
    return torch.cat([part for part in parts if part is not None])
