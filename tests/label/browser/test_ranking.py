"""The ranking screen, in a real browser: by keys, by mouse, by touch, and every order there is."""

import itertools
import random
from typing import Any

import pytest

from assent.records import FLAGS
from tests.label.browser.conftest import watched
from tests.label.browser.fake import Fake, ranking
from tests.label.browser.hands import answered, opened, press, ranks, rated

TEXTS = ["Paris.", "It is **Paris**, on the Seine.", "Lyon.", "I would rather not say."]


def begun(fake: Fake, texts: list[str], slot: str = "one") -> dict[str, Any]:
    fake.tasks[slot] = ranking(slot, texts)
    return fake.tasks[slot]


def test_a_whole_item_by_keys_alone(page: Any, fake: Fake) -> None:
    task = begun(fake, TEXTS)
    opened(page, fake, "one")
    press(page, "n", "j", "7", "n", "j", "6", "f", "Tab", "Space", "Escape", "j", "1", "n", "j", "3", "n")
    press(page, "g", "k", "k", "k")  # ranking, back to the first
    press(page, "1", "j", "2", "=", "j", "4", "j", "=", "-")  # B joins A; D joins C's tier and leaves it again
    press(page, "Control+Enter")
    answer = answered(page, fake)
    assert ranks(answer, task) == [1, 1, 2, 3]
    keys = [response["key"] for response in task["responses"]]
    said = answer["document"]["ratings"]
    assert [said[key]["overall"] for key in keys] == [7, 6, 1, 3]
    assert said[keys[1]]["flags"]["fails_instruction"] is True
    assert not any(said[keys[0]]["flags"].values())
    assert said[keys[0]]["flags"]["hallucination"] is None
    assert not any(answer["document"]["prompt_flags"].values())
    page.wait_for_url(fake.url + "/")


def test_a_whole_item_by_mouse(page: Any, fake: Fake) -> None:
    task = begun(fake, TEXTS[:3])
    opened(page, fake, "one")
    page.get_by_label("Closed domain").check()
    for letter, value in zip("ABC", (5, 2, 5), strict=True):
        card = page.locator(f"[data-letter={letter}]")
        card.get_by_role("radio", name=f"{value}.").check()
        card.get_by_label("None applies").check()
    page.get_by_role("button", name="Rank them").click()
    ladder = page.locator("#ladder")
    grip = ladder.locator(".token:has-text('Paris') .grip").first
    drag(page, grip, ladder.locator("[data-tier='2']"))
    drag(page, page.locator("[data-letter=B] .grip"), ladder.locator("[data-gap='2']"))  # between 1 and 2
    drag(page, ladder.locator(".token:has-text('Lyon')"), ladder.locator("[data-tier='3']"))
    assert page.locator(".tier .token").count() == 3
    page.get_by_role("button", name="Submit").click()
    answer = answered(page, fake)
    assert ranks(answer, task) == [2, 1, 2]
    assert answer["document"]["prompt_flags"]["closed_domain"] is True


def drag(page: Any, what: Any, where: Any) -> None:
    start, end = what.bounding_box(), where.bounding_box()
    page.mouse.move(start["x"] + start["width"] / 2, start["y"] + start["height"] / 2)
    page.mouse.down()
    page.mouse.move(end["x"] + 60, end["y"] + end["height"] / 2, steps=6)
    page.mouse.up()


def test_a_whole_item_by_touch_on_a_narrow_screen(chromium: Any, fake: Fake) -> None:
    task = begun(fake, ["Paris. " * 60, "Lyon. " * 60, "Nice. " * 60])
    context = chromium.new_context(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    page = context.new_page()
    troubles = watched(page)
    opened(page, fake, "one")
    page.locator(".prompt .chip.none").tap()
    for letter, value in zip("ABC", (6, 2, 3), strict=True):
        page.locator(f"[data-letter={letter}] .rating .notch").nth(value - 1).tap()
        page.locator(f"[data-letter={letter}] .chip.none").tap()
    page.locator("#step").tap()
    page.locator("[data-letter=A] .placing .notch").nth(0).tap()  # on the card
    page.locator("#ladder [data-token]", has_text="B").tap()  # picked up and put down on the ladder
    page.locator("#ladder [data-into='2']").tap()
    client = context.new_cdp_session(page)
    page.locator("[data-letter=C]").evaluate("card => card.scrollIntoView({block: 'center'})")
    before = page.evaluate("scrollY")
    swipe(client, page, page.locator("[data-letter=C] .body"), -150)
    assert page.evaluate("scrollY") != before  # a finger on the text scrolls
    page.locator("#ladder").evaluate("ladder => ladder.scrollIntoView({block: 'center'})")
    grip = page.locator("#ladder [data-token]", has_text="C").locator(".grip")
    target = page.locator("#ladder [data-tier='2']").bounding_box()
    swipe(client, page, grip, target["y"] + 20 - grip.bounding_box()["y"] - 10)  # a finger on the handle drags
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.locator("#submit").tap()
    assert ranks(answered(page, fake), task) == [1, 2, 2]
    context.close()
    assert troubles == []


def swipe(client: Any, page: Any, what: Any, by: float) -> None:
    """A finger down on something, moved up or down, and lifted: the browser decides whether that scrolls or drags."""
    box = what.bounding_box()
    x, y = box["x"] + 12, box["y"] + min(box["height"] / 2, 60)
    gesture = {"x": x, "y": y, "yDistance": by, "gestureSourceType": "touch", "speed": 600, "preventFling": True}
    client.send("Input.synthesizeScrollGesture", gesture)
    page.wait_for_timeout(500)  # until the browser no longer waits for a second touch


def test_nothing_is_ranked_until_somebody_ranks_it(page: Any, fake: Fake) -> None:
    begun(fake, TEXTS)
    opened(page, fake, "one")
    press(page, "g", "Control+Enter")
    assert page.locator("body").get_attribute("data-step") == "rate"  # not before every output is rated
    rated(page, 5, 5, 5, 5)
    assert page.locator(".tier .token").count() == 0
    for placed in range(4):
        assert page.get_by_role("button", name="Submit").is_disabled()
        press(page, "Control+Enter", "1", "j")
        assert page.locator(".tier .token").count() == placed + 1
    assert fake.answers == []
    assert page.get_by_role("button", name="Submit").is_enabled()
    press(page, "x")
    assert page.get_by_role("button", name="Submit").is_disabled()
    press(page, "z")
    assert page.get_by_role("button", name="Submit").is_enabled()


def test_a_rank_against_the_ratings_is_doubted_and_taken(page: Any, fake: Fake) -> None:
    task = begun(fake, TEXTS[:2])
    opened(page, fake, "one")
    rated(page, 2, 6)
    press(page, "1", "j", "2")
    assert page.locator("#doubts li").all_inner_texts() == ["A stands above B, yet you rated it lower (2 against 6)."]
    press(page, "Control+Enter")
    assert ranks(answered(page, fake), task) == [1, 2]


def test_grouping_by_ratings_happens_when_asked(page: Any, fake: Fake) -> None:
    task = begun(fake, TEXTS)
    opened(page, fake, "one")
    rated(page, 3, 6, 6, 1)
    page.get_by_role("button", name="Group by my ratings").click()
    press(page, "Control+Enter")
    assert ranks(answered(page, fake), task) == [2, 1, 1, 3]


def test_skipping_and_personal_data_give_a_reason(page: Any, fake: Fake) -> None:
    begun(fake, TEXTS, "one")
    begun(fake, TEXTS, "two")
    opened(page, fake, "one")
    page.get_by_role("button", name="Skip").click()
    page.get_by_label("too unclear").check()
    page.get_by_label("Note").last.fill("Which France?")
    page.locator("#skip button[value=skip]").click()
    assert answered(page, fake) == {"slot": "one", "reason": "unclear", "note": "Which France?"}
    page.wait_for_url("**/task/two")
    page.wait_for_selector("body[data-ready]")
    page.get_by_role("button", name="Personal data").click()
    assert page.locator("[data-personal]").is_visible()
    page.locator("#skip button[value=skip]").click()
    assert answered(page, fake, 2)["reason"] == "personal_data"


def test_texts_are_whole_and_comparable(page: Any, fake: Fake) -> None:
    begun(fake, ["one two three\u202e " * 400, "one 2 three"])
    opened(page, fake, "one")
    assert page.locator("[data-letter=A] .text").first.inner_text().count("three") == 400
    press(page, "v")
    assert page.locator("[data-letter=A] pre.raw").inner_text().count("RLO") == 400
    press(page, "j", "p", "j", "p", "d")
    assert page.locator("#pair ins").all_inner_texts()[-1] == "2"
    assert "[U+202E]" in page.locator("#pair").inner_text()
    page.locator("#words").uncheck()
    assert page.locator("#pair ins").count() == 0


def dense(vector: tuple[int, ...]) -> list[int]:
    used = sorted(set(vector))
    return [used.index(value) + 1 for value in vector]


def vectors(count: int) -> list[tuple[int, ...]]:
    """Every ranking with ties of up to five outputs; of more, a sample of placements, empty tiers among them."""
    if count <= 5:
        every = itertools.product(range(1, count + 1), repeat=count)
        return [vector for vector in every if dense(vector) == list(vector)]
    draw = random.Random(count)
    return [tuple(draw.randint(1, count) for _ in range(count)) for _ in range(25)]


TYPED = """async vectors => {
  const said = document.getElementById("state");
  const press = key => document.activeElement.dispatchEvent(
    new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true, ctrlKey: key === "Enter"}));
  for (const vector of vectors) {
    vector.forEach(() => press("k"));
    for (const tier of vector) { press("j"); press(String(tier)); }
    press("Enter");
    while (said.textContent !== "Your revision is kept") await new Promise(resolve => setTimeout(resolve));
  }
}"""


@pytest.mark.parametrize(("count", "number"), [(2, 3), (3, 13), (4, 75), (5, 541), (6, 25), (7, 25), (8, 25), (9, 25)])
def test_every_ranking_arrives_as_it_was_made(page: Any, fake: Fake, count: int, number: int) -> None:
    task = begun(fake, [f"Output number {n}" for n in range(count)])
    keys = [response["key"] for response in task["responses"]]
    flags = dict.fromkeys(FLAGS, False)
    stored = {
        "schema": 1,
        "ratings": {key: {"overall": 4, "flags": flags} for key in keys},
        "prompt_flags": {},
        "ranks": dict.fromkeys(keys, 1),
        "note": "",
        "seconds": 1,
    }
    task.update(state="submitted", draft=stored)
    wanted = vectors(count)
    assert len(wanted) == number
    opened(page, fake, "one")
    page.evaluate(TYPED, [list(vector) for vector in wanted])
    assert [ranks(answer, task) for answer in fake.answers] == [dense(vector) for vector in wanted]
    assert all(answer["action"] == "revise" for answer in fake.answers)
