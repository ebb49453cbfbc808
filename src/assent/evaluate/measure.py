"""A task, a model, a table: items are asked (or taken from the cache), measured, and summed up with intervals."""

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from assent.evaluate import grids, metrics
from assent.evaluate.answerers import Answerer, Ask, Prompting
from assent.evaluate.cache import Cache, from_value, key_of, to_value
from assent.evaluate.tasks.read import Loaded
from assent.evaluate.tasks.table14 import MODELS, SIZES, paper_row
from assent.evaluate.tasks.task import (
    Instruments,
    Item,
    Outcome,
    PromptType,
    Scores,
    Task,
    examples,
    prompt,
)
from assent.records import Message, Prompt, Response, Samples
from assent.statistics import Interval


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What identifies an evaluation beside its files and models."""

    limit: int = 0
    """How many items of a task, chosen by a hash of their ids; 0 is all."""
    shots: int = -1
    """Examples in few-shot prompts; -1 is as many as the paper has."""
    prompting: Prompting = "auto"
    seed: int = 0
    """Draws the examples."""


@dataclass(frozen=True)
class Sheet:
    """A task in one prompt type: the examples, and the items that are asked."""

    task: Task
    kind: PromptType
    examples: list[Item]
    items: list[Item]

    def asks(self, prompting: Prompting) -> list[Ask]:
        """The items as they are asked."""
        task = self.task
        chat = task.form == "write" and (prompting == "chat" or (prompting == "auto" and task.chat))
        return [
            Ask(
                id=f"{task.name}/{self.kind.name}/{item.id}",
                prompt=prompt(task, self.kind, self.examples, item),
                choices=item.choices if task.form != "write" else (),
                form=task.form,
                limit=task.limit,
                stop=task.stop,
                chat=chat,
            )
            for item in self.items
        ]


def sheets(task: Task, items: Sequence[Item], pool: Sequence[Item], settings: Settings) -> Iterator[Sheet]:
    """A task in all its prompt types. Without a pool, examples are held out, with all items of their group."""
    for kind in task.prompts:
        if kind.shots and settings.shots >= 0:
            kind = dataclasses.replace(kind, shots=settings.shots)
        shown = examples(kind, pool or items, settings.seed) if kind.shots else []
        taken = set() if pool else {one.group or one.id for one in shown}
        asked = [item for item in items if (item.group or item.id) not in taken]
        yield Sheet(task, kind, shown, _some(asked, settings.limit))


def _some(items: list[Item], limit: int) -> list[Item]:
    """As many items as asked for, in their order: those with the smallest hashes."""
    if not limit or limit >= len(items):
        return items
    hashed = sorted(items, key=lambda item: hashlib.sha256(item.id.encode()).digest())
    kept = {item.id for item in hashed[:limit]}
    return [item for item in items if item.id in kept]


def answered(sheet: Sheet, model: Answerer, cache: Cache, prompting: Prompting) -> list[Outcome | None]:
    """The outcome of each item, from the cache or asked now, long prompts first so that likes go together."""
    return remembered(sheet.asks(prompting), model, cache, (sheet.task.name, sheet.task.version))


def remembered(asks: Sequence[Ask], model: Answerer, cache: Cache, what: Sequence[Any]) -> list[Outcome | None]:
    """The outcome of each, asked once; what: names what is asked and its version, so that nothing is mistaken."""
    keys = [key_of(*what, dataclasses.asdict(ask)) for ask in asks]
    missing = [number for number, key in enumerate(keys) if key not in cache]
    missing.sort(key=lambda number: -len(asks[number].prompt))
    for start in range(0, len(missing), model.at_once):
        part = missing[start : start + model.at_once]
        found = zip(part, model.answer([asks[number] for number in part]), strict=True)
        cache.add((keys[number], to_value(outcome)) for number, outcome in found if outcome is not None)
    return [from_value(cache.values[key]) if key in cache else None for key in keys]


# -- what came out -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Result:
    """A number of a task: with its 95 % interval over items (groups of items where they share a passage).

    n: items it is a mean of. missing: items without this number. cut: prompts that lost their beginning. empty: texts
    of which nothing was left, as where a model begins with the newline at which it is cut. alike: texts that are the
    same words, where that is more than half of them. subset: of which items; "" is all. by: the scorer. paper: the
    twelve values of Table 14, by model and size; note: on them.
    """

    task: str
    prompt: str
    shots: int
    model: str
    metric: str
    value: float
    low: float | None
    high: float | None
    n: int
    missing: int
    headline: bool
    cut: int = 0
    empty: int = 0
    alike: int = 0
    subset: str = ""
    by: str = ""
    paper: dict[str, list[float]] | None = None
    paper_n: int = 0
    note: str = ""


def results(
    sheet: Sheet, model: str, outcomes: Sequence[Outcome | None], instruments: Instruments
) -> tuple[list[Result], Scores]:
    """The numbers of a task, and those of each item that has an outcome."""
    pairs = [(item, one) for item, one in zip(sheet.items, outcomes, strict=True) if one is not None]
    items, given = [item for item, _ in pairs], [one for _, one in pairs]
    scores = sheet.task.measure(items, given, instruments)
    found: list[Result] = []
    for metric in dict.fromkeys(name for row in scores for name in row):
        have = [(item, row[metric]) for item, row in zip(items, scores, strict=True) if metric in row]
        interval = mean_over(have)
        found.append(_result(sheet, model, metric, interval, len(have), len(items), instruments))
        subsets = {str(item.facts["subset"]) for item, _ in have if item.facts.get("subset")}
        if metric == sheet.task.headline and 1 < len(subsets) <= 20:
            found += [_of_subset(sheet, model, metric, name, have, instruments) for name in sorted(subsets)]
    if sheet.task.corpus == "bleu" and items:
        interval = metrics.bleu_interval([one.text for one in given], [item.references for item in items])
        found.append(_result(sheet, model, "bleu", interval, len(items), len(items), instruments))
    cut = sum(one.cut for one in given)
    texts = Counter(one.text for one in given if sheet.task.form == "write")
    empty = texts.pop("", 0)
    alike = max(texts.values(), default=0)
    alike = alike if 2 * alike > len(given) else 0
    return [dataclasses.replace(one, cut=cut, empty=empty, alike=alike) for one in found], scores


def mean_over(have: Sequence[tuple[Item, float]]) -> Interval:
    """The mean over items; the interval draws groups."""
    return metrics.mean_interval([value for _, value in have], [item.group or item.id for item, _ in have])


def _of_subset(
    sheet: Sheet, model: str, metric: str, name: str, have: Sequence[tuple[Item, float]], instruments: Instruments
) -> Result:
    mine = [(item, value) for item, value in have if item.facts.get("subset") == name]
    interval = mean_over(mine)
    whole = _result(sheet, model, metric, interval, len(mine), len(mine), instruments)
    return dataclasses.replace(whole, subset=name, headline=False, paper=None, missing=0, note="")


def _result(
    sheet: Sheet, model: str, metric: str, interval: Interval, n: int, answers: int, instruments: Instruments
) -> Result:
    task, kind = sheet.task, sheet.kind
    row = paper_row(task.paper[metric], kind.name) if metric in task.paper else None
    scale = 100 if task.percent else 1
    unknown = np.isnan(interval.low) or interval.low == interval.high  # no spread was seen: nothing is known of it
    low, high = (None, None) if unknown else (round(scale * interval.low, 6), round(scale * interval.high, 6))
    unanswered = len(sheet.items) - answers
    scorer = {"true": instruments.truth, "informative": instruments.info, "true_info": instruments.truth}.get(
        metric, instruments.toxicity if task.needs == ("toxicity",) else None
    )
    return Result(
        task=task.name,
        prompt=kind.name,
        shots=len(sheet.examples),
        model=model,
        metric=metric,
        value=round(scale * interval.estimate, 6),
        low=low,
        high=high,
        n=n,
        missing=len(sheet.items) - n if scorer else unanswered,
        headline=metric == task.headline,
        by=scorer.name if scorer else "",
        paper={name: [row.of(name, size) for size in SIZES] for name in MODELS} if row else None,
        paper_n=task.paper_n if row else 0,
        note=" ".join(filter(None, (row.note if row else "", task.departure))),
    )


def samples(sheet: Sheet, model: str, outcomes: Sequence[Outcome | None], scores: Scores) -> Iterator[Samples]:
    """What was written, or which completion was likeliest, as records; `use_case` stays empty, it is no use case."""
    have = [(item, one) for item, one in zip(sheet.items, outcomes, strict=True) if one is not None]
    for (item, outcome), values in zip(have, scores, strict=True):
        words = sheet.task.ask(item, sheet.kind) or (sheet.kind.preamble or "(nothing)")
        name = f"{sheet.task.name}/{sheet.kind.name}/{item.id}"
        asked = Prompt(id=name, messages=(Message("user", words),), source=sheet.task.name)
        text = outcome.text
        if sheet.task.form == "choose":
            means = [total / length for total, length in zip(outcome.sums, outcome.lengths, strict=True)]
            text = item.choices[means.index(max(means))].strip()
        elif sheet.task.form == "last_word":
            text = f"{item.choices[0].strip()} ({outcome.sums[0]:.2f} nats)"
        marks = ", ".join(f"{key} {grids.number(value)}" for key, value in values.items())
        response = Response(text=text, policy=model, temperature=0.0, finish=outcome.finish)
        yield Samples(id=f"{name}: {marks}", prompt=asked, responses=(response,), source=sheet.task.name)


def scored(sheet: Sheet, outcomes: Sequence[Outcome | None], scores: Scores) -> Iterator[dict[str, Any]]:
    """The scores of each item that has an outcome, for comparisons item by item; of BLEU its counts."""
    have = [(item, one) for item, one in zip(sheet.items, outcomes, strict=True) if one is not None]
    texts = [outcome.text for _, outcome in have]
    counts = metrics.bleu_counts(texts, [item.references for item, _ in have]) if sheet.task.corpus and have else []
    for number, ((item, _), values) in enumerate(zip(have, scores, strict=True)):
        place = {"prompt": sheet.kind.name, "item": item.id, "group": item.group or item.id}
        yield place | {"scores": values} | ({"bleu": counts[number]} if counts else {})


def about(loaded: Loaded, task: Task) -> dict[str, Any]:
    """What became of the rows of a file."""
    return {
        "task": task.name,
        "file": str(loaded.path),
        "rows": loaded.rows,
        "items": len(loaded.items),
        "rejected": len(loaded.rejected),
        "unused": sum(loaded.unused.values()),
        "why unused": "; ".join(f"{count} {reason}" for reason, count in loaded.unused.items()),
    }
