"""After a practice item a labeler sees how it was meant; before, nobody does."""

import json
from pathlib import Path
from typing import Any

import pytest

from assent import records
from assent.label.client import Client, ClientError
from assent.label.store import exporting, importing, meant
from assent.label.store.importing import Plan, Source
from assent.label.store.meant import Meant
from assent.records import Message, Prompt, Ranking, Response, Samples
from tests.label import kit
from tests.label.web import SECRET, Site

PROMPT = Prompt(id="p", messages=(Message(role="user", content="Why?"),))
RESPONSES = tuple(Response(text=f"Answer {n} <b>", policy=f"secret-model-{n}") for n in range(3))
WORK = (
    Samples(id="s", prompt=PROMPT, responses=RESPONSES),
    Ranking(id="r", prompt=PROMPT, responses=RESPONSES, ranks=(2, 1, 2), labeler="lead"),
    Prompt(id="w", messages=(Message(role="user", content="Write."),)),
    Samples(id="counts", prompt=PROMPT, responses=RESPONSES),
)
LINES = (
    '{"id": "r", "reason": "The second says why.\\nThe others <i>do not</i>."}',
    '{"id": "w", "reason": "Short is enough.", "response": "Because *so*."}',
)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("[]", "an object"),
        ('{"id": "r"}', "reason: a text"),
        ('{"id": "r", "reason": " "}', "reason: a text"),
        ('{"id": 3, "reason": "x"}', "id: a text"),
        ('{"id": "r", "reason": "x", "why": 1}', "why: unknown"),
        ('{"id": "r", "reason": "x", "ranks": [1, 3]}', "without gaps"),
        ('{"id": "r", "reason": "x", "ranks": [true]}', "whole numbers"),
        ('{"id": "r", "reason": "x", "response": 1}', "response: a text"),
        ("{", "line 2"),
    ],
)
def test_a_bad_line_is_one_sentence(line: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as refused:
        meant.parse([LINES[0], line], "practice.jsonl")
    assert str(refused.value).startswith("practice.jsonl, line 2: ")


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ({"nobody": Meant("x")}, "the id of no record"),
        ({"s": Meant("x")}, "`ranks` are needed, one for each of its 3"),
        ({"s": Meant("x", (1, 2))}, "`ranks` are needed"),
        ({"s": Meant("x", (1, 2, 3), "y")}, "no `response`"),
        ({"w": Meant("x")}, "give `response`"),
        ({"w": Meant("x", (1, 2), "y")}, "no `ranks`"),
    ],
)
def test_what_is_meant_has_to_fit_its_record(site: Site, known: dict[str, Meant], said: str) -> None:
    kit.batch(site.database, kit.items(1, 1), "other")
    with pytest.raises(Exception, match=said):
        importing.put(site.database, "b", Source(work=WORK, meant=known), Plan(shared=0), "g1", None)


def put(site: Site) -> None:
    kit.batch(site.database, kit.items(1, 1), "other")
    source = Source(work=WORK, meant=meant.parse(LINES, "practice"))
    importing.put(site.database, "b", source, Plan(shared=0, gold=0), "g1", None)


def answered(client: Any, task: dict[str, Any]) -> None:
    url = f"/work/{task['slot']}"
    document = kit.ranking([one["key"] for one in task["responses"]])
    if task["kind"] == "demonstrate":
        document = {name: document[name] for name in ("schema", "prompt_flags", "note", "seconds")}
        document["response"] = "Mine & only <u>mine</u>"
    answer = client.post(f"{url}/submit", json={"key": "key-" + task["slot"][:8], "document": document})
    assert answer.status_code == 200, answer.text


def test_after_a_practice_item_one_sees_how_it_was_meant_and_before_one_does_not(site: Site) -> None:
    put(site)
    ada, bob = site.person("labeler", "Ada"), site.person("labeler", "Bob")
    task = ada.post("/work/claim", json={}).json()["task"]
    assert task["practice"]
    assert "says why" not in json.dumps(task)
    assert ada.get(f"/practice/{task['slot']}").status_code == 404
    answered(ada, task)
    shown = ada.get(f"/practice/{task['slot']}")
    assert shown.status_code == 200
    assert "The second says why." in shown.text
    assert "&lt;i&gt;do not&lt;/i&gt;" in shown.text
    assert "secret-model" not in shown.text
    order = [one["text"] for one in task["responses"]]
    meant_ranks = [{"Answer 0 <b>": 2, "Answer 1 <b>": 1, "Answer 2 <b>": 2}[text] for text in order]
    cells = shown.text.split('<dt>meant</dt><dd class="number">')[1:]
    assert [int(cell[0]) for cell in cells] == meant_ranks
    pairs = [(a, b) for a in range(3) for b in range(a + 1, 3)]
    same = sum((meant_ranks[a] < meant_ranks[b]) and not (meant_ranks[a] > meant_ranks[b]) for a, b in pairs)
    assert f"Of the 3 pairs of outputs you put {same} as meant" in shown.text
    assert bob.get(f"/practice/{task['slot']}").status_code == 404
    assert f"/practice/{task['slot']}" in ada.get("/history").text
    second = ada.post("/work/claim", json={}).json()["task"]
    answered(ada, second)
    shown = ada.get(f"/practice/{second['slot']}").text
    assert "<em>so</em>" in shown
    assert "Mine &amp; only &lt;u&gt;mine&lt;/u&gt;" in shown
    third = ada.post("/work/claim", json={}).json()["task"]
    answered(ada, third)
    assert not third["practice"]
    assert ada.get(f"/practice/{third['slot']}").status_code == 404


def test_practice_leaves_in_no_record(site: Site) -> None:
    put(site)
    ada = site.person("labeler", "Ada")
    while (task := ada.post("/work/claim", json={}).json()["task"]) is not None:
        answered(ada, task)
    with site.database.read() as connection:
        made = exporting.export(connection, "b", SECRET)
    assert made.manifest["left_out"] == {"practice": 2}
    assert made.manifest["files"]["rankings.jsonl"]["records"] == 2
    assert b"says why" not in b"".join(made.files.values())


def test_programs_and_forms_bring_it_in(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    kit.batch(site.database, kit.items(1, 1), "other")
    client = Client("https://testserver", "key")
    monkeypatch.setattr(client, "_http", site.key("import"))
    said = client.put_batch("api", WORK, guideline="g1", meant=[json.loads(line) for line in LINES], shared=0.0)
    assert said["strata"]["practice"] == 2
    with pytest.raises(ClientError, match="the id of no record"):
        client.put_batch("api-2", WORK, guideline="g1", meant=[{"id": "x", "reason": "y"}])
    lead = site.person("lead", "Lena")
    lines = "".join(json.dumps(records.to_json(one)) + "\n" for one in WORK)
    files = [("files", ("work.jsonl", lines)), ("meant", ("meant.jsonl", "\n".join(LINES)))]
    form = {"name": "form", "guideline": "g1", "shared": "0"}
    assert lead.post("/lead/batches/new", data=form, files=files).status_code == 303
    assert lead.get("/manage/batches/form").json()["strata"]["practice"] == 2
    without = lead.post("/lead/batches/new", data={**form, "name": "without"}, files=files[:1])
    assert without.status_code == 303
    long = json.dumps(records.to_json(WORK[0]) | {"id": "long"})
    large = "".join(
        long.replace('"long"', f'"long-{n}"') + "\n" for n in range(4_000_000 // len(long))
    )  # no small body
    several = lead.post("/lead/batches/new", data={**form, "name": "large"}, files=[("files", ("large.jsonl", large))])
    assert several.status_code == 303
    again = lead.post("/manage/batches", data={**form, "name": "json"}, files=[*files[:1], ("meant", ("m", "{"))])
    assert (again.status_code, "line 1" in again.text) == (422, True)


def test_the_command_takes_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tests.label.test_ring import run

    (tmp_path / "guide.md").write_text("# Be helpful\n")
    (tmp_path / "meant.jsonl").write_text("\n".join(LINES))
    records.write(tmp_path / "work.jsonl", WORK)
    place = ("--data", tmp_path / "data")
    run("guideline", tmp_path / "guide.md", "--version", "1", *place)
    more = ("--name", "b", "--guideline", "1", "--shared", 0, "--meant", tmp_path / "meant.jsonl")
    run("import", tmp_path / "work.jsonl", *more, *place)
    assert '"practice": 2' in capsys.readouterr().out
    run("quality", "b", *place)
    assert json.loads(capsys.readouterr().out)["batch"] == "b"
    with pytest.raises(ValueError, match="no batch 'c'"):
        run("quality", "c", *place)
