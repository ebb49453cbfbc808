"""The verb that evaluates: models on public tasks and probes, and a reward model on rankings."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from assent import records
from assent.commands import Files, Flat
from assent.commands.common import Inputs
from assent.engine.machine import Machine, keep_memory
from assent.evaluate import evaluation, reward_model, tables, tasks
from assent.evaluate.answerers import answerer
from assent.evaluate.cache import Remembered
from assent.evaluate.evaluation import Sources
from assent.evaluate.measure import Settings
from assent.evaluate.scorers import Subject, scorer
from assent.evaluate.tasks.task import Instruments, Scorer
from assent.run import Run, RunError


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Evaluate models on public tasks and probes, beside the paper's numbers; or a reward model on rankings.

    The same command goes on where it was stopped, and the same directory takes more models and tasks: answers are kept
    by the hash of their model.
    """

    run: Path
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
    reward_model: str = ""
    """A reward model that is evaluated on --rankings."""
    rankings: Files = ()
    seconds: float = 60.0
    """How long an endpoint may take to answer."""
    settings: Annotated[Settings, Flat] = field(default_factory=Settings)
    machine: Machine = Machine()
    quiet: bool = False

    def start(self) -> None:
        """Run the verb."""
        if not self.models and not self.reward_model and not self.data:
            raise ValueError(
                "--models: nothing to evaluate; name a model, a --reward-model, or --data for the instruments"
            )
        if bool(self.reward_model) != bool(self.rankings):
            raise ValueError("--rankings: a reward model is evaluated on rankings; give --reward-model and --rankings")
        keep_memory()
        with Run.open(self.run, "evaluate", self.settings, {}, quiet=True) as run:
            if self.models or self.data:
                self.work(run)
            if self.reward_model:
                self.judge(run)
            run.finish()

    def work(self, run: Run) -> None:
        """Models on tasks, and the instruments on labelled texts."""
        sources = Sources.parse(self.data)
        models = [answerer(given, self.machine, self.seconds) for given in self.models]
        names = [model.name for model in models]
        if twice := next((name for name in names if names.count(name) > 1), ""):
            raise ValueError(f"--models: two are called {twice!r}; write NAME=PATH to tell them apart")
        read = evaluation.read(tasks.chosen(self.tasks) if models else [], sources)
        if models and not read.tasks:
            raise RunError(f"--data: no task can be read; the first reason: {read.gaps[0].reason}")
        instruments = self.instruments(sources, run)
        note = (lambda words: None) if self.quiet else print
        table = evaluation.evaluate(run, read, models, instruments, self.settings, note)
        with run.phase("instruments"):
            evaluation.check(sources, instruments, read, table)
        rows = tables.write(run, read, table, models)
        run.log(0, {})
        tables.show(rows, table.checks, table.gaps)

    def instruments(self, sources: Sources, run: Run) -> Instruments:
        """The scorers that the flags name; each is asked about a text once."""
        words = sources.of("", ("bad_words_en.txt",))
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

    def judge(self, run: Run) -> None:
        """A reward model on rankings."""
        inputs = Inputs()
        rows = inputs.read(self.rankings, records.Ranking)
        found = reward_model.evaluate(Path(self.reward_model), rows, self.machine)
        run.reject([*inputs.rejected, *found.rejected])
        run.results({"reward_model": found.results})
        reward_model.show(found.results)
