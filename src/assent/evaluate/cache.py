"""What models have answered and scorers have said, so that nothing is computed twice: append-only JSONL.

A key is a hash of everything an answer depends on: the task and its version, the words of the prompt, the choices, and
how it was asked. There is one file a model, named by the hash of its contents, so that a second model costs only itself
and an evaluation that was stopped anywhere goes on.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from assent.evaluate.tasks.task import Outcome, Scorer


def key_of(*parts: Any) -> str:
    """The hash of some values that JSON can write."""
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()[:32]


class Cache:
    """Values by key in a file. A last line that was half written is forgotten."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.values: dict[str, Any] = {}
        if not path.exists():
            return
        whole = 0
        with path.open("rb") as file:
            for line in file:
                try:
                    row = json.loads(line)
                    self.values[row["key"]] = row["value"]
                except (ValueError, KeyError, TypeError):
                    break
                if not line.endswith(b"\n"):
                    break
                whole += len(line)
        if whole < path.stat().st_size:
            with path.open("rb+") as file:
                file.truncate(whole)

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def add(self, pairs: Iterable[tuple[str, Any]]) -> None:
        """Keep values, on the disk when the call returns."""
        new = dict(pairs)
        self.values |= new
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps({"key": k, "value": v}, ensure_ascii=False) + "\n" for k, v in new.items())


def to_value(outcome: Outcome) -> dict[str, Any]:
    """An outcome as JSON; `from_value` is its inverse."""
    fields = vars(outcome) | {"sums": list(outcome.sums), "lengths": list(outcome.lengths)}
    blank = vars(Outcome())
    return {name: value for name, value in fields.items() if value and value != blank[name]}


def from_value(value: dict[str, Any]) -> Outcome:
    """The outcome that `to_value` wrote."""
    fields: dict[str, Any] = {name: tuple(one) if isinstance(one, list) else one for name, one in value.items()}
    return Outcome(**fields)


class Remembered:
    """A scorer that asks the scorer behind it about each text once."""

    def __init__(self, scorer: Scorer, folder: Path) -> None:
        self.scorer = scorer
        self.name, self.key = scorer.name, scorer.key
        self.cache = Cache(folder / f"scorer-{key_of(scorer.key)[:16]}.jsonl")

    def scores(self, pairs: Sequence[tuple[str, str]]) -> list[float | None]:
        """See `Scorer`; what has no number is asked again another time."""
        keys = [key_of(*pair) for pair in pairs]
        new = {key: pair for key, pair in zip(keys, pairs, strict=True) if key not in self.cache}
        found = dict(zip(new, self.scorer.scores(list(new.values())), strict=True))
        self.cache.add((key, value) for key, value in found.items() if value is not None)
        return [self.cache.values.get(key, found.get(key)) for key in keys]

    def failures(self) -> list[str]:
        """See `Scorer`."""
        return self.scorer.failures()
