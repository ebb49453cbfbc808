"""Screening, the survey and practice in a browser, from the admin's proposal to the lead's decision and counts."""

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from scripts import house as furnished
from scripts.house import House
from sqlalchemy import select

from assent.label import screening
from assent.label.planning import Plan
from assent.label.store import answers, importing, meant, slots, tables
from tests.label.browser.conftest import watched
from tests.label.browser.hands import press, rated, serious
from tests.label.browser.test_pages import entered


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with furnished.opened(tmp_path_factory.mktemp("staff")) as one:
        yield one


def looked_at(page: Any) -> None:
    """Accessible, and not wider than a telephone."""
    assert serious(page) == []
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.set_viewport_size({"width": 1280, "height": 800})


def written(house: House, name: str, words: str) -> None:
    """Let somebody write the next demonstration that waits for them."""
    with house.database.read() as connection:
        number = connection.execute(select(tables.person.c.id).where(tables.person.c.name == name)).scalar_one()
    who = slots.Worker(number, "train", 1800.0)
    for n in range(40):
        identity, _ = slots.claim(house.database, who)
        assert identity is not None
        with house.database.read() as connection:
            row = slots.owned(connection, who, identity)
            kind = connection.execute(select(tables.item.c.kind).where(tables.item.c.id == row.item)).scalar_one()
        if kind == "demonstrate":
            document = {"schema": 1, "response": words, "prompt_flags": {}, "note": "", "seconds": 60.0}
            answers.submit(house.database, who, identity, f"wrote-{n:06}", document)
            return
        answers.skip(house.database, who, identity, f"skip-{n:06}", "other", "")
    raise AssertionError("no demonstration waits")


def test_a_candidate_is_screened_without_a_name(chromium: Any, house: House) -> None:
    written(house, "noor", "Ask her *kindly* <b>first</b>.")
    admin = entered(chromium, house, "omar")
    troubles = watched(admin)
    admin.on("dialog", lambda dialog: dialog.accept())
    admin.get_by_role("button", name="Screen noor").click()
    admin.wait_for_load_state()
    noor = entered(chromium, house, "noor")
    noor.get_by_role("link", name="What is looked at, and a question for you").click()
    looked_at(noor)
    noor.get_by_label("Topics and groups of people").fill("Religion, where I live")
    noor.get_by_role("button", name="Send").click()
    assert "It is noted" in noor.get_by_role("status").last.inner_text()
    lead = entered(chromium, house, "ines")
    lead.on("dialog", lambda dialog: dialog.accept())
    lead.goto(house.url + "/lead/candidates")
    looked_at(lead)
    lead.locator("tbody a").click()
    looked_at(lead)
    assert "Religion, where I live" in lead.inner_text("main")
    assert "Ask her kindly <b>first</b>." in lead.inner_text("main")
    assert "noor" not in lead.inner_text("main")
    lead.get_by_label("Quality, 1 to 7").select_option("6")
    lead.get_by_role("button", name="Rate", exact=True).click()
    assert "You gave 6" in lead.inner_text("main")
    lead.get_by_label("Batch").select_option("spring-rankings")
    lead.get_by_role("button", name="Score the rankings").click()
    lead.wait_for_load_state()
    with house.database.read() as connection:
        (known,) = screening.candidates(connection)
    if lead.get_by_role("alert").count():  # the draw gave noor no item with a known answer
        assert "no item with a known answer" in lead.get_by_role("alert").inner_text()
    else:
        assert 0 <= known["scores"]["ranking"] <= 1
    assert known["scores"]["demonstration"] == 6.0
    lead.goto(f"{house.url}/lead/candidates/{known['candidate']}")
    lead.get_by_role("button", name="Take", exact=True).click()
    lead.wait_for_url("**/lead/candidates")
    assert "taken" in lead.inner_text("tbody")
    for one in (admin, noor, lead):
        one.context.close()
    assert troubles == []


def test_the_survey_counts_five_and_tells_of_nobody(chromium: Any, house: House) -> None:
    reader = entered(chromium, house, "ruth")
    reader.goto(house.url + "/lead/survey")
    assert "Fewer than 5" in reader.inner_text("main")
    for n, name in enumerate(furnished.LABELERS[:5]):  # everybody answers once
        page = entered(chromium, house, name)
        troubles = watched(page)
        page.goto(house.url + "/tasks")
        page.get_by_role("link", name="A survey of a few questions").click()
        if not n:
            looked_at(page)
        page.get_by_role("group", name="What is your age?").get_by_label("25-34").check()
        page.get_by_role("button", name="Send without my name").click()
        page.get_by_role("status").filter(has_text="Thank you").wait_for()
        page.context.close()
        assert troubles == []
    reader.reload()
    looked_at(reader)
    row = reader.get_by_role("row", name="25-34")
    assert row.inner_text().split()[-1] == "5"
    reader.context.close()


def test_after_practice_one_sees_how_it_was_meant(chromium: Any, house: House) -> None:
    row = furnished.samples(900, "Which is best?", 3, random.Random(0))
    lines = ['{"id": "s900", "reason": "Nobody likes to wait.", "ranks": [1, 2, 2]}']
    one = furnished.samples(901, "And now?", 2, random.Random(1))
    work = importing.parse([json.dumps(each).encode() for each in (row, one)], "rows")
    source = importing.Source(work=tuple(work), meant=meant.parse(lines, "lines"))
    importing.put(house.database, "practised", source, Plan(shared=0), "1", None)
    page = entered(chromium, house, "sven")
    troubles = watched(page)
    page.get_by_role("button", name="Next task").or_(page.get_by_role("link", name="Go on")).click()
    page.wait_for_selector("body[data-ready]")
    assert page.locator(".prompt .badge").inner_text() == "Practice"
    assert "Nobody likes to wait" not in page.content()
    rated(page, 6, 5, 4)
    press(page, "1", "j", "2", "j", "3", "Control+Enter")
    page.wait_for_url("**/practice/**")
    assert "Nobody likes to wait." in page.inner_text("main")
    assert page.locator("article").count() == 3
    looked_at(page)
    page.get_by_role("button", name="Next task").click()
    page.wait_for_url("**/task/**")
    page.context.close()
    assert troubles == []
