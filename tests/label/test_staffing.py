"""Candidates are judged by code, and a survey never tells of a person."""

import itertools
import random
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from assent.label import gold, quality, screening, survey
from assent.label.store import answers, backup, batches, slots, tables
from assent.label.store.database import Database
from assent.label.store.slots import RefusedError, Worker
from assent.records import FLAGS
from tests.label import kit
from tests.label.test_quality import do, judged
from tests.label.web import Site


def answer(database: Database, **answers: str) -> None:
    """Somebody who is new answers."""
    number = kit.people(database, 1)[0]
    database.transact(lambda connection: survey.add(connection, answers, number))


def told(database: Database) -> dict[str, Any]:
    with database.read() as connection:
        return survey.results(connection)


def test_only_whole_groups_of_five_are_counted(light: Database) -> None:
    for n in range(14):
        answer(light, age="25-34")
        assert told(light)["answers"] == 5 * ((n + 1) // 5)
    assert told(light)["questions"]["age"]["counts"]["25-34"] == 10


@pytest.mark.parametrize(
    ("counts", "wanted"),
    [
        ({"a": 5, "b": 6}, {"a": 5, "b": 6, "c": 0}),
        ({"a": 9, "b": 6, "c": 2}, {"a": 9, "b": None, "c": None}),  # c alone would follow from the total
        ({"a": 2, "b": 6, "c": 9}, {"a": None, "b": 6, "c": None}),  # the last, not the smallest: that would tell
        ({"a": 9, "b": 1, "c": 1}, {"a": None, "b": None, "c": None}),  # 2 of b and c would be too few together
        ({"a": 9, "b": 3, "c": 3}, {"a": 9, "b": None, "c": None}),
        ({}, {"a": 0, "b": 0, "c": 0}),
    ],
)
def test_small_counts_and_what_gives_them_away_are_hidden(counts: dict[str, int], wanted: dict[str, Any]) -> None:
    assert survey.suppressed(counts, ("a", "b", "c")) == wanted


@pytest.mark.parametrize(("size", "most"), [(3, 20), (4, 20), (6, 10), (7, 5)])
def test_no_hidden_count_can_be_worked_out(size: int, most: int) -> None:
    """By somebody who knows the rule, the total and every other count: always two answers at least are possible."""
    choices = tuple("abcdefg"[:size])
    possible: dict[tuple[int, Any], list[tuple[int, ...]]] = {}
    for cells in itertools.product(range(most + 1), repeat=size):
        if sum(cells) in range(survey.FEWEST, most + 1, survey.FEWEST):
            told = survey.suppressed(dict(zip(choices, cells, strict=True)), choices)
            possible.setdefault((sum(cells), tuple(told.values())), []).append(cells)
    assert len(possible) >= size
    for (_, told), every in possible.items():
        for place, count in enumerate(told):
            assert count is None or count == 0 or count >= survey.FEWEST
            assert count is not None or len({cells[place] for cells in every}) > 1, (told, every)


def test_an_answer_is_kept_without_person_time_or_order(database: Database) -> None:
    """Neither what the tables hold nor how their rows lie brings an answer and a person together."""
    people = kit.people(database, 14)
    random.Random(3).shuffle(people)
    for n, number in enumerate(people[:12]):
        said = {"gender": "Female" if n % 2 else "Male"}
        database.transact(lambda connection, said=said, number=number: survey.add(connection, said, number))
    assert set(tables.survey.c.keys()) == {"id", "cohort", "answers"}
    assert set(tables.surveyed.c.keys()) == {"person"}
    with database.read() as connection:
        rows = connection.exec_driver_sql("SELECT id FROM survey").scalars().all()
        assert rows == sorted(rows)
        who = connection.exec_driver_sql("SELECT person FROM surveyed").scalars().all()
        assert who == sorted(people[:12])
        assert connection.execute(select(tables.audit)).first() is None
        if not database.sqlite:  # as the rows lie on the disk, and the transaction that each is of
            for table, key in (("survey", "id"), ("surveyed", "person")):
                lie = connection.exec_driver_sql(f"SELECT {key}, xmin::text FROM {table} ORDER BY ctid").all()
                assert [row[0] for row in lie] == sorted(row[0] for row in lie)
                assert len({row[1] for row in lie}) == 1


def test_nobody_answers_twice(database: Database) -> None:
    """Also with two windows at once, and ten people at once make two whole groups."""
    people = kit.people(database, 10)
    refused: list[int] = []

    def window(number: int) -> None:
        try:
            database.transact(lambda connection: survey.add(connection, {"pay": "Agree"}, number))
        except RefusedError as error:
            refused.append(error.status)

    windows = [threading.Thread(target=window, args=(number,)) for number in people * 2]
    for one in windows:
        one.start()
    for one in windows:
        one.join()
    assert refused == [409] * 10
    assert told(database)["answers"] == 10
    assert told(database)["questions"]["pay"]["counts"]["Agree"] == 10
    with database.read() as connection:
        assert all(survey.answered(connection, number) for number in people)


def test_a_backup_does_not_say_who_has_answered(light: Database, tmp_path: Path) -> None:
    """Two of them would say it of a single answer; so somebody may answer again after a restore."""
    answer(light, pay="Agree")
    backup.backup(light, tmp_path / "backup")
    other = Database(f"sqlite:///{tmp_path}/other.db")
    backup.restore(other, tmp_path / "backup")
    with other.read() as connection:
        assert len(connection.execute(select(tables.survey)).all()) == 1
        assert connection.execute(select(tables.surveyed)).all() == []
    other.close()


@pytest.mark.parametrize("given", [{}, {"shoe": "44"}, {"age": "about forty"}])
def test_only_what_was_asked_can_be_answered(light: Database, given: dict[str, str]) -> None:
    with pytest.raises(RefusedError):
        answer(light, **given)


def test_candidates_have_codes_gates_and_no_names(site: Site) -> None:
    site.person("labeler", "Ada Lovelace")
    admin, lead = site.person("admin", "Root"), site.person("lead", "Lena")
    number = next(one["id"] for one in admin.get("/manage/people").json() if one["role"] == "labeler")
    assert admin.post("/manage/candidates", json={"person": number}).status_code == 204
    assert admin.post("/manage/candidates", json={"person": 99}).status_code == 404
    assert admin.get("/manage/candidates").status_code == 403  # who knows the names sees no scores
    shown = lead.get("/manage/candidates")
    assert "Ada" not in shown.text
    (one,) = shown.json()
    assert one["gates"] == {"flagging": "unknown", "ranking": "unknown", "demonstration": "unknown"}
    url = f"/manage/candidates/{one['candidate']}"
    scores = {"flagging": 0.8, "ranking": 0.74, "demonstration": 6, "topics": "any"}
    assert lead.post(f"{url}/scores", json={"scores": scores}).status_code == 204
    assert lead.post(f"{url}/scores", json={"scores": {"flagging": 80}}).status_code == 422
    gates = lead.get("/manage/candidates").json()[0]["gates"]
    assert gates == {"flagging": "pass", "ranking": "below", "demonstration": "pass"}
    assert lead.post(f"{url}/decision", json={"decision": "taken"}).status_code == 204  # the cut-offs are soft
    assert lead.post(f"{url}/decision", json={"decision": "declined"}).status_code == 404
    with site.database.read() as connection:
        details = (
            connection.execute(select(tables.audit.c.detail).where(tables.audit.c.action == "decided")).scalars().all()
        )
    assert '"ranking": "below"' in details[0]


def test_the_papers_cutoffs() -> None:
    assert screening.CUTOFFS["paper-1"] == {"flagging": 0.75, "ranking": 0.75, "demonstration": 6.0}


def test_labelers_answer_and_readers_count(site: Site) -> None:
    labeler = site.person("labeler", "Ada")
    questions = labeler.get("/work-survey").json()
    assert labeler.post("/work-survey", json={"answers": {"pay": questions["pay"]["choices"][0]}}).status_code == 204
    assert site.person("researcher", "Rosa").get("/manage/survey").json()["answers"] == 0
    assert labeler.get("/manage/survey").status_code == 403


# -- the four criteria ---------------------------------------------------------------------------------------------


def told_flags(*said: str) -> tuple[dict[str, bool | None], ...]:
    return tuple(dict.fromkeys(FLAGS, False) | ({one: True} if one else {}) for one in said)


def test_flags_are_compared_as_sensitive_or_not_with_most_leads() -> None:
    mine = [
        judged(1, "c", (1, 2, 3), flags=told_flags("violent_content", "", "")),
        judged(2, "c", (1, 2), flags=told_flags("expresses_opinion", "sexual_content")),
    ]
    leads = [
        judged(1, "l1", (1, 2, 3), flags=told_flags("gives_harmful_advice", "", "sexual_content")),
        judged(1, "l2", (1, 2, 3), flags=told_flags("violent_content", "violent_content", "")),
        judged(1, "l3", (1, 2, 3), flags=told_flags("violent_content", "violent_content", "")),
        judged(2, "l1", (1, 2), flags=told_flags("", "sexual_content")),
        judged(2, "l2", (1, 2), flags=told_flags("", "")),  # of two minds about the second: it says nothing
    ]
    # output 1/0: yes and yes; 1/1: no and most say yes; 1/2: no and most say no; 2/0: an opinion is not sensitive
    assert screening.same_flags(mine, leads) == pytest.approx(3 / 4)
    assert screening.same_flags(mine, []) is None


def proposed(database: Database, role: str = "labeler") -> tuple[int, str, int]:
    """A candidate, their code, and a lead."""
    (who,), (lead,) = kit.people(database, 1, role), kit.people(database, 1, "lead")
    database.transact(lambda connection: screening.propose(connection, who, lead))
    with database.read() as connection:
        return who, screening.candidates(connection)[0]["candidate"], lead


def test_flags_and_rankings_are_scored_from_a_batch(database: Database) -> None:
    who, code, lead = proposed(database)
    gold_items = [
        batches.NewItem(**{**one.__dict__, "stratum": "gold", "gold": [1, 2, 3, 4]}) for one in kit.items(5, 2)
    ]
    kit.batch(database, gold_items)
    for _ in range(5):
        do(database, Worker(who, "train", 60), (1, 2, 4, 3))
    with pytest.raises(RefusedError, match="no lead has judged"):
        database.transact(lambda connection: screening.score_flags(connection, code, "first", lead))
    for _ in range(5):
        do(database, Worker(lead, "train", 60), (1, 2, 3, 4))
    database.transact(lambda connection: screening.score_flags(connection, code, "first", lead))
    database.transact(lambda connection: screening.score_rankings(connection, code, "first", lead))
    with database.read() as connection:
        (one,) = screening.candidates(connection)
    assert one["scores"] == {"flagging": 1.0, "ranking": round(5 / 6, 4)}
    assert one["gates"] == {"flagging": "pass", "ranking": "pass", "demonstration": "unknown"}
    assert gold.gate([])["state"] == "unknown"


def test_writing_is_rated_by_leads_and_the_score_is_the_mean(database: Database) -> None:
    who, code, lead = proposed(database)
    kit.batch(database, kit.items(2, 1, responses=0))
    for n in range(2):
        identity, _ = slots.claim(database, Worker(who, "train", 60))
        assert identity is not None
        document = {"schema": 1, "response": f"Written {n}", "prompt_flags": {}, "note": "", "seconds": 3.0}
        answers.submit(database, Worker(who, "train", 60), identity, f"key-{n:06}", document)
    again = {**document, "response": "Written better"}
    answers.revise(database, Worker(who, "train", 60), identity, "key-again", again)
    (other,) = kit.people(database, 1, "lead")
    for actor, item, rating in ((lead, 1, 7), (lead, 2, 4), (other, 2, 6), (lead, 2, 5)):
        database.transact(
            lambda connection, actor=actor, item=item, rating=rating: screening.rate(
                connection, code, item, rating, actor
            )
        )
    with database.read() as connection:
        assert [one["response"] for one in screening.writings(connection, code)] == ["Written 0", "Written better"]
        (one,) = screening.candidates(connection)
    assert one["scores"]["demonstration"] == 6.0  # of 7, 5 (the second time counts) and 6
    assert one["gates"]["demonstration"] == "pass"
    for item, rating, status in ((1, 8, 422), (9, 5, 404)):
        with pytest.raises(RefusedError) as refused:
            database.transact(
                lambda connection, item=item, rating=rating: screening.rate(connection, code, item, rating, lead)
            )
        assert refused.value.status == status


def test_who_is_being_screened_has_a_code_on_the_page_of_quality_too(light: Database) -> None:
    who, code, lead = proposed(light)
    kit.batch(light, kit.items(2, 2))
    for one in (who, lead):
        for _ in range(2):
            do(light, Worker(one, "train", 60), (1, 2, 3, 4))
    with light.read() as connection:
        found = quality.overview(connection, "first")
    assert {one["labeler"] for one in found["labelers"]} == {"lead-1", f"candidate {code[:6]}"}
    assert "labeler-0" not in str(found)
    light.transact(lambda connection: screening.decide(connection, code, "taken", lead))
    with light.read() as connection:
        assert "labeler-0" in str(quality.overview(connection, "first"))


def test_only_a_candidate_tells_topics(light: Database) -> None:
    who, code, lead = proposed(light)
    light.transact(lambda connection: screening.tell_topics(connection, who, "  Politics; people with disabilities "))
    with light.read() as connection:
        assert screening.candidates(connection)[0]["scores"] == {"topics": "Politics; people with disabilities"}
    for number, words in ((lead, "all"), (who, " "), (who, "x" * 5001)):
        with pytest.raises(RefusedError):
            light.transact(
                lambda connection, number=number, words=words: screening.tell_topics(connection, number, words)
            )
    light.transact(lambda connection: screening.decide(connection, code, "declined", lead))
    with pytest.raises(RefusedError, match="not being screened"):
        light.transact(lambda connection: screening.tell_topics(connection, who, "all"))


def test_pages_of_candidates_have_no_names(site: Site) -> None:
    labeler = site.person("labeler", "Ada Lovelace")
    admin, lead = site.person("admin", "Root"), site.person("lead", "Lena")
    assert "Screen Ada Lovelace" in admin.get("/admin").text
    assert admin.post("/admin/people/1/propose").status_code == 303
    assert "You are being screened" in labeler.get("/tasks").text
    assert labeler.post("/screening", data={"topics": "Sports <b>"}).status_code == 303
    listed = lead.get("/lead/candidates").text
    code = listed.partition("/lead/candidates/")[2].partition('"')[0]
    shown = lead.get(f"/lead/candidates/{code}")
    assert shown.status_code == 200
    assert "Sports &lt;b&gt;" in shown.text
    assert "Ada" not in listed + shown.text
    for path in ("/lead/candidates", f"/lead/candidates/{code}"):
        assert admin.get(path).status_code == 403
        assert labeler.get(path).status_code == 403
    told = lead.post(f"/lead/candidates/{code}/batch", data={"batch": "x", "what": "ranking"})
    assert told.status_code == 404
    kit.batch(site.database, kit.items(1, 1))
    told = lead.post(f"/lead/candidates/{code}/batch", data={"batch": "first", "what": "ranking"})
    assert (told.status_code, "no item with a known answer" in told.text) == (409, True)
    assert lead.post(f"/lead/candidates/{code}/decision", data={"decision": "taken"}).status_code == 303
    assert "You are being screened" not in labeler.get("/tasks").text


def test_the_pages_of_the_survey(site: Site) -> None:
    labeler, reader = site.person("labeler", "Ada"), site.person("researcher", "Rosa")
    assert reader.get("/survey").status_code == 403
    assert labeler.get("/lead/survey").status_code == 403
    assert labeler.post("/survey", data={}).status_code == 422
    assert labeler.post("/survey", data={"shoe": "44"}).status_code == 422
    for n in range(7):
        one = site.person("labeler", f"Ada {n}")
        assert "Send without my name" in one.get("/survey").text
        said = {"age": "25-34", "pay": "Agree" if n else "Disagree"}
        assert one.post("/survey", data=said).status_code == 303
        assert "Send without my name" not in one.get("/survey").text
        assert one.post("/survey", data=said).status_code == 409
    shown = reader.get("/lead/survey").text
    assert '<strong class="number">5</strong>' in shown
    assert "hidden" in shown  # four agree and one does not: neither is told
