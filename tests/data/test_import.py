"""Comparisons in every layout, as other people publish them: what they become, and why others do not."""

from pathlib import Path
from typing import Any

import pytest
from tests.data.kit import load, load_rows, said, texts, why

from assent import records
from assent.data import public
from assent.records import RecordError

USER, BLUE, NO = (
    {"role": role, "content": content}
    for role, content in (("user", "Name a color."), ("assistant", "Blue."), ("assistant", "No."))
)
ASKED = [("user", "Name a color.")]
PAIR = {"prompt": "Name a color.", "chosen": "Blue.", "rejected": "No."}


def hh(*turns: str) -> str:
    return "".join(f"\n\n{('Human', 'Assistant')[n % 2]}: {turn}" for n, turn in enumerate(turns))


# -- pairs ---------------------------------------------------------------------------------------------------------

PAIRS: dict[str, dict[str, Any]] = {
    "HH": {"chosen": hh("Name a color.", "Blue."), "rejected": hh("Name a color.", "No.")},
    "HH with Windows line ends": {
        "chosen": hh("Name a color.", "Blue.").replace("\n", "\r\n"),
        "rejected": hh("Name a color.", "No.").replace("\n", "\r\n"),
    },
    "HH prompt": PAIR | {"prompt": hh("Name a color.", "")},
    "texts": PAIR,
    "question": {"question": "Name a color.", "chosen": "Blue.", "rejected": "No."},
    "TRL, explicit prompt": {"prompt": [USER], "chosen": [BLUE], "rejected": [NO]},
    "TRL, implicit prompt": {"chosen": [USER, BLUE], "rejected": [USER, NO]},
    "UltraFeedback": PAIR | {"chosen": [USER, BLUE], "rejected": [USER, NO], "messages": [USER, BLUE]},
    "prompt twice": PAIR | {"prompt": [USER], "chosen": [USER, BLUE], "rejected": [USER, NO]},
    "ShareGPT": {
        "conversations": [{"from": "human", "value": "Name a color."}],
        "chosen": {"from": "gpt", "value": "Blue."},
        "rejected": {"from": "chatgpt", "value": "No."},
    },
    "nulls": PAIR | {"messages": None, "system": None, "source": None},
}


@pytest.mark.parametrize("name", PAIRS)
def test_pairs(name: str, tmp_path: Path) -> None:
    (found,) = load_rows(tmp_path, [PAIRS[name]], "ranking").records
    assert said(found.prompt) == ASKED
    assert texts(found) == ["Blue.", "No."]
    assert found.ranks == (1, 2)
    assert said(load_rows(tmp_path, [PAIRS[name]], "prompt").records[0]) == ASKED
    assert texts(load_rows(tmp_path, [PAIRS[name]], "samples").records[0]) == ["Blue.", "No."]


@pytest.mark.parametrize("field", ["system", "system_prompt"])
def test_system_messages_and_long_conversations(field: str, tmp_path: Path) -> None:
    rows = [
        PAIR | {field: "Be brief."},
        PAIR | {"prompt": [{"role": "system", "content": "Be brief."}, USER], field: "Be brief."},
        {"instruction": "Name a color.", field: "Be brief.", "chosen": "Blue.", "rejected": "No."},
    ]
    brief = load_rows(tmp_path, rows, "ranking").records
    assert [said(found.prompt) for found in brief] == [[("system", "Be brief."), *ASKED]] * 3
    long = {side: hh("Hello", "Hi. Human: no turn", "And\nAssistant: this?", side) for side in ("chosen", "rejected")}
    (found,) = load_rows(tmp_path, [long], "ranking").records
    assert [role for role, _ in said(found.prompt)] == ["user", "assistant", "user"]
    assert said(found.prompt)[2][1] == "And\nAssistant: this?"


BAD_PAIRS: list[tuple[dict[str, Any], str]] = [
    (PAIR | {"chosen": hh("a", "b"), "rejected": hh("c", "d"), "prompt": None}, "rejected: its prompt differs"),
    (PAIR | {"rejected": " "}, "rejected: empty"),
    (PAIR | {"chosen": hh("Name a color.", ""), "rejected": hh("Name a color.", "x"), "prompt": None}, "chosen: empty"),
    (PAIR | {"rejected": "Blue. "}, "rejected: the same text as chosen"),
    (PAIR | {"prompt": "  "}, "prompt: blank"),
    (PAIR | {"prompt": None}, "prompt: missing"),
    (PAIR | {"prompt": 3}, "prompt: not a list of turns but int"),
    (PAIR | {"prompt": [USER, BLUE]}, "prompt: ends with the assistant's turn"),
    (PAIR | {"prompt": [USER, USER]}, "prompt: roles do not alternate"),
    (PAIR | {"prompt": [USER | {"content": ""}]}, "prompt: a turn is blank"),
    (PAIR | {"prompt": [USER | {"role": "tool"}]}, r"prompt[0].role: not one of"),
    (PAIR | {"prompt": [USER | {"content": None}]}, r"prompt[0].content: a text was expected, not NoneType"),
    (PAIR | {"prompt": ["Hello"]}, r"prompt[0]: not a turn but str"),
    (PAIR | {"system": 5}, "system: a text was expected, not int"),
    (PAIR | {"chosen": True}, "chosen: not a list of turns but bool"),
    (PAIR | {"chosen": []}, "chosen: does not end with the assistant's turn"),
    (PAIR | {"chosen": [USER], "rejected": [USER]}, "chosen: does not end with the assistant's turn"),
    (PAIR | {"prompt": "Other.", "chosen": [USER, BLUE], "rejected": [USER, NO]}, "prompt: differs from the beginning"),
    ({"chosen": hh("a", "b", "c"), "rejected": hh("a", "b", "d")}, "chosen: does not end with the assistant's turn"),
    (
        {side: f"\n\nHuman: a\n\nHuman: b\n\nAssistant: {side}" for side in ("chosen", "rejected")},
        "chosen: roles do not alternate",
    ),
]


@pytest.mark.parametrize(("row", "reason"), BAD_PAIRS, ids=[reason for _, reason in BAD_PAIRS])
def test_pairs_that_are_refused(row: dict[str, Any], reason: str, tmp_path: Path) -> None:
    loaded = load_rows(tmp_path, [PAIR, row], "ranking")
    assert why(loaded)[0].startswith(reason)
    assert loaded.rejected[0].line == 2
    assert loaded.rejected[0].row == row


def test_choices(tmp_path: Path) -> None:
    base = {"prompt": "Name a color.", "response_a": "Blue.", "response_b": "Red.", "annotator": "ann", "id": "x"}
    labels = {"a": (1, 2), "B": (2, 1), "tie": (1, 1)}
    rows = [base | {"label": label, "models": ["m", "n"]} for label in labels]
    bad = [base, base | {"label": "a", "response_b": ""}, base | {"label": "b", "models": ["m"]}]
    bad += [base | {"label": "a", "response_a": True}, base | {"label": 1}]
    loaded = load_rows(tmp_path, rows + bad, "ranking")
    assert [found.ranks for found in loaded.records] == list(labels.values())
    assert [response.policy for response in loaded.records[0].responses] == ["m", "n"]
    assert (loaded.records[0].id, loaded.records[0].labeler) == ("x", "ann")
    assert [reason.split(":")[0] for reason in why(loaded)] == ["label", "response_b", "models", "response_a", "label"]


# -- K responses ---------------------------------------------------------------------------------------------------


def test_lists(tmp_path: Path) -> None:
    base = {"prompt": "Name a color.", "responses": ["Blue.", "Red.", "No."]}
    objects = [{"text": "Blue.", "score": 2, "model": "m"}, {"text": "Red.", "score": 2}, {"text": "No.", "score": -1}]
    answers = [{"answer": "Blue.", "rank": 1.0}, {"answer": "Red.", "rank": 1}, {"answer": "No.", "rank": 3}]
    rows = [
        base | {"ranks": [1, 1, 3]},
        base | {"scores": [0.5, 0.5, -3]},
        base | {"scores": [9, 9, 1], "ranks": [1, 1, 3]},  # ranks are what people said
        base | {"responses": objects},
        {"prompt": hh("Name a color.", ""), "answers": answers},
        {
            "instruction": "Name a color.",
            "completions": [{"response": t} for t in base["responses"]],
            "ranks": [1, 1, 3],
        },
    ]
    for found in load_rows(tmp_path, rows, "ranking").records:
        assert (texts(found), found.ranks, said(found.prompt)) == (base["responses"], (1, 1, 3), ASKED)
    assert load_rows(tmp_path, rows, "ranking").records[3].responses[0].policy == "m"
    unranked = load_rows(tmp_path, [*rows, base | {"responses": ["", "x"]}], "ranking")
    assert why(unranked) == ["ranks: neither ranks nor scores; add one of them, or read the file as samples"]
    assert len(load_rows(tmp_path, [*rows, base | {"responses": ["", "x"]}], "samples").records) == 7


BAD_LISTS: list[tuple[dict[str, Any], str]] = [
    ({"responses": "Blue."}, "responses: not a list but str"),
    ({"responses": ["Blue.", 3]}, "responses[1]: a text was expected, not int"),
    ({"responses": ["Blue.", {"score": 1}]}, "responses[1].text: a text was expected, not NoneType"),
    ({"responses": ["Blue."], "ranks": [1]}, "responses: 1 given; a ranking compares at least 2"),
    ({"responses": []}, "ranks: neither ranks nor scores"),
    ({"ranks": [1]}, "ranks: 1 of them for 2 responses"),
    ({"ranks": [0, 1]}, "ranks[0]: not a whole number from 1"),
    ({"ranks": [1.5, 1]}, "ranks[0]: not a whole number from 1"),
    ({"ranks": [True, 2]}, "ranks[0]: a finite number was expected"),
    ({"ranks": ["1", 2]}, "ranks[0]: a finite number was expected"),
    ({"scores": [float("nan"), 2]}, "scores[0]: a finite number was expected"),
    ({"scores": [1, float("-inf")]}, "scores[1]: a finite number was expected"),
    ({"scores": [10**400, 1]}, "scores[0]: a finite number was expected"),
    ({"scores": 3}, "scores: not a list of numbers but int"),
    ({"scores": [1, None]}, "scores[1]: a finite number was expected"),
    ({"ranks": [1, 2], "responses": ["same", "same"]}, "responses[1]: a text that stands twice with two ranks"),
    ({"ranks": [1, 2], "responses": ["a", " "]}, "responses[1]: blank"),
    ({"ranks": [1, 2], "models": "m"}, "models: not a list but str"),
    ({"ranks": [1, 2], "seconds": True}, "seconds: a finite number was expected"),
]


@pytest.mark.parametrize(("change", "reason"), BAD_LISTS, ids=[reason for _, reason in BAD_LISTS])
def test_lists_that_are_refused(change: dict[str, Any], reason: str, tmp_path: Path) -> None:
    row = {"prompt": "Name a color.", "responses": ["Blue.", "No."]} | change
    loaded = load_rows(tmp_path, [PAIR, row], "ranking")
    assert why(loaded)[0].startswith(reason)
    assert str(loaded.rejected[0].row) == str(row)  # as texts: nan is not nan


# -- Assent's own, and what decides ------------------------------------------------------------------------------------


def test_own_records_and_the_kinds_in_them(tmp_path: Path) -> None:
    ranking = load_rows(tmp_path, [PAIR | {"source": "s"}], "ranking").records[0]
    records.write(tmp_path / "own.jsonl", [ranking])
    assert load(tmp_path / "own.jsonl", "ranking").records == (ranking,)
    assert load(tmp_path / "own.jsonl", "prompt").records == (ranking.prompt,)
    assert load(tmp_path / "own.jsonl", "samples").records[0].responses == ranking.responses
    with pytest.raises(RecordError, match="a ranking cannot be read as a demonstration; ask for its own kind"):
        load(tmp_path / "own.jsonl", "demonstration")
    good = records.to_json(ranking)
    bad = [{"kind": [], "schema": 1}, good | {"schema": 9}, good | {"ranks": [1, True]}, good | {"extra": 1}]
    bad += [good | {"ranks": [1]}, good | {"seconds": 10**400}, {"kind": "ranking", "schema": 1}]
    loaded = load_rows(tmp_path, [good, *bad], "ranking")
    fields = ["kind", "schema", "ranks[1]", "extra", "ranks", "seconds", "id prompt responses ranks"]
    assert all(fault.field in field for fault, field in zip(loaded.rejected, fields, strict=True))


def test_ids_are_of_the_content_and_source_and_licence_are_filled_in(tmp_path: Path) -> None:
    rows = [PAIR, PAIR | {"id": "x", "license": "MIT"}, PAIR | {"prompt_id": "p", "worker": 7, "category": "Open QA"}]
    one, two, three = load_rows(tmp_path, rows, "ranking", source="s", licence="l").records
    assert (one.source, one.licence, two.licence, two.id) == ("s", "l", "MIT", "x")
    assert (three.prompt.id, three.labeler, three.prompt.use_case) == ("p", "7", "open_qa")
    again = load_rows(tmp_path, [PAIR | {"rejected": "Never."}, PAIR], "ranking")
    assert (again.records[1].id, again.records[0].prompt.id) == (one.id, one.prompt.id)
    assert again.records[0].id != one.id


def test_a_named_layout_is_for_all_rows_and_says_so_where_it_does_not_fit(tmp_path: Path) -> None:
    for layout in ("pair", "tree", "list", "choice", "scored", "answered", "conversation", "text", "assent"):
        kind = (
            "document" if layout == "text" else "demonstration" if layout in ("answered", "conversation") else "ranking"
        )
        with pytest.raises(RecordError, match=f"the layout '{layout}' does not fit the fields a; rename"):
            load_rows(tmp_path, [{"a": 1}], kind, layout=layout)
    with pytest.raises(RecordError, match="layout: 'pairs' is not one of assent, tree"):
        public.load([], records.Prompt, layout="pairs")
    with pytest.raises(RecordError, match="no layout has the fields a, b; rename"):
        load_rows(tmp_path, [{"a": 1, "b": 2}], "prompt")
    with pytest.raises(RecordError, match="can be read as ranking, samples, prompt, not as rating; ask for those"):
        load_rows(tmp_path, [PAIR], "rating")
