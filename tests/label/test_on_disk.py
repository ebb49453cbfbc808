"""What is said to be written is on disk: its content before it gets its name, and the name before anything is said."""

import os
from pathlib import Path

import pytest

from assent.label import settings
from assent.label.store import backup, exporting, parquet
from assent.label.store.database import Database, StoreError
from tests.label import kit
from tests.label.web import SECRET


@pytest.fixture
def deeds(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What was synced and renamed, in order."""
    found: list[tuple[str, str]] = []
    fsync, replace = os.fsync, os.replace

    def synced(descriptor: int) -> None:
        fsync(descriptor)
        found.append(("synced", str(Path(f"/proc/self/fd/{descriptor}").readlink())))

    def renamed(source: Path, target: Path) -> None:
        replace(source, target)
        found.append(("from", str(source)))
        found.append(("to", str(target)))

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", renamed)
    return found


def check(deeds: list[tuple[str, str]], names: set[str]) -> None:
    assert {Path(name).name for what, name in deeds if what == "to"} == names
    for place, (what, name) in enumerate(deeds):
        if what == "from":
            assert ("synced", name) in deeds[:place]
        if what == "to":
            assert ("synced", str(Path(name).parent)) in deeds[place:]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="what is synced is seen in Linux's /proc")
def test_exports_backups_and_the_secret_are_on_disk(
    light: Database, tmp_path: Path, deeds: list[tuple[str, str]]
) -> None:
    kit.batch(light, kit.items(2, 1))
    with light.read() as connection:
        export = parquet.with_tables(exporting.export(connection, "first", SECRET))
    export.write(tmp_path / "out")
    check(deeds, set(export.files))
    deeds.clear()
    backup.backup(light, tmp_path / "b.jsonl.gz")
    check(deeds, {"b.jsonl.gz"})
    deeds.clear()
    settings.secret(tmp_path / "new")
    check(deeds, {"secret"})
    assert (tmp_path / "new" / "secret").stat().st_mode & 0o777 == 0o600


def test_a_backup_that_fails_leaves_nothing(light: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kit.batch(light, kit.items(2, 1))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backup, "_rows", full)
    with pytest.raises(OSError, match="No space left"):
        backup.backup(light, tmp_path / "b.jsonl.gz")
    assert list(tmp_path.iterdir()) == []
    empty = Database(f"sqlite:///{tmp_path}/empty.db")
    with pytest.raises(StoreError, match="nothing to back up"):
        backup.backup(empty, tmp_path / "c.jsonl.gz")
    empty.close()
