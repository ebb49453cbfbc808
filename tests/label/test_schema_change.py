"""What is asked changes while a batch runs: what was begun stays as it was asked, and all carries its version."""

import json
from typing import Any

import pytest
from sqlalchemy import select

from assent.label import quality, schema
from assent.label.schema import Schema
from assent.label.store import exporting, tables
from tests.label import kit
from tests.label.web import SECRET, Site

DROPPED, NEW = "expresses_opinion", "too_long"


def newer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another version: one flag is asked no more, another is new."""
    first = schema.SCHEMAS[1]
    flags = {name: texts for name, texts in first.flags.items() if name != DROPPED} | {NEW: ("Too long", "")}
    monkeypatch.setattr(schema, "SCHEMAS", {1: first, 2: Schema(flags, first.nullable, first.prompt_flags)})
    monkeypatch.setattr(schema, "VERSION", 2)


def document(task: dict[str, Any], flag: str) -> dict[str, Any]:
    made: dict[str, Any] = kit.ranking([one["key"] for one in task["responses"]])
    made["schema"] = task["questions"]["version"]
    for one in made["ratings"].values():
        one["flags"] = {flag: True}
    return made


def test_a_version_that_changes_while_people_work(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    kit.batch(site.database, kit.items(4, 1))
    ada = site.person("labeler", "Ada")

    def claim() -> tuple[dict[str, Any], str]:
        task = ada.post("/work/claim", json={}).json()["task"]
        return task, f"/work/{task['slot']}"

    def send(url: str, action: str, made: dict[str, Any]) -> Any:
        return ada.post(f"{url}/{action}", json={"key": f"{action}-{url[-8:]}", "document": made})

    done, done_url = claim()
    assert send(done_url, "submit", document(done, DROPPED)).status_code == 200
    drafted, drafted_url = claim()
    assert ada.put(f"{drafted_url}/draft", json={"document": document(drafted, DROPPED), "version": 0}).is_success

    newer(monkeypatch)
    again = ada.get(drafted_url).json()  # begun by version 1: asked by version 1, with what was typed
    assert again["questions"]["version"] == 1
    assert DROPPED in {one["name"] for one in again["questions"]["flags"]}
    assert send(drafted_url, "submit", again["draft"]).json()["state"] == "accepted"
    old = ada.get(done_url).json()
    assert old["questions"]["version"] == 1
    assert send(done_url, "revise", document(old, DROPPED)).json()["revision"] == 2
    fresh, fresh_url = claim()
    assert fresh["questions"]["version"] == 2
    assert DROPPED not in {one["name"] for one in fresh["questions"]["flags"]}
    told = send(fresh_url, "submit", {**document(fresh, DROPPED)})
    assert (told.status_code, "not a flag that was asked" in told.text) == (422, True)
    assert send(fresh_url, "submit", document(fresh, NEW)).json()["state"] == "accepted"
    last, last_url = claim()
    assert send(last_url, "submit", {**document(last, NEW), "schema": 3}).status_code == 422

    with site.database.read() as connection:
        rows = connection.execute(select(tables.answer.c.schema).order_by(tables.answer.c.id)).scalars().all()
        made = exporting.export(connection, "first", SECRET)
        found = quality.overview(connection, "first")
    assert rows == [1, 1, 1, 2]
    answers = [json.loads(line) for line in made.files["answers.jsonl"].splitlines()]
    assert sorted(one["schema"] for one in answers) == [1, 1, 2]
    assert all((NEW in one["document"]["ratings"][0]["flags"]) == (one["schema"] == 2) for one in answers)
    ratings = [json.loads(line) for line in made.files["ratings.jsonl"].splitlines()]
    assert len(ratings) == 12
    assert sum(one["flags"].get(DROPPED, False) for one in ratings) == 8  # the records know their own flags only
    assert not any(NEW in one["flags"] for one in ratings)
    assert found["rankings"] == 3
    assert found["corrupt"] == 0
