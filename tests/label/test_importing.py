"""Importing takes a file whole or not at all, and says in one sentence why not."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from assent import records
from assent.label.planning import Plan
from assent.label.store import answers, batches, guidelines, importing, slots, tables
from assent.label.store.database import Database
from assent.label.store.importing import ImportRefusedError, Limits, Source
from assent.label.store.slots import RefusedError, Worker
from assent.records import Message, Prompt, Ranking, Response, Samples
from tests.label import kit

GOOD: dict[str, Any] = {
    "kind": "samples",
    "schema": 1,
    "id": "s-1",
    "prompt": {"id": "p-1", "messages": [{"role": "user", "content": "Why?"}]},
    "responses": [{"text": "Because.", "policy": "m1"}, {"text": "No idea.", "policy": "m2"}],
}


def line(**changes: Any) -> bytes:
    return json.dumps({**GOOD, **changes}).encode()


def prompt(**changes: Any) -> dict[str, Any]:
    return {**GOOD["prompt"], **changes}


def responses(count: int, text: str = "x") -> list[dict[str, Any]]:
    return [{"text": text}] * count


BAD: dict[str, tuple[bytes, str]] = {
    "no JSON": (b"hello", "line 2: Expecting value"),
    "cut off": (line()[:-9], "line 2: "),
    "two objects": (line() + line(id="s-2"), "Extra data"),
    "a list": (b"[1, 2]", "an object was expected, not list"),
    "a number": (b"7", "an object was expected"),
    "null": (b"null", "an object was expected"),
    "no kind": (b"{}", "kind: None"),
    "unknown kind": (line(kind="poem"), "kind: 'poem'"),
    "a kind that is not labeled": (b'{"kind": "document", "schema": 1, "id": "d", "text": "t"}', "can be labeled"),
    "newer schema": (line(schema=2), "schema: 2"),
    "no id": (json.dumps({k: v for k, v in GOOD.items() if k != "id"}).encode(), "id: missing"),
    "an empty id": (line(id=""), "id: 1 to 400"),
    "a long id": (line(id="x" * 401), "id: 1 to 400"),
    "an id with a line break": (line(id="a\nb"), "id: 1 to 400"),
    "an id that is a number": (line(id=7), "id: str was expected"),
    "an unknown field": (line(colour="red"), "colour: unknown field"),
    "no messages": (line(prompt=prompt(messages=[])), "messages: empty"),
    "a prompt that ends with the answer": (
        line(prompt=prompt(messages=[{"role": "assistant", "content": "x"}])),
        "the last one is the assistant's",
    ),
    "a blank prompt": (line(prompt=prompt(messages=[{"role": "user", "content": " "}])), "every message is blank"),
    "an unknown role": (line(prompt=prompt(messages=[{"role": "god", "content": "x"}])), "role: 'god'"),
    "an unknown use case": (line(prompt=prompt(use_case="poetry")), "use_case: 'poetry'"),
    "a message without text": (line(prompt=prompt(messages=[{"role": "user"}])), "content: missing"),
    "one response": (line(responses=responses(1)), "responses: 1; a screen ranks 2 to 12"),
    "no response": (line(responses=[]), "responses: empty"),
    "thirteen responses": (line(responses=responses(13)), "responses: 13; a screen ranks 2 to 12"),
    "only blank responses": (line(responses=responses(3, " ")), "every one is blank"),
    "a response that is a number": (line(responses=[{"text": 1}, {"text": "x"}]), "str was expected"),
    "NaN": (line().replace(b'"s-1"', b"NaN"), "NaN is not JSON"),
    "infinity": (line(responses=[{"text": "a", "temperature": 1e999}, {"text": "b"}]), "Infinity is not JSON"),
    "minus infinity": (line().replace(b'"s-1"', b"-Infinity"), "-Infinity is not JSON"),
    "NUL as it is": (line().replace(b"Why", b"W\0y"), "holds a NUL"),
    "NUL escaped": (line().replace(b"Why", b"W\\u0000y"), "holds a NUL"),
    "half a surrogate pair": (line().replace(b"Why", b"W\\ud800y"), "half a surrogate pair"),
    "Latin-1": (line().replace(b"Why", b"Caf\xe9"), "is not UTF-8"),
    "UTF-16": ("﻿hello".encode("utf-16"), "UTF-16"),
    "a byte order mark in the middle": (b"\xef\xbb\xbf" + line(), "were files joined"),
    "deep nesting": (b"[" * 100_000 + b"]" * 100_000, "nested deeper than 20"),
    "deep nesting in a field": (line(source=[[[[[[[[[[[[[[[[[[[[[["x"]]]]]]]]]]]]]]]]]]]]]]), "nested deeper than 20"),
    "a field twice": (line()[:-1] + b', "id": "s-9"}', "stands twice"),
    "an id twice": (line(id="first"), "was used in line 1"),
    "a ranking with a rank too few": (line(kind="ranking", ranks=[1]), "1 ranks for 2"),
    "a ranking with rank 0": (line(kind="ranking", ranks=[0, 1]), "ranks: 0 is below 1"),
    "a ranking with rank 9": (line(kind="ranking", ranks=[1, 9]), "ranks: 9 is above"),
    "a ranking without ranks": (line(kind="ranking"), "ranks: missing"),
    "a rank that is true": (line(kind="ranking", ranks=[True, 1]), "ranks"),
    "text for a list": (line(responses="two"), "responses: a list was expected"),
    "a long text": (line(responses=[{"text": "x" * 200_001}, {"text": "y"}]), "200001 characters; at most 200000"),
    "a huge number": (line(schema=10**400), "schema"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_line_is_one_sentence_and_nothing_comes_in(what: str, tmp_path: Path) -> None:
    bad, sentence = BAD[what]
    path = tmp_path / "work.jsonl"
    path.write_bytes(line(id="first") + b"\n" + bad + b"\n" + line(id="last") + b"\n")
    with pytest.raises(ImportRefusedError) as refused:
        importing.read(path)
    said = str(refused.value)
    assert sentence in said
    assert said.startswith("work.jsonl, line 2: ")
    assert said.endswith("Nothing was imported.")
    assert "\n" not in said or what == "an id with a line break"
    assert len(said) < 1000


def test_there_are_forty_of_them() -> None:
    assert len(BAD) >= 40


def test_files_that_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(line() * 99)[:-30])
    (tmp_path / "b.jsonl.gz").write_bytes(b"no gzip")
    for name in ("a.jsonl.gz", "b.jsonl.gz"):
        with pytest.raises(ImportRefusedError, match="cut off or no gzip"):
            importing.read(tmp_path / name)
    with pytest.raises(ImportRefusedError, match="is a directory"):
        importing.read(tmp_path)
    (tmp_path / "bomb.jsonl.gz").write_bytes(gzip.compress(b" " * 1_500_000 + b"\n" * 20_000_000))
    with pytest.raises(ImportRefusedError, match="becomes larger than"):
        importing.read(tmp_path / "bomb.jsonl.gz")


def test_sizes_are_limited_without_reading_all(tmp_path: Path) -> None:
    path = tmp_path / "work.jsonl"
    path.write_bytes(b"x" * 10_000)
    with pytest.raises(ImportRefusedError, match="a line is longer than 1000 bytes"):
        importing.read(path, Limits(line=1000))
    path.write_bytes(b"".join(line(id=f"s-{n}") + b"\n" for n in range(20)))
    with pytest.raises(ImportRefusedError, match="more than 10 records"):
        importing.read(path, Limits(rows=10))
    with pytest.raises(ImportRefusedError, match="becomes larger than 2000 bytes"):
        importing.read(path, Limits(bytes=2000))


def test_what_is_merely_odd_is_read(tmp_path: Path) -> None:
    odd = (
        b"\xef\xbb\xbf" + line(id="a") + b"\r\n\r\n  " + line(id="b\u2028", source="\u202e\U0001f600").strip() + b"\r\n"
    )
    for name, data in (
        ("x.jsonl", odd.replace(b"\\u2028", b"")),
        ("y.jsonl.gz", gzip.compress(odd.replace(b"\\u2028", b""))),
    ):
        (tmp_path / name).write_bytes(data)
        assert [one.id for one in importing.read(tmp_path / name)] == ["a", "b"]


# -- into a batch --------------------------------------------------------------------------------------------


def test_what_assent_sample_writes_is_imported_as_it_is() -> None:
    row = {"step": 3, "policy": "sft", **records.to_json(samples(1)[0])}
    assert importing.parse([json.dumps(row).encode()], "samples.jsonl") == samples(1)


def samples(count: int, first: int = 0) -> list[Samples]:
    return [
        Samples(
            id=f"s-{n}",
            prompt=Prompt(id=f"p-{n}", messages=(Message("user", f"Question {n}?"),)),
            responses=tuple(Response(text=f"Answer {k} to {n}", policy=f"m{k}") for k in range(3)),
        )
        for n in range(first, first + count)
    ]


def put(database: Database, work: list[Any], name: str = "b", actor: int | None = None, **plan: Any) -> int:
    guidelines.add(database, "g1", "Be helpful.", None)
    source = Source(work=tuple(work))
    return importing.put(database, name, source, Plan(**plan), "g1", actor)


def count(database: Database, table: Any) -> int:
    with database.read() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def test_the_same_import_again_changes_nothing(database: Database) -> None:
    first = put(database, samples(7))
    assert put(database, samples(7)) == first
    assert count(database, tables.item) == 7
    with pytest.raises(RefusedError, match="exists with other contents") as refused:
        put(database, samples(8))
    assert refused.value.status == 409


def test_an_import_that_is_killed_half_way_is_not_seen_and_can_be_repeated(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "CHUNK", 3)
    whole, calls = batches.add, iter(range(9))

    def killed(*arguments: Any) -> None:
        if next(calls) == 1:
            raise KeyboardInterrupt
        whole(*arguments)

    monkeypatch.setattr(batches, "add", killed)
    with pytest.raises(KeyboardInterrupt):
        put(database, samples(7))
    worker = Worker(kit.people(database, 1)[0], "train", 60)
    assert count(database, tables.item) == 3
    assert slots.claim(database, worker) == (None, 0)
    put(database, samples(7))
    assert count(database, tables.item) == 7
    assert slots.claim(database, worker)[0] is not None


@pytest.mark.parametrize("same", [True, False])
def test_of_two_imports_of_a_name_at_once_the_later_is_whole_and_the_earlier_is_refused(
    database: Database, monkeypatch: pytest.MonkeyPatch, same: bool
) -> None:
    """As by two clicks. SQLite gives the later one the number of the earlier, which was cleared away."""
    monkeypatch.setattr(batches, "CHUNK", 3)
    kit.batch(database, kit.items(1, 1), "other")
    earlier, later = kit.items(10, 1), kit.items(10 if same else 5, 1, responses=4 if same else 2)

    def new(said: str) -> batches.NewBatch:
        return batches.NewBatch(name="b", plan={}, guideline="g1", source_hash=said, author=None)

    class Slow(list[Any]):
        """The other import comes in between two pieces of this one."""

        def __getitem__(self, part: Any) -> Any:
            if part.start == 6:
                batches.create(database, new("one" if same else "two"), later)
            return super().__getitem__(part)

    with pytest.raises(RefusedError, match="begun anew by a later import"):
        batches.create(database, new("one"), Slow(earlier))
    with database.read() as connection:
        (found,) = batches.status(connection, "b")
        assert found["state"] == "open"
        assert found["items"] == {"open": len(later)}
        rows = connection.execute(select(tables.item.c.responses).where(tables.item.c.batch != 1)).scalars()
        assert {len(one) for one in rows} == {len(later[0].responses)}
    assert batches.create(database, new("one" if same else "two"), later)  # the same again changes nothing


def test_a_missing_guideline_is_named(light: Database) -> None:
    with pytest.raises(RefusedError, match="no version 'g7'"):
        importing.put(light, "b", Source(work=tuple(samples(2))), Plan(), "g7", None)


def test_rankings_are_gold_and_gold_alone_is_no_batch(light: Database) -> None:
    gold = [
        Ranking(id=f"g-{n}", prompt=one.prompt, responses=one.responses, ranks=(1, 2, 3))
        for n, one in enumerate(samples(3))
    ]
    with pytest.raises(RefusedError, match="nothing to label"):
        put(light, gold)
    put(light, [*samples(40), *gold], gold=0.1, shared=0.0)
    with light.read() as connection:
        strata = batches.status(connection, "b")[0]
    assert strata["strata"] == {"gold": 3, "single": 40}
    assert strata["plan"]["gold_share"] == pytest.approx(0.1, abs=0.02)


def test_who_wrote_a_response_never_ranks_it(database: Database) -> None:
    writer, other = (Worker(one, "train", 60) for one in kit.people(database, 2))
    put(database, [Prompt(id="p", messages=(Message("user", "Write!"),))], "writing")
    identity, _ = slots.claim(database, writer)
    document = {"schema": 1, "response": "My  own\nwords.", "seconds": 1.0}
    answers.submit(database, writer, str(identity), "key", document)
    mixed = samples(1)[0]
    responses = (*mixed.responses, Response(text="My own words.", policy="human"))
    put(database, [Samples(id="mixed", prompt=mixed.prompt, responses=responses)], "ranking")
    assert slots.claim(database, writer)[0] is None
    assert slots.claim(database, other)[0] is not None


def test_a_lead_does_not_label_what_they_put_in(database: Database) -> None:
    lead, other = kit.people(database, 2, "lead")
    put(database, samples(2), actor=lead)
    assert slots.claim(database, Worker(lead, "train", 60))[0] is None
    assert slots.claim(database, Worker(other, "train", 60))[0] is not None


def test_records_go_in_as_they_were(light: Database) -> None:
    one = samples(1)[0]
    put(light, [one])
    with light.read() as connection:
        row = connection.execute(select(tables.item)).one()
    back = {"kind": "samples", "schema": 1, "id": row.record, "prompt": row.prompt, "responses": row.responses}
    assert records.from_json(json.loads(json.dumps(back))) == one
