"""One evaluation: every model does every task that could be read; what could not be done is a gap."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from assent import records
from assent.evaluate.answerers import Answerer
from assent.evaluate.cache import Cache, key_of
from assent.evaluate.measure import Result, Settings, Sheet, answered, results, samples, scored, sheets
from assent.evaluate.sources import Asked, Gap, Read, Sources
from assent.evaluate.tasks import checks
from assent.evaluate.tasks.task import Instruments, Task
from assent.run import Run, atomically

Note = Callable[[str], None]


@dataclass
class Table:
    """What an evaluation found."""

    results: list[Result] = field(default_factory=list[Result])
    checks: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    gaps: list[Gap] = field(default_factory=list[Gap])


@dataclass(frozen=True)
class Evaluation:
    """What all models and tasks of an evaluation share; `table` grows as they are done."""

    run: Run
    instruments: Instruments
    settings: Settings
    note: Note
    table: Table = field(default_factory=Table)

    def of(self, read: Read, models: Sequence[Answerer]) -> Table:
        """Every model on every task. What fails is a gap; the rest is done."""
        self.table.gaps += read.gaps
        for asked in read.tasks:
            lacking = [name for name in asked.task.needs if getattr(self.instruments, name) is None]
            if lacking:
                reason = f"no {' and no '.join(lacking)} scorer: its numbers are missing; name one with --{lacking[0]}"
                self.table.gaps.append(Gap(asked.task.name, "", reason))
        for model in models:
            cache = Cache(self.run.directory / "cache" / f"{key_of(model.key)[:16]}.jsonl")
            for asked in read.tasks:
                with self.run.phase(asked.task.name):
                    self._task(asked, model, cache)
            self.table.gaps += [Gap("", model.name, reason) for reason in dict.fromkeys(model.failures())]
        return self.table

    def _task(self, asked: Asked, model: Answerer, cache: Cache) -> None:
        task, said, rows = asked.task, list[records.Samples](), list[dict[str, Any]]()
        for sheet in sheets(task, asked.items, asked.pool, self.settings):
            if not sheet.items:
                reason = f"all {len(asked.items)} items are taken as examples; give more rows or fewer --shots"
                self._gap(task, model, f"{sheet.kind.name}: {reason}")
                continue
            self.note(f"{model.name}: {task.title}, {sheet.kind.name}, {len(sheet.items)} items")
            try:
                found, wrote = self._sheet(sheet, model, cache)
            except (ValueError, OSError) as reason:  # a task that this model cannot do, or an instrument that fails
                self._gap(task, model, str(reason))
                continue
            said += wrote
            rows += found
        _write(self.run, model.name, task.name, said, rows)

    def _sheet(self, sheet: Sheet, model: Answerer, cache: Cache) -> tuple[list[dict[str, Any]], list[records.Samples]]:
        """The scores of each item, and what was said, of a task in one prompt type; its numbers go to the table."""
        outcomes = answered(sheet, model, cache, self.settings.prompting)
        silent = sum(one is None for one in outcomes)
        if silent:
            self._gap(sheet.task, model, f"{sheet.kind.name}: {silent} of {len(outcomes)} items without an answer")
        numbers, scores = results(sheet, model.name, outcomes, self.instruments)
        self.table.results += numbers
        return list(scored(sheet, outcomes, scores)), list(samples(sheet, model.name, outcomes, scores))

    def _gap(self, task: Task, model: Answerer, reason: str) -> None:
        gap = Gap(task.name, model.name, reason)
        if gap not in self.table.gaps:  # one reason, however many prompt types it holds for
            self.table.gaps.append(gap)


def folder(name: str) -> str:
    """The folder of a model in `outputs` and `scores`."""
    return name.replace("/", "_")


def _write(run: Run, model: str, task: str, said: Sequence[records.Samples], rows: Sequence[dict[str, Any]]) -> None:
    """What was written, as records, and the scores of each item."""
    if not said or not run.writes:
        return
    with atomically(run.directory / "outputs" / folder(model) / f"{task}.jsonl") as temporary:
        records.write(temporary, said)
    with atomically(run.directory / "scores" / folder(model) / f"{task}.jsonl") as temporary:
        temporary.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def check(sources: Sources, instruments: Instruments, read_: Read, table: Table) -> None:
    """Measure the instruments on the labelled texts that there are; where one had no number for a text is a gap."""
    for one in checks.CHECKS:
        path, scorer = sources.of(one.name, one.files), one.instrument(instruments)
        if path is None:
            continue
        texts, rejected = checks.read(one, path)
        read_.rejected += rejected
        unseen = [text for text in texts if not one.trains or checks.held_out(text)] or texts
        left = len(texts) - len(unseen)
        why = f"{left} to questions on which --judge-sets trains judges" if left else ""
        counts = {"rows": len(texts) + len(rejected), "items": len(unseen), "rejected": len(rejected), "unused": left}
        read_.files.append({"task": one.name, "file": str(path), **counts, "why unused": why})
        if scorer is None:
            table.gaps.append(Gap(one.name, "", "labelled texts are there, and no scorer to hold against them"))
            continue
        try:
            table.checks.append({"check": one.name, "scorer": scorer.name, **checks.measured(unseen, scorer)})
        except ValueError as error:  # no number for any text, or labels of one kind
            table.gaps.append(Gap(one.name, "", f"{scorer.name}: {error}"))
    for scorer in (instruments.toxicity, instruments.truth, instruments.info):
        if scorer is not None:
            table.gaps += [Gap("", scorer.name, reason) for reason in dict.fromkeys(scorer.failures())]
