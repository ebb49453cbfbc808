"""Who may ask for what: every route against every role, other sites, sizes, and what labelers must never see."""

import json
import re
from typing import Any

import pytest
from fastapi import APIRouter
from fastapi.testclient import TestClient

from assent.label import access, app
from assent.label.guard import same_origin
from assent.label.settings import Settings
from assent.label.store import batches
from assent.label.store.database import BusyError, FullError
from tests.label import kit
from tests.label.web import ORIGIN, PASSWORD, SECRET, Site

ROLES = ("anonymous", "labeler", "lead", "researcher", "admin")


@pytest.fixture
def everybody(site: Site) -> dict[str, TestClient]:
    clients = {role: site.person(role, f"Person {role}") for role in ROLES[1:]}
    return {"anonymous": site.client(), **clients}


def fill(path: str) -> str:
    return re.sub(r"\{(\w+)(:\w+)?\}", lambda match: "1" if match[1] == "number" else "x", path)


def test_every_route_lets_in_exactly_the_roles_of_its_entry(site: Site, everybody: dict[str, TestClient]) -> None:
    """Generated from the router. A role that may not come in gets 401 or 403, one that may gets anything else."""
    checked = 0
    for name in access.routes(site.app):
        method, path = name.split()
        roles = site.app.state.access[name]
        if roles == access.KEYS or name in ("DELETE /session", "POST /session", "POST /session/code", "POST /sign-out"):
            continue
        for role, client in everybody.items():
            status = client.request(method, fill(path), json={}).status_code
            blocked = status in (401, 403) or (status == 303 and role == "anonymous")
            if role in roles:
                assert status not in (401, 403), (name, role, status)
            else:
                assert blocked, (name, role, status)
            checked += 1
    assert checked > 100


def test_every_route_of_programs_refuses_every_cookie(site: Site, everybody: dict[str, TestClient]) -> None:
    names = [name for name in access.routes(site.app) if site.app.state.access[name] == access.KEYS]
    assert len(names) >= 7
    for name in names:
        method, path = name.split()
        for client in everybody.values():
            assert (
                client.request(method, fill(path), json={"guideline": "g", "records": "", "text": "t"}).status_code
                == 401
            )


def test_a_route_without_an_entry_keeps_the_server_from_starting() -> None:
    router = APIRouter()
    router.add_api_route("/forgotten", lambda: {}, methods=["GET"])
    broken = app.FastAPI()
    broken.include_router(router)
    with pytest.raises(AssertionError, match="GET /forgotten"):
        access.complete(broken, {})
    with pytest.raises(AssertionError, match="for nothing"):
        access.complete(app.FastAPI(), {"GET /nowhere": access.ANYBODY})


@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ({"sec-fetch-site": "same-origin", "host": "a.org"}, True),
        ({"sec-fetch-site": "same-site", "host": "a.org", "origin": "https://a.org"}, False),
        ({"sec-fetch-site": "cross-site", "host": "a.org", "origin": "https://a.org"}, False),
        ({"sec-fetch-site": "none", "host": "a.org"}, False),
        ({"host": "a.org", "origin": "https://a.org"}, True),
        ({"host": "a.org", "origin": "https://a.org.evil.org"}, False),
        ({"host": "a.org", "origin": "https://evil.org"}, False),
        ({"host": "a.org", "origin": "null"}, False),
        ({"host": "a.org", "origin": ""}, False),
        ({"host": "a.org"}, False),
    ],
)
def test_only_pages_of_the_same_origin_change_anything(headers: dict[str, str], passes: bool) -> None:
    assert same_origin(headers) is passes


def test_a_request_from_elsewhere_is_refused_before_anything(site: Site) -> None:
    client = site.person("labeler", "Ada")
    for headers in ({"Origin": "https://evil.org"}, {"Origin": ""}, {**ORIGIN, "Sec-Fetch-Site": "cross-site"}):
        for method, path in (("POST", "/work/claim"), ("DELETE", "/session"), ("PUT", "/work/x/draft")):
            assert client.request(method, path, headers=headers, json={}).status_code == 403
    assert client.get("/session").status_code == 200


def test_every_answer_binds_the_browser(site: Site) -> None:
    client = site.person("labeler", "Ada")
    for answer in (
        client.get("/session"),
        client.get("/nowhere"),
        site.client().get("/session"),
        client.post("/work/x/skip"),
    ):
        assert answer.headers["content-security-policy"] == (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
            "frame-ancestors 'none'; form-action 'self'; base-uri 'none'"
        )
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "max-age=" in answer.headers["strict-transport-security"]
        assert answer.headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in answer.headers


def test_whoever_signs_in_goes_on_to_where_they_were_going(site: Site) -> None:
    from urllib.parse import parse_qs, urlsplit

    kit.batch(site.database, kit.items(1, 1), "bread & butter?")
    where = "/lead/batches/bread%20%26%20butter%3F"
    sent = site.client().get(where)
    assert sent.status_code == 303
    (back,) = parse_qs(urlsplit(sent.headers["location"]).query)["next"]
    assert back == where
    site.person("lead", "Lena")
    form = {"name": "Lena", "password": PASSWORD, "next": back}
    assert site.client().post("/sign-in", data=form).headers["location"] == where


def test_bodies_have_a_limit_announced_or_not(site: Site) -> None:
    client = site.person("labeler", "Ada")
    assert client.post("/work/claim", content=b"x" * 2_000_001).status_code == 413
    pieces = (b"x" * 500_000 for _ in range(6))
    assert client.put("/work/x/draft", content=pieces).status_code in (400, 413)
    assert client.get("/session").status_code == 200


def test_documentation_is_off_in_production(site: Site, tmp_path: Any) -> None:
    for path in ("/docs", "/redoc", "/openapi.json", "/api/v1/openapi.json"):
        assert site.client().get(path).status_code == 404
    (tmp_path / "other").mkdir()
    other = Site.at(tmp_path / "other", production=False)
    described = other.client().get("/api/v1/openapi.json").json()
    assert "/api/v1/batches/{name}" in described["paths"]
    other.close()


def test_a_labeler_sees_no_name_of_a_model_and_no_gold(site: Site) -> None:
    """Every byte a labeler can get by their routes, headers included."""
    made = kit.items(3, 2)
    gold = [
        batches.NewItem(**{**one.__dict__, "stratum": "gold", "gold": [4, 3, 2, 1], "record": f"gold-{n}"})
        for n, one in enumerate(made)
    ]
    kit.batch(site.database, [*made, *gold], "rlhf-run-17")
    client = site.person("labeler", "Ada")
    seen: list[str] = []

    def keep(answer: Any) -> Any:
        seen.append(answer.text + json.dumps(dict(answer.headers)))
        return answer.json()

    while (task := keep(client.post("/work/claim", json={}))["task"]) is not None:
        keys = [one["key"] for one in task["responses"]]
        url = f"/work/{task['slot']}"
        document = kit.ranking(keys)
        keep(client.put(f"{url}/draft", json={"document": document, "version": 0}))
        keep(client.post(f"{url}/submit", json={"key": f"key-{len(seen):06}", "document": document}))
        keep(client.get(url))
        keep(client.post(f"{url}/revise", json={"key": f"key-{len(seen):06}", "document": document}))
    assert len(seen) == 6 * 5 + 1
    for hidden in ("secret-model", "rlhf-run-17", "gold", "record-", "prompt-", '"policy"', "propensity", "stratum"):
        assert not any(hidden in text for text in seen), hidden


def test_keys_of_responses_are_new_for_every_labeler(site: Site) -> None:
    kit.batch(site.database, kit.items(1, 2))
    tasks = [site.person("labeler", name).post("/work/claim", json={}).json()["task"] for name in ("Ada", "Bob")]
    first, second = ({one["key"] for one in task["responses"]} for task in tasks)
    assert not first & second
    assert tasks[0]["slot"] != tasks[1]["slot"]


def test_a_labeler_cannot_read_the_work_of_another(site: Site) -> None:
    kit.batch(site.database, kit.items(1, 2))
    ada, bob = site.person("labeler", "Ada"), site.person("labeler", "Bob")
    slot = ada.post("/work/claim", json={}).json()["task"]["slot"]
    for method, path, body in (
        ("GET", f"/work/{slot}", None),
        ("PUT", f"/work/{slot}/draft", {"document": {}, "version": 0}),
        ("POST", f"/work/{slot}/submit", {"key": "12345678", "document": {}}),
        ("POST", f"/work/{slot}/skip", {"key": "12345678", "reason": "unclear"}),
        ("GET", "/work/1", None),
    ):
        assert bob.request(method, path, json=body).status_code == 404


def test_a_server_without_https_has_a_plain_cookie(tmp_path: Any) -> None:
    assert Settings(database="sqlite:///x.db", secret=SECRET, https=False).cookie == "sid"
    plain = Site.at(tmp_path, https=False)
    client = plain.person("labeler", "Ada")
    assert "sid" in client.cookies
    assert "strict-transport-security" not in client.get("/session").headers
    plain.close()


def test_a_fault_of_ours_is_told_in_a_sentence_without_details(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    client = site.person("labeler", "Ada")
    monkeypatch.setattr("assent.label.store.slots.claimed", lambda *_: 1 / 0)
    answer = client.post("/work/claim", json={})
    assert answer.status_code == 500
    assert "ZeroDivisionError" not in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


@pytest.mark.parametrize(("error", "status"), [(BusyError, 503), (FullError, 507)])
def test_what_passes_by_itself_says_try_again(
    site: Site, monkeypatch: pytest.MonkeyPatch, error: type[Exception], status: int
) -> None:
    client = site.person("labeler", "Ada")

    def fail(*_: object) -> None:
        raise error("in a sentence")

    monkeypatch.setattr("assent.label.store.slots.claimed", fail)
    answer = client.post("/work/claim", json={})
    assert (answer.status_code, answer.json()) == (status, {"detail": "in a sentence"})
    assert ("Retry-After" in answer.headers) is (status == 503)
