"""What a row says, whatever its layout (`Item`), and the record of each kind that can be made of it."""

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from assent.data.turns import RowError
from assent.records import (
    USE_CASES,
    Demonstration,
    Message,
    Prompt,
    R,
    Ranking,
    Record,
    Response,
    Samples,
)

# names that a fact about a row has in other people's files; the first that is there counts
_NAMES: dict[str, tuple[str, ...]] = {
    "id": ("id", "uid", "uuid", "comparison_id"),
    "prompt_id": ("prompt_id", "question_id"),
    "user": ("user", "user_id", "organization_id"),
    "labeler": ("labeler", "labeler_id", "annotator", "annotator_id", "worker", "worker_id", "author"),
    "guideline": ("guideline",),
    "source": ("source",),
    "licence": ("licence", "license"),
}


@dataclass(frozen=True, kw_only=True)
class Item:
    """A prompt, the responses to it, and perhaps their order: `ranks` (1 best) or `scores` (higher is better).

    Rows that hold one response each carry the `group` they belong to; `joined` makes one item of a group.
    """

    messages: tuple[Message, ...]
    responses: tuple[Response, ...] = ()
    ranks: tuple[int, ...] = ()
    scores: tuple[float, ...] = ()
    id: str = ""
    prompt_id: str = ""
    user: str = ""
    use_case: str = ""
    labeler: str = ""
    guideline: str = ""
    seconds: float | None = None
    source: str = ""
    licence: str = ""
    group: str = ""


def facts(row: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an `Item` that are about the row rather than in it: ids, people, source, licence, use case."""
    found: dict[str, Any] = {}
    for name, columns in _NAMES.items():
        values = [row[column] for column in columns if isinstance(row.get(column), str | int) and row[column] != ""]
        if values:
            found[name] = str(values[0])
    for column in ("use_case", "category"):
        word = str(row.get(column, "")).strip().lower().replace(" ", "_")
        if word in USE_CASES:
            found.setdefault("use_case", word)
    if row.get("seconds") is not None:
        found["seconds"] = number(row["seconds"], "seconds")
    return found


def number(value: Any, field: str) -> float:
    """The value if it is a finite number, else a RowError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
        raise RowError(field, "a finite number was expected; correct it or leave the row out")
    return float(value)


def numbers(value: Any, field: str, count: int) -> tuple[float, ...]:
    """The value if it is a list of `count` finite numbers, else a RowError."""
    if not isinstance(value, list | tuple):
        raise RowError(field, f"not a list of numbers but {type(value).__name__}; give one for each response")
    found = tuple(number(item, f"{field}[{n}]") for n, item in enumerate(cast(Sequence[Any], value)))
    if len(found) != count:
        raise RowError(field, f"{len(found)} of them for {count} responses; give one each")
    return found


def rank(value: float, field: str) -> int:
    """A rank: a whole number from 1."""
    if value != int(value) or value < 1:
        raise RowError(field, "not a whole number from 1; the best rank is 1 and ties share a rank")
    return int(value)


def ranks_of(scores: Sequence[float]) -> tuple[int, ...]:
    """Ranks of scores, higher is better: 1 + how many are strictly better, so that equal scores tie."""
    return tuple(1 + sum(other > score for other in scores) for score in scores)


def check_joins(earlier: Item, item: Item) -> None:
    """Raise a RowError unless an item can join an earlier one of its group."""
    if bool(earlier.ranks) != bool(item.ranks):
        raise RowError("score", "some rows of the group have a rank and some a score; give all of them the same")
    if earlier.messages != item.messages:
        raise RowError(
            "prompt", "differs from the prompt of the earlier rows of its group; correct the prompt or the id"
        )


def joined(group: Sequence[Item]) -> Item:
    """One item of the items of a group: the facts of the first, the responses of all."""
    return replace(
        group[0],
        responses=tuple(response for item in group for response in item.responses),
        ranks=tuple(rank for item in group for rank in item.ranks),
        scores=tuple(score for item in group for score in item.scores),
    )


def content_id(*parts: Any) -> str:
    """16 hexadecimal digits that depend on the content alone."""
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False, default=str).encode()).hexdigest()[:16]


def prompt_of(item: Item) -> Prompt:
    """The prompt alone; without an id of its own it gets one of its content, the same wherever it is met."""
    return Prompt(
        id=item.prompt_id or content_id([(message.role, message.content) for message in item.messages]),
        messages=item.messages,
        user=item.user,
        use_case=item.use_case,
        source=item.source,
        licence=item.licence,
    )


def record_of(item: Item, kind: type[R]) -> Record:
    """The item as a record of a kind. Raises RowError or ValueError (`field: reason`) when it does not make one."""
    prompt = prompt_of(item)
    if kind is Prompt:
        return prompt
    texts = [response.text for response in item.responses]
    identity = item.id or content_id(prompt.id, texts, item.ranks or item.scores, item.labeler)
    origin: dict[str, Any] = {"id": identity, "prompt": prompt, "source": item.source, "licence": item.licence}
    people: dict[str, Any] = {"labeler": item.labeler, "guideline": item.guideline, "seconds": item.seconds}
    if kind is Demonstration:
        return Demonstration(response=item.responses[0].text, **origin, **people)
    if kind is Samples:
        return Samples(responses=item.responses, **origin)
    assert kind is Ranking, kind
    return Ranking(responses=item.responses, ranks=_checked_ranks(item), **origin, **people)


def _checked_ranks(item: Item) -> tuple[int, ...]:
    ranks = item.ranks or ranks_of(item.scores)
    if not ranks:
        raise RowError("ranks", "neither ranks nor scores; add one of them, or read the file as samples")
    seen: dict[str, int] = {}
    for n, (response, place) in enumerate(zip(item.responses, ranks, strict=True)):
        if not response.text.strip():
            raise RowError(f"responses[{n}]", "blank; every ranked response needs a text")
        if seen.setdefault(response.text, place) != place:
            raise RowError(f"responses[{n}]", "a text that stands twice with two ranks; remove one of them")
    return ranks
