"""The parts of `assent evaluate` that are about people: preferences, how many are needed, judges."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from assent import records
from assent.commands import Files, Flat
from assent.data import public
from assent.engine.machine import Machine
from assent.evaluate import grids, judge_grids, judging, made, people, people_grids, teams, weighing
from assent.evaluate.measure import Settings
from assent.run import Run


@dataclass(frozen=True, kw_only=True)
class Part:
    """What every part of an evaluation has."""

    run: Path
    seconds: float = 60.0
    """How long an endpoint may take to answer."""
    settings: Annotated[Settings, Flat] = field(default_factory=Settings)
    machine: Machine = Machine()
    quiet: bool = False

    def done(self, run: Run, name: str, values: Any, *files: Path) -> None:
        """Results of a part, with the command and the files that made them."""
        made.keep(run, name, values, made.command(self, "evaluate"), files)

    def note(self, words: str) -> None:
        """Say what is being done."""
        if not self.quiet:
            print(words)


@dataclass(frozen=True, kw_only=True)
class People(Part):
    """Rankings, ratings, and judges that vote like one more labeler."""

    rankings: Files = ()
    """Rankings, votes on pairs: exports of `assent label`, records, or any layout of them."""
    ratings: Files = ()
    """Ratings with their flags."""
    samples: Files = ()
    """Several responses to a prompt that --judges vote on."""
    baseline: str = ""
    """The policy that the others are held against."""
    held_out: tuple[str, ...] = ()
    """Labelers whose data no model was trained on: ids, a file of them, or the answers.jsonl of an export."""
    answers: Files = ()
    """The answers.jsonl of exports: the chance with which each item was chosen. Those beside --rankings are found."""
    detect: float = 0.0
    """The smallest win rate that would matter: says how many judgements tell it from a tie."""
    ties: float = 0.0
    """The share of ties that planning assumes while there are no judgements."""
    judges: tuple[str, ...] = ()
    """Models that vote on the pairs of --rankings or --samples: [NAME=] and a directory, or an endpoint URL#MODEL.
    A reward-model directory votes by reward."""
    margin: float = 0.0
    """Of a judge that is a reward model: rewards (log odds) that differ by no more are a tie."""

    @property
    def question(self) -> people.Question:
        """What is asked of judgements."""
        held_out = teams.held_out(self.held_out)
        return people.Question(baseline=self.baseline, held_out=held_out, detect=self.detect, ties=self.ties)

    def chances(self) -> dict[str, float]:
        """By the id of a ranking, the chance with which its item was chosen; ValueError where --answers has none."""
        found = weighing.propensities(self.answers or weighing.beside(self.rankings))
        if self.answers and not found:
            raise ValueError(
                "--answers: no row has a propensity; give the answers.jsonl of an export of `assent label`"
            )
        return found

    def prefer(self, run: Run) -> None:
        """Section 4.1 from rankings and ratings."""
        ranked, rejected = read(self.rankings, records.Ranking)
        rated, others = read(self.ratings, records.Rating)
        question = dataclasses.replace(self.question, chances=self.chances())
        found = people.judged(ranked, rated, question)
        made.reject(run, "preference", [*rejected, *others])
        found["gaps"] += _left_out([*rejected, *others])
        weighed = (self.answers or weighing.beside(self.rankings)) if question.chances else ()
        self.done(run, "preference", found, *self.rankings, *self.ratings, *weighed)
        grids.show(people_grids.grids(found))
        tell(found["gaps"])

    def plan(self, run: Run) -> None:
        """Sample size before anything was collected."""
        rows = [people.planned(self.question)]
        self.done(run, "plan", rows)
        grids.show([people_grids.plan(rows)])

    def vote(self, run: Run) -> None:
        """Judges as labelers, beside people where there are any."""
        ranked, rejected = read(self.rankings, records.Ranking)
        waiting, others = read(self.samples, records.Samples)
        made.reject(run, "judges", [*rejected, *others])
        models = [judging.judge_of(given, self.machine, self.seconds, self.margin) for given in self.judges]
        asked = judging.Asked(ranked, waiting, self.question, self.settings.limit)
        found = judging.judged(run, models, asked, self.note)
        found["gaps"] += _left_out([*rejected, *others])
        self.done(run, "judges", found, *self.rankings, *self.samples)
        grids.show(judge_grids.grids(found))
        tell(found["gaps"])


def read(paths: Files, kind: type[records.R]) -> tuple[tuple[records.R, ...], list[dict[str, Any]]]:
    """The records of files in any layout, and the rows that are none."""
    if not paths:
        return (), []
    loaded = public.load(paths, kind)
    return loaded.records, [dataclasses.asdict(row) for row in loaded.rejected]


def _left_out(rejected: list[dict[str, Any]]) -> list[str]:
    """A sentence about rows that are no records."""
    if not rejected:
        return []
    first = rejected[0]
    where = f"{first['file']}, line {first['line']}: {first['field']}{': ' if first['field'] else ''}{first['reason']}"
    return [f"{len(rejected)} rows left out, see rejected.jsonl; the first: {where}"]


def tell(gaps: list[str]) -> None:
    """Print what is not there."""
    for gap in gaps:
        print(f"gap: {gap}")
