"""What a language model writes on: at temperature 0 and cut at the first newline, as the paper evaluates (appendix D).

The engine's decode loop knows one way to end, the end of a turn. A base model that has answered goes on with the next
question instead, so texts are written in rounds, each twice as long, and those that have reached their stop leave.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from assent.engine.batches import Tokens
from assent.engine.generate import Key
from assent.engine.models import LanguageModel
from assent.engine.text import Text
from assent.evaluate.likelihood import beginning_of_text
from assent.records import Message

FIRST_ROUND = 16  # tokens: most answers to questions are shorter


@dataclass(frozen=True)
class Written:
    """A text without its stop; finish: `eos`, `stop`, or `length` where it was cut at the limit."""

    text: str
    finish: str


def plain_prompt(text: Text, words: str, room: int) -> tuple[Tokens, bool]:
    """A text to go on with, and whether it lost its beginning to fit into `room` tokens."""
    ids = torch.cat([torch.tensor(beginning_of_text(text), dtype=torch.int64), text.plain(words.rstrip(" "))])
    if not len(ids):
        ids = torch.tensor([text.separator])
    return ids[-room:], len(ids) > room


def chat_prompt(text: Text, words: str, room: int) -> tuple[Tokens, bool]:
    """A request of a user through the chat template. What is too long loses the beginning of its words."""
    ids = text.prompt([Message("user", words)])
    if len(ids) > room and len(words) > 1:
        spare = max(1, len(words) * (len(ids) - room) // len(ids))
        return chat_prompt(text, words[spare:], room)[0], True
    return ids[-room:], len(ids) > room


@torch.no_grad()
def complete(model: LanguageModel, prompts: Sequence[Tokens], limit: int, stop: str) -> list[Written]:
    """The likeliest continuation of each prompt, up to `stop`, the end of a turn, or `limit` tokens."""
    found: dict[int, Written] = {}
    ids = dict(enumerate(prompts))
    lengths = [len(prompt) for prompt in prompts]
    length, done = min(FIRST_ROUND, limit) if stop.strip("\0") else limit, 0
    while ids:
        waiting = list(ids)
        drawn = model.sample([ids[number] for number in waiting], length, 0.0, Key(0, 0))
        done += length
        for number, response, ended in zip(waiting, drawn.responses, drawn.ended, strict=True):
            ids[number] = torch.cat([ids[number], response])
            words = model.text.decode(ids[number][lengths[number] :])
            before, reached, _ = words.partition(stop)
            if reached or ended or done >= limit:
                finish = "stop" if reached else "eos" if ended else "length"
                found[number] = Written(before.strip(), finish)
                del ids[number]
        length = min(2 * length, limit - done)
    return [found[number] for number in range(len(prompts))]
