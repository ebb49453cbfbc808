"""A known answer that has become known is seen, taken out of use by a lead, and counts no more from a moment on."""

import dataclasses
import random
from typing import Any

import pytest
from sqlalchemy import func, select, update

from assent.label import book, gold, quality
from assent.label.book import Judged
from assent.label.gold import Leak, leaks
from assent.label.store import batches, known, slots, tables
from assent.label.store.database import Database
from assent.label.store.slots import RefusedError, Worker
from tests.label import kit
from tests.label.test_quality import do, judged
from tests.label.web import Site

KEY = (1, 2, 3, 4)


def answers(number: int, right: list[bool], seconds: float = 60.0, **more: Any) -> list[Judged]:
    """Answers to a gold item in the order they came, of people who need a minute elsewhere; wrong ones differ."""
    rng = random.Random(number)
    wrong = [(2, 1, 3, 4), (1, 2, 4, 3), (1, 3, 2, 4), (4, 3, 2, 1), (1, 1, 2, 3)]
    found: list[Judged] = []
    for place, one in enumerate(right):
        who = f"labeler-{place}"
        facts: dict[str, Any] = {"gold": KEY, "stratum": "gold", "at": 100.0 + place, "seconds": seconds} | more
        found.append(judged(number, who, KEY if one else rng.choice(wrong), **facts))
        found.append(judged(1000 + place, who, KEY, seconds=60.0, at=float(place)))
    return found


def only(rows: list[Judged]) -> Leak:
    (found,) = leaks(rows)
    return found


def test_an_item_whose_answers_became_right_at_once_looks_leaked() -> None:
    found = only(answers(1, [False] * 7 + [True] + [True] * 8))
    assert found.state == "leaked"
    assert (found.before, found.after, found.since) == (1 / 8, 1.0, 108.0)
    assert found.unlikely == pytest.approx(9 / 12870)  # of C(16, 8) ways to place 9 right ones, those as far apart
    assert only(answers(1, [True, False] * 8)).state == "sound"
    assert only(answers(1, [True] * 8 + [False] * 8)).state == "sound"


def test_alike_and_in_half_the_time_looks_leaked_and_only_both_together() -> None:
    assert only(answers(1, [True] * 12, seconds=29.0)).state == "leaked"
    assert only(answers(1, [True] * 12, seconds=31.0)).state == "sound"
    assert only(answers(1, [False] * 12, seconds=5.0)).state == "sound"  # fast, and everybody says something else
    assert only(answers(1, [True] * 12, seconds=29.0)).pace == pytest.approx(29 / 60)


def test_of_few_answers_nothing_is_said() -> None:
    found = only(answers(1, [False] * 4 + [True] * 5, seconds=1.0))
    assert (found.state, found.unlikely, found.answers) == ("unknown", None, 9)


def test_the_order_is_that_of_time_and_a_tie_is_not_what_the_key_says() -> None:
    rows = answers(1, [False] * 8 + [True] * 8)
    random.Random(0).shuffle(rows)
    assert only(rows).before == 0.0
    ties = [dataclasses.replace(row, ranks=(1, 1, 1, 1)) if row.gold else row for row in rows]
    assert only(ties).after == 0.0
    tied_key = [dataclasses.replace(row, gold=(1, 1, 2, 2)) if row.gold else row for row in rows]
    assert only(tied_key).after == 1.0  # whom the key ties, anybody may order


def test_many_sound_items_are_seldom_called_leaked() -> None:
    """At a rate of 0.7 that never changes, the whole family of items is wrong in 1 of 20 projects at most."""
    rng = random.Random(1)
    projects = 200
    wrong = sum(
        any(
            one.state == "leaked"
            for one in leaks(
                [row for number in range(10) for row in answers(number, [rng.random() < 0.7 for _ in range(20)])]
            )
        )
        for _ in range(projects)
    )
    assert wrong <= 0.05 * projects


def gold_batch(database: Database, labelers: int) -> list[Worker]:
    made = kit.items(2, labelers)
    key = dataclasses.replace(kit.items(1, labelers)[0], record="key", stratum="gold", gold=list(KEY))
    kit.batch(database, [key, *made])
    return [Worker(who, "train", 60) for who in kit.people(database, labelers)]


def rights(database: Database) -> dict[str, Any]:
    with database.read() as connection:
        found = quality.overview(connection, "first")
    return {one["labeler"]: one["gold"]["state"] for one in found["labelers"]} | {"of items": len(found["gold"])}


def test_a_retired_key_is_handed_out_no_more_and_what_was_said_before_counts(database: Database) -> None:
    early, late, last = gold_batch(database, 3)
    do(database, early, {"key": KEY, "record-0": KEY, "record-1": KEY})
    identity, _ = slots.claim(database, late)
    with database.read() as connection:
        assert slots.owned(connection, late, str(identity)).item == 1
    before = rights(database)
    assert (before["labeler-0"], before["of items"]) == ("open", 1)
    known.retire(database, 1, early.id, None, "it stood in a chat")
    while slots.claim(database, last)[0] is not None:
        assert do(database, last, {"record-0": KEY, "record-1": KEY}) != 1
    after = rights(database)
    assert (after["labeler-0"], after["of items"]) == ("open", 0)
    with database.read() as connection:
        count = select(func.count()).select_from(tables.answer).where(tables.answer.c.item == 1)
        assert connection.execute(count).scalar_one() == 1
        said = connection.execute(select(tables.audit.c.action, tables.audit.c.detail)).all()
    assert any(row.action == "retired" and "it stood in a chat" in row.detail for row in said)


def test_from_its_moment_on_nothing_counts_and_nothing_is_removed(light: Database) -> None:
    workers = gold_batch(light, 3)
    for worker in workers:
        do(light, worker, {"key": (4, 3, 2, 1), "record-0": KEY, "record-1": KEY})
    with light.read() as connection:
        second = book.read(connection, 1).everything()[1].at
        rows = len(book.read(connection, 1).rows)
    known.retire(light, 1, workers[0].id, second, "")
    found = rights(light)
    assert [found[f"labeler-{number}"] for number in range(3)] == ["open", "unknown", "unknown"]
    with light.read() as connection:
        again = book.read(connection, 1)
        assert len(again.rows) == rows
        assert known.retired(connection, 1) == [(1, second)]
    assert known.retire(light, 1, workers[0].id, None, "") == second  # the earlier moment stays
    assert gold.gate(again.rows)["seen"] == 1


def test_a_retired_key_that_was_parked_does_not_come_back(database: Database) -> None:
    worker = gold_batch(database, 1)[0]
    with database.write() as connection:
        connection.execute(update(tables.item).where(tables.item.c.id == 1).values(state="parked"))
    known.retire(database, 1, worker.id, None, "")
    batches.release(database, 1, worker.id)
    do(database, worker, {"record-0": KEY, "record-1": KEY})
    do(database, worker, {"record-0": KEY, "record-1": KEY})
    assert slots.claim(database, worker) == (None, 0)


def test_what_is_no_known_answer_is_not_retired(database: Database) -> None:
    worker = gold_batch(database, 1)[0]
    for number, moment, status in ((2, None, 404), (99, None, 404), (1, 1e11, 422)):
        with pytest.raises(RefusedError) as refused:
            known.retire(database, number, worker.id, moment, "")
        assert refused.value.status == status


def test_a_lead_retires_and_sees_it(site: Site) -> None:
    workers = gold_batch(site.database, 12)
    for number, worker in enumerate(workers):
        do(site.database, worker, KEY if number >= 6 else (2, 1, 4, 3))
    lead, rosa = site.person("lead", "Lena"), site.person("researcher", "Rosa")
    found = lead.get("/manage/batches/first/quality").json()["gold"]
    assert [(one["item"], one["state"], one["before"], one["after"]) for one in found] == [(1, "leaked", 0.0, 1.0)]
    page = lead.get("/lead/batches/first/quality").text
    assert "looks leaked" in page
    item = lead.get("/lead/items/1").text
    assert "Take it out of use" in item
    assert f'value="{found[0]["since"]}"' in item
    assert "Take it out of use" not in rosa.get("/lead/items/1").text
    assert "Take it out of use" not in lead.get("/lead/items/2").text
    assert lead.post("/lead/items/1/retire", data={"since": "soon"}).status_code == 422
    assert lead.post("/lead/items/1/retire", data={"since": str(found[0]["since"])}).status_code == 303
    assert "out of use" in lead.get("/lead/items/1").text
    fresh = lead.get("/manage/batches/first/quality").json()
    assert fresh["gold"] == []
    gates = [one["gold"]["state"] for one in fresh["labelers"]]
    assert gates.count("unknown") == 6
    assert "not counted since" in lead.get("/lead/batches/first/quality").text
    assert lead.post("/manage/items/2/retire", json={}).status_code == 404
    assert lead.post("/manage/items/1/retire", json={}).json() == {"since": found[0]["since"]}
    with site.database.read() as connection:
        assert batches.status(connection, "first")[0]["slots"]["submitted"] == 12
