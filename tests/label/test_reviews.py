"""Demonstrations are read and rated by others: never by their writer, each by as many as planned, and joined again."""

import dataclasses
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy import text as text_of

from assent import records
from assent.label import quality, schema
from assent.label.planning import Plan
from assent.label.store import answers, batches, exporting, guidelines, importing, reviews, slots, tables
from assent.label.store.batches import NewBatch
from assent.label.store.database import Database
from assent.label.store.importing import Source
from assent.label.store.slots import RefusedError, Worker
from assent.records import Demonstration, Message, Prompt, Rating
from tests.label import kit
from tests.label.test_exporting import made, read
from tests.label.web import Site


def batch(database: Database, prompts: int, overlap: int = 1, wanted: int = 1, author: int | None = None) -> int:
    """Prompts to answer, every answer to be reviewed."""
    guidelines.add(database, "g1", "Be helpful, truthful, harmless.", None)
    plan = {"seed": 1, "reviews": wanted}
    new = NewBatch(name="first", plan=plan, guideline="g1", source_hash="x", author=author)
    return batches.create(database, new, kit.items(prompts, overlap, responses=0))


def kind_of(database: Database, identity: str) -> Any:
    with database.read() as connection:
        rows = select(tables.item, tables.view.c.shown).join(tables.view, tables.view.c.item == tables.item.c.id)
        return connection.execute(rows.where(tables.view.c.id == identity)).one()


def written(text: str) -> dict[str, Any]:
    return {"schema": 1, "response": text, "seconds": 5.0}


def review(keys: list[str], overall: int, note: str = "", **flags: bool) -> dict[str, Any]:
    return {
        "schema": 1,
        "ratings": {key: {"overall": overall, "flags": flags} for key in keys},
        "note": note,
        "seconds": 3.0,
    }


def do(database: Database, who: int, text: str = "", overall: int = 5, **more: Any) -> tuple[str, Any] | None:
    """Do the next task of somebody: write `text`, or rate what is there; the view and its item."""
    worker = Worker(who, "train", 60)
    identity, _ = slots.claim(database, worker)
    if identity is None:
        return None
    found = kind_of(database, identity)
    keys = [key for key, _ in found.shown]
    document = written(text) if found.kind == "demonstrate" else review(keys, overall, **more)
    assert answers.submit(database, worker, identity, f"key-{identity}", document)["state"] == "accepted"
    return identity, found


def waiting(database: Database) -> int:
    with database.read() as connection:
        open_slots = select(func.count()).where(tables.slot.c.state == "open")
        return connection.execute(open_slots).scalar_one()


def test_what_one_wrote_is_read_by_as_many_others_as_planned_and_never_by_its_writer(database: Database) -> None:
    batch(database, 1, wanted=2)
    ada, bob, cleo, dora = kit.people(database, 4)
    assert do(database, ada, "Mine.") is not None
    assert do(database, ada) is None
    for who in (bob, cleo):
        _, found = do(database, who)  # pyright: ignore[reportGeneralTypeIssues]
        assert (found.kind, [one["text"] for one in found.responses]) == ("review", ["Mine."])
    assert do(database, dora) is None
    assert waiting(database) == 0


def test_nobody_who_could_still_write_reads_what_another_wrote(database: Database) -> None:
    """A prompt for three is reviewed when all three have written, and then by each other too."""
    batch(database, 1, overlap=3)
    people = kit.people(database, 3)
    for number, who in enumerate(people):
        _, found = do(database, who, f"By {number}.")  # pyright: ignore[reportGeneralTypeIssues]
        assert found.kind == "demonstrate"
    read_by = [do(database, who) for who in people[:2]]
    texts = [one[1].responses[0]["text"] for one in read_by if one]
    assert [texts[0] != "By 0.", texts[1] != "By 1."] == [True, True]
    _, found = do(database, kit.people(database, 1)[0])  # pyright: ignore[reportGeneralTypeIssues]
    assert {*texts, found.responses[0]["text"]} == {"By 0.", "By 1.", "By 2."}


def test_two_who_finish_a_prompt_at_once_are_both_reviewed(database: Database) -> None:
    batch(database, 12, overlap=2)
    people = kit.people(database, 2)
    faults: list[BaseException] = []

    def work(who: int) -> None:
        try:
            while waiting(database):
                do(database, who, f"By {who}")
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=work, args=(who,)) for who in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    while any(do(database, who, f"By {who}") for who in people):
        pass
    with database.read() as connection:
        found = reviews.of_batch(connection, 1)
    assert len({(one.item, one.writer) for one in found}) == len(found) == 24


def test_a_text_that_is_revised_is_asked_about_anew(database: Database) -> None:
    batch(database, 1)
    ada, bob, cleo = kit.people(database, 3)
    identity, _ = do(database, ada, "First.")  # pyright: ignore[reportGeneralTypeIssues]
    do(database, bob, overall=2)
    worker = Worker(ada, "train", 60)
    answers.revise(database, worker, identity, "key-again-1", {**written("First."), "note": "the same text"})
    assert waiting(database) == 0
    answers.revise(database, worker, identity, "key-again-2", written("Second."))
    assert waiting(database) == 1
    do(database, cleo, overall=6)
    with database.read() as connection:
        found = reviews.of_batch(connection, 1)
    assert [(one.overall, one.current) for one in found] == [(2, False), (6, True)]
    assert list(reviews.means(found).values()) == [6.0]
    answers.revise(database, worker, identity, "key-again-3", written("Third."))
    answers.revise(database, worker, identity, "key-again-4", written("Fourth."))
    assert waiting(database) == 1
    assert made(database).manifest["left_out"] == {"review of an earlier text": 2}


def test_a_review_is_one_rating_and_nothing_else() -> None:
    whole = schema.checked("review", review(["k"], 6, violent_content=True), ["k"])
    assert whole["ratings"]["k"]["overall"] == 6
    assert whole["ratings"]["k"]["flags"]["violent_content"] is True
    assert "ranks" not in whole
    for document in ({**review(["k"], 6), "ranks": {"k": 1}}, {**review(["k"], 8)}, {**review([], 6)}, written("x")):
        with pytest.raises(schema.DocumentError):
            schema.checked("review", document, ["k"])


def test_an_export_joins_reviews_to_what_they_are_of(light: Database, folder: Path) -> None:
    batch(light, 2, wanted=2)
    ada, bob, cleo = kit.people(light, 3)
    for text in ("Poor.", "Good."):
        do(light, ada, text)
    for who in (bob, cleo):
        for _ in range(2):
            worker = Worker(who, "train", 60)
            identity = str(slots.claim(light, worker)[0])
            found = kind_of(light, identity)
            rating = 3 if found.responses[0]["text"] == "Poor." else 6
            whole = review([key for key, _ in found.shown], rating, "why", gives_harmful_advice=rating == 3)
            answers.submit(light, worker, identity, f"key-{identity}", whole)
    export = made(light)
    assert export.files == made(light).files
    demonstrations = read(export, folder / "all", "demonstrations.jsonl", Demonstration)
    ratings = read(export, folder / "all", "ratings.jsonl", Rating)
    assert (len(demonstrations), len(ratings)) == (2, 4)
    by_id = {one.id: one for one in demonstrations}
    for one in ratings:
        of = by_id[one.id.rpartition("/")[0]]
        assert (one.response.text, one.prompt) == (of.response, of.prompt)
        assert one.labeler != of.labeler
        assert one.overall == (3 if of.response == "Poor." else 6)
        assert one.flags["gives_harmful_advice"] is (of.response == "Poor.")
    with light.read() as connection:
        floored = exporting.export(connection, "first", b"secret" * 8, floor=5)
    kept = read(floored, folder / "floor", "demonstrations.jsonl", Demonstration)
    assert [one.response for one in kept] == ["Good."]
    assert floored.manifest["left_out"] == {"reviewed below 5": 1}
    assert floored.manifest["floor"] == 5
    batches.decide(light, 1, ada, "drop", "")
    assert made(light).manifest["left_out"] == {"dropped by adjudication": 3}


def test_with_a_floor_what_nobody_reviewed_stays_behind(light: Database) -> None:
    batch(light, 1)
    do(light, kit.people(light, 1)[0], "Mine.")
    assert made(light).manifest["left_out"] == {}
    with light.read() as connection:
        assert exporting.export(connection, "first", b"x" * 40, floor=1).manifest["left_out"] == {"not reviewed": 1}


def test_personal_data_in_a_demonstration_lock_away_both(database: Database) -> None:
    batch(database, 1)
    ada, bob = kit.people(database, 2)
    do(database, ada, "Call 555-0100.")
    worker = Worker(bob, "train", 60)
    identity = str(slots.claim(database, worker)[0])
    answers.skip(database, worker, identity, "key-skip", "personal_data", "")
    with database.read() as connection:
        states = connection.execute(select(tables.item.c.kind, tables.item.c.state)).all()
    assert {tuple(one) for one in states} == {("demonstrate", "quarantined"), ("review", "quarantined")}
    assert all(b"555-0100" not in data for data in made(database).files.values())


def test_the_lead_sees_means_spread_and_what_is_rated_low(site: Site) -> None:
    database = site.database
    batch(database, 3, wanted=2)
    ada, bob, cleo = kit.people(database, 3)
    for text in ("Poor <b>", "Fair", "Good"):
        do(database, ada, text)
    for who, ratings in ((bob, (2, 4, 7)), (cleo, (3, 4, 6))):
        for rating in ratings:
            do(database, who, overall=rating, note=f"says {who}", gives_harmful_advice=rating < 4)
    with database.read() as connection:
        found = quality.overview(connection, "first")["reviews"]
    assert found["mean"]["interval"]["estimate"] == pytest.approx(26 / 6)
    assert (found["demonstrations"], found["reviews"], found["below"]) == (3, 6, 1)
    assert found["counts"] == {"1": 0, "2": 1, "3": 1, "4": 2, "5": 0, "6": 1, "7": 1}
    assert found["apart"] == pytest.approx(2 / 3)
    assert found["deviation"] == pytest.approx(1.6997, abs=1e-4)
    lead = site.person("lead", "Lena")
    lead.get("/manage/batches/first/quality")
    page = lead.get("/lead/batches/first").text
    assert "What others say of demonstrations" in page
    assert "4.33" in page
    waiting = lead.get("/lead/adjudication").text
    assert waiting.count("a demonstration that others rate low") == 1
    assert "2.5 of 7" in waiting
    number = waiting.partition('href="/lead/items/')[2].partition('"')[0]
    shown = lead.get(f"/lead/items/{number}").text
    for words in ("Poor &lt;b&gt;", "2 of 7", "3 of 7", f"says {bob}", "Gives harmful advice"):
        assert words in shown
    assert "labeler-" not in shown
    at = "/manage/batches/first/export/demonstrations.jsonl"
    counts = {floor: len(lead.get(at, params={"floor": floor}).text.splitlines()) for floor in (0, 2.5, 2.6, 7)}
    assert counts == {0: 3, 2.5: 3, 2.6: 2, 7: 0}
    program = site.key("export").get("/api/v1/batches/first/export/demonstrations.jsonl", params={"floor": 5})
    assert program.text.count("Good") == len(program.text.splitlines()) == 1
    assert lead.get(at, params={"floor": 8}).status_code == 422
    assert lead.post(f"/lead/items/{number}/decision", data={"decision": "keep"}).status_code == 303
    assert "a demonstration that others rate low" not in lead.get("/lead/adjudication").text


def test_a_reviewer_is_not_told_who_wrote_it_and_a_lead_reviews_nothing_they_put_in(site: Site) -> None:
    lead = site.person("lead", "Lena")
    with site.database.read() as connection:
        author = connection.execute(select(tables.person.c.id)).scalar_one()
    batch(site.database, 1, author=author)
    ada, bob = site.person("labeler", "Ada"), site.person("labeler", "Bob")
    task = ada.post("/work/claim", json={}).json()["task"]
    body = {"key": "key-of-ada", "document": written("What Ada wrote")}
    assert ada.post(f"/work/{task['slot']}/submit", json=body).status_code == 200
    assert lead.post("/work/claim", json={}).json()["task"] is None
    assert ada.post("/work/claim", json={}).json()["task"] is None
    answer = bob.post("/work/claim", json={})
    task = answer.json()["task"]
    assert (task["kind"], task["responses"][0]["text"]) == ("review", "What Ada wrote")
    page = bob.get(f"/task/{task['slot']}").text
    assert "What Ada wrote" in page
    with site.database.read() as connection:
        uid = connection.execute(select(tables.person.c.uid).where(tables.person.c.name == "Ada")).scalar_one()
    for hidden in ("Ada<", '"Ada"', "record-", uid, "#review"):
        assert hidden not in page
        assert hidden not in answer.text
    assert ada.get(f"/work/{task['slot']}").status_code == 404
    body = {"key": "key-of-bob", "document": review([task["responses"][0]["key"]], 6)}
    assert bob.post(f"/work/{task['slot']}/submit", json=body).json()["state"] == "accepted"
    assert "reviewed" in bob.get("/history").text


def test_a_plan_says_how_many_and_an_older_import_stays_the_same(light: Database) -> None:
    with pytest.raises(ValueError, match="reviews: 11"):
        Plan(reviews=11)
    source = Source(work=(Prompt(id="p", messages=(Message(role="user", content="Why?"),)),))
    kit.batch(light, kit.items(1, 1), "other")
    number = importing.put(light, "b", source, Plan(reviews=1, shared=0), "g1", None)
    assert importing.put(light, "b", source, Plan(reviews=1, shared=0), "g1", None) == number
    with pytest.raises(RefusedError, match="other contents"):
        importing.put(light, "b", source, Plan(reviews=2, shared=0), "g1", None)
    before = {field.name: field.default for field in dataclasses.fields(Plan) if field.name != "reviews"}
    assert importing._digest(source, Plan()) == _digest_of(before, source)


def _digest_of(plan: dict[str, Any], source: Source) -> str:
    """As it was before there were reviews."""
    import hashlib
    import json

    whole = hashlib.sha256(json.dumps([plan, source.practice, source.scores], sort_keys=True).encode())
    for one in source.work:
        whole.update(json.dumps(records.to_json(one), sort_keys=True).encode())
    return whole.hexdigest()


def test_a_review_that_cannot_be_read_does_not_take_the_pages_down(site: Site) -> None:
    batch(site.database, 2)
    ada, bob = kit.people(site.database, 2)
    for text in ("One.", "Two."):
        do(site.database, ada, text)
    for _ in range(2):
        do(site.database, bob, overall=2)
    with site.database.write() as connection:
        connection.execute(text_of("DROP TRIGGER answer_UPDATE"))
        connection.execute(text_of("UPDATE answer SET document = '{\"ratings\": 7}' WHERE id = 3"))
    lead = site.person("lead", "Lena")
    assert lead.get("/manage/batches/first/quality").json()["reviews"]["reviews"] == 1
    assert lead.get("/lead/adjudication").text.count("a demonstration that others rate low") == 1


def test_practice_is_not_reviewed(light: Database) -> None:
    guidelines.add(light, "g1", "Be helpful.", None)
    one = kit.items(1, 0, responses=0)[0]
    item = dataclasses.replace(one, stratum="practice", slots=[])
    new = NewBatch(name="first", plan={"reviews": 1}, guideline="g1", source_hash="x", author=None)
    batches.create(light, new, [item])
    do(light, kit.people(light, 1)[0], "Practice.")
    assert waiting(light) == 0
