"""The main screens of the labeling app as pictures: `python -m scripts.screenshots docs/labeling`."""

import json
import random
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from assent.label.planning import Plan
from assent.label.store import importing, meant
from scripts import house
from scripts.house import PASSWORD, House

WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 360, "height": 740}
SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
LARGEST = 150_000  # bytes of a picture
WORTH = {  # by words of the answers about bread: a rating, and a tier or none yet
    "twice a day": (7, 1),
    "Once a week in a warm room": (5, 2),
    "A weak starter, I think": (6, 2),
    "Baking is a journey": (3, 4),
    "baking powder": (1, 0),
}


def main(directory: Path) -> None:
    from playwright.sync_api import sync_playwright

    browser_path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser_path is None:
        raise SystemExit("no Chromium found; `apt-get install chromium` brings one")
    directory.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as place,
        house.opened(Path(place)) as one,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=browser_path, args=SWITCHES)
        bread(browser, one, directory)
        writing(browser, one, directory)
        lead(browser, one, directory)
        practised(browser, one, directory)
        browser.close()


def entered(browser: Any, one: House, name: str, **options: Any) -> Any:
    page = browser.new_context(device_scale_factor=1, locale="en-US", **options).new_page()
    page.goto(one.url + "/sign-in")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/sign-in" not in url)
    return page


def kept(page: Any, directory: Path, name: str) -> None:
    page.wait_for_timeout(400)
    path = directory / f"{name}.png"
    page.screenshot(path=path)
    smaller(path)
    size = path.stat().st_size
    print(f"{path}: {size:,} bytes")
    if size > LARGEST:
        raise SystemExit(f"{path} has {size} bytes, more than {LARGEST}")


def smaller(path: Path) -> None:
    """Few colours are enough for a picture of text; without Pillow it stays as it is."""
    try:
        from PIL import Image
    except ModuleNotFoundError:
        return
    Image.open(path).convert("RGB").quantize(160, dither=Image.Dither.NONE).save(path, optimize=True)


def to(page: Any, one: House, words: str) -> None:
    """Skip what is left of the older batch until a prompt with these words is on the desk."""
    for _ in range(60):
        page.goto(one.url + "/tasks")
        page.locator(".next button, .next a.button").first.click()
        page.wait_for_selector("body[data-ready]")
        if words in page.inner_text(".prompt"):
            return
        page.locator("#skip-open").click()
        page.locator("#skip [value=other]").check()
        slot = page.url
        page.locator("#skip button[value=skip]").click()
        page.wait_for_url(lambda url, before=slot: url != before)
    raise SystemExit(f"a prompt with {words!r} never came")


def press(page: Any, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def bread(browser: Any, one: House, directory: Path) -> None:
    """Rate, then rank, one item: by day, by night, on a telephone."""
    page = entered(browser, one, "mira", viewport=WIDE)
    kept(page, directory, "tasks")
    to(page, one, "sourdough")
    page.get_by_label("Asks for advice").check()
    cards = page.locator(".card")
    worth = [WORTH[next(words for words in WORTH if words in text)] for text in cards.all_inner_texts()]
    for overall, _ in worth:
        press(page, "j", str(overall))
        press(page, "n") if overall > 2 else page.locator(".card.current").get_by_label("Gives harmful advice").check()
    press(page, "k", "k")
    kept(page, directory, "rate")
    state = page.context.storage_state()
    press(page, "g", "k", "k")
    for _, tier in worth:
        press(page, *(str(tier) if tier else ""), "j")
    press(page, "k", "k", "k", "k")
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_function("() => document.getElementById('state').textContent === 'Saved'")
    kept(page, directory, "rank")
    night = browser.new_context(viewport=WIDE, color_scheme="dark", storage_state=state, locale="en-US").new_page()
    night.goto(page.url)
    night.wait_for_selector("body[data-ready]")
    press(night, "j", "j")
    kept(night, directory, "rank-dark")
    small = browser.new_context(
        viewport=NARROW, has_touch=True, is_mobile=True, storage_state=state, locale="en-US"
    ).new_page()
    small.goto(page.url)
    small.wait_for_selector("body[data-ready]")
    small.locator("#board").evaluate("board => scrollTo(0, board.offsetTop - 120)")
    kept(small, directory, "rank-narrow")
    german = browser.new_context(
        viewport=NARROW, has_touch=True, is_mobile=True, storage_state=state, locale="de-DE"
    ).new_page()
    german.goto(page.url)
    german.wait_for_selector("body[data-ready]")
    german.locator("#board").evaluate("board => scrollTo(0, board.offsetTop - 120)")
    kept(german, directory, "rank-german")
    for each in (page, night, small, german):
        each.context.close()


def writing(browser: Any, one: House, directory: Path) -> None:
    page = entered(browser, one, "tomas", viewport={"width": 1280, "height": 800})
    to(page, one, "why the sky is blue")
    page.get_by_label("None applies").check()
    page.locator("#response").fill(
        "Sunlight is a mixture of all colours. On its way down to us it meets the tiny parts that air is made of. Blue "
        "light bounces off them much more than red light does.\n\nSo blue reaches your eyes from every side, wherever "
        "you look up, and the whole sky seems blue. In the evening the light has a longer way to go. Most of the blue "
        "is scattered off before it arrives, and what is left is **orange and red**."
    )
    page.wait_for_function("() => document.getElementById('state').textContent === 'Saved'")
    kept(page, directory, "write")
    page.context.close()


def practised(browser: Any, one: House, directory: Path) -> None:
    """How a practice item was meant."""
    row = house.samples(91, house.BREAD, 3, random.Random(5), house.ANSWERS[:3])
    told = "Three steps to follow tonight are what was asked for. Many causes help nobody; baking powder is wrong."
    lines = [json.dumps({"id": "s91", "reason": told, "ranks": [1, 2, 3]})]
    work = importing.parse(
        [json.dumps(each).encode() for each in (row, house.samples(92, "?", 2, random.Random(6)))], ""
    )
    source = importing.Source(work=tuple(work), meant=meant.parse(lines, ""))
    importing.put(one.database, "practice", source, Plan(shared=0), "1", None)
    page = entered(browser, one, "aiko", viewport={"width": 1280, "height": 800})
    page.locator(".next button, .next a.button").first.click()
    page.wait_for_selector("body[data-ready]")
    press(page, "n", *(key for rating in "654" for key in ("j", rating, "n")), "g", "k", "k", "k", "j")
    press(page, "1", "j", "2", "j", "2", "Control+Enter")
    page.wait_for_url("**/practice/**")
    kept(page, directory, "practice")
    page.context.close()


def lead(browser: Any, one: House, directory: Path) -> None:
    page = entered(browser, one, "ines", viewport={"width": 1280, "height": 860})
    for leaf in ("quality", "models"):
        page.goto(f"{one.url}/lead/batches/spring-rankings/{leaf}")
        page.wait_for_selector("body:not(:has([data-again]))")
        for each in page.locator("main details").all()[:1]:
            each.evaluate("one => one.open = true")
        kept(page, directory, leaf)
    page.context.close()


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/labeling"))
