"""Load and faults of the labeling app, on SQLite and PostgreSQL: a real server, labelers over HTTP, SIGKILL.

    make label-load        or        .venv/bin/python -m scripts.label_load [--long]

Prints a table and writes runs/label-load.json: {database: {p95_ms, over_assigned, lost, duplicates, errors, kills, ...}}.

exact   40 labelers with two tabs each, overlap 1, 3, 5; one in ten walks away, one in five submits twice; and what
        whoever did least has done of the mean
pace    40 labelers who save a draft every 3 seconds and hand in now and then: p95 of claim and submit in milliseconds,
        and megabytes that the server grows by in a minute
kills   SIGKILL of the server, and of PostgreSQL, while everybody works; they ask again with the same key. What all were
        told until then is held against what is there (cannot_be, see label_history)
crowd   with --long (or --crowd N): 200 labelers, first all in a rush, then at their pace: they wait, and nothing fails
disk    with --long: a disk that is full, under either database (the tests of that)
size    with --long: 100,000 items and 1,000,000 judgments, see label_size
soak    with --soak MINUTES, and then nothing else: the pace for long, and by how much the server grows, see label_soak
teeth   the same with PostgreSQL's synchronous_commit=off, which must lose something, or the test sees nothing
        (before PostgreSQL is killed, its log writer is stopped: what is on disk then was waited for)
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.label import kit

from scripts import label_size, label_soak
from scripts.label_people import Site, p95


@dataclass(frozen=True)
class Size:
    """How much of everything: labelers at once, items of the first batch, seconds of pace, kills; labelers of the crowd."""

    labelers: int
    items: int
    seconds: float
    kills: int
    crowd: int = 0


def measure(name: str, url: str, folder: Path, size: Size, postgresql: kit.Server | None) -> dict[str, Any]:
    """All phases on one database."""
    site, found, errors = Site(url, folder, size.labelers), Counter(), Counter()
    requests = 0
    for overlap in (1, 3, 5):
        made = size.items // overlap
        kit.batch(site.database, kit.items(made, overlap), f"overlap-{overlap}")
        tally = site.run(2, walks=0.1, twice=0.2)
        found.update(site.counts(overlap))
        errors.update(tally.errors)
        requests += tally.requests
        print(
            f"  {name}: overlap {overlap}, {made} items, {len(tally.acknowledged)} answers, {tally.retries} asked again",
            flush=True,
        )
    kit.batch(site.database, kit.items(4000, 1), "pace")
    least, early = site.least(), list[float]()

    def settled() -> None:
        time.sleep(size.seconds / 3)
        early.append(site.memory())

    paced = site.run(1, pause=3.0, seconds=size.seconds * 2 / 3, faults=settled)
    grown = (site.memory() - early[0]) / (size.seconds * 2 / 3 / 60)
    errors.update(paced.errors)
    load = round(os.getloadavg()[0], 1)  # of the whole machine, a minute's mean: others slow everybody down
    print(
        f"  {name}: pace, {paced.requests} requests, p95 {p95(paced.milliseconds)} ms claim and submit, {p95(paced.drafts)} ms a draft (load {load})",
        flush=True,
    )
    killed = 0

    def faults() -> None:
        nonlocal killed
        for n in range(size.kills):
            time.sleep(1.5)
            if postgresql is not None and n % 2:
                postgresql.stall()
                time.sleep(1.5)
                postgresql.kill()
                postgresql.start_again()
            else:
                site.server.kill()
                site.server.start()
            killed += 1

    tally = site.run(1, twice=0.2, seconds=2.0, revises=0.3, faults=faults)
    errors.update(tally.errors)
    found.update(site.counts(None))
    lost, strange = site.lost(), site.history()
    print(
        f"  {name}: {killed} kills, {len(tally.acknowledged)} answers, {tally.retries} asked again, {lost} lost, "
        f"{len(site.told.events)} events of which {len(strange)} cannot be: {strange[:3]}",
        flush=True,
    )
    site.close()
    return {
        "p95_ms": p95(paced.milliseconds),
        "p95_draft_ms": p95(paced.drafts),
        "load": load,
        "least_share_of_mean": least,
        "memory_mb_a_minute": round(grown, 2),
        **{key: found[key] for key in ("over_assigned", "unfinished", "duplicates", "books")},
        "lost": lost,
        "cannot_be": len(strange),
        "errors": sum(errors.values()),
        "kinds_of_error": dict(errors),
        "kills": killed,
        "answers": len(site.acknowledged),
        "requests": requests + paced.requests + tally.requests,
    }


def crowd(name: str, url: str, folder: Path, size: Size) -> dict[str, Any]:
    """More labelers than a server is meant for: all at once without a pause, then at their pace."""
    site = Site(url, folder, size.crowd)
    kit.batch(site.database, kit.items(size.crowd, 3), "rush")
    rush = site.run(1, twice=0.2)
    found = Counter(site.counts(3))
    kit.batch(site.database, kit.items(20 * size.crowd, 1), "pace")
    paced = site.run(1, pause=3.0, seconds=max(30.0, size.seconds / 2))
    found.update(site.counts(None))
    report = {
        "labelers": size.crowd,
        "p95_ms": p95(paced.milliseconds),
        "p95_draft_ms": p95(paced.drafts),
        "p95_rush_ms": p95(rush.milliseconds),
        **{key: found[key] for key in ("over_assigned", "unfinished", "duplicates", "books")},
        "lost": site.lost(),
        "errors": sum((rush.errors + paced.errors).values()),
        "asked_again": rush.retries + paced.retries,
        "answers": len(site.acknowledged),
        "requests": rush.requests + paced.requests,
        "load": round(os.getloadavg()[0], 1),
    }
    site.close()
    print(f"  {name}: {json.dumps(report)}", flush=True)
    return report


def crowded(name: str, folder: Path, size: Size) -> dict[str, Any]:
    """The crowd on a database of its own."""
    (folder / f"crowd-{name}").mkdir()
    if name != "postgresql":
        return crowd(name, f"sqlite:///{folder}/crowd-{name}/label.db", folder / f"crowd-{name}", size)
    server = kit.Server()
    try:
        return crowd(name, server.fresh(), folder / f"crowd-{name}", size)
    finally:
        server.remove()


def soaked(name: str, folder: Path, labelers: int, minutes: float) -> dict[str, Any]:
    """The pace for long, on a database of its own."""
    server = kit.Server() if name == "postgresql" else None
    (folder / name).mkdir()
    url = server.fresh() if server is not None else f"sqlite:///{folder}/{name}/label.db"
    try:
        report = label_soak.soak(url, folder / name, labelers, minutes)
    finally:
        if server is not None:
            server.remove()
    print(f"  {name}: {json.dumps(report)}", flush=True)
    return report


def full_disks() -> dict[str, int]:
    """How many tests of full disks passed, failed and could not be run here."""
    tests = ["tests/label/test_full_disk.py", "tests/label/test_database.py", "-k", "full_disk"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", *tests], capture_output=True, text=True
    )
    told = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""
    found = {what: int(count) for count, what in re.findall(r"(\d+) (passed|failed|skipped|error)", told)}
    return {"passed": 0, "failed": 0, "skipped": 0} | found


def teeth(folder: Path, size: Size) -> int:
    """What PostgreSQL loses without synchronous_commit when it is killed."""
    server = kit.Server(synchronous_commit="off", wal_buffers="'16MB'", checkpoint_timeout="30min")
    site = Site(server.fresh(), folder, size.labelers)
    kit.batch(site.database, kit.items(4000, 1), "teeth")

    def faults() -> None:
        time.sleep(2.0)
        server.stall()
        time.sleep(3.0)
        server.kill()
        server.start_again()

    site.run(1, seconds=0.5, faults=faults)
    lost = site.lost()
    site.close()
    server.remove()
    return lost


def written(path: Path, report: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--long",
        action="store_true",
        help="300 items, two minutes of pace, ten kills, 200 labelers, full disks, and a million judgments",
    )
    parser.add_argument("--crowd", type=int, default=0, help="as many labelers as a server is not meant for")
    parser.add_argument("--labelers", type=int, default=40)
    parser.add_argument("--items", type=int, default=0, help="another number of items")
    parser.add_argument("--soak", type=float, default=0, help="so many minutes at their pace, and nothing else")
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument("--output", type=Path, default=Path("runs/label-load.json"))
    chosen = parser.parse_args()
    size = Size(chosen.labelers, *((300, 120.0, 10) if chosen.long else (90, 20.0, 4)))
    size = replace(size, items=chosen.items or size.items, crowd=chosen.crowd or (200 if chosen.long else 0))
    report: dict[str, Any] = {}
    folder = Path(tempfile.mkdtemp(prefix="label-load-"))
    if chosen.soak:
        try:
            report = {name: soaked(name, folder, chosen.labelers, chosen.soak) for name in chosen.databases}
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        written(chosen.output.with_name("label-soak.json"), report)
        wrong = [f"{name}: {what}" for name, row in report.items() for what in label_soak.broken(row)]
        print("\n".join(wrong) or "nothing was lost, and the server did not grow")
        return 1 if wrong else 0
    try:
        for name in chosen.databases:
            server = kit.Server() if name == "postgresql" else None
            (folder / name).mkdir()
            url = server.fresh() if server is not None else f"sqlite:///{folder}/{name}/label.db"
            report[name] = measure(name, url, folder / name, size, server)
            if server is not None:
                server.remove()
                (folder / "teeth").mkdir()
                report[name]["lost_without_synchronous_commit"] = teeth(folder / "teeth", size)
            if size.crowd:
                report[name]["crowd"] = crowded(name, folder, size)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if chosen.long:
        report[chosen.databases[-1]]["full_disks"] = full_disks()
        for name, found in label_size.measured(chosen.databases, label_size.Size(100_000)).items():
            report[name]["size"] = found
    written(chosen.output, report)
    columns = ("p95_ms", "over_assigned", "unfinished", "lost", "duplicates", "errors", "kills", "answers")
    print(f"{'database':12s}" + "".join(f"{one:>15s}" for one in columns))
    for name, row in report.items():
        print(f"{name:12s}" + "".join(f"{row[one]!s:>15s}" for one in columns))
    crowds = [row["crowd"] for row in report.values() if "crowd" in row]
    wrong = ("over_assigned", "unfinished", "lost", "duplicates", "errors", "books", "cannot_be")
    broken = [row for row in [*report.values(), *crowds] if any(row.get(one) for one in wrong)]
    broken += [row for row in report.values() if row.get("full_disks", {"failed": 0, "passed": 1})["failed"]]
    toothless = [name for name, row in report.items() if row.get("lost_without_synchronous_commit") == 0]
    for name in toothless:
        print(f"{name}: nothing was lost without synchronous_commit; the kills came too late to show anything")
    return 1 if broken or toothless else 0


if __name__ == "__main__":
    sys.exit(main())
