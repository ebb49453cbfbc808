"""Signing in at a provider: whoever is invited or known comes in, and nothing that a provider or a thief makes up."""

import base64
import hmac
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from fastapi.testclient import TestClient
from joserfc.jwk import RSAKey
from sqlalchemy import select, update

from assent.label import access, identities
from assent.label.oidc import Client
from assent.label.settings import Provider as Known
from assent.label.settings import Settings, SettingsError, oidc_secret
from assent.label.store import tables
from assent.label.store.doors import begun, identity
from tests.label import provider as foreign
from tests.label.provider import CLIENT, Provider
from tests.label.web import PASSWORD, SECRET, Site


@pytest.fixture(scope="module")
def running() -> Iterator[Provider]:
    made = Provider()
    yield made
    made.close()


@pytest.fixture
def provider(running: Provider) -> Provider:
    """Honest, until a test says otherwise."""
    running.__dict__.update(claims={}, header={}, metadata={}, extra={}, status=200, subject="subject-1", asked=[])
    running.key = running.published
    running.__dict__.pop("forged", None)
    return running


@pytest.fixture
def site(folder: Path, provider: Provider) -> Iterator[Site]:
    known = Known(issuer=provider.issuer, client=CLIENT, secret=foreign.SECRET.encode(), name="Quay")
    made = Site.at(folder, oidc=known)
    yield made
    made.close()


def gone(client: TestClient, path: str = "/sign-in/provider") -> str:
    """Where the provider sends somebody back to who leaves by a path."""
    answer = client.get(path)
    assert answer.status_code == 303, answer.text
    return httpx.get(answer.headers["location"]).headers["location"]


def back(client: TestClient, where: str) -> Any:
    """Back at the server, as a browser comes from another site."""
    return client.get(where, headers={"Sec-Fetch-Site": "cross-site", "Origin": ""})


def joined(site: Site, name: str = "Ada", role: str = "labeler", language: str = "") -> TestClient:
    client = site.client()
    page = client.post(f"/invite/{site.invite(role)}/provider", data={"name": name, "language": language})
    assert page.status_code == 200
    where = page.text.partition('href="http')[2].partition('"')[0].replace("&amp;", "&")
    answer = back(client, httpx.get("http" + where).headers["location"])
    assert (answer.status_code, answer.headers["location"]) == (303, "/"), answer.text
    return client


def refused(answer: Any, status: int, sentence: str) -> None:
    assert (answer.status_code, sentence.lower() in answer.text.lower()) == (status, True), answer.text
    assert "__Host-sid" not in answer.cookies


# -- those who may come ----------------------------------------------------------------------------------------------


def test_an_invitation_links_and_from_then_on_the_provider_is_enough(site: Site, provider: Provider) -> None:
    client = joined(site, language="de")
    assert client.get("/session").json() == {"name": "Ada", "role": "labeler", "team": "train"}  # not an admin
    other = site.client()
    assert "Sign in with Quay" in other.get("/sign-in").text
    answer = back(other, gone(other, "/sign-in/provider?next=/history"))
    assert answer.headers["location"] == "/history"
    assert other.get("/session").json()["name"] == "Ada"
    cookie = next(one for one in answer.headers.get_list("set-cookie") if "__Host-sid=" in one).lower()
    assert all(part in cookie for part in ("secure", "httponly", "samesite=lax", "path=/"))
    asked = provider.asked[-1]
    assert (asked["scope"], asked["response_type"], asked["code_challenge_method"]) == ("openid", "code", "S256")
    with site.database.read() as connection:
        row = connection.execute(select(tables.person)).one()
        log = [(one.action, one.detail) for one in connection.execute(select(tables.audit))]
    assert (row.password, row.language) == (None, "de")
    assert ("linked", json.dumps({"issuer": provider.issuer})) in log
    assert accounts_by_password(site, "Ada") == 401


def accounts_by_password(site: Site, name: str) -> int:
    return site.client().post("/session", json={"name": name, "password": PASSWORD}).status_code


def test_whoever_has_a_password_links_from_their_account(site: Site) -> None:
    client = site.person("lead", "Lena")
    assert "Sign in with Quay from now on" in client.get("/account").text
    assert all(f'action="/account/{one}"' in client.get("/account").text for one in ("password", "code"))
    assert back(client, gone(client, "/account/provider")).headers["location"] == "/account"
    assert "You sign in with Quay." in client.get("/account").text
    other = site.client()
    back(other, gone(other))
    assert other.get("/session").json()["name"] == "Lena"
    assert accounts_by_password(site, "Lena") == 200


def test_nobody_comes_in_by_name_or_address(site: Site) -> None:
    """The provider says "Ada", ada@example.org and "admin"; there is an Ada, and it is somebody else."""
    site.person("admin", "Ada")
    client = site.client()
    refused(back(client, gone(client)), 403, "nobody is known here by this sign-in")
    with site.database.read() as connection:
        assert connection.execute(select(identity)).all() == []


def test_who_is_disabled_or_deleted_does_not_come_in(site: Site) -> None:
    joined(site)
    boss = site.person("admin", "Root")
    number = next(one["id"] for one in boss.get("/manage/people").json() if one["name"] == "Ada")
    boss.post(f"/manage/people/{number}", json={"state": "disabled"})
    client = site.client()
    refused(back(client, gone(client)), 403, "This account is disabled")
    boss.post(f"/manage/people/{number}", json={"state": "deleted"})
    refused(back(client, gone(client)), 403, "nobody is known here")
    with site.database.read() as connection:
        assert connection.execute(select(identity)).all() == []


def test_one_subject_has_one_account(site: Site, provider: Provider) -> None:
    joined(site)
    client = site.client()
    page = client.post(f"/invite/{site.invite()}/provider", data={"name": "Second"})
    where = page.text.partition('href="http')[2].partition('"')[0].replace("&amp;", "&")
    refused(back(client, httpx.get("http" + where).headers["location"]), 409, "you have an account here already")
    lead = site.person("lead", "Lena")
    refused(back(lead, gone(lead, "/account/provider")), 409, "you have an account here already")
    provider.subject = "subject-2"
    assert joined(site, "Second").get("/session").json()["name"] == "Second"


def test_an_invitation_and_a_name_are_checked_before_one_leaves(site: Site) -> None:
    client = site.client()
    assert client.post("/invite/unknown/provider", data={"name": "Ada"}).status_code == 404
    assert client.post(f"/invite/{site.invite()}/provider", data={"name": "x"}).status_code == 422
    assert "Or without a password" in client.get(f"/invite/{site.invite()}").text


def test_without_a_password_the_provider_is_the_second_factor(folder: Path, site: Site, provider: Provider) -> None:
    """Where authenticators are asked for, and nowhere is a password to be found that is none."""
    client = joined(site, "Lena", "lead")
    site.close()
    known = Known(issuer=provider.issuer, client=CLIENT, secret=foreign.SECRET.encode())
    strict = Site.at(folder, oidc=known, codes=True)
    again = strict.client(Cookie="; ".join(f"{name}={value}" for name, value in client.cookies.items()))
    assert again.get("/lead").status_code == 200
    assert not any(f'action="/account/{one}"' in again.get("/account").text for one in ("password", "code"))
    answer = again.post("/session/password", json={"old": "x", "new": "another heron, another wharf"})
    assert answer.status_code == 401
    assert again.post("/session/code").status_code == 200
    answer = again.post("/session/password", json={"old": "x", "new": "another heron, another wharf"})
    assert answer.status_code == 401
    strict.close()


# -- what must not be believed -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claims", "sentence"),
    [
        ({"nonce": "another"}, "not for this server or not yours (nonce)"),
        ({"nonce": None}, "not for this server or not yours (nonce)"),
        ({"aud": "another-client"}, "not for this server or not yours (aud)"),
        ({"aud": ["assent", "another"], "azp": "another"}, "not for this server or not yours (azp)"),
        ({"iss": "https://evil.example"}, "not for this server or not yours (iss)"),
        ({"exp": int(time.time()) - 3600, "iat": int(time.time()) - 7200}, "too old"),
        ({"exp": None}, "not for this server or not yours (exp)"),
        ({"iat": int(time.time()) + 3600}, "begin again"),
        ({"sub": ""}, "does not say who you are"),
        ({"sub": "x" * 256}, "does not say who you are"),
        ({"sub": None}, "(sub)"),
    ],
)
def test_a_token_that_is_not_right_in_everything(
    site: Site, provider: Provider, claims: dict[str, Any], sentence: str
) -> None:
    joined(site)
    client = site.client()
    provider.claims = claims
    refused(back(client, gone(client)), 403, sentence)
    provider.claims = {}
    assert back(client, gone(client)).status_code == 303


def unsigned(token: str, algorithm: str = "none") -> str:
    head = base64.urlsafe_b64encode(json.dumps({"alg": algorithm, "kid": "one"}).encode()).decode().rstrip("=")
    return f"{head}.{token.split('.')[1]}."


@pytest.mark.parametrize("how", ["key", "kid", "none", "cut", "nothing"])
def test_a_token_that_the_provider_did_not_sign(site: Site, provider: Provider, how: str) -> None:
    joined(site)
    client = site.client()
    if how in ("key", "kid"):
        provider.key = RSAKey.generate_key(2048, {"kid": "one"})
        provider.header = {"kid": "two"} if how == "kid" else {}
    else:
        lies: dict[str, Any] = {"none": unsigned, "cut": lambda token: token[:-9], "nothing": lambda _: ""}
        provider.__dict__["forged"] = lies[how]
    refused(back(client, gone(client)), 403, "egin again")


def test_a_public_key_is_no_shared_secret(site: Site, provider: Provider) -> None:
    """Signed with the published key as if it were a secret (HS256 for RS256), though the provider lists HS256."""
    joined(site)
    client = site.client()

    def forged(token: str) -> str:
        head = base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "kid": "one"}).encode()).decode().rstrip("=")
        text = f"{head}.{token.split('.')[1]}"
        digest = hmac.digest(provider.published.as_pem(private=False), text.encode(), "sha256")
        return f"{text}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"

    provider.__dict__["forged"] = forged
    refused(back(client, gone(client)), 403, "begin again")


def test_a_state_comes_back_once_to_the_browser_that_left_and_soon(site: Site) -> None:
    joined(site)
    client, thief = site.client(), site.client()
    where = gone(client)
    refused(back(thief, where), 400, "was begun elsewhere")  # somebody else's link, with a code of theirs
    kept = client.cookies["__Host-provider"]
    assert back(client, where).status_code == 303
    client.cookies.set("__Host-provider", kept, domain="testserver.local")
    refused(back(site.client(Cookie=f"__Host-provider={kept}"), where), 400, "is over")
    other = gone(client)
    refused(back(client, other.replace("state=", "state=x")), 400, "begin again")
    refused(back(client, "/sign-in/provider/back"), 400, "begin again")
    late = gone(client)
    with site.database.write() as connection:
        connection.execute(update(begun).values(created=begun.c.created - identities.SECONDS - 1))
    refused(back(client, late), 400, "too long ago")


def test_a_code_of_another_sign_in_is_refused(site: Site) -> None:
    """Of two sign-ins that somebody began, the code of one does not fit the other: the verifier differs (PKCE)."""
    joined(site)
    client, thief = site.client(), site.client()
    stolen = parse_qs(urlsplit(gone(client)).query)["code"][0]
    mine = gone(thief)
    code = parse_qs(urlsplit(mine).query)["code"][0]
    refused(back(thief, mine.replace(code, stolen)), 502, "cannot be asked")


@pytest.mark.parametrize(
    ("extra", "sentence"),
    [
        ({"iss": "https://evil.example"}, "comes from another provider"),
        ({"iss": ""}, "comes from another provider"),  # it says that it names itself, and has not
        ({"error": "access_denied"}, "did not let you sign in"),
        ({"error": "<script>alert(1)</script>"}, "did not let you sign in"),
    ],
)
def test_an_answer_of_another_issuer_or_a_refusal(
    site: Site, provider: Provider, extra: dict[str, str], sentence: str
) -> None:
    client = site.client()
    provider.extra = extra
    answer = back(client, gone(client))
    refused(answer, 403, sentence)
    assert "script>alert" not in answer.text


def test_new_keys_of_the_provider_are_found(site: Site, provider: Provider) -> None:
    joined(site)
    old = provider.published
    provider.published = provider.key = RSAKey.generate_key(2048, {"kid": "new", "use": "sig", "alg": "RS256"})
    provider.header = {"kid": "new"}
    client = site.client()
    assert back(client, gone(client)).status_code == 303
    provider.published = old


# -- the provider itself -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metadata", "sentence"),
    [
        ({"issuer": "https://evil.example"}, "describes itself as another one"),
        ({"token_endpoint": "http://evil.example/token"}, "without https"),
        ({"jwks_uri": ""}, "without https"),
    ],
)
def test_a_provider_that_is_another_one(
    site: Site, provider: Provider, metadata: dict[str, Any], sentence: str
) -> None:
    provider.metadata = metadata
    refused(site.client().get("/sign-in/provider"), 502, sentence)


def test_a_provider_that_fails_is_said_and_passwords_go_on(site: Site, provider: Provider) -> None:
    site.person("labeler", "Ada")
    client = site.client()
    where = gone(client)
    provider.status = 500
    refused(back(client, where), 502, "cannot be asked just now")
    assert accounts_by_password(site, "Ada") == 200


def test_every_route_of_it_lets_in_exactly_its_roles(site: Site) -> None:
    """The table of access covers these too, and only where they are."""
    names = [name for name in access.routes(site.app) if "provider" in name]
    assert len(names) == 4
    assert site.client().get("/account/provider").status_code == 303
    assert site.client().get("/account/provider").headers["location"].startswith("/sign-in?next=")
    elsewhere = site.client().post("/invite/x/provider", data={"name": "A"}, headers={"Origin": "https://e"})
    assert elsewhere.status_code == 403


def test_without_a_provider_there_is_no_button_and_no_route(folder: Path) -> None:
    plain = Site.at(folder)
    client = plain.person("labeler", "Ada")
    assert not [name for name in access.routes(plain.app) if "provider" in name]
    assert plain.client().get("/sign-in/provider").status_code == 404
    for path in ("/sign-in", f"/invite/{plain.invite()}"):
        assert "provider" not in plain.client().get(path).text
    assert "provider" not in client.get("/account").text
    plain.close()


def test_a_provider_is_set_up_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for issuer, client, secret in (("http://x.org", "a", b"b"), ("https://x", "", b"b"), ("https://x", "a", b"")):
        with pytest.raises(SettingsError, match="oidc"):
            Known(issuer=issuer, client=client, secret=secret)
    one = Known(issuer="https://id.example.org", client="a", secret=b"hush hush")
    assert "hush" not in repr(Settings(database="sqlite:///x", secret=SECRET, oidc=one))
    assert oidc_secret(tmp_path) == b""
    (tmp_path / "oidc-secret").write_text("word\n")
    (tmp_path / "oidc-secret").chmod(0o644)
    with pytest.raises(SettingsError, match="chmod 600"):
        oidc_secret(tmp_path)
    (tmp_path / "oidc-secret").chmod(0o600)
    assert oidc_secret(tmp_path) == b"word"
    monkeypatch.setenv("ASSENT_LABEL_OIDC_SECRET", "other")
    assert oidc_secret(tmp_path) == b"other"


def test_without_authlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "authlib.oidc.core", None)
    with pytest.raises(SettingsError, match=r"pip install 'assent\[oidc\]'"):
        Client(Known(issuer="https://id.example.org", client="a", secret=b"b"), SECRET)
