"""Records into batches: everything is read and checked before anything is put in; a bad line is one sentence.

Prompts become demonstrations to write, samples become responses to rank, rankings become gold: their ranks are the
known answer. Nothing here trusts a file: sizes, nesting, encodings and counts have limits.
"""

import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection, select

from assent import records
from assent.label import planning, schema
from assent.label.phrases import phrase
from assent.label.planning import Plan
from assent.label.store import batches, said
from assent.label.store.batches import NewBatch, NewItem
from assent.label.store.database import Database
from assent.label.store.meant import Meant
from assent.label.store.slots import RefusedError
from assent.label.store.tables import answer, guideline, item
from assent.records import Prompt, Ranking, Samples

_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"')
_HALF = re.compile(r"\\u[dD][89a-fA-F]")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What an import may hold. expansion: how many times larger a gzip file may become."""

    rows: int = 200_000
    bytes: int = 1_000_000_000
    line: int = 4_000_000
    text: int = 200_000
    nesting: int = 20
    expansion: int = 200


class ImportRefusedError(ValueError):
    """A file that cannot be imported: says which file, line and field, and what to do."""


Work = Prompt | Samples | Ranking


def read(path: Path, limits: Limits = Limits()) -> list[Work]:
    """The records of a JSONL(.gz) file of Assent's own."""
    try:
        packed = path.suffix == ".gz"
        most = min(limits.bytes, path.stat().st_size * limits.expansion + 1_000_000) if packed else limits.bytes
        with gzip.open(path, "rb") if packed else path.open("rb") as stream:
            return parse(_lines(stream, path.name, limits, most), path.name, limits)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        told = phrase("%(name)s: the file is cut off or no gzip file (%(error)s)", name=path.name, error=str(error))
        raise ImportRefusedError(told) from None
    except IsADirectoryError:
        raise ImportRefusedError(phrase("%(name)s: is a directory; name a file", name=path.name)) from None


def parse(lines: Iterable[bytes], name: str, limits: Limits = Limits()) -> list[Work]:
    """The records of lines; raises ImportRefusedError at the first that is not one."""
    found: list[Work] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = _record(line, number == 1, limits)
            _fit(record, limits)
            if record.id in seen:
                raise ValueError(f"id: {record.id!r} was used in line {seen[record.id]}; ids are unique in a batch")
        except (ValueError, RecursionError) as error:
            raise ImportRefusedError(said.at(name, number, error)) from None
        seen[record.id] = number
        found.append(record)
        if len(found) > limits.rows:
            told = phrase("%(name)s: more than %(rows)s records; split the file", name=name, rows=limits.rows)
            raise ImportRefusedError(told)
    return found


class _Lines(Protocol):
    def readline(self, size: int = -1, /) -> bytes: ...


def _lines(stream: _Lines, name: str, limits: Limits, most: int) -> Iterator[bytes]:
    total = 0
    while line := stream.readline(limits.line + 1):
        total += len(line)
        if len(line) > limits.line:
            told = phrase("%(name)s: a line is longer than %(most)s bytes; is it JSONL?", name=name, most=limits.line)
            raise ImportRefusedError(told)
        if total > most:
            told = phrase("%(name)s: becomes larger than %(most)s bytes; split the file", name=name, most=most)
            raise ImportRefusedError(told)
        yield line


def _record(line: bytes, first: bool, limits: Limits) -> Work:
    if line.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ValueError("the file is UTF-16; save it as UTF-8")
    if line.startswith(b"\xef\xbb\xbf"):
        if not first:
            raise ValueError("a byte order mark in the middle of the file; were files joined?")
        line = line[3:]
    if b"\0" in line or b"\\u0000" in line:
        raise ValueError("holds a NUL character, which cannot be stored; remove it")
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start + 1} is not UTF-8; save the file as UTF-8") from None
    _shallow(text, limits.nesting)
    row = json.loads(text, object_pairs_hook=_pairs, parse_constant=_constant)
    if isinstance(row, dict) and row.get("kind") == "samples":  # a line of a run's samples.jsonl says these as well
        row = {name: value for name, value in row.items() if name not in ("step", "policy")}  # pyright: ignore[reportUnknownVariableType]
    record = records.from_json(row)
    if not isinstance(record, Prompt | Samples | Ranking):
        raise ValueError(f"kind: {row['kind']!r}; prompts, samples and rankings (as gold) can be labeled")
    if _HALF.search(text) and any("\ud800" <= letter <= "\udfff" for letter in json.dumps(row, ensure_ascii=False)):
        raise ValueError("holds half a surrogate pair, which is no character; remove it")
    return record


def _shallow(text: str, most: int) -> None:
    """Refuse nesting before a parser meets it."""
    if text.count("[") + text.count("{") <= most:
        return
    depth = 0
    for letter in _STRING.sub("", text):
        depth += (letter in "[{") - (letter in "]}")
        if depth > most:
            raise ValueError(f"nested deeper than {most}; no record is")


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a field stands twice in one object; remove one")
    return found


def _constant(word: str) -> Any:
    raise ValueError(f"{word} is not JSON; write a number or leave the field out")


def _fit(record: Work, limits: Limits) -> None:
    """What a screen can show."""
    if not record.id or len(record.id) > 400 or not record.id.isprintable():
        raise ValueError("id: 1 to 400 printable characters")
    prompt = record if isinstance(record, Prompt) else record.prompt
    texts = {f"messages[{n}].content": one.content for n, one in enumerate(prompt.messages)}
    if not isinstance(record, Prompt):
        texts |= {f"responses[{n}].text": one.text for n, one in enumerate(record.responses)}
        count = len(record.responses)
        if not schema.SMALLEST <= count <= schema.LARGEST:
            raise ValueError(f"responses: {count}; a screen ranks {schema.SMALLEST} to {schema.LARGEST}")
        blank = [str(n) for n, one in enumerate(record.responses) if not one.text.strip()]
        if len(blank) == count:
            raise ValueError("responses: every one is blank; there is nothing to rank")
    for name, text in texts.items():
        if len(text) > limits.text:
            raise ValueError(f"{name}: {len(text)} characters; at most {limits.text}")
    if isinstance(record, Ranking) and max(record.ranks) > len(record.ranks):
        raise ValueError(f"ranks: {max(record.ranks)} is above the number of responses")


@dataclass(frozen=True, kw_only=True)
class Source:
    """What a batch is made from. scores: uncertainty by record id. practice: how many of the first records are shown
    to everybody first and not counted. meant: by record id, how practice items are meant; these come before all."""

    work: Sequence[Work]
    scores: Mapping[str, float] | None = None
    practice: int = 0
    meant: Mapping[str, Meant] = field(default_factory=dict[str, Meant])


def read_scores(path: Path) -> dict[str, float]:
    """The uncertainty of records from lines of {"id": ..., "score": ...}."""
    found: dict[str, float] = {}
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        try:
            row = json.loads(line, parse_constant=_constant)
            found[str(row["id"])] = float(row["score"])
        except (ValueError, TypeError, KeyError) as error:
            raise ImportRefusedError(
                f'{path.name}, line {number}: {error}; write {{"id": "...", "score": 0.5}}'
            ) from None
    return found


def put(database: Database, name: str, source: Source, plan: Plan, guideline_version: str, actor: int | None) -> int:
    """Make a batch of records, all or nothing; its number. The same again changes nothing."""
    if not name.strip() or len(name) > 100 or not name.isprintable() or "/" in name:
        raise RefusedError(422, "name: 1 to 100 printable characters, without a slash")
    with database.read() as connection:
        if connection.execute(select(guideline).where(guideline.c.version == guideline_version)).first() is None:
            told = phrase("guideline: there is no version %(name)s; write it first", name=repr(guideline_version))
            raise RefusedError(422, told)
        authors = _authors(connection, source.work)
    items = _planned(source, plan, authors)
    said = {**asdict(plan), "gold_share": round(planning.gold_share(items), 4)}
    new = NewBatch(name=name, plan=said, guideline=guideline_version, source_hash=_digest(source, plan), author=actor)
    return batches.create(database, new, items)


def _planned(source: Source, plan: Plan, authors: Mapping[str, Sequence[int]]) -> list[NewItem]:
    explained = _explained(source, plan)
    others = [one for one in source.work if one.id not in source.meant]
    work = [one for one in others if not isinstance(one, Ranking)]
    practice, rest = work[: source.practice], work[source.practice :]
    gold = [_item(one, plan, "gold", authors) for one in others if isinstance(one, Ranking)]
    if not rest:
        raise RefusedError(422, "records: there is nothing to label; prompts or samples are needed")
    if source.scores is not None and (missing := [one.id for one in rest if one.id not in source.scores]):
        first = repr(missing[0])
        told = phrase("scores: %(count)s records have none, the first is %(first)s", count=len(missing), first=first)
        raise RefusedError(422, told)
    scores = None if source.scores is None else [source.scores[one.id] for one in rest]
    chosen = [
        replace(_item(rest[one.place], plan, "single", authors), chosen=one.stratum, propensity=one.propensity)
        for one in planning.choose(len(rest), plan, scores)
    ]
    shown_first = explained + [_item(one, plan, "practice", authors) for one in practice]
    return planning.arrange(chosen, gold, shown_first, plan)


def _explained(source: Source, plan: Plan) -> list[NewItem]:
    """Practice items of which it is told how they were meant, in the order in which that was written down."""
    known = {one.id: one for one in source.work}
    if missing := [identity for identity in source.meant if identity not in known]:
        raise RefusedError(422, phrase("meant: %(id)s is the id of no record that is imported", id=repr(missing[0])))
    found: list[NewItem] = []
    for identity, one in source.meant.items():
        try:
            fitting = one.fitting(known[identity])
        except ValueError as error:
            raise RefusedError(422, phrase("meant: %(fault)s", fault=said.known(error))) from None
        ranks = None if fitting.ranks is None else list(fitting.ranks)
        told = {"reason": fitting.reason, "response": fitting.response}
        found.append(replace(_item(known[identity], plan, "practice", {}), gold=ranks, meant=told))
    return found


def _item(record: Work, plan: Plan, stratum: str, authors: Mapping[str, Sequence[int]]) -> NewItem:
    prompt = record if isinstance(record, Prompt) else record.prompt
    return NewItem(
        record=record.id,
        kind="demonstrate" if isinstance(record, Prompt) else "rank",
        mode=plan.mode,
        prompt=asdict(prompt),
        responses=[] if isinstance(record, Prompt) else [asdict(one) for one in record.responses],
        source=record.source,
        licence=record.licence,
        stratum=stratum,
        gold=list(record.ranks) if isinstance(record, Ranking) else None,
        authors=authors.get(record.id, ()),
    )


def _authors(connection: Connection, work: Sequence[Work]) -> dict[str, list[int]]:
    """Which labelers wrote one of the responses that are to be ranked: their demonstrations, word by word."""
    asked = {one.id: one for one in work if not isinstance(one, Prompt)}
    if not asked:
        return {}
    wrote: dict[str, set[int]] = {}
    rows = select(answer.c.labeler, answer.c.document).join(item, item.c.id == answer.c.item)
    for row in connection.execute(rows.where(item.c.kind == "demonstrate")):
        wrote.setdefault(_words(row.document["response"]), set()).add(row.labeler)
    found: dict[str, list[int]] = {}
    for identity, one in asked.items():
        who = set[int]().union(*(wrote.get(_words(response.text), set()) for response in one.responses))
        if who:
            found[identity] = sorted(who)
    return found


def _words(text: str) -> str:
    return " ".join(text.split())


def _digest(source: Source, plan: Plan) -> str:
    said = asdict(plan)
    if not plan.reviews:  # an import from before there were any is still the same
        del said["reviews"]
    parts: list[Any] = [said, source.practice, source.scores]
    parts += [[[name, asdict(one)] for name, one in source.meant.items()]] if source.meant else []
    whole = hashlib.sha256(json.dumps(parts, sort_keys=True).encode())
    for one in source.work:
        whole.update(json.dumps(records.to_json(one), sort_keys=True).encode(errors="surrogatepass"))
    return whole.hexdigest()
