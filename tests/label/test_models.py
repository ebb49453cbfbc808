"""Models of labelers say who is to be talked with, the numbers are worked out beside the server, and large batches are
drawn from by lot."""

import random
import time
from pathlib import Path
from typing import Any

import pytest

from assent.label import book, measuring, models, quality
from assent.label.book import Book, Judged
from assent.label.measuring import Measures
from assent.label.store import batches
from assent.label.store.database import Database
from assent.label.store.slots import RefusedError, Worker
from assent.records import FLAGS
from tests.label import kit
from tests.label.test_quality import do, judged
from tests.label.web import Site

FLAG = "violent_content"


def flagged(rng: random.Random, items: int = 60, careful: int = 5) -> Book:
    """One output in four has the flag. The careful see it nine times in ten; "blind" never says it, "eager" always."""
    rows: list[Judged] = []
    for n in range(items):
        so = [rng.random() < 0.25 for _ in range(3)]
        for who in [*(f"careful-{k}" for k in range(careful)), "blind", "eager"]:
            said = {"blind": [False] * 3, "eager": [True] * 3}.get(who, [one == (rng.random() < 0.9) for one in so])
            flags = tuple(dict.fromkeys(FLAGS, False) | {FLAG: one} for one in said)
            rows.append(judged(n, who, (1, 2, 3), flags=flags))
    return Book(tuple(rows), 0)


def test_flags_are_modelled_with_who_sees_them() -> None:
    found = models.flags(flagged(random.Random(0)))[FLAG]
    assert found["prevalence"] == pytest.approx(0.25, abs=0.06)
    assert found["labelers"]["careful-1"]["seen"] > 0.75
    assert found["labelers"]["careful-1"]["silent"] > 0.8
    assert found["labelers"]["blind"]["seen"] < 0.1
    assert found["labelers"]["eager"]["silent"] < 0.1
    assert found["labelers"]["blind"]["outputs"] == 180
    assert not found["switched"]


def test_where_the_model_and_the_majority_part_is_named() -> None:
    rows = list(flagged(random.Random(1), careful=3).rows)
    for who, said in (("careful-0", True), ("careful-1", True), ("careful-2", True)):
        rows.append(judged(900, who, (1, 2), flags=({FLAG: said}, {FLAG: False})))
    for who in ("blind", "unknown-1", "unknown-2", "unknown-3"):  # four who never see it, against three who do
        rows += [judged(n, who, (1, 2, 3), flags=({FLAG: False},) * 3) for n in range(60) if who != "blind"]
        rows.append(judged(900, who, (1, 2), flags=({FLAG: False}, {FLAG: False})))
    parted = models.flags(Book(tuple(rows), 0))[FLAG]["parted"]
    assert {"item": 900, "place": 0, "yes": 3.0, "of": 7}.items() <= next(
        one for one in parted if one["item"] == 900
    ).items()


def ranked(rng: random.Random, items: int = 150) -> Book:
    """Four policies far apart. "contrary" says the opposite of what is so."""
    rows: list[Judged] = []
    for n in range(items):
        for who in ("ada", "bob", "eva", "contrary"):
            worth = {k: 1.5 * k + rng.gauss(0, 1) for k in range(4)}
            order = sorted(worth, key=worth.__getitem__, reverse=who != "contrary")
            ranks = tuple(order.index(k) + 1 for k in range(4))
            rows.append(judged(n, who, ranks, policies=("a", "b", "c", "d")))
    return Book(tuple(rows), 0)


def test_who_means_the_opposite_is_not_trusted_and_strengths_wait_for_the_freeze() -> None:
    found = models.ranks(ranked(random.Random(2)), frozen=True)
    assert all(found["trust"][who]["estimate"] > 0.85 for who in ("ada", "bob", "eva"))
    assert found["trust"]["contrary"]["estimate"] < 0.3
    assert sorted(found["strengths"], key=lambda one: found["strengths"][one]["estimate"]) == ["a", "b", "c", "d"]
    assert sum(found["rankings"].values()) == 600
    assert models.ranks(ranked(random.Random(2), 30), frozen=False)["strengths"] is None


def test_what_models_cannot_know_is_said() -> None:
    alone = Book((judged(1, "ada", (1, 2), policies=("", "")),), 0)
    assert "policy" in models.ranks(alone, True)["unknown"]
    assert "several labelers" in models.flags(alone)[FLAG]["unknown"]
    agreed = Book(tuple(judged(1, who, (1, 2)) for who in "ab"), 0)
    assert "one value" in models.flags(agreed)[FLAG]["unknown"]


# -- beside the server ---------------------------------------------------------------------------------------------


def worked(database: Database, count: int = 6, overlap: int = 3) -> None:
    kit.batch(database, kit.items(count, overlap))
    rng = random.Random(0)
    for who in kit.people(database, overlap):
        for _ in range(count):
            do(database, Worker(who, "train", 60), tuple(rng.sample((1, 2, 3, 4), 4)))


def test_another_process_finds_the_same_numbers(light: Database) -> None:
    worked(light)
    with light.read() as connection:
        given = quality.gathered(connection, "first")
    assert measuring.beside(given) == quality._plain(quality.computed(given))


def test_a_page_never_waits_and_nothing_is_worked_out_twice(light: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    worked(light)
    count = 0

    def slow(given: Any) -> dict[str, Any]:
        nonlocal count
        count += 1
        time.sleep(0.3)
        return {"at": given.at, "rankings": len(given.book.rows)}

    monkeypatch.setattr(measuring, "beside", slow)
    measures = Measures(light, renew=0.0)
    start = time.monotonic()
    assert [measures.known("first") for _ in range(5)] == [(None, True)] * 5
    assert time.monotonic() - start < 0.25
    until = time.monotonic() + 20
    while measures.known("first")[1] and time.monotonic() < until:
        time.sleep(0.02)
    assert measures.known("first")[0] is measures.fresh("first")
    assert count == 1
    batches.decide(light, 1, 1, "keep", "")  # something has changed: the old numbers are shown, new ones come
    found, renewing = measures.known("first")
    assert found is not None
    assert renewing
    assert measures.fresh("first")["rankings"] == 18
    assert count >= 2
    with pytest.raises(RefusedError, match="no batch"):
        measures.known("nothing")


def test_what_fails_beside_is_tried_again(light: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    worked(light)
    wrong = tmp_path / "python"
    wrong.write_text("#!/bin/sh\necho broken >&2\nexit 3\n")
    wrong.chmod(0o755)
    monkeypatch.setattr(measuring.sys, "executable", str(wrong))
    with pytest.raises(RefusedError, match="log says why"):
        Measures(light).fresh("first")
    measures = Measures(light, renew=1.5)
    assert measures.known("first") == (None, True)
    until = time.monotonic() + 20
    while measures.known("first")[1] and time.monotonic() < until:
        time.sleep(0.02)
    assert measures.known("first") == (None, False)  # said, and not tried over and over
    time.sleep(1.5)
    assert measures.known("first") == (None, True)
    monkeypatch.undo()
    assert Measures(light).fresh("first")["rankings"] == 18


def test_the_pages_are_for_readers_and_hold_no_text_of_the_app_as_html(site: Site) -> None:
    worked(site.database)
    reader, labeler = site.person("researcher", "Rosa"), site.person("labeler", "Ada")
    assert labeler.get("/lead/batches/first/models").status_code == 403
    assert reader.get("/lead/batches/other/models").status_code == 404
    assert "data-again" in reader.get("/lead/batches/first/models").text
    assert reader.get("/manage/batches/first/quality").json()["rankings"] == 18
    shown = reader.get("/lead/batches/first/models").text
    assert "Means what they say" in shown
    assert "secret-model-1" not in shown  # told when the batch is frozen
    batches.freeze(site.database, "first", None)
    reader.get("/manage/batches/first/quality")
    assert "secret-model-1" in reader.get("/lead/batches/first/models").text


# -- large batches -------------------------------------------------------------------------------------------------


def test_of_a_large_batch_whole_items_are_drawn_by_lot(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    worked(database, 30, 2)
    monkeypatch.setattr(book, "CHUNK", 5)
    with database.read() as connection:
        whole = book.read(connection, 1)
        drawn, again = (book.read(connection, 1, most=20) for _ in range(2))
        newest = book.latest(connection, 1, most=8)
    assert (len(whole.rows), whole.drawn) == (60, False)
    assert (len(drawn.rows), drawn.drawn, drawn.answers) == (20, True, 60)
    assert drawn == again
    assert all(len(one) == 2 for one in drawn.rankings().values())
    assert len({row.item for row in drawn.rows}) == 10
    assert {row.item for row in drawn.rows} != set(range(1, 11))  # not the first ones
    assert {row.item for row in newest.rows} == set(range(26, 31))  # a chunk of whole items, the newest
    assert len(newest.rows) == 10
    assert all(row in whole.rows for row in (*drawn.rows, *newest.rows))


def test_where_most_items_have_one_labeler_the_shared_ones_are_drawn(light: Database) -> None:
    made = kit.items(30, 1)
    shared = [
        batches.NewItem(**{**one.__dict__, "stratum": "overlap", "record": f"s-{one.record}"}) for one in made[:6]
    ]
    kit.batch(light, [*made, *shared])
    with light.write() as connection:
        plan = {"overlap": 1, "shared": 0.2, "heldout": 0.0, "seed": 1}
        connection.execute(batches.update(batches.batch).values(plan=plan))
    worker = Worker(kit.people(light, 1)[0], "train", 60)
    for _ in range(36):
        do(light, worker, (1, 2, 3, 4))
    with light.read() as connection:
        assert {row.stratum for row in book.read(connection, 1, most=10).rows} == {"overlap"}


def test_known_answers_and_repeats_are_read_apart_from_the_drawn(light: Database) -> None:
    made = kit.items(20, 1)
    gold = [
        batches.NewItem(**{**one.__dict__, "stratum": "gold", "gold": [1, 2, 3, 4], "record": f"gold-{n}"})
        for n, one in enumerate(made[:3])
    ]
    kit.batch(light, [*made, *gold])
    worker = Worker(kit.people(light, 1)[0], "train", 60)
    for _ in range(23):
        do(light, worker, (1, 2, 3, 4))
    with light.read() as connection:
        small = book.read(connection, 1, most=10)
    golden = [row for row in small.everything() if row.gold is not None]
    assert len(golden) >= 1
    assert [row.at for row in small.everything()] == sorted(row.at for row in small.everything())
