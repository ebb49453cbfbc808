"""Every container: the same rows come out of each."""

import csv
import datetime
import decimal
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.data.kit import load, parquet, said, texts, why

from assent import records
from assent.records import RecordError

ROWS: list[dict[str, Any]] = [
    {"prompt": 'Name a color,\n"please".', "responses": ["Blue.", "Grün, öfter 🟢", "No."], "scores": [1.5, 1.5, -1]},
    {"prompt": [{"role": "user", "content": "Name a tree."}], "responses": ["Oak", "Ash"], "scores": [0, 1]},
    {"prompt": "Name\u2028a\x0bfish.", "responses": ["<|endoftext|>", "Cod"], "scores": [2, 1]},
]


def as_csv(rows: list[dict[str, Any]], **options: Any) -> str:
    file = io.StringIO()
    writer = csv.writer(file, **options)
    writer.writerow(rows[0])
    for row in rows:
        writer.writerow([value if isinstance(value, str) else json.dumps(value) for value in row.values()])
    return file.getvalue()


def saved(path: Path, rows: list[dict[str, Any]]) -> None:
    import datasets

    datasets.Dataset.from_list(rows).save_to_disk(str(path))


LINES = "".join(json.dumps(row) + "\n" for row in ROWS)
ESCAPED = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)
WHOLE: dict[str, bytes] = {
    "a.jsonl": LINES.encode(),
    "utf8.jsonl": ESCAPED.encode(),
    "bom.jsonl": ESCAPED.encode("utf-8-sig"),
    "crlf.jsonl": ESCAPED.replace("\n", "\r\n\r\n").encode(),
    "blank.ndjson": ("\n \n" + ESCAPED.rstrip("\n")).encode(),
    "a.jsonl.gz": gzip.compress(LINES.encode()),
    "two.members.jsonl.GZ": gzip.compress(LINES[:40].encode()) + gzip.compress(LINES[40:].encode()),
    "list.json": json.dumps(ROWS, indent=1).encode("utf-8-sig"),
    "data.json": json.dumps({"version": 1, "data": ROWS}).encode(),
    "lines.json": LINES.encode(),
    "a.json.gz": gzip.compress(json.dumps({"rows": ROWS}).encode()),
    "a.csv": as_csv(ROWS).encode(),
    "excel.csv": as_csv(ROWS, quoting=csv.QUOTE_ALL).encode("utf-8-sig"),
    "unix.csv.gz": gzip.compress(as_csv(ROWS, lineterminator="\n").encode()),
}


@pytest.mark.parametrize("name", WHOLE)
def test_the_same_rows_come_out_of_every_container(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(WHOLE[name])
    expect(load(tmp_path / name, "ranking"))


@pytest.mark.parametrize("make", [parquet, saved])
def test_tables(make: Callable[[Path, Any], None], tmp_path: Path) -> None:
    rows = [row | {"prompt": "Name a tree." if isinstance(row["prompt"], list) else row["prompt"]} for row in ROWS]
    rows = [row | {"scores": [float(score) for score in row["scores"]], "note": None} for row in rows]
    make(tmp_path / "rows.parquet", rows)
    expect(load(tmp_path / "rows.parquet", "ranking"))


def expect(loaded: Any) -> None:
    assert not loaded.rejected
    assert [said(found.prompt)[0][1] for found in loaded.records] == [
        'Name a color,\n"please".',
        "Name a tree.",
        "Name\u2028a\x0bfish.",
    ]
    assert [texts(found) for found in loaded.records] == [row["responses"] for row in ROWS]
    assert [found.ranks for found in loaded.records] == [(1, 1, 3), (2, 1), (1, 2)]
    assert loaded.records[0].prompt.id == records.from_json(records.to_json(loaded.records[0])).prompt.id  # pyright: ignore


def test_tables_of_conversations_with_nulls_and_a_data_set_of_splits(tmp_path: Path) -> None:
    import datasets

    chat = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    rows = [{"messages": chat, "system": None, "seconds": 2.5}, {"messages": None, "system": "s", "seconds": None}]
    parquet(tmp_path / "a.parquet", rows)
    loaded = load(tmp_path / "a.parquet", "demonstration")
    assert (loaded.records[0].response, loaded.records[0].seconds) == ("b", 2.5)
    assert why(loaded)[0].startswith("no layout has the fields system")
    assert (loaded.rejected[0].line, loaded.rejected[0].row) == (2, rows[1])
    datasets.DatasetDict({"train": datasets.Dataset.from_list(rows)}).save_to_disk(str(tmp_path / "all"))
    with pytest.raises(RecordError, match=r"holds the splits train; name one, such as .*/all/train"):
        load(tmp_path / "all", "demonstration")
    assert load(tmp_path / "all" / "train", "demonstration").records == loaded.records


def test_what_json_does_not_have_becomes_text(tmp_path: Path) -> None:
    when = datetime.datetime(2022, 3, 4, 5, 6)
    odd = {"when": when, "raw": b"x", "many": decimal.Decimal("1.5"), "day": when.date()}
    for make in (parquet, saved):
        path = tmp_path / f"{make.__name__}.parquet"
        make(path, [{"prompt": "a", "group": when, **odd}, {"prompt": None, "group": None, **odd}])
        loaded = load(path, "prompt")
        assert loaded.rejected[0].row["when"] == str(when)
        assert len(loaded.records) == 1


def test_plain_text(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffOne.\r\nTwo.\n<|endoftext|>\nThree <|endoftext|> four.\n  <|endoftext|> \n\n".encode())
    loaded = load(path, "document")
    assert [found.text for found in loaded.records] == ["One.\nTwo.\n", "Three <|endoftext|> four.\n"]
    path.write_bytes(b"a\n<|endoftext|>\n<|endoftext|>\nx\nb\xff\n<|endoftext|>\nc")
    loaded = load(path, "document")
    assert [found.text for found in loaded.records] == ["a\n", "c"]
    assert [(fault.line, fault.field) for fault in loaded.rejected] == [(3, "text"), (5, "")]
    assert loaded.rejected[1].row == "x\nb\\udcff\n"
