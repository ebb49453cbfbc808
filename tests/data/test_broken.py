"""Broken rows cost themselves only, broken files are refused in one sentence, and nothing breaks the importer."""

import gzip
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.kit import attempt, load, parquet, said, texts, why, write

from assent import records
from assent.data import files
from assent.records import RecordError

# -- broken rows ---------------------------------------------------------------------------------------------------

DEEP = '{"prompt": "a", "x": %s}'


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"prompt": "a', "not JSON (Unterminated string starting at, column 12); write one JSON object a line"),
        (b'{"prompt": "a"} {"prompt": "b"}', "not JSON (Extra data"),
        (b"{'prompt': 'a'}", "not JSON"),
        (b'["a"]', "an object was expected, not list"),
        (b"null", "an object was expected, not NoneType"),
        (b'"a"', "an object was expected, not str"),
        (b'{"prompt": "\xff\xfe"}', "holds bytes that are not UTF-8"),
        (b'{"prompt": "caf\xe9"}', "holds bytes that are not UTF-8"),
        (b'{"prompt": "\\ud800"}', "holds bytes that are not UTF-8, or half of a surrogate pair"),
        (b'{"prompt": "a", "\\udfff": 1}', "holds bytes that are not UTF-8"),
        ((DEEP % ("[" * 101 + "]" * 101)).encode(), "nested more than 100 levels deep"),
        ((DEEP % ('{"a":' * 500 + "1" + "}" * 500)).encode(), "nested more than 100 levels deep"),
        ((DEEP % ("[" * 100_000)).encode(), "nested more than 100 levels deep"),
        (b'{"prompt": "a", "n": ' + b"9" * 5000 + b"}", "not JSON (a number of thousands of digits)"),
        (b"{}", "no layout has the fields none"),
        (b'{"": "", "prompt": {}}', "prompt.role: not one of"),
        (b"\x00", "not JSON"),
    ],
)
def test_a_broken_line_costs_that_line_only(line: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"prompt": "first"}\n\n' + line + b'\n{"prompt": "last"}'))
    loaded = load(path, "prompt")
    assert [said(found)[0][1] for found in loaded.records] == ["first", "last"]
    assert why(loaded)[0].startswith(reason)
    fault = loaded.rejected[0]
    assert fault.line == 3
    kept = fault.row if isinstance(fault.row, str) else json.dumps(fault.row)
    assert kept.replace(" ", "")[:12] in line.decode(errors="backslashreplace").replace(" ", "") or "\\ud" in kept
    assert len(kept) >= 0.3 * len(line)


def test_shallow_brackets_in_text_are_not_deep(tmp_path: Path) -> None:
    rows = [{"prompt": "[" * 1000, "x": json.loads("[" * 98 + "]" * 98)}, {"prompt": "a", "x": [[{}]] * 200}]
    assert len(load(write(tmp_path / "a.jsonl", rows), "prompt").records) == 2


def test_a_list_with_odd_members(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('[{"prompt": "a"}, 3, {"prompt": "\\ud800"}, {"prompt": NaN}, {"prompt": "b"}]')
    loaded = load(path, "prompt")
    assert [(fault.line, fault.field) for fault in loaded.rejected] == [(2, ""), (3, ""), (4, "prompt")]


def test_a_csv_with_odd_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(
        b"prompt,chosen,rejected,seconds\r\n"
        b"a,b,c,1.5\r\n"
        b"a,b\r\n"
        b'a,"b"x,c,\r\n'
        b"a,b,c,fast\r\n"
        b'"a\nlong",b,c,\r\n'
        b"a,caf\xe9,c,\r\n"
        b'a,"[{""role"": ""assistant"", ""content"": ""b""}]","[{""name"": 1}]",\r\n'
        b"\r\n"
        b'a,"never closed,c,\r\n'
        b"z,b,c,2\r\n"
    )
    loaded = load(path, "ranking")
    assert [texts(found) for found in loaded.records] == [["b", "c"]] * 2 + [["b", '[{"name": 1}]'], ["b", "c"]]
    assert [found.seconds for found in loaded.records] == [1.5, None, None, 2.0]
    assert [place.line for place in loaded.places] == [2, 6, 9, 12]
    assert [(fault.line, fault.reason.partition(" (")[0].partition(";")[0]) for fault in loaded.rejected] == [
        (3, "2 cells under a header of 4"),
        (4, "not CSV"),
        (5, "the cell 'seconds' is not JSON"),
        (8, "holds bytes that are not UTF-8, or half of a surrogate pair"),
        (11, "not CSV"),
    ]
    assert loaded.rejected[1].row == 'a,"b"x,c,'
    assert loaded.rejected[4].row == 'a,"never closed,c,'


# -- broken files --------------------------------------------------------------------------------------------------

GZ = gzip.compress(random.Random(0).randbytes(4000).hex().encode())
REFUSED: dict[str, tuple[bytes, str]] = {
    "a.jsonl": (b"", "holds no rows; check that it is the file you mean"),
    "blank.jsonl": (b"\n\n \n", "holds no rows"),
    "b.json": (b"[]", "holds no rows"),
    "c.json": (b"", "not JSON .*; correct it"),
    "d.json": (b'[{"prompt": "a"}, {"prom', "not JSON"),
    "e.json": (b"[" * 100_000, "nested more than 100 levels deep; flatten"),
    "f.json": (b"[" * 990 + b"]" * 990, "nested more than 100 levels deep"),
    "a.csv": (b"", "holds no rows"),
    "b.csv": (b"prompt,response\n", "holds no rows"),
    "c.csv": (b"prompt,prompt\na,b\n", "the header names 'prompt' twice; rename"),
    "d.csv": (b"prompt;response\na;b\n", "the columns are separated by ';'; write the file with commas"),
    "e.csv": (b'"prompt,response\na,b\n', "the header is not CSV .*; quote its names"),
    "a.txt": (b"", "none of its 1 rows makes a prompt"),
    "a.tsv": (b"a\tb", "the ending '.tsv' is not known; known are .jsonl"),
    "noending": (b"a", "the ending '' is not known"),
    "a.parquet.gz": (b"a", "the ending '.gz' is not known"),
    "a.jsonl.gz": (b'{"prompt": "a"}', "the gzip stream is broken .*; fetch or compress the file again"),
    "b.jsonl.gz": (GZ[:1000], "the gzip stream is broken"),
    "c.jsonl.gz": (GZ[:500] + b"\x00\xff" * 50 + GZ[600:], "the gzip stream is broken"),
    "a.parquet": (b"PAR1 no parquet PAR1", "not a whole Parquet file .*; fetch or write the file again"),
    "b.parquet": (b"", "not a whole Parquet file"),
    "utf16.jsonl": ('{"prompt": "a"}'.encode("utf-16"), "convert the file to UTF-8"),
    "model.jsonl": (bytes(range(256)) * 20, "none of its"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_cannot_be_used_is_refused_in_one_sentence(name: str, tmp_path: Path) -> None:
    content, reason = REFUSED[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RecordError, match=f"{name}: .*{reason}"):
        load(tmp_path / name, "prompt")
    good = write(tmp_path / "good.jsonl", [{"prompt": "a", "response": "b", "score": 1}] * 2)
    with pytest.raises(RecordError, match=f"{name}: .*{reason.replace('a prompt', 'a ranking')}"):
        load([good, tmp_path / name], "ranking")


def test_missing_files_and_directories(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"x\.jsonl: no such file; check the path"):
        load(tmp_path / "x.jsonl", "prompt")
    with pytest.raises(RecordError, match="a directory, but not a dataset that `save_to_disk` wrote; name its files"):
        load(tmp_path, "prompt")


def test_a_parquet_file_with_a_damaged_page(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    parquet(path, [{"prompt": f"{n} {random.Random(n).random()}"} for n in range(5000)])
    content = bytearray(path.read_bytes())
    content[100:2000] = bytes(1900)
    path.write_bytes(content)
    with pytest.raises(RecordError, match="not a whole Parquet file"):
        load(path, "prompt")


@given(
    ending=st.sampled_from(list(files.READERS)),
    content=st.binary(max_size=60)
    | st.text('{}[]":,\\\n\r\ta1\ud800', max_size=40).map(lambda text: text.encode(errors="surrogatepass")),
    kind=st.sampled_from(list(records.KINDS)),
)
@settings(max_examples=100, deadline=None)
def test_no_file_breaks_the_importer(tmp_path_factory: Any, ending: str, content: bytes, kind: str) -> None:
    path = tmp_path_factory.mktemp("any") / f"a{ending}"
    path.write_bytes(content)
    attempt(path, kind)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
TURN = st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", 1]), "content": JSON})
NAMES = "prompt messages chosen rejected response responses ranks rank score label replies role text kind schema system"
NAMES += " instruction input history models group conversations answers response_a response_b seconds id user category"
VALUE = JSON | st.lists(TURN, max_size=3) | st.sampled_from(["ranking", "\n\nHuman: a\n\nAssistant: b", "a", 1])


@given(
    rows=st.lists(st.dictionaries(st.sampled_from(NAMES.split()), VALUE, max_size=7), max_size=3),
    kind=st.sampled_from(list(records.KINDS)),
    layout=st.sampled_from(["", "", "tree", "pair", "list", "scored", "answered", "conversation", "assent"]),
)
@settings(max_examples=200, deadline=None)
def test_no_row_breaks_the_importer(tmp_path_factory: Any, rows: list[Any], kind: str, layout: str) -> None:
    path = write(tmp_path_factory.mktemp("any") / "a.jsonl", rows)
    loaded = attempt(path, kind, layout=layout)
    assert loaded is None or loaded.rows == len(rows)


SHOWN = (
    b'{"kind": "demonstration", "schema": 1, "id": "a", "response": "b", "seconds": SECONDS,'
    b' "prompt": {"id": "p", "messages": [{"role": "user", "content": "c"}]}}'
)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"[]", "an object was expected"),
        (b'{"kind": [], "schema": 1}', "kind: "),
        (b'{"kind": "document", "schema": 1, "id": "a", "text": "\xff"}', "utf-8"),
        (b"[" * 100_000, "recursion"),
        (SHOWN.replace(b"SECONDS", b"NaN"), "seconds: a finite number"),
        (SHOWN.replace(b"SECONDS", b"1" + b"0" * 400), "seconds: a finite number"),
    ],
)
def test_a_broken_line_of_records_is_named(line: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    path.write_bytes(b"\xef\xbb\xbf\n" + line + b"\n")
    with pytest.raises(records.RecordError, match=f"line 2: .*{says}"):
        list(records.read(path, records.Demonstration))
