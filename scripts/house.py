"""A small labeling project with people, work done and work to do: what screenshots show and the page tests visit."""

import json
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from assent.label import accounts
from assent.label.app import create_app
from assent.label.pages import reading
from assent.label.planning import Plan
from assent.label.settings import Settings
from assent.label.store import answers, guidelines, importing, slots
from assent.label.store.database import Database
from assent.label.store.importing import Source
from assent.label.store.migrate import migrate
from assent.label.store.slots import Worker
from assent.records import FLAGS

PASSWORD = "nine calm otters row"
SECRET = b"3f1c5a7e9b2d4860" * 2
LABELERS = ("mira", "tomas", "aiko", "noor", "lena", "joao", "sven", "ada")

BREAD = "My sourdough never rises much and comes out dense. I feed the starter once a week. What am I doing wrong?"
ANSWERS = [
    """The starter is most likely too weak. Fed once a week, the yeast in it is mostly asleep.

1. Feed it **twice a day for three days**, one part starter to two parts flour and two of water, in a warm place.
2. It is ready when it doubles within six hours of a feeding. Bake then, not later.
3. Let the dough rise until it has grown by half, however long that takes. The clock does not know your kitchen.

If it is still dense after that, tell me which flour you use and how warm the room is.""",
    """Dense bread has many causes. It could be the flour, the water, the salt, the oven, the yeast or the weather. \
Try changing one thing at a time and see what happens. Baking is a journey!""",
    """Add two spoons of baking powder to the dough. Sourdough always needs baking powder, since wild yeast cannot \
lift bread by itself.""",
    """Feed the starter more often. Once a week in a warm room starves it; every day is better. Then wait until the \
dough has clearly grown before you bake it.""",
    """A weak starter, I think. Take it out of the fridge, feed it each morning and evening for a few days, and use it \
when it floats in water. A longer first rise helps as well.""",
]
ASKED = [
    "Explain to a ten-year-old why the sky is blue.",
    "Write a polite note to a neighbour about loud music.",
    "Summarise this paragraph in one sentence: The lighthouse was built in 1884 ...",
    "What should I look for when buying a used bicycle?",
    "Classify the mood of this review: 'It works. Mostly.'",
    "Give me five names for a bakery run by two sisters.",
    "Is it safe to mix bleach and vinegar?",
    "Translate 'see you tomorrow' into French and Portuguese.",
    "Continue the story: The last train had left, and on the bench ...",
    "How do I ask my manager for a day off at short notice?",
]


@dataclass(frozen=True)
class House:
    """A running server: where it is, and its database."""

    url: str
    database: Database


@contextmanager
def opened(directory: Path, **changes: Any) -> Iterator[House]:
    """The project on a free port of this machine, until the block ends. changes: of its settings."""
    settings = Settings(database=f"sqlite:///{directory}/label.db", secret=SECRET, https=False, **changes)
    database = Database(settings.database)
    migrate(database)
    furnish(database)
    database.close()
    app = create_app(settings)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield House(f"http://127.0.0.1:{port}", app.state.database)
    server.should_exit = True
    thread.join()
    app.state.database.close()


def furnish(database: Database) -> None:
    """People, a guideline, a batch that is nearly done, one that has begun."""
    people = {name: join(database, name, "labeler") for name in LABELERS}
    lead = join(database, "ines", "lead")
    join(database, "omar", "admin")
    join(database, "ruth", "researcher")
    for path in reading.SHIPPED.glob("*.md"):
        guidelines.add(database, path.stem, path.read_text(encoding="utf-8"), lead.id)
    draw = random.Random(7)
    rows = [samples(n, ASKED[n % len(ASKED)], 4, draw) for n in range(40)]
    gold = [ranking(f"gold-{n}", rows[n]) for n in range(4)]
    plan = Plan(shared=0.6, shared_overlap=4, gold=0.1, seed=3)
    put(database, "spring-rankings", [*rows, *gold], plan, lead.id)
    for name, one in people.items():
        for _ in range(20 if name != "mira" else 9):
            work(database, one, draw)
    bread = samples(90, BREAD, 5, draw, ANSWERS)
    wishes = [{**prompt(100 + n, ASKED[n]), "kind": "prompt", "schema": 1} for n in range(6)]
    put(database, "autumn-bread", [bread], Plan(shared=0, gold=0), lead.id)
    put(database, "autumn-demonstrations", wishes, Plan(shared=0, gold=0), lead.id)


def join(database: Database, name: str, role: str) -> accounts.Person:
    with database.write() as connection:
        return accounts.join(connection, accounts.make_invite(connection, role, "train", None), name, PASSWORD)


def worker(one: accounts.Person) -> Worker:
    return Worker(one.id, one.team, 1800.0)


def prompt(number: int, text: str) -> dict[str, Any]:
    return {"id": f"prompt-{number}", "messages": [{"role": "user", "content": text}]}


def samples(number: int, text: str, count: int, draw: random.Random, texts: list[str] | None = None) -> dict[str, Any]:
    """K outputs for a prompt; the earlier the better, which is what the people of this house mostly see."""
    written = texts or [f"{'Well. ' * k}Answer {k + 1} to: {text}" for k in range(count)]
    responses = [{"text": one, "policy": f"policy-{draw.randint(1, 9)}"} for one in written]
    return {"kind": "samples", "schema": 1, "id": f"s{number}", "prompt": prompt(number, text), "responses": responses}


def ranking(identity: str, one: dict[str, Any]) -> dict[str, Any]:
    ranks = list(range(1, len(one["responses"]) + 1))
    return {**one, "kind": "ranking", "id": identity, "ranks": ranks, "labeler": "ines"}


def put(database: Database, name: str, rows: list[dict[str, Any]], plan: Plan, actor: int) -> None:
    lines = [json.dumps(row).encode() for row in rows]
    importing.put(database, name, Source(work=tuple(importing.parse(lines, name))), plan, "1", actor)


def work(database: Database, one: accounts.Person, draw: random.Random) -> None:
    """Take a task and answer it as somebody does who is mostly right and sometimes not."""
    from assent.label import work as screens

    identity, _ = slots.claim(database, worker(one))
    if identity is None:
        return
    with database.read() as connection:
        task = screens.task(connection, worker(one), identity)
    if draw.random() < 0.05:
        reason = draw.choice(["unclear", "unclear", "unqualified", "personal_data"])
        answers.skip(database, worker(one), identity, f"skip-{identity}", reason, "")
        return
    spread = 4.0 if "bicycle" in str(task["prompt"]) else 1.1  # on one subject people do not agree
    worth = {response["key"]: -len(response["text"]) / 6 + draw.gauss(0, spread) for response in task["responses"]}
    order = sorted(worth, key=worth.__getitem__, reverse=True)
    ranks = {key: place + 1 for place, key in enumerate(order)}
    if draw.random() < 0.3:
        ranks = {key: max(1, rank - 1) for key, rank in ranks.items()}
    ratings = {key: {"overall": max(1, 7 - 2 * ranks[key] + draw.randint(0, 2)), "flags": flags(draw)} for key in order}
    document = {
        "schema": 1,
        "ratings": ratings,
        "prompt_flags": {},
        "ranks": ranks,
        "note": "",
        "seconds": round(draw.lognormvariate(4.9, 0.4), 1),
    }
    answers.submit(database, worker(one), identity, f"key-{identity}", document)


def flags(draw: random.Random) -> dict[str, bool]:
    return {name: draw.random() < 0.08 for name in FLAGS}
