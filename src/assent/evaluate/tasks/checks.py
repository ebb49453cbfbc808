"""Labelled texts on which the instruments themselves are measured: how far may their numbers be believed?"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assent.data import files
from assent.data.public import Rejected
from assent.data.turns import RowError
from assent.evaluate import metrics
from assent.evaluate.tasks import said
from assent.evaluate.tasks.task import Fields, Instruments, Scorer
from assent.statistics import bootstrap_interval

HELD_OUT = 0.2  # of the questions of a judge set


@dataclass(frozen=True)
class Labelled:
    """A text with what people said of it."""

    prompt: str
    answer: str
    label: bool


@dataclass(frozen=True, kw_only=True)
class Check:
    """A file of labelled texts, and the instrument that it measures.

    trains: instruments are made of such files, by `--judge-sets`; they are measured on the questions left out there.
    """

    name: str
    title: str
    files: tuple[str, ...]
    read: Callable[[Fields], Labelled]
    instrument: Callable[[Instruments], Scorer | None]
    trains: bool = False


class Refusals:
    """The phrases by which refusals are told, as a scorer."""

    name, key = "phrases", "phrases"

    def scores(self, pairs: Sequence[tuple[str, str]]) -> list[float | None]:
        """See `Scorer`."""
        return [float(said.refuses(answer)) for _, answer in pairs]

    def failures(self) -> list[str]:
        """See `Scorer`."""
        return []


def _refusal(row: Fields) -> Labelled:
    label = row.text("label", "final_label")
    kinds = {"1_full_compliance": False, "2_full_refusal": True, "3_partial_refusal": True}
    if label not in kinds:
        raise RowError("label", f"{label!r} is not one of {', '.join(kinds)}; correct the row")
    return Labelled(row.text("prompt"), row.words("completion"), kinds[label])


def _tweet(row: Fields) -> Labelled:
    label = row.text("label")
    if label not in ("hate", "offensive", "neither"):
        raise RowError("label", f"{label!r} is not hate, offensive or neither; correct the row")
    return Labelled("", row.text("text", "tweet"), label != "neither")


def _judged(row: Fields) -> Labelled:
    label = row.get("label")
    if not isinstance(label, bool):
        raise RowError("label", f"true or false was expected, not {label!r}; correct the row")
    return Labelled(row.text("question"), row.words("answer"), label)


CHECKS = (
    Check(
        name="refusal_detector",
        title="Refusals told by phrases",
        files=("refusal_labels_xstest.jsonl.gz",),
        read=_refusal,
        instrument=lambda _: Refusals(),
    ),
    Check(
        name="toxicity_scorer",
        title="Toxicity of tweets",
        files=("toxicity_tweets.jsonl.gz",),
        read=_tweet,
        instrument=lambda given: given.toxicity,
    ),
    Check(
        name="truth_judge",
        title="Judge of truth",
        files=("truthfulqa_judge_truth.jsonl.gz",),
        read=_judged,
        instrument=lambda given: given.truth,
        trains=True,
    ),
    Check(
        name="info_judge",
        title="Judge of information",
        files=("truthfulqa_judge_info.jsonl.gz",),
        read=_judged,
        instrument=lambda given: given.info,
        trains=True,
    ),
)


def read(check: Check, path: Path) -> tuple[list[Labelled], list[Rejected]]:
    """The labelled texts of a file, and the rows that are none."""
    found: list[Labelled] = []
    rejected: list[Rejected] = []
    for row in files.rows(path):
        try:
            if isinstance(row, files.Broken):
                raise RowError("", row.reason)
            found.append(check.read(Fields(row.value, row.line)))
        except RowError as error:
            raw = row.raw if isinstance(row, files.Broken) else dict(row.value)
            rejected.append(Rejected(file=str(path), line=row.line, field=error.field, reason=error.reason, row=raw))
    return found, rejected


def held_out(text: Labelled) -> bool:
    """Whether a labelled answer is for testing judges: a fifth of the questions, with all their answers."""
    digest = hashlib.sha256(" ".join(text.prompt.lower().split()).encode()).digest()
    return int.from_bytes(digest[:8]) < HELD_OUT * 2**64


def measured(texts: Sequence[Labelled], scorer: Scorer) -> Mapping[str, Any]:
    """Agreement of a scorer with people: accuracy at its threshold with an interval, and how well it ranks.

    Answers to one question share what is hard about it: the interval draws whole questions. Raises
    ValueError when the scorer has no number for any of them.
    """
    scores = scorer.scores([(one.prompt, one.answer) for one in texts])
    known = [(score, one) for score, one in zip(scores, texts, strict=True) if score is not None]
    have = [(score, one.label) for score, one in known]
    right = [float((score > metrics.THRESHOLD) == label) for score, label in have]
    interval = bootstrap_interval(right, [one.prompt or f"text {place}" for place, (_, one) in enumerate(known)])
    usual = sum(label for _, label in have) / len(have)
    return {
        "accuracy": round(interval.estimate, 4),
        "low": round(interval.low, 4),
        "high": round(interval.high, 4),
        "always the usual label": round(max(usual, 1 - usual), 4),
        "ranked above": round(metrics.ranked_above([score for score, _ in have], [label for _, label in have]), 4),
        "n": len(have),
        "missing": len(texts) - len(have),
    }
