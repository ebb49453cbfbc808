"""What a task is: how a row becomes an item, what the model is asked, and what is measured on what it says.

A task is data: one frozen `Task`, which names its prompt types and its metric and computes nothing. A prompt is
`[preamble] + [examples] + [the item's query]`, as appendix D has it, and the model goes on from there.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from assent.data.turns import RowError

Form = Literal["choose", "last_word", "write"]
"""choose: log-probabilities of given completions. last_word: of one, and whether it is the likeliest. write: a text."""


@dataclass(frozen=True, kw_only=True)
class Item:
    """One question of a task.

    query: the item's own part of the prompt. answer: what stands after it in an example. choices: completions, each
    with the space that parts it from the prompt. right: numbers of those that are right. references: right answers as
    texts. group: what shares chance with it, such as a passage; "" is the item alone. facts: what the metric or a
    breakdown needs beside. rows: how many rows of the file it was made of.
    """

    id: str
    query: str = ""
    answer: str = ""
    choices: tuple[str, ...] = ()
    right: tuple[int, ...] = ()
    references: tuple[str, ...] = ()
    group: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])
    rows: int = 1


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a model made of an item.

    text, finish: what it wrote, and whether it ended it (`eos`) or was cut (`line`, `length`). sums: the
    log-probability of each choice in nats; lengths: their tokens. greedy: whether a last word was the likeliest.
    cut: whether the prompt lost its beginning, because the model has fewer positions.
    """

    text: str = ""
    finish: str = ""
    sums: tuple[float, ...] = ()
    lengths: tuple[int, ...] = ()
    greedy: bool = False
    cut: bool = False


class Scorer(Protocol):
    """Gives texts a number in [0, 1]; `name` says which scorer it is, `key` what its numbers depend on."""

    name: str
    key: str

    def scores(self, pairs: Sequence[tuple[str, str]]) -> list[float | None]:
        """A number for each (prompt, answer); None where there is none, such as an unknown verdict."""
        ...

    def failures(self) -> list[str]:
        """Why there was none, as sentences."""
        ...


@dataclass(frozen=True)
class Instruments:
    """What measures texts that no reference can measure; None where the user has none."""

    toxicity: Scorer | None = None
    truth: Scorer | None = None
    info: Scorer | None = None


Scores = list[dict[str, float]]
Measure = Callable[[Sequence[Item], Sequence[Outcome], Instruments], Scores]
"""The values of each item by metric; a metric that an item lacks is a gap, and is counted."""


@dataclass(frozen=True)
class PromptType:
    """A way to ask: what stands before everything, and how many examples."""

    name: str
    preamble: str = ""
    shots: int = 0


class Unused(Exception):  # noqa: N818 - not an error
    """Raised by a reader: the row is whole, and is not part of this task; says why."""


Reader = Callable[["Fields"], Item]
Gather = Callable[[list[Item]], tuple[list[Item], list[tuple[Item, str]]]]
"""Items of single rows to items, and those that no item could be made of, each with the reason."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """A public task or a probe.

    version: counts up when prompts or items change, so that nothing cached is mistaken for new. files: names it may
    have in a folder, the first found is read. pool: of a file with examples; without one, examples are held out.
    headline: the metric that stands for the task; better: whether more or less of it is. paper: metric -> the name of
    its row in Table 14. percent: the paper prints a percentage. corpus: a metric of all texts together, beside
    `measure`. chat: a person asks, so that a model with a chat template is asked through it; the paper's own tasks are
    texts to go on with.
    """

    name: str
    version: int = 1
    title: str
    form: Form
    files: tuple[str, ...]
    read: Reader
    measure: Measure
    headline: str
    prompts: tuple[PromptType, ...] = (PromptType("zero"),)
    unfold: Callable[[Mapping[str, Any]], Iterable[Mapping[str, Any]]] = lambda row: (row,)
    gather: Gather = lambda items: (items, [])
    ask: Callable[[Item, PromptType], str] = lambda item, kind: item.query
    pool: tuple[str, ...] = ()
    chat: bool = False
    separator: str = "\n\n"
    stop: str = "\n"
    limit: int = 64
    corpus: Literal["", "bleu"] = ""
    needs: tuple[str, ...] = ()
    paper: Mapping[str, str] = field(default_factory=dict[str, str])
    paper_n: int = 0
    percent: bool = False
    better: Literal["higher", "lower"] = "higher"
    departure: str = ""


def prompt(task: Task, kind: PromptType, examples: Sequence[Item], item: Item) -> str:
    """The text that the model goes on with."""
    shown = [task.ask(one, kind) + one.answer for one in examples]
    before = "".join(part + task.separator for part in (kind.preamble, *shown) if part)
    return before + task.ask(item, kind)


def examples(kind: PromptType, pool: Sequence[Item], seed: int) -> list[Item]:
    """The examples of a prompt type: the same for every item, one a group, drawn from the pool by a hash."""

    def place(item: Item) -> bytes:
        return hashlib.sha256(f"{seed}|{item.id}".encode()).digest()

    chosen: dict[str, Item] = {}
    for item in sorted((one for one in pool if one.answer), key=place):
        chosen.setdefault(item.group or item.id, item)
        if len(chosen) >= kind.shots:
            break
    return list(chosen.values())[: kind.shots]


def each(value: Callable[[Item, Outcome], dict[str, float]]) -> Measure:
    """The measure that looks at one item at a time and needs no instrument."""

    def measure(items: Sequence[Item], outcomes: Sequence[Outcome], _: Instruments) -> Scores:
        return [value(item, outcome) for item, outcome in zip(items, outcomes, strict=True)]

    return measure


# -- rows ----------------------------------------------------------------------------------------------------------


class Fields:
    """A row of a file, whose fields may have one of several names. Raises RowError that names the field."""

    def __init__(self, row: Mapping[str, Any], line: int) -> None:
        self.row, self.line = row, line

    def get(self, *names: str) -> Any:
        """The first of the fields that the row has."""
        for name in names:
            if self.row.get(name) is not None:
                return self.row[name]
        also = f" (or {', '.join(names[1:])})" if names[1:] else ""
        raise RowError(names[0], f"missing{also}; name the column so, or leave the row out")

    def has(self, *names: str) -> bool:
        """Whether the row has one of the fields."""
        return any(self.row.get(name) is not None for name in names)

    def words(self, *names: str) -> str:
        """A text, which may be blank."""
        value = self.get(*names)
        if not isinstance(value, str):
            raise RowError(names[0], f"a text was expected, not {type(value).__name__}; write it in quotes")
        return value

    def text(self, *names: str) -> str:
        """A text that is not blank."""
        value = self.words(*names)
        if not value.strip():
            raise RowError(names[0], "empty; give it a text, or leave the row out")
        return value

    def listed(self, *names: str) -> list[str]:
        """A list of texts as it stands; a text alone counts as a list of one."""
        value = self.get(*names)
        for inner in ("text", "spans"):  # SQuAD and DROP as tables: {"text": [...], "answer_start": [...]}
            if isinstance(value, Mapping) and isinstance(value.get(inner), list):
                value = value[inner]
        found = [value] if isinstance(value, str) else value
        if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
            raise RowError(names[0], 'a list of texts was expected; write ["..."]')
        return found

    def texts(self, *names: str) -> tuple[str, ...]:
        """At least one text that is not blank, each once."""
        kept = tuple(dict.fromkeys(one.strip() for one in self.listed(*names) if one.strip()))
        if not kept:
            raise RowError(names[0], "no reference is left; give at least one that is not empty")
        return kept

    def whole(self, *names: str) -> int:
        """A whole number, also one written as a text."""
        value = self.get(*names)
        if isinstance(value, bool) or not isinstance(value, int | str) or not str(value).strip().isdigit():
            raise RowError(names[0], f"a whole number was expected, not {value!r}; correct the row")
        return int(value)

    def identity(self, prefix: str) -> str:
        """The id of the row, or one made of its line."""
        for name in ("id", "ind", "idx", "qid", "sentid", "query_id"):
            if isinstance(self.row.get(name), str | int):
                return str(self.row[name])
        return f"{prefix}-{self.line}"
