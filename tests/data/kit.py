"""What every test of the importer does: write a file, load it, and hold the result against what is promised of all."""

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from assent import records
from assent.data import public

Row = Mapping[str, Any]


def write(path: Path, rows: Sequence[Any]) -> Path:
    """JSON lines; a string is a line as it stands."""
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def load(paths: Path | Sequence[Path], kind: str, **options: str) -> public.Loaded[Any]:
    paths = [paths] if isinstance(paths, Path) else paths
    loaded = public.load(paths, records.KINDS[kind], **options)
    check(loaded)
    return loaded


def attempt(path: Path, kind: str, **options: str) -> public.Loaded[Any] | None:
    """What is loaded, or None where a file is refused as a whole; any other exception is a fault."""
    try:
        return load(path, kind, **options)
    except records.RecordError as error:
        problem, _, remedy = str(error).partition("; ")
        assert problem and remedy, error  # noqa: PT017, PT018
        return None


def load_rows(folder: Path, rows: Sequence[Any], kind: str, **options: str) -> public.Loaded[Any]:
    return load(write(folder / "rows.jsonl", rows), kind, **options)


def check(loaded: public.Loaded[Any]) -> None:
    """The sums reconcile, and every rejection can be written down, says where and what, and what to do."""
    assert loaded.rows + loaded.expanded - loaded.merged == len(loaded.records) + len(loaded.rejected)
    assert min(loaded.expanded, loaded.merged) >= 0
    assert sum(loaded.reasons.values()) == len(loaded.rejected)
    for fault in loaded.rejected:
        assert fault.file
        assert fault.line >= 1
        problem, _, remedy = fault.reason.partition("; ")
        assert problem
        assert remedy, fault.reason
        json.dumps(dataclasses.asdict(fault), ensure_ascii=False).encode()
    for record in loaded.records:
        assert records.from_json(json.loads(json.dumps(records.to_json(record)))) == record


def why(loaded: public.Loaded[Any]) -> list[str]:
    return [f"{fault.field}: {fault.reason}".removeprefix(": ") for fault in loaded.rejected]


def said(prompt: records.Prompt) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in prompt.messages]


def texts(record: Any) -> list[str]:
    return [response.text for response in record.responses]


def parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)


def public_data() -> Path | None:
    """The folder of public data: named by ASSENT_DATA, or beside the repository; None where there is none."""
    beside = Path(__file__).parents[3] / "shared" / "data"
    path = Path(os.environ.get("ASSENT_DATA", beside))
    return path if (path / "native").is_dir() else None
