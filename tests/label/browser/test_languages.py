"""The screens in German, in a real browser: a whole item ranked, nothing left in English, nothing too wide."""

import json
import random
import re
from collections.abc import Iterator
from typing import Any

import pytest
from scripts import house as furnished
from scripts.house import PASSWORD, House
from sqlalchemy import select, update

from assent.label.planning import Plan
from assent.label.store import exporting
from assent.label.store.tables import batch, slot
from tests.label.browser.conftest import watched
from tests.label.browser.hands import press, serious

ENGLISH = re.compile(r"\b(the|your|you|of|and|is|are|to|output|tier|rated|left|ranked|sign|draft|saved|sent)\b", re.I)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with furnished.opened(tmp_path_factory.mktemp("house")) as one:
        yield one


def entered(chromium: Any, house: House, name: str, **options: Any) -> Any:
    """A page of somebody whose browser asks for German, signed in."""
    page = chromium.new_context(locale="de-AT", **options).new_page()
    page.goto(house.url + "/sign-in")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Passwort", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Anmelden").click()
    page.wait_for_url(lambda url: "/sign-in" not in url)
    return page


def given(house: House, name: str, row: dict[str, Any]) -> None:
    """A new labeler, whose next task is this one."""
    person = furnished.join(house.database, name, "labeler")
    furnished.put(house.database, name, [row], Plan(shared=0), 1)
    with house.database.write() as connection:
        made = select(batch.c.id).where(batch.c.name == name).scalar_subquery()
        connection.execute(update(slot).where(slot.c.batch == made).values(priority=-9.0, reserved=person.id))


def english(page: Any) -> list[str]:
    """What the page itself says in English; texts to be judged, names and keys stand aside."""
    said = page.evaluate(
        """() => {
          const shown = [...document.querySelectorAll("body *")].filter(one => !one.closest(".text, .said, bdi, kbd"));
          const own = one => [...one.childNodes].filter(n => n.nodeType === 3).map(n => n.data.trim());
          return shown.flatMap(one => [...own(one), one.ariaLabel, one.title]).filter(Boolean);
        }"""
    )
    return [text for text in said if ENGLISH.search(text)]


@pytest.mark.parametrize("width", [1440, 360])
def test_a_whole_item_is_rated_and_ranked_in_german(chromium: Any, house: House, width: int) -> None:
    name = f"german-{width}"
    texts = ["Rot wie Mohn.", "Blau, mehr oder weniger.", "Grau."]
    given(house, name, furnished.samples(800 + width, "Welche Farbe hat der Himmel?", 3, random.Random(1), texts))
    page = entered(chromium, house, name, viewport={"width": width, "height": 800})
    troubles = watched(page)
    assert page.locator("html").get_attribute("lang") == "de"
    page.get_by_role("button", name="Nächste Aufgabe").click()
    page.wait_for_selector("body[data-ready]")
    fits(page, width)
    assert page.locator("#left").inner_text().startswith("Noch zu bewerten: die Merkmale des Prompts, A")
    press(page, "n", "j", "7", "n", "j", "2", "f", "Tab", "Space", "Escape", "j", "3", "n")
    page.wait_for_function(
        "() => document.querySelector('[data-letter=B] [data-summary]').textContent.includes('Merkmal')"
    )
    assert page.locator("[data-letter=B] [data-summary]").inner_text() == "Mit 2 bewertet · 1 Merkmal"
    assert page.locator("[data-letter=A] [data-anchor]").inner_text() == "Hervorragend: kaum besser zu machen"
    fits(page, width)
    page.get_by_role("button", name="Weiter zur Rangfolge").click()
    page.wait_for_selector("body[data-step=rank]")
    press(page, "k", "k", "2", "j", "1", "j", "2")
    page.wait_for_selector("#doubts li")
    doubt = "B steht über A, aber Sie haben sie schlechter bewertet (2 gegen 7)."
    assert doubt in page.locator("#doubts li").all_inner_texts()
    assert page.locator("#told").inner_text() == "C auf Stufe 2, gleichauf mit A."
    page.locator("#ladder .token").first.click()
    page.wait_for_selector("#ladder [aria-label='Stufe 1, beste: Ausgabe B hierher legen']")
    press(page, "Escape")
    fits(page, width)
    page.locator("#skip-open").click()
    fits(page, width)
    press(page, "Escape", "?")
    fits(page, width)
    press(page, "Escape")
    page.wait_for_function("() => document.getElementById('state').textContent === 'Gespeichert'")
    here = page.url
    page.get_by_role("button", name="Abgeben").click()
    page.wait_for_url(lambda url: url != here)
    stored(page, house, name)
    page.context.close()
    assert troubles == []


def fits(page: Any, width: int) -> None:
    """No English, no fault of accessibility, and nothing wider than the screen or cut off in a button."""
    assert english(page) == []
    assert serious(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    cut = page.evaluate(
        """() => [...document.querySelectorAll("button:not(.token, .strip), .button, .badge, .chip, legend, label")]
          .filter(one => one.offsetWidth > 4 && one.scrollWidth > one.clientWidth + 1 && one.clientWidth)
          .map(one => one.outerHTML.slice(0, 150))"""
    )
    assert cut == []


def stored(page: Any, house: House, name: str) -> None:
    """What was handed in is what is handed in in English."""
    lines: list[str] = []
    for _ in range(100):
        with house.database.read() as connection:
            lines = exporting.export(connection, name, furnished.SECRET).files["answers.jsonl"].splitlines()
        if lines:
            break
        page.wait_for_timeout(50)
    document = json.loads(lines[0])["document"]
    order = json.loads(lines[0])["order"]
    assert [document["ranks"][place] for place in order] == [2, 1, 2]
    assert [document["ratings"][place]["overall"] for place in order] == [7, 2, 3]
    assert document["ratings"][order[1]]["flags"]["fails_instruction"] is True
    assert "ambiguous" in document["prompt_flags"]


@pytest.mark.parametrize("width", [1280, 360])
def test_a_demonstration_is_written_in_german(chromium: Any, house: House, width: int) -> None:
    name = f"german-words-{width}"
    wish = {**furnished.prompt(900 + width, "Ein Satz über Regen."), "kind": "prompt", "schema": 1}
    given(house, name, wish)
    page = entered(chromium, house, name, viewport={"width": width, "height": 800})
    page.get_by_role("button", name="Nächste Aufgabe").click()
    page.wait_for_selector("body[data-ready]")
    assert page.locator("#left").inner_text() == "Es fehlt: die Merkmale des Prompts, Ihre Antwort"
    page.locator("#response").fill("Regen " * 1200)
    page.wait_for_function("() => document.getElementById('size').textContent === '1.200 Wörter, 7.200 Zeichen'")
    fits(page, width)
    page.get_by_label("Keines trifft zu").check()
    page.wait_for_function("() => document.getElementById('left').textContent === 'Bereit zum Abgeben.'")
    page.context.set_offline(True)
    page.keyboard.press("Control+Enter")
    page.wait_for_function("() => document.getElementById('state').textContent.startsWith('Keine Verbindung')")
    fits(page, width)
    here = page.url
    page.context.set_offline(False)
    page.wait_for_url(lambda url: url != here)
    page.context.close()


@pytest.mark.parametrize(
    ("name", "paths"),
    [
        ("mira", ("/tasks", "/history", "/account", "/survey", "/screening", "/nowhere")),
        (
            "ines",
            ("/lead", "/lead/batches/new", "/lead/batches/spring-rankings", "/lead/adjudication", "/lead/items/3"),
        ),
        ("ruth", ("/lead/batches/spring-rankings/quality", "/lead/batches/spring-rankings/models", "/lead/survey")),
        ("omar", ("/admin", "/admin/keys")),
    ],
)
def test_pages_fit_in_german(chromium: Any, house: House, name: str, paths: tuple[str, ...]) -> None:
    page = entered(chromium, house, name)
    for path in paths:
        page.goto(house.url + path)
        page.wait_for_selector("body:not(:has([data-again]))")
        for each in page.locator("main details").all():
            each.evaluate("one => one.open = true")
        assert serious(page) == [], path
        for width in (1280, 360):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (path, width)
    page.context.close()


def test_a_language_is_chosen_on_the_page_and_kept(chromium: Any, house: House) -> None:
    furnished.join(house.database, "polyglot", "labeler")
    page = chromium.new_context(locale="en-US").new_page()
    page.goto(house.url + "/sign-in")
    page.get_by_label("Language").select_option(label="Deutsch")
    page.get_by_role("button", name="Change").click()
    page.get_by_label("Name").fill("polyglot")
    page.get_by_label("Passwort", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Anmelden").click()
    page.wait_for_url("**/tasks")
    assert "Hallo" in page.inner_text("h1")
    page.get_by_role("button", name="Dunkle Farben").click()
    page.get_by_role("button", name="Helle Farben").wait_for()
    page.goto(house.url + "/account")
    page.get_by_label("Sprache dieser Seiten").select_option(label="English")
    page.get_by_role("button", name="Diese Sprache überall verwenden").click()
    page.get_by_role("button", name="Use this language everywhere").wait_for()
    page.context.close()
