"""The containers that rows come in, each read as a stream of objects where the container allows it.

JSONL, JSON, CSV and plain text (each also as `.gz`), Parquet, and a Hugging Face dataset saved on disk. What a row
means is not known here: see `layouts`. A row that cannot be read is a `Broken`, and the rows after it still come.
"""

import csv
import gzip
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from assent.records import RecordError

SEPARATOR = "<|endoftext|>"  # a line of its own between the documents of a text file

NOT_UTF8 = "holds bytes that are not UTF-8, or half of a surrogate pair; convert the file to UTF-8"

# cells of a CSV that hold JSON: lists and numbers; the others are texts, even where they look like JSON
_LISTS = ("messages", "conversations", "responses", "completions", "ranks", "scores", "models", "history")
_PARSED = (*_LISTS, "score", "rank", "seconds")
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


def _reader(path: Path) -> Callable[[Path], Iterator[Row | Broken]]:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] == [".gz"] and suffixes[-2:-1] != [".parquet"]:
        suffixes.pop()
    ending = suffixes[-1] if suffixes else ""
    if ending not in _READERS:
        known = ", ".join(_READERS)
        raise RecordError(f"{path}: the ending {ending!r} is not known; known are {known}, all but .parquet also .gz")
    return _READERS[ending]


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
    """A parsed value as a row, if it is an object whose texts can be written again."""
    if not isinstance(value, Mapping):
        return Broken(line, f"an object was expected, not {type(value).__name__}; write one JSON object a row", value)
    written = json.dumps(value, ensure_ascii=False, default=str)
    return Row(line, value) if _is_text(written) else Broken(line, NOT_UTF8, _escaped(written))


# -- lines and JSON ------------------------------------------------------------------------------------------------


def _jsonl(path: Path) -> Iterator[Row | Broken]:
    with _open(path) as file:
        yield from _json_lines(file)


def _json_lines(lines: Iterable[str]) -> Iterator[Row | Broken]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        if not _is_text(line):
            yield Broken(number, NOT_UTF8, _escaped(line.rstrip("\n")))
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield Broken(number, f"not JSON ({error}); write one JSON object a line", line.rstrip("\n"))
        else:
            # without an escape there can be no lone surrogate, and the check would double the time of a big file
            plain = isinstance(value, Mapping) and "\\u" not in line
            yield Row(number, value) if plain else _row(number, value)


def _json(path: Path) -> Iterator[Row | Broken]:
    with _open(path) as file:
        text = file.read()
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        if isinstance(error, json.JSONDecodeError) and error.msg == "Extra data":  # JSON lines under the name .json
            yield from _json_lines(text.split("\n"))
            return
        raise RecordError(f"{path}: not JSON ({error}); correct it, or write one object a line as .jsonl") from None
    for name in ("data", "rows"):
        if isinstance(value, Mapping) and isinstance(value.get(name), list):
            value = value[name]
    for number, item in enumerate(value if isinstance(value, list) else [value], start=1):
        yield _row(number, item)


# -- tables --------------------------------------------------------------------------------------------------------


def _csv(path: Path) -> Iterator[Row | Broken]:
    csv.field_size_limit(2**31 - 1)  # a response may be longer than the 128 KiB that csv allows by default
    with _open(path, newline="") as file:
        reader = csv.reader(file, strict=True)  # strict: an open quote must not swallow the rest of the file
        header = next(reader, [])
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield Broken(line, f"not CSV ({error}); quote the cells that hold quotes, commas or line ends", None)
                continue
            if cells:
                yield _csv_row(line, header, cells)


def _csv_row(line: int, header: list[str], cells: list[str]) -> Row | Broken:
    if len(cells) != len(header):
        return Broken(line, f"{len(cells)} cells under a header of {len(header)}; quote the cells", cells)
    value: dict[str, Any] = dict(zip(header, cells, strict=True))
    for name in _PARSED:
        if value.get(name):
            try:
                value[name] = json.loads(value[name])
            except ValueError:
                return Broken(line, f"the cell {name!r} is not JSON; lists and numbers are written as JSON", value)
    return _row(line, {name: cell for name, cell in value.items() if cell != "" or name not in _PARSED})


def _parquet(path: Path) -> Iterator[Row | Broken]:
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.ParquetFile(path)
    except pyarrow.ArrowInvalid as error:
        raise RecordError(f"{path}: not a Parquet file ({error}); fetch or write the file again") from None
    with table:
        number = 0
        for batch in table.iter_batches(batch_size=1024):
            for value in batch.to_pylist():
                number += 1
                yield _row(number, value)


def _saved_dataset(path: Path) -> Iterator[Row | Broken]:
    if not any((path / name).exists() for name in _MARKERS):
        raise RecordError(f"{path}: a directory, but not a dataset that `save_to_disk` wrote; name its files instead")
    import datasets

    dataset = datasets.load_from_disk(str(path))
    if isinstance(dataset, datasets.DatasetDict):
        splits = [str(name) for name in dataset]
        raise RecordError(f"{path}: holds the splits {', '.join(splits)}; name one, such as {path / splits[0]}")
    for number, value in enumerate(dataset, start=1):
        yield _row(number, value)


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
            return Broken(start + offset, NOT_UTF8, _escaped(line.rstrip("\n")))
    return Row(start, {"text": "".join(lines)})


_READERS: dict[str, Callable[[Path], Iterator[Row | Broken]]] = {
    ".jsonl": _jsonl,
    ".json": _json,
    ".csv": _csv,
    ".parquet": _parquet,
    ".txt": _text,
}
