"""Programs and leads bring work in and take records out, over HTTP; what is wrong is one sentence."""

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from assent import records
from assent.records import Message, Prompt, Response, Samples
from tests.label import kit
from tests.label.web import Site


def lines(count: int = 3, first: int = 0) -> str:
    work = [
        Samples(
            id=f"s-{n}",
            prompt=Prompt(id=f"p-{n}", messages=(Message("user", f"Question {n}?"),)),
            responses=(Response(text="yes", policy="m1"), Response(text="no", policy="m2")),
        )
        for n in range(first, first + count)
    ]
    return "".join(json.dumps(records.to_json(one)) + "\n" for one in work)


@pytest.fixture
def program(site: Site) -> TestClient:
    client = site.key("import", "export", "status", "people")
    assert client.put("/api/v1/guidelines/1", json={"text": "Be helpful."}).status_code == 204
    return client


def put(client: TestClient, name: str = "b", **more: Any) -> Any:
    return client.put(f"/api/v1/batches/{name}", json={"guideline": "1", "records": lines(), **more})


def do_everything(client: TestClient) -> int:
    count = 0
    while (task := client.post("/work/claim", json={}).json()["task"]) is not None:
        body = {"key": f"key-{task['slot']}", "document": kit.ranking([one["key"] for one in task["responses"]])}
        assert client.post(f"/work/{task['slot']}/submit", json=body).json()["state"] == "accepted"
        count += 1
    return count


def test_work_goes_in_and_rankings_come_out(site: Site, program: TestClient) -> None:
    assert put(program).json()["items"] == {"open": 3}
    assert put(program).status_code == 200  # the same again
    assert put(program, plan={"overlap": 2}).status_code == 409
    assert do_everything(site.person("labeler", "Ada")) == 3
    manifest = program.get("/api/v1/batches/b/export/manifest.json").json()
    assert manifest["files"]["rankings.jsonl"]["records"] == 3
    rows = program.get("/api/v1/batches/b/export/rankings.jsonl").text.splitlines()
    found = [records.from_json(json.loads(row)) for row in rows]
    assert {one.id.partition("/")[0] for one in found} == {"s-0", "s-1", "s-2"}  # pyright: ignore
    assert program.post("/api/v1/batches/b/freeze").status_code == 204
    assert [one["state"] for one in program.get("/api/v1/batches").json()] == ["frozen"]
    assert program.get("/api/v1/batches/b/export/secrets.txt").status_code == 404


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"records": "hello"}, "records, line 1: Expecting value"),
        ({"records": ""}, "there is nothing to label"),
        ({"plan": {"colour": 1}}, "plan: 'colour' is not one of"),
        ({"plan": {"gold": 7}}, "gold: 7 is no share"),
        ({"guideline": "99"}, "there is no version '99'"),
        ({"scores": {"s-0": 1.0}, "plan": {"limit": 1}}, "2 records have none, the first is 's-1'"),
        ({"practice": -1}, "practice: Input should be greater"),
        ({"records": 7}, "records: Input should be a valid string"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_comes_in(
    site: Site, program: TestClient, more: dict[str, Any], sentence: str
) -> None:
    answer = put(program, **more)
    assert answer.status_code == 422
    assert sentence in answer.json()["detail"]
    assert program.get("/api/v1/batches").json() == []


def test_programs_invite_labelers_and_nobody_else(site: Site, program: TestClient) -> None:
    token = program.post("/api/v1/invites", json={"team": "heldout"}).json()["token"]
    given = {"token": token, "name": "Hugo", "password": "a heron on the wharf"}
    assert site.client().post("/session/invite", json=given).json() == {
        "name": "Hugo",
        "role": "labeler",
        "team": "heldout",
    }
    assert program.post("/api/v1/invites", json={"team": "nobody"}).status_code == 422


def test_a_lead_imports_files_and_a_second_file_may_not_repeat_an_id(site: Site) -> None:
    lead = site.person("lead", "Lena")
    assert lead.post("/manage/guidelines", json={"version": "1", "text": "Be helpful."}).status_code == 204
    assert lead.post("/manage/guidelines", json={"version": "1", "text": "Be quick."}).status_code == 409
    form = {"name": "b", "guideline": "1", "plan": json.dumps({"overlap": 2}), "practice": "1"}
    both = [("files", ("a.jsonl", lines(2))), ("files", ("b.jsonl", lines(2, 1)))]
    answer = lead.post("/manage/batches", data=form, files=both)
    assert (answer.status_code, "stands in two files" in answer.json()["detail"]) == (422, True)
    bad = lead.post("/manage/batches", data=form, files=[("files", ("../<b>.jsonl", "nonsense"))])
    assert bad.json()["detail"].startswith("<b>.jsonl, line 1: ")
    good = [("files", ("a.jsonl", lines(2))), ("files", ("b.jsonl", lines(2, 2)))]
    made = lead.post("/manage/batches", data=form, files=good).json()
    assert made["strata"] == {"practice": 1, "single": 3}
    assert made["slots"]["open"] == 6
    assert lead.post("/work/claim", json={}).json()["task"]["practice"] is True
    assert do_everything(site.person("labeler", "Ada")) == 4


def test_every_deed_of_those_who_manage_is_in_the_log(site: Site, program: TestClient) -> None:
    admin, lead = site.person("admin", "Root"), site.person("lead", "Lena")
    put(program)
    lead.post("/manage/batches/b/freeze")
    program.get("/api/v1/batches/b/export/rankings.jsonl")
    entries = admin.get("/manage/audit").json()
    said = [entry["action"] for entry in entries]
    for deed in ("invited", "joined", "made", "wrote", "imported", "froze", "exported"):
        assert deed in said
    assert [entry["number"] for entry in entries] == list(range(1, len(entries) + 1))
    assert lead.get("/manage/audit").status_code == 403
