"""What a lead sees is what the statistics say of the rows, and what cannot be known is said so."""

import json
import random
from typing import Any

import pytest
from sqlalchemy import select, text, update

from assent.label import book, doubts, gold, pace, quality
from assent.label.book import Book, Judged
from assent.label.pace import Times
from assent.label.store import answers, batches, exporting, slots, tables
from assent.label.store.database import Database
from assent.label.store.slots import RefusedError, Worker
from assent.records import FLAGS
from assent.statistics.labelers import pairwise_agreement
from tests.label import kit
from tests.label.web import SECRET, Site


def judged(number: int, labeler: str, ranks: tuple[int, ...], **more: Any) -> Judged:
    facts: dict[str, Any] = {
        "item": number,
        "record": f"r{number}",
        "labeler": labeler,
        "stratum": "overlap",
        "overall": tuple(8 - rank for rank in ranks),
        "flags": tuple(dict.fromkeys(FLAGS, False) for _ in ranks),
        "places": tuple(range(len(ranks))),
        "gold": None,
        "repeats": None,
        "at": 0.0,
    }
    return Judged(ranks=ranks, **{**facts, **more})


def do(database: Database, worker: Worker, ranks: dict[str, tuple[int, ...]] | tuple[int, ...]) -> int:
    """Do the next task with given ranks in the order of the import; its item."""
    identity, _ = slots.claim(database, worker)
    assert identity is not None
    with database.read() as connection:
        row = slots.owned(connection, worker, identity)
        record = connection.execute(select(tables.item.c.record).where(tables.item.c.id == row.item)).scalar_one()
    mine = ranks if isinstance(ranks, tuple) else ranks[record]
    document = kit.ranking([key for key, _ in row.shown])
    document["ranks"] = {key: mine[place] for key, place in row.shown}
    document["ratings"] = {key: {"overall": 8 - mine[place], "flags": {}} for key, place in row.shown}
    assert answers.submit(database, worker, identity, f"key-{identity}", document)["state"] == "accepted"
    return row.item


def test_agreement_is_that_of_the_rankings_by_all_three_rules(database: Database) -> None:
    kit.batch(database, kit.items(6, 3))
    rng = random.Random(0)
    said: dict[str, dict[str, tuple[int, ...]]] = {f"record-{n}": {} for n in range(6)}
    for number, who in enumerate(kit.people(database, 3)):
        for _ in range(6):
            levels = [rng.randrange(3) for _ in range(4)]
            ranks = tuple(sorted(set(levels)).index(level) + 1 for level in levels)
            item = do(database, Worker(who, "train", 60), ranks)
            said[f"record-{item - 1}"][f"labeler-{number}"] = ranks
    with database.read() as connection:
        found = quality.overview(connection, "first")
    json.dumps(found, allow_nan=False)
    for rule in ("strict", "drop", "half"):
        wanted = pairwise_agreement(said, rule)
        assert found["agreement"][rule]["found"]["interval"]["estimate"] == pytest.approx(wanted.found.estimate)
        assert found["agreement"][rule]["chance"] == pytest.approx(wanted.chance)
    assert found["alpha"]["overall"]["units"] == 24
    assert found["alpha"]["violent_content"]["estimate"] is None
    assert "undefined" in found["alpha"]["violent_content"]["caution"]
    assert {one["labeler"] for one in found["labelers"]} == {"labeler-0", "labeler-1", "labeler-2"}
    assert {cell["pairs"] for cell in found["between"]} == {36}


def test_what_cannot_be_known_yet_is_said(light: Database) -> None:
    kit.batch(light, kit.items(3, 1))
    do(light, Worker(kit.people(light, 1)[0], "train", 60), (1, 2, 3, 4))
    with light.read() as connection:
        found = quality.overview(connection, "first")
    assert "ranked twice" in found["agreement"]["drop"]["unknown"]
    assert "unknown" in found["alpha"]["overall"]
    assert "after a week" in found["retest"]["unknown"]
    assert found["labelers"][0]["gold"] == {"state": "unknown", "items": 0}


@pytest.mark.parametrize(("error", "state"), [(0.05, "pass"), (0.5, "flag")])
def test_gold_passes_the_careful_and_flags_the_careless(error: float, state: str) -> None:
    rng = random.Random(1)
    rows = [
        judged(n, "a", (1, 2, 3, 4) if rng.random() > error else (4, 3, 2, 1), gold=(1, 2, 3, 4), stratum="gold")
        for n in range(60)
    ]
    found = gold.gate(rows)
    assert found["state"] == state
    assert found["share"] == pytest.approx(1 - error, abs=0.12)


def test_a_gate_without_evidence_is_open_or_unknown_and_removes_nothing() -> None:
    assert gold.gate([])["state"] == "unknown"
    assert gold.gate([judged(1, "a", (1, 2), gold=(1, 2))])["state"] == "open"
    assert gold.gate([judged(1, "a", (1, 1), gold=(1, 2))])["state"] == "unknown"  # a tie says neither


def test_whoever_prefers_the_first_place_is_seen() -> None:
    rng = random.Random(2)
    rows: list[Judged] = []
    for n in range(80):
        places = rng.sample(range(4), 4)
        first = tuple(place + 1 for place in places)  # always the order of the screen
        fair = tuple(rng.sample((1, 2, 3, 4), 4))
        rows += [judged(n, "hasty", first, places=tuple(places)), judged(n, "fair", fair, places=tuple(places))]
    found = {one["labeler"]: one["position"] for one in quality.labelers(Book(tuple(rows), 0), {})}
    assert found["hasty"]["adjusted"] < 0.001
    assert found["fair"]["adjusted"] > 0.01


def test_time_is_the_median_and_its_way_through_a_sitting() -> None:
    at = [float(n * 60) for n in range(30)] + [50_000.0 + n * 60 for n in range(5)]
    seconds = [40.0] * 10 + [20.0] * 15 + [10.0] * 5 + [40.0] * 5
    found = pace.throughput(Times(tuple(at), tuple(seconds), 900, sum(seconds)))
    assert found["answers"] == 900
    assert found["sitting"] == {"to 10": 40.0, "to 25": 20.0, "to 50": 10.0}
    assert found["hours"] == pytest.approx(sum(seconds) / 3600)


def test_times_are_counted_over_all_and_medians_over_the_latest(database: Database) -> None:
    kit.batch(database, kit.items(5, 1))
    worker = Worker(kit.people(database, 1)[0], "train", 60)
    for _ in range(5):
        do(database, worker, (1, 2, 3, 4))
    with database.read() as connection:
        (one,) = pace.times(connection, 1, latest=2).values()
    assert (one.answers, one.total, len(one.seconds)) == (5, 60.0, 2)
    assert list(one.at) == sorted(one.at)


def test_a_retest_comes_to_its_labeler_alone_after_days_in_a_new_order(database: Database) -> None:
    kit.batch(database, kit.items(4, 2))
    first, second = (Worker(one, "train", 60) for one in kit.people(database, 2))
    for worker in (first, second):
        for _ in range(4):
            do(database, worker, (1, 2, 3, 4))
    assert batches.repeat(database, "first", 0.5, 7, first.id) == 4
    assert slots.claim(database, first)[0] is None
    with database.write() as connection:
        connection.execute(update(tables.slot).where(tables.slot.c.after > 0).values(after=1))
    with database.read() as connection:
        reserved = (
            connection.execute(select(tables.slot.c.reserved).where(tables.slot.c.reserved.is_not(None)))
            .scalars()
            .all()
        )
    for worker in (first, second):
        for _ in range(reserved.count(worker.id)):
            do(database, worker, (1, 2, 3, 4))
        assert slots.claim(database, worker)[0] is None
    with database.read() as connection:
        found = quality.overview(connection, "first")
        export = exporting.export(connection, "first", SECRET)
    assert found["retest"]["interval"]["estimate"] == 1.0
    assert found["retest"]["judgements"] == 4
    assert export.manifest["left_out"] == {"retest": 4}
    assert export.manifest["files"]["rankings.jsonl"]["records"] == 8


def test_a_row_that_cannot_be_read_is_counted_and_the_rest_is_shown(light: Database) -> None:
    kit.batch(light, kit.items(3, 2))
    for who in kit.people(light, 2):
        for _ in range(3):
            do(light, Worker(who, "train", 60), (1, 2, 3, 4))
    with light.write() as connection:
        connection.execute(text("DROP TRIGGER answer_UPDATE"))
        connection.execute(text("UPDATE answer SET document = '{\"ranks\": 7}' WHERE id = 1"))
    with light.read() as connection:
        found = quality.overview(connection, "first")
    assert (found["corrupt"], found["rankings"]) == (1, 5)
    assert found["agreement"]["strict"]["found"]["interval"]["estimate"] == 1.0


def test_doubtful_items_wait_for_a_lead_and_what_is_dropped_leaves_in_no_record(database: Database) -> None:
    kit.batch(database, kit.items(3, 2))
    lead, *labelers = kit.people(database, 3)
    ranks = {
        0: {"record-0": (1, 2, 3, 4), "record-1": (1, 2, 3, 4), "record-2": (1, 2, 3, 4)},
        1: {"record-0": (4, 3, 2, 1), "record-1": (1, 2, 3, 4), "record-2": (1, 2, 4, 3)},
    }
    for number, who in enumerate(labelers):
        for _ in range(3):
            do(database, Worker(who, "train", 60), ranks[number])

    def waiting() -> list[str]:
        with database.read() as connection:
            number = batches.found(connection, "first").id
            found = doubts.queue(book.latest(connection, number), doubts.decided(connection, number))
            return [one["record"] for one in found]

    assert waiting() == ["record-0"]
    batches.decide(database, 1, lead, "drop", "both misread it")
    assert waiting() == []
    with database.read() as connection:
        export = exporting.export(connection, "first", SECRET)
    assert export.manifest["left_out"] == {"dropped by adjudication": 2}
    assert b"record-0" not in export.files["rankings.jsonl"]
    assert b"record-0" in export.files["answers.jsonl"]
    batches.decide(database, 1, lead, "keep", "on second thoughts")
    with database.read() as connection:
        assert exporting.export(connection, "first", SECRET).manifest["left_out"] == {}
    batches.freeze(database, "first", None)
    with pytest.raises(RefusedError, match="frozen"):
        batches.decide(database, 1, lead, "drop", "")


def test_gold_that_most_contradict_is_doubtful() -> None:
    wrong = [judged(1, name, (4, 3, 2, 1), gold=(1, 2, 3, 4), stratum="gold") for name in "abc"]
    right = [judged(2, name, (1, 2, 3, 4), gold=(1, 2, 3, 4), stratum="gold") for name in "abc"]
    assert [one["why"] for rows in (wrong, right) for one in doubts._doubtful(rows)] == ["gold that most contradict"]


def test_a_labeler_never_sees_the_numbers(site: Site) -> None:
    kit.batch(site.database, kit.items(2, 1))
    assert site.person("labeler", "Ada").get("/manage/batches/first/quality").status_code == 403
    assert site.person("researcher", "Rosa").get("/manage/batches/first/quality").json()["batch"] == "first"
    lead = site.person("lead", "Lena")
    assert lead.get("/manage/batches/nothing/quality").status_code == 404
    assert lead.post("/manage/items/1/decision", json={"decision": "burn"}).status_code == 422
    assert lead.post("/manage/items/1/decision", json={"decision": "drop"}).status_code == 204
    assert lead.post("/manage/batches/first/repeat", json={}).json() == {"planned": 0}
