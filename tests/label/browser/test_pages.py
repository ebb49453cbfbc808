"""The whole app in a browser: pages are accessible, a labeler comes in and works, nothing hostile or secret shows."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scripts import house as furnished
from scripts.house import PASSWORD, House
from sqlalchemy import select, update

from assent.label import accounts
from assent.label.planning import Plan
from assent.label.store import exporting, guidelines
from assent.label.store.tables import batch, slot
from tests.label.browser.conftest import watched
from tests.label.browser.hands import press, serious

PAGES = {
    "": ("/sign-in", "/invite/unknown-and-too-short"),
    "mira": ("/tasks", "/history", "/guidelines", "/guidelines/1", "/account", "/nowhere"),
    "ines": (
        "/lead",
        "/lead/batches/new",
        "/lead/batches/spring-rankings",
        "/lead/batches/spring-rankings/quality",
        "/lead/batches/spring-rankings/models",
        "/lead/adjudication",
        "/lead/items/3",
        "/lead/items/41",  # a known answer
        "/lead/guidelines",
    ),
    "omar": ("/admin", "/admin/keys", "/admin/webhooks", "/admin/audit"),
}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with furnished.opened(tmp_path_factory.mktemp("house")) as one:
        yield one


def entered(chromium: Any, house: House, name: str, **options: Any) -> Any:
    """A page of somebody who has signed in; without a name, of nobody."""
    page = chromium.new_context(bypass_csp=False, **options).new_page()
    if name:
        page.goto(house.url + "/sign-in")
        page.get_by_label("Name").fill(name)
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(lambda url: "/sign-in" not in url)
    return page


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_accessible_and_keep_to_the_policy(chromium: Any, house: House, name: str, scheme: str) -> None:
    page = entered(chromium, house, name, color_scheme=scheme)
    troubles = watched(page)
    for path in PAGES[name]:
        page.goto(house.url + path)
        page.wait_for_selector("body:not(:has([data-again]))")  # numbers are worked out beside the server
        for each in page.locator("main details").all():
            each.evaluate("one => one.open = true")
        assert serious(page) == [], path
        page.set_viewport_size({"width": 360, "height": 740})
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
        page.set_viewport_size({"width": 1280, "height": 800})
    page.context.close()
    assert troubles == []


@pytest.mark.parametrize("width", [1440, 360])
def test_the_desks_are_accessible_in_every_state(chromium: Any, house: House, width: int) -> None:
    name = f"desk-{width}"
    person = furnished.join(house.database, name, "labeler")
    rows = [furnished.samples(700 + width, "What should I read next?", 5, random.Random(width))]
    furnished.put(house.database, name, rows, Plan(shared=0), 1)
    with house.database.write() as connection:  # whatever else there is to do, this labeler gets this task
        made = select(batch.c.id).where(batch.c.name == name).scalar_subquery()
        connection.execute(update(slot).where(slot.c.batch == made).values(priority=-9.0, reserved=person.id))
    page = entered(chromium, house, name, viewport={"width": width, "height": 800})
    page.get_by_role("button", name="Next task").or_(page.get_by_role("link", name="Go on")).click()
    page.wait_for_selector("body[data-ready]")
    assert serious(page) == []
    press(page, "?")
    assert serious(page) == []
    press(page, "Escape", "n")
    count = page.locator(".card").count()
    for _ in range(count):
        press(page, "j", "4", "n", "p")
    press(page, "g", "1", "k", "1")
    page.locator("#ladder .token").first.click()  # picked up: every tier and every gap can be chosen
    assert serious(page) == []
    press(page, "Escape", "d")
    page.locator("#comparing[open]").wait_for()
    assert serious(page) == []
    press(page, "Escape")
    page.locator("#skip-open").click()
    assert serious(page) == []
    page.context.close()


def test_from_an_invitation_to_a_record(chromium: Any, house: House) -> None:
    lead = entered(chromium, house, "ines")
    lead.get_by_role("button", name="Make a link").click()
    link = lead.locator("code.copy").inner_text()
    page = chromium.new_context().new_page()
    troubles = watched(page)
    page.goto(link)
    page.get_by_label("Name").fill("kemal")
    page.get_by_label("Password").fill("kemal kemal kemal")
    page.get_by_role("button", name="Join").click()
    assert "easily guessed" in page.get_by_role("alert").inner_text()
    page.get_by_label("Password").fill("four blue lamps sing")
    page.get_by_role("button", name="Join").click()
    page.wait_for_url("**/tasks")
    furnished.put(house.database, "last", [furnished.samples(500, "And now?", 3, random.Random(1))], Plan(shared=0), 1)
    batch, note = ranked_all_tied(page, house)
    page.goto(house.url + "/history")
    page.locator(".list a").first.click()
    page.wait_for_selector("body[data-ready]")
    page.get_by_label("Note", exact=False).first.fill(note)
    page.get_by_role("button", name="Send the revision").click()
    page.wait_for_function("() => document.getElementById('state').textContent === 'Your revision is kept'")
    with house.database.read() as connection:
        files = exporting.export(connection, batch, furnished.SECRET).files
    rows = [json.loads(line) for line in files["answers.jsonl"].splitlines()]
    assert any(note in json.dumps(row) for row in rows)
    assert any(set(json.loads(line)["ranks"]) == {1} for line in files["rankings.jsonl"].splitlines())
    second = chromium.new_context().new_page()
    assert second.goto(link).status == 404  # an invitation works once
    for one in (lead, page, second):
        one.context.close()
    assert troubles == []


def ranked_all_tied(page: Any, house: House) -> tuple[str, str]:
    """Skip tasks until one is to be ranked; all its outputs in one tier. Returns its batch and a note to look for."""
    for _ in range(20):
        page.goto(house.url + "/tasks")
        page.get_by_role("button", name="Next task").or_(page.get_by_role("link", name="Go on")).click()
        page.wait_for_selector("body[data-ready]")
        assert "policy-" not in page.content()
        if page.locator("article.card").count():
            break
        page.locator("#skip-open").click()
        page.locator("#skip [value=other]").check()
        before = page.url
        page.locator("#skip button[value=skip]").click()
        page.wait_for_url(lambda url, before=before: url != before)
    press(page, "n")
    count = page.locator(".card").count()
    for _ in range(count):
        press(page, "j", "5", "n")
    press(page, "g")
    for _ in range(count):
        press(page, "1", "k")
    identity = page.url.rsplit("/", 1)[1]
    press(page, "Control+Enter")
    page.wait_for_url(lambda url: identity not in url)
    with house.database.read() as connection:
        from sqlalchemy import select

        from assent.label.store.tables import batch, view

        name = connection.execute(
            select(batch.c.name).join(view, view.c.batch == batch.c.id).where(view.c.id == identity)
        ).scalar_one()
    return name, "a note that nobody else writes"


def test_what_a_labeler_gets_never_names_a_policy(chromium: Any, house: House) -> None:
    page = entered(chromium, house, "aiko")
    bodies: list[str] = []
    page.on("response", lambda answer: bodies.append(f"{answer.url} {answer.headers} {answer.text()}"))
    page.get_by_role("button", name="Next task").or_(page.get_by_role("link", name="Go on")).click()
    page.wait_for_selector("body[data-ready]")
    press(page, "n")
    page.wait_for_function("() => document.getElementById('state').textContent === 'Saved'")
    page.goto(house.url + "/history")
    assert len(bodies) > 10
    assert not [body[:80] for body in bodies if "policy-" in body]
    page.context.close()


def test_hostile_names_and_texts_are_only_text(chromium: Any, house: House) -> None:
    name = '"><img src=x onerror=document.title=1>'
    with house.database.write() as connection:
        accounts.join(connection, accounts.make_invite(connection, "labeler", "train", None), name, PASSWORD)
    hostile = json.loads((Path(__file__).parent / "hostile.json").read_text())
    words = "\n\n".join(one["text"].encode(errors="replace").decode().replace("\0", "") for one in hostile)
    guidelines.add(house.database, "hostile", words, None)
    page = entered(chromium, house, "omar")
    troubles = watched(page)
    outside: list[str] = []
    page.on("request", lambda request: request.url.startswith(house.url) or outside.append(request.url))
    for path in ("/admin", "/admin/audit", "/guidelines/hostile"):
        page.goto(house.url + path)
        assert "Assent" in page.title()
        assert page.locator("img, iframe, object, embed, main script, base, main form[action*=evil]").count() == 0
    page.goto(house.url + "/admin")
    assert name in page.inner_text("main")
    page.context.close()
    labeler = entered(chromium, house, name)
    assert name in labeler.inner_text("main")
    labeler.context.close()
    assert outside == []
    assert troubles == []


def test_signing_in_goes_nowhere_else(chromium: Any, house: House) -> None:
    page = chromium.new_context().new_page()
    for elsewhere in ("//evil.example", "https://evil.example/", "/\\evil.example"):
        page.goto(house.url + "/sign-in?next=" + elsewhere)
        assert page.locator("[name=next]").get_attribute("value") == "/"
    page.goto(house.url + "/history")
    page.get_by_label("Name").fill("mira")
    page.get_by_label("Password", exact=True).fill("not the password")
    page.get_by_role("button", name="Sign in").click()
    assert "wrong" in page.get_by_role("alert").inner_text()
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/history")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in**")
    page.go_back()
    page.reload()
    assert "/sign-in" in page.url
    page.context.close()


def test_a_lead_imports_plans_and_freezes(chromium: Any, house: House, tmp_path: Path) -> None:
    page = entered(chromium, house, "ines")
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(house.url + "/lead/batches/new")
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"kind": "prompt"}\n')
    page.get_by_label("Name").fill("small")
    page.get_by_label("Files of records").set_input_files(bad)
    page.get_by_role("button", name="Import and open").click()
    assert "line 1" in page.get_by_role("alert").inner_text()
    good = tmp_path / "good.jsonl"
    good.write_text(
        "".join(json.dumps(furnished.prompt(n, f"Say {n}.") | {"kind": "prompt", "schema": 1}) + "\n" for n in range(3))
    )
    page.get_by_label("Files of records").set_input_files(good)
    page.get_by_label("Shared items, %").fill("0")
    page.get_by_role("button", name="Import and open").click()
    page.wait_for_url("**/lead/batches/small")
    assert "0 of 3" in page.inner_text("main")
    with page.expect_download() as download:
        page.get_by_role("link", name="manifest.json").click()
    assert json.loads(download.value.path().read_text())["batch"] == "small"
    page.get_by_role("button", name="Freeze this batch").click()
    page.wait_for_selector(".badge:has-text('frozen')")
    page.context.close()
