"""docs/formats.md held against the code, and records that come back as they went."""

import dataclasses
import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.kit import load_rows

from assent import records
from assent.data import files, layouts, pii, prompts
from assent.records import KINDS, Message, RecordError, Response

PAGE = (Path(__file__).parents[2] / "docs" / "formats.md").read_text()
RECORDS, LAYOUTS = PAGE.split("### Layouts")


def examples(text: str) -> list[str]:
    return [line for block in re.findall(r"^```json\n(.*?)^```", text, re.M | re.S) for line in block.splitlines()]


def table(text: str, header: str) -> list[list[str]]:
    body = text.split(f"| {header} |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in body]


def test_the_examples_of_records_are_records() -> None:
    rows = [json.loads(line) for line in examples(RECORDS)]
    assert [row["kind"] for row in rows] == list(KINDS)
    for row in rows:
        assert records.to_json(records.from_json(row)).items() >= {"schema": records.SCHEMA, "id": row["id"]}.items()


def test_the_table_of_fields_is_the_dataclasses() -> None:
    said = {
        (kind, field.strip("`")): default
        for field, kinds, _, default, _ in table(RECORDS, "field | in | type | default | meaning")
        for kind in (KINDS if kinds == "every" else kinds.split(", "))
    }
    for kind, wanted in KINDS.items():
        defaults = {"kind": "required", "schema": "required"} | {f.name: default_of(f) for f in fields(wanted)}
        assert {field: default for (name, field), default in said.items() if name == kind} == defaults | (
            {"source": '`""`', "licence": '`""`'}
        )
    parts = table(RECORDS, "part | field | type | default | meaning")
    for name, part in (("message", Message), ("response", Response)):
        found = {field.strip("`"): default for which, field, _, default, _ in parts if which == name}
        assert found == {f.name: default_of(f) for f in fields(part)}


def fields(kind: Any) -> "tuple[dataclasses.Field[Any], ...]":
    return dataclasses.fields(kind)


def default_of(field: "dataclasses.Field[Any]") -> str:
    if field.default_factory is not dataclasses.MISSING:
        return f"`{json.dumps(field.default_factory())}`"
    if field.default is dataclasses.MISSING:
        return "required"
    return "null" if field.default is None else f"`{json.dumps(field.default)}`"


def test_words_in_the_page_are_those_of_the_code() -> None:
    for word in (*records.USE_CASES, *records.FLAGS, *files.READERS, *layouts.layout_names()):
        assert f"`{word}`" in PAGE, word
    assert f"more than {files.DEEPEST} levels" in re.sub(r"\s+", " ", PAGE)
    rules = {
        row[0]: row[1] for row in table(PAGE, "step | flag, default | what | `field`: `reason` of what is dropped")
    }
    defaults = prompts.Rules()
    assert rules["duplicates"] == f"`--prefix` {defaults.prefix}"
    assert rules["cap"] == f"`--cap` {defaults.cap}"
    assert rules["split"] == f"`--validation` {defaults.validation}, `--test` {defaults.test}, `--salt`"
    assert len(pii.RECOGNISERS) == 6


@pytest.mark.parametrize("name", layouts.layout_names())
def test_the_examples_of_layouts_are_read_as_the_page_says(name: str, tmp_path: Path) -> None:
    sections = dict(re.findall(r"^#### (\w+)\n(.*?)(?=^##)", LAYOUTS, re.M | re.S))
    rows = [json.loads(line) for line in examples(sections[name] if name != "assent" else RECORDS)]
    assert len(rows) >= 2
    offered = {row[0].strip("`"): row[2] for row in table(LAYOUTS, "layout | fits a row with | can be read as")}[name]
    for kind in KINDS:
        for row in rows:
            given = name != "assent" and kind in offered.split(", ")
            if given:
                assert layouts.choose(row, KINDS[kind]).name == name
        if given:
            rejected = load_rows(tmp_path, rows, kind).rejected
            assert len(rejected) == (2 if (name, kind) == ("tree", "demonstration") else 0)
        elif name != "assent":
            with pytest.raises(RecordError, match="none of its"):
                load_rows(tmp_path, rows, kind)


# -- records -------------------------------------------------------------------------------------------------------

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
SOLID = WORDS.filter(lambda text: bool(text.strip()))
SECONDS = st.none() | st.floats(allow_nan=False, allow_infinity=False)
ASKED = st.lists(st.builds(Message, st.sampled_from(records.ROLES), WORDS), max_size=3).map(tuple)
ORIGIN = {"id": WORDS, "source": WORDS, "licence": WORDS}
PEOPLE = {"labeler": WORDS, "guideline": WORDS, "seconds": SECONDS}
PROMPT = st.builds(
    records.Prompt,
    messages=st.builds(lambda rest, last: (*rest, Message("user", last)), ASKED, SOLID),
    user=WORDS,
    use_case=st.sampled_from(["", *records.USE_CASES]),
    **ORIGIN,
)
RESPONSE = st.builds(Response, text=WORDS, policy=WORDS, temperature=SECONDS, finish=st.sampled_from(["", "eos"]))
ORDERED = st.lists(st.tuples(RESPONSE, st.integers(1, 9)), min_size=2, max_size=5)
RECORD = st.one_of(
    PROMPT,
    st.builds(records.Demonstration, prompt=PROMPT, response=SOLID, **ORIGIN, **PEOPLE),
    st.builds(records.Samples, prompt=PROMPT, responses=st.lists(RESPONSE, min_size=1).map(tuple), **ORIGIN),
    st.builds(
        lambda pairs, **rest: records.Ranking(
            responses=tuple(response for response, _ in pairs), ranks=tuple(rank for _, rank in pairs), **rest
        ),
        ORDERED,
        prompt=PROMPT,
        **ORIGIN,
        **PEOPLE,
    ),
    st.builds(
        records.Rating,
        prompt=PROMPT,
        response=RESPONSE,
        overall=st.integers(1, 7),
        flags=st.dictionaries(st.sampled_from(records.FLAGS), st.none() | st.booleans()),
        **ORIGIN,
        **PEOPLE,
    ),
    st.builds(records.Document, text=SOLID, **ORIGIN),
)


@given(RECORD)
@settings(max_examples=80, deadline=None)
def test_a_record_comes_back_from_json(record: records.Record) -> None:
    row = json.loads(json.dumps(records.to_json(record)))
    assert records.from_json(row) == record


@given(rows=st.lists(RECORD, min_size=1, max_size=6), ending=st.sampled_from([".jsonl", ".jsonl.gz"]))
@settings(max_examples=25, deadline=None)
def test_what_is_written_is_what_is_read(tmp_path_factory: Any, rows: list[Any], ending: str) -> None:
    path = tmp_path_factory.mktemp("records") / f"rows{ending}"
    assert records.write(path, rows[:2]) + records.write(path, rows[2:]) == len(rows)  # appends
    for kind in KINDS.values():
        wanted = [row for row in rows if type(row) is kind]
        if len(wanted) == len(rows):
            assert list(records.read(path, kind)) == wanted
        else:
            with pytest.raises(RecordError, match=r"rows\.jsonl.*, line \d: kind: .*Correct the line"):
                list(records.read(path, kind))


def test_reading_names_file_line_field_and_remedy(tmp_path: Path) -> None:
    good = examples(RECORDS)[0]
    for bad, field in (
        ("{", "Expecting property name"),
        (good.replace('"schema": 1', '"schema": 2'), "schema: 2"),
        (good.replace('"user": "u7"', '"user": 7'), "user: str was expected, not int"),
        (good.replace('"user": "u7"', '"users": "u7"'), "users: unknown field"),
        (good.replace('"role": "user"', '"role": "x"'), r"messages\[0\].role: 'x'"),
    ):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.jsonl.gz"
        with gzip.open(path, "wt") as file:
            file.write(f"{good}\n\n{bad}\n")
        with pytest.raises(RecordError, match=rf"{path.name}, line 3: {field}.*Correct the line"):
            list(records.read(path, records.Prompt))
