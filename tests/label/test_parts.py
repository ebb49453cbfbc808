"""Agreement in parts of a batch is that of the parts, and too little of one has no number."""

import dataclasses
import random
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text

from assent.label import quality
from assent.label.book import Book, Judged
from assent.label.pages.quality import USE_CASES
from assent.label.store.slots import Worker
from assent.records import USE_CASES as KNOWN
from assent.statistics.labelers import pairwise_agreement
from tests.label import kit
from tests.label.test_quality import do, judged
from tests.label.web import Site

MONDAY = datetime(2026, 11, 23, tzinfo=UTC).timestamp()
DAY = 86_400.0


def rows(items: int, use_case: str, at: float, seed: int = 0) -> list[Judged]:
    """Items that three of nine labelers rank, within a minute."""
    rng = random.Random(seed)
    found: list[Judged] = []
    for number in range(items):
        for place, who in enumerate(rng.sample(range(9), 3)):
            ranks = tuple(rng.sample(range(1, 5), 4))
            more: dict[str, Any] = {"use_case": use_case, "at": at + place}
            found.append(judged(1000 * seed + number, f"labeler-{who}", ranks, **more))
    return found


def test_a_part_has_the_agreement_of_its_items_and_all_parts_have_all_items() -> None:
    one, other = rows(25, "chat", MONDAY, 1), rows(12, "open_qa", MONDAY + 8 * DAY, 2)
    book = Book((*one, *other), 0)
    for books, names in ((book.use_cases(), ["chat", "open_qa"]), (book.weeks(), ["2026-W48", "2026-W49"])):
        found = quality.parts(books)
        assert [part["name"] for part in found] == names
        assert [part["items"] for part in found] == [25, 12]
        assert sum(part["items"] for part in found) == len(book.rankings())
        for part, part_rows in zip(found, (one, other), strict=True):
            rankings = Book(tuple(part_rows), 0).rankings()
            for rule in ("strict", "drop", "half"):
                wanted = pairwise_agreement(rankings, rule).found
                said = part["agreement"][rule]["found"]["interval"]
                assert said["estimate"] == pytest.approx(wanted.estimate)
                assert said["low"] == (pytest.approx(wanted.interval.low) if part["items"] >= 20 else None)
        assert found[0]["alpha"]["units"] == 100


def test_an_item_belongs_to_the_week_in_which_its_last_labeler_handed_it_in() -> None:
    sunday = MONDAY - 1.0
    book = Book((judged(1, "a", (1, 2), at=sunday), judged(1, "b", (1, 2), at=MONDAY), judged(2, "a", (1, 2))), 0)
    assert {name: list(part.rankings()) for name, part in book.weeks().items()} == {"2026-W48": ["1"]}
    new_year = Book(tuple(judged(1, who, (1, 2), at=datetime(2027, 1, 2, tzinfo=UTC).timestamp()) for who in "ab"), 0)
    assert list(new_year.weeks()) == ["2026-W53"]


def test_of_fewer_than_ten_items_no_number_is_shown() -> None:
    few = quality.parts(Book(tuple(rows(9, "chat", MONDAY)), 0).use_cases())
    assert few == [{"name": "chat", "items": 9, "labelers": 9, "unknown": quality.FEW}]
    cells = quality.between(Book(tuple(rows(40, "chat", MONDAY)), 0))
    assert {cell["kappa"] is None for cell in cells if cell["items"] < 10} == {True}
    assert quality.kappa(Book(tuple(rows(9, "chat", MONDAY)), 0)) == {"unknown": quality.FEW}
    assert "ranked twice" in quality.kappa(Book((), 0))["unknown"]


def test_every_use_case_has_a_word() -> None:
    assert set(USE_CASES) == {*KNOWN, ""}


def test_the_page_shows_both_divisions_and_kappa(site: Site) -> None:
    made = kit.items(24, 2)
    uses = ("chat", "open_qa")
    asked = [
        dataclasses.replace(one, prompt={**one.prompt, "use_case": uses[number % 2]}) for number, one in enumerate(made)
    ]
    kit.batch(site.database, asked)
    for who in kit.people(site.database, 2):
        for _ in asked:
            do(site.database, Worker(who, "train", 60), (1, 2, 3, 4))
    lead = site.person("lead", "Lena")
    found = lead.get("/manage/batches/first/quality").json()
    assert [(one["name"], one["items"]) for one in found["parts"]["use_cases"]] == [("chat", 12), ("open_qa", 12)]
    assert found["kappa"]["mean"]["estimate"] == 1.0
    assert [(one["kappa"], one["items"]) for one in found["between"]] == [(1.0, 24)]
    page = lead.get("/lead/batches/first/quality").text
    assert "open questions" in page
    assert "κ 1.00" in page
    assert "Week by week" not in page  # one week says nothing that the whole does not
    with site.database.write() as connection:
        connection.execute(text("DROP TRIGGER answer_UPDATE"))
        connection.execute(text("UPDATE answer SET at = at - 2000000 WHERE item <= 12"))
    site.app.state.measures._kept.clear()
    assert len(lead.get("/manage/batches/first/quality").json()["parts"]["weeks"]) == 2
    assert "Week by week" in lead.get("/lead/batches/first/quality").text
