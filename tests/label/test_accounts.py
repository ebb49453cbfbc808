"""Doors: passwords, invites, sessions, throttling, keys, the secret; each promise of the security list on its own."""

import logging
import os
import re
import threading
import time
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Connection, select, update

from assent.label import accounts, codes, throttling
from assent.label.settings import Settings, SettingsError, secret
from assent.label.store import tables
from assent.label.store.database import Database
from assent.label.store.slots import RefusedError
from tests.label import kit
from tests.label.web import ORIGIN, PASSWORD, SECRET, Site


def sign_in(client: TestClient, name: str, password: str = PASSWORD, code: str = "") -> int:
    return client.post("/session", json={"name": name, "password": password, "code": code}).status_code


def joined(database: Database, name: str = "Ada", role: str = "labeler") -> accounts.Person:
    def work(connection: Connection) -> accounts.Person:
        return accounts.join(connection, accounts.make_invite(connection, role, "train", None), name, PASSWORD)

    return database.transact(work)


# -- passwords -----------------------------------------------------------------------------------------------


def test_passwords_are_argon2id_of_at_least_owasps_cost(light: Database) -> None:
    joined(light)
    with light.read() as connection:
        hashed = connection.execute(select(tables.person.c.password)).scalar_one()
    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


def test_a_weaker_hash_is_made_anew_when_its_owner_signs_in(site: Site) -> None:
    from argon2 import PasswordHasher

    weak = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)
    site.person("labeler", "Ada")
    with site.database.write() as connection:
        connection.execute(update(tables.person).values(password=weak))
    assert sign_in(site.client(), "ada") == 200
    with site.database.read() as connection:
        hashed = connection.execute(select(tables.person.c.password)).scalar_one()
    assert "m=19456,t=2" in hashed
    assert sign_in(site.client(), "Ada") == 200


def test_an_unknown_name_takes_as_long_as_a_wrong_password(light: Database) -> None:
    """Within a tenth, in turns, the fastest of thirty; what other processes do to a pair of turns is tried again."""
    joined(light)

    def seconds(name: str) -> float:
        with light.read() as connection:
            start = time.process_time()
            assert accounts.known(connection, name, "wrong password") is None
            return time.process_time() - start

    def apart() -> float:
        turns = [(seconds("Ada"), seconds("Nobody")) for _ in range(30)]
        known, unknown = (min(one) for one in zip(*turns, strict=True))
        assert known > 0.005
        return abs(known - unknown) / known

    seconds("Nobody")
    assert any(apart() < 0.1 for _ in range(3))


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("short words", "at least 12"),
        ("password1234", "easily guessed"),
        ("aaaaaaaaaaaaaaaa", "easily guessed"),
        ("ada lovelace 1815 x", "easily guessed"),
    ],
)
def test_passwords_that_are_guessed_are_refused(light: Database, password: str, why: str) -> None:
    def work(connection: Connection) -> accounts.Person:
        token = accounts.make_invite(connection, "labeler", "train", None)
        return accounts.join(connection, token, "Ada Lovelace", password)

    with pytest.raises(RefusedError, match=why):
        light.transact(work)


def test_there_are_no_rules_of_composition(light: Database) -> None:
    assert joined(light).name == "Ada"  # lower case letters and spaces


# -- throttling ----------------------------------------------------------------------------------------------


def test_too_many_wrong_passwords_wait_and_nobody_is_locked_out(site: Site) -> None:
    site.person("labeler", "Ada")
    client = site.client()
    said = [sign_in(client, "Ada", "wrong password") for _ in range(throttling.ACCOUNT_TRIES + 1)]
    assert said == [401] * throttling.ACCOUNT_TRIES + [429]
    answer = client.post("/session", json={"name": "Ada", "password": PASSWORD})
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= throttling.WINDOW_SECONDS + 1
    with site.database.write() as connection:
        connection.execute(update(tables.attempt).values(at=tables.attempt.c.at - throttling.WINDOW_SECONDS))
    assert sign_in(client, "Ada") == 200


def test_an_address_that_tries_many_names_waits_too(site: Site) -> None:
    site.person("labeler", "Ada")
    client = site.client()
    for n in range(throttling.ADDRESS_TRIES):
        assert sign_in(client, f"name {n}", "x") == 401
    assert sign_in(client, "Ada") == 429
    with site.database.write() as connection:
        assert throttling.begin(connection, "Ada", "203.0.113.10")[1] == 0


def test_right_passwords_never_count(site: Site) -> None:
    site.person("labeler", "Ada")
    client = site.client()
    assert [sign_in(client, "Ada") for _ in range(throttling.ACCOUNT_TRIES + 2)] == [200] * 10


def test_guesses_at_once_are_no_more_than_guesses_in_turn(database: Database) -> None:
    """Also in other spellings of the name; a guess that is not looked at yet counts."""
    allowed: list[int] = []

    def guess(name: str) -> None:
        number, _ = database.transact(lambda connection: throttling.begin(connection, name, "203.0.113.9"))
        allowed.append(number)

    guesses = [threading.Thread(target=guess, args=(f"ADA{' ' * n}Lovelace ",)) for n in range(1, 31)]
    for one in guesses:
        one.start()
    for one in guesses:
        one.join()
    assert len([one for one in allowed if one]) == throttling.ACCOUNT_TRIES


def test_a_name_is_known_in_small_letters_too(database: Database) -> None:
    joined(database, "Ärzte Ohne")
    with database.read() as connection:
        assert accounts.known(connection, " Ärzte  Ohne ", PASSWORD) is not None
        if database.sqlite:  # PostgreSQL knows as many capitals as its locale
            assert accounts.known(connection, "ärzte ohne", PASSWORD) is not None
            assert accounts.known(connection, "ÄRZTE OHNE", PASSWORD) is not None


# -- invites -------------------------------------------------------------------------------------------------


def test_an_invite_is_used_once_and_kept_as_a_hash(site: Site) -> None:
    token = site.invite()
    with site.database.read() as connection:
        assert token.encode() not in connection.execute(select(tables.invite.c.hash)).scalar_one()
    given = {"token": token, "name": "Ada", "password": PASSWORD}
    assert site.client().post("/session/invite", json=given).status_code == 200
    again = site.client().post("/session/invite", json={**given, "name": "Eve"})
    assert again.status_code == 404
    assert "ask for a new one" in again.json()["detail"]


def test_an_invite_lasts_72_hours(site: Site) -> None:
    token = site.invite()
    with site.database.write() as connection:
        connection.execute(update(tables.invite).values(expires=tables.invite.c.expires - 72 * 3600 - 1))
    given = {"token": token, "name": "Ada", "password": PASSWORD}
    assert site.client().post("/session/invite", json=given).status_code == 404


def test_an_invite_whose_use_fails_can_be_used_again(site: Site) -> None:
    token = site.invite()
    client = site.client()
    assert client.post("/session/invite", json={"token": token, "name": "Ada", "password": "x"}).status_code == 422
    assert client.post("/session/invite", json={"token": token, "name": "Ada", "password": PASSWORD}).status_code == 200


def test_a_lead_invites_labelers_only(site: Site) -> None:
    lead = site.person("lead", "Lena")
    assert lead.post("/manage/invites", json={"role": "labeler"}).status_code == 200
    assert lead.post("/manage/invites", json={"role": "admin"}).status_code == 403


# -- sessions ------------------------------------------------------------------------------------------------


def test_the_cookie_is_bound_to_host_and_https(site: Site) -> None:
    given = {"token": site.invite(), "name": "Ada", "password": PASSWORD}
    header = site.client().post("/session/invite", json=given).headers["set-cookie"]
    name, *rest = [part.strip() for part in header.split(";")]
    assert name.startswith("__Host-sid=")
    assert {part.lower() for part in rest} >= {"secure", "httponly", "samesite=lax", "path=/"}
    assert "domain" not in header.lower()
    token = name.partition("=")[2]
    with site.database.read() as connection:
        assert token.encode() not in connection.execute(select(tables.session.c.hash)).scalar_one()


def test_signing_in_makes_a_new_session_and_ends_the_old_one(site: Site) -> None:
    client = site.person("labeler", "Ada")
    before = client.cookies["__Host-sid"]
    assert sign_in(client, "Ada") == 200
    assert client.cookies["__Host-sid"] != before
    assert site.client(Cookie=f"__Host-sid={before}").get("/session").status_code == 401


@pytest.mark.parametrize("what", ["idle", "old"])
def test_sessions_end_by_themselves(site: Site, what: str) -> None:
    client = site.person("labeler", "Ada")
    column = tables.session.c.seen if what == "idle" else tables.session.c.created
    age = accounts.IDLE_SECONDS if what == "idle" else accounts.SESSION_SECONDS
    with site.database.write() as connection:
        connection.execute(update(tables.session).values({column.name: column - age - 1}))
    assert client.get("/session").status_code == 401


def test_a_session_that_ends_loses_no_draft(site: Site) -> None:
    from tests.label import kit

    kit.batch(site.database, kit.items(1, 1))
    client = site.person("labeler", "Ada")
    task = client.post("/work/claim", json={}).json()["task"]
    url = f"/work/{task['slot']}/draft"
    assert client.put(url, json={"document": {"note": "half a thought"}, "version": 0}).status_code == 200
    with site.database.write() as connection:
        connection.execute(tables.session.delete())
    assert client.put(url, json={"document": {"note": "more"}, "version": 1}).status_code == 401
    assert sign_in(client, "Ada") == 200
    assert client.put(url, json={"document": {"note": "more"}, "version": 1}).json() == {"version": 2}
    assert client.get(f"/work/{task['slot']}").json()["draft"] == {"note": "more"}


@pytest.mark.parametrize("how", ["sign out", "password", "disable", "delete", "role"])
def test_sessions_end_at_once(site: Site, how: str) -> None:
    client = site.person("labeler", "Ada")
    other = site.client()
    assert sign_in(other, "Ada") == 200
    admin = site.person("admin", "Root")
    number = next(one["id"] for one in admin.get("/manage/people").json() if one["name"] == "Ada")
    if how == "sign out":
        token = client.cookies["__Host-sid"]
        assert client.delete("/session").status_code == 204
        assert site.client(Cookie=f"__Host-sid={token}").get("/session").status_code == 401
        return
    if how == "password":
        given = {"old": PASSWORD, "new": "another heron, another wharf"}
        assert client.post("/session/password", json=given).status_code == 204
    else:
        change = {"role": "lead"} if how == "role" else {"state": f"{how}d"}
        assert admin.post(f"/manage/people/{number}", json=change).status_code == 204
    assert client.get("/session").status_code == 401
    assert other.get("/session").status_code == 401
    if how in ("disable", "delete"):
        assert sign_in(site.client(), "Ada") == 401


def test_the_last_admin_stays(site: Site) -> None:
    admin = site.person("admin", "Root")
    number = admin.get("/manage/people").json()[0]["id"]
    assert admin.post(f"/manage/people/{number}", json={"state": "disabled"}).status_code == 409


def test_who_is_deleted_leaves_judgments_and_no_name(site: Site) -> None:
    site.person("labeler", "Ada")
    admin = site.person("admin", "Root")
    before = next(one for one in admin.get("/manage/people").json() if one["name"] == "Ada")
    with site.database.read() as connection:
        uid = connection.execute(select(tables.person.c.uid).where(tables.person.c.id == before["id"])).scalar_one()
    assert admin.post(f"/manage/people/{before['id']}", json={"state": "deleted"}).status_code == 204
    with site.database.read() as connection:
        row = connection.execute(select(tables.person).where(tables.person.c.id == before["id"])).one()
    assert (row.password, row.uid, row.state) == (None, uid, "deleted")
    assert "Ada" not in row.name


# -- codes of an authenticator -------------------------------------------------------------------------------


def test_codes_are_those_of_the_standard() -> None:
    """RFC 6238, appendix B (SHA-1), the last six of its eight digits."""
    key = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # 12345678901234567890
    for moment, digits in ((59, "287082"), (1111111109, "081804"), (2000000000, "279037")):
        assert codes.time_code(key, moment // 30) == digits


def test_where_a_code_is_set_up_it_is_asked_for(site: Site) -> None:
    client = site.person("admin", "Root")
    url = client.post("/session/code").json()["url"]
    key = url.partition("secret=")[2].partition("&")[0]
    assert sign_in(site.client(), "Root") == 401
    code = codes.time_code(key, int(site.database.now() // 30))
    assert sign_in(site.client(), "Root", code=code) == 200
    assert sign_in(site.client(), "Root", code=code) == 401


def test_a_code_is_taken_once(database: Database) -> None:
    """Nobody who looks over a shoulder signs in with it as well, not even at the same moment."""
    one = joined(database, "Root", "admin")
    key = database.transact(lambda connection: codes.set_up(connection, one.id)).partition("secret=")[2][:32]
    moment = int(database.now() // 30)
    code, later = codes.time_code(key, moment), codes.time_code(key, moment + 1)
    taken: list[bool] = []

    def enter() -> None:
        taken.append(database.transact(lambda connection: codes.spend(connection, one.id, code)))

    hands = [threading.Thread(target=enter) for _ in range(8)]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join()
    assert sorted(taken) == [False] * 7 + [True]
    with database.read() as connection:
        assert accounts.known(connection, "Root", PASSWORD, code) is None
        assert accounts.known(connection, "Root", PASSWORD, codes.time_code(key, moment - 1)) is None
        assert accounts.known(connection, "Root", PASSWORD, later) is not None
        assert not codes.matches(connection, key, "000000", 0) or "000000" in (code, later)


# -- keys and secrets ----------------------------------------------------------------------------------------


def test_a_key_without_scopes_may_do_nothing(site: Site) -> None:
    assert site.key().get("/api/v1/batches").status_code == 403
    assert site.client().get("/api/v1/batches").status_code == 401
    assert site.key("status").get("/api/v1/batches").status_code == 200
    assert site.key("status").put("/api/v1/guidelines/1", json={"text": "x"}).status_code == 403


def test_keys_and_cookies_open_different_doors(site: Site) -> None:
    admin = site.person("admin", "Root")
    assert admin.get("/api/v1/batches").status_code == 401
    program = site.key("status", "people", "import", "export")
    assert program.get("/manage/people").status_code == 401
    assert program.get("/session").status_code == 401


def test_a_revoked_key_is_dead(site: Site) -> None:
    program, admin = site.key("status"), site.person("admin", "Root")
    number = admin.get("/manage/keys").json()[0]["id"]
    assert admin.delete(f"/manage/keys/{number}").status_code == 204
    assert program.get("/api/v1/batches").status_code == 401


def test_keys_are_kept_as_hashes_and_listed_without_what_opens(site: Site) -> None:
    admin = site.person("admin", "Root")
    key = admin.post("/manage/keys", json={"name": "trainer", "scopes": ["export"]}).json()["key"]
    assert key not in admin.get("/manage/keys").text
    with site.database.read() as connection:
        assert key.encode() not in connection.execute(select(tables.api_key.c.hash)).scalar_one()


def test_the_first_start_makes_a_secret_for_the_owner_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ASSENT_LABEL_SECRET", raising=False)
    made = secret(tmp_path / "label")
    path = tmp_path / "label" / "secret"
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(made) == 64
    assert secret(tmp_path / "label") == made
    path.chmod(0o644)
    with pytest.raises(SettingsError, match="chmod 600"):
        secret(tmp_path / "label")
    monkeypatch.setenv("ASSENT_LABEL_SECRET", "from elsewhere")
    assert secret(tmp_path / "label") == b"from elsewhere"


@pytest.mark.parametrize(
    "given", [b"", b"short", b"changeme" * 8, b"a" * 64, b"my-default-secret-for-labeling-0123456789"]
)
def test_no_server_starts_with_a_placeholder(given: bytes) -> None:
    with pytest.raises(SettingsError, match="secret"):
        Settings(database="sqlite:///x.db", secret=given)


def test_the_secret_and_passwords_are_in_no_repr_log_or_answer(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    shown = repr(Settings(database="postgresql://assent:over-the-hills@db/x", secret=SECRET))
    for hidden in (SECRET.hex(), str(SECRET), SECRET.decode(), "over-the-hills"):
        assert hidden not in shown
    caplog.set_level(logging.DEBUG)
    client = site.person("labeler", "Ada\u2028")
    sign_in(client, "Ada\r\nforged: entry", "a secret of mine 99")
    token = client.cookies["__Host-sid"]
    for hidden in (PASSWORD, "a secret of mine 99", token, SECRET.decode()):
        assert hidden not in caplog.text
    assert "forged: entry\n" not in caplog.text


def test_an_error_of_the_database_tells_the_log_no_value(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """SQLAlchemy's errors name what was to be stored: hashes of passwords, keys of authenticators, people's texts."""
    monkeypatch.setattr(accounts.secrets, "token_hex", lambda _: None)  # a person without a uid cannot be stored
    given = {"token": site.invite(), "name": "Ada Lovelace", "password": PASSWORD}
    answer = site.client().post("/session/invite", json=given)
    assert answer.status_code == 500
    assert "NOT NULL" in caplog.text
    assert "INSERT INTO person" in caplog.text
    for hidden in ("argon2id$", "Ada Lovelace", PASSWORD, given["token"]):
        assert hidden not in caplog.text + answer.text


def test_nothing_that_is_logged_looks_like_another_entry(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    client = site.person("labeler", "Ada")

    def fail(*_: object) -> None:
        raise ZeroDivisionError("\r\nERROR forged\x1b[2J\u2028INFO forged too\nlast")

    monkeypatch.setattr("assent.label.store.slots.claimed", fail)
    assert client.post("/work/claim", json={}).status_code == 500
    (said,) = (one.getMessage() for one in caplog.records if one.name == "assent.label")
    lines = [line for line in re.split("[\n\r\u2028]", said) if "forged" in line]
    assert [line for line in lines if "raise" not in line] == ["    ERROR forged\ufffd[2J", "    INFO forged too"]
    assert all(line.startswith("    ") for line in said.splitlines()[1:])


def test_pseudonyms_are_stable_and_need_the_secret() -> None:
    first = accounts.pseudonym(SECRET, "a")
    assert first == accounts.pseudonym(SECRET, "a")
    assert len({accounts.pseudonym(SECRET, "b"), accounts.pseudonym(SECRET[::-1], "a"), first}) == 3


def test_nothing_is_asked_of_the_environment_but_its_secret() -> None:
    assert "ASSENT_LABEL_SECRET" not in os.environ
    assert ORIGIN["Origin"].startswith("https")


@pytest.mark.parametrize("role", ["lead", "admin"])
def test_where_it_is_asked_for_leads_and_admins_need_an_authenticator(folder: Path, role: str) -> None:
    from assent.label.codes import time_code

    asked = Site.at(folder, codes=True)
    kit.batch(asked.database, kit.items(1, 1))
    client, labeler = asked.person(role, "Lena"), asked.person("labeler", "Ada")
    home = {"lead": "/lead", "admin": "/admin"}[role]
    path = {"lead": "/manage/batches", "admin": "/manage/people"}[role]
    assert client.get("/").headers["location"] == "/account"
    assert (client.get(home).status_code, client.get(home).headers["location"]) == (303, "/account")
    refused = client.get(path)
    assert (refused.status_code, "authenticator" in refused.json()["detail"]) == (403, True)
    assert "need an authenticator" in client.get("/account").text
    assert client.get("/session").json()["role"] == role
    assert labeler.post("/work/claim", json={}).status_code == 200  # labelers are asked for nothing
    url = client.post("/session/code").json()["url"]
    assert client.get(path).status_code == 200
    assert client.get(home).status_code == 200
    again = asked.client()
    entered = {"name": "Lena", "password": PASSWORD}
    assert again.post("/session", json=entered).status_code == 401
    key = url.partition("secret=")[2].partition("&")[0]
    code = time_code(key, int(asked.database.now() // 30))
    assert again.post("/session", json={**entered, "code": code}).status_code == 200
    asked.close()


def test_where_nobody_asks_for_it_nothing_is_closed(site: Site) -> None:
    assert site.person("lead", "Lena").get("/manage/batches").status_code == 200
    assert site.person("admin", "Root").get("/").headers["location"] == "/admin"
