"""How many rows of batches there are of which kind, counted along the indices."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, func, select

from assent.label.store.tables import item


def of_items(connection: Connection, numbers: Sequence[int]) -> tuple[dict[int, dict[str, int]], ...]:
    """The items of batches by state and by stratum, in one walk along their index."""
    by_state: dict[int, dict[str, int]] = defaultdict(Counter)
    by_stratum: dict[int, dict[str, int]] = defaultdict(Counter)
    kinds = (item.c.batch, item.c.state, item.c.stratum)
    statement = select(*kinds, func.count()).where(item.c.batch.in_(numbers)).group_by(*kinds)
    for number, state, stratum, count in connection.execute(statement):
        by_state[number][state] += count
        by_stratum[number][stratum] += count
    return by_state, by_stratum


def by_kind(connection: Connection, group: Any, kind: Any, numbers: Iterable[int]) -> dict[int, dict[str, int]]:
    """The rows of batches by what `kind` says of each."""
    found_counts: dict[int, dict[str, int]] = {}
    statement = select(group, kind, func.count()).where(group.in_(list(numbers))).group_by(group, kind)
    for number, name, count in connection.execute(statement):
        found_counts.setdefault(number, {})[name] = count
    return found_counts
