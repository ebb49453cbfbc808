"""Win rates of batches that were chosen actively: the chances that the label app stored, and what they make of a rate.

`answers.jsonl` of an export says of every answer with which probability its item was chosen. A win rate over items that
were chosen because models disagreed on them is about such items; weighed by 1 / propensity it is about all that were
offered.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from assent.data import files
from assent.evaluate import preference
from assent.evaluate.rows import Row, rounded, spread
from assent.records import Ranking
from assent.statistics.weighing import weighted_share

ANSWERS = "answers.jsonl"


def beside(rankings: Sequence[Path]) -> list[Path]:
    """The answers of the exports that rankings are from: the file of that name in the same folder."""
    found = [path.with_name(ANSWERS) for path in rankings if path.is_file()]
    return [path for path in dict.fromkeys(found) if path.is_file()]


def propensities(answers: Sequence[Path]) -> dict[str, float]:
    """By the id of its ranking, the chance with which the item of an answer was chosen; rows without one are passed by.

    Raises ValueError for a chance outside (0, 1].
    """
    found: dict[str, float] = {}
    for path in answers:
        for row in files.rows(path):
            if not isinstance(row, files.Row) or "propensity" not in row.value:
                continue
            chance = row.value["propensity"]
            if isinstance(chance, bool) or not isinstance(chance, int | float) or not 0 < chance <= 1:
                raise ValueError(
                    f"{path}, line {row.line}: propensity: {chance!r} is no chance above 0 and up to 1; export again"
                )
            found[f"{row.value.get('record')}/{row.value.get('labeler')}"] = float(chance)
    return found


def weighted(
    rankings: Sequence[Ranking], baseline: str, held_out: Collection[str], chances: Mapping[str, float]
) -> tuple[list[Row], list[str]]:
    """Every win rate over the baseline, weighed, beside the one that is not; and what could not be weighed.

    Nothing where all items had the same chance: there is nothing to undo.
    """
    known = [row for row in rankings if row.id in chances]
    if chances and not known:
        return [], ["no ranking is of the answers that hold propensities: give rankings and answers of one export"]
    if len({chances[row.id] for row in known}) < 2:
        return [], []
    found: list[Row] = []
    for part, rows in preference.slices(known, held_out).items():
        for policy in sorted({response.policy for row in rows for response in row.responses} - {baseline}):
            both = [row for row in rows if {policy, baseline} <= {response.policy for response in row.responses}]
            if both:
                found.append(_row(policy, part, both, baseline, chances))
    if len(known) == len(rankings):
        return found, []
    lacking = f"{len(rankings) - len(known)} of {len(rankings)} rankings"
    return found, [f"{lacking} have no propensity in the answers of an export; left out of the weighted rates"]


def _row(
    policy: str, part: preference.Slice, rows: Sequence[Ranking], baseline: str, chances: Mapping[str, float]
) -> Row:
    one = weighted_share(preference.outcomes(rows, policy, baseline), [chances[row.id] for row in rows])
    plain = {f"plain_{name}": value for name, value in spread(one.plain).items() if name in ("value", "low", "high")}
    names = {"policy": policy, "baseline": baseline, "group": part.labelers, "use_case": part.use_case}
    weights = {"effective": round(one.effective, 1), "largest": round(one.largest, 2)}
    return names | spread(one.rate) | plain | weights | {"least": rounded(min(chances[row.id] for row in rows))}
