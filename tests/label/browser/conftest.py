"""A real Chromium, once a session; without one the tests of this room are skipped and say so."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tests.label.browser.fake import Fake

BROWSERS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A browser that is started once; each test opens a context of its own."""
    found = next((path for path in map(shutil.which, BROWSERS) if path), None)
    if found is None:
        pytest.skip(f"no Chromium found (looked for {', '.join(BROWSERS)}); `apt-get install chromium` brings one")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=SWITCHES)
        fresh = browser.new_context

        def patient(**options: Any) -> Any:
            context = fresh(**{"locale": "en-US", **options})  # the pages speak the language that a browser asks for
            context.set_default_timeout(120_000)  # a busy machine is no fault of the pages
            return context

        browser.new_context = patient
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def running() -> Iterator[Fake]:
    """The labeler's routes in memory, on a port of their own."""
    made = Fake()
    yield made
    made.stop()


@pytest.fixture
def fake(running: Fake) -> Fake:
    """The same, empty."""
    running.reset()
    return running


@pytest.fixture
def page(chromium: Any) -> Iterator[Any]:
    """A page in which nothing may go wrong unseen: a script's error or a broken policy fails the test."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    troubles = watched(page)
    yield page
    context.close()
    assert troubles == []


def watched(page: Any) -> list[str]:
    """What goes wrong on a page, as it comes: errors of scripts, violations of the policy."""
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda said: "Security Policy" in said.text and troubles.append(said.text))
    return troubles
