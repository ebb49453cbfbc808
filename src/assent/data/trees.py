"""Conversation trees of OpenAssistant: every message has `replies`, and sibling replies of the assistant have ranks.

Rankings are the siblings that carry a `rank` (0 is best there, 1 here), demonstrations the best reply of each
message, prompts every message that a person asked, with the turns that lead to it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from assent.data.items import Item, facts, number, rank
from assent.data.turns import RowError, checked, text, turn
from assent.records import Demonstration, Message, Prompt, Ranking, Record, Response

Node = Mapping[str, Any]


@dataclass(frozen=True)
class _Asked:
    """A message that asks, the turns up to it, and the replies that stand."""

    node: Node
    messages: tuple[Message, ...]
    replies: tuple[Node, ...]


def is_tree(row: Node) -> bool:
    """Whether a row is a tree, or holds one under `prompt`."""
    prompt = row.get("prompt")
    return "replies" in row or (isinstance(prompt, Mapping) and "replies" in prompt)


def candidates(row: Node, kind: type[Any]) -> Iterable[Item | Record | RowError]:
    """What a tree gives as a kind, in the order of the tree: items and faults, at least one."""
    root = row if "replies" in row else row.get("prompt")
    if not _stands(root):
        raise RowError("prompt", "the tree has no first message with a text, or it is deleted; leave the tree out")
    root = cast(Node, root)
    origin = {name: value for name, value in facts(row).items() if name in ("source", "licence")}
    found = [
        replace(candidate, **origin) if isinstance(candidate, Item) else candidate
        for asked in _walk(root, ())
        for candidate in ([asked] if isinstance(asked, RowError) else _of(asked, kind))
    ]
    if not found:
        found.append(RowError("replies", "nothing in the tree makes such a record; read it as prompts"))
    return found


def _walk(node: Node, before: tuple[Message, ...]) -> Iterator[_Asked | RowError]:
    """Every message that asks, with its standing replies; a message that is deleted or broken ends its branch."""
    try:
        messages = (*before, _message(node))
        replies = node.get("replies", [])
        if not isinstance(replies, list | tuple):
            raise RowError("replies", f"not a list but {type(replies).__name__}; write the replies as a list")
    except RowError as fault:
        yield RowError(fault.field, fault.reason, node)
        return
    standing = [cast(Node, reply) for reply in cast(Sequence[Any], replies) if _stands(reply)]
    for reply in cast(Sequence[Any], replies):
        if not _stands(reply):
            yield RowError(
                "replies", "a reply is deleted, failed review, or has no text; its branch is left out", reply
            )
    if messages[-1].role == "user":
        yield _Asked(node, messages, tuple(standing))
    for reply in standing:
        yield from _walk(reply, messages)


def _of(asked: _Asked, kind: type[Any]) -> Iterator[Item | RowError]:
    """The candidates of one asking message."""
    node, replies = asked.node, asked.replies
    try:
        base = Item(messages=checked(asked.messages, "text"), prompt_id=_id(node), user=_author(node))
        ranked = [reply for reply in replies if reply.get("rank") is not None]
        if kind is Prompt:
            yield base
        elif kind is Demonstration:
            yield from (_demonstration(base, reply, ranked) for reply in replies)
        elif kind is Ranking and len(replies) > 1:
            yield from _ranking(base, asked, ranked)
        elif kind is not Ranking and replies:
            yield replace(base, id=_id(node), responses=tuple(map(_response, replies)))
    except RowError as fault:
        yield RowError(fault.field, fault.reason, {**_brief(node), "replies": list(map(_brief, replies))})


def _ranking(base: Item, asked: _Asked, ranked: Sequence[Node]) -> Iterator[Item | RowError]:
    """The siblings that have a rank as a ranking, and those that have none as faults."""
    if len(ranked) < 2:
        raise RowError("rank", "fewer than two of the sibling replies have a rank; rank them, or read as samples")
    places = tuple(map(_place, ranked))
    yield replace(base, id=_id(asked.node), responses=tuple(map(_response, ranked)), ranks=places)
    for reply in asked.replies:
        if reply not in ranked:
            yield RowError("rank", "a reply without a rank beside ranked ones; rank it to compare it", _brief(reply))


def _demonstration(base: Item, reply: Node, ranked: Sequence[Node]) -> Item | RowError:
    """A reply as the answer to learn from, unless a sibling was ranked above it."""
    if ranked and (reply not in ranked or _place(reply) > min(map(_place, ranked))):
        return RowError("rank", "a sibling reply is ranked above it; only the best is a demonstration", _brief(reply))
    return replace(base, id=_id(reply), responses=(_response(reply),), labeler=_author(reply))


def _place(reply: Node) -> int:
    return rank(number(reply["rank"], "rank") + 1, "rank")


def _stands(reply: Any) -> bool:
    if not isinstance(reply, Mapping):
        return False
    node = cast(Node, reply)
    has_text = isinstance(node.get("text"), str) and bool(node["text"].strip())
    return has_text and not node.get("deleted") and node.get("review_result") is not False


def _message(node: Node) -> Message:
    return turn({"role": node.get("role"), "content": node.get("text")}, "message")


def _response(reply: Node) -> Response:
    return Response(text=text(reply["text"], "text"), policy=str(reply.get("model_name") or ""))


def _id(node: Node) -> str:
    return str(node.get("message_id") or "")


def _author(node: Node) -> str:
    return str(node.get("user_id") or "")


def _brief(node: Node) -> Node:
    """A message without its branch, for the list of rejections."""
    return {name: value for name, value in node.items() if name != "replies"}
