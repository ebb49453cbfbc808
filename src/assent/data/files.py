"""The containers that rows come in, each read as a stream of objects where the container allows it.

JSONL, JSON, CSV and plain text (each also as `.gz`), Parquet, and a Hugging Face dataset saved on disk. What a row
means is not known here: see `layouts`. A row that cannot be read is a `Broken`, and the rows after it still come.
"""

import csv
import gzip
import json
import re
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from assent.records import RecordError

SEPARATOR = "<|endoftext|>"  # a line of its own between the documents of a text file
DEEPEST = 100  # levels of nesting: what is deeper could be read, but hardly be written again

NOT_UTF8 = "holds bytes that are not UTF-8, or half of a surrogate pair; convert the file to UTF-8"
TOO_DEEP = f"nested more than {DEEPEST} levels deep; flatten it or leave it out"

# cells of a CSV that hold JSON: lists and numbers, and turns; the others are texts, even where they look like JSON
_LISTS = ("messages", "conversations", "responses", "completions", "ranks", "scores", "models", "history")
_PARSED = (*_LISTS, "score", "rank", "seconds")
_TURNS = ("prompt", "chosen", "rejected", "completion")
_A_TURN = re.compile(r'\[\s*\{\s*"(?:role|from|content|value)"\s*:')
_MARKERS = ("state.json", "dataset_info.json", "dataset_dict.json")


@dataclass(frozen=True)
class Row:
    """One object of a file; `line` is its line in a line file, its number (from 1) in others."""

    line: int
    value: Mapping[str, Any]


@dataclass(frozen=True)
class Broken:
    """A row that could not be read, with as much of it as could."""

    line: int
    reason: str
    raw: Any


def rows(path: Path) -> Iterator[Row | Broken]:
    """The rows of a file, or of a directory that `datasets` saved.

    Raises RecordError for a missing file, an unknown ending, a broken gzip stream, or JSON that has no rows.
    """
    if not path.exists():
        raise RecordError(f"{path}: no such file; check the path")
    reader = _saved_dataset if path.is_dir() else _reader(path)
    try:
        yield from reader(path)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise RecordError(f"{path}: the gzip stream is broken ({error}); fetch or compress the file again") from None
    except RecursionError:
        raise RecordError(f"{path}: {TOO_DEEP}") from None


def _reader(path: Path) -> Callable[[Path], Iterator[Row | Broken]]:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] == [".gz"] and suffixes[-2:-1] != [".parquet"]:
        suffixes.pop()
    ending = suffixes[-1] if suffixes else ""
    if ending not in READERS:
        raise RecordError(f"{path}: the ending {ending!r} is not known; known are {', '.join(READERS)}, most also .gz")
    return READERS[ending]


def _open(path: Path, newline: str | None = None) -> IO[str]:
    """Open as UTF-8; a wrong byte becomes a lone surrogate, which `_is_text` finds in the row it belongs to."""
    reading = gzip.open if path.name.lower().endswith(".gz") else open
    return reading(path, "rt", encoding="utf-8-sig", errors="surrogateescape", newline=newline)


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _escaped(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _row(line: int, value: Any) -> Row | Broken:
    """A parsed value as a row, if it is an object that can be written again."""
    written = json.dumps(value, ensure_ascii=False)
    if _is_deep(value):
        return Broken(line, TOO_DEEP, _escaped(written))
    if not _is_text(written):
        return Broken(line, NOT_UTF8, _escaped(written))
    if not isinstance(value, Mapping):
        return Broken(line, f"an object was expected, not {type(value).__name__}; write one JSON object a row", value)
    return Row(line, value)


def _is_deep(value: Any) -> bool:
    level: list[Any] = [value]
    for _ in range(DEEPEST + 1):
        level = [item for item in level if isinstance(item, Mapping | list | tuple)]
        level = [child for item in level for child in (item.values() if isinstance(item, Mapping) else item)]
    return bool(level)


# -- lines and JSON ------------------------------------------------------------------------------------------------


def _jsonl(path: Path) -> Iterator[Row | Broken]:
    with _open(path) as file:
        yield from _json_lines(file)


def _json_lines(lines: Iterable[str]) -> Iterator[Row | Broken]:
    for number, line in enumerate(lines, start=1):
        line = line.rstrip("\n")
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            reason = f"not JSON ({_fault(error)}); write one JSON object a line" if _is_text(line) else NOT_UTF8
            yield Broken(number, reason, _escaped(line))
        except RecursionError:
            yield Broken(number, TOO_DEEP, _escaped(line))
        else:
            # without an escape there can be no lone surrogate, and the checks would double the time of a big file
            plain = isinstance(value, Mapping) and "\\u" not in line and line.count("[") + line.count("{") <= DEEPEST
            yield Row(number, value) if plain and _is_text(line) else _row(number, value)


def _fault(error: ValueError) -> str:
    if not isinstance(error, json.JSONDecodeError):
        return "a number of thousands of digits"  # Python refuses to read it
    return f"{error.msg}, {f'line {error.lineno}, ' if error.lineno > 1 else ''}column {error.colno}"


def _json(path: Path) -> Iterator[Row | Broken]:
    with _open(path) as file:
        text = file.read()
    try:
        value = json.loads(text)
    except ValueError as error:
        if isinstance(error, json.JSONDecodeError) and error.msg == "Extra data":  # JSON lines under the name .json
            yield from _json_lines(text.split("\n"))
            return
        fault = f"not JSON ({_fault(error)})"
        raise RecordError(f"{path}: {fault}; correct it, or write one object a line as .jsonl") from None
    for name in ("data", "rows"):
        if isinstance(value, Mapping) and isinstance(value.get(name), list):
            value = value[name]
    for number, item in enumerate(value if isinstance(value, list) else [value], start=1):
        yield _row(number, item)


# -- tables --------------------------------------------------------------------------------------------------------


class _Lines:
    """The lines of a file, which can be given back to be read again."""

    def __init__(self, file: Iterator[str]) -> None:
        self.file = file
        self.number = 0
        self.taken: list[str] = []
        self._again = deque[str]()

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self.file)
        self.taken.append(line)
        self.number += 1
        return line

    def give_back(self) -> None:
        """All that was taken but the first."""
        self._again.extendleft(reversed(self.taken[1:]))
        self.number -= len(self.taken) - 1


def _csv(path: Path) -> Iterator[Row | Broken]:
    csv.field_size_limit(2**31 - 1)  # a response may be longer than the 128 KiB that csv allows by default
    with _open(path, newline="") as file:
        lines = _Lines(iter(file))
        header = _header(path, lines)
        while True:
            lines.taken = []
            start = lines.number + 1
            try:
                cells = next(csv.reader(lines, strict=True))  # strict: an open quote must not swallow the file unseen
            except StopIteration:
                return
            except csv.Error as error:
                lines.give_back()  # the rows after this line may be whole
                reason = f"not CSV ({error}); quote the cells that hold quotes, commas or line ends"
                yield Broken(start, reason, _escaped(lines.taken[0].rstrip("\r\n")))
                continue
            if cells:
                yield _csv_row(start, header, cells)


def _header(path: Path, lines: _Lines) -> list[str]:
    try:
        header = [name.strip() for name in next(csv.reader(lines, strict=True), [])]
    except csv.Error as error:
        raise RecordError(f"{path}: the header is not CSV ({error}); quote its names") from None
    if repeated := [name for name in header if header.count(name) > 1]:
        raise RecordError(f"{path}: the header names {repeated[0]!r} twice; rename one of the columns")
    if len(header) == 1 and (wrong := next((mark for mark in ";\t" if mark in header[0]), "")):
        raise RecordError(f"{path}: the columns are separated by {wrong!r}; write the file with commas")
    return header


def _csv_row(line: int, header: list[str], cells: list[str]) -> Row | Broken:
    if not all(map(_is_text, cells)):
        return Broken(line, NOT_UTF8, list(map(_escaped, cells)))
    if len(cells) != len(header):
        return Broken(line, f"{len(cells)} cells under a header of {len(header)}; quote the cells", cells)
    value: dict[str, Any] = dict(zip(header, cells, strict=True))
    for name in (*_PARSED, *(name for name in _TURNS if _A_TURN.match(value.get(name, "")))):
        try:
            value[name] = json.loads(value.get(name) or "null")
        except (ValueError, RecursionError):
            return Broken(line, f"the cell {name!r} is not JSON; lists and numbers are written as JSON", cells)
    return _row(line, {name: cell for name, cell in value.items() if cell is not None})


def _parquet(path: Path) -> Iterator[Row | Broken]:
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as table:
            values = (value for batch in table.iter_batches(batch_size=1024) for value in batch.to_pylist())
            yield from _table(values)
    except (pyarrow.ArrowException, OSError) as error:
        raise RecordError(f"{path}: not a whole Parquet file ({error}); fetch or write the file again") from None


def _saved_dataset(path: Path) -> Iterator[Row | Broken]:
    if not any((path / name).exists() for name in _MARKERS):
        raise RecordError(f"{path}: a directory, but not a dataset that `save_to_disk` wrote; name its files instead")
    import datasets

    dataset = datasets.load_from_disk(str(path))
    if isinstance(dataset, datasets.DatasetDict):
        splits = [str(name) for name in dataset]
        raise RecordError(f"{path}: holds the splits {', '.join(splits)}; name one, such as {path / splits[0]}")
    yield from _table(dataset)


def _table(values: Iterable[Any]) -> Iterator[Row | Broken]:
    for number, value in enumerate(values, start=1):
        yield _row(number, json.loads(json.dumps(value, default=str)))  # dates and the like become texts


# -- plain text ----------------------------------------------------------------------------------------------------


def _text(path: Path) -> Iterator[Row | Broken]:
    """The documents of a text file, as rows with a `text`: one, or as many as `SEPARATOR` lines make."""
    start, lines = 1, list[str]()
    with _open(path) as file:
        for number, line in enumerate(file, start=1):
            if line.strip() == SEPARATOR:
                yield _document(start, lines)
                start, lines = number + 1, []
            else:
                lines.append(line)
    if start == 1 or any(line.strip() for line in lines):
        yield _document(start, lines)


def _document(start: int, lines: list[str]) -> Row | Broken:
    for offset, line in enumerate(lines):
        if not _is_text(line):
            return Broken(start + offset, NOT_UTF8, _escaped("".join(lines)))
    return Row(start, {"text": "".join(lines)})


READERS: dict[str, Callable[[Path], Iterator[Row | Broken]]] = {
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
    ".json": _json,
    ".csv": _csv,
    ".parquet": _parquet,
    ".txt": _text,
}
