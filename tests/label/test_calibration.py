"""Labelers compare answers to the same item afterwards: nobody earlier, nobody by name, and nobody to change theirs."""

import dataclasses
import re
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select, update

from assent.label.store import batches, calibration, tables
from assent.label.store.database import Database
from assent.label.store.slots import RefusedError, Worker
from tests.label import kit
from tests.label.test_quality import do
from tests.label.web import Site

HIDDEN = 404


def put(site: Site, overlap: int = 3, **more: Any) -> None:
    facts = {"stratum": "overlap", **more}
    kit.batch(site.database, [dataclasses.replace(one, **facts) for one in kit.items(1, overlap)])


def taken(client: TestClient) -> dict[str, Any]:
    return client.post("/work/claim", json={}).json()["task"]


def handed_in(client: TestClient, task: dict[str, Any], turned: bool = False, action: str = "submit") -> int:
    """Rank by the text, or the other way round; the status."""
    by_text = sorted(task["responses"], key=lambda one: one["text"], reverse=turned)
    document = kit.ranking([one["key"] for one in by_text])
    body = {"key": f"key-{action}-{task['slot'][:8]}", "document": document}
    return client.post(f"/work/{task['slot']}/{action}", json=body).status_code


def page_of(client: TestClient, slot: str) -> tuple[int, str]:
    answer = client.get(f"/calibration/{slot}")
    return answer.status_code, answer.text


def ranks(page: str) -> list[list[int]]:
    """Output by output, the tiers that the page shows."""
    cell = re.compile(r'</th><td class="end number">(\d+)</td>')
    return [[int(one) for one in cell.findall(part)] for part in tables_of(page)]


def tables_of(page: str) -> list[str]:
    return page.split("<tbody>")[1:]


def test_nobody_reads_another_answer_before_both_have_handed_in_and_a_lead_has_opened_it(site: Site) -> None:
    put(site)
    ada, bob, cleo = (site.person("labeler", name) for name in ("Ada", "Bob", "Cleo"))
    lead = site.person("lead", "Lena")
    tasks = [taken(client) for client in (ada, bob, cleo)]
    slots = [task["slot"] for task in tasks]

    def closed_to(*clients: tuple[TestClient, str]) -> bool:
        """Neither reading nor asking to look is let through, and the lists do not offer it."""
        return all(
            page_of(client, slot)[0] == HIDDEN
            and client.post(f"/calibration/{slot}").status_code == HIDDEN
            and f"/calibration/{slot}" not in client.get("/history").text + client.get("/tasks").text
            for client, slot in clients
        )

    each = list(zip((ada, bob, cleo), slots, strict=True))
    assert lead.post("/lead/batches/first/calibration", data={"on": "true"}).status_code == 303
    assert closed_to(*each)  # nobody has handed in
    assert handed_in(ada, tasks[0]) == 200
    assert closed_to(*each)  # Ada alone has, and Bob and Cleo are at work
    assert handed_in(bob, tasks[1], turned=True) == 200
    assert closed_to((cleo, slots[2]), (ada, slots[1]), (bob, slots[0]), (cleo, slots[0]))
    lead.post("/lead/batches/first/calibration", data={"on": "false"})
    assert closed_to(*each)
    lead.post("/lead/batches/first/calibration", data={"on": "true"})
    status, before = page_of(ada, slots[0])
    assert status == 200
    assert tables_of(before) == []  # offered, and not yet shown
    assert f"/calibration/{slots[0]}" in ada.get("/history").text
    assert ada.post(f"/calibration/{slots[0]}").status_code == 303
    status, shown = page_of(ada, slots[0])
    assert status == 200
    order = [one["text"] for one in tasks[0]["responses"]]
    mine = [sorted(order).index(text) + 1 for text in order]
    assert ranks(shown) == [[rank, 5 - rank] for rank in mine]
    assert shown.count('<th scope="row">You') == 4
    with site.database.read() as connection:
        uids = connection.execute(select(tables.person.c.uid)).scalars().all()
    for hidden in ("Bob", "Cleo", "secret-model", "record-", *uids):
        assert hidden not in shown
    assert closed_to((cleo, slots[2]), (cleo, slots[0]), (cleo, slots[1]))
    assert handed_in(cleo, tasks[2]) == 200
    assert len(ranks(page_of(ada, slots[0])[1])[0]) == 3


def test_once_one_has_looked_neither_revises(site: Site) -> None:
    put(site, 2)
    ada, bob = site.person("labeler", "Ada"), site.person("labeler", "Bob")
    site.database.transact(lambda connection: connection.execute(update(tables.batch).values(calibration=1.0)))
    tasks = [taken(client) for client in (ada, bob)]
    assert [handed_in(client, task) for client, task in zip((ada, bob), tasks, strict=True)] == [200, 200]
    assert handed_in(bob, tasks[1], True, "revise") == 200
    assert page_of(ada, tasks[0]["slot"])[0] == 200  # to be offered it is not to look
    assert handed_in(ada, tasks[0], True, "revise") == 200
    ada.post(f"/calibration/{tasks[0]['slot']}")
    for client, task in zip((ada, bob), tasks, strict=True):
        body = {"key": "key-once-more", "document": kit.ranking([one["key"] for one in task["responses"]])}
        answer = client.post(f"/work/{task['slot']}/revise", json=body)
        assert (answer.status_code, "compared" in answer.json()["detail"]) == (409, True)


@pytest.mark.parametrize("changes", [{"stratum": "single"}, {"stratum": "gold", "gold": [1, 2, 3, 4]}])
def test_only_shared_items_are_compared(site: Site, changes: dict[str, Any]) -> None:
    """And no known answer, which would no longer be one."""
    put(site, 2, **changes)
    ada, bob = site.person("labeler", "Ada"), site.person("labeler", "Bob")
    calibration.switch(site.database, "first", True, 1)
    tasks = [taken(client) for client in (ada, bob)]
    for client, task in zip((ada, bob), tasks, strict=True):
        handed_in(client, task)
    assert page_of(ada, tasks[0]["slot"])[0] == HIDDEN


def test_held_out_labelers_and_the_others_do_not_see_each_other(site: Site) -> None:
    put(site, 3)
    clients = [site.person("labeler", "Ada"), site.person("labeler", "Bob", "heldout")]
    calibration.switch(site.database, "first", True, 1)
    for client in clients:
        task = taken(client)
        handed_in(client, task)
        assert page_of(client, task["slot"])[0] == HIDDEN
    cleo = site.person("labeler", "Cleo")
    task = taken(cleo)
    handed_in(cleo, task)
    cleo.post(f"/calibration/{task['slot']}")
    assert len(ranks(page_of(cleo, task["slot"])[1])[0]) == 2


def test_who_is_to_do_it_again_does_not_look_and_who_has_looked_does_not_do_it_again(database: Database) -> None:
    made = [dataclasses.replace(one, stratum="overlap") for one in kit.items(2, 2)]
    kit.batch(database, made)
    ada, bob = (Worker(who, "train", 60) for who in kit.people(database, 2))
    calibration.switch(database, "first", True, ada.id)
    for worker in (ada, bob):
        for _ in made:
            do(database, worker, (1, 2, 3, 4))

    def views(worker: Worker) -> list[str]:
        with database.read() as connection:
            mine = select(tables.view.c.id).where(tables.view.c.labeler == worker.id).order_by(tables.view.c.item)
            return list(connection.execute(mine).scalars())

    calibration.look(database, ada, views(ada)[0])
    assert batches.repeat(database, "first", 1.0, 7, None) == 3  # all but what Ada has looked at
    calibration.look(database, ada, views(ada)[0])
    for worker, number in ((ada, 1), (bob, 0), (bob, 1)):
        with pytest.raises(RefusedError, match="nothing to compare"):
            calibration.look(database, worker, views(worker)[number])
    with database.read() as connection:
        assert calibration.latest(connection, 1) == [(1, 1)]


def test_personal_data_close_it_at_once(site: Site) -> None:
    put(site, 3)
    ada, bob, cleo = (site.person("labeler", name) for name in ("Ada", "Bob", "Cleo"))
    calibration.switch(site.database, "first", True, 1)
    tasks = [taken(client) for client in (ada, bob, cleo)]
    handed_in(ada, tasks[0])
    handed_in(bob, tasks[1])
    ada.post(f"/calibration/{tasks[0]['slot']}")
    assert page_of(ada, tasks[0]["slot"])[0] == 200
    cleo.post(f"/work/{tasks[2]['slot']}/skip", json={"key": "key-skip", "reason": "personal_data"})
    assert page_of(ada, tasks[0]["slot"])[0] == HIDDEN


def test_the_lead_opens_it_and_sees_what_was_looked_at(site: Site) -> None:
    put(site, 2)
    lead, rosa = site.person("lead", "Lena"), site.person("researcher", "Rosa")
    assert "they may not" in lead.get("/lead/batches/first").text
    lead.post("/lead/batches/first/calibration", data={"on": "true"})
    assert "they may not" not in lead.get("/lead/batches/first").text
    assert rosa.post("/lead/batches/first/calibration", data={"on": "false"}).status_code == 403
    ada, bob = site.person("labeler", "Ada"), site.person("labeler", "Bob")
    tasks = [taken(client) for client in (ada, bob)]
    for client, task in zip((ada, bob), tasks, strict=True):
        handed_in(client, task)
    bob.post(f"/calibration/{tasks[1]['slot']}")
    assert "Looked at last" in rosa.get("/lead/batches/first").text
    with site.database.read() as connection:
        said = connection.execute(select(tables.audit.c.action).order_by(tables.audit.c.number)).scalars().all()
    assert "opened to compare" in said
