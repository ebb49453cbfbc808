"""Candidates are judged by code, and a survey never tells of a person."""

from typing import Any

import pytest
from sqlalchemy import select

from assent.label import screening, survey
from assent.label.store import tables
from assent.label.store.database import Database
from assent.label.store.slots import RefusedError
from tests.label.web import Site


def answer(database: Database, **answers: str) -> None:
    database.transact(lambda connection: survey.add(connection, answers))


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
        ({"a": 9, "b": 1, "c": 1}, {"a": None, "b": None, "c": None}),  # 2 of b and c would be too few together
        ({"a": 9, "b": 3, "c": 3}, {"a": 9, "b": None, "c": None}),
        ({}, {"a": 0, "b": 0, "c": 0}),
    ],
)
def test_small_counts_and_what_gives_them_away_are_hidden(counts: dict[str, int], wanted: dict[str, Any]) -> None:
    assert survey.suppressed(counts, ("a", "b", "c")) == wanted


def test_an_answer_is_kept_without_person_time_or_order(light: Database) -> None:
    for n in range(12):
        answer(light, gender="Female" if n % 2 else "Male")
    assert set(tables.survey.c.keys()) == {"id", "cohort", "answers"}
    with light.read() as connection:
        rows = connection.exec_driver_sql("SELECT id FROM survey").scalars().all()
        assert rows == sorted(rows)
        assert connection.execute(select(tables.audit)).first() is None


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
