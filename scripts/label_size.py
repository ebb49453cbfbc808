"""A large project: 100,000 items and 1,000,000 judgments, put in by SQL in a minute or two; then pages and tasks by HTTP.

    .venv/bin/python -m scripts.label_size [--items 100000] [--databases sqlite postgresql]

Prints milliseconds: of the next task (claim), of handing in, of the labeler's first page, and of every page of a lead.
`make label-load` with --long does this as well.
"""

import argparse
import itertools
import json
import tempfile
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text
from tests.label import kit

from assent.label import accounts
from assent.label.store import backup, batches, guidelines
from assent.label.store.batches import NewBatch
from assent.label.store.database import Database
from assent.label.store.migrate import migrate
from assent.records import FLAGS
from scripts.label_people import Labeler, Server, Tally, p95

LABELERS, OVERLAP, RESPONSES = 40, 12, 4
NAME = "large"
PAGES = ("", f"/batches/{NAME}", f"/batches/{NAME}/quality", f"/batches/{NAME}/models", "/adjudication")


@dataclass(frozen=True)
class Size:
    """How much: items, of which five in six are done by all whom they were planned for; and how often is measured."""

    items: int
    tasks: int = 300
    looks: int = 10

    @property
    def done(self) -> int:
        """The items that are done: as many judgments as ten an item."""
        return -(-10 * self.items // OVERLAP)


def fill(database: Database, size: Size) -> None:
    """The rows, by a few statements; sound by the same checks as any others."""
    people = kit.people(database, LABELERS)
    guidelines.add(database, "g1", "Be helpful, truthful, harmless.", None)
    plan = {"seed": 1, "overlap": OVERLAP, "shared": 0.0, "heldout": 0.0}
    number = batches.create(
        database, NewBatch(name=NAME, plan=plan, guideline="g1", source_hash="large", author=None), []
    )
    facts = {"batch": number, "items": size.items, "done": size.done, "first": people[0]}
    with database.write() as connection:
        _answers(connection)
        for statement in _statements(database.sqlite):
            if "INSERT INTO slot (item" in statement:
                backup._count_on(connection)
            connection.execute(text(statement), {name: facts[name] for name in facts if f":{name}" in statement})
        backup._count_on(connection)
    if not database.sqlite:
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))  # which PostgreSQL does by itself, a minute later


def _answers(connection: Connection) -> None:
    """A table of the answers that there are to choose from: every order of the responses."""
    connection.execute(text("CREATE TEMPORARY TABLE said (n INTEGER PRIMARY KEY, shown TEXT, document TEXT)"))
    orders = list(itertools.permutations(range(RESPONSES)))
    for n, order in enumerate(orders):
        keys = [f"k{k}" for k in range(RESPONSES)]
        flags = {name: (n + place) % 11 == place for place, name in enumerate(FLAGS)}
        document = {
            "schema": 1,
            "ratings": {key: {"overall": 7 - order[k], "flags": flags} for k, key in enumerate(keys)},
            "ranks": {key: order[k] + 1 for k, key in enumerate(keys)},
            "prompt_flags": {},
            "note": "",
            "seconds": 60.0,
        }
        shown = [[key, (k + n) % RESPONSES] for k, key in enumerate(keys)]
        row = {"n": n, "shown": json.dumps(shown), "document": json.dumps(document)}
        connection.execute(text("INSERT INTO said VALUES (:n, :shown, :document)"), row)


def _statements(sqlite: bool) -> list[str]:
    """One after the other: items, slots, views, answers."""
    as_json = "{}" if sqlite else "({})::json"
    numbers = "WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < {})"
    places = ", ".join(f"({n})" for n in range(OVERLAP))
    each = f"i CROSS JOIN (SELECT column1 AS k FROM (VALUES {places}) AS v) AS p"
    who = f":first + (i.n + 3 * p.k) % {LABELERS}"
    which = "said.n = (i.n * 13 + p.k * (1 + i.n % 3)) % 24"
    responses = ", ".join(
        f"""{{"text": "Answer {k} to it. {"So it is. " * 20}", "policy": "policy-{k}"}}""" for k in range(RESPONSES)
    )
    prompt = """'{"id": "p' || i.n || '", "messages": [{"role": "user", "content": "Question ' || i.n || '?"}]}'"""
    row = f"(i.n - 1) * {OVERLAP} + p.k + 1"
    return [
        f"""{numbers.format(":items")} INSERT INTO item (id, batch, record, kind, stratum, prompt, responses)
            SELECT i.n, :batch, 'r' || i.n, 'rank', 'single', {as_json.format(prompt)},
            {as_json.format(f"'[{responses}]'")} FROM i""",
        f"""{numbers.format(":items")} INSERT INTO slot (id, item, batch, n, team, priority, labeler, state)
            SELECT {row}, i.n, :batch, p.k, 'train', i.n * 1.0 / :items,
            CASE WHEN i.n <= :done THEN {who} END, CASE WHEN i.n <= :done THEN 'submitted' ELSE 'open' END FROM {each}""",
        f"""{numbers.format(":done")} INSERT INTO view (id, item, batch, labeler, shown, state, opened)
            SELECT 'v' || ({row}), i.n, :batch, {who}, {as_json.format("said.shown")}, 'accepted', 1.7e9 + i.n
            FROM {each} JOIN said ON {which}""",
        f"""{numbers.format(":done")} INSERT INTO answer
            (id, view, item, batch, labeler, revision, state, schema, guideline, seconds, at, document)
            SELECT {row}, 'v' || ({row}), i.n, :batch, {who}, 1, 'accepted', 1, 'g1', 60 + i.n % 50,
            1.7e9 + i.n * 60 + p.k, {as_json.format("said.document")} FROM {each} JOIN said ON {which}""",
        # at the head of the queue, what others have to pass by: work for the held-out team, and repeats for next week
        """INSERT INTO slot (item, batch, n, team, priority, state)
            SELECT id, batch, 100, 'heldout', id * 1.0 / :items, 'open' FROM item WHERE id <= :items / 10""",
        f"""INSERT INTO slot (item, batch, n, team, reserved, after, priority, state)
            SELECT id, batch, 101, 'any', :first + id % {LABELERS}, 4e9, -1.0, 'open' FROM item WHERE id <= :items / 4""",
        "DROP TABLE said",
    ]


def measure(url: str, folder: Path, size: Size) -> dict[str, Any]:
    """Fill an empty database and look; milliseconds."""
    database, start = Database(url), time.monotonic()
    migrate(database)
    fill(database, size)
    found: dict[str, Any] = {"items": size.items, "judgments": size.done * OVERLAP, "fill_s": _since(start)}
    with database.write() as connection:
        one = accounts.Person(kit_lead(connection), "", "", "lead", "train")
        lead = accounts.start_session(connection, one)
        cookies = [
            accounts.start_session(connection, accounts.Person(n, "", "", "labeler", "train"))
            for n in range(1, LABELERS + 1)
        ]
    server = Server(url, folder)
    server.start()
    try:
        found |= _tasks(server, cookies, size)
        found["pages_ms"] = {f"/lead{path}": _page(server, lead, f"/lead{path}", size.looks) for path in PAGES}
        start = time.monotonic()
        while "data-again" in _get(server, lead, f"/lead/batches/{NAME}/quality"):
            time.sleep(0.5)
        found["numbers_s"] = _since(start)
        found["pages_with_numbers_ms"] = {
            f"/lead{path}": _page(server, lead, f"/lead{path}", size.looks) for path in PAGES
        }
    finally:
        server.stop()
    database.close()
    return found


def kit_lead(connection: Connection) -> int:
    """A lead; their number."""
    row = "INSERT INTO person (uid, name, role, created) VALUES ('lead', 'lead', 'lead', 0) RETURNING id"
    return connection.execute(text(row)).scalar_one()


def _tasks(server: Server, cookies: list[str], size: Size) -> dict[str, Any]:
    claims: list[float] = []
    submits: list[float] = []
    firsts: list[float] = []
    for n in range(size.tasks):
        labeler = Labeler(server.port, cookies[n % len(cookies)], Tally())
        start = time.perf_counter()
        status, told = labeler.ask("POST", "/work/claim", {})
        claims.append(1000 * (time.perf_counter() - start))
        assert status == 200, told
        task = told["task"]
        document = kit.ranking([one["key"] for one in task["responses"]])
        start = time.perf_counter()
        status, told = labeler.ask(
            "POST", f"/work/{task['slot']}/submit", {"key": str(uuid.uuid4()), "document": document}
        )
        submits.append(1000 * (time.perf_counter() - start))
        assert (status, told["state"]) == (200, "accepted"), told
        if n % 10 == 0:
            firsts.append(_page(server, cookies[n % len(cookies)], "/tasks", 1))
        labeler.close()
    return {"claim_p95_ms": p95(claims), "submit_p95_ms": p95(submits), "tasks_page_p95_ms": p95(firsts)}


def _get(server: Server, cookie: str, path: str) -> str:
    labeler = Labeler(server.port, cookie, Tally())
    status, told = labeler.text("GET", path)
    labeler.close()
    assert status == 200, (path, told[:300])
    return told


def _page(server: Server, cookie: str, path: str, looks: int) -> float:
    """The slowest look at a page, in milliseconds."""
    spent: list[float] = []
    for _ in range(looks):
        start = time.perf_counter()
        _get(server, cookie, path)
        spent.append(1000 * (time.perf_counter() - start))
    return round(max(spent), 1)


def _since(start: float) -> float:
    return round(time.monotonic() - start, 1)


def measured(names: list[str], size: Size) -> dict[str, Any]:
    """The measurement on each database."""
    found: dict[str, Any] = {}
    for name in names:
        with tempfile.TemporaryDirectory(prefix="label-size-") as made:
            folder = Path(made)
            server = kit.Server(shared_buffers="'256MB'", max_wal_size="'4GB'") if name == "postgresql" else None
            url = server.fresh() if server is not None else f"sqlite:///{folder}/label.db"
            found[name] = measure(url, folder, size)
            if server is not None:
                server.remove()
        print(f"  {name}: {json.dumps(found[name])}", flush=True)
    return found


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument("--output", type=Path, default=Path("runs/label-size.json"))
    chosen = parser.parse_args()
    found = measured(chosen.databases, Size(chosen.items))
    chosen.output.parent.mkdir(parents=True, exist_ok=True)
    chosen.output.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
