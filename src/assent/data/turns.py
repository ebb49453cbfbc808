"""Conversations as other people write them, as our messages: chat lists, ShareGPT lists, HH transcripts, texts.

Every function takes the name of the field that it reads, so that a `RowError` can name it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from assent.records import Message

Fields = Mapping[str, Any]

CONVERSATIONS = ("messages", "conversations")
_PROMPT_TEXTS = ("prompt", "question", "query", "instruction")
PROMPTS = (*CONVERSATIONS, *_PROMPT_TEXTS)
_SYSTEMS = ("system", "system_prompt")
ROLE_NAMES = {
    "system": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
}

_SPEAKER = re.compile(r"(?:\A\s*|\r?\n\r?\n)(Human|Assistant):")
_TRANSCRIPT = re.compile(r"\s*Human:.*\n\r?\nAssistant:", re.DOTALL)


class RowError(ValueError):
    """What keeps a row from becoming a record: the field, and a sentence with the remedy.

    `part` is the piece of the row at fault where a row holds many records, as a tree does.
    """

    def __init__(self, field: str, reason: str, part: Any = None) -> None:
        super().__init__(f"{field}: {reason}" if field else reason)
        self.field = field
        self.reason = reason
        self.part = part

    @classmethod
    def of(cls, error: ValueError) -> "RowError":
        """Any ValueError as a RowError; the record classes write `field: reason`."""
        if isinstance(error, RowError):
            return error
        field, colon, reason = str(error).partition(": ")
        if not colon or not re.fullmatch(r"[\w.\[\]]+", field):
            field, reason = "", str(error)
        return cls(field, reason if "; " in reason else f"{reason}; correct it or leave the row out")


def text(value: Any, field: str) -> str:
    """The value if it is a text, else a RowError."""
    if not isinstance(value, str):
        raise RowError(field, f"a text was expected, not {type(value).__name__}; write it as a string")
    return value


def is_transcript(value: Any) -> bool:
    """Whether a value is a conversation in the form of HH: `Human: ...`, blank line, `Assistant: ...`."""
    return isinstance(value, str) and bool(_TRANSCRIPT.match(value))


def transcript(value: str) -> tuple[Message, ...]:
    """The turns of an HH transcript, without the white space around them; an open `Assistant:` is an empty turn."""
    parts = _SPEAKER.split(value)[1:]
    return tuple(
        Message(ROLE_NAMES[speaker.lower()], content.strip())
        for speaker, content in zip(parts[::2], parts[1::2], strict=True)
    )


def turn(value: Any, field: str) -> Message:
    """One turn: `{role, content}`, or ShareGPT's `{from, value}`."""
    if not isinstance(value, Mapping):
        raise RowError(field, f"not a turn but {type(value).__name__}; write an object with role and content")
    row = cast(Mapping[str, Any], value)
    role_field, content_field = ("from", "value") if "from" in row else ("role", "content")
    role = ROLE_NAMES.get(str(row.get(role_field)).lower())
    if role is None:
        raise RowError(
            f"{field}.{role_field}", f"not one of {', '.join(ROLE_NAMES)}; rename the role or leave the row out"
        )
    return Message(role, text(row.get(content_field), f"{field}.{content_field}"))


def turns(value: Any, field: str) -> tuple[Message, ...]:
    """A conversation: a list of turns, one turn, or an HH transcript."""
    if is_transcript(value):
        return transcript(value)
    if isinstance(value, Mapping):
        return (turn(value, field),)
    if not isinstance(value, list | tuple):
        raise RowError(field, f"not a list of turns but {type(value).__name__}; write objects with role and content")
    return tuple(turn(item, f"{field}[{n}]") for n, item in enumerate(cast(Sequence[Any], value)))


def opened(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """The conversation without a last assistant's turn that is still empty, the way a transcript asks for an answer."""
    waits = bool(messages) and messages[-1].role == "assistant" and not messages[-1].content.strip()
    return messages[:-1] if waits else messages


def checked(messages: tuple[Message, ...], field: str) -> tuple[Message, ...]:
    """The same messages if they make a prompt: perhaps a system message, then user and assistant in turn, user last."""
    spoken = messages[1:] if messages and messages[0].role == "system" else messages
    if not spoken:
        raise RowError(field, "no user's turn; a prompt needs one")
    if spoken[-1].role == "assistant":
        raise RowError(field, "ends with the assistant's turn; a prompt ends before the response")
    for n, message in enumerate(spoken):
        if message.role != ("user", "assistant")[n % 2]:
            raise RowError(
                field, "roles do not alternate between user and assistant, user first; merge or remove turns"
            )
        if not message.content.strip():
            raise RowError(field, "a turn is blank; every turn of a prompt needs a text")
    return messages


def answer(value: Any, field: str) -> str:
    """A response: a text, one turn of the assistant, or a list of that one turn."""
    if isinstance(value, str):
        return value
    given = turns(value, field)
    if len(given) != 1 or given[0].role != "assistant":
        raise RowError(field, "one turn of the assistant was expected; put the turns before it in the prompt")
    return given[0].content


# -- prompts of rows ----------------------------------------------------------------------------------------------


def first(row: Fields, names: Sequence[str]) -> str:
    """The first of the names that the row has, or an empty text."""
    return next((name for name in names if name in row), "")


def context(row: Fields) -> tuple[Message, ...]:
    """The prompt of a row, not yet checked: structured turns before texts; empty when the row has none."""
    field = first(row, PROMPTS)
    value = row.get(field)
    if not field:
        asked = ()
    elif field in _PROMPT_TEXTS and isinstance(value, str):
        if not value.strip():
            raise RowError(field, "blank; a prompt needs a text")
        asked = opened(transcript(value)) if is_transcript(value) else (Message("user", _instruction(row, field)),)
    else:
        asked = turns(value, field)
    earlier = _history(row) if field == "instruction" else ()
    system = first(row, _SYSTEMS)
    if not row.get(system) or asked[:1] == (Message("system", row[system]),):
        return (*earlier, *asked)
    return (Message("system", text(row[system], system)), *earlier, *asked)


def _instruction(row: Fields, field: str) -> str:
    """A prompt in words; an instruction with what it is about."""
    more = first({name: value for name, value in row.items() if value}, ("input", "context"))
    return f"{row[field]}\n\n{text(row[more], more)}" if field == "instruction" and more else row[field]


def _history(row: Fields) -> Iterable[Message]:
    """Earlier turns, as pairs of what was asked and what was answered."""
    for n, exchange in enumerate(sequence(row.get("history") or (), "history")):
        if not isinstance(exchange, list | tuple) or len(cast(Sequence[Any], exchange)) != 2:
            raise RowError(f"history[{n}]", "not a pair; give what was asked and what was answered")
        for role, content in zip(("user", "assistant"), cast(Sequence[Any], exchange), strict=True):
            yield Message(role, text(content, f"history[{n}]"))


def sequence(value: Any, field: str) -> Sequence[Any]:
    """The value if it is a list, else a RowError."""
    if not isinstance(value, list | tuple):
        raise RowError(field, f"not a list but {type(value).__name__}; write it as a list")
    return cast(Sequence[Any], value)


def prompt(row: Fields) -> tuple[Message, ...]:
    """The prompt of a row, checked."""
    messages = context(row)
    if not messages:
        raise RowError("prompt", f"missing; give one of {', '.join(PROMPTS)}")
    return checked(messages, first(row, PROMPTS))
