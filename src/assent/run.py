"""A run directory: what was run, from what, what happened, where it stands, and what came out.

```
runs/NAME/
  run.json        step, resolved config, git revision, versions, parents with hashes, status
  metrics.jsonl   one object per logged step
  samples.jsonl   records.Samples with the step and the name of the model that wrote them
  rejected.jsonl  rows that were left out, each with the reason
  results.json    what the step measured at its end
  checkpoints/    step-N, written whole or not at all; the last two are kept
  model/          the result in the Hugging Face layout
```

A run that was killed goes on with the same command: `steps` restores the newest complete checkpoint and cuts the
logs back to it, so that the files end as if nothing had happened. Never loads torch: the state that is saved is
anything with `save(directory)` and `load(directory)`.
"""

import contextlib
import dataclasses
import datetime
import fcntl
import hashlib
import importlib.metadata
import json
import os
import platform
import resource
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from assent import records

KEPT_CHECKPOINTS = 2  # the newest may be the one being written when the machine dies


class State(Protocol):
    """Everything a run needs to go on (docs/architecture.md, contract 5)."""

    def save(self, directory: Path) -> None:
        """Write all state into an empty directory."""
        ...

    def load(self, directory: Path) -> None:
        """Restore what `save` wrote, bit for bit."""
        ...


class RunError(ValueError):
    """A run directory that cannot be used as asked; says why and what to do."""


class Run:
    """One step of the method in its directory. Open with `Run.open`, as a context manager."""

    def __init__(self, directory: Path, *, save_every: int, quiet: bool, writes: bool) -> None:
        self.directory = directory
        self.save_every = save_every
        self.writes = writes
        self.quiet = quiet
        self.watch: Callable[[bool], object] = lambda last: None  # called after every step, e.g. by a profiler
        self._phases: dict[str, float] = {}
        self._lock: Any = None

    # -- opening ---------------------------------------------------------------------------------------------

    @classmethod
    def open(
        cls,
        directory: Path,
        step: str,
        config: Any,
        parents: Mapping[str, Path],
        *,
        save_every: int = 50,
        quiet: bool = False,
    ) -> "Run":
        """Create `directory` for `step`, or go on with it when it holds the same step, config and parents.

        config: a dataclass; parents: name -> the file or directory this run reads. Only rank 0 writes.
        Raises RunError when the directory belongs to another run (naming the field) or is in use.
        """
        run = cls(directory, save_every=save_every, quiet=quiet, writes=os.environ.get("RANK", "0") == "0")
        if not run.writes:
            return run
        directory.mkdir(parents=True, exist_ok=True)
        run._take_lock()
        try:
            run._claim(step, config, parents)
        except BaseException:
            run.__exit__()
            raise
        return run

    def _claim(self, step: str, config: Any, parents: Mapping[str, Path]) -> None:
        """Describe a new run, or see that what lies here is the same run."""
        directory = self.directory
        described = {
            "step": step,
            "config": _plain(config),
            "parents": {name: {"path": str(path), "sha256": digest(path)} for name, path in parents.items()},
        }
        if (directory / "run.json").exists():
            self._refuse_mismatch(described)
        else:
            foreign = [path.name for path in directory.iterdir() if path.name != "lock" and path.name[0] != "."]
            if foreign:
                raise RunError(f"{directory} holds {foreign[0]} but no run.json; choose an empty directory")
            _write_json(directory / "run.json", {**described, **_circumstances(), "status": "running"})

    def _take_lock(self) -> None:
        self._lock = (self.directory / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # freed by the kernel however we die
        except OSError:
            self._lock.close()
            raise RunError(f"{self.directory} is in use by another process; wait for it or stop it") from None

    def _refuse_mismatch(self, described: dict[str, Any]) -> None:
        kept, asked = dict(_leaves(self.info)), dict(_leaves(described))
        for name in sorted(kept.keys() | asked.keys()):
            if kept.get(name) != asked.get(name):
                raise RunError(
                    f"{self.directory} was started with {name} = {kept.get(name)!r}, this command says "
                    f"{asked.get(name)!r}; use the first value to go on, or another directory for a new run"
                )

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *exception: object) -> None:
        if self._lock is not None:
            self._lock.close()

    # -- what is known ---------------------------------------------------------------------------------------

    @property
    def info(self) -> dict[str, Any]:
        """The contents of run.json."""
        return json.loads((self.directory / "run.json").read_text())

    @property
    def finished(self) -> bool:
        """Whether the run has come to its end."""
        return (self.directory / "run.json").exists() and self.info["status"] == "finished"

    @property
    def model(self) -> Path:
        """Where the result is exported to."""
        return self.directory / "model"

    # -- steps -----------------------------------------------------------------------------------------------

    def steps(self, total: int, state: State) -> Iterator[int]:
        """Yield the step numbers still to do, restoring `state` first and saving it as the steps go by."""
        start = self._restore(state)
        with self._progress(total, start) as advance:
            for step in range(start, total):
                yield step
                if (step + 1) % self.save_every == 0 or step + 1 == total:
                    with self.phase("checkpoint"):
                        self._save(step + 1, state)
                self.watch(step + 1 == total)
                advance()

    def _restore(self, state: State) -> int:
        found = self.checkpoints()
        start = found[-1][0] if found else 0
        if found:
            state.load(found[-1][1])
        if self.writes:
            for name in ("metrics.jsonl", "samples.jsonl"):
                _cut(self.directory / name, start)
        return start

    def _save(self, step: int, state: State) -> None:
        if not self.writes:
            return
        folder = self.directory / "checkpoints"
        with atomically(folder / f"step-{step:08d}") as temporary:
            temporary.mkdir()
            state.save(temporary)
        for _, path in self.checkpoints()[:-KEPT_CHECKPOINTS]:
            shutil.rmtree(path)

    def checkpoints(self) -> list[tuple[int, Path]]:
        """The complete checkpoints, oldest first, with how many steps each has behind it."""
        folder = self.directory / "checkpoints"
        if not folder.exists():
            return []
        return sorted((int(path.name.removeprefix("step-")), path) for path in folder.glob("step-*"))

    @contextlib.contextmanager
    def _progress(self, total: int, start: int) -> Generator[Callable[[], None], None, None]:
        if self.quiet or not self.writes:
            yield lambda: None
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns) as progress:
            task = progress.add_task(self.info["step"], total=total, completed=start)
            yield lambda: progress.advance(task)

    # -- writing ---------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def phase(self, name: str) -> Generator[None, None, None]:
        """Time what happens inside; the next `log` carries it as `seconds/<name>`."""
        start = time.perf_counter()
        yield
        self._phases[name] = self._phases.get(name, 0.0) + time.perf_counter() - start

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Append one line to metrics.jsonl: the metrics, the seconds of each phase since the last, peak memory."""
        seconds = {f"seconds/{name}": value for name, value in self._phases.items()}
        self._phases = {}
        peak = {"memory/peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}
        self._append("metrics.jsonl", [{"step": step, **metrics, **seconds, **peak}])

    def metrics(self) -> list[dict[str, Any]]:
        """What was logged so far."""
        path = self.directory / "metrics.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def log_samples(self, step: int, policy: str, samples: Iterable[records.Samples]) -> None:
        """Append samples of the model named `policy` to samples.jsonl."""
        rows = [{"step": step, "policy": policy, **records.to_json(sample)} for sample in samples]
        self._append("samples.jsonl", rows)

    def reject(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write rejected.jsonl anew: the rows this run leaves out, each with its reason."""
        if self.writes:
            (self.directory / "rejected.jsonl").write_text("".join(_line(row) for row in rows))

    def results(self, values: Mapping[str, Any]) -> None:
        """Merge `values` into results.json."""
        path = self.directory / "results.json"
        if self.writes:
            _write_json(path, {**(json.loads(path.read_text()) if path.exists() else {}), **values})

    def export(self, save: Callable[[Path], object], name: str = "model") -> None:
        """Write the directory `name` of the result with `save`, whole or not at all."""
        if self.writes:
            with atomically(self.directory / name) as temporary:
                temporary.mkdir(parents=True)
                save(temporary)

    def finish(self) -> None:
        """Mark the run finished."""
        if self.writes:
            _write_json(self.directory / "run.json", {**self.info, "status": "finished", "ended": _now()})

    def _append(self, name: str, rows: list[dict[str, Any]]) -> None:
        if self.writes:
            with (self.directory / name).open("a") as file:
                file.writelines(_line(row) for row in rows)


@contextlib.contextmanager
def atomically(path: Path) -> Generator[Path, None, None]:
    """Give a temporary sibling of `path` to write to; it takes the place of `path` when the block ends well.

    Everything below it is synced to the disk first, so that a crash leaves the old or the new, never a mixture.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove(temporary)
    yield temporary
    for written in [temporary, *temporary.rglob("*")] if temporary.is_dir() else [temporary]:
        _sync(written)
    if temporary.is_dir():
        _remove(path)  # a directory cannot be replaced in one call; checkpoints have fresh names, so nothing is lost
    temporary.replace(path)
    _sync(path.parent)


def digest(path: Path) -> str:
    """SHA-256 of a file, or of the names and contents of the files of a directory."""
    total = hashlib.sha256()
    if not path.exists():
        raise RunError(f"{path} does not exist")
    files = sorted(item for item in path.rglob("*") if item.is_file()) if path.is_dir() else [path]
    for item in files:
        total.update(str(item.relative_to(path)).encode() if path.is_dir() else b"")
        with item.open("rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


def _circumstances() -> dict[str, Any]:
    packages = ("assent", "torch", "transformers", "numpy")
    versions = {"python": platform.python_version(), "processor": platform.machine()}
    for package in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    command = shlex.join(["assent", *sys.argv[1:]])
    return {"started": _now(), "command": command, "git": _git_revision(), "versions": versions}


def _git_revision() -> str:
    """The revision of the user's working directory, with a plus when it has changes; empty outside a repository."""
    try:
        command = ["git", "describe", "--always", "--dirty=+", "--abbrev=40", "--exclude=*"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _plain(config: Any) -> Any:
    """A dataclass as JSON gives it back."""
    return json.loads(json.dumps(dataclasses.asdict(config), default=str))


def _leaves(described: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Name and value of everything that identifies a run: step, config, hashes of parents (not their paths)."""
    yield "step", described["step"]
    for name, parent in sorted(described["parents"].items()):
        yield f"{name} (sha256)", parent["sha256"]
    yield from _flatten("", described["config"])


def _flatten(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, item in sorted(value.items()):
            yield from _flatten(f"{prefix}.{name}" if prefix else name, item)
    else:
        yield prefix, value


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"


def _write_json(path: Path, value: Any) -> None:
    with atomically(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def _cut(path: Path, step: int) -> None:
    """Keep the lines of steps before `step`; a last line that was half written goes too."""
    if not path.exists():
        return
    kept: list[str] = []
    for line in path.read_text().splitlines(keepends=True):
        with contextlib.suppress(json.JSONDecodeError):
            if line.endswith("\n") and json.loads(line)["step"] < step:
                kept.append(line)
    with atomically(path) as temporary:
        temporary.write_text("".join(kept))


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    elif path.exists():
        path.unlink()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
