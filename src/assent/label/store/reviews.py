"""What other labelers say of demonstrations: every one is read and rated from 1 to 7 by as many as the plan asks for.

A review is a task like others: an item of the same batch with one response, the text that somebody wrote, its places
handed out by the same queue. Its writer is among the item's authors and so never gets it. It is made when all places
of a prompt are filled, since whoever has read an answer must not write another one; a text that is revised afterwards
is asked about anew, and what was said of the earlier text stays and counts no more.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select, update

from assent.label.store import batches, slots
from assent.label.store.batches import NewItem, NewSlot
from assent.label.store.tables import answer, author, item, person, slot, view

STRATUM = "review"
REVIEWED = ("single", "overlap")  # strata; practice does not count


@dataclass(frozen=True)
class Review:
    """What one labeler said of one demonstration.

    asked: the item of the review; item: that of the demonstration; writer and reviewer: their uids; current: the text
    is still the one that was rated; accepted: no surplus.
    """

    asked: int
    item: int
    record: str
    writer: str
    reviewer: str
    overall: int
    flags: Mapping[str, bool | None]
    note: str
    current: bool


def held(connection: Connection, number: int) -> None:
    """Let one at a time hand in what they wrote on an item: the last one is told apart from the others by counting."""
    connection.execute(select(item.c.id).where(item.c.id == number).with_for_update(key_share=True))


def ask(connection: Connection, number: int, wanted: int) -> None:
    """Ask for reviews of what was written on an item, once nobody else is to write on it. Again changes nothing."""
    mine = slot.c.item == number
    if connection.execute(select(slot.c.id).where(mine, slot.c.state == slots.OPEN).limit(1)).first() is not None:
        return
    written = {row.labeler: row for row in connection.execute(_last().where(view.c.item == number))}
    asked = select(item.c.id, item.c.responses, author.c.person).join(author, author.c.item == item.c.id)
    for row in connection.execute(asked.where(item.c.repeats == number, item.c.stratum == STRATUM)).all():
        current = written.get(row.person)
        same = current is not None and current.document["response"] == row.responses[0]["text"]
        if same:
            del written[row.person]
        again = {"state": "open", "labeler": None, "expires": 0}
        places = update(slot).where(
            slot.c.item == row.id, slot.c.state == ("void" if same else "open"), _is_open(row.id)
        )
        connection.execute(places.values(**(again if same else {"state": "void"})))
    if written:
        facts = connection.execute(select(item).where(item.c.id == number)).one()
        first = connection.execute(select(func.min(slot.c.priority)).where(mine)).scalar_one()
        made = [_asked(facts, one, wanted, first) for one in written.values()]
        batches.add(connection, facts.batch, made)


def _is_open(number: int) -> Any:
    return select(item.c.id).where(item.c.id == number, item.c.state == "open").exists()


def _asked(facts: Any, written: Any, wanted: int, priority: float) -> NewItem:
    return NewItem(
        record=f"{facts.record}#review{written.id}",
        kind="review",
        mode=facts.mode,
        prompt=facts.prompt,
        responses=[{"text": written.document["response"]}],
        source=facts.source,
        licence=facts.licence,
        stratum=STRATUM,
        chosen=facts.chosen,
        propensity=facts.propensity,
        repeats=facts.id,
        authors=[written.labeler],
        slots=[NewSlot("train", priority) for _ in range(wanted)],
    )


def _last() -> Any:
    """The last revisions of answers that count; found by the views of an item, which have an index."""
    later = answer.alias("later")
    newer = select(later.c.id).where(later.c.view == answer.c.view, later.c.revision > answer.c.revision).exists()
    return (
        select(answer.c.id, answer.c.labeler, answer.c.document, view.c.item)
        .join(view, view.c.id == answer.c.view)
        .where(view.c.state == "accepted", ~newer)
    )


def of_item(connection: Connection, number: int) -> list[Review]:
    """The reviews of what was written on an item, the oldest first."""
    asked = select(item.c.id).where(item.c.repeats == number, item.c.stratum == STRATUM, item.c.state != "quarantined")
    return _read(connection, connection.execute(asked).scalars().all())


def of_batch(connection: Connection, number: int, most: int | None = None) -> list[Review]:
    """The reviews of a batch, the oldest first; most: only those of so many items, the latest."""
    asked = select(item.c.id).where(item.c.batch == number, item.c.state.in_(("open", "parked")))
    latest = asked.where(item.c.stratum == STRATUM).order_by(item.c.id.desc()).limit(most)
    return _read(connection, connection.execute(latest).scalars().all())


def _read(connection: Connection, asked: Sequence[int]) -> list[Review]:
    who, wrote = person.alias("reviewer"), person.alias("writer")
    rows = (
        _last()
        .add_columns(item.c.repeats, item.c.record, item.c.responses, author.c.person)
        .add_columns(who.c.uid.label("reviewer"), wrote.c.uid.label("writer"))
        .join(item, item.c.id == view.c.item)
        .join(author, author.c.item == item.c.id)
        .join(who, who.c.id == answer.c.labeler)
        .join(wrote, wrote.c.id == author.c.person)
    )
    given = sorted(_of_items(connection, rows, asked), key=lambda row: row.id)
    written = _of_items(connection, _last(), sorted({row.repeats for row in given}))
    texts = {(row.item, row.labeler): row.document for row in written}
    found: list[Review] = []
    for row in given:
        with suppress(KeyError, TypeError, ValueError, AttributeError):  # one that cannot be read is left out
            found.append(_review(row, texts.get((row.repeats, row.person))))
    return found


def _review(row: Any, written: Any) -> Review:
    (said,) = row.document["ratings"].values()
    return Review(
        asked=row.item,
        item=row.repeats,
        record=row.record.rpartition("#")[0],
        writer=row.writer,
        reviewer=row.reviewer,
        overall=int(said["overall"]),
        flags=dict(said["flags"]),
        note=str(row.document["note"]),
        current=written is not None and written["response"] == row.responses[0]["text"],
    )


def _of_items(connection: Connection, rows: Any, numbers: Sequence[int]) -> list[Any]:
    found: list[Any] = []
    for start in range(0, len(numbers), batches.CHUNK):
        found += connection.execute(rows.where(view.c.item.in_(numbers[start : start + batches.CHUNK]))).all()
    return found


def means(found: Iterable[Review]) -> dict[tuple[int, str], float]:
    """The mean rating of every demonstration as it now reads, by item and writer's uid."""
    given: dict[tuple[int, str], list[int]] = defaultdict(list)
    for one in found:
        if one.current:
            given[one.item, one.writer].append(one.overall)
    return {key: sum(values) / len(values) for key, values in given.items()}
