"""What a request costs the labeling app: milliseconds of a processor, of the server and of PostgreSQL, one request at a time.

    .venv/bin/python -m scripts.label_cost [--rounds 15] [--databases sqlite postgresql]

Milliseconds under load say how busy a machine is; what a processor spends on a request hardly depends on that. Forty
labelers claim one after the other, then save three drafts each, then hand in; and again.
"""

import argparse
import json
import os
import tempfile
import time
import uuid
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.label import kit

from scripts.label_people import Labeler, Site, Tally

LABELERS, DRAFTS = 40, 3


def spent(processes: Iterable[int]) -> float:
    """Seconds of a processor that processes and all their threads have used."""
    total = 0
    for number in processes:
        for thread in Path(f"/proc/{number}/task").glob("*/schedstat"):
            total += int(thread.read_text().split()[0])
    return total / 1e9


def measure(url: str, folder: Path, rounds: int, postgresql: kit.Server | None) -> dict[str, Any]:
    """Milliseconds per request, by what was asked: server, database, and by the clock on the wall."""
    site = Site(url, folder, LABELERS)
    kit.batch(site.database, kit.items(LABELERS * (rounds + 1), 1), "cost")
    hands = [Labeler(site.server.port, cookie, Tally()) for cookie in site.cookies]
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0, 0.0])
    assert site.server.process is not None

    def look() -> list[float]:
        assert site.server.process is not None
        behind = postgresql.processes() if postgresql is not None else []
        return [spent([site.server.process.pid]), spent(behind), time.perf_counter()]

    for turn in range(rounds + 1):
        tasks: list[dict[str, Any]] = []
        for what in ("claim", *["draft"] * DRAFTS, "submit"):
            before = look()
            for n, hand in enumerate(hands):
                if what == "claim":
                    status, told = hand.ask("POST", "/work/claim", {})
                    tasks.append(told["task"])
                else:
                    task = tasks[n]
                    document = kit.ranking([one["key"] for one in task["responses"]])
                    if what == "draft":
                        body = {"document": {**document, "note": str(time.time())}, "version": task["draft_version"]}
                        status, told = hand.ask("PUT", f"/work/{task['slot']}/draft", body)
                        task["draft_version"] = told["version"]
                    else:
                        body = {"key": str(uuid.uuid4()), "document": document}
                        status, told = hand.ask("POST", f"/work/{task['slot']}/submit", body)
                assert status == 200, told
            if turn:  # the first round fills caches
                after = look()
                sums[what] = [a + b - c for a, b, c in zip(sums[what], [*after, 0.0], [*before, 0.0], strict=True)]
                sums[what][3] += len(hands)
    for hand in hands:
        hand.close()
    site.close()
    return {
        what: dict(
            zip(("server_ms", "database_ms", "wall_ms"), (round(1000 * one / n, 2) for one in parts), strict=True)
        )
        for what, (*parts, n) in sums.items()
    }


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    chosen = parser.parse_args()
    for name in chosen.databases:
        with tempfile.TemporaryDirectory(prefix="label-cost-") as made:
            server = kit.Server() if name == "postgresql" else None
            url = server.fresh() if server is not None else f"sqlite:///{made}/label.db"
            found = measure(url, Path(made), chosen.rounds, server)
            if server is not None:
                server.remove()
        print(f"{name}: {json.dumps(found)} (load {os.getloadavg()[0]:.1f})", flush=True)


if __name__ == "__main__":
    main()
