"""Judges at work: each votes on the same pairs, its votes are written as rankings, and people stand beside them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assent import records
from assent.evaluate import judge, people, people_grids
from assent.evaluate.answerers import Answerer
from assent.evaluate.cache import Cache, key_of
from assent.evaluate.grids import Cell, Grid, interval, words
from assent.evaluate.rows import Row
from assent.records import Ranking, Samples
from assent.run import Run, atomically

FOLDER = "judged"


@dataclass(frozen=True)
class Asked:
    """What judges vote on: what people ranked, samples that nobody ranked, and what is asked of the votes.

    limit: of records, the first so many; 0 is all.
    """

    ranked: Sequence[Ranking]
    samples: Sequence[Samples]
    question: people.Question
    limit: int = 0

    @property
    def records(self) -> list[Ranking | Samples]:
        """The records in their order."""
        return [*self.ranked, *self.samples][: self.limit or None]


def judged(run: Run, models: Sequence[Answerer], asked: Asked, note: Callable[[str], None]) -> Row:
    """The votes of every judge in `judged/NAME.jsonl`, what they say together, and how far they agree with people.

    Raises ValueError when no judge gave a vote.
    """
    pairs = judge.pairs(asked.records, asked.question.baseline)
    gaps: list[str] = []
    votes: list[judge.Votes] = []
    for model in models:
        note(f"judge {model.name}: {len(pairs)} pairs in both orders")
        try:
            found = judge.vote(model, pairs, Cache(run.directory / "cache" / f"{key_of(model.key)[:16]}.jsonl"))
        except (ValueError, OSError) as error:
            gaps.append(f"judge {model.name}: {error}")
            continue
        votes.append(found)
        gaps += [f"{found.judge}: {reason}" for reason in (*found.gaps(), *dict.fromkeys(model.failures()))]
        _write(run, model.name, found.rankings)
    every = [row for one in votes for row in one.rankings]
    if not every:
        raise ValueError(f"--judges: no vote on {len(pairs)} pairs; {'; '.join(gaps) or 'there are no pairs'}")
    agreed = [{"judge": one.judge, **row} for one in votes for row in judge.agreement(one.rankings, asked.ranked)]
    together = people.judged(every, [], asked.question) if asked.question.baseline else {}
    gaps += together.pop("gaps", [])
    return {"judges": [one.row() for one in votes], "agreement": agreed, "preference": together, "gaps": gaps}


def _write(run: Run, name: str, rows: Sequence[Ranking]) -> None:
    if run.writes:
        with atomically(run.directory / FOLDER / f"{name.replace('/', '_')}.jsonl") as temporary:
            records.write(temporary, rows)


def grids(found: Mapping[str, Any]) -> list[Grid]:
    """The tables of judges: their votes, their agreement with people, and what they prefer."""
    return [grid for grid in _grids(found) if grid.rows]


def _grids(found: Mapping[str, Any]) -> Iterator[Grid]:
    names = ("pairs", "votes", "turned", "alike", "unknown", "silent", "cut")
    cells = tuple(
        (
            words(row["judge"]),
            *(words(row[name], "bad" if name in names[4:] and row[name] else "") for name in names),
            Cell("" if row["first"] is not None else "-", row["first"]),
        )
        for row in found["judges"]
    )
    notes = (
        "Each pair is asked in both orders; a vote that turns with the order is a tie. Unknown verdicts, silence and "
        "cut prompts count for nobody. First: the share of preferences for the response shown first, 0.5 without bias.",
    )
    yield Grid("Judges", ("judge", *names, "first"), cells, notes)
    cells = tuple(
        (
            words(row["judge"]),
            words(row["rule"]),
            interval(row),
            interval(row, low="team_low", high="team_high"),
            Cell("" if row["people"] is not None else "-", row["people"]),
            words(row["pairs"]),
        )
        for row in found["agreement"]
    )
    columns = ("judge", "rule for ties", "agrees with people", "this team only", "people among themselves", "pairs")
    cautions = tuple(dict.fromkeys(row["caution"] for row in found["agreement"] if row["caution"]))
    yield Grid("Judges and people on the same pairs", columns, cells, cautions, scale=(0.0, 1.0), line=0.5)
    if found["preference"]:
        for grid in people_grids.grids(found["preference"]):
            yield Grid(f"By judges: {grid.title}", grid.columns, grid.rows, grid.notes, grid.scale, grid.line)
