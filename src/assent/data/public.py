"""Records out of other people's files: every row becomes a record or a rejection that says why.

`files` reads the containers, `layouts` the rows, `items` makes the records; docs/formats.md shows them all.
"""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic

from assent.data import files, layouts
from assent.data.items import Item, joined, record_of
from assent.data.turns import RowError
from assent.records import Prompt, R, Record, RecordError, kind_name


@dataclass(frozen=True)
class Place:
    """Where a record or a rejection comes from: the line of a line file, the number of the row (from 1) in others."""

    file: str
    line: int


@dataclass(frozen=True, kw_only=True)
class Rejected:
    """A row, or a candidate of a tree or group, that was left out: the field, and a sentence with the remedy."""

    file: str
    line: int
    field: str
    reason: str
    row: Any


@dataclass(frozen=True, kw_only=True)
class Loaded(Generic[R]):
    """What was read. Nothing is lost: rows + expanded - merged = records + rejected.

    places: where each record comes from. expanded: candidates beyond the first of a row, as a tree has them.
    merged: rows that joined an earlier row of their group.
    """

    records: tuple[R, ...]
    places: tuple[Place, ...]
    rejected: tuple[Rejected, ...]
    rows: int
    expanded: int
    merged: int

    def __post_init__(self) -> None:
        assert len(self.records) == len(self.places)
        assert self.rows + self.expanded - self.merged == len(self.records) + len(self.rejected)

    @property
    def reasons(self) -> Counter[str]:
        """How many rejections each reason has."""
        return Counter(f"{item.field}: {item.reason}" if item.field else item.reason for item in self.rejected)


@dataclass(frozen=True)
class _Found:
    """A candidate on its way: an Item here still waits for the rest of its group."""

    place: Place
    outcome: Item | Record | RowError
    row: Any


def load(paths: Sequence[Path], kind: type[R], *, source: str = "", licence: str = "", layout: str = "") -> Loaded[R]:
    """Every record of a kind in some files, in their order, and every row that is none, with the reason.

    source, licence: for rows that do not name their own. layout: a name out of `layouts.LAYOUTS` for all rows;
    empty: each row's own fields decide. Raises RecordError when a file cannot be read, or none of its rows can.
    """
    if layout and layout not in layouts.layout_names():
        raise RecordError(f"layout: {layout!r} is not one of {', '.join(layouts.layout_names())}")
    rows = candidates = merged = 0
    found: list[_Found] = []
    groups: dict[str, int] = {}
    for path in paths:
        before = len(found)
        for row in files.rows(path):
            rows += 1
            for outcome in _outcomes(row, kind, layout, {"source": source, "licence": licence}):
                candidates += 1
                merged += _add(found, groups, _Found(Place(str(path), row.line), outcome, _content(row)))
        _refuse_fruitless(path, kind, found[before:], joins=merged > 0)
    loaded = _settled(found, kind, rows=rows, expanded=candidates - rows, merged=merged)
    if not loaded.records and loaded.rejected:  # groups are judged when all their rows are there
        raise RecordError(_fruitless(loaded.rejected[0].file, kind, len(loaded.rejected), loaded.rejected[0]))
    return loaded


def _outcomes(
    row: files.Row | files.Broken, kind: type[R], layout: str, defaults: Mapping[str, str]
) -> list[Item | Record | RowError]:
    """What a row gives: records and faults, and items that wait for their group."""
    if isinstance(row, files.Broken):
        return [RowError("", row.reason)]
    given = {name: value for name, value in row.value.items() if value is not None}  # tables write null for "missing"
    try:
        candidates = list(layouts.choose(given, kind, layout).parse(given, kind))
    except ValueError as error:
        return [RowError.of(error)]
    return [_outcome(candidate, kind, defaults) for candidate in candidates]


def _outcome(
    candidate: Item | Record | RowError, kind: type[R], defaults: Mapping[str, str]
) -> Item | Record | RowError:
    if isinstance(candidate, RowError):
        return candidate
    missing = {name: value for name, value in defaults.items() if not getattr(candidate, name)}
    candidate = dataclasses.replace(candidate, **missing)
    waits = isinstance(candidate, Item) and candidate.group and kind is not Prompt
    return candidate if waits or not isinstance(candidate, Item) else _made(candidate, kind)


def _made(item: Item, kind: type[R]) -> Record | RowError:
    try:
        return record_of(item, kind)
    except ValueError as error:
        return RowError.of(error)


def _add(found: list[_Found], groups: dict[str, int], new: _Found) -> bool:
    """Append a candidate, or join it to its group and return True."""
    if isinstance(new.outcome, Item) and new.outcome.group in groups:
        earlier = found[groups[new.outcome.group]]
        assert isinstance(earlier.outcome, Item)
        try:
            both = joined(earlier.outcome, new.outcome)
        except RowError as fault:
            found.append(dataclasses.replace(new, outcome=fault))
            return False
        found[groups[new.outcome.group]] = dataclasses.replace(earlier, outcome=both)
        return True
    if isinstance(new.outcome, Item):
        groups[new.outcome.group] = len(found)
    found.append(new if isinstance(new.outcome, RowError | Item) else dataclasses.replace(new, row=None))
    return False


def _settled(found: Sequence[_Found], kind: type[R], *, rows: int, expanded: int, merged: int) -> Loaded[R]:
    """The groups made into records, and everything sorted into records and rejections."""
    kept: list[R] = []
    places: list[Place] = []
    rejected: list[Rejected] = []
    for item in found:
        outcome = _made(item.outcome, kind) if isinstance(item.outcome, Item) else item.outcome
        if isinstance(outcome, RowError):
            rejected.append(_rejection(item, outcome))
        else:
            assert isinstance(outcome, kind)
            kept.append(outcome)
            places.append(item.place)
    return Loaded(
        records=tuple(kept),
        places=tuple(places),
        rejected=tuple(rejected),
        rows=rows,
        expanded=expanded,
        merged=merged,
    )


def _rejection(found: _Found, fault: RowError) -> Rejected:
    row = found.row if fault.part is None else fault.part
    return Rejected(file=found.place.file, line=found.place.line, field=fault.field, reason=fault.reason, row=row)


def _content(row: files.Row | files.Broken) -> Any:
    return row.raw if isinstance(row, files.Broken) else row.value


def _refuse_fruitless(path: Path, kind: type[R], found: Sequence[_Found], *, joins: bool) -> None:
    """Raise when a file gave nothing but rejections; where groups are joined its rows may stand under another file."""
    if joins or any(not isinstance(item.outcome, RowError) for item in found):
        return
    if not found:
        raise RecordError(f"{path}: holds no rows; check that it is the file you mean")
    assert isinstance(found[0].outcome, RowError)
    raise RecordError(_fruitless(str(path), kind, len(found), _rejection(found[0], found[0].outcome)))


def _fruitless(path: str, kind: type[R], count: int, first: Rejected) -> str:
    where = f"{first.field}: " if first.field else ""
    return f"{path}: none of its {count} rows makes a {kind_name(kind)}. Line {first.line}: {where}{first.reason}"
