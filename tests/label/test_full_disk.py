"""A disk that is really full, under PostgreSQL: said with 507, nothing acknowledged lost, work goes on with free space.

SQLite's is in test_database.py. A small disk is a file system in memory, which only root can mount; without that the
test is skipped and says so.
"""

import contextlib
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from assent.label.store import backup, tables
from tests.label import kit
from tests.label.web import Site


@contextlib.contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="small-disk-"))
    path.chmod(0o755)  # the server's own user has to get there
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(path)]
    if os.geteuid() != 0 or shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here; run this test as root")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)
        path.rmdir()


def filled(disk: Path) -> Path:
    """A file that takes all space that is left."""
    path = disk / "filler"
    with path.open("wb") as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(65_536))
            file.flush()
    with path.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(512))
    assert shutil.disk_usage(disk).free < 65_536
    return path


def test_postgresql_with_a_full_disk() -> None:
    with small_disk(220) as disk:
        root = disk / "pg"
        root.mkdir()
        server = kit.Server(root, max_wal_size="'32MB'", min_wal_size="'32MB'", autovacuum="off")
        site = Site(server.fresh())
        try:
            kit.batch(site.database, kit.items(300, 1))
            labeler = site.person("labeler", "Ada")
            acknowledged: dict[str, str] = {}

            def hand_in(number: int) -> tuple[int, str, dict[str, object]]:
                task = labeler.post("/work/claim", json={})
                if task.status_code != 200:
                    return task.status_code, "", {}
                slot = task.json()["task"]["slot"]
                document = kit.ranking([one["key"] for one in task.json()["task"]["responses"]])
                document["note"] = secrets.token_hex(4_900)  # cannot be packed, so the files have to grow
                body = {"key": f"key-{number:06}", "document": document}
                answer = labeler.post(f"/work/{slot}/submit", json=body)
                if answer.status_code == 200:
                    acknowledged[slot] = str(document["note"])
                return answer.status_code, slot, body

            assert all(hand_in(number)[0] == 200 for number in range(10))
            filler = filled(disk)
            seen: list[int] = []
            waiting: tuple[int, str, dict[str, object]] = (0, "", {})
            for number in range(10, 200):
                done = hand_in(number)
                seen.append(done[0])
                if done[0] != 200:
                    waiting = done if done[1] else waiting
                if seen.count(507) >= 3:
                    break
            assert 507 in seen, seen
            assert set(seen) <= {200, 503, 507}, seen  # 503 where the server had to start again
            filler.unlink()
            for _ in range(40):  # whoever keeps PostgreSQL running starts it again, should it have stopped
                if not server.runs():
                    server.start_again()
                if waiting[1]:
                    again = labeler.post(f"/work/{waiting[1]}/submit", json=waiting[2])
                    if again.status_code == 200:
                        acknowledged[waiting[1]] = waiting[2]["document"]["note"]  # pyright: ignore
                        break
                elif hand_in(999)[0] == 200:
                    break
                time.sleep(0.25)
            assert hand_in(1000)[0] == 200
            with site.database.read() as connection:
                rows = connection.execute(select(tables.answer.c.view, tables.answer.c.document))
                kept = {row.view: row.document["note"] for row in rows}
                assert backup.faults(connection) == []
            assert acknowledged.items() <= kept.items()
            assert len(acknowledged) >= 12
        finally:
            site.close()
            server.remove()
