"""A backup holds everything of one moment, restores on either database, and a damaged one is noticed."""

import gzip
import json
import sqlite3
import threading
from pathlib import Path

import pytest
from sqlalchemy import func, select

from assent.label import accounts
from assent.label.store import answers, backup, exporting, slots, tables
from assent.label.store.database import Database, StoreError
from assent.label.store.migrate import newest, revision
from assent.label.store.slots import Worker
from tests.label import kit
from tests.label.web import PASSWORD, SECRET


def work(database: Database, worker: Worker, times: int) -> None:
    for _ in range(times):
        identity, _ = slots.claim(database, worker)
        if identity is None:
            return
        with database.read() as connection:
            keys = [key for key, _ in slots.owned(connection, worker, identity).shown]
        answers.submit(database, worker, identity, f"key-{identity}", kit.ranking(keys))


def filled(database: Database) -> None:
    kit.batch(database, kit.items(12, 2))
    for one in kit.people(database, 2):
        work(database, Worker(one, "train", 60), 8)

    def join(connection) -> None:  # pyright: ignore
        accounts.join(connection, accounts.make_invite(connection, "lead", "train", None), "Lena", PASSWORD)

    database.transact(join)


def exported(database: Database) -> dict[str, bytes]:
    with database.read() as connection:
        return exporting.export(connection, "first", SECRET).files


@pytest.mark.parametrize("target", ["sqlite", "postgresql"])
def test_what_is_restored_is_what_was(
    database: Database, target: str, folder: Path, request: pytest.FixtureRequest
) -> None:
    filled(database)
    with database.write() as connection:
        accounts.start_session(connection, accounts.Person(1, "", "", "labeler", "train"))
    summary = backup.backup(database, folder / "b.jsonl.gz")
    url = f"sqlite:///{folder}/new.db" if target == "sqlite" else request.getfixturevalue("postgresql").fresh()
    other = Database(url)
    assert backup.restore(other, folder / "b.jsonl.gz") == summary
    assert revision(other) == newest()
    assert exported(other) == exported(database)
    with other.read() as connection:
        assert backup.hashes(connection) == summary["tables"]
        assert backup.faults(connection) == []
        assert connection.execute(select(func.count()).select_from(tables.session)).scalar_one() == 0
    worker = Worker(kit.people(other, 1)[0], "train", 60)  # numbers go on after the restored ones
    work(other, worker, 20)
    with other.read() as connection:
        assert backup.faults(connection) == []
    with pytest.raises(StoreError, match="not empty"):
        backup.restore(other, folder / "b.jsonl.gz")
    other.close()


def test_a_backup_under_load_is_of_one_moment(database: Database, folder: Path) -> None:
    kit.batch(database, kit.items(60, 1))
    everybody = [Worker(one, "train", 60) for one in kit.people(database, 3)]
    threads = [threading.Thread(target=work, args=(database, one, 25)) for one in everybody]
    for thread in threads:
        thread.start()
    for n in range(3):
        backup.backup(database, folder / f"{n}.jsonl.gz")
    for thread in threads:
        thread.join()
    for n in range(3):
        other = Database(f"sqlite:///{folder}/{n}.db")
        backup.restore(other, folder / f"{n}.jsonl.gz")
        with other.read() as connection:
            assert backup.faults(connection) == []
        other.close()


def test_damage_is_noticed(light: Database, folder: Path) -> None:
    filled(light)
    path = folder / "b.jsonl.gz"
    backup.backup(light, path)
    whole = path.read_bytes()
    lines = gzip.decompress(whole).splitlines(keepends=True)
    place = next(n for n, line in enumerate(lines) if b'"seconds": 12.0' in line)
    changed = [*lines[:place], lines[place].replace(b"12.0", b"13.0"), *lines[place + 1 :]]
    damaged = {
        "cut": whole[: len(whole) // 2],
        "a bit": whole[:200] + bytes([whole[200] ^ 4]) + whole[201:],
        "a row less": gzip.compress(b"".join(lines[:30] + lines[31:])),
        "no end": gzip.compress(b"".join(lines[:-1])),
        "a value": gzip.compress(b"".join(changed)),
        "nothing": b"",
        "a later format": gzip.compress(json.dumps({"summary": {"format": 99}}).encode() + b"\n"),
    }
    for what, data in damaged.items():
        (folder / "bad.gz").write_bytes(data)
        with pytest.raises(StoreError, match="backup"):
            backup.check(folder / "bad.gz")
        assert what
    with pytest.raises(ValueError, match="never overwrite"):
        backup.backup(light, path)


def test_books_that_do_not_balance_are_told(light: Database) -> None:
    filled(light)
    with light.read() as connection:
        assert backup.faults(connection) == []
    light.engine.dispose()
    raw = sqlite3.connect(str(light.url.database))
    raw.execute("UPDATE slot SET state = 'open', labeler = NULL WHERE state = 'submitted' AND item = 1 AND n = 0")
    raw.commit()
    raw.close()
    with light.read() as connection:
        assert backup.faults(connection) == ["item 1 counts 2 answers in 1 slots"]
