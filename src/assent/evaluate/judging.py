"""Judges at work: each votes on the same pairs, its votes are written as rankings, and people stand beside them."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from assent import records
from assent.engine.machine import Machine
from assent.evaluate import judge, people
from assent.evaluate.answerers import Answerer, answerer, model_directory, named
from assent.evaluate.cache import Cache, key_of
from assent.evaluate.reward_judge import RewardJudge, is_reward_model
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


def judge_of(given: str, machine: Machine, seconds: float, margin: float) -> Answerer | RewardJudge:
    """The judge that a flag names: a reward model by its configuration, else as `answerer` reads it."""
    name, rest = named(given)
    path = model_directory(Path(rest))
    config = path / "config.json"
    if config.exists() and is_reward_model(json.loads(config.read_text(encoding="utf-8"))):
        return RewardJudge(name or Path(rest).name, path, machine, margin)
    return answerer(given, machine, seconds)


def judged(run: Run, models: Sequence[Answerer | RewardJudge], asked: Asked, note: Callable[[str], None]) -> Row:
    """The votes of every judge in `judged/NAME.jsonl`, what they say together, and how far they agree with people.

    Raises ValueError when no judge gave a vote.
    """
    pairs = judge.pairs(asked.records, asked.question.baseline)
    gaps: list[str] = []
    votes: list[judge.Votes] = []
    for model in models:
        alone = isinstance(model, RewardJudge)
        note(f"judge {model.name}: {len(pairs)} pairs {'by reward' if alone else 'in both orders'}")
        cache = Cache(run.directory / "cache" / f"{key_of(model.key)[:16]}.jsonl")
        try:
            found = model.vote(pairs, cache) if alone else judge.vote(model, pairs, cache)
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
