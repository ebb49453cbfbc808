"""What happens around a server: its database starts again, its clock is wrong, its SQLite is an older one."""

import sqlite3
import time
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from assent.label.store.database import BusyError, Database, guard
from tests.label import kit
from tests.label.web import Site


def hand_in(labeler: TestClient, key: str) -> list[int]:
    """The statuses of a claim and of handing in; 200 and 200 when all is well."""
    task = labeler.post("/work/claim", json={})
    if task.status_code != 200:
        return [task.status_code]
    given = task.json()["task"]
    body = {"key": key, "document": kit.ranking([one["key"] for one in given["responses"]])}
    return [200, labeler.post(f"/work/{given['slot']}/submit", json=body).status_code]


@pytest.mark.parametrize("mode", ["immediate", "fast", "kill"])
def test_when_postgresql_starts_again_so_does_the_work(postgresql: kit.Server, mode: str) -> None:
    """While it is away everybody is told to ask again, and within ten seconds they are served, without an error."""
    site = Site(postgresql.fresh())
    kit.batch(site.database, kit.items(40, 1))
    labelers = [site.person("labeler", name) for name in ("Ada", "Bob", "Cem")]
    for number, labeler in enumerate(labelers):
        assert hand_in(labeler, f"key-before-{number}") == [200, 200]
    if mode == "kill":
        postgresql.kill()
    else:
        postgresql.stop(mode)
    try:
        for labeler in labelers:
            answer = labeler.post("/work/claim", json={})
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert "try again" in answer.json()["detail"]
    finally:
        postgresql.start_again()
    seen: list[list[int]] = []
    start = time.monotonic()
    for number, labeler in enumerate(labelers):
        while True:
            seen.append(hand_in(labeler, f"key-after-{number}"))
            if seen[-1] == [200, 200]:
                break
            assert time.monotonic() - start < 10, seen
            time.sleep(0.1)
    assert {status for one in seen for status in one} <= {200, 503}
    site.close()


@pytest.mark.parametrize("skew", [3600.0, -3600.0])
def test_a_servers_clock_may_jump(site: Site, skew: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour either way: sessions, leases and drafts go by the database's clock."""
    kit.batch(site.database, kit.items(2, 1))
    ada, bob = site.person("labeler", "Ada"), site.person("labeler", "Bob")
    mine = ada.post("/work/claim", json={}).json()["task"]["slot"]
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + skew)
    assert ada.put(f"/work/{mine}/draft", json={"document": {"note": "x"}, "version": 0}).status_code == 200
    other = bob.post("/work/claim", json={}).json()["task"]
    assert hand_in(bob, "key-bob-0001") == [200, 200]
    assert bob.post("/work/claim", json={}).json()["task"] is None  # Ada's lease has not run out
    again = ada.post("/work/claim", json={}).json()["task"]
    assert (again["slot"], again["draft"]["note"]) == (mine, "x")
    assert other["slot"] != mine
    assert hand_in(ada, "key-ada-0001") == [200, 200]


def test_an_older_sqlite_leaves_the_write_ahead_log(tmp_path: Path) -> None:
    """And refuses to while somebody else still has the file open with it."""
    path = tmp_path / "label.db"
    newer = sqlite3.connect(path, isolation_level=None)
    guard(newer, (3, 51, 3))
    newer.execute("CREATE TABLE t(a)")
    newer.execute("INSERT INTO t VALUES (1)")
    assert (tmp_path / "label.db-wal").stat().st_size > 0
    older = Database(f"sqlite:///{path}", busy_seconds=0.1)
    if sqlite3.sqlite_version_info < (3, 51, 3):
        with pytest.raises(BusyError, match="try again"), older.read():
            pass
    newer.close()
    with older.read() as connection:
        assert connection.exec_driver_sql("SELECT a FROM t").scalar_one() == 1
        found = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
    assert found == ("wal" if sqlite3.sqlite_version_info >= (3, 51, 3) else "truncate")
    older.close()
