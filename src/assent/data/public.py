"""Records out of other people's files: every row becomes a record or a rejection that says why.

`files` reads the containers, `layouts` the rows, `items` makes the records; docs/formats.md shows them all.
"""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NamedTuple, cast

from assent.data import files, layouts
from assent.data.items import Item, check_joins, joined, record_of
from assent.data.turns import RowError
from assent.records import Prompt, R, Record, RecordError, kind_name


@dataclass(frozen=True)
class Place:
    """Where a record or a rejection comes from: the line of a line file, the number of the row (from 1) in others."""

    file: str
    line: int


@dataclass(frozen=True, kw_only=True)
class Rejected:
    """A row, or a candidate of a tree, that was left out: the field, and a sentence with the remedy."""

    file: str
    line: int
    field: str
    reason: str
    row: Any


@dataclass(frozen=True, kw_only=True)
class Loaded(Generic[R]):
    """What was read. Nothing is lost: rows + expanded - merged = records + rejected.

    places: where each record comes from. expanded: candidates beyond the first of a row, as a tree has them.
    merged: rows that went into a record with an earlier row of their group.
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


class _Found(NamedTuple):
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
    rows = 0
    found: list[list[_Found]] = []
    groups: dict[str, list[_Found]] = {}
    for path in paths:
        candidates: list[_Found] = []
        for row in files.rows(path):
            rows += 1
            place, content = Place(str(path), row.line), _content(row)
            for outcome in _outcomes(row, kind, layout, {"source": source, "licence": licence}):
                keeps = isinstance(outcome, Item | RowError)
                candidates.append(_Found(place, outcome, content if keeps else None))
        _refuse_fruitless(path, kind, candidates)
        for one in candidates:
            members = groups.get(one.outcome.group) if isinstance(one.outcome, Item) else None
            if members is None:
                found.append(members := [])
            if isinstance(one.outcome, Item):
                groups[one.outcome.group] = members
            members.append(one)
    return _settled(found, kind, rows=rows)


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
    except OverflowError:
        return [RowError("", "a number is too large; correct it or leave the row out")]
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


def _settled(found: Sequence[Sequence[_Found]], kind: type[R], *, rows: int) -> Loaded[R]:
    """The groups made into records, and everything sorted into records and rejections."""
    kept: list[R] = []
    places: list[Place] = []
    rejected: list[Rejected] = []
    merged = 0
    for members in found:
        record, faults = _whole(members, kind)
        rejected += faults
        if record is not None:
            assert isinstance(record, kind)
            kept.append(record)
            places.append(members[0].place)
            merged += len(members) - len(faults) - 1
    if not kept and rejected:  # groups are judged when all their rows are there
        raise RecordError(_fruitless(rejected[0].file, kind, len(rejected), rejected[0]))
    return Loaded(
        records=tuple(kept),
        places=tuple(places),
        rejected=tuple(rejected),
        rows=rows,
        expanded=sum(map(len, found)) - rows,
        merged=merged,
    )


def _whole(members: Sequence[_Found], kind: type[R]) -> tuple[Record | None, list[Rejected]]:
    """The record of one candidate or of a group, and what is not in it; a group that fails is rejected row by row."""
    first = members[0]
    if not isinstance(first.outcome, Item):
        fault = first.outcome if isinstance(first.outcome, RowError) else None
        return (None, [_rejection(first, fault)]) if fault else (cast(Record, first.outcome), [])
    group: list[tuple[_Found, Item]] = []
    faults: list[Rejected] = []
    for member in members:
        assert isinstance(member.outcome, Item)
        try:
            check_joins(first.outcome, member.outcome)
            group.append((member, member.outcome))
        except RowError as fault:
            faults.append(_rejection(member, fault))
    record = _made(joined([item for _, item in group]), kind)
    if isinstance(record, RowError):
        return None, [*(_rejection(member, record) for member, _ in group), *faults]
    return record, faults


def _rejection(found: _Found, fault: RowError) -> Rejected:
    row = found.row if fault.part is None else fault.part
    return Rejected(file=found.place.file, line=found.place.line, field=fault.field, reason=fault.reason, row=row)


def _content(row: files.Row | files.Broken) -> Any:
    return row.raw if isinstance(row, files.Broken) else row.value


def _refuse_fruitless(path: Path, kind: type[R], found: Sequence[_Found]) -> None:
    """Raise when a file gave nothing but rejections."""
    if not found:
        raise RecordError(f"{path}: holds no rows; check that it is the file you mean")
    if all(isinstance(item.outcome, RowError) for item in found):
        assert isinstance(found[0].outcome, RowError)
        raise RecordError(_fruitless(str(path), kind, len(found), _rejection(found[0], found[0].outcome)))


def _fruitless(path: str, kind: type[R], count: int, first: Rejected) -> str:
    where = f"{first.field}: " if first.field else ""
    return f"{path}: none of its {count} rows makes a {kind_name(kind)}. Line {first.line}: {where}{first.reason}"
