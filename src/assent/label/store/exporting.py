"""A batch as records: what `assent sft` and `assent reward` take as they are, and everything else beside them.

Only here do policies' names come back to the responses, and labelers leave under their pseudonyms. An export is read
in one transaction, is in a fixed order, and says nothing of when it was made: the same answers give the same bytes.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, select

from assent import records
from assent.label.accounts import pseudonym
from assent.label.phrases import phrase
from assent.label.store import batches, reviews
from assent.label.store.slots import RefusedError
from assent.label.store.tables import adjudication, answer, item, person, view
from assent.records import FLAGS, Demonstration, Prompt, Ranking, Rating, Record, Response
from assent.run import atomically

FILES = ("demonstrations.jsonl", "rankings.jsonl", "ratings.jsonl", "answers.jsonl")
FORMAT = 1


@dataclass(frozen=True)
class Export:
    """The files of an export by name, manifest.json among them."""

    files: dict[str, bytes]

    @property
    def manifest(self) -> dict[str, Any]:
        """What the export says about itself."""
        return json.loads(self.files["manifest.json"])

    def write(self, directory: Path) -> None:
        """Write the files, each whole or not at all, and on disk when this returns.

        Raises ValueError when the directory has other files of theirs.
        """
        directory.mkdir(parents=True, exist_ok=True)
        for name, data in self.files.items():
            path = directory / name
            if path.exists() and path.read_bytes() != data:
                raise ValueError(f"{path} exists with other contents; choose a new directory, nothing is overwritten")
        for name, data in self.files.items():  # the manifest comes last: with it, the export is whole
            with atomically(directory / name) as temporary:
                temporary.write_bytes(data)


def export(connection: Connection, name: str, secret: bytes, floor: float = 0.0) -> Export:
    """All that counts of a batch, from one moment. Raises RefusedError 404 for a batch that is not there.

    floor: demonstrations are left out that others rated lower on average, or that nobody has rated; 0 keeps all.
    """
    chosen = batches.found(connection, name)
    if chosen.state == "loading":
        raise RefusedError(409, phrase("batch %(name)s is still being imported", name=repr(name)))
    made: dict[str, list[str]] = {file: [] for file in FILES}
    left_out: Counter[str] = Counter()
    dropped = _dropped(connection, chosen.id)
    reviewed = reviews.of_batch(connection, chosen.id)
    means, of_review = reviews.means(reviewed), {one.asked: one for one in reviewed}
    for row in _answers(connection, chosen.id):
        who = pseudonym(secret, row.uid)
        reason = _left_out(row) or ("dropped by adjudication" if {row.id, row.repeats} & dropped else "")
        if not reason and row.kind == "demonstrate" and floor:
            mean = means.get((row.id, row.uid))
            reason = "not reviewed" if mean is None else f"reviewed below {floor:g}" if mean < floor else ""
        if not reason and row.kind == "review":
            reason = "" if of_review[row.id].current else "review of an earlier text"
        if row.item_state != "quarantined":  # its texts hold personal data and stay where they are
            made["answers.jsonl"].append(_line(_whole(row, who, reason)))
        if reason:
            left_out[reason] += 1
            continue
        about = pseudonym(secret, of_review[row.id].writer) if row.kind == "review" else ""
        for file, record in _records(row, who, about):
            made[file].append(_line(records.to_json(record)))
    files = {file: "".join(lines).encode() for file, lines in made.items()}
    for reason, count in _skipped(connection, chosen.id):
        left_out[f"skipped: {reason}"] = count
    manifest = {
        "format": FORMAT,
        "batch": chosen.name,
        "state": chosen.state,
        "guideline": chosen.guideline,
        "plan": chosen.plan,
        "files": {
            file: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data), "records": len(made[file])}
            for file, data in files.items()
        },
        **({"floor": floor} if floor else {}),
        "left_out": dict(sorted(left_out.items())),
        "items": batches.status(connection, name)[0]["items"],
    }
    files["manifest.json"] = (json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()
    return Export(files)


def _answers(connection: Connection, number: int) -> Iterator[Any]:
    """The last revision of every answer of a batch, in the order of items and labelers."""
    last = (
        select(answer.c.view, func.max(answer.c.revision).label("revision"))
        .where(answer.c.batch == number)
        .group_by(answer.c.view)
        .subquery()
    )
    rows = (
        select(
            answer.c.revision,
            answer.c.state,
            answer.c.schema,
            answer.c.guideline,
            answer.c.document,
            answer.c.seconds,
            answer.c.at,
            view.c.shown,
            person.c.uid,
            person.c.team,
            item.c.id,
            item.c.record,
            item.c.kind,
            item.c.mode,
            item.c.prompt,
            item.c.responses,
            item.c.source,
            item.c.licence,
            item.c.stratum,
            item.c.chosen,
            item.c.propensity,
            item.c.repeats,
            item.c.state.label("item_state"),
        )
        .join(last, (last.c.view == answer.c.view) & (last.c.revision == answer.c.revision))
        .join(view, view.c.id == answer.c.view)
        .join(person, person.c.id == answer.c.labeler)
        .join(item, item.c.id == answer.c.item)
        .order_by(item.c.id, person.c.uid)
    )
    yield from connection.execute(rows)


def _left_out(row: Any) -> str:
    """Why an answer is no record for training, or ""; it stands in answers.jsonl all the same."""
    if row.item_state == "quarantined":
        return "quarantined: personal data"
    if row.state == "surplus":
        return "surplus"
    return row.stratum if row.stratum in ("gold", "practice", "retest") else ""


def _dropped(connection: Connection, number: int) -> set[int]:
    """The items whose last decision is to drop them."""
    rows = select(adjudication.c.item, adjudication.c.verdict).join(item, item.c.id == adjudication.c.item)
    decided = connection.execute(rows.where(item.c.batch == number).order_by(adjudication.c.id))
    last = {row.item: row.verdict["decision"] for row in decided}
    return {number for number, decision in last.items() if decision == "drop"}


def _skipped(connection: Connection, number: int) -> list[tuple[str, int]]:
    rows = select(view.c.reason, func.count()).where(view.c.batch == number, view.c.state == "skipped")
    return [(row[0], row[1]) for row in connection.execute(rows.group_by(view.c.reason).order_by(view.c.reason))]


def _records(row: Any, who: str, about: str) -> Iterator[tuple[str, Record]]:
    """The records of an answer by `who`; about: whose demonstration it reviews."""
    prompt = records.from_json({"kind": "prompt", "schema": records.SCHEMA, **row.prompt})
    assert isinstance(prompt, Prompt)
    facts: dict[str, Any] = {
        "labeler": who,
        "guideline": row.guideline,
        "source": row.source,
        "licence": row.licence,
    }
    identity = f"{row.record}/{who}"
    if row.kind == "demonstrate":
        text = row.document["response"]
        one = Demonstration(id=identity, prompt=prompt, response=text, seconds=row.seconds, **facts)
        yield "demonstrations.jsonl", one
        return
    responses = tuple(Response(**one) for one in row.responses)
    if row.kind == "review":  # as the demonstration is called, and by whom it is rated
        identity = f"{row.record.rpartition('#')[0]}/{about}/{who}"
        (said,) = row.document["ratings"].values()
        yield "ratings.jsonl", _rating(identity, prompt, responses[0], said, facts)
        return
    ranks = by_place(row.shown, row.document["ranks"])
    yield (
        "rankings.jsonl",
        Ranking(id=identity, prompt=prompt, responses=responses, ranks=tuple(ranks), seconds=row.seconds, **facts),
    )
    for place, rating in enumerate(by_place(row.shown, row.document["ratings"])):
        yield "ratings.jsonl", _rating(f"{identity}/{place}", prompt, responses[place], rating, facts)


def _rating(identity: str, prompt: Prompt, response: Response, said: Any, facts: dict[str, Any]) -> Rating:
    flags = {name: value for name, value in said["flags"].items() if name in FLAGS}
    return Rating(id=identity, prompt=prompt, response=response, overall=said["overall"], flags=flags, **facts)


def by_place(shown: list[list[Any]], values: dict[str, Any]) -> list[Any]:
    """What was said of each response by the key it was shown under, in the order of the import."""
    places = {place: key for key, place in shown}
    return [values[places[place]] for place in range(len(shown))]


def _whole(row: Any, who: str, reason: str) -> dict[str, Any]:
    """An answer with all that was said and how it came about, for analyses of one's own."""
    document = dict(row.document)
    if row.kind == "rank":
        document["ranks"] = by_place(row.shown, document["ranks"])
    if row.kind != "demonstrate":
        document["ratings"] = by_place(row.shown, document["ratings"])
    return {
        "record": row.record,
        "kind": row.kind,
        "mode": row.mode,
        "labeler": who,
        "team": row.team,
        "state": row.state,
        "left_out": reason,
        "revision": row.revision,
        "schema": row.schema,
        "guideline": row.guideline,
        "stratum": row.stratum,
        "chosen": row.chosen,
        "propensity": row.propensity,
        "order": [place for _, place in row.shown],
        "seconds": row.seconds,
        "at": round(row.at, 3),
        "document": document,
    }


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n"
