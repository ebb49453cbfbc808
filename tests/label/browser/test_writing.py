"""Writing a demonstration: nothing typed is lost, the preview is what others will see, revisions until the freeze."""

from typing import Any

import pytest

from tests.label.browser.conftest import watched
from tests.label.browser.fake import Fake, message, task
from tests.label.browser.hands import answered, opened, press, serious


def begun(fake: Fake, mode: str = "plain") -> dict[str, Any]:
    messages = [message("user", "Write a haiku about rain.\n<b>Please.</b>")]
    if mode == "few_shot":
        messages = [message("user", "sea ->"), message("assistant", "salt"), message("user", "sky ->")]
    fake.tasks["w"] = task("w", "demonstrate", mode, messages, [])
    return fake.tasks["w"]


def test_a_demonstration_by_keys(page: Any, fake: Fake) -> None:
    begun(fake)
    opened(page, fake, "w")
    page.keyboard.type("Rain *on* the roof <b>now</b>")
    assert page.get_by_role("button", name="Submit").is_disabled()  # nothing was said about the prompt yet
    press(page, "Control+e")
    page.wait_for_selector("#preview em")
    assert page.locator("#preview").inner_text().strip() == "Rain on the roof <b>now</b>"
    press(page, "Control+e")
    assert "5 words" in page.locator("#size").inner_text()
    page.get_by_label("None applies").check()
    press(page, "Control+Enter")
    document = answered(page, fake)["document"]
    assert document["response"] == "Rain *on* the roof <b>now</b>"
    assert document["seconds"] > 0
    assert "ranks" not in document


def test_a_draft_is_found_again_and_revised_until_the_freeze(page: Any, fake: Fake) -> None:
    one = begun(fake, "few_shot")
    opened(page, fake, "w")
    assert page.locator(".turn").count() == 3
    assert "manner of the examples" in page.locator(".mode").inner_text()
    page.keyboard.type("blue")
    page.get_by_label("Asks to continue a text").check()
    page.wait_for_function("() => document.getElementById('state').textContent === 'Saved'")
    assert one["draft"]["response"] == "blue"
    page.reload()
    page.wait_for_selector("body[data-ready]")
    assert page.locator("#response").input_value() == "blue"
    press(page, "Control+Enter")
    answered(page, fake)
    page.wait_for_url(fake.url + "/")
    opened(page, fake, "w")
    page.locator("#response").fill("grey")
    page.get_by_role("button", name="Send the revision").click()
    revised = answered(page, fake, 2)
    assert revised["action"] == "revise"
    assert revised["document"]["response"] == "grey"
    assert len(fake.receipts) == 2
    one["state"] = "frozen"
    page.reload()
    page.wait_for_selector("body[data-ready]")
    assert not page.get_by_role("button", name="Send the revision").is_visible()


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_writing_screen_is_accessible_in_every_state(chromium: Any, fake: Fake, width: int, scheme: str) -> None:
    one = begun(fake, "few_shot")
    page = chromium.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme).new_page()
    troubles = watched(page)
    opened(page, fake, "w")
    assert serious(page) == []
    page.locator("#response").fill("Rain *on* the roof\n\n```python\nprint(1)\n```")
    page.get_by_label("Asks to continue a text").check()
    page.locator("details.notes summary").click()
    assert serious(page) == []
    press(page, "Control+e")
    page.wait_for_selector("#preview em")
    assert serious(page) == []
    page.locator("#view").click()
    assert serious(page) == []
    page.locator("#help-open").click()
    assert serious(page) == []
    press(page, "Escape")
    page.locator("#skip-open").click()
    page.locator("#skip [value=personal_data]").check()
    assert serious(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    one["state"] = "frozen"
    page.reload()
    page.wait_for_selector("body[data-ready]")
    assert serious(page) == []
    page.context.close()
    assert troubles == []
