"""Where the files of tasks are, and what could be read of them; what could not is a gap that is seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assent.data.public import Rejected
from assent.evaluate import tasks as registry
from assent.evaluate.measure import about
from assent.evaluate.tasks import checks
from assent.evaluate.tasks.read import Loaded, find, load
from assent.evaluate.tasks.task import Item, Task


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


@dataclass(frozen=True)
class Asked:
    """A task with its items, and the items that may be examples where it has a file of them."""

    task: Task
    items: list[Item]
    pool: list[Item]


@dataclass
class Read:
    """The tasks that could be read, and what could not."""

    tasks: list[Asked] = field(default_factory=list[Asked])
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
        if pool:
            self.files[-1]["examples"] = True
        if items:
            self.tasks.append(Asked(task, items, pool))

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
