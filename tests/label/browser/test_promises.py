"""What is promised of every page, in a browser: names from elsewhere are only text, and passwords can be pasted."""

import random
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from scripts import house as furnished
from scripts.house import House

from assent.label import keys
from assent.label.planning import Plan
from assent.label.store import answers, batches, slots
from tests.label import kit
from tests.label.browser.conftest import watched
from tests.label.browser.test_pages import entered

HOSTILE = "\"><img src=x onerror=document.title=1><script>document.title=1<!-- {{7*7}} javascript:1 'onfocus=1"
WATCH = """
window.violations = [];
document.addEventListener('securitypolicyviolation', event => violations.push(event.violatedDirective));
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with furnished.opened(tmp_path_factory.mktemp("promises")) as one:
        yield one


def hostile(house: House) -> tuple[str, str]:
    """A frozen batch in which every name is hostile, with answers; an open one, with a demonstration to write."""
    boss = furnished.join(house.database, "hedda", "lead")
    names = HOSTILE.replace("/", "∕")[:100], ("open " + HOSTILE.replace("/", "∕"))[:100]
    for name, draw in zip(names, (random.Random(1), random.Random(2)), strict=True):
        rows = [furnished.samples(900 + n, HOSTILE, 3, draw, [HOSTILE + str(k) for k in range(3)]) for n in range(4)]
        for row in rows:
            row |= {"id": f"{HOSTILE}{row['id']}", "source": HOSTILE, "licence": HOSTILE}
            row["responses"] = [{**one, "policy": f"{HOSTILE}{n}"} for n, one in enumerate(row["responses"])]
        furnished.put(house.database, name, rows, Plan(overlap=2, shared=0, gold=0), boss.id)
    with house.database.write() as connection:
        keys.make(connection, HOSTILE, ("status",), None)
    for one in ("kim", HOSTILE[:60]):
        who = furnished.worker(furnished.join(house.database, one, "labeler"))
        for n in range(60):
            identity, _ = slots.claim(house.database, who)
            if identity is None:
                break
            with house.database.read() as connection:
                keyed = [key for key, _ in slots.owned(connection, who, identity).shown]
            if not keyed:  # to write, and not to rank
                answers.skip(house.database, who, identity, f"skip-{n:06}", "other", HOSTILE)
            else:
                document = {**kit.ranking(keyed), "note": HOSTILE}
                answers.submit(house.database, who, identity, f"rank-{n:06}", document)
    batches.freeze(house.database, names[0], boss.id)
    return names


def test_no_name_from_elsewhere_is_more_than_text(chromium: Any, house: House) -> None:
    """Names of models, batches, records, sources, people and keys, on the pages of leads, researchers and admins."""
    names = hostile(house)
    lead = [f"/lead/batches/{quote(name)}{part}" for name in names for part in ("", "/quality", "/models")]
    lead += ["/lead", "/lead/adjudication", "/lead/candidates", "/lead/batches/new"]
    pages = {"ines": lead, "ruth": lead[:8], "omar": ["/admin", "/admin/keys", "/admin/audit"]}
    for who, paths in pages.items():
        page = entered(chromium, house, who)
        page.context.add_init_script(WATCH)
        troubles, outside = watched(page), list[str]()
        page.on("request", lambda asked, seen=outside: asked.url.startswith(house.url) or seen.append(asked.url))
        for path in paths:
            answer = page.goto(house.url + path)
            assert answer.status == 200, path
            page.wait_for_selector("body:not(:has([data-again]))")
            assert "Assent" in page.title(), path
            assert page.locator("img, iframe, object, embed, main script, base, [onerror], [onfocus]").count() == 0
            assert page.evaluate("window.violations") == [], path
            assert "49" not in page.title()
        assert (troubles, outside) == ([], [])
        page.context.close()


def test_hostile_names_are_shown_as_they_are(chromium: Any, house: House) -> None:
    page = entered(chromium, house, "omar")
    page.goto(house.url + "/admin/keys")
    assert page.locator("main").inner_text().count(HOSTILE) == 1
    page.context.close()


def test_a_password_can_be_pasted(chromium: Any, house: House) -> None:
    page = chromium.new_context().new_page()
    page.goto(house.url + "/sign-in")
    for name in ("Name", "Password"):
        kept = page.get_by_label(name, exact=True).evaluate(
            "one => one.dispatchEvent(new ClipboardEvent('paste', {bubbles: true, cancelable: true}))"
        )
        assert kept is True
        assert page.get_by_label(name, exact=True).get_attribute("onpaste") is None
    page.context.close()
