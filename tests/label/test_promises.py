"""Promises about what leaves a server: exports, backups, and what is left of somebody who is gone."""

import gzip
import re
from pathlib import Path

import pytest
from sqlalchemy import select

from assent.evaluate import cells
from assent.label import accounts
from assent.label.store import backup, exporting
from assent.label.store.database import Database
from assent.label.store.slots import Worker
from assent.label.store.tables import person
from tests.label import kit
from tests.label.test_exporting import hand_in
from tests.label.web import PASSWORD, SECRET

SOURCE = Path(__file__).parents[2] / "src" / "assent"


def test_who_is_deleted_keeps_their_pseudonym_and_loses_the_rest(light: Database) -> None:
    """An export before and after has the same bytes; name, password, authenticator and sessions are gone."""
    kit.batch(light, kit.items(3, 1))

    def work(connection: object) -> accounts.Person:
        token = accounts.make_invite(connection, "labeler", "train", None)  # pyright: ignore[reportArgumentType]
        return accounts.join(connection, token, "Ada Lovelace", PASSWORD)  # pyright: ignore[reportArgumentType]

    ada = light.transact(work)
    boss = kit.people(light, 1, "admin")[0]
    for _ in range(3):
        hand_in(light, Worker(ada.id, "train", 60))
    with light.read() as connection:
        before = exporting.export(connection, "first", SECRET).files
    light.transact(lambda connection: accounts.change(connection, ada.id, boss, state="deleted"))
    with light.read() as connection:
        after = exporting.export(connection, "first", SECRET).files
        row = connection.execute(select(person).where(person.c.id == ada.id)).one()
        assert accounts.known(connection, "Ada Lovelace", PASSWORD) is None
    assert before == after
    assert accounts.pseudonym(SECRET, ada.uid).encode() in after["rankings.jsonl"]
    assert "Lovelace" not in repr(row)
    assert (row.password, row.totp) == (None, None)


def test_the_key_of_pseudonyms_is_in_no_backup(light: Database, tmp_path: Path) -> None:
    kit.batch(light, kit.items(3, 1))
    hand_in(light, Worker(kit.people(light, 1)[0], "train", 60))
    backup.backup(light, tmp_path / "backup")
    whole = gzip.decompress((tmp_path / "backup").read_bytes())
    assert SECRET not in whole
    assert b"labeler-0" in whole  # names are in a backup: it restores the server


@pytest.mark.parametrize("text", ["=HYPERLINK(1)", "+1+cmd", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "-"])
def test_a_text_that_a_spreadsheet_would_calculate_is_only_text(text: str) -> None:
    assert cells.inert(text) == "'" + text
    assert [cells.inert(one) for one in (-0.5, "-0.5", "+3", "gold", None, "")] == [
        -0.5,
        "-0.5",
        "+3",
        "gold",
        None,
        "",
    ]


def test_whoever_writes_csv_makes_its_cells_inert() -> None:
    """The app itself writes JSON alone."""
    writes = r"csv\.(writer|DictWriter)|to_csv|to_excel|write_csv|import (openpyxl|xlsxwriter)"
    found = [path for path in SOURCE.rglob("*.py") if re.search(writes, path.read_text())]
    assert found
    assert not [
        path.name for path in found if "inert(" not in path.read_text() or path.is_relative_to(SOURCE / "label")
    ]


def test_every_test_that_the_page_names_is_there() -> None:
    tests = Path(__file__).parents[1]
    page = (tests.parent / "docs" / "labeling.md").read_text()
    named = re.findall(r"`((?:tests/)?[\w/]+\.py)::(\w+)`", page)
    assert len(named) > 60
    for file, test in named:
        path = tests.parent / file if file.startswith("tests/") else tests / "label" / file
        assert re.search(rf"^(?:def|class) {test}\b|^{test} = ", path.read_text(), re.MULTILINE), (file, test)
