"""How a result came about: the command that computes it again, and the files it was made from with their hashes."""

import dataclasses
import json
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from assent.run import Run, digest


def command(verb: Any, name: str) -> str:
    """The command line of a verb: every field that differs from its default, as the flag it is.

    Fields that are configurations become flags of the verb itself, or `--name.flag` for the machine.
    """
    words = [word for flag, value in _changed(verb, "") for word in _spoken(flag, value)]
    return shlex.join(["assent", name, *words])


def _changed(one: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for field in dataclasses.fields(one):
        value = getattr(one, field.name)
        if dataclasses.is_dataclass(value):
            yield from _changed(value, "machine." if field.name == "machine" else prefix)
        elif value != field.default:
            yield f"--{prefix}{field.name.replace('_', '-')}", value


def _spoken(flag: str, value: Any) -> Iterator[str]:
    if isinstance(value, bool):
        yield flag if value else f"--no-{flag.removeprefix('--')}"
        return
    yield flag
    yield from (str(one) for one in (value if isinstance(value, tuple) else (value,)))


def files(paths: Sequence[Path]) -> list[dict[str, str]]:
    """Files or directories with the SHA-256 of what they hold."""
    return [{"path": str(path), "sha256": digest(path)} for path in paths]


def keep(run: Run, part: str, values: Any, command: str, paths: Sequence[Path]) -> None:
    """Write the results of a part, if it has any of its own, with the command and the files that made them."""
    known = results(run.directory).get("made", {})
    source = {"command": command, "files": files(paths)}
    run.results({**({} if values is None else {part: values}), "made": known | {part: source}})


def results(directory: Path) -> dict[str, Any]:
    """The results that a run directory has so far."""
    path = directory / "results.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def reject(run: Run, part: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """The rows that a part leaves out, beside those of the other parts."""
    path = run.directory / "rejected.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    others = [row for row in map(json.loads, lines) if row.get("part") != part]
    run.reject([*others, *({**row, "part": part} for row in rows)])
