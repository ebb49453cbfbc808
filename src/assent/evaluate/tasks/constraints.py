"""Constraints that a program can verify: how many sentences, which words, which form."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

_SENTENCE_END = re.compile(r"[.!?]+[\"')\u201d\u2019]*(?=\s|$)")
_NUMBERED = re.compile(r"^\s*(\d+)[.)]\s+(.+?)\s*$", re.MULTILINE)


def _words(text: str) -> list[str]:
    return re.findall(r"[\w'\u2019-]+", text)


def _sentences(text: str) -> int:
    return len(_SENTENCE_END.findall(text.strip()))


def _lines(text: str) -> list[str]:
    return [line for line in text.strip().splitlines() if line.strip()]


def _items(text: str) -> list[str]:
    return [found[1] for found in _NUMBERED.findall(text)]


def _is_list(text: str, count: int) -> bool:
    """A numbered list from 1 on, and nothing else."""
    numbers = [int(number) for number, _ in _NUMBERED.findall(text)]
    return numbers == list(range(1, count + 1)) and len(_lines(text)) == count


def _holds_word(text: str, word: str) -> bool:
    return bool(re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE))


def _is_json(text: str, keys: list[str]) -> bool:
    fenced = re.sub(r"\A```(?:json)?\s*|\s*```\Z", "", text.strip())
    try:
        value = json.loads(fenced)
    except ValueError:
        return False
    return isinstance(value, dict) and set(keys) <= value.keys()


CHECKS: dict[str, Callable[[str, Mapping[str, Any]], bool]] = {
    "sentences": lambda text, want: _sentences(text) == want["count"],
    "words_at_most": lambda text, want: 0 < len(_words(text)) <= want["count"],
    "words_at_least": lambda text, want: len(_words(text)) >= want["count"],
    "lines": lambda text, want: len(_lines(text)) == want["count"],
    "paragraphs": lambda text, want: len(re.split(r"\n\s*\n", text.strip())) == want["count"] and bool(text.strip()),
    "numbered": lambda text, want: _is_list(text, want["count"]),
    "item_words": lambda text, want: (
        bool(_items(text)) and all(len(_words(one)) == want["count"] for one in _items(text))
    ),
    "commas": lambda text, want: text.count(",") == want["count"],
    "has": lambda text, want: _holds_word(text, want["text"]),
    "without": lambda text, want: bool(text.strip()) and not _holds_word(text, want["text"]),
    "starts": lambda text, want: text.strip().startswith(want["text"]),
    "ends": lambda text, want: text.strip().rstrip(".!").endswith(want["text"].rstrip(".!")),
    "upper": lambda text, want: text.isupper(),
    "lower": lambda text, want: text.islower(),
    "json": lambda text, want: _is_json(text, want["keys"]),
}
NEEDED: Mapping[str, tuple[str, type]] = {
    **dict.fromkeys(
        ("sentences", "words_at_most", "words_at_least", "lines", "paragraphs", "numbered", "item_words", "commas"),
        ("count", int),
    ),
    **dict.fromkeys(("has", "without", "starts", "ends"), ("text", str)),
    "json": ("keys", list),
}


def fault(check: Any) -> str:
    """What is wrong with the description of a constraint; empty where nothing is."""
    if not isinstance(check, Mapping) or check.get("kind") not in CHECKS:
        return f'{check!r} is no constraint; write {{"kind": one of {", ".join(CHECKS)}, ...}}'
    name, kind = NEEDED.get(check["kind"], ("", object))
    if name and not isinstance(check.get(name), kind):
        return f"{check['kind']} needs {name!r} as {kind.__name__}; add it"
    return ""


def satisfied(text: str, checks: list[Mapping[str, Any]]) -> list[bool]:
    """Which of the constraints a text satisfies."""
    return [CHECKS[check["kind"]](text, check) for check in checks]
