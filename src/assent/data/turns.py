"""Conversations as other people write them, as our messages: chat lists, ShareGPT lists, HH transcripts.

Every function takes the name of the field that it reads, so that a `RowError` can name it.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from assent.records import Message

ROLE_NAMES = {
    "system": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "bot": "assistant",
}

_SPEAKER = re.compile(r"(?:\A\s*|\n\n)(Human|Assistant):")
_OPENING = re.compile(r"\A\s*Human:")


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
        return cls(field, reason) if colon and re.fullmatch(r"[\w.\[\]]+", field) else cls("", str(error))


def text(value: Any, field: str) -> str:
    """The value if it is a text, else a RowError."""
    if not isinstance(value, str):
        raise RowError(field, f"a text was expected, not {type(value).__name__}; write it as a string")
    return value


def is_transcript(value: Any) -> bool:
    """Whether a value is a conversation in the form of HH: `Human: ...`, blank line, `Assistant: ...`."""
    return isinstance(value, str) and bool(_OPENING.match(value)) and "\n\nAssistant:" in value


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
        raise RowError(field, f"a turn with a role and a content was expected, not {type(value).__name__}")
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
        raise RowError(field, f"a list of turns was expected, not {type(value).__name__}")
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
