"""The tables of an export say what its lines say, to Assent's own reader and to `datasets`."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from assent.data import public
from assent.label.store import answers, exporting, parquet, slots
from assent.label.store.database import Database
from assent.label.store.exporting import Export
from assent.label.store.slots import Worker
from assent.records import KINDS
from tests.label import kit
from tests.label.web import SECRET

FLAGS = {"hallucination": None, "violent_content": True}


def exported(database: Database, *, demonstrations: int, rankings: int) -> Export:
    """A batch in which two labelers have done everything."""
    written = kit.items(demonstrations, 2, responses=0)
    renamed = [replace(one, record=f"written-{one.record}") for one in written]
    kit.batch(database, [*kit.items(rankings, 2), *renamed])
    for number in kit.people(database, 2):
        worker = Worker(number, "train", 60)
        while (name := slots.claim(database, worker)[0]) is not None:
            with database.read() as connection:
                keys = [key for key, _ in slots.owned(connection, worker, name).shown]
            document: dict[str, Any] = {"schema": 1, "response": f"By {number}: Grüße\n\u2028👋", "seconds": 61.25}
            if keys:
                ratings = {key: {"overall": 4, "flags": FLAGS} for key in keys}
                document = {**kit.ranking(keys), "ranks": dict.fromkeys(keys, 1), "ratings": ratings, "note": 'a "b"'}
            answers.submit(database, worker, name, f"key-{name}", document)
    with database.read() as connection:
        return exporting.export(connection, "first", SECRET)


def lines(export: Export, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in export.files[f"{name}.jsonl"].splitlines()]


@pytest.fixture
def offline(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`datasets` without a network, its cache in a folder of our own."""
    import datasets.config

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_OFFLINE", True)
    return folder / "cache"


def test_datasets_loads_the_rows_of_the_lines(light: Database, folder: Path, offline: Path) -> None:
    """The folder by itself and by the name of a kind, and every file alone."""
    import datasets

    export = parquet.with_tables(exported(light, demonstrations=3, rankings=4))
    export.write(folder / "out")
    cache = str(offline)
    for name in parquet.FIRST:
        wanted = lines(export, name)
        assert len(wanted) == {"rankings": 8, "demonstrations": 6, "ratings": 32, "answers": 14}[name]
        alone = str(folder / "out" / f"{name}.parquet")
        for loaded in (
            datasets.load_dataset(str(folder / "out"), name, split="train", cache_dir=cache),
            datasets.load_dataset("parquet", data_files=alone, split="train", cache_dir=cache),
        ):
            found: list[Any] = list(loaded)
            if name == "answers":
                found = [{**row, "document": json.loads(row["document"])} for row in found]
            assert found == wanted
            assert [[type(value) for value in row.values()] for row in found[:1]] == [
                [type(row[key]) for key in found[0]] for row in wanted[:1]
            ]
    unnamed: Any = datasets.load_dataset(str(folder / "out"), cache_dir=cache)
    assert list(unnamed["train"]) == lines(export, "rankings")


@pytest.mark.parametrize("name", ["rankings", "demonstrations", "ratings"])
def test_the_importer_reads_the_records_of_the_lines(light: Database, folder: Path, name: str) -> None:
    export = parquet.with_tables(exported(light, demonstrations=2, rankings=2))
    export.write(folder / "out")
    kind = KINDS[name.removesuffix("s")]
    table, text = (public.load([folder / "out" / f"{name}{ending}"], kind) for ending in (".parquet", ".jsonl"))
    assert table.records == text.records
    assert len(table.records) > 0
    assert not table.rejected


def test_the_same_export_has_the_same_bytes_and_its_hashes(light: Database, folder: Path) -> None:
    plain = exported(light, demonstrations=1, rankings=2)
    first, second = parquet.with_tables(plain), parquet.with_tables(plain)
    assert first.files == second.files
    assert list(first.files)[-1] == "manifest.json"  # written last: with it, the export is whole
    assert first.manifest["files"].keys() == first.files.keys() - {"manifest.json"}
    for name, said in first.manifest["files"].items():
        assert said["sha256"] == hashlib.sha256(first.files[name]).hexdigest()
    assert first.manifest["files"]["ratings.parquet"]["records"] == 16
    rest = {name: said for name, said in first.manifest["files"].items() if name in plain.manifest["files"]}
    assert rest == plain.manifest["files"]


def test_a_kind_without_rows_has_no_table(light: Database) -> None:
    made = parquet.with_tables(exported(light, demonstrations=1, rankings=0))
    assert {name for name in made.files if name.endswith(".parquet")} == {"demonstrations.parquet", "answers.parquet"}
    assert (
        b"config_name: demonstrations\n  data_files: demonstrations.parquet\n  default: true" in made.files["README.md"]
    )


def test_without_answers_there_is_nothing_to_load(light: Database) -> None:
    kit.batch(light, kit.items(1, 1))
    with light.read() as connection:
        plain = exporting.export(connection, "first", SECRET)
    assert parquet.with_tables(plain).files == plain.files
