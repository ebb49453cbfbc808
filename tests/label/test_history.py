"""The check of a history sees what must not be; and servers and databases that are killed leave nothing of it."""

import time
from pathlib import Path

import pytest
from scripts import label_soak
from scripts.label_history import Event, Kept, wrong
from scripts.label_people import Site

from tests.label import kit

TASKS, PLACES = {"t1": 1, "t2": 1}, {1: 1}


def call(
    number: int,
    deed: str,
    start: float,
    end: float,
    task: str,
    text: str = "",
    told: str = "",
    *,
    labeler: int = 1,
    kind: str = "ok",
) -> list[Event]:
    begun = Event(start, number, "invoke", deed, labeler, "" if deed == "claim" else task, text)
    return [begun, Event(end, number, kind, deed, labeler, task, text, told)]


def kept(task: str, revision: int, text: str, state: str = "accepted", labeler: int = 1) -> Kept:
    return Kept(task, 1, labeler, revision, state, text)


CLAIM = call(0, "claim", 0, 1, "t1")
SUBMIT = call(1, "submit", 2, 3, "t1", "a", "accepted")
FIRST = kept("t1", 1, "a")


def test_a_history_that_can_be() -> None:
    unsure = call(2, "revise", 4, 5, "t1", "b", kind="info")
    revised = call(3, "revise", 6, 7, "t1", "c", "3")
    both = [FIRST, kept("t1", 2, "b"), kept("t1", 3, "c")]
    assert wrong([*CLAIM, *SUBMIT, *unsure, *revised], both, TASKS, PLACES, 10) == []
    assert wrong([*CLAIM, *SUBMIT, *unsure], [FIRST], TASKS, PLACES, 10) == []
    late = [*call(4, "claim", 11, 12, "t2", labeler=2), *call(5, "submit", 13, 14, "t2", "d", "accepted", labeler=2)]
    surplus = call(6, "submit", 15, 16, "t1", "a", "surplus")
    found = [kept("t2", 1, "d", labeler=2), kept("t1", 1, "a", "surplus")]
    assert wrong([*CLAIM, *late, *surplus], found, TASKS, PLACES, 10) == []


@pytest.mark.parametrize(
    ("events", "answers", "said"),
    [
        ([*CLAIM, *SUBMIT], [], "submit a of t1 was acknowledged and is not there"),
        ([*CLAIM, *SUBMIT], [kept("t1", 1, "a", "surplus")], "was told to be accepted and is surplus"),
        ([*CLAIM, *SUBMIT, *call(2, "submit", 4, 5, "t1", "b", kind="fail")], [FIRST, kept("t1", 2, "b")], "refused"),
        ([*CLAIM, *SUBMIT], [FIRST, kept("t1", 2, "x")], "x of t1 is there and was never sent"),
        (
            [*SUBMIT, *call(2, "submit", 2, 3, "t2", "b", "accepted", labeler=2)],
            [FIRST, kept("t2", 1, "b", labeler=2)],
            "item 1 has 2 answers for 1 places",
        ),
        (
            [*SUBMIT, *call(2, "submit", 2, 3, "t2", "b", "surplus")],
            [FIRST, kept("t2", 1, "b", "surplus")],
            "labeler 1 has answered item 1 2 times",
        ),
        (
            [*SUBMIT, *call(2, "revise", 4, 5, "t1", "b", "3"), *call(3, "revise", 6, 7, "t1", "c", "2")],
            [FIRST, kept("t1", 3, "b"), kept("t1", 2, "c")],
            "b of t1 was there before c was sent, and comes after it",
        ),
        ([*SUBMIT, *call(2, "revise", 4, 5, "t1", "b", "3")], [FIRST, kept("t1", 3, "b")], "are numbered [1, 3]"),
        ([*CLAIM, *call(2, "claim", 2, 3, "t2", labeler=2)], [], "item 1 had 2 labelers at once on 1 places"),
    ],
)
def test_a_history_that_cannot_be(events: list[Event], answers: list[Kept], said: str) -> None:
    found = wrong(events, answers, TASKS, PLACES, 10)
    assert any(said in one for one in found), found


def test_what_was_told_while_all_is_killed_can_be(url: str, folder: Path, request: pytest.FixtureRequest) -> None:
    """Six labelers revise and send twice, while the server, and PostgreSQL, are killed under them."""
    (folder / "server").mkdir()
    site = Site(url, folder / "server", 6)
    kit.batch(site.database, kit.items(600, 2))

    def faults() -> None:
        for _ in range(2):
            time.sleep(1.5)
            if not site.database.sqlite:
                postgresql: kit.Server = request.getfixturevalue("postgresql")
                postgresql.stall()
                postgresql.kill()
                postgresql.start_again()
            site.server.kill()
            site.server.start()

    try:
        tally = site.run(2, twice=0.3, revises=0.5, walks=0.1, seconds=3.0, faults=faults)
        assert not tally.errors
        assert tally.retries > 0
        assert {one.deed for one in site.told.events} == {"claim", "submit", "revise"}
        assert site.history() == []
        last = next(one for one in reversed(site.told.events) if one.kind == "ok" and one.deed == "submit")
        site.told.events.append(Event(last.at, -1, "invoke", "submit", last.labeler, last.task, "another"))
        site.told.events.append(Event(last.at, -1, "ok", "submit", last.labeler, last.task, "another", "accepted"))
        assert site.history() == [f"submit another of {last.task} was acknowledged and is not there"]
    finally:
        site.close()


def test_growth_is_the_slope_after_the_warm_up() -> None:
    samples = [(float(one), 100 + 20.0 * one if one < 6 else 220 + 0.25 * one) for one in range(30)]
    slope, error = label_soak.growth(samples, 6)
    assert slope == pytest.approx(0.25)
    assert error < 1e-6
