"""Anything may be sent to any route: the answer is never a fault of ours.

Requests are drawn from the description of the API (OpenAPI), and from what no description foresees.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assent.label import access, measuring, quality
from tests.label import kit
from tests.label.web import Site

LETTERS = st.text(st.characters(codec="utf-8"), max_size=30)
HOSTILE = st.sampled_from(
    ["", "\0", "\0\0x", "\ud800", "a" * 5000, "../..", "%00", "'; DROP TABLE answer; --", "٣", "1e999"]
)
NUMBERS = st.integers() | st.sampled_from([0, -1, 2**31, 2**63, 2**64, 10**40])
JUNK = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.floats() | LETTERS | HOSTILE,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(LETTERS | HOSTILE, inner, max_size=3),
    max_leaves=8,
)
LEFT_OUT = (
    "DELETE /session",
    "POST /sign-out",
    "POST /session/password",
    "POST /account/password",
)  # would end the test


def drawn(schema: dict[str, Any], known: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values as a JSON schema wants them, and one time in some what it does not."""
    return _as_told(schema, known) | _as_told(schema, known) | JUNK


def _as_told(schema: dict[str, Any], known: dict[str, Any]) -> st.SearchStrategy[Any]:
    if "$ref" in schema:
        return drawn(known[schema["$ref"].rsplit("/", 1)[1]], known)
    if "anyOf" in schema:
        return st.one_of([drawn(one, known) for one in schema["anyOf"]])
    kind = schema.get("type")
    if kind == "object":
        fields = {name: drawn(one, known) for name, one in schema.get("properties", {}).items()}
        if not fields:
            return st.dictionaries(st.sampled_from(["schema", "ranks", "ratings", "note"]) | LETTERS, JUNK, max_size=4)
        needed = schema.get("required", [])
        some = {name: one for name, one in fields.items() if name not in needed}
        return st.fixed_dictionaries({name: fields[name] for name in needed}, optional=some)
    if kind == "array":
        return st.lists(drawn(schema.get("items", {}), known), max_size=3)
    plain: dict[Any, st.SearchStrategy[Any]] = {
        "string": LETTERS | HOSTILE | st.sampled_from(["labeler", "lead", "first", "g1", "keep", "taken", "unclear"]),
        "integer": NUMBERS,
        "number": NUMBERS | st.floats(),
        "boolean": st.booleans(),
        "null": st.none(),
    }
    return plain.get(kind, JUNK)


@pytest.fixture
def furnished(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Site, dict[str, TestClient], list[str]]]:
    """A server with work, everybody signed in, programs with keys, and names that exist."""
    monkeypatch.setattr(measuring, "beside", lambda given: quality.computed(given))  # no process a request
    site = Site(url)
    kit.batch(site.database, kit.items(6, 2))
    people: dict[str, TestClient] = {
        role: site.person(role, f"Person {role}") for role in ("labeler", "lead", "researcher", "admin")
    }
    people["anonymous"] = site.client()
    people["key"] = site.key("import", "export", "status", "people")
    slot = people["labeler"].post("/work/claim", json={}).json()["task"]["slot"]
    yield site, people, [slot, "first", "1", "g1", "manifest.json", "rankings.jsonl"]
    site.close()


@settings(
    max_examples=250,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(data=st.data())
def test_nothing_that_is_sent_is_a_fault_of_ours(
    furnished: tuple[Site, dict[str, TestClient], list[str]], data: st.DataObject
) -> None:
    site, people, names = furnished
    described = site.app.openapi()
    known = described.get("components", {}).get("schemas", {})
    routes = sorted(set(access.routes(site.app)) - set(LEFT_OUT))
    route = data.draw(st.sampled_from(routes))
    method, path = route.split()
    allowed = sorted(site.app.state.access[route])
    who = data.draw(st.sampled_from([*allowed, data.draw(st.sampled_from(sorted(people)))]))
    filled = re.sub(r"\{[^}]+\}", lambda _: _quoted(data.draw(st.sampled_from(names) | LETTERS | HOSTILE)), path)
    asked = described["paths"].get(path, {}).get(method.lower(), {}).get("requestBody", {}).get("content", {})
    more: dict[str, Any] = {}
    if "application/json" in asked:
        body = data.draw(drawn(asked["application/json"]["schema"], known))
        more = {"content": json.dumps(body).encode(), "headers": {"Content-Type": "application/json"}}
    elif method != "GET" and not path.startswith("/api"):
        more = {"data": data.draw(st.dictionaries(_fields(site, route) | LETTERS, LETTERS | HOSTILE, max_size=5))}
        more["data"] = {name: value.encode(errors="replace").decode() for name, value in more["data"].items()}
    if method == "GET":
        more = {"params": {"after": _quoted(data.draw(HOSTILE | LETTERS)), "next": "//x", "before": "9" * 30}}
    answer = people[who].request(method, filled, **more)
    assert answer.status_code != 500, (route, who, more, answer.text)
    if answer.status_code >= 400 and path.startswith(("/work", "/manage", "/api", "/session")):
        assert isinstance(answer.json()["detail"], str), (route, answer.text)


def _quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text.encode(errors="replace"), safe="") or "x"


def _fields(site: Site, route: str) -> st.SearchStrategy[str]:
    """The names of a form's fields, as the route has them."""
    names = [one.name for one in access.routes(site.app)[route].dependant.body_params]
    return st.sampled_from(names) if names else LETTERS


def test_after_anything_the_books_are_in_order(furnished: tuple[Site, dict[str, TestClient], list[str]]) -> None:
    """The same property where it counts most: whatever is handed in for a task, what is kept is whole."""
    from assent.label.store import backup

    site, people, (slot, *_) = furnished

    @settings(max_examples=100, deadline=None, derandomize=True)
    @given(st.sampled_from(["submit", "skip", "revise", "draft"]), JUNK, LETTERS | HOSTILE)
    def send(action: str, document: Any, key: str) -> None:
        body = {"key": key, "document": document, "reason": key, "version": 0}
        method = "PUT" if action == "draft" else "POST"
        answer = people["labeler"].request(
            method, f"/work/{slot}/{action}", content=json.dumps(body), headers={"Content-Type": "application/json"}
        )
        assert answer.status_code in (200, 409, 422), answer.text

    send()
    with site.database.read() as connection:
        assert backup.faults(connection) == []
