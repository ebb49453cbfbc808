"""Which labelers are held out: ids, or files that name them, such as the answers of an export of the label app."""

from collections.abc import Sequence
from pathlib import Path

from assent.data import files

TRAINING = "train"  # the team in `answers.jsonl` whose work becomes training data


def held_out(given: Sequence[str]) -> frozenset[str]:
    """The ids of labelers. A text file has one a line; of answers those count whose team is not `train`.

    Raises ValueError for a file that names nobody.
    """
    found: set[str] = set()
    for one in given:
        path = Path(one)
        if not path.is_file():
            found.add(one)
            continue
        named = _of_answers(path) if ".jsonl" in path.suffixes else set(path.read_text(encoding="utf-8").split())
        if not named:
            raise ValueError(
                f"--held-out: {path} names no labeler; give ids, one a line, or the answers.jsonl of an export"
            )
        found |= named
    return frozenset(found)


def _of_answers(path: Path) -> set[str]:
    rows = [row.value for row in files.rows(path) if isinstance(row, files.Row)]
    return {str(row["labeler"]) for row in rows if row.get("labeler") and row.get("team", TRAINING) != TRAINING}
