"""One evaluation: tasks are read, every model does them, and whatever could not be done is a gap that is seen."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assent import records
from assent.data.public import Rejected
from assent.evaluate import tasks as registry
from assent.evaluate.answerers import Answerer, UnanswerableError
from assent.evaluate.cache import Cache, key_of
from assent.evaluate.measure import Result, Settings, about, answered, results, samples, sheets
from assent.evaluate.tasks import checks
from assent.evaluate.tasks.read import Loaded, find, load
from assent.evaluate.tasks.task import Instruments, Item, Task
from assent.run import Run, atomically

Note = Callable[[str], None]


@dataclass(frozen=True)
class Gap:
    """Something that was not evaluated, and why; an empty model is all of them."""

    task: str
    model: str
    reason: str


@dataclass(frozen=True)
class Sources:
    """Where the files of tasks are: folders, and files by the name of their task."""

    folders: tuple[Path, ...]
    named: Mapping[str, Path]

    @classmethod
    def parse(cls, given: Sequence[str]) -> "Sources":
        """From flags: DIRECTORY or TASK=FILE. Raises ValueError where there is no such thing."""
        folders: list[Path] = []
        named: dict[str, Path] = {}
        names = {*registry.TASKS, *(check.name for check in checks.CHECKS)}
        for one in given:
            name, separator, rest = one.partition("=")
            if separator and name in names:
                named[name] = Path(rest)
            elif Path(one).is_dir():
                folders.append(Path(one))
            else:
                raise ValueError(f"--data: {one!r} is no directory; name one, or TASK=FILE with the name of a task")
        return cls(tuple(folders), named)

    def of(self, name: str, names: Sequence[str]) -> Path | None:
        """The file of a task, if there is one."""
        return self.named.get(name) or find(names, self.folders)


@dataclass
class Read:
    """The tasks that could be read, and what could not."""

    tasks: list[tuple[Task, list[Item], list[Item]]] = field(default_factory=list[tuple[Task, list[Item], list[Item]]])
    files: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    rejected: list[Rejected] = field(default_factory=list[Rejected])
    gaps: list[Gap] = field(default_factory=list[Gap])

    def add(self, task: Task, sources: Sources) -> None:
        """Read the files of a task: ours where it is a probe, the user's, and the one with examples."""
        paths = [path for path in (registry.builtin(task), sources.of(task.name, task.files)) if path]
        if not paths:
            reason = f"no file {' or '.join(task.files)} in the folders of --data; name one with {task.name}=FILE"
            self.gaps.append(Gap(task.name, "", reason))
            return
        items = [item for path in paths for item in self._load(task, path)]
        pool_path = find(task.pool, sources.folders)
        pool = self._load(task, pool_path) if pool_path else []
        if items:
            self.tasks.append((task, items, pool))

    def _load(self, task: Task, path: Path) -> list[Item]:
        try:
            loaded: Loaded = load(task, path)
        except (ValueError, OSError) as error:
            self.gaps.append(Gap(task.name, "", str(error)))
            return []
        self.files.append(about(loaded, task))
        self.rejected += loaded.rejected
        if loaded.rejected:
            first = loaded.rejected[0]
            where = f"line {first.line}{', ' if first.field else ''}{first.field}"
            reason = f"{len(loaded.rejected)} of {loaded.rows} rows of {path} left out, first {where}: {first.reason}"
            self.gaps.append(Gap(task.name, "", reason))
        return loaded.items


def read(names: Sequence[Task], sources: Sources) -> Read:
    """All tasks, as far as they can be read."""
    found = Read()
    for task in names:
        found.add(task, sources)
    return found


@dataclass
class Table:
    """What an evaluation found."""

    results: list[Result] = field(default_factory=list[Result])
    checks: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    gaps: list[Gap] = field(default_factory=list[Gap])


def evaluate(
    run: Run, read_: Read, models: Sequence[Answerer], instruments: Instruments, settings: Settings, note: Note
) -> Table:
    """Every model on every task. What fails is a gap; the rest is done."""
    table = Table(gaps=list(read_.gaps))
    for task, _, _ in read_.tasks:
        lacking = [name for name in task.needs if getattr(instruments, name) is None]
        if lacking:
            reason = f"no {' and no '.join(lacking)} scorer: its numbers are missing; name one with --{lacking[0]}"
            table.gaps.append(Gap(task.name, "", reason))
    for model in models:
        for task, items, pool in read_.tasks:
            with run.phase(task.name):
                table.results += _of_task(run, task, items, pool, model, instruments, settings, table.gaps, note)
        table.gaps += [Gap("", model.name, reason) for reason in dict.fromkeys(model.failures())]
    return table


def _of_task(
    run: Run,
    task: Task,
    items: list[Item],
    pool: list[Item],
    model: Answerer,
    instruments: Instruments,
    settings: Settings,
    gaps: list[Gap],
    note: Note,
) -> list[Result]:
    cache = Cache(run.directory / "cache" / f"{key_of(model.key)[:16]}.jsonl")
    found: list[Result] = []
    said: list[records.Samples] = []
    for sheet in sheets(task, items, pool, settings):
        if not sheet.items:
            reason = f"{sheet.kind.name}: all {len(items)} items are taken as examples; give more rows or fewer --shots"
            gaps.append(Gap(task.name, model.name, reason))
            continue
        note(f"{model.name}: {task.title}, {sheet.kind.name}, {len(sheet.items)} items")
        try:
            outcomes = answered(sheet, model, cache, settings.prompting, lambda _: None)
        except UnanswerableError as reason:
            gaps.append(Gap(task.name, model.name, str(reason)))
            break
        silent = sum(one is None for one in outcomes)
        if silent:
            gaps.append(Gap(task.name, model.name, f"{silent} of {len(outcomes)} items without an answer"))
        numbers, scores = results(sheet, model.name, outcomes, instruments)
        found += numbers
        said += samples(sheet, model.name, outcomes, scores)
    _write_outputs(run, model.name, task.name, said)
    return found


def _write_outputs(run: Run, model: str, task: str, said: Sequence[records.Samples]) -> None:
    path = run.directory / "outputs" / model.replace("/", "_") / f"{task}.jsonl"
    if said and run.writes:
        with atomically(path) as temporary:
            records.write(temporary, said)


def check(sources: Sources, instruments: Instruments, read_: Read, table: Table) -> None:
    """Measure the instruments on the labelled texts that there are; where one had no number for a text is a gap."""
    for one in checks.CHECKS:
        path, scorer = sources.of(one.name, one.files), one.instrument(instruments)
        if path is None:
            continue
        texts, rejected = checks.read(one, path)
        read_.rejected += rejected
        counts = {"rows": len(texts) + len(rejected), "items": len(texts), "rejected": len(rejected), "unused": 0}
        read_.files.append({"task": one.name, "file": str(path), **counts, "why unused": ""})
        if scorer is None:
            table.gaps.append(Gap(one.name, "", "labelled texts are there, and no scorer to hold against them"))
            continue
        try:
            table.checks.append({"check": one.name, "scorer": scorer.name, **checks.measured(texts, scorer)})
        except ValueError as error:  # no number for any text, or labels of one kind
            table.gaps.append(Gap(one.name, "", f"{scorer.name}: {error}"))
    for scorer in (instruments.toxicity, instruments.truth, instruments.info):
        if scorer is not None:
            table.gaps += [Gap("", scorer.name, reason) for reason in dict.fromkeys(scorer.failures())]
