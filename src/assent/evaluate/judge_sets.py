"""Labelled answers made into what a judge of truth or information is trained on, and what it is tested on.

A judge set has rows of `question`, `answer` and `label` (true or false). Every question goes, with all its answers, to
one of two files: demonstrations for `assent sft`, in which the answer is yes or no, and rows that the judge has not
seen, on which `assent evaluate` measures it.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from assent import records
from assent.data.public import Rejected
from assent.evaluate.scorers import Subject, asked
from assent.evaluate.tasks import checks
from assent.evaluate.tasks.checks import Labelled
from assent.records import Demonstration, Message, Prompt
from assent.run import atomically

SUBJECTS: dict[Subject, str] = {"truth": "truth_judge", "info": "info_judge"}  # the check that measures each


def parse(given: str) -> tuple[Subject, Path]:
    """SUBJECT=FILE, as a flag has it. Raises ValueError for anything else."""
    name, _, path = given.partition("=")
    for subject in get_args(Subject):
        if subject == name and subject in SUBJECTS and path:
            return subject, Path(path)
    raise ValueError(f"--judge-sets: {given!r} is not {' or '.join(f'{one}=FILE' for one in SUBJECTS)}")


def split(given: str, folder: Path) -> tuple[dict[str, Any], list[Rejected]]:
    """Write `SUBJECT-train.jsonl` and `SUBJECT-test.jsonl` into a folder; what became of the rows, and bad ones.

    Raises ValueError when no row can be read.
    """
    subject, path = parse(given)
    check = next(one for one in checks.CHECKS if one.name == SUBJECTS[subject])
    rows, rejected = checks.read(check, path)
    if not rows:
        why = f"{rejected[0].field}: {rejected[0].reason}" if rejected else "it has no row"
        raise ValueError(f"{path}: no row with a question, an answer and a label of true or false; {why}")
    train = [row for row in rows if not checks.held_out(row)]
    test = [row for row in rows if checks.held_out(row)]
    with atomically(folder / f"{subject}-train.jsonl") as temporary:
        records.write(temporary, demonstrations(subject, train))
    with atomically(folder / f"{subject}-test.jsonl") as temporary:
        lines = ({"question": row.prompt, "answer": row.answer, "label": row.label} for row in test)
        temporary.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    counts = {"rows": len(rows) + len(rejected), "train": len(train), "test": len(test), "rejected": len(rejected)}
    return {"subject": subject, "file": str(path), **counts}, rejected


def demonstrations(subject: Subject, rows: Sequence[Labelled]) -> list[Demonstration]:
    """Labelled answers as demonstrations whose response is yes or no."""
    found: list[Demonstration] = []
    for number, row in enumerate(rows):
        words = asked(subject, row.prompt, row.answer)
        prompt = Prompt(id=f"{subject}-{number}", messages=(Message("user", words),))
        found.append(Demonstration(id=prompt.id, prompt=prompt, response="yes" if row.label else "no"))
    return found
