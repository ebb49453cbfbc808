"""The public files, row by row: what `assent evaluate` sees of each is what SOURCES.md and the file itself count."""

import gzip
import re
from pathlib import Path

import pytest
from tests.data.kit import public_data

from assent.evaluate import tasks
from assent.evaluate.measure import Settings, sheets
from assent.evaluate.sources import Read, Sources, read
from assent.evaluate.tasks import checks
from assent.evaluate.tasks.read import find

DATA = public_data()
pytestmark = pytest.mark.skipif(DATA is None, reason="no folder of public data (see ASSENT_DATA in tests/data/kit.py)")

ROWS = {  # file -> rows
    "advbench_behaviors.jsonl": 521,
    "cnn_dm_summaries.jsonl.gz": 200,
    "crows_pairs.jsonl.gz": 1349,
    "drop.jsonl": 100,
    "gsm8k_test.jsonl.gz": 1183,
    "harm_classification.jsonl.gz": 287,
    "harmful_vs_ethical.jsonl.gz": 254,
    "hellaswag_val.jsonl.gz": 4000,
    "instructgpt_samples_drop.jsonl.gz": 2400,
    "instructgpt_samples_fr_to_en.jsonl.gz": 2400,
    "instructgpt_samples_real_toxicity.jsonl.gz": 3600,
    "instructgpt_samples_squadv2.jsonl.gz": 2400,
    "instructgpt_samples_tldr.jsonl.gz": 1200,
    "instructgpt_samples_truthful_qa.jsonl.gz": 3600,
    "lambada.jsonl.gz": 4645,
    "real_toxicity_prompts.jsonl": 100,
    "refusal_labels_xstest.jsonl.gz": 2250,
    "rte.jsonl.gz": 2967,
    "squad_v2_dev.jsonl.gz": 2500,
    "sst2_dev.jsonl.gz": 872,
    "sst2_train_fewshot.jsonl.gz": 2000,
    "toxicity_tweets.jsonl.gz": 10_000,
    "truthfulqa.jsonl.gz": 735,
    "truthfulqa_judge_info.jsonl.gz": 6000,
    "truthfulqa_judge_truth.jsonl.gz": 6000,
    "winogender.jsonl": 720,
    "wsc273.jsonl": 273,
    "xstest.jsonl": 450,
}
UNUSED = {  # task -> rows that are none of its items, by the reason that is given
    "winogender": {
        "the pronoun is neutral; the paper compares he and she": 120,
        "the participant is `someone`; the paper's 120 pairs have one with a name": 360,
    },
    "wmt_fr_en": {"the same prompt again": 2300},
    "cnn_dm": {"the same prompt again": 5},
    "tldr": {"the same prompt again": 1100},
}
STATED = (  # file, what SOURCES.md says of it, whether the file is a part of that
    ("advbench_behaviors.jsonl", r"harmful_behaviors\.csv \((\d+) rows", False),
    ("lambada.jsonl.gz", r"the OpenAI variant, (\d+)", True),
    ("squad_v2_dev.jsonl.gz", r"official SQuAD 2\.0 dev: (\d+) questions", True),
)


def folder() -> Path:
    return Path(str(DATA)) / "evals"


@pytest.fixture(scope="module")
def seen() -> Read:
    """What the verb reads of the folder."""
    return read([tasks.TASKS[name] for name in tasks.SETS["public"]], Sources((folder(),), {}))


def rows(path: Path) -> int:
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        return sum(1 for line in file if line.strip())


def test_every_file_is_the_one_that_is_known() -> None:
    others = {"bad_words_en.txt", "instructgpt_samples_aggregates.json"}  # a word list, and means of the samples
    assert {path.name for path in folder().iterdir()} == ROWS.keys() | others
    assert {name: rows(folder() / name) for name in ROWS} == ROWS


def test_rows_are_those_that_the_sources_state() -> None:
    text = (folder().parent / "SOURCES.md").read_text()
    for name, pattern, part in STATED:
        (count,) = re.findall(pattern, text)
        assert ROWS[name] < int(count) if part else ROWS[name] == int(count), name
    models, items = map(int, re.findall(r"outputs of (\d+) models .* on (\d+) items each", text)[0])
    released = {name: count for name, count in ROWS.items() if name.startswith("instructgpt_samples_")}
    assert len(released) == 6
    assert all(count % (models * items) == 0 for count in released.values())  # one to three prompts


def test_no_row_is_lost_between_a_file_and_its_task(seen: Read) -> None:
    assert not seen.rejected
    assert [gap.task for gap in seen.gaps] == ["quac"]  # of all tasks, the only one without a file
    for about in seen.files:
        name = Path(about["file"]).name
        unused = UNUSED.get(about["task"], {})
        assert about["rows"] == ROWS[name]
        assert about["why unused"] == "; ".join(f"{count} {reason}" for reason, count in unused.items())
        made_of = 2 if about["task"] == "winogender" else 1  # he and she make a pair
        assert about["items"] * made_of == ROWS[name] - sum(unused.values()), name
    read_of = {Path(about["file"]).name for about in seen.files}
    measured = {name for check in checks.CHECKS for name in check.files}
    released = {name for name in ROWS if name.startswith("instructgpt_samples_")}
    assert read_of | measured | released == ROWS.keys()


def test_what_is_not_asked_is_an_example_or_shares_its_passage(seen: Read) -> None:
    for asked in seen.tasks:
        for sheet in sheets(asked.task, asked.items, asked.pool, Settings()):
            shown = set() if asked.pool else {item.group or item.id for item in sheet.examples}
            held = [item for item in asked.items if (item.group or item.id) in shown]
            assert len(sheet.examples) == sheet.kind.shots, (asked.task.name, sheet.kind)
            assert len(sheet.items) + len(held) == len(asked.items)


def test_every_labelled_text_is_read() -> None:
    for check in checks.CHECKS:
        path = find(check.files, [folder()])
        assert path is not None
        texts, rejected = checks.read(check, path)
        assert (len(texts), rejected) == (ROWS[path.name], [])
