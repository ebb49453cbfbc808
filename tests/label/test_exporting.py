"""What comes out is what was said: every ranking with ties, by record, with the origin put back and no name."""

import hashlib
import itertools
import json
import random
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from assent import records
from assent.label import accounts
from assent.label.store import answers, batches, exporting, slots, tables
from assent.label.store.database import Database
from assent.label.store.slots import RefusedError, Worker
from assent.records import Demonstration, Ranking, Rating
from tests.label import kit
from tests.label.web import SECRET


def weak_orders(count: int) -> Iterator[tuple[int, ...]]:
    """All rankings of `count` responses with ties: dense ranks."""
    for ranks in itertools.product(range(1, count + 1), repeat=count):
        if set(ranks) == set(range(1, max(ranks) + 1)):
            yield ranks


def test_there_are_as_many_rankings_as_ordered_bell_numbers() -> None:
    assert [len(list(weak_orders(count))) for count in range(1, 6)] == [1, 3, 13, 75, 541]


def hand_in(database: Database, worker: Worker, document: dict[str, Any] | None = None, **ranks: Any) -> str:
    identity, _ = slots.claim(database, worker)
    assert identity is not None
    with database.read() as connection:
        keys = [key for key, _ in slots.owned(connection, worker, identity).shown]
    whole = document or {**kit.ranking(keys), **ranks}
    answers.submit(database, worker, identity, f"key-{identity}", whole)
    return identity


def made(database: Database, name: str = "first") -> exporting.Export:
    with database.read() as connection:
        return exporting.export(connection, name, SECRET)


def read(export: exporting.Export, folder: Path, name: str, kind: Any) -> list[Any]:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(export.files[name])
    return list(records.read(folder / name, kind))


def test_every_ranking_with_ties_survives_from_screen_to_record(light: Database, folder: Path) -> None:
    """All of K = 2 to 5, and samples of K = 6 to 9; ratings and flags travel with them."""
    rng = random.Random(0)
    orders: list[Sequence[int]] = [one for count in (2, 3, 4) for one in weak_orders(count)]
    orders += rng.sample(list(weak_orders(5)), 200)
    for count in (6, 7, 8, 9):
        for _ in range(15):
            levels = [rng.randrange(count) for _ in range(count)]
            orders.append([sorted(set(levels)).index(level) + 1 for level in levels])
    items = [
        batches.NewItem(**{**kit.items(1, 1, len(order))[0].__dict__, "record": f"r{n:04}"})
        for n, order in enumerate(orders)
    ]
    kit.batch(light, items)
    worker = Worker(kit.people(light, 1)[0], "train", 60)
    said: dict[str, tuple[Sequence[int], list[int]]] = {}
    for _ in orders:
        identity, _ = slots.claim(light, worker)
        with light.read() as connection:
            row = slots.owned(connection, worker, str(identity))
            record = connection.execute(select(tables.item.c.record).where(tables.item.c.id == row.item)).scalar_one()
        order = orders[int(record[1:])]
        overall = [rng.randint(1, 7) for _ in order]
        said[record] = order, overall
        document = kit.ranking([key for key, _ in row.shown])
        document["ranks"] = {key: order[place] for key, place in row.shown}
        flags = {"hallucination": None, "violent_content": True}
        document["ratings"] = {key: {"overall": overall[place], "flags": flags} for key, place in row.shown}
        assert answers.submit(light, worker, str(identity), f"key-{identity}", document)["state"] == "accepted"
    export = made(light)
    found = read(export, folder / "out", "rankings.jsonl", Ranking)
    assert len(found) == len(orders)
    for one in found:
        order, _ = said[one.id.partition("/")[0]]
        assert one.ranks == tuple(order)
        assert [response.policy for response in one.responses] == [f"secret-model-{k}" for k in range(len(order))]
    ratings = read(export, folder / "out", "ratings.jsonl", Rating)
    for one in ratings:
        record, _, place = one.id.split("/")
        assert one.overall == said[record][1][int(place)]
        assert one.response.policy == f"secret-model-{place}"
        assert (one.flags["hallucination"], one.flags["violent_content"]) == (None, True)
        assert one.flags["sexual_content"] is False


def test_demonstrations_are_records_with_guideline_and_time(light: Database, folder: Path) -> None:
    kit.batch(light, kit.items(1, 2, responses=0))
    for worker in kit.people(light, 2):
        document = {"schema": 1, "response": f"By {worker}: \u202eabc\u202c 👋", "seconds": 61.25}
        hand_in(light, Worker(worker, "train", 60), document)
    found = read(made(light), folder / "out", "demonstrations.jsonl", Demonstration)
    assert {one.response for one in found} == {"By 1: \u202eabc\u202c 👋", "By 2: \u202eabc\u202c 👋"}
    assert {(one.guideline, one.seconds) for one in found} == {("g1", 61.2)}
    assert {one.labeler for one in found} == {accounts.pseudonym(SECRET, f"uid{n}") for n in range(2)}


def test_the_manifest_has_the_hashes_and_the_same_export_has_the_same_bytes(database: Database, folder: Path) -> None:
    kit.batch(database, kit.items(4, 3))
    for worker in kit.people(database, 3):
        for _ in range(4):
            hand_in(database, Worker(worker, "train", 60))
    first, second = made(database), made(database)
    assert first.files == second.files
    for name, said in first.manifest["files"].items():
        assert said["sha256"] == hashlib.sha256(first.files[name]).hexdigest()
        assert said["records"] == len(first.files[name].splitlines())
    assert first.manifest["files"]["rankings.jsonl"]["records"] == 12
    first.write(folder / "out")
    second.write(folder / "out")
    assert sorted(path.name for path in (folder / "out").iterdir()) == sorted([*exporting.FILES, "manifest.json"])
    (folder / "out" / "rankings.jsonl").write_text("other")
    with pytest.raises(ValueError, match="nothing is overwritten"):
        first.write(folder / "out")


def test_an_export_while_people_work_is_of_one_moment(database: Database) -> None:
    """What is read twice of one moment is the same, whatever was handed in meanwhile, and the manifest counts it."""
    kit.batch(database, kit.items(150, 1))
    stop = threading.Event()

    def work(number: int) -> None:
        while not stop.is_set() and slots.claim(database, Worker(number, "train", 60))[0] is not None:
            hand_in(database, Worker(number, "train", 60))

    threads = [threading.Thread(target=work, args=(one,)) for one in kit.people(database, 3)]
    for thread in threads:
        thread.start()
    counts: list[int] = []
    for _ in range(3):
        with database.snapshot() as connection:
            first = exporting.export(connection, "first", SECRET)
            time.sleep(0.15)
            assert exporting.export(connection, "first", SECRET).files == first.files
        said = first.manifest
        counts.append(said["files"]["rankings.jsonl"]["records"])
        assert said["files"]["answers.jsonl"]["records"] == counts[-1]
        assert said["files"]["ratings.jsonl"]["records"] == 4 * counts[-1]
    stop.set()
    for thread in threads:
        thread.join()
    assert counts[0] < counts[2]  # others did go on


def test_what_does_not_count_is_counted_and_kept_beside(database: Database) -> None:
    gold = [
        batches.NewItem(**{**one.__dict__, "stratum": "gold", "record": "g", "gold": [1, 2, 3, 4]})
        for one in kit.items(1, 1)
    ]
    practice = [batches.NewItem(**{**one.__dict__, "stratum": "practice", "record": "p"}) for one in kit.items(1, 0)]
    kit.batch(database, [*kit.items(2, 1), *gold, *practice])
    first, second = (Worker(one, "train", -1) for one in kit.people(database, 2))
    hand_in(database, second)  # practice
    slow, _ = slots.claim(database, second)
    for _ in range(4):
        hand_in(database, first)
    with database.read() as connection:
        keys = [key for key, _ in slots.owned(connection, second, str(slow)).shown]
    assert answers.submit(database, second, str(slow), "key-late", kit.ranking(keys))["state"] == "surplus"
    export = made(database)
    assert export.manifest["left_out"] == {"gold": 1, "practice": 2, "surplus": 1}
    assert export.manifest["files"]["rankings.jsonl"]["records"] == 2
    lines = [json.loads(line) for line in export.files["answers.jsonl"].splitlines()]
    assert sorted(one["left_out"] for one in lines) == ["", "", "gold", "practice", "practice", "surplus"]
    assert {"stratum", "propensity", "order", "schema", "guideline", "team", "document", "seconds"} <= lines[0].keys()


def test_personal_data_leave_in_no_file(database: Database) -> None:
    kit.batch(database, kit.items(1, 2))
    first, second = (Worker(one, "train", 60) for one in kit.people(database, 2))
    hand_in(database, first)
    identity, _ = slots.claim(database, second)
    answers.skip(database, second, str(identity), "key-12345", "personal_data", "")
    export = made(database)
    assert export.manifest["left_out"] == {"quarantined: personal data": 1, "skipped: personal_data": 1}
    assert all(b"Question" not in data and b"Answer" not in data for data in export.files.values())


def test_the_last_revision_counts_once(database: Database) -> None:
    kit.batch(database, kit.items(1, 1))
    worker = Worker(kit.people(database, 1)[0], "train", 60)
    identity = hand_in(database, worker)
    with database.read() as connection:
        keys = [key for key, _ in slots.owned(connection, worker, identity).shown]
    answers.revise(database, worker, identity, "revision", {**kit.ranking(keys), "ranks": dict.fromkeys(keys, 1)})
    rankings = made(database).files["rankings.jsonl"].splitlines()
    assert [json.loads(line)["ranks"] for line in rankings] == [[1, 1, 1, 1]]


def test_no_name_and_no_secret_leaves(database: Database) -> None:
    kit.batch(database, kit.items(2, 1))
    worker = Worker(kit.people(database, 1)[0], "train", 60)
    hand_in(database, worker)
    whole = b"".join(made(database).files.values())
    for hidden in (b"labeler-0", b"uid0", SECRET):
        assert hidden not in whole


def test_an_unknown_batch_is_a_sentence(light: Database) -> None:
    with pytest.raises(RefusedError, match="no batch 'x'"):
        made(light, "x")
