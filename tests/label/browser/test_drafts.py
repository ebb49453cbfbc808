"""Nothing that was done is lost, nothing is sent twice: crash, sign-out, no connection, two tabs, an impatient hand."""

from typing import Any

from tests.label.browser.conftest import watched
from tests.label.browser.fake import Fake, ranking
from tests.label.browser.hands import answered, opened, press, ranks, rated

TEXTS = ["Paris.", "Lyon.", "Nice."]


def begun(fake: Fake, slot: str = "one") -> dict[str, Any]:
    fake.tasks[slot] = ranking(slot, TEXTS)
    return fake.tasks[slot]


def until(page: Any, words: str) -> None:
    page.wait_for_function("words => document.getElementById('state').textContent.includes(words)", arg=words)


def test_a_draft_reaches_the_server_by_itself_and_is_there_again(page: Any, chromium: Any, fake: Fake) -> None:
    task = begun(fake)
    opened(page, fake, "one")
    rated(page, 5, 2, 3)
    press(page, "2")
    until(page, "Saved")
    keys = [response["key"] for response in task["responses"]]
    assert task["draft"]["ratings"][keys[0]]["overall"] == 5
    context = chromium.new_context()  # another device
    other = context.new_page()
    opened(other, fake, "one")
    assert other.locator(".tier .token").all_inner_texts() == ["A\nParis.\n5/7"]
    context.close()


def test_a_crash_before_the_draft_was_sent_loses_nothing(chromium: Any, fake: Fake) -> None:
    task = begun(fake)
    context = chromium.new_context()
    page = context.new_page()
    context.route("**/draft", lambda route: route.abort())  # nothing reaches the server
    opened(page, fake, "one")
    rated(page, 5, 2, 3)
    press(page, "3")
    page.wait_for_timeout(100)
    page.close(run_before_unload=False)
    task.update(draft=None, draft_version=0)  # a page that closes may still have sent it: as if that was lost too
    context.unroute("**/draft")
    page = context.new_page()
    opened(page, fake, "one")
    assert page.locator(".tier[data-tier='3'] .token").count() == 1
    until(page, "Saved")
    assert task["draft"] is not None
    context.close()


def test_ten_minutes_without_a_connection(chromium: Any, fake: Fake) -> None:
    task = begun(fake)
    context = chromium.new_context()
    page = context.new_page()
    troubles = watched(page)
    page.clock.install()
    opened(page, fake, "one")
    context.set_offline(True)
    rated(page, 5, 2, 2)
    page.clock.fast_forward(4000)
    until(page, "No connection")
    press(page, "1", "j", "2", "j", "2")
    page.get_by_role("button", name="Submit").click()
    for _ in range(20):  # half a minute at a time
        page.clock.fast_forward(30_000)
        page.wait_for_timeout(10)
    until(page, "it will be sent when the connection is back")
    assert fake.answers == []
    context.set_offline(False)
    page.evaluate("dispatchEvent(new Event('online'))")
    assert ranks(answered(page, fake), task) == [1, 2, 2]
    page.wait_for_url(fake.url + "/")
    page.wait_for_timeout(200)
    assert len(fake.answers) == 1
    assert [path for method, path in fake.requests if method == "POST" and "submit" in path] == ["/work/one/submit"]
    context.close()
    assert troubles == []


def test_a_submission_waits_through_a_closed_browser(chromium: Any, fake: Fake) -> None:
    task = begun(fake)
    begun(fake, "two")
    context = chromium.new_context()
    page = context.new_page()
    opened(page, fake, "one")
    rated(page, 5, 2, 2)
    press(page, "1", "j", "1", "j", "1")
    context.set_offline(True)
    press(page, "Control+Enter")
    until(page, "No connection")
    page.close()
    context.set_offline(False)
    page = context.new_page()
    opened(page, fake, "two")  # another page of the app sends it
    assert ranks(answered(page, fake), task) == [1, 1, 1]
    context.close()


def test_signed_out_in_the_middle(page: Any, fake: Fake) -> None:
    task = begun(fake)
    opened(page, fake, "one")
    rated(page, 5, 2, 3)
    fake.status = 401
    press(page, "1", "j", "2", "j", "3", "Control+Enter")
    dialog = page.locator("#sign-in-again")
    dialog.wait_for()
    dialog.get_by_label("Password").fill("wrong horse battery")
    dialog.get_by_role("button").click()
    dialog.locator("[data-told]", has_text="wrong").wait_for()
    assert fake.answers == []
    dialog.get_by_label("Password").fill("right horse battery")
    dialog.get_by_role("button").click()
    assert ranks(answered(page, fake), task) == [1, 2, 3]


def test_an_answer_lost_on_the_way_is_asked_for_again(page: Any, fake: Fake) -> None:
    begun(fake)
    fake.lose_answers = 1
    opened(page, fake, "one")
    rated(page, 5, 2, 3)
    press(page, "1", "j", "2", "j", "3", "Control+Enter")
    page.wait_for_url(fake.url + "/")
    assert len(fake.answers) == 1
    assert len(fake.receipts) == 1


def test_double_click_back_and_reload_are_one_submission(page: Any, fake: Fake) -> None:
    begun(fake)
    opened(page, fake, "one")
    rated(page, 5, 2, 3)
    press(page, "1", "j", "2", "j", "3")
    page.get_by_role("button", name="Submit").dblclick()
    page.wait_for_url(fake.url + "/")
    page.go_back()
    page.wait_for_selector("body[data-ready]")
    assert page.get_by_role("button", name="Send the revision").is_visible()
    page.reload()
    page.wait_for_selector("body[data-ready]")
    assert len(fake.answers) == 1


def test_two_tabs_make_one_submission_and_know_of_each_other(chromium: Any, fake: Fake) -> None:
    begun(fake)
    context = chromium.new_context()
    first, second = context.new_page(), context.new_page()
    opened(first, fake, "one")
    rated(first, 5, 2, 3)
    press(first, "1", "j", "2", "j", "3")
    until(first, "Saved")
    opened(second, fake, "one")
    assert second.locator(".tier .token").count() == 3
    for tab in (first, second):
        tab.evaluate("document.getElementById('submit').click()")
    first.wait_for_url(fake.url + "/")
    answered(first, fake)
    first.wait_for_timeout(300)
    assert len(fake.answers) == 1
    context.close()


def test_a_newer_draft_from_elsewhere_is_a_question(chromium: Any, fake: Fake) -> None:
    task = begun(fake)
    one, two = chromium.new_context(), chromium.new_context()
    here, there = one.new_page(), two.new_page()
    opened(here, fake, "one")
    opened(there, fake, "one")
    rated(there, 7, 7, 7)
    until(there, "Saved")
    press(here, "n", "j", "1")
    here.locator("#newer").wait_for()
    here.get_by_role("button", name="Take the newer one").click()
    assert here.locator(".rating input:checked").all_inner_texts() == ["", "", ""]
    assert here.locator("[data-letter=A] .rating input:checked").get_attribute("value") == "7"
    press(there, "2")
    until(there, "Saving")
    until(there, "Saved")
    press(here, "g", "j", "3")
    here.locator("#newer").wait_for()
    here.get_by_role("button", name="Keep what is here").click()
    until(here, "Saved")
    assert 3 in task["draft"]["ranks"].values()
    one.close()
    two.close()


def test_a_frozen_batch_takes_no_more_and_says_so(page: Any, fake: Fake) -> None:
    begun(fake)["state"] = "frozen"
    opened(page, fake, "one")
    assert "frozen" in page.locator("#done").inner_text()
    press(page, "n", "j", "5")
    page.wait_for_timeout(100)
    assert not any(method == "PUT" for method, _ in fake.requests)
