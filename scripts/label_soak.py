"""Labelers at their pace for long, and whether the server grows: `python -m scripts.label_load --soak MINUTES`.

Forty labelers save a draft every three seconds and hand in after the third. What is told: the 95th percentile of claim
and submission, and of a draft, in milliseconds; by how many megabytes a minute the server's memory grows, the slope of a
line through all samples after the warm-up (the first quarter, at least a minute) by least squares, with its standard
error; and what was lost, doubled or handed out once too often.
"""

import os
import time
from pathlib import Path
from typing import Any

import numpy
from tests.label import kit

from scripts.label_people import Site, p95

EVERY = 2.0  # seconds between two looks at the memory
STEEPEST = 1.0  # megabytes a minute


def soak(url: str, folder: Path, labelers: int, minutes: float) -> dict[str, Any]:
    """All of it on one database."""
    site = Site(url, folder, labelers)
    kit.batch(site.database, kit.items(int((minutes + 1) * labelers * 7), 1), "soak")
    samples: list[tuple[float, float]] = []

    def watch() -> None:
        start = time.monotonic()
        while (spent := time.monotonic() - start) < 60 * minutes:
            samples.append((spent / 60, site.memory()))
            time.sleep(EVERY)

    tally = site.run(1, twice=0.2, pause=3.0, seconds=0.1, faults=watch)
    slope, error = growth(samples, max(1.0, minutes / 4))
    counts = site.counts(None)
    report = {
        "minutes": minutes,
        "labelers": labelers,
        "p95_ms": p95(tally.milliseconds),
        "p95_draft_ms": p95(tally.drafts),
        "memory_mb": [round(samples[0][1], 1), round(samples[-1][1], 1)],
        "memory_mb_a_minute": round(slope, 3),
        "memory_error": round(error, 3),
        **{key: counts[key] for key in ("over_assigned", "duplicates", "books")},
        "lost": site.lost(),
        "errors": sum(tally.errors.values()),
        "asked_again": tally.retries,
        "answers": len(tally.acknowledged),
        "requests": tally.requests,
        "load": round(os.getloadavg()[1], 1),  # of five minutes, everybody on the machine together
    }
    site.close()
    return report


def growth(samples: list[tuple[float, float]], warm: float) -> tuple[float, float]:
    """Megabytes a minute and their standard error, from (minute, megabytes) after the warm-up."""
    minutes, megabytes = numpy.array([one for one in samples if one[0] >= warm]).T
    (slope, _), covariance = numpy.polyfit(minutes, megabytes, 1, cov=True)
    return float(slope), float(covariance[0, 0] ** 0.5)


def broken(report: dict[str, Any]) -> list[str]:
    """What of a report is not as promised; times are told and not judged, since they are the whole machine's."""
    wrong = [key for key in ("over_assigned", "duplicates", "books", "lost", "errors") if report[key]]
    return wrong + (["memory_mb_a_minute"] if report["memory_mb_a_minute"] >= STEEPEST else [])
