"""Questions about a passage, answered in free text: SQuADv2, QuAC, DROP.

SQuADv2 and QuAC ask their questions in turn: a prompt holds the passage, the earlier questions about it with their
first right answers, and the question. DROP asks one question a passage.
"""

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from assent.evaluate.tasks import measures
from assent.evaluate.tasks.shapes import referenced, zero_and_few
from assent.evaluate.tasks.task import Fields, Item, Task

UNANSWERABLE = "Not in background."
UNKNOWN = "I don't know."

_BACKGROUND = (
    "Answer each question using information in the preceding background paragraph.\n"
    'If there is not enough information provided, answer with "{}"'
)


def _nested(row: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The questions of an article in the files of SQuAD or QuAC, of a dialogue on the hub; a flat row is its own."""
    if isinstance(row.get("questions"), list):
        yield from _dialogue(row)
        return
    if "paragraphs" not in row:
        yield row
        return
    for paragraph in row["paragraphs"]:
        for question in paragraph["qas"]:
            title = " - ".join(filter(None, (row.get("title"), row.get("section_title"))))
            answers = [one["text"] for one in question.get("answers") or []]
            yield {**question, "title": title, "context": paragraph["context"], "answers": answers}


def _dialogue(row: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """QuAC as a table: the questions of a dialogue in one column, the answers to each in another."""
    title = " - ".join(filter(None, (row.get("wikipedia_page_title"), row.get("section_title"))))
    turns = zip(row["turn_ids"], row["questions"], row["answers"]["texts"], strict=True)
    for name, question, answers in turns:
        yield {"id": name, "title": title, "context": row["context"], "question": question, "answers": answers}


def _group(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _squad(row: Fields) -> Item:
    title, context, question = row.text("title"), row.text("context"), row.text("question")
    impossible = row.row.get("is_impossible")
    if impossible is None and isinstance(row.row.get("answers"), Mapping):  # as a table: no text where there is none
        impossible = not row.row["answers"].get("text")
    references = (UNANSWERABLE,) if impossible else row.texts("answers")
    heading = f"Title: {title}\n\nBackground: {context}"
    facts = {"heading": heading, "subset": "no answer" if impossible else "answer"}
    query = f"Q: {question.strip()}\n\nA:"
    return referenced(row, "squad", query, references, group=_group(title, context), facts=facts)


def _quac(row: Fields) -> Item:
    title, context = row.text("title"), row.text("context", "background")
    found = row.texts("answers", "answer")
    references = tuple(UNKNOWN if one == "CANNOTANSWER" else one for one in found)
    facts = {"heading": f"TITLE: {title}\nPARAGRAPH: {context.removesuffix('CANNOTANSWER').strip()}"}
    query = f"Q: {row.text('question').strip()}\n\nA:"
    return referenced(row, "quac", query, references, group=_group(title, context), facts=facts)


def _in_turn(items: list[Item]) -> tuple[list[Item], list[tuple[Item, str]]]:
    """Each question after the earlier ones about its passage, with their answers."""
    asked: dict[str, str] = {}
    found: list[Item] = []
    for item in items:
        before = asked.get(item.group, item.facts["heading"])
        found.append(dataclasses.replace(item, query=f"{before}\n\n{item.query}"))
        asked[item.group] = f"{before}\n\n{item.query}{item.answer}"
    return found, []


SQUAD = Task(
    name="squad",
    title="SQuADv2",
    form="write",
    files=("squad_v2_dev.jsonl.gz", "squad_v2_dev.jsonl", "dev-v2.0.json"),
    unfold=_nested,
    read=_squad,
    gather=_in_turn,
    measure=measures.reading,
    headline="f1",
    prompts=zero_and_few(4, _BACKGROUND.format(UNANSWERABLE)),
    paper={"f1": "squad"},
    paper_n=11_873,
    percent=True,
)

QUAC = Task(
    name="quac",
    title="QuAC",
    form="write",
    files=("quac.jsonl.gz", "quac.jsonl", "val_v0.2.json"),
    unfold=_nested,
    read=_quac,
    gather=_in_turn,
    measure=measures.reading,
    headline="f1",
    prompts=zero_and_few(2, _BACKGROUND.format(UNKNOWN)),
    paper={"f1": "quac"},
    paper_n=7306,
    percent=True,
)


def _passages(row: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    """The questions of DROP's own file: an object of passages, each with pairs of question and answers."""
    if not all(isinstance(one, Mapping) and "qa_pairs" in one for one in row.values()):
        yield row
        return
    for name, passage in row.items():
        for pair in passage["qa_pairs"]:
            answers = [pair["answer"], *pair.get("validated_answers", [])]
            texts = [_answer(one) for one in answers]
            yield {
                "id": pair.get("query_id", name),
                "passage": passage["passage"],
                "question": pair["question"],
                "answers": [text for text in texts if text],
            }


def _answer(given: Mapping[str, Any]) -> str:
    """An answer of DROP as a text: a number, a date, or spans."""
    if given.get("number"):
        return str(given["number"])
    date = " ".join(filter(None, (given.get("date", {}).get(part) for part in ("day", "month", "year"))))
    return date or ", ".join(given.get("spans", []))


def _drop(row: Fields) -> Item:
    passage = row.text("passage")
    references = row.texts("answers", "answers_spans", "answer")
    query = f"Passage: {passage}\nQuestion: {row.text('question')}\nAnswer:"
    return referenced(row, "drop", query, references, group=_group(passage))


DROP = Task(
    name="drop",
    title="DROP",
    form="write",
    files=("drop.jsonl", "drop.jsonl.gz", "drop_dataset_dev.json"),
    unfold=_passages,
    read=_drop,
    measure=measures.drop,
    headline="f1_raw",
    prompts=zero_and_few(4, "Answer each question using information in the preceding passage."),
    paper={"f1_raw": "drop"},
    paper_n=9536,
    percent=True,
)
