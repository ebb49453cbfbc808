"""What the verbs that compute share: their flags, their run directory, and how they read records."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from assent import records
from assent.commands import Files
from assent.data import pretraining, public
from assent.engine import distributed, encode
from assent.engine.machine import Machine, keep_memory
from assent.engine.profile import Profile
from assent.run import Run

R = TypeVar("R", records.Prompt, records.Demonstration, records.Ranking, records.Document)


@dataclass(frozen=True, kw_only=True)
class Common:
    """Flags of every verb that computes."""

    run: Path
    """The run directory; the same command goes on where a killed run stopped."""
    machine: Machine = Machine()
    quiet: bool = False
    save_every: int = 50
    """Steps between checkpoints."""
    profile: int = 0
    """Steps to watch after the first: writes a trace into the run and prints the ten largest costs."""

    def start(self) -> None:
        """Run the verb, unless its run has come to its end."""
        keep_memory()
        distributed.start()
        if Run(self.run, save_every=1, quiet=True, writes=False).finished:
            print(f"{self.run} is finished; see its results.json, or choose another --run for a new one")
        else:
            self.work()

    def work(self) -> None:
        """What the verb does."""
        raise NotImplementedError

    def open(self, step: str, config: Any, parents: dict[str, Path | Files]) -> Run:
        """The run directory of this command."""
        named: dict[str, Path] = {}
        for name, path in parents.items():
            many = path if isinstance(path, tuple) else (path,)
            named |= {name if len(many) == 1 else f"{name}[{n}]": one for n, one in enumerate(many)}
        run = Run.open(self.run, step, config, named, save_every=self.save_every, quiet=self.quiet)
        if self.profile and run.writes:
            run.watch = Profile(self.run / "profile", self.profile)
        return run


class Inputs:
    """Reads records and collects what is left out, for rejected.jsonl."""

    def __init__(self) -> None:
        self.rejected: list[dict[str, Any]] = []

    def read(self, paths: Files, kind: type[R]) -> tuple[R, ...]:
        """The records of files in any layout."""
        if not paths:
            return ()
        loaded = public.load(paths, kind)
        self.rejected += [dataclasses.asdict(row) for row in loaded.rejected]
        return loaded.records

    def texts(self, paths: Files) -> tuple[records.Document, ...]:
        """The documents of files, each of them once."""
        kept, repeated = pretraining.unique(self.read(paths, records.Document))
        self.rejected += [dataclasses.asdict(row) for row in repeated]
        return kept

    def keep(self, encoded: encode.Encoded[Any]) -> list[Any]:
        """The items of an encoding."""
        self.rejected += encoded.rejected
        return encoded.items
