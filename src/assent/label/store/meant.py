"""How practice items are meant: what a labeler is shown once they have done one."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from assent.label import schema
from assent.label.store import said
from assent.records import Prompt, Ranking, Samples

LONGEST = 10_000  # characters of a reason


@dataclass(frozen=True)
class Meant:
    """Of one record: why the right answer is right; the ranks, of responses to rank; an answer, of one to write."""

    reason: str
    ranks: tuple[int, ...] | None = None
    response: str = ""

    @classmethod
    def of(cls, row: Any) -> tuple[str, "Meant"]:
        """(id of the record, how it is meant) of one JSON object. Raises ValueError that names the field."""
        if not isinstance(row, Mapping):
            raise ValueError('an object was expected, such as {"id": ..., "reason": ..., "ranks": [...]}')
        known: dict[str, Any] = {str(name): value for name, value in row.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        if extra := sorted(known.keys() - {"id", "reason", "ranks", "response"}):
            raise ValueError(f"{', '.join(extra)}: unknown; fields are id, reason, ranks and response")
        for name, longest in (("id", 400), ("reason", LONGEST)):
            value = known.get(name)
            if not isinstance(value, str) or not value.strip() or len(value) > longest or "\0" in value:
                raise ValueError(f"{name}: a text of 1 to {longest} characters is needed")
        response = known.get("response", "")
        if not isinstance(response, str) or len(response) > schema.MAX_TEXT or "\0" in response:
            raise ValueError(f"response: a text of at most {schema.MAX_TEXT} characters")
        return known["id"], cls(known["reason"], _ranks(known.get("ranks")), response)

    def fitting(self, record: Prompt | Samples | Ranking) -> "Meant":
        """The same, seen to fit its record, with the ranks of a ranking. Raises ValueError."""
        if isinstance(record, Prompt):
            if self.ranks is not None or not self.response.strip():
                raise ValueError(f"{record.id}: a prompt is to be answered; give `response` and no `ranks`")
            return self
        ranks = self.ranks or (record.ranks if isinstance(record, Ranking) else None)
        if ranks is None or len(ranks) != len(record.responses):
            raise ValueError(f"{record.id}: `ranks` are needed, one for each of its {len(record.responses)} responses")
        if self.response:
            raise ValueError(f"{record.id}: responses are to be ranked; give `ranks` and no `response`")
        return Meant(self.reason, ranks)


def _ranks(given: Any) -> tuple[int, ...] | None:
    if given is None:
        return None
    whole = isinstance(given, list) and all(isinstance(one, int) and not isinstance(one, bool) for one in given)  # pyright: ignore[reportUnknownVariableType]
    ranks: tuple[int, ...] = tuple(given) if whole else ()
    if not ranks or set(ranks) != set(range(1, max(ranks) + 1)):
        raise ValueError("ranks: whole numbers from 1 without gaps, in the order of the responses; ties share one")
    return ranks


def parse(lines: Iterable[bytes | str], name: str) -> dict[str, Meant]:
    """How records are meant, by their ids, from lines of JSON. Raises ValueError that names file, line and field."""
    found: dict[str, Meant] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            identity, one = Meant.of(json.loads(line))
            if identity in found:
                raise ValueError(f"id: {identity!r} stands in two lines; keep one")
        except (ValueError, RecursionError) as error:
            raise ValueError(said.at(name, number, error)) from None
        found[identity] = one
    return found
