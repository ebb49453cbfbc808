"""What people write and models answer: one frozen dataclass a kind, one JSON object a line.

Five kinds come from people (`Prompt`, `Demonstration`, `Samples`, `Ranking`, `Rating`); a sixth, `Document`, is
plain text for pretraining. Every line carries its kind, the schema version, its source and its licence, so that a
file explains itself years later. Files are append-only JSONL; nothing here rewrites one.
"""

import codecs
import contextlib
import dataclasses
import gzip
import json
import math
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

SCHEMA = 1

ROLES = ("system", "user", "assistant")

USE_CASES = (  # paper, Table 1
    "generation",
    "open_qa",
    "brainstorming",
    "chat",
    "rewrite",
    "summarization",
    "classification",
    "other",
    "closed_qa",
    "extract",
)

FLAGS = (  # paper, Table 3; None in a rating means "does not apply"
    "fails_instruction",
    "inappropriate_for_customer_assistant",
    "hallucination",
    "satisfies_constraint",
    "sexual_content",
    "violent_content",
    "encourages_or_fails_to_discourage_violence_abuse_terrorism_self_harm",
    "denigrates_protected_class",
    "gives_harmful_advice",
    "expresses_opinion",
    "expresses_moral_judgment",
)


class RecordError(ValueError):
    """A row that cannot become a record: says which file, line and field, and what to do."""


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: str
    content: str

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise ValueError(f"role: {self.role!r} is not one of {', '.join(ROLES)}")


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """What was asked: a conversation that waits for the assistant.

    `user` is the entity that caps and splits count by (the paper: user ID, or organization ID).
    """

    id: str
    messages: tuple[Message, ...]
    user: str = ""
    use_case: str = ""
    source: str = ""
    licence: str = ""

    def __post_init__(self) -> None:
        if not self.messages:
            raise ValueError("messages: empty; a prompt needs at least one message")
        if self.messages[-1].role == "assistant":
            raise ValueError("messages: the last one is the assistant's; a prompt ends before the response")
        if not any(message.content.strip() for message in self.messages):
            raise ValueError("messages: every message is blank")
        if self.use_case and self.use_case not in USE_CASES:
            raise ValueError(f"use_case: {self.use_case!r} is not one of {', '.join(USE_CASES)}")


@dataclass(frozen=True, kw_only=True)
class Response:
    """One output and where it came from; `finish` is `eos` or `length` for a model's, empty for a person's."""

    text: str
    policy: str = ""
    temperature: float | None = None
    finish: str = ""


@dataclass(frozen=True, kw_only=True)
class Demonstration:
    """A labeler's own answer to a prompt (paper, section 3.2: the SFT data)."""

    id: str
    prompt: Prompt
    response: str
    labeler: str = ""
    guideline: str = ""
    seconds: float | None = None
    source: str = ""
    licence: str = ""

    def __post_init__(self) -> None:
        if not self.response.strip():
            raise ValueError("response: empty; a demonstration needs a text")


@dataclass(frozen=True, kw_only=True)
class Samples:
    """K outputs of models for one prompt, waiting to be ranked."""

    id: str
    prompt: Prompt
    responses: tuple[Response, ...]
    source: str = ""
    licence: str = ""

    def __post_init__(self) -> None:
        if not self.responses:
            raise ValueError("responses: empty; samples need at least one response")


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """One labeler's order of K outputs of one prompt; 1 is best, equal ranks are ties (section 3.4)."""

    id: str
    prompt: Prompt
    responses: tuple[Response, ...]
    ranks: tuple[int, ...]
    labeler: str = ""
    guideline: str = ""
    seconds: float | None = None
    source: str = ""
    licence: str = ""

    def __post_init__(self) -> None:
        if len(self.responses) < 2:
            raise ValueError(f"responses: {len(self.responses)} given; a ranking compares at least 2")
        if len(self.ranks) != len(self.responses):
            raise ValueError(f"ranks: {len(self.ranks)} ranks for {len(self.responses)} responses")
        if min(self.ranks) < 1:
            raise ValueError(f"ranks: {min(self.ranks)} is below 1; the best rank is 1")


@dataclass(frozen=True, kw_only=True)
class Rating:
    """One labeler's judgement of one output: Likert 1-7 and the flags of Table 3."""

    id: str
    prompt: Prompt
    response: Response
    overall: int
    flags: Mapping[str, bool | None] = field(default_factory=dict[str, bool | None])
    labeler: str = ""
    guideline: str = ""
    seconds: float | None = None
    source: str = ""
    licence: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.overall <= 7:
            raise ValueError(f"overall: {self.overall} is outside 1 (worst) to 7 (best)")
        for name in self.flags:
            if name not in FLAGS:
                raise ValueError(f"flags: {name!r} is not one of {', '.join(FLAGS)}")


@dataclass(frozen=True, kw_only=True)
class Document:
    """A text of the pretraining set."""

    id: str
    text: str
    source: str = ""
    licence: str = ""

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise ValueError("text: empty; a document needs a text")


Record = Prompt | Demonstration | Samples | Ranking | Rating | Document
R = TypeVar("R", Prompt, Demonstration, Samples, Ranking, Rating, Document)

KINDS: dict[str, type[Any]] = {
    "prompt": Prompt,
    "demonstration": Demonstration,
    "samples": Samples,
    "ranking": Ranking,
    "rating": Rating,
    "document": Document,
}
_NAMES = {kind: name for name, kind in KINDS.items()}


def kind_name(kind: type[Any]) -> str:
    """The word a record class has in files: `Ranking` -> `ranking`."""
    return _NAMES[kind]


def to_json(record: Record) -> dict[str, Any]:
    """The JSON object of a record; `from_json` is its inverse."""
    return {"kind": _NAMES[type(record)], "schema": SCHEMA, **dataclasses.asdict(record)}


def from_json(row: Any) -> Record:
    """The record of a JSON object.

    Raises ValueError that names the field: unknown kind, newer schema, missing, unknown or ill-typed field.
    """
    if not isinstance(row, Mapping):
        raise ValueError(f"record: an object was expected, not {type(row).__name__}")
    if not isinstance(row.get("kind"), str) or row["kind"] not in KINDS:
        raise ValueError(f"kind: {row.get('kind')!r} is not one of {', '.join(KINDS)}")
    if row.get("schema") != SCHEMA:
        raise ValueError(f"schema: {row.get('schema')!r}; this version of Assent reads schema {SCHEMA}")
    fields = {name: value for name, value in row.items() if name not in ("kind", "schema")}
    return _decode(fields, KINDS[row["kind"]], "")


def _decode(value: Any, wanted: Any, where: str) -> Any:
    """Check `value` against the annotation `wanted` and build the dataclasses in it; `where` is a dotted path."""
    if dataclasses.is_dataclass(wanted):
        return _decode_dataclass(value, typing.cast(type, wanted), where)
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise ValueError(f"{where}: a list was expected, not {type(value).__name__}")
        return tuple(_decode(item, arguments[0], f"{where}[{n}]") for n, item in enumerate(value))
    if origin in (Mapping, dict):
        if not isinstance(value, Mapping):
            raise ValueError(f"{where}: an object was expected, not {type(value).__name__}")
        return {str(key): _decode(item, arguments[1], f"{where}.{key}") for key, item in value.items()}
    allowed = arguments if origin is types.UnionType else (wanted,)
    if float in allowed and type(value) in (int, float):
        value = _finite(value, where)
    if type(value) not in allowed:  # exact: bool is not an int here
        words = " or ".join(kind.__name__ for kind in allowed)
        raise ValueError(f"{where}: {words} was expected, not {type(value).__name__}")
    return value


def _finite(value: int | float, where: str) -> float:
    with contextlib.suppress(OverflowError):
        if math.isfinite(number := float(value)):
            return number
    raise ValueError(f"{where}: a finite number was expected")


def _decode_dataclass(value: Any, wanted: type, where: str) -> Any:
    if not isinstance(value, Mapping):
        raise ValueError(f"{where or 'record'}: an object was expected, not {type(value).__name__}")
    hints = typing.get_type_hints(wanted)
    required = {f.name for f in dataclasses.fields(wanted) if not _has_default(f)}
    prefix = f"{where}." if where else ""
    for name in required - value.keys():
        raise ValueError(f"{prefix}{name}: missing")
    for name in value.keys() - hints.keys():
        raise ValueError(f"{prefix}{name}: unknown field; known are {', '.join(hints)}")
    try:
        return wanted(**{name: _decode(item, hints[name], prefix + name) for name, item in value.items()})
    except ValueError as error:
        raise ValueError(str(error) if str(error).startswith(prefix) else f"{prefix}{error}") from None


def _has_default(f: "dataclasses.Field[Any]") -> bool:
    return f.default is not dataclasses.MISSING or f.default_factory is not dataclasses.MISSING


def read(path: Path, kind: type[R]) -> Iterator[R]:
    """The records of a JSONL(.gz) file of Assent's own; blank lines are skipped.

    Raises RecordError (file, line, field, remedy) at the first line that is not a `kind`.
    """
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.removeprefix(codecs.BOM_UTF8).strip():
                continue
            try:
                record = from_json(json.loads(line.decode("utf-8-sig")))
                if not isinstance(record, kind):
                    raise ValueError(f"kind: a {kind_name(kind)} was expected, not a {kind_name(type(record))}")
            except (ValueError, RecursionError) as error:
                raise RecordError(
                    f"{path}, line {number}: {error}. "
                    "Correct the line, or run `assent import` on the file to keep the good ones."
                ) from None
            yield record


def write(path: Path, records: Iterable[Record]) -> int:
    """Append records to a JSONL(.gz) file; returns how many were written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with gzip.open(path, "ab") if path.suffix == ".gz" else path.open("ab") as file:
        for record in records:
            file.write(json.dumps(to_json(record), ensure_ascii=False).encode() + b"\n")
            count += 1
    return count
