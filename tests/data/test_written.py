"""Answers, conversations, trees, prompts and texts in every layout, as other people publish them."""

from pathlib import Path
from typing import Any

import pytest
from tests.data.kit import load_rows, said, texts, why

from assent.records import RecordError

ASKED = [("user", "Name a color.")]


def turn(role: str, content: Any, names: tuple[str, str] = ("role", "content")) -> dict[str, Any]:
    return dict(zip(names, (role, content), strict=True))


CHAT = [turn("user", "Name a color."), turn("assistant", "Blue.")]
SHARED = [turn("human", "Name a color.", ("from", "value")), turn("gpt", "Blue.", ("from", "value"))]

WRITTEN: dict[str, dict[str, Any]] = {
    "texts": {"prompt": "Name a color.", "response": "Blue."},
    "Alpaca": {"instruction": "Name a color.", "input": "", "output": "Blue."},
    "Dolly": {"instruction": "Name a color.", "context": "", "response": "Blue.", "category": "open_qa"},
    "OpenOrca": {"id": "1", "system_prompt": "", "question": "Name a color.", "response": "Blue."},
    "GSM8K": {"question": "Name a color.", "answer": "Blue."},
    "TRL": {"prompt": CHAT[:1], "completion": CHAT[1:]},
    "chat": {"messages": CHAT},
    "UltraChat": {"prompt": "Name a color.", "prompt_id": "1", "messages": CHAT},
    "ShareGPT": {"id": "1", "conversations": SHARED},
    "Gemma": {"messages": [CHAT[0], turn("model", "Blue.")]},
}


@pytest.mark.parametrize("name", WRITTEN)
def test_demonstrations(name: str, tmp_path: Path) -> None:
    (found,) = load_rows(tmp_path, [WRITTEN[name]], "demonstration").records
    assert (said(found.prompt), found.response) == (ASKED, "Blue.")
    assert said(load_rows(tmp_path, [WRITTEN[name]], "prompt").records[0]) == ASKED


def test_an_instruction_is_what_it_is_about_as_well(tmp_path: Path) -> None:
    parts = {"instruction": "Translate.", "input": "hello"}
    answers: list[tuple[str, dict[str, Any]]] = [
        ("demonstration", {"output": "bonjour"}),
        ("demonstration", {"input": None, "context": "hello", "response": "bonjour"}),
        ("prompt", {}),
        ("ranking", {"chosen": "bonjour", "rejected": "no"}),
        ("ranking", {"responses": ["bonjour", "no"], "ranks": [1, 2]}),
    ]
    for kind, rest in answers:
        found = load_rows(tmp_path, [parts | rest], kind).records[0]
        assert said(found if kind == "prompt" else found.prompt) == [("user", "Translate.\n\nhello")]
    rest = {"output": "x", "system": "Be brief.", "history": [["Hi", "Hello!"]]}
    (found,) = load_rows(tmp_path, [{"instruction": "Go on."} | rest], "demonstration").records
    assert said(found.prompt) == [
        ("system", "Be brief."),
        ("user", "Hi"),
        ("assistant", "Hello!"),
        ("user", "Go on."),
    ]


BAD: list[tuple[dict[str, Any], str]] = [
    ({"prompt": "a", "response": ""}, "response: empty; a demonstration needs a text"),
    ({"prompt": "a", "response": False}, "response: not a list of turns but bool"),
    ({"prompt": "a", "completion": CHAT}, "completion: one turn of the assistant was expected"),
    ({"instruction": 3, "output": "b"}, "instruction: not a list of turns but int"),
    ({"instruction": "a", "input": 3, "output": "b"}, "input: a text was expected, not int"),
    ({"instruction": "a", "history": "b", "output": "b"}, "history: not a list but str"),
    ({"instruction": "a", "history": [["b"]], "output": "b"}, "history[0]: not a pair"),
    ({"instruction": "a", "history": [["b", None]], "output": "b"}, "history[0]: a text was expected, not NoneType"),
    ({"messages": CHAT[:1]}, "messages: does not end with the assistant's turn"),
    ({"messages": []}, "messages: does not end with the assistant's turn"),
    ({"messages": [*CHAT, *CHAT[1:]]}, "messages: ends with the assistant's turn"),
    ({"messages": CHAT[1:]}, "messages: no user's turn"),
    ({"conversations": SHARED[1:] + SHARED}, "conversations: roles do not alternate"),
    ({"conversations": [SHARED[0], {"from": "gpt"}]}, "conversations[1].value: a text was expected, not NoneType"),
    ({"conversations": [SHARED[0], {"from": "x", "value": ""}]}, "conversations[1].from: not one of"),
    ({"conversations": [*SHARED[:1], 5]}, "conversations[1]: not a turn but int"),
]


@pytest.mark.parametrize(("row", "reason"), BAD, ids=[reason for _, reason in BAD])
def test_demonstrations_that_are_refused(row: dict[str, Any], reason: str, tmp_path: Path) -> None:
    loaded = load_rows(tmp_path, [WRITTEN["chat"], row], "demonstration")
    assert why(loaded)[0].startswith(reason)
    assert loaded.rejected[0].row == row


def test_prompts_and_documents(tmp_path: Path) -> None:
    rows = [{"id": "p", "user_id": 7, "query": "a"}, {"messages": CHAT[:1], "organization_id": "acme"}]
    one, two = load_rows(tmp_path, rows, "prompt").records
    assert (one.id, one.user, two.user) == ("p", "7", "acme")
    loaded = load_rows(tmp_path, [{"text": "a", "id": "t"}, {"text": " "}, {"text": 1}, {"text": "a"}], "document")
    assert [found.text for found in loaded.records] == ["a", "a"]
    assert why(loaded)[0] == "text: empty; a document needs a text"
    assert why(loaded)[1].startswith("text: a text was expected, not int")


# -- trees ---------------------------------------------------------------------------------------------------------


def node(name: str, *replies: Any, role: str = "assistant", **rest: Any) -> dict[str, Any]:
    return {"message_id": name, "text": f"text {name}", "role": role, "replies": list(replies), **rest}


def asks(name: str, *replies: Any, **rest: Any) -> dict[str, Any]:
    return node(name, *replies, role="prompter", **rest)


TREE = asks("q", node("a", asks("r", node("c", rank=0)), rank=1), node("b", rank=0, model_name="m"), user_id="u")


@pytest.mark.parametrize("row", [TREE, {"message_tree_id": "q", "prompt": TREE, "source": "oasst"}])
def test_a_tree_gives_every_kind(row: dict[str, Any], tmp_path: Path) -> None:
    prompts = load_rows(tmp_path, [row], "prompt").records
    assert [(found.id, found.user, len(found.messages), found.source) for found in prompts] == [
        ("q", "u", 1, row.get("source", "")),
        ("r", "", 3, row.get("source", "")),
    ]
    (ranking,) = load_rows(tmp_path, [row], "ranking").records
    assert (texts(ranking), ranking.ranks, ranking.responses[1].policy) == (["text a", "text b"], (2, 1), "m")
    loaded = load_rows(tmp_path, [row], "demonstration")
    assert [found.response for found in loaded.records] == ["text b", "text c"]
    assert [fault.row["message_id"] for fault in loaded.rejected] == ["a"]
    assert [len(found.responses) for found in load_rows(tmp_path, [row], "samples").records] == [2, 1]
    assert load_rows(tmp_path, [row], "samples").expanded == 1


def message_ids(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["message_id"]] if "message_id" in value else []
        return own + [name for item in value.values() for name in message_ids(item)]
    return [name for item in value for name in message_ids(item)] if isinstance(value, list) else []


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (asks("q", node("a", node("x"), deleted=True), node("b"), node("c")), "replies: a reply is deleted"),
        (asks("q", node("a", review_result=False), node("b"), node("c")), "replies: a reply is deleted"),
        (asks("q", node("a", text=None), node("b"), node("c")), "replies: a reply is deleted"),
        (asks("q", node("a", rank=0), node("b", rank=1), node("c")), "rank: a reply without a rank"),
        (asks("q", node("a", rank=0), node("b")), "rank: fewer than two of the sibling replies"),
        (asks("q", node("a", rank="x"), node("b", rank=1)), "rank: a finite number"),
        (asks("q", node("a", rank=True), node("b", rank=1)), "rank: a finite number"),
        (asks("q", node("a", rank=-1), node("b", rank=1)), "rank: not a whole number"),
        (asks("q", node("a", asks("x"), role="?"), node("b")), "message.role: not one of"),
        (asks("q", node("a", asks("x"), replies=3), node("b")), "replies: not a list but int"),
        (asks("q", node("a"), deleted=True), "prompt: the tree has no first message"),
        (asks("q", text=""), "prompt: the tree has no first message"),
        (node("q", asks("r", node("a", rank=0), node("b", rank=1))), "text: roles do not alternate"),
        (asks("q", 5), "replies: a reply is deleted"),
    ],
)
def test_trees_that_are_refused_lose_nothing(bad: dict[str, Any], reason: str, tmp_path: Path) -> None:
    loaded = load_rows(tmp_path, [TREE, bad], "ranking")
    assert any(one.startswith(reason) for one in why(loaded)), why(loaded)
    kept = {text.removeprefix("text ") for found in loaded.records[1:] for text in texts(found)}
    gone = {name for fault in loaded.rejected for name in message_ids(fault.row)}
    assert kept | gone | {"q", "r"} >= set(message_ids(bad))
    for kind in ("demonstration", "samples", "prompt"):
        load_rows(tmp_path, [TREE, bad], kind)


def test_a_tree_that_has_nothing_of_a_kind_says_so(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="replies: nothing in the tree makes such a record; read it as prompts"):
        load_rows(tmp_path, [asks("q", node("a"))], "ranking")
    with pytest.raises(RecordError, match=r"the layout 'tree' can be read as prompt, .*not as document; ask for those"):
        load_rows(tmp_path, [TREE], "document")
