"""Text to tokens and back: the only file that knows special tokens.

A prompt is rendered with the tokenizer's chat template, the single path for training and serving alike; a tokenizer
without one gets a template of Assent's, which is saved with the model. Text that people wrote can never become a
control token: where it spells one, it is encoded as ordinary characters.
"""

import dataclasses
import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from assent.engine.batches import Tokens
from assent.records import Message

TEMPLATES = {
    "dialogue": (
        "{{ bos_token or '' }}{% for message in messages %}"
        "{% if message['role'] == 'system' %}{{ message['content'] }}\n\n"
        "{% elif message['role'] == 'user' %}Human:\n{{ message['content'] }}\n\n"
        "{% else %}Assistant:\n{{ message['content'] }}{{ eos_token }}\n\n{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}Assistant:\n{% endif %}"
    ),
    # the paper's own: the prompt as it was typed, and the model goes on
    "raw": (
        "{{ bos_token or '' }}{% for message in messages %}{{ message['content'] }}"
        "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{{ '\n' }}{% endfor %}"
    ),
}
Template = Literal["", "dialogue", "raw"]


@dataclass(frozen=True)
class Limits:
    """Longest sequences that training takes, in tokens (paper, appendix C: prompts and responses 1k, context 2k)."""

    prompt: int = 1024
    response: int = 1024
    context: int = 2048


class Text:
    """A tokenizer and its chat template.

    template: "" keeps the tokenizer's own and falls back on "dialogue"; a name replaces it.
    """

    def __init__(self, tokenizer: Any, template: Template = "") -> None:
        self.tokenizer = tokenizer
        if template or not tokenizer.chat_template:
            tokenizer.chat_template = TEMPLATES[template or "dialogue"]
        if tokenizer.eos_token_id is None:
            raise ValueError("the tokenizer has no end-of-sequence token; set eos_token in its tokenizer_config.json")
        self.controls = tuple(sorted({*tokenizer.all_special_tokens, *_special_additions(tokenizer)}))
        self.separator: int = tokenizer.eos_token_id  # between documents of pretraining text
        self.end: int = self._end_of_turn()  # after every finished response

    @classmethod
    def load(cls, directory: Path, template: Template = "") -> "Text":
        """The tokenizer of a model directory. Raises ValueError when it holds none."""
        from transformers import AutoTokenizer

        if not any(directory.glob("*token*")) and not any(directory.glob("*vocab*")):
            raise ValueError(f"{directory} is not a model directory: it has no tokenizer (tokenizer.json or the like)")
        try:
            tokenizer = AutoTokenizer.from_pretrained(directory)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{directory} is damaged: {what_is_broken(directory, error)}") from error
        return cls(tokenizer, template)

    def save(self, directory: Path) -> None:
        """Write tokenizer and template in the Hugging Face layout."""
        self.tokenizer.save_pretrained(directory)

    def __len__(self) -> int:
        return len(self.tokenizer)

    def prompt(self, messages: Sequence[Message]) -> Tokens:
        """The ids of a conversation up to where the assistant begins to answer; at least one."""
        ids = self._render(messages)
        return _tensor(ids or [self.separator])

    def plain(self, text: str) -> Tokens:
        """The ids of a text as it is: what a language model goes on with, outside any conversation."""
        return _tensor(self._plain(text))

    def response(self, text: str, *, ended: bool = True) -> Tokens:
        """The ids of a response, with the end-of-turn token unless the text ran into a limit (`ended=False`)."""
        return _tensor([*self._plain(text), *([self.end] if ended else [])])

    def responses(self, texts: Sequence[str]) -> list[Tokens]:
        """`response` of many texts at once, all ended."""
        if not texts:
            return []
        encoded = self.tokenizer(list(texts), add_special_tokens=False, split_special_tokens=True)["input_ids"]
        return [_tensor([*ids, self.end]) for ids in encoded]

    def decode(self, ids: Tokens) -> str:
        """The text of a response; the end-of-turn token is not part of it."""
        kept: list[int] = ids.tolist()
        return self.tokenizer.decode(kept[:-1] if kept and kept[-1] == self.end else kept, skip_special_tokens=False)

    def chunks(self, texts: Iterable[str], context: int) -> list[Tokens]:
        """Documents one after the other, the separator after each, cut into pieces of `context` ids (the last: less).

        A piece is learned from its second token on, and so one of a single token is left out.
        """
        ids: list[int] = []
        for text in texts:
            ids += [*self._plain(text), self.separator]
        pieces = [ids[start : start + context] for start in range(0, len(ids), context)]
        return [_tensor(piece) for piece in pieces if len(piece) > 1]

    def _plain(self, text: str) -> list[int]:
        """Ids of a text in which nothing is a control token."""
        return self.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]

    def _render(self, messages: Sequence[Message]) -> list[int]:
        if not any(control in message.content for message in messages for control in self.controls):
            return self._controlled(self._template(messages, add_generation_prompt=True))
        # Somebody wrote the text of a control token: template and contents are encoded apart, contents as plain text.
        marks = [f"\u2063{number}\u2063" for number in range(len(messages))]
        marked = [dataclasses.replace(m, content=mark) for m, mark in zip(messages, marks, strict=True)]
        rest, ids = self._template(marked, add_generation_prompt=True), list[int]()
        for mark, message in zip(marks, messages, strict=True):
            before, found, rest = rest.partition(mark)
            if found:  # a template may leave a message out
                ids += [*self._controlled(before), *self._plain(message.content)]
            else:
                rest = before
        return [*ids, *self._controlled(rest)]

    def _controlled(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False)["input_ids"] if text else []

    def _template(self, messages: Sequence[Message], **options: bool) -> str:
        turns = [{"role": message.role, "content": message.content} for message in messages]
        return self.tokenizer.apply_chat_template(turns, tokenize=False, **options)

    def _end_of_turn(self) -> int:
        """The control token that the template writes after an answer; the end-of-sequence token if it writes none."""
        turns = [Message("user", "\u2063q\u2063"), Message("assistant", "\u2063a\u2063")]
        after = self._template(turns).partition("\u2063a\u2063")[2].lstrip()
        for control in sorted(self.controls, key=len, reverse=True):
            if after.startswith(control):
                return self.tokenizer.convert_tokens_to_ids(control)
        return self.tokenizer.eos_token_id

    def padding(self) -> int:
        """An id for other tools' padding that never ends a response, so that they find the last token by it."""
        candidates = (self.tokenizer.pad_token_id, self.tokenizer.unk_token_id, self.tokenizer.bos_token_id, 0, 1)
        return next(i for i in candidates if i is not None and i not in (self.end, self.tokenizer.eos_token_id))


def what_is_broken(directory: Path, error: Exception) -> str:
    """A sentence about a model directory that could not be loaded: the file and line if it is JSON, else the error."""
    for path in sorted(directory.glob("*.json")):
        try:
            if not isinstance(json.loads(path.read_text("utf-8")), dict):
                return f"{path.name} is not a JSON object; copy the directory again"
        except UnicodeDecodeError:
            return f"{path.name} is not UTF-8; copy the directory again"
        except json.JSONDecodeError as wrong:
            return f"{path.name}, line {wrong.lineno}: not JSON ({wrong.msg}); copy the directory again"
    for path in sorted(directory.glob("*.safetensors")):
        try:
            with safe_open(path, "pt"):
                pass
        except (OSError, SafetensorError) as wrong:
            return f"{path.name} is damaged ({wrong}); copy the directory again"
    return str(error)


def _special_additions(tokenizer: Any) -> list[str]:
    return [token.content for token in tokenizer.added_tokens_decoder.values() if token.special]


def _tensor(ids: Sequence[int]) -> Tensor:
    return torch.tensor(ids, dtype=torch.int64)


def quiet_transformers() -> None:
    """Keep transformers to errors: it warns of new heads, long texts and padding that Assent handles itself."""
    logging.getLogger("transformers").setLevel(logging.ERROR)
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
