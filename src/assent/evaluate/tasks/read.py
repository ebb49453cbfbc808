"""Files of tasks: every row becomes part of an item, is not the task's, or is rejected with a sentence.

Containers are those of `data.files`, and tab-separated tables beside them, in which several of the tasks are published.
"""

import dataclasses
import gzip
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assent.data import files
from assent.data.public import Rejected
from assent.data.turns import RowError
from assent.evaluate.tasks.task import Fields, Item, Task, Unused
from assent.records import RecordError


@dataclass(frozen=True)
class Loaded:
    """The items of a file. rows = rows of the items + rejected + unused, which says how many and why."""

    path: Path
    items: list[Item]
    rejected: list[Rejected]
    unused: Counter[str]
    rows: int

    def __post_init__(self) -> None:
        used = sum(item.rows for item in self.items)
        assert self.rows == used + len(self.rejected) + self.unused.total(), "a row was lost"


def find(names: Sequence[str], folders: Sequence[Path]) -> Path | None:
    """The first file with one of the names in one of the folders."""
    return next((folder / name for folder in folders for name in names if (folder / name).exists()), None)


def load(task: Task, path: Path) -> Loaded:
    """The items of a task in a file. Raises RecordError when it cannot be read, or when no row is an item."""
    items: list[Item] = []
    rejected: list[Rejected] = []
    unused: Counter[str] = Counter()
    lines: dict[int, tuple[int, Any]] = {}  # where each item comes from
    rows = 0
    for line, content in _unfolded(task, path):
        rows += 1
        try:
            if isinstance(content, files.Broken):
                raise RowError("", content.reason)
            item = task.read(Fields(content, rows))
            lines[id(item)] = line, content
            items.append(item)
        except Unused as reason:
            unused[str(reason)] += 1
        except RowError as error:
            raw = content.raw if isinstance(content, files.Broken) else dict(content)
            rejected.append(Rejected(file=str(path), line=line, field=error.field, reason=error.reason, row=raw))
    gathered, left = task.gather(items)
    for item, reason in left:
        line, row = lines[id(item)]
        if reason.startswith("unused: "):
            unused[reason.removeprefix("unused: ")] += 1
        else:
            rejected.append(Rejected(file=str(path), line=line, field="", reason=reason, row=dict(row)))
    _refuse_fruitless(task, path, gathered, rejected)
    return Loaded(path, _apart(gathered), rejected, unused, rows)


def _apart(items: list[Item]) -> list[Item]:
    """The items with ids that differ: a repeated one gets a number."""
    seen: Counter[str] = Counter()
    found: list[Item] = []
    for item in items:
        seen[item.id] += 1
        again = seen[item.id]
        found.append(item if again == 1 else dataclasses.replace(item, id=f"{item.id}#{again}"))
    return found


def _refuse_fruitless(task: Task, path: Path, items: list[Item], rejected: list[Rejected]) -> None:
    if items:
        return
    first = rejected[0] if rejected else None
    why = f"line {first.line}: {first.field}{': ' if first.field else ''}{first.reason}" if first else "it has no row"
    raise RecordError(f"{path}: no row is an item of the task {task.name}; {why}")


def _unfolded(task: Task, path: Path) -> Iterator[tuple[int, Mapping[str, Any] | files.Broken]]:
    """Line and content of every row, nested files as rows of one question each."""
    for row in _tab_separated(path) if ".tsv" in path.suffixes else files.rows(path):
        if isinstance(row, files.Broken):
            yield row.line, row
        else:
            try:
                yield from ((row.line, one) for one in task.unfold(row.value))
            except (KeyError, TypeError, AttributeError) as error:
                reason = (
                    f"nested otherwise than the task's files are ({error}); see docs/evaluation.md for what is read"
                )
                yield row.line, files.Broken(row.line, reason, str(row.value)[:500])


def _tab_separated(path: Path) -> Iterator[files.Row | files.Broken]:
    """A table with a header; cells are not quoted, as in the published files."""
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        header: list[str] = []
        for number, raw in enumerate(file, start=1):
            try:
                cells = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n").split("\t")
            except UnicodeDecodeError:
                yield files.Broken(number, files.NOT_UTF8, raw.decode("utf-8", "backslashreplace").rstrip())
                continue
            if not header:
                header = [name.strip() for name in cells]
            elif len(cells) != len(header):
                reason = f"{len(cells)} cells under a header of {len(header)}; part the cells with tabs"
                yield files.Broken(number, reason, cells)
            else:
                yield files.Row(number, dict(zip(header, cells, strict=True)))
