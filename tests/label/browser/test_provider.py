"""Signing in at a provider, in a browser: by an invitation first, then by one button."""

from collections.abc import Iterator
from typing import Any

import pytest
from scripts import house as furnished
from scripts.house import House

from assent.label import accounts
from assent.label.settings import Provider as Known
from tests.label import provider as foreign
from tests.label.browser.conftest import watched
from tests.label.browser.hands import serious


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    provider = foreign.Provider()
    secret = foreign.SECRET.encode()
    known = Known(issuer=provider.issuer, client=foreign.CLIENT, secret=secret, name="Quay & Co")
    with furnished.opened(tmp_path_factory.mktemp("provider"), oidc=known) as one:
        yield one
    provider.close()


def test_an_invitation_and_then_one_button(chromium: Any, house: House) -> None:
    token = house.database.transact(lambda connection: accounts.make_invite(connection, "labeler", "train", None))
    page = chromium.new_context().new_page()
    troubles = watched(page)
    page.goto(f"{house.url}/invite/{token}")
    assert serious(page) == []
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.locator("#other-name").fill("Grace")
    page.get_by_role("button", name="Join with Quay & Co").click()
    page.get_by_role("link", name="Sign in with Quay & Co").wait_for()
    assert serious(page) == []
    page.get_by_role("link", name="Sign in with Quay & Co").click()
    page.wait_for_url("**/tasks")
    assert "Grace" in page.inner_text("header")
    page.goto(house.url + "/account")
    assert "You sign in with Quay & Co." in page.inner_text("main")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in**")
    page.goto(house.url + "/history")  # and back to where one was going
    page.wait_for_url("**/sign-in?next=/history")
    assert serious(page) == []
    page.get_by_role("link", name="Sign in with Quay & Co").click()
    page.wait_for_url("**/history")
    assert "Grace" in page.inner_text("header")
    page.context.close()
    assert troubles == []
