"""What the pages read from the tables; nothing here writes."""

from collections.abc import Iterable
from itertools import combinations
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, select

from assent.label import render, schema
from assent.label.phrases import phrase
from assent.label.store import calibration, reviews, slots
from assent.label.store.calibration import Compared
from assent.label.store.database import now
from assent.label.store.exporting import by_place
from assent.label.store.slots import RefusedError, Worker
from assent.label.store.tables import adjudication, answer, batch, draft, guideline, item, person, view

SHIPPED = Path(__file__).parents[1] / "guidelines"
DAY = 86_400.0
REASONS = {  # for which tasks are skipped, in a word
    "unclear": phrase("unclear"),
    "unqualified": phrase("unqualified"),
    "language": phrase("language"),
    "distressing": phrase("distressing"),
    "personal_data": phrase("personal data"),
    "broken": phrase("broken"),
    "other": phrase("other"),
}


def desk(connection: Connection, who: Worker) -> dict[str, Any]:
    """A labeler's first page: what waits, what was begun, what they did themselves."""
    begun = connection.execute(
        select(view.c.id, item.c.kind, item.c.prompt, draft.c.at)
        .join(item, item.c.id == view.c.item)
        .join(batch, batch.c.id == view.c.batch)
        .join(draft, draft.c.view == view.c.id)
        .where(view.c.labeler == who.id, view.c.state == slots.OPEN, batch.c.state == "open", item.c.state == "open")
        .order_by(draft.c.at.desc())
        .limit(1)
    ).first()
    since = select(func.count(), func.coalesce(func.sum(answer.c.seconds), 0.0)).where(
        answer.c.labeler == who.id, answer.c.revision == 1, answer.c.at > now() - DAY
    )
    count, seconds = connection.execute(since).one()
    return {
        "left": slots.left(connection, who),
        "begun": None if begun is None else {"slot": begun.id, "kind": begun.kind, "prompt": first(begun.prompt)},
        "count": count,
        "minutes": round(seconds / 60),
        "recent": history(connection, who, 5),
        "guideline": newest_guideline(connection)[0],
    }


def history(connection: Connection, who: Worker, most: int) -> list[dict[str, Any]]:
    """A labeler's own latest work, the newest first; nobody else's is in it."""
    mine = select(view.c.id).where(view.c.labeler == who.id, view.c.state != "open")
    newest = mine.order_by(view.c.opened.desc()).limit(most).subquery()
    later = answer.alias("later")
    last = select(func.max(later.c.revision)).where(later.c.view == view.c.id).scalar_subquery()
    rows = connection.execute(
        select(view, item.c.kind, item.c.prompt, item.c.stratum, batch.c.state.label("batch_state"), answer.c.at)
        .add_columns(answer.c.revision, answer.c.seconds, calibration.comparable().label("comparable"))
        .join(newest, newest.c.id == view.c.id)
        .join(item, item.c.id == view.c.item)
        .join(batch, batch.c.id == view.c.batch)
        .outerjoin(answer, (answer.c.view == view.c.id) & (answer.c.revision == last))
        .order_by(func.coalesce(answer.c.at, view.c.opened).desc())
    )
    return [
        {
            "slot": row.id,
            "kind": row.kind,
            "prompt": first(row.prompt),
            "state": row.state,
            "reason": row.reason,
            "at": row.at or row.opened,
            "revision": row.revision,
            "minutes": None if row.seconds is None else row.seconds / 60,
            "practice": row.stratum == "practice",
            "frozen": row.batch_state == "frozen",
            "comparable": row.comparable,
        }
        for row in rows
    ]


def practice(connection: Connection, who: Worker, slot: str) -> dict[str, Any]:
    """A practice item that a labeler has handed in, beside how it was meant. Raises RefusedError 404."""
    row = slots.owned(connection, who, slot)
    facts = connection.execute(select(item).where(item.c.id == row.item)).one()
    if facts.stratum != "practice" or row.state not in ("accepted", "surplus"):
        raise RefusedError(404, "there is no practice item that you have handed in here")
    last = select(answer.c.document).where(answer.c.view == slot).order_by(answer.c.revision.desc()).limit(1)
    document = connection.execute(last).scalar_one()
    ranks, ratings = document.get("ranks", {}), document.get("ratings", {})
    responses: list[dict[str, Any]] = [
        {
            "html": render.html(facts.responses[place]["text"]),
            "mine": ranks[key],
            "rating": ratings[key]["overall"],
            "meant": None if facts.gold is None else facts.gold[place],
        }
        for key, place in row.shown
    ]
    pairs = [
        (one["mine"] - other["mine"], one["meant"] - other["meant"])
        for one, other in combinations(responses, 2)
        if one["meant"] is not None
    ]
    meant = facts.meant or {}
    return {
        "slot": slot,
        "kind": facts.kind,
        "messages": [{**one, "html": render.html(one["content"])} for one in facts.prompt["messages"]],
        "responses": responses,
        "same": sum((a > 0) - (a < 0) == (b > 0) - (b < 0) for a, b in pairs),
        "pairs": len(pairs),
        "reason": meant.get("reason", ""),
        "written": render.html(document.get("response", "")),
        "response": render.html(meant.get("response", "")),
    }


def compared(found: Compared) -> dict[str, Any]:
    """An item and what was said of it, in the order in which its responses were shown to who looks."""
    words = schema.flag_words()
    return {
        "looked": found.looked,
        "messages": [{**one, "html": render.html(one["content"])} for one in found.prompt["messages"]],
        "responses": [
            {
                "html": render.html(found.responses[place]["text"]),
                "said": [
                    {
                        "mine": one.mine,
                        "rank": one.ranks[place],
                        "rating": one.ratings[place],
                        "flags": [words[name] for name in one.flags[place] if name in words],
                    }
                    for one in found.said
                ],
            }
            for place in found.order
        ],
    }


def first(prompt: dict[str, Any], most: int = 140) -> str:
    """The beginning of a prompt: the last thing that was asked, on one line."""
    text = " ".join(str(prompt["messages"][-1]["content"]).split())
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def guidelines(connection: Connection) -> list[tuple[str, str, float | None]]:
    """Guidelines as (version, text, time), the newest first; where none was written, the shipped ones."""
    rows = connection.execute(select(guideline).order_by(guideline.c.created.desc(), guideline.c.version.desc())).all()
    if rows:
        return [(row.version, row.text, row.created) for row in rows]
    return [(path.stem, path.read_text(encoding="utf-8"), None) for path in sorted(SHIPPED.glob("*.md"), reverse=True)]


def newest_guideline(connection: Connection) -> tuple[str, str, float | None]:
    """The guideline in force."""
    return guidelines(connection)[0]


# -- for leads -----------------------------------------------------------------------------------------------


def set_aside_count(connection: Connection) -> dict[str, int]:
    """How many items are parked, and how many quarantined."""
    rows = select(item.c.state, func.count()).where(item.c.state != "open").group_by(item.c.state)
    return {str(state): count for state, count in connection.execute(rows)}


def set_aside(connection: Connection) -> list[dict[str, Any]]:
    """Items that wait for a lead: parked ones with their prompts, quarantined ones without."""
    rows = connection.execute(
        select(item.c.id, item.c.state, item.c.prompt, item.c.skips, batch.c.name)
        .join(batch, batch.c.id == item.c.batch)
        .where(item.c.state != "open")
        .order_by(item.c.id)
    ).all()
    reasons: dict[int, list[str]] = {}
    told = select(view.c.item, view.c.reason).where(view.c.reason != "", view.c.item.in_([row.id for row in rows]))
    for number, reason in connection.execute(told):
        reasons.setdefault(number, []).append(REASONS.get(str(reason), str(reason)))
    return [
        {
            "item": row.id,
            "state": row.state,
            "batch": row.name,
            "reasons": reasons.get(row.id, []),
            "prompt": first(row.prompt) if row.state == "parked" else "",
        }
        for row in rows
    ]


def items(connection: Connection, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same rows with the beginning of each prompt and its batch."""
    numbers = [one["item"] for one in found]
    rows = connection.execute(
        select(item.c.id, item.c.prompt, batch.c.name)
        .join(batch, batch.c.id == item.c.batch)
        .where(item.c.id.in_(numbers))
    )
    known = {row.id: {"prompt": first(row.prompt), "batch": row.name} for row in rows}
    return [{**one, **known[one["item"]]} for one in found]


def item_page(connection: Connection, number: int) -> dict[str, Any]:
    """An item with all that was said: ranks and ratings, or what was written and its reviews; labelers by number."""
    rows = select(item, batch.c.name.label("batch_name")).join(batch, batch.c.id == item.c.batch)
    row = connection.execute(rows.where(item.c.id == number, item.c.kind != "review")).first()
    if row is None or row.state == "quarantined":
        raise RefusedError(404, phrase("there is no item %(number)s to look at", number=number))
    answers = connection.execute(
        select(answer.c.document, answer.c.view, view.c.shown, person.c.uid)
        .join(view, view.c.id == answer.c.view)
        .join(person, person.c.id == answer.c.labeler)
        .where(view.c.item == number, answer.c.state == "accepted")
        .order_by(answer.c.view, answer.c.revision)
    ).all()
    last = {row.view: row for row in answers}.values()  # later revisions of a view replace earlier ones
    said = [
        {
            "ranks": by_place(one.shown, one.document["ranks"]),
            "ratings": by_place(one.shown, {key: r["overall"] for key, r in one.document["ratings"].items()}),
        }
        for one in last
        if row.kind == "rank"
    ]
    verdicts = connection.execute(select(adjudication).where(adjudication.c.item == number).order_by(adjudication.c.at))
    return {
        "number": number,
        "batch": row.batch_name,
        "gold": row.gold if row.stratum == "gold" else None,
        "retired": row.retired,
        "messages": [{**one, "html": render.html(one["content"])} for one in row.prompt["messages"]],
        "responses": [{"text": one["text"], "html": render.html(one["text"])} for one in row.responses],
        "said": said,
        "written": _written(connection, number, last) if row.kind == "demonstrate" else [],
        "verdicts": [{"decision": one.verdict["decision"], "note": one.note, "at": one.at} for one in verdicts],
    }


def _written(connection: Connection, number: int, answers: Iterable[Any]) -> list[dict[str, Any]]:
    """Demonstrations as they were last handed in, each with what others say of it, or said of an earlier text."""
    given, words = reviews.of_item(connection, number), schema.flag_words()
    return [
        {
            "html": render.html(one.document["response"]),
            "note": one.document["note"],
            "reviews": [
                {
                    "rating": review.overall,
                    "flags": [words[name] for name, value in review.flags.items() if value and name in words],
                    "note": review.note,
                    "current": review.current,
                }
                for review in given
                if review.writer == one.uid
            ],
        }
        for one in answers
    ]
