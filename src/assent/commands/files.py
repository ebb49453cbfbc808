"""The verbs that need no model: other people's files, prompts, reports. Never loads torch."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from assent import records
from assent.commands import Files, Flat
from assent.data import prompts, public
from assent.evaluate import report


@dataclass(frozen=True, kw_only=True)
class Import:
    """Turn other people's files into records; what cannot be read is kept aside with the reason."""

    data: tyro.conf.Positional[Files]
    kind: str
    """prompt, demonstration, samples, ranking, rating or document."""
    output: Path
    source: str = ""
    licence: str = ""
    layout: str = ""

    def start(self) -> None:
        """Run the verb."""
        if self.kind not in records.KINDS:
            raise ValueError(f"--kind: {self.kind!r} is not one of {', '.join(records.KINDS)}")
        if self.output.exists():
            raise ValueError(f"--output: {self.output} exists; choose a new file, imports never overwrite")
        kind = records.KINDS[self.kind]
        loaded = public.load(self.data, kind, source=self.source, licence=self.licence, layout=self.layout)
        records.write(self.output, loaded.records)
        aside = self.output.with_name("rejected.jsonl")
        with aside.open("a") as file:
            file.writelines(json.dumps(dataclasses.asdict(row), default=str) + "\n" for row in loaded.rejected)
        print(f"{loaded.rows} rows, {len(loaded.records)} records in {self.output}, {len(loaded.rejected)} rejected")
        for reason, count in loaded.reasons.most_common():
            print(f"{count:6d}  {reason}")


@dataclass(frozen=True, kw_only=True)
class Clean:
    """Prepare prompts as the paper does: no duplicates, a cap a user, split by user, no personal data in train."""

    data: tyro.conf.Positional[Files]
    output: Path
    """A new directory for train.jsonl, validation.jsonl, test.jsonl and rejected.jsonl."""
    rules: Annotated[prompts.Rules, Flat] = prompts.Rules()

    def start(self) -> None:
        """Run the verb."""
        if self.output.exists():
            raise ValueError(f"--output: {self.output} exists; choose a new directory, nothing is overwritten")
        loaded = public.load(self.data, records.Prompt)
        cleaned = prompts.clean(loaded.records, self.rules)
        for name, rows in cleaned.splits.items():
            records.write(self.output / f"{name}.jsonl", rows)
        dropped = [*loaded.rejected, *cleaned.rejected]
        with (self.output / "rejected.jsonl").open("w") as file:
            file.writelines(json.dumps(dataclasses.asdict(row), default=str) + "\n" for row in dropped)
        sizes = ", ".join(f"{len(rows)} {name}" for name, rows in cleaned.splits.items())
        print(f"{loaded.rows} rows: {sizes}, {len(dropped)} rejected")
        for reason, count in (loaded.reasons + cleaned.reasons).most_common():
            print(f"{count:6d}  {reason}")


@dataclass(frozen=True, kw_only=True)
class Report:
    """Write one self-contained page about some runs."""

    runs: tyro.conf.Positional[Files]
    output: Path = Path("report.html")

    def start(self) -> None:
        """Run the verb."""
        report.tell(self.runs)
        print(report.report(self.runs, self.output))
