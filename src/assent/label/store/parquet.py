"""An export as tables: its records as Parquet beside the lines, and a card by which `datasets` loads the folder.

The rows are those of the lines, in their order and with their types. Two things a table cannot hold as lines do: the
whole document of an answer is a text of JSON, and a flag that was not asked is null, as one that does not apply.
"""

import dataclasses
import hashlib
import io
import json
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from assent.label.store.exporting import Export
from assent.records import FLAGS, KINDS

FIRST = ("rankings", "demonstrations", "ratings", "answers")  # the first of these that has rows is loaded unnamed
_ANSWER = {
    **dict.fromkeys(("record", "kind", "mode", "labeler", "team", "state", "left_out", "guideline"), str),
    **dict.fromkeys(("stratum", "chosen", "document"), str),
    **dict.fromkeys(("revision", "schema"), int),
    **dict.fromkeys(("propensity", "seconds", "at"), float),
    "order": tuple[int, ...],
}
_CARD = """---
configs:
{configs}---

Records of one batch, as the labeling app of Assent exports them: one configuration a kind. `datasets.load_dataset` of
this folder loads `{first}`; any other is loaded by its name. `manifest.json` says by which plan and guideline they were
made, what was left out and why, and the SHA-256 of every file.
"""


def with_tables(export: Export) -> Export:
    """The export with its tables and the card, which its manifest then names as well."""
    rows = {name: [json.loads(line) for line in export.files[f"{name}.jsonl"].splitlines()] for name in FIRST}
    there = [name for name in FIRST if rows[name]]
    made = {f"{name}.parquet": _table(name, rows[name]) for name in there}
    if there:
        made["README.md"] = _card(there).encode()
    manifest = export.manifest
    manifest["files"] |= {
        file: {
            "sha256": hashlib.sha256(data).hexdigest(),
            "bytes": len(data),
            "records": len(rows.get(file.removesuffix(".parquet"), [])),
        }
        for file, data in made.items()
    }
    said = (json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()
    lines = {file: data for file, data in export.files.items() if file != "manifest.json"}
    return Export({**lines, **made, "manifest.json": said})


def _card(there: Sequence[str]) -> str:
    configs = "".join(
        f"- config_name: {name}\n  data_files: {name}.parquet\n" + ("  default: true\n" if name == there[0] else "")
        for name in there
    )
    return _CARD.format(configs=configs, first=there[0])


def _table(name: str, rows: list[dict[str, Any]]) -> bytes:
    import pyarrow
    import pyarrow.parquet

    if name == "answers":
        wanted = _ANSWER
        rows = [{**row, "document": json.dumps(row["document"], ensure_ascii=False, sort_keys=True)} for row in rows]
    else:
        wanted = {"kind": str, "schema": int, **typing.get_type_hints(KINDS[name.removesuffix("s")])}
    flags = [flag for flag in FLAGS if any(flag in row.get("flags", ()) for row in rows)] or list(FLAGS)
    schema = pyarrow.schema([(column, _type(one, flags)) for column, one in wanted.items()])
    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema), file, compression="zstd")
    return file.getvalue()


def _type(wanted: Any, flags: Sequence[str]) -> Any:
    """The column type of an annotation of a record."""
    import pyarrow

    if dataclasses.is_dataclass(wanted):
        hints = typing.get_type_hints(wanted)
        return pyarrow.struct([(name, _type(hint, flags)) for name, hint in hints.items()])
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if origin is Mapping:
        return pyarrow.struct([(flag, pyarrow.bool_()) for flag in flags])
    if origin is tuple:
        return pyarrow.list_(_type(arguments[0], flags))
    if origin is types.UnionType:
        return _type(arguments[0], flags)
    return {str: pyarrow.string(), int: pyarrow.int64(), float: pyarrow.float64()}[wanted]
