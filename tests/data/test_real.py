"""Other people's files as they are: every row becomes a record, or is explained."""

import dataclasses
import functools
import gzip
import itertools
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.data.kit import check, public_data, write

from assent import records
from assent.data import prompts, public
from assent.data.prompts import Rules, clean, entity

DATA = public_data()
pytestmark = pytest.mark.skipif(DATA is None, reason="no folder of public data (see ASSENT_DATA in tests/data/kit.py)")

ALTERNATE = "roles do not alternate between user and assistant, user first; merge or remove turns"
HH = {
    "rejected: its prompt differs from the prompt of chosen; compare responses to one prompt": 12,
    f"chosen: {ALTERNATE}": 9,
    "chosen: empty; both sides need a text": 4,
    "rejected: empty; both sides need a text": 3,
}
BETTER = {"rank: a sibling reply is ranked above it; only the best is a demonstration": 379}
UNRANKED = {
    "rank: fewer than two of the sibling replies have a rank; rank them, or read as samples": 2,
    "rank: a reply without a rank beside ranked ones; rank it to compare it": 1,
}

# file, kind: how many records, and how many rows each reason cost
FILES: list[tuple[str, str, int, dict[str, int]]] = [
    ("native/hh_native.jsonl.gz", "ranking", 4186, HH),
    ("native/hh_native.jsonl.gz", "prompt", 4186, HH),
    ("native/oasst_trees.jsonl.gz", "ranking", 190, UNRANKED),
    ("native/oasst_trees.jsonl.gz", "demonstration", 233, BETTER),
    ("native/oasst_trees.jsonl.gz", "samples", 230, {}),
    ("native/oasst_trees.jsonl.gz", "prompt", 433, {}),
    ("native/alpaca_native.json", "demonstration", 100, {}),
    ("native/alpaca_native.json", "prompt", 100, {}),
    ("native/sharegpt_dpo_native.json", "ranking", 50, {}),
    ("native/sharegpt_dpo_native.json", "prompt", 50, {}),
    ("native/wikitext2_valid_head.txt", "document", 1, {}),
    ("preferences/hh_train.jsonl.gz", "ranking", 3769, {}),
    ("preferences/hh_test.jsonl.gz", "ranking", 417, {}),
    ("preferences/human_pairs_train.jsonl.gz", "ranking", 2909, {}),
    ("preferences/human_pairs_test.jsonl.gz", "ranking", 409, {}),
    ("preferences/ai_pairs_alpacaeval_train.jsonl.gz", "ranking", 7509, {}),
    ("preferences/ai_pairs_alpacaeval_test.jsonl.gz", "ranking", 1113, {}),
    ("preferences/kwise_alpacaeval_train.jsonl.gz", "ranking", 1254, {}),
    ("preferences/kwise_alpacaeval_test.jsonl.gz", "ranking", 186, {}),
    ("preferences/kwise_oasst_human.jsonl.gz", "ranking", 190, {}),
    # four few-shot prompts write their examples as turns with single line ends
    ("preferences/kwise_pm_scored.jsonl.gz", "ranking", 220, {f"prompt: {ALTERNATE}": 4}),
    ("preferences/multiturn_system_pairs.jsonl.gz", "ranking", 267, {}),
    ("preferences/unranked_8models.jsonl.gz", "samples", 225, {}),
    ("demonstrations/demos_alpaca_gpt4.jsonl.gz", "demonstration", 887, {}),
    ("demonstrations/demos_human_train.jsonl.gz", "demonstration", 2074, {}),
    ("demonstrations/demos_human_test.jsonl.gz", "demonstration", 311, {}),
    ("demonstrations/demos_t0_train.jsonl.gz", "demonstration", 4828, {}),
    ("prompts/rl_prompts_train.jsonl.gz", "prompt", 8755, {}),
    ("prompts/rl_prompts_test.jsonl.gz", "prompt", 1075, {}),
    ("pretrain/pretrain_train.jsonl.gz", "document", 781, {}),
    ("pretrain/pretrain_valid.jsonl.gz", "document", 91, {}),
]


@functools.cache
def load(name: str, kind: str) -> public.Loaded[Any]:
    assert DATA is not None
    start = time.process_time()
    loaded = public.load([DATA / name], records.KINDS[kind])
    assert time.process_time() - start < 5, "8,000 rows take half a second on an idle processor"
    return loaded


def raw(name: str) -> list[dict[str, Any]]:
    assert DATA is not None
    path = DATA / name
    return [json.loads(line) for line in (gzip.open(path, "rt") if path.suffix == ".gz" else path.open())]


def test_no_file_is_forgotten() -> None:
    assert DATA is not None
    folders = ("native", "preferences", "demonstrations", "prompts", "pretrain")
    assert {str(path.relative_to(DATA)) for name in folders for path in (DATA / name).iterdir()} == {
        name for name, *_ in FILES
    }


@pytest.mark.parametrize(
    ("name", "kind", "count", "reasons"), FILES, ids=[f"{name}-{kind}" for name, kind, *_ in FILES]
)
def test_every_row_is_a_record_or_explained(name: str, kind: str, count: int, reasons: dict[str, int]) -> None:
    loaded = load(name, kind)
    assert (len(loaded.records), loaded.reasons) == (count, Counter(reasons))
    check(dataclasses.replace(loaded, records=(), places=(), rows=loaded.rows - count))  # each record is checked below
    for record in loaded.records[:: len(loaded.records) // 100 + 1]:
        assert records.from_json(records.to_json(record)) == record


def transcript(text: str) -> tuple[str, str]:
    """Prompt and last answer of an HH transcript, found as simply as can be."""
    prompt, _, answer = text.rpartition("\n\nAssistant:")
    return prompt, answer.strip()


def test_hh_is_refused_for_what_is_the_matter_with_it() -> None:
    rows = raw("native/hh_native.jsonl.gz")
    loaded = load("native/hh_native.jsonl.gz", "ranking")
    for fault in loaded.rejected:
        row = rows[fault.line - 1]
        assert fault.row == row
        (chosen_prompt, chosen), (rejected_prompt, rejected) = (transcript(row[s]) for s in ("chosen", "rejected"))
        speakers = [part[0] for part in row["chosen"].split("\n\n") if part.startswith(("Human:", "Assistant:"))]
        if "differs" in fault.reason:
            assert chosen_prompt != rejected_prompt
        elif "alternate" in fault.reason:
            assert any(one == two for one, two in itertools.pairwise(speakers))
        else:
            assert "" in (chosen, rejected)


def texts(ranking: records.Ranking) -> tuple[Any, ...]:
    turns = tuple((message.role, message.content.strip()) for message in ranking.prompt.messages)
    ranked = zip(ranking.responses, ranking.ranks, strict=True)
    return turns, frozenset((response.text.strip(), rank) for response, rank in ranked)


@pytest.mark.parametrize(
    ("native", "prepared"),
    [
        ("native/hh_native.jsonl.gz", ["preferences/hh_train.jsonl.gz", "preferences/hh_test.jsonl.gz"]),
        ("native/oasst_trees.jsonl.gz", ["preferences/kwise_oasst_human.jsonl.gz"]),
    ],
)
def test_native_files_say_what_others_made_of_them(native: str, prepared: list[str]) -> None:
    ours = Counter(texts(record) for record in load(native, "ranking").records)
    theirs = Counter(texts(record) for name in prepared for record in load(name, "ranking").records)
    assert ours == theirs


@pytest.mark.parametrize("name", ["kwise_alpacaeval_test", "kwise_pm_scored"])
def test_scores_alone_give_the_ranks_that_the_source_gives(name: str, tmp_path: Path) -> None:
    name = f"preferences/{name}.jsonl.gz"
    rows = [{field: value for field, value in row.items() if field != "ranks"} for row in raw(name)]
    scored = public.load([write(tmp_path / "scores.jsonl", rows)], records.Ranking).records
    assert [row.ranks for row in scored] == [row.ranks for row in load(name, "ranking").records]


def test_prompts_are_cleaned_and_split() -> None:
    rows = load("prompts/rl_prompts_train.jsonl.gz", "prompt").records
    people = [dataclasses.replace(row, user=f"{row.source} {n % 40}") for n, row in enumerate(rows[::4])]
    for given, rules in ((rows, Rules()), (people, Rules(cap=20, prefix=12))):
        found = clean(given, rules)
        kept = [row for split in found.splits.values() for row in split]
        assert len(kept) + len(found.rejected) == len(given) == sum(found.reasons.values()) + len(kept)
        users = [{entity(row) for row in split} for split in found.splits.values()]
        assert len(set().union(*users)) == sum(map(len, users))
        assert all(users)
        assert max(Counter(map(entity, kept)).values()) <= rules.cap
        assert len({prompts.prefix_key(row, rules.prefix) for row in kept}) == len(kept)
        again = clean(kept, rules)
        assert (again.splits, again.rejected) == (found.splits, ())
        assert {reason.split(":")[0] for reason in found.reasons} <= {"messages", "user"}
    assert clean(rows, Rules()).reasons == {
        "messages: begins like an earlier prompt": 207,
        "messages: holds an e-mail address, which the training split must not": 7,
        "messages: holds a telephone number, which the training split must not": 3,
    }
