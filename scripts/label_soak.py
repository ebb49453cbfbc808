"""Labelers at their pace for long, and whether the server grows: `python -m scripts.label_load --soak MINUTES`.

Forty labelers save a draft every three seconds and hand in after the third. What is told: the 95th percentile of claim
and submission, and of a draft, in milliseconds; by how many megabytes a minute the server's memory grows, the slope of a
line through all samples after the warm-up (the first quarter, at least six minutes) by least squares, with its standard
error; and what was lost, doubled, handed out once too often, or cannot be by the history.
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
WARM = 6.0  # minutes until every connection has its pages and statements, and every thread its stack


def soak(url: str, folder: Path, labelers: int, minutes: float) -> dict[str, Any]:
    """All of it on one database."""
    if minutes < WARM + 2:
        raise SystemExit(f"--soak {minutes:g}: the first {WARM:g} minutes are warm-up; give it at least {WARM + 2:g}")
    site = Site(url, folder, labelers)
    kit.batch(site.database, kit.items(int((minutes + 1) * labelers * 7), 1), "soak")
    samples: list[tuple[float, float]] = []

    def watch() -> None:
        start = time.monotonic()
        while (spent := time.monotonic() - start) < 60 * minutes:
            samples.append((spent / 60, site.memory()))
            time.sleep(EVERY)

    tally = site.run(1, twice=0.2, pause=3.0, seconds=0.1, faults=watch)
    slope, error = growth(samples, max(WARM, minutes / 4))
    counts = site.counts(None)
    report = {
        "minutes": minutes,
        "labelers": labelers,
        "p95_ms": p95(tally.milliseconds),
        "p95_draft_ms": p95(tally.drafts),
        "memory_mb": [round(one[1], 1) for one in samples[:: max(1, len(samples) // 20)]],
        "memory_mb_a_minute": round(slope, 3),
        "memory_error": round(error, 3),
        **{key: counts[key] for key in ("over_assigned", "duplicates", "books")},
        "lost": site.lost(),
        "cannot_be": len(site.history()),
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
    wrong = [key for key in ("over_assigned", "duplicates", "books", "lost", "cannot_be", "errors") if report[key]]
    return wrong + (["memory_mb_a_minute"] if report["memory_mb_a_minute"] >= STEEPEST else [])
