"""What labelers see of each other afterwards, and what leads see of reviews: by day, by night, on a telephone."""

from collections.abc import Iterator
from typing import Any

import pytest
from scripts import house as furnished
from scripts.house import House
from sqlalchemy import select

from assent.label.planning import Plan
from assent.label.store import batches, calibration, importing
from assent.label.store.importing import Source
from assent.label.store.tables import person
from assent.records import Message, Prompt
from tests.label.browser.conftest import watched
from tests.label.browser.hands import serious
from tests.label.browser.test_pages import entered
from tests.label.test_reviews import do

LOOKS = [{"color_scheme": "light"}, {"color_scheme": "dark"}, {"viewport": {"width": 360, "height": 740}}]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with furnished.opened(tmp_path_factory.mktemp("house")) as one:
        for name in batches_open(one):
            batches.freeze(one.database, name, None)  # so that what comes next is what is put in here
        calibration.switch(one.database, "spring-rankings", True, 1)
        yield one


def batches_open(house: House) -> list[str]:
    with house.database.read() as connection:
        return [one["name"] for one in batches.status(connection)]


def looked_at(page: Any) -> None:
    page.wait_for_selector("body:not(:has([data-again]))")
    assert serious(page) == [], page.url
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), page.url


@pytest.mark.parametrize("look", LOOKS)
def test_a_labeler_compares(chromium: Any, house: House, look: dict[str, Any]) -> None:
    page = entered(chromium, house, "tomas", **look)
    troubles = watched(page)
    page.goto(house.url + "/history")
    looked_at(page)
    page.locator("a[href^='/calibration']").nth(LOOKS.index(look)).click()
    page.wait_for_url("**/calibration/*")
    looked_at(page)
    assert page.locator("table").count() == 0
    page.get_by_role("button", name="Show me").click()
    page.wait_for_selector("table")
    assert page.get_by_role("rowheader", name="You").count() == page.locator("article").count() == 4
    looked_at(page)
    lead = entered(chromium, house, "ines", **look)
    lead.goto(house.url + "/lead/batches/spring-rankings")
    looked_at(lead)
    assert "Looked at last" in lead.inner_text("main")
    for one in (page, lead):
        one.context.close()
    assert troubles == []


def test_a_lead_finds_what_others_rate_low(chromium: Any, house: House) -> None:
    with house.database.read() as connection:
        people = {row.name: row.id for row in connection.execute(select(person.c.name, person.c.id))}
    prompts = tuple(
        Prompt(id=f"d{n}", messages=(Message(role="user", content=asked),))
        for n, asked in enumerate(furnished.ASKED[:3])
    )
    plan = Plan(shared=0, gold=0, reviews=2)
    importing.put(house.database, "winter-texts", Source(work=prompts), plan, "1", None)
    for _ in prompts:
        do(house.database, people["mira"], "Light is a *mixture*.\n\n- Blue bounces most.")
    for who in ("tomas", "aiko"):
        for overall in (2, 5, 6):
            do(
                house.database,
                people[who],
                overall=overall,
                note="It forgets the evening.",
                fails_instruction=overall < 3,
            )
    for look in LOOKS:
        page = entered(chromium, house, "ines", **look)
        troubles = watched(page)
        page.goto(house.url + "/lead/batches/winter-texts")
        looked_at(page)
        page.get_by_role("link", name="1", exact=True).last.click()
        page.wait_for_url("**/lead/adjudication")
        looked_at(page)
        page.locator("a[href^='/lead/items']").first.click()
        page.wait_for_url("**/lead/items/*")
        looked_at(page)
        assert page.inner_text("main").count("2 of 7") == 2
        assert page.locator(".columns em").inner_text() == "mixture"
        page.context.close()
        assert troubles == []
