"""Claims, drafts, submissions, revisions, skips, leases that run out and crashes in any order, against a model.

The model is what the document promises, in a few dictionaries; after every step the database must agree with it.
"""

import shutil
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import func, select, update

from assent.label.store import answers, backup, batches, slots
from assent.label.store.database import Database
from assent.label.store.migrate import migrate
from assent.label.store.slots import RefusedError, Worker
from assent.label.store.tables import answer, draft, item, slot, view
from tests.label import kit

ITEMS, OVERLAP, LABELERS = 4, 2, 4
WHO = st.integers(0, LABELERS - 1)
MEMORY = Path("/dev/shm") if Path("/dev/shm").is_dir() else None


class CrashError(Exception):
    """The program dies before its transaction ends."""


class Assignment(RuleBasedStateMachine):
    """views: (labeler, item) -> open, accepted, surplus or skipped. held: labeler -> item on whose slot they stand.

    expired: labelers whose lease has run out. handed: (labeler, item) -> documents in the order of their revisions.
    """

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp(prefix="machine-", dir=MEMORY)
        self.database = Database(f"sqlite:///{self.folder}/label.db")
        migrate(self.database)
        self.people = kit.people(self.database, LABELERS)
        kit.batch(self.database, kit.items(ITEMS, OVERLAP, responses=2))
        self.names: dict[tuple[int, int], str] = {}
        self.views: dict[tuple[int, int], str] = {}
        self.held: dict[int, int] = {}
        self.expired: set[int] = set()
        self.filled = dict.fromkeys(range(1, ITEMS + 1), 0)
        self.aside: dict[int, str] = {}
        self.skips = dict.fromkeys(range(1, ITEMS + 1), 0)
        self.handed: dict[tuple[int, int], list[dict[str, Any]]] = {}
        self.drafts: dict[tuple[int, int], int] = {}
        self.receipts: list[tuple[int, int, str, dict[str, Any], dict[str, Any]]] = []
        self.frozen = False
        self.count = 0

    def teardown(self) -> None:
        self.database.close()
        shutil.rmtree(self.folder)

    @initialize()
    def begin(self) -> None:
        """Nobody has anything."""

    # -- the model ---------------------------------------------------------------------------------------------------

    def worker(self, who: int) -> Worker:
        return Worker(self.people[who], "train", 3600.0)

    def free(self, number: int) -> int:
        """Places of an item that somebody could be put on: empty ones, and those whose lease has run out."""
        if number in self.aside:
            return 0
        on = [who for who, what in self.held.items() if what == number and who not in self.expired]
        return OVERLAP - self.filled[number] - len(on)

    def may(self, who: int) -> list[int]:
        """The items that a labeler can be given."""
        done = {number for (one, number), state in self.views.items() if one == who and state != "open"}
        standing = {self.held[who]} if who in self.held else set[int]()
        return [number for number in self.filled if self.free(number) > 0 and number not in done | standing]

    def document(self, who: int, number: int, note: str) -> dict[str, Any]:
        with self.database.read() as connection:
            shown = connection.execute(select(view.c.shown).where(view.c.id == self.names[who, number])).scalar_one()
        return {**kit.ranking([key for key, _ in shown]), "note": note}

    def key(self) -> str:
        self.count += 1
        return f"key-{self.count:08}"

    def some(self, who: int, *states: str) -> list[int]:
        return sorted(number for (one, number), state in self.views.items() if one == who and state in states)

    # -- what can happen ---------------------------------------------------------------------------------------------

    @rule(who=WHO)
    def claim(self, who: int) -> None:
        name, _ = slots.claim(self.database, self.worker(who))
        if self.frozen:
            assert name is None
            self.held.pop(who, None)
            self.expired.discard(who)
            return
        if who in self.held:
            assert name == self.names[who, self.held[who]]  # the same task again, also where the lease ran out
            self.expired.discard(who)
            return
        wanted = self.may(who)
        if not wanted:
            assert name is None
            return
        assert name is not None
        with self.database.read() as connection:
            number = connection.execute(select(view.c.item).where(view.c.id == name)).scalar_one()
        assert number == min(wanted)  # the most urgent first
        assert self.names.setdefault((who, number), name) == name  # what was seen once is seen the same again
        self._push_out(number)
        self.views.setdefault((who, number), "open")
        self.held[who] = number
        self.expired.discard(who)

    def _push_out(self, number: int) -> None:
        """Whoever is put on a place of an item may have taken it from somebody whose lease has run out."""
        with self.database.read() as connection:
            there = set(connection.execute(select(slot.c.labeler).where(slot.c.item == number)).scalars())
        for who, what in list(self.held.items()):
            if what == number and self.people[who] not in there:
                assert who in self.expired  # never from anybody else
                del self.held[who]
                self.expired.discard(who)

    @rule(who=WHO)
    def runs_out(self, who: int) -> None:
        if who in self.held:
            with self.database.write() as connection:
                mine = (slot.c.labeler == self.people[who], slot.c.state == "open")
                connection.execute(update(slot).where(*mine).values(expires=1))
            self.expired.add(who)

    @rule(who=WHO, data=st.data())
    def drafts_are_kept(self, who: int, data: st.DataObject) -> None:
        if not (numbers := self.some(who, "open")):
            return
        number = data.draw(st.sampled_from(numbers))
        version = self.drafts.get((who, number), 0)
        name, kept = self.names[who, number], {"note": str(version)}
        made = slots.keep_draft(self.database, self.worker(who), name, kept, version)
        assert made == version + 1
        self.drafts[who, number] = made
        if self.held.get(who) == number and not self.frozen:
            self.expired.discard(who)  # a keystroke renews the lease, also where it ran out and nobody came

    @rule(who=WHO, data=st.data())
    def submit(self, who: int, data: st.DataObject) -> None:
        if not (numbers := self.some(who, "open")):
            return
        number = data.draw(st.sampled_from(numbers))
        document, key = self.document(who, number, "first"), self.key()
        takes = self.held.get(who) == number or (
            self.free(number) > 0 and who not in [one for one, what in self.held.items() if what == number]
        )
        holds = takes and not self.frozen and self.aside.get(number) != "quarantined"
        holds = holds and not (number in self.aside and self.held.get(who) != number)
        said = answers.submit(self.database, self.worker(who), self.names[who, number], key, document)
        assert said["state"] == ("accepted" if holds else "surplus"), (who, number)
        self.receipts.append((who, number, key, document, said))
        self.views[who, number] = said["state"]
        self.handed[who, number] = [document]
        self.drafts.pop((who, number), None)
        if holds:
            if self.held.get(who) == number:
                del self.held[who]
                self.expired.discard(who)
            self.filled[number] += 1
            self._push_out(number)

    @precondition(lambda self: self.receipts)
    @rule(data=st.data())
    def the_same_again(self, data: st.DataObject) -> None:
        who, number, key, document, said = data.draw(st.sampled_from(self.receipts))
        assert answers.submit(self.database, self.worker(who), self.names[who, number], key, document) == said
        other = {**document, "note": "another window"}
        with pytest.raises(RefusedError):
            answers.submit(self.database, self.worker(who), self.names[who, number], self.key(), other)

    @rule(who=WHO, data=st.data())
    def revise(self, who: int, data: st.DataObject) -> None:
        if not (numbers := self.some(who, "accepted", "surplus")):
            return
        number = data.draw(st.sampled_from(numbers))
        document = self.document(who, number, f"revision {len(self.handed[who, number]) + 1}")
        if self.frozen:
            with pytest.raises(RefusedError, match="frozen"):
                answers.revise(self.database, self.worker(who), self.names[who, number], self.key(), document)
            return
        said = answers.revise(self.database, self.worker(who), self.names[who, number], self.key(), document)
        self.handed[who, number].append(document)
        assert said["revision"] == len(self.handed[who, number])

    @rule(who=WHO, data=st.data(), reason=st.sampled_from(["unclear", "unclear", "other", "personal_data"]))
    def skip(self, who: int, data: st.DataObject, reason: str) -> None:
        if not (numbers := self.some(who, "open")):
            return
        number = data.draw(st.sampled_from(numbers))
        answers.skip(self.database, self.worker(who), self.names[who, number], self.key(), reason, "")
        self.views[who, number] = "skipped"
        self.drafts.pop((who, number), None)
        if self.held.get(who) == number:
            del self.held[who]
            self.expired.discard(who)
        self.skips[number] += 1
        state = "quarantined" if reason == "personal_data" else "parked"
        if number not in self.aside and (state == "quarantined" or self.skips[number] >= answers.PARKED_AFTER):
            self.aside[number] = state
            for one in [one for one, what in self.held.items() if what == number]:
                del self.held[one]  # whoever worked on it keeps the draft and no longer the place
                self.expired.discard(one)

    @rule(who=WHO, data=st.data())
    def crash(self, who: int, data: st.DataObject) -> None:
        """A submission dies before its transaction ends; then everything is opened anew."""
        if numbers := self.some(who, "open"):
            number = data.draw(st.sampled_from(numbers))
            document = self.document(who, number, "never acknowledged")

            def die(connection: Any) -> None:
                connection.execute(update(view).where(view.c.id == self.names[who, number]).values(state="accepted"))
                answers._append(
                    connection,
                    slots.owned(connection, self.worker(who), self.names[who, number]),
                    SimpleNamespace(guideline="g1"),
                    document,
                    1,
                    "accepted",
                )
                raise CrashError

            with pytest.raises(CrashError):
                self.database.transact(die)
        self.database.close()
        self.database = Database(f"sqlite:///{self.folder}/label.db")

    @precondition(lambda self: len(self.receipts) >= 3)
    @rule()
    def freeze(self) -> None:
        batches.freeze(self.database, "first", None)
        self.frozen = True

    # -- what always holds -------------------------------------------------------------------------------------------

    @invariant()
    def the_database_agrees(self) -> None:
        with self.database.read() as connection:
            rows = connection.execute(select(view.c.item, view.c.labeler, view.c.state)).all()
            said = connection.execute(select(answer).order_by(answer.c.id)).all()
            filled = select(slot.c.item, func.count()).where(slot.c.state == "submitted").group_by(slot.c.item)
            counted = dict(connection.execute(filled).all())
            drafts = connection.execute(select(draft.c.view, draft.c.version)).all()
            states = dict(connection.execute(select(item.c.id, item.c.state)).all())
            faults = backup.faults(connection)
        number = {person: who for who, person in enumerate(self.people)}
        assert {(number[row.labeler], row.item): row.state for row in rows} == self.views
        found: dict[tuple[int, int], list[str]] = {}
        for row in said:
            found.setdefault((number[row.labeler], row.item), []).append(row.document["note"])
        assert found == {key: [one["note"] for one in documents] for key, documents in self.handed.items()}
        assert {one: count for one, count in self.filled.items() if count} == counted
        assert all(count <= OVERLAP for count in counted.values())
        assert dict(drafts) == {self.names[key]: version for key, version in self.drafts.items()}
        assert {one: state for one, state in states.items() if state != "open"} == self.aside
        assert faults == []


TestAssignment = Assignment.TestCase
TestAssignment.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
