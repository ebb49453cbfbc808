"""Reviewing a demonstration: one output to rate, nothing to rank, by keys and on every screen."""

from typing import Any

import pytest

from tests.label.browser.conftest import watched
from tests.label.browser.fake import Fake, ranking
from tests.label.browser.hands import answered, opened, press, serious


def begun(fake: Fake) -> dict[str, Any]:
    made = ranking("r", ["Paris, *of course*.\n\n- It lies on the Seine."])
    fake.tasks["r"] = {**made, "kind": "review"}
    return fake.tasks["r"]


def test_a_review_by_keys(page: Any, fake: Fake) -> None:
    one = begun(fake)
    opened(page, fake, "r")
    submit = page.get_by_role("button", name="Submit")
    assert submit.is_disabled()
    assert page.locator(".ladder, #step, #compare, [data-pin]").evaluate_all(
        "all => all.every((one) => !one.checkVisibility())"
    )
    press(page, "n", "j", "6", "n", "g", "p", "d")  # G, P and D mean nothing here
    page.locator("#note").fill("Could say more.")
    page.wait_for_function("() => document.getElementById('left').textContent === 'Ready to submit.'")
    page.wait_for_function("() => document.getElementById('state').textContent === 'Saved'")
    page.reload()
    page.wait_for_selector("body[data-ready]")
    assert page.locator("#note").input_value() == "Could say more."
    press(page, "Control+Enter")
    document = answered(page, fake)["document"]
    assert [said["overall"] for said in document["ratings"].values()] == [6]
    assert document["note"] == "Could say more."
    assert "ranks" not in document
    page.wait_for_url(fake.url + "/")
    opened(page, fake, "r")
    press(page, "j", "3")
    page.get_by_role("button", name="Send the revision").click()
    assert answered(page, fake, 2)["action"] == "revise"
    one["state"] = "frozen"


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_reviewing_screen_is_accessible(chromium: Any, fake: Fake, width: int, scheme: str) -> None:
    begun(fake)
    page = chromium.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme).new_page()
    troubles = watched(page)
    opened(page, fake, "r")
    assert serious(page) == []
    press(page, "n", "j", "6", "n")
    page.wait_for_function("() => !document.getElementById('submit').disabled")
    assert serious(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    press(page, "?")
    page.wait_for_selector("#help[open]")
    assert serious(page) == []
    assert troubles == []
    page.context.close()
