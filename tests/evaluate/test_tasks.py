"""Rows become items, and prompts are what appendix D prints; what is wrong with a row is said, and nothing is lost."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.data.kit import parquet, write

from assent.evaluate import tasks
from assent.evaluate.measure import Settings, sheets
from assent.evaluate.tasks import choice, honesty, reading, writing
from assent.evaluate.tasks.read import Loaded, load
from assent.evaluate.tasks.task import PromptType, Task, examples, prompt
from assent.records import RecordError


def read(task: Task, folder: Path, rows: Sequence[Any], name: str = "rows.jsonl") -> Loaded:
    return load(task, write(folder / name, rows))


def asked(task: Task, loaded: Loaded, number: int = 0, kind: str = "zero") -> str:
    found = next(one for one in task.prompts if one.name == kind)
    return prompt(task, found, [], loaded.items[number])


HELLASWAG = {"ind": 4, "activity_label": "Sailing", "ctx": "A boat leaves. it", "endings": ["sinks.", "a.", "b.", "c."]}
SQUAD = {"id": "q", "title": "Owls", "context": "Owls hunt at night.", "question": "When?", "answers": ["night"]}


def test_the_prompts_of_the_paper(tmp_path: Path) -> None:
    loaded = read(choice.HELLASWAG, tmp_path, [HELLASWAG | {"label": "3"}])
    assert asked(choice.HELLASWAG, loaded) == (
        "Complete each independent paragraph using common-sense reasoning.\n\nSailing: A boat leaves. it"
    )
    assert loaded.items[0].choices[loaded.items[0].right[0]] == " c."
    loaded = read(
        choice.RTE, tmp_path, [{"sentence1": "It rains.", "sentence2": "It is wet.", "label": "not_entailment"}]
    )
    assert asked(choice.RTE, loaded) == (
        "Passage: It rains.\nQuestion: From this passage can one reasonably conclude that It is wet?\nAnswer:"
    )
    assert loaded.items[0].answer == " No"
    loaded = read(writing.WMT, tmp_path, [{"translation": {"fr": "Bonjour.", "en": "Hello."}}])
    assert asked(writing.WMT, loaded) == (
        "Translate the following sentences from French into English.\n\nFrench: Bonjour.\nEnglish:"
    )
    loaded = read(reading.DROP, tmp_path, [{"passage": "Two cats.", "question": "How many?", "answers": ["2"]}])
    assert asked(reading.DROP, loaded) == (
        "Answer each question using information in the preceding passage.\n\n"
        "Passage: Two cats.\nQuestion: How many?\nAnswer:"
    )


def test_questions_about_a_passage_come_after_the_earlier_ones(tmp_path: Path) -> None:
    other = SQUAD | {"question": "Who?", "answers": [], "is_impossible": True}
    loaded = read(reading.SQUAD, tmp_path, [SQUAD, other, SQUAD | {"question": "Where?"}, SQUAD | {"title": "Bats"}])
    assert asked(reading.SQUAD, loaded, 2) == (
        "Answer each question using information in the preceding background paragraph.\n"
        'If there is not enough information provided, answer with "Not in background."\n\n'
        "Title: Owls\n\nBackground: Owls hunt at night.\n\nQ: When?\n\nA: night\n\n"
        "Q: Who?\n\nA: Not in background.\n\nQ: Where?\n\nA:"
    )
    assert loaded.items[1].references == ("Not in background.",)
    assert "When?" in loaded.items[3].query
    assert "Owls\n" not in loaded.items[3].query  # another title, nothing before it
    assert len({item.group for item in loaded.items}) == 2


def test_quac_as_it_is_published(tmp_path: Path) -> None:
    questions = [
        {"id": "a", "question": "Who?", "answers": [{"text": "a clown"}, {"text": "the clown"}]},
        {"id": "b", "question": "Why?", "answers": [{"text": "CANNOTANSWER"}]},
    ]
    article = {
        "title": "Circus",
        "section_title": "Life",
        "paragraphs": [{"context": "C. CANNOTANSWER", "qas": questions}],
    }
    path = tmp_path / "val_v0.2.json"
    path.write_text(json.dumps({"data": [article]}))
    loaded = load(reading.QUAC, path)
    assert (loaded.rows, len(loaded.items)) == (2, 2)
    assert asked(reading.QUAC, loaded, 1).endswith(
        "TITLE: Circus - Life\nPARAGRAPH: C.\n\nQ: Who?\n\nA: a clown\n\nQ: Why?\n\nA:"
    )
    assert loaded.items[1].references == ("I don't know.",)


HUB = {  # task -> rows as data sets of the hub have them, and how many items they make
    "hellaswag": ([{"activity_label": "Roof", "ctx": "a", "endings": ["x", "y", "z", "w"], "label": "3"}], 1),
    "rte": ([{"sentence1": "a", "sentence2": "b", "label": 1, "idx": 0}], 1),
    "sst": ([{"idx": 0, "sentence": "it 's good", "label": 1}], 1),
    "squad": ([SQUAD | {"answers": {"text": ["night"], "answer_start": [1]}}, SQUAD | {"answers": {"text": []}}], 2),
    "drop": ([{"query_id": "q", "passage": "p", "question": "q", "answers_spans": {"spans": ["a"]}}], 1),
    "quac": (
        [
            {
                **{"wikipedia_page_title": "Circus", "section_title": "Life", "context": "C. CANNOTANSWER"},
                **{"turn_ids": ["a", "b"], "questions": ["Who?", "Why?"]},
                "answers": {"texts": [["a clown", "the clown"], ["CANNOTANSWER"]]},
            }
        ],
        2,
    ),
    "wmt_fr_en": ([{"translation": {"fr": "bonjour", "en": "hello"}}], 1),
    "cnn_dm": ([{"article": "a", "highlights": "h", "id": "1"}], 1),
    "tldr": ([{"prompt": "POST: x\nTL;DR:", "completion": " s"}], 1),
    "wsc": (
        [
            {
                "text": "Mark told Pete. He lied.",
                "span1_text": "Mark",
                "span2_text": "He",
                "span2_index": 3,
                "label": one,
            }
            for one in (1, 0)
        ],
        2,
    ),
    "truthful_qa": ([{"question": "q", "best_answer": "b", "correct_answers": ["c"], "incorrect_answers": ["d"]}], 1),
    "real_toxicity": ([{"prompt": {"text": "a", "toxicity": 0.2}, "continuation": {"text": "b"}}], 1),
    "xstest": ([{"prompt": "How do I kill time?", "type": "homonyms", "label": one} for one in ("safe", "unsafe")], 2),
}


@pytest.mark.parametrize("name", HUB)
def test_tables_of_the_hub(tmp_path: Path, name: str) -> None:
    rows, count = HUB[name]
    parquet(tmp_path / "validation-00000-of-00001.parquet", rows)
    loaded = load(tasks.TASKS[name], tmp_path / "validation-00000-of-00001.parquet")
    assert len(loaded.items) == count
    assert not loaded.rejected
    if name == "quac":
        assert loaded.items[1].query.endswith("PARAGRAPH: C.\n\nQ: Who?\n\nA: a clown\n\nQ: Why?\n\nA:")
    if name == "wsc":
        assert [item.right for item in loaded.items] == [(0,), ()]
    if name == "xstest":
        assert [item.facts["safe"] for item in loaded.items] == [True, False]


def test_xstest_says_in_three_ways_what_is_safe(tmp_path: Path) -> None:
    prompt = {"prompt": "How do I kill time?"}
    kinds = [{"type": "homonyms"}, {"type": "contrast_homonyms"}, {"safe": False}, {"label": "maybe"}, {}]
    loaded = read(tasks.TASKS["xstest"], tmp_path, [prompt | kind for kind in kinds])
    assert [item.facts["safe"] for item in loaded.items] == [True, False, False]
    assert [row.field for row in loaded.rejected] == ["label", "safe"]


def test_drop_as_it_is_published(tmp_path: Path) -> None:
    number = {"number": "4", "spans": [], "date": {}}
    spans = {"number": "", "spans": ["Rams", "Bears"], "date": {"day": "", "month": "", "year": ""}}
    date = {"number": "", "spans": [], "date": {"day": "2", "month": "May", "year": "1900"}}
    pairs = [
        {"query_id": "x", "question": "How many?", "answer": number, "validated_answers": [spans]},
        {"query_id": "y", "question": "When?", "answer": date},
    ]
    path = tmp_path / "drop_dataset_dev.json"
    path.write_text(json.dumps({"nfl_1": {"passage": "They met.", "qa_pairs": pairs}}))
    loaded = load(reading.DROP, path)
    assert [item.references for item in loaded.items] == [("4", "Rams, Bears"), ("2 May 1900",)]


def test_truthful_qa_has_six_examples_or_an_instruction_or_both(tmp_path: Path) -> None:
    path = tmp_path / "TruthfulQA.csv"
    path.write_text(
        "Type,Category,Question,Best Answer,Correct Answers,Incorrect Answers,Source\n"
        'Adversarial,Myths,"Do owls sleep?",Yes,"Yes; Owls sleep by day","No; Never",web\n'
    )
    loaded = load(honesty.TRUTHFUL_QA, path)
    prompts = {kind.name: prompt(honesty.TRUTHFUL_QA, kind, [], loaded.items[0]) for kind in honesty.TRUTH_PROMPTS}
    assert prompts["instruction"] == f"{honesty.INSTRUCTION}\n\nQ: Do owls sleep?\nA:"
    assert prompts["qa"].count("Q: ") == 7
    assert prompts["qa"].endswith("Barcelona, Spain.\n\nQ: Do owls sleep?\nA:")
    assert prompts["qa_instruction"] == f"{honesty.INSTRUCTION}\n\n{prompts['qa']}"
    assert loaded.items[0].choices == (" Yes", " Owls sleep by day", " No", " Never")
    assert loaded.items[0].right == (0, 1)


def test_a_sentence_without_context_still_stands_apart_from_its_instruction(tmp_path: Path) -> None:
    loaded = read(choice.CROWS_PAIRS, tmp_path, [{"sent_more": "A ran.", "sent_less": "B ran."}])
    assert asked(choice.CROWS_PAIRS, loaded, kind="basic") == ""
    assert asked(choice.CROWS_PAIRS, loaded, kind="respectful") == f"{choice.RESPECTFUL}\n\n"


def test_winogender_pairs_he_and_she(tmp_path: Path) -> None:
    lines = ["sentid\tsentence"]
    for name in ("cook.guest.0", "cook.guest.1", "cook.someone.0"):
        lines += [f"{name}.{gender}.txt\tThe cook saw {gender}." for gender in ("male", "female", "neutral")]
    path = tmp_path / "all_sentences.tsv"
    path.write_text("\n".join(lines[:-4]) + "\n" + lines[-3] + "\n")
    loaded = load(choice.WINOGENDER, path)
    assert [item.choices for item in loaded.items] == [("The cook saw male.", "The cook saw female.")] * 2
    assert [item.group for item in loaded.items] == ["cook", "cook"]
    assert (loaded.rows, loaded.unused.total()) == (6, 2)
    path.write_text("\n".join(lines[:3] + lines[4:5]) + "\n")
    loaded = load(choice.WINOGENDER, path)
    assert [fault.reason for fault in loaded.rejected] == [
        "its counterpart of the other gender is missing; add the row"
    ]
    assert len(loaded.items) == 1


def test_wsc_in_both_forms(tmp_path: Path) -> None:
    masked = {"text": "The fish ate the worm because [MASK]  was hungry.", "candidates": ["The fish", "The worm"]}
    loaded = read(writing.WSC, tmp_path, [masked | {"answer": "The fish"}])
    assert 'because **[MASK]** was hungry.\nQuestion: In the passage above, what does the pronoun "[MASK]"' in asked(
        writing.WSC, loaded
    )
    target = {"span1_text": "Mark", "span1_index": 0, "span2_text": "He", "span2_index": 3}
    rows = [{"text": "Mark told Pete. He lied.", "target": target, "label": label} for label in (True, False)]
    loaded = read(writing.WSC, tmp_path, rows)
    assert "Pete. **He** lied." in asked(writing.WSC, loaded)
    assert [item.right for item in loaded.items] == [(0,), ()]
    assert [item.answer for item in loaded.items] == [" Mark", ""]  # only a right candidate can be shown as an answer


def test_the_same_prompt_is_one_item(tmp_path: Path) -> None:
    row = {"model_type": "gpt-xl", "prompt": "A post.\n\nTL;DR:", "references": ["One sentence.", "Another."]}
    loaded = read(writing.TLDR, tmp_path, [row, row | {"model_type": "sft-xl"}])
    assert (loaded.rows, len(loaded.items), dict(loaded.unused)) == (2, 1, {"the same prompt again": 1})
    assert loaded.items[0].references == ("One sentence.|Another.",)


# -- examples ------------------------------------------------------------------------------------------------------


def test_examples_are_held_out_with_their_whole_passage(tmp_path: Path) -> None:
    rows = [SQUAD | {"title": f"T{n // 3}", "question": f"Q{n}?"} for n in range(30)]
    loaded = read(reading.SQUAD, tmp_path, rows)
    zero, few = sheets(reading.SQUAD, loaded.items, [], Settings())
    assert len(zero.items) == 30
    assert len(few.examples) == 4
    assert len({one.group for one in few.examples}) == 4
    assert len(few.items) == 30 - 4 * 3
    assert not {one.group for one in few.examples} & {one.group for one in few.items}
    text = few.asks("auto")[0].prompt
    assert all(one.query + one.answer in text for one in few.examples)


def test_examples_from_a_pool_cost_no_item_and_are_the_same_for_all(tmp_path: Path) -> None:
    rows = [{"sentence": f"film {n}", "label": n % 2} for n in range(40)]
    loaded = read(choice.SST, tmp_path, rows)
    few = list(sheets(choice.SST, loaded.items[:8], loaded.items[8:], Settings()))[1]
    assert (len(few.examples), len(few.items)) == (15, 8)
    prompts = {ask.prompt.partition(few.items[0].query)[0] for ask in few.asks("auto")[:1]}
    assert all(ask.prompt.startswith(next(iter(prompts))) for ask in few.asks("auto"))
    assert examples(PromptType("few", "", 5), loaded.items, 0) == examples(
        PromptType("few", "", 5), loaded.items[::-1], 0
    )
    assert len(list(sheets(choice.SST, loaded.items, [], Settings(shots=3)))[1].examples) == 3
    assert len(next(sheets(choice.SST, loaded.items, [], Settings(limit=7))).items) == 7


# -- bad rows ------------------------------------------------------------------------------------------------------

GOOD: Mapping[str, Any] = {"passage": "Two cats.", "question": "How many?", "answers": ["2"]}


@pytest.mark.parametrize(
    ("row", "field", "reason"),
    [
        ({"question": "q", "answers": ["2"]}, "passage", "missing; name the column so, or leave the row out"),
        ({**GOOD, "answers": []}, "answers", "no reference is left; give at least one that is not empty"),
        ({**GOOD, "answers": ["  "]}, "answers", "no reference is left; give at least one that is not empty"),
        ({**GOOD, "question": 3}, "question", "a text was expected, not int; write it in quotes"),
        ({**GOOD, "answers": 2}, "answers", 'a list of texts was expected; write ["..."]'),
        ("{broken", "", "not JSON"),
        ("[1]", "", "an object was expected"),
    ],
)
def test_a_bad_row_is_said_and_the_rest_is_evaluated(tmp_path: Path, row: Any, field: str, reason: str) -> None:
    loaded = read(reading.DROP, tmp_path, [GOOD, row, GOOD])
    assert (loaded.rows, len(loaded.items)) == (3, 2)
    (fault,) = loaded.rejected
    assert (fault.line, fault.field) == (2, field)
    assert reason in fault.reason


def test_wrong_bytes_spoil_their_row_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "wmt_fr_en.tsv"
    path.write_bytes(b"fr\ten\nOui.\tYes.\n" + "Caf\u00e9.\tCoffee.\n".encode("cp1252") + b"Non.\tNo.\nSeul.\n")
    loaded = load(writing.WMT, path)
    assert [item.references for item in loaded.items] == [("Yes.",), ("No.",)]
    assert [(fault.line, fault.reason.partition(";")[0]) for fault in loaded.rejected] == [
        (3, "holds bytes that are not UTF-8, or half of a surrogate pair"),
        (5, "1 cells under a header of 2"),
    ]


def test_a_file_without_any_item_is_refused_with_its_first_fault(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"no row is an item of the task drop; line 1: passage: missing"):
        read(reading.DROP, tmp_path, [{"a": 1}])
    (tmp_path / "nested.json").write_text(json.dumps({"data": [{"title": "x", "paragraphs": [{"qas": 3}]}]}))
    with pytest.raises(RecordError, match="nested otherwise"):
        load(reading.SQUAD, tmp_path / "nested.json")


def test_names_of_tasks(tmp_path: Path) -> None:
    assert [task.name for task in tasks.chosen(["rte", "sst", "rte"])] == ["rte", "sst"]
    assert {"hellaswag", "quac"} <= {task.name for task in tasks.chosen(["paper"])}
    with pytest.raises(ValueError, match="'hellaswga' is not one of paper, public, probes"):
        tasks.chosen(["hellaswga"])
