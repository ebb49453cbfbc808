"""Work is handed out exactly: never one too many, never twice to one labeler, nothing acknowledged lost."""

import random
import threading
import time
import uuid
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import func, select

from assent.label.store import answers, batches, slots
from assent.label.store.database import Database
from assent.label.store.slots import RefusedError, Worker
from assent.label.store.tables import answer, draft, item, receipt, slot, view
from tests.label import kit


def workers(database: Database, count: int, lease: float = 60, team: str = "train") -> list[Worker]:
    return [Worker(one, team, lease) for one in kit.people(database, count, team=team)]


def shown(database: Database, identity: str) -> list[str]:
    with database.read() as connection:
        return [key for key, _ in connection.execute(select(view.c.shown).where(view.c.id == identity)).scalar_one()]


def hand_in(database: Database, worker: Worker, identity: str, key: str = "") -> dict[str, Any]:
    document = kit.ranking(shown(database, identity))
    return answers.submit(database, worker, identity, key or str(uuid.uuid4()), document)


def claimed(database: Database, worker: Worker) -> str:
    identity, _ = slots.claim(database, worker)
    assert identity is not None
    return identity


def accepted(database: Database) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    with database.read() as connection:
        for row in connection.execute(select(slot.c.item, slot.c.labeler).where(slot.c.state == "submitted")):
            found.setdefault(row.item, []).append(row.labeler)
    return found


@pytest.mark.parametrize(("overlap", "count"), [(1, 40), (3, 14), (5, 8)])
def test_forty_at_once_fill_every_slot_once(database: Database, overlap: int, count: int) -> None:
    """Two tabs a labeler, one in ten walks away, one in five submits twice, and the leases are short."""
    kit.batch(database, kit.items(count, overlap))
    everybody = workers(database, 10, lease=0.3)
    acknowledged: list[tuple[str, str]] = []
    wrong: list[BaseException] = []

    def tab(worker: Worker, seed: int) -> None:
        rng = random.Random(seed)
        try:
            idle = 0
            while idle < 3:
                identity, _ = slots.claim(database, worker)
                if identity is None:
                    idle += 1
                    time.sleep(0.15)
                    continue
                if rng.random() < 0.1:
                    time.sleep(0.05)
                    continue
                key = str(uuid.uuid4())
                try:
                    said = hand_in(database, worker, identity, key)
                except RefusedError as refused:  # the labeler's other tab was first, with another document
                    if refused.status == 409:
                        continue
                    raise
                acknowledged.append((identity, said["state"]))
                if rng.random() < 0.2:
                    assert hand_in(database, worker, identity, key) == said
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=tab, args=(one, n)) for n, one in enumerate(everybody * 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, wrong[0]
    filled = accepted(database)
    assert Counter(len(who) for who in filled.values()) == {overlap: count}
    assert all(len(set(who)) == len(who) for who in filled.values())
    with database.read() as connection:
        kept = {(row.view, row.state) for row in connection.execute(select(answer.c.view, answer.c.state))}
        repeated = connection.execute(select(answer.c.view).group_by(answer.c.view).having(func.count() > 1)).all()
    assert set(acknowledged) <= kept
    assert not repeated
    assert sum(state == "accepted" for _, state in kept) == overlap * count


def test_the_same_open_lease_is_given_again(database: Database) -> None:
    kit.batch(database, kit.items(3, 1))
    worker = workers(database, 1)[0]
    first, _ = slots.claim(database, worker)
    with database.read() as connection:
        assert slots.left(connection, worker) == 2
    assert slots.claim(database, worker)[0] == first


def test_a_lapsed_lease_is_given_again_to_its_holder(database: Database) -> None:
    kit.batch(database, kit.items(3, 1))
    worker = workers(database, 1, lease=-1)[0]
    assert claimed(database, worker) == claimed(database, worker)


def test_late_work_is_kept_as_surplus(database: Database) -> None:
    kit.batch(database, kit.items(1, 1))
    slow, quick = workers(database, 2, lease=-1)
    late = claimed(database, slow)
    slots.keep_draft(database, slow, late, {"schema": 1, "note": "half"}, 0)
    assert hand_in(database, quick, claimed(database, quick))["state"] == "accepted"
    assert slots.claim(database, slow)[0] is None
    with database.read() as connection:
        assert slots.owned(connection, slow, late).state == "open"
    assert hand_in(database, slow, late)["state"] == "surplus"
    assert [len(who) for who in accepted(database).values()] == [1]


def test_late_work_counts_where_a_slot_is_free_again(database: Database) -> None:
    kit.batch(database, kit.items(2, 2))
    slow, first, second = workers(database, 3, lease=-1)
    late = claimed(database, slow)
    taken = claimed(database, first)
    with database.read() as connection:
        assert slots.owned(connection, slow, late).item == slots.owned(connection, first, taken).item
    assert claimed(database, slow) == late
    assert hand_in(database, first, taken)["state"] == "accepted"
    assert hand_in(database, slow, late)["state"] == "accepted"
    assert hand_in(database, second, claimed(database, second))["state"] == "accepted"


def test_a_key_is_spent_once(database: Database) -> None:
    kit.batch(database, kit.items(2, 1))
    worker = workers(database, 1)[0]
    identity, key = claimed(database, worker), str(uuid.uuid4())
    said = hand_in(database, worker, identity, key)
    assert hand_in(database, worker, identity, key) == said
    with pytest.raises(RefusedError, match="another submission"):
        hand_in(database, worker, claimed(database, worker), key)
    with database.read() as connection:
        assert connection.execute(select(func.count()).select_from(answer)).scalar_one() == 1
        assert connection.execute(select(func.count()).select_from(receipt)).scalar_one() == 1


def test_a_second_window_with_another_answer_is_told(database: Database) -> None:
    kit.batch(database, kit.items(1, 1))
    worker = workers(database, 1)[0]
    identity = claimed(database, worker)
    assert hand_in(database, worker, identity)["state"] == "accepted"
    assert hand_in(database, worker, identity)["state"] == "accepted"  # the same again: a double click
    document = {**kit.ranking(shown(database, identity)), "note": "another"}
    with pytest.raises(RefusedError, match="another window") as refused:
        answers.submit(database, worker, identity, "key", document)
    assert refused.value.status == 409


def test_drafts_have_versions(database: Database) -> None:
    kit.batch(database, kit.items(1, 1))
    worker = workers(database, 1)[0]
    identity = claimed(database, worker)
    assert slots.keep_draft(database, worker, identity, {"note": "a"}, 0) == 1
    assert slots.keep_draft(database, worker, identity, {"note": "b"}, 1) == 2
    assert slots.keep_draft(database, worker, identity, {"note": "b"}, 1) == 2  # its answer was lost
    with pytest.raises(RefusedError) as refused:
        slots.keep_draft(database, worker, identity, {"note": "c"}, 1)
    assert refused.value.status == 409
    assert refused.value.more == {"version": 2, "document": {"note": "b"}}


@pytest.mark.parametrize("saved", [0, 1])
def test_of_windows_that_save_at_once_one_is_kept(database: Database, saved: int) -> None:
    """The first draft and a later one: nobody writes over what they have not seen."""
    kit.batch(database, kit.items(1, 1))
    worker = workers(database, 1)[0]
    identity = claimed(database, worker)
    if saved:
        slots.keep_draft(database, worker, identity, {"note": "before"}, 0)
    kept: list[str] = []
    told: list[str] = []

    def window(note: str) -> None:
        try:
            slots.keep_draft(database, worker, identity, {"note": note}, saved)
            kept.append(note)
        except RefusedError as refused:
            told.append(refused.more["document"]["note"])

    windows = [threading.Thread(target=window, args=(f"window {n}",)) for n in range(8)]
    for one in windows:
        one.start()
    for one in windows:
        one.join()
    assert (len(kept), told) == (1, kept * 7)
    with database.read() as connection:
        assert connection.execute(select(draft.c.version)).scalars().all() == [saved + 1]


def test_nobody_sees_the_task_of_another(database: Database) -> None:
    kit.batch(database, kit.items(1, 1))
    mine, other = workers(database, 2)
    identity = claimed(database, mine)
    for act in (
        lambda: hand_in(database, other, identity),
        lambda: slots.keep_draft(database, other, identity, {}, 0),
        lambda: answers.skip(database, other, identity, "k", "unclear", ""),
        lambda: answers.revise(database, other, identity, "k", kit.ranking(shown(database, identity))),
    ):
        with pytest.raises(RefusedError) as refused:
            act()
        assert refused.value.status == 404


def test_a_skip_gives_the_slot_to_others_and_never_back(database: Database) -> None:
    kit.batch(database, kit.items(1, 1))
    shy, bold = workers(database, 2)
    slots.keep_draft(database, shy, claimed(database, shy), {"note": "half"}, 0)
    answers.skip(database, shy, claimed(database, shy), "k", "unclear", "")
    with database.read() as connection:
        assert connection.execute(select(draft)).first() is None  # and nothing is left of what was begun
    assert slots.claim(database, shy)[0] is None
    assert hand_in(database, bold, claimed(database, bold))["state"] == "accepted"


def test_personal_data_sets_an_item_aside_at_once(database: Database) -> None:
    kit.batch(database, kit.items(1, 3))
    first, second, third = workers(database, 3)
    held = claimed(database, second)
    answers.skip(database, first, claimed(database, first), "k", "personal_data", "a telephone number")
    assert slots.claim(database, third)[0] is None
    assert hand_in(database, second, held)["state"] == "surplus"
    with database.read() as connection:
        assert connection.execute(select(item.c.state)).scalar_one() == "quarantined"


def test_what_three_skip_is_parked_until_a_lead_releases_it(database: Database) -> None:
    kit.batch(database, kit.items(1, 1))
    everybody = workers(database, 5)
    for n, worker in enumerate(everybody[:3]):
        answers.skip(database, worker, claimed(database, worker), f"k{n}", "unclear", "")
    assert slots.claim(database, everybody[3])[0] is None
    with database.read() as connection:
        number = connection.execute(select(item.c.id)).scalar_one()
    batches.release(database, number, everybody[4].id)
    assert slots.claim(database, everybody[3])[0] is not None


def test_a_frozen_batch_takes_no_revision_and_no_new_work(database: Database) -> None:
    kit.batch(database, kit.items(3, 1))
    done, late, new = workers(database, 3)
    identity = claimed(database, done)
    hand_in(database, done, identity)
    document = {**kit.ranking(shown(database, identity)), "note": "better"}
    revised = answers.revise(database, done, identity, "r1", document)
    assert revised["revision"] == 2
    assert answers.revise(database, done, identity, "r1", document) == revised
    held = claimed(database, late)
    batches.freeze(database, "first", None)
    with pytest.raises(RefusedError, match="frozen"):
        answers.revise(database, done, identity, "r2", document)
    assert slots.claim(database, new)[0] is None
    assert hand_in(database, late, held)["state"] == "surplus"
    kit.batch(database, kit.items(1, 1), "second")
    assert slots.claim(database, late)[0] is not None


def test_revisions_are_appended_and_nothing_is_overwritten(database: Database) -> None:
    kit.batch(database, kit.items(1, 1))
    worker = workers(database, 1)[0]
    identity = claimed(database, worker)
    hand_in(database, worker, identity)
    answers.revise(database, worker, identity, "r", {**kit.ranking(shown(database, identity)), "note": "b"})
    with database.read() as connection:
        notes = connection.execute(select(answer.c.document).order_by(answer.c.revision)).scalars().all()
    assert [note["note"] for note in notes] == ["", "b"]


@pytest.mark.parametrize("deed", ["UPDATE answer SET seconds = 0", "DELETE FROM answer"])
def test_the_database_itself_refuses_to_change_an_answer(database: Database, deed: str) -> None:
    kit.batch(database, kit.items(1, 1))
    worker = workers(database, 1)[0]
    hand_in(database, worker, claimed(database, worker))
    with pytest.raises(Exception, match="append-only"), database.write() as connection:
        connection.exec_driver_sql(deed)


def test_held_out_slots_are_for_held_out_labelers(database: Database) -> None:
    made = kit.items(1, 0)
    places = [batches.NewSlot("heldout", 0.0), batches.NewSlot("train", 0.5)]
    kit.batch(database, [batches.NewItem(**{**made[0].__dict__, "slots": places})])
    train, other = workers(database, 2)
    held = workers(database, 1, team="heldout")[0]
    assert slots.claim(database, train)[0] is not None
    assert slots.claim(database, other)[0] is None
    assert slots.claim(database, held)[0] is not None


def test_nobody_ranks_what_they_wrote_or_put_in(database: Database) -> None:
    writer, lead, other = workers(database, 3)
    kit.batch(database, kit.items(1, 3, authors=[writer.id]), author=lead.id)
    assert slots.claim(database, writer)[0] is None
    assert slots.claim(database, lead)[0] is None
    assert slots.claim(database, other)[0] is not None


def test_practice_comes_first_once_and_takes_no_slot(database: Database) -> None:
    practice = kit.items(1, 0)[0]
    made = [batches.NewItem(**{**practice.__dict__, "stratum": "practice", "record": "p"}), *kit.items(1, 2)]
    kit.batch(database, made)
    for worker in workers(database, 2):
        assert hand_in(database, worker, claimed(database, worker))["state"] == "accepted"
        assert hand_in(database, worker, claimed(database, worker))["state"] == "accepted"
        assert slots.claim(database, worker)[0] is None
    assert sorted(len(who) for who in accepted(database).values()) == [2]


def test_responses_are_shuffled_by_labeler_and_the_order_is_kept(database: Database) -> None:
    kit.batch(database, kit.items(1, 20, responses=6))
    orders: list[list[int]] = []
    for worker in workers(database, 20):
        identity = claimed(database, worker)
        with database.read() as connection:
            row = slots.owned(connection, worker, identity)
        orders.append([place for _, place in row.shown])
        assert len({key for key, _ in row.shown}) == 6
    assert all(sorted(one) == list(range(6)) for one in orders)
    assert len({tuple(one) for one in orders}) > 15
    assert len({one[0] for one in orders}) > 2


def test_order_is_a_function_of_seed_item_and_labeler() -> None:
    assert slots.order(1, 2, "a", 9) == slots.order(1, 2, "a", 9)
    assert len({tuple(slots.order(seed, 2, "a", 9)) for seed in range(9)}) > 7


def test_a_missing_answer_is_named(database: Database) -> None:
    kit.batch(database, kit.items(1, 1))
    worker = workers(database, 1)[0]
    identity = claimed(database, worker)
    keys = shown(database, identity)
    document = kit.ranking(keys)
    del document["ranks"][keys[1]]  # pyright: ignore
    del document["ratings"][keys[2]]  # pyright: ignore
    with pytest.raises(RefusedError, match="response 2 has no rank") as refused:
        answers.submit(database, worker, identity, "k", document)
    assert refused.value.status == 422
    assert "response 3 has no overall" in refused.value.sentence
    with database.read() as connection:
        assert connection.execute(select(func.count()).select_from(answer)).scalar_one() == 0
