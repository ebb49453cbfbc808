"""The verb that evaluates: models on public tasks, people's preferences, judges, reward models, what tuning cost."""

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from assent import records
from assent.commands.people import People, read
from assent.commands.tuned import Tuned
from assent.engine.machine import keep_memory
from assent.evaluate import evaluation, grids, judge_sets, made, reward_grids, reward_model, sources, tables, tasks
from assent.evaluate.answerers import answerer, model_directory
from assent.evaluate.cache import Remembered
from assent.evaluate.scorers import Subject, scorer
from assent.evaluate.sources import Sources
from assent.evaluate.tasks.task import Instruments, Scorer
from assent.run import Run, RunError


@dataclass(frozen=True, kw_only=True)
class Evaluate(People, Tuned):
    """Evaluate models on public tasks and probes, beside the paper's numbers; what people or judges preferred; a
    reward model on rankings; what tuning gained, lost, and how far it should go.

    Name what there is, and everything that can be said about it is said. The same command goes on where it was stopped,
    and the same directory takes more: answers are kept by the hash of their model.
    """

    models: tuple[str, ...] = ()
    """[NAME=] and a model or run directory, a file of recorded samples, or an endpoint URL#MODEL."""
    tasks: tuple[str, ...] = ("public", "probes")
    """Names of tasks, or paper, public, probes."""
    data: tuple[str, ...] = ()
    """Folders with the files of the tasks, or TASK=FILE."""
    toxicity: str = ""
    """A word list, a text-classification directory, or an endpoint; if empty, a bad_words_en.txt in a --data folder."""
    truth: str = ""
    """The judge of truth: a classification or language-model directory, or an endpoint."""
    info: str = ""
    """The judge of information, likewise."""
    judge_sets: tuple[str, ...] = ()
    """Labelled answers, truth=FILE or info=FILE, made into demonstrations for `assent sft` and rows to test on."""
    reward_model: str = ""
    """A reward model, or the run that made it, that is evaluated on --rankings."""

    def start(self) -> None:
        """Run the verb: each part that the flags ask for; a part that fails is said, and the others are done."""
        self.check()
        keep_memory()
        with Run.open(self.run, "evaluate", self.settings, {}, quiet=True) as run:
            failed: list[dict[str, str]] = []
            parts = dict(self.parts())
            for name, work in parts.items():
                try:
                    work(run)
                except (ValueError, OSError) as error:
                    if len(parts) == 1:
                        raise
                    failed.append({"part": name, "reason": str(error)})
                    print(f"gap: {name}: {error}")
            run.results({"failed": failed})
            run.finish()

    def check(self) -> None:
        """Flags that only make sense with others."""
        if self.reward_model and not self.rankings:
            raise ValueError("--rankings: a reward model is evaluated on rankings; give --reward-model and --rankings")
        if self.judges and not (self.rankings or self.samples):
            raise ValueError("--judges: nothing to vote on; give --rankings that people made, or --samples")
        if self.rankings and not (self.baseline or self.judges or self.reward_model):
            raise ValueError("--baseline: name the policy of the rankings that the others are held against")
        if self.detect and not 0 < self.detect < 1:
            raise ValueError(f"--detect: {self.detect} is no win rate; name one between 0 and 1, such as 0.55")
        if not dict(self.parts()):
            raise ValueError(
                "--models: nothing to evaluate; name a model, --rankings or --ratings with a --baseline, --judges, "
                "a --reward-model, --tax, --frontier, or --data for the instruments"
            )

    def parts(self) -> Iterator[tuple[str, Callable[[Run], None]]]:
        """What the flags ask for, in the order of section 4."""
        if self.baseline and (self.rankings or self.ratings):
            yield "preference", self.prefer
        elif self.detect:
            yield "plan", self.plan
        if self.judges:
            yield "judges", self.vote
        if self.judge_sets:
            yield "judge_sets", self.split
        if self.models or self.data:
            yield "evaluation", self.work
        if self.reward_model:
            yield "reward_model", self.hold
        if self.tax:
            yield "tax", self.taxed
        if self.frontier or self.best_of:
            yield "reach", self.reach

    # -- tasks -----------------------------------------------------------------------------------------------------

    def split(self, run: Run) -> None:
        """Judge sets as files to train and to test on."""
        made_of = [judge_sets.split(given, run.directory / "judge_sets") for given in self.judge_sets]
        made.reject(run, "judge_sets", [dataclasses.asdict(row) for _, rejected in made_of for row in rejected])
        paths = [judge_sets.parse(given)[1] for given in self.judge_sets]
        self.done(run, "judge_sets", [counts for counts, _ in made_of], *paths)
        for counts, _ in made_of:
            print(", ".join(f"{name} {value}" for name, value in counts.items()))

    def work(self, run: Run) -> None:
        """Models on tasks, and the instruments on labelled texts."""
        places = Sources.parse(self.data)
        models = [answerer(given, self.machine, self.seconds) for given in self.models]
        names = [model.name for model in models]
        if twice := next((name for name in names if names.count(name) > 1), ""):
            raise ValueError(f"--models: two are called {twice!r}; write NAME=PATH to tell them apart")
        found = sources.read(tasks.chosen(self.tasks) if models else [], places)
        if models and not found.tasks:
            raise RunError(f"--data: no task can be read; the first reason: {found.gaps[0].reason}")
        instruments = self.instruments(places, run)
        table = evaluation.Evaluation(run, instruments, self.settings, self.note).of(found, models)
        with run.phase("instruments"):
            evaluation.check(places, instruments, found, table)
        made.reject(run, "evaluation", map(dataclasses.asdict, found.rejected))
        rows = tables.write(run, found, table, models)
        self.done(run, "evaluation", None, *dict.fromkeys(Path(row["file"]) for row in found.files))
        run.log(0, {})
        tables.show(rows, found, table, _seconds(run))

    def instruments(self, places: Sources, run: Run) -> Instruments:
        """The scorers that the flags name; each is asked about a text once."""
        words = places.of("", ("bad_words_en.txt",))
        given: dict[Subject, str] = {
            "toxicity": self.toxicity or str(words or ""),
            "truth": self.truth,
            "info": self.info,
        }
        found: dict[str, Scorer] = {
            subject: Remembered(scorer(name, subject, self.machine, self.seconds), run.directory / "cache")
            for subject, name in given.items()
            if name
        }
        return Instruments(**found)

    def hold(self, run: Run) -> None:
        """A reward model on rankings."""
        rows, rejected = read(self.rankings, records.Ranking)
        directory = model_directory(Path(self.reward_model))
        found = reward_model.evaluate(directory, rows, self.machine, self.question.held_out)
        made.reject(run, "reward_model", [*rejected, *found.rejected])
        self.done(run, "reward_model", found.results, directory, *self.rankings)
        grids.show(reward_grids.grids(found.results))


def _seconds(run: Run) -> dict[str, float]:
    """What every task took in this run directory, over all commands that went to their end."""
    found: dict[str, float] = {}
    for line in run.metrics():
        for name, value in line.items():
            if name.startswith("seconds/"):
                task = name.removeprefix("seconds/")
                found[task] = found.get(task, 0.0) + value
    return found
