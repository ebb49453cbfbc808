"""What many tasks have in common: items with reference answers, items with one right completion, zero- and few-shot."""

from typing import Any

from assent.evaluate.tasks.task import Fields, Item, PromptType


def zero_and_few(shots: int, preamble: str = "") -> tuple[PromptType, PromptType]:
    """The paper's two prompt types: the same words before everything, without examples and with some."""
    return PromptType("zero", preamble), PromptType("few", preamble, shots)


def referenced(row: Fields, prefix: str, query: str, references: tuple[str, ...], **more: Any) -> Item:
    """An item that is answered in free text; the first reference is its answer where it is an example."""
    return Item(id=row.identity(prefix), query=query, answer=f" {references[0]}", references=references, **more)


def one_of(row: Fields, prefix: str, query: str, choices: tuple[str, ...], right: int) -> Item:
    """An item of whose completions one is right, the one with that number."""
    return Item(id=row.identity(prefix), query=query, answer=choices[right], choices=choices, right=(right,))
