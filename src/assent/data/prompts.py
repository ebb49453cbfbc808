"""Prompts made ready as the paper does it (section 3.2, appendix A.2), in this order: duplicates by a long common
prefix, a cap per user, the split by user, personal data out of the training split. Every dropped prompt has a reason.

Length is not judged here: training does that, and another limit then needs no new data.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from assent.data import pii
from assent.data.pii import Recogniser
from assent.records import Demonstration, Message, Prompt


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How prompts are cleaned.

    prefix: words that make two prompts the same; shorter ones are compared whole (the paper names no length).
    cap: prompts of one user that are kept. validation, test: shares of users. salt: another one, another split.
    """

    prefix: int = 64
    cap: int = 200
    validation: float = 0.1
    test: float = 0.1
    salt: str = "assent"

    def __post_init__(self) -> None:
        if self.prefix < 1 or self.cap < 1 or min(self.validation, self.test, 1 - self.validation - self.test) < 0:
            raise ValueError("prefix and cap are at least 1; validation and test are shares and leave some for train")


@dataclass(frozen=True)
class Dropped:
    """A prompt or document that was left out, and why."""

    id: str
    field: str
    reason: str


@dataclass(frozen=True)
class Cleaned:
    """The prompts of each split, in their order, and those that were dropped. Together they are all there were."""

    train: tuple[Prompt, ...]
    validation: tuple[Prompt, ...]
    test: tuple[Prompt, ...]
    rejected: tuple[Dropped, ...]

    @property
    def splits(self) -> dict[str, tuple[Prompt, ...]]:
        """The splits by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    @property
    def reasons(self) -> Counter[str]:
        """How many prompts each reason cost."""
        return Counter(f"{row.field}: {row.reason.partition(' (')[0]}" for row in self.rejected)


def clean(prompts: Iterable[Prompt], rules: Rules, recognisers: Sequence[Recogniser] = pii.RECOGNISERS) -> Cleaned:
    """Clean and split prompts. Doing it again to what is left changes nothing."""
    splits: dict[str, list[Prompt]] = {"train": [], "validation": [], "test": []}
    dropped: list[Dropped] = []
    first: dict[str, str] = {}
    kept: Counter[str] = Counter()
    count = 0
    for prompt in prompts:
        count += 1
        name, field, reason = split_of(prompt, rules), "messages", ""
        found = next((one.name for one in recognisers if one.finds(_text(prompt))), "") if name == "train" else ""
        if (key := prefix_key(prompt, rules.prefix)) in first:
            reason = f"begins like an earlier prompt (id {first[key]})"
        elif kept[entity(prompt)] >= rules.cap:
            field, reason = "user", f"has {rules.cap} prompts already"
        elif found:
            reason = f"holds {found}, which the training split must not"
        if key not in first:
            first[key] = prompt.id
            kept[entity(prompt)] += 1
        if reason:
            dropped.append(Dropped(prompt.id, field, reason))
        else:
            splits[name].append(prompt)
    train, validation, test = (tuple(rows) for rows in splits.values())
    assert len(train) + len(validation) + len(test) + len(dropped) == count
    return Cleaned(train, validation, test, tuple(dropped))


def prefix_key(prompt: Prompt, words: int) -> str:
    """The first words of a prompt, whatever the white space between them and the case; all of a shorter prompt."""
    return " ".join(_text(prompt).lower().split()[:words])


def entity(prompt: Prompt) -> str:
    """Whom caps and splits count by: the user, or the prompt itself when its user is not known."""
    return f"user {prompt.user}" if prompt.user else f"prompt {prompt.id}"


def split_of(prompt: Prompt, rules: Rules) -> str:
    """The split of a prompt's user: a hash, so that new data never move anybody."""
    digest = hashlib.sha256(f"{rules.salt}|{entity(prompt)}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    return "test" if place < rules.test else "validation" if place < rules.test + rules.validation else "train"


def leave_one_out(instruction: Prompt, pairs: Sequence[tuple[str, str]], **facts: str) -> list[Demonstration]:
    """Few-shot prompts (appendix A.1): K pairs of query and response make K demonstrations.

    Each has the other K - 1 pairs before its own query, never its own answer. facts: fields of the records.
    """
    made: list[Demonstration] = []
    for number, (query, response) in enumerate(pairs):
        others = [f"{asked}\n{answered}" for n, (asked, answered) in enumerate(pairs) if n != number]
        content = "\n\n".join([instruction.messages[-1].content, *others, query])
        messages = (*instruction.messages[:-1], Message("user", content))
        prompt = Prompt(id=f"{instruction.id}/{number}", messages=messages, user=instruction.user)
        made.append(Demonstration(id=prompt.id, prompt=prompt, response=response, **facts))  # pyright: ignore[reportArgumentType]
    return made


def _text(prompt: Prompt) -> str:
    return "\n".join(message.content for message in prompt.messages)
