"""The layouts of other people's rows: how each is recognised by its fields and what it says as an `Item`.

`LAYOUTS` is in the order in which they are tried; docs/formats.md shows examples of each.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from assent.data import trees
from assent.data.items import Item, content_id, facts, number, numbers, rank
from assent.data.turns import (
    CONVERSATIONS,
    PROMPTS,
    Fields,
    RowError,
    answer,
    checked,
    context,
    first,
    is_transcript,
    prompt,
    sequence,
    text,
    turn,
    turns,
)
from assent.records import (
    KINDS,
    Demonstration,
    Document,
    Message,
    Prompt,
    R,
    Ranking,
    Record,
    Response,
    Samples,
    from_json,
    kind_name,
)

Candidate = Item | Record | RowError

_ANSWERS = ("response", "completion", "output", "answer")
_LISTS = ("responses", "completions", "answers")
_SIDES = ("response_a", "response_b")


@dataclass(frozen=True)
class Layout:
    """One way to write rows: when a row `fits`, the kinds it `offers`, and how it is read as one of them."""

    name: str
    offers: tuple[type[Any], ...]
    fits: Callable[[Fields], bool]
    parse: Callable[[Fields, type[Any]], Iterable[Candidate]]


def choose(row: Fields, kind: type[R], name: str = "") -> Layout:
    """The layout called `name`, or else the first, that fits the row and offers the kind.

    Raises RowError when none fits, or when those that fit offer other kinds only.
    """
    fitting = [layout for layout in LAYOUTS if name in ("", layout.name) and layout.fits(row)]
    if not fitting:
        fields, wanted = ", ".join(row) or "none", f"the layout {name!r} does not fit" if name else "no layout has"
        raise RowError("", f"{wanted} the fields {fields}; rename them as one of the layouts in docs/formats.md")
    for layout in fitting:
        if kind in layout.offers:
            return layout
    offered = ", ".join(kind_name(offer) for offer in fitting[0].offers)
    raise RowError(
        "", f"the layout {fitting[0].name!r} can be read as {offered}, not as {kind_name(kind)}; ask for those"
    )


def layout_names() -> tuple[str, ...]:
    """The names that `load` takes for its `layout`."""
    return tuple(layout.name for layout in LAYOUTS)


# -- prompts and responses -----------------------------------------------------------------------------------------


def _response(value: Any, field: str, policy: str) -> Response:
    """A response of a list: a text, or an object that holds the text and perhaps the model."""
    if not isinstance(value, Mapping):
        return Response(text=text(value, field), policy=policy)
    row = cast(Fields, value)
    name = first(row, (*_ANSWERS, "text", "content"))
    return Response(text=text(row.get(name), f"{field}.{name or 'text'}"), policy=policy or _policy(row))


def _policy(row: Fields) -> str:
    return str(row.get(first(row, ("policy", "model")), ""))


def _policies(row: Fields, count: int) -> list[str]:
    models = sequence(row.get("models", [""] * count), "models")
    if len(models) != count:
        raise RowError("models", f"{len(models)} names for {count} responses; give one for each")
    return [str(model) for model in models]


# -- layouts of one row, one item ----------------------------------------------------------------------------------


def _pair(row: Fields) -> Item:
    """`chosen` and `rejected`: whole conversations, or answers to a prompt that stands beside them."""
    before = context(row)
    chosen, rejected = (_side(row[name], name, before) for name in ("chosen", "rejected"))
    for name, side in (("chosen", chosen), ("rejected", rejected)):
        if not side or side[-1].role != "assistant":
            raise RowError(name, "does not end with the assistant's turn; end both sides with a response")
        if not side[-1].content.strip():
            raise RowError(name, "empty; both sides need a text")
    if chosen[:-1] != rejected[:-1]:
        raise RowError("rejected", "its prompt differs from the prompt of chosen; compare responses to one prompt")
    if before and before not in (chosen[:-1], chosen):  # some give the chosen side once more as their messages
        raise RowError("prompt", "differs from the beginning of chosen; give the same prompt twice or once")
    messages = checked(chosen[:-1], first(row, PROMPTS) or "chosen")
    responses = tuple(Response(text=side[-1].content) for side in (chosen, rejected))
    if responses[0].text.strip() == responses[1].text.strip():
        raise RowError("rejected", "the same text as chosen; a comparison needs two different responses")
    return Item(messages=messages, responses=responses, ranks=(1, 2), **facts(row))


def _side(value: Any, field: str, before: tuple[Message, ...]) -> tuple[Message, ...]:
    """One side of a pair as a whole conversation."""
    if isinstance(value, str) and not is_transcript(value):
        if not before:
            raise RowError("prompt", f"missing; give one of {', '.join(PROMPTS)} beside chosen and rejected")
        return (*before, Message("assistant", value))
    given = turns(value, field)
    return (*before, *given) if len(given) == 1 else given


def _choice(row: Fields) -> Item:
    """`response_a`, `response_b` and a `label`: a, b or tie."""
    messages = prompt(row)
    ranks = {"a": (1, 2), "b": (2, 1), "tie": (1, 1)}.get(str(row.get("label")).lower())
    if ranks is None:
        raise RowError("label", "not one of a, b, tie; say which response is better")
    policies = _policies(row, 2)
    responses = tuple(_response(row[side], side, policy) for side, policy in zip(_SIDES, policies, strict=True))
    for side, response in zip(_SIDES, responses, strict=True):
        if not response.text.strip():
            raise RowError(side, "empty; both sides need a text")
    return Item(messages=messages, responses=responses, ranks=ranks, **facts(row))


def _list(row: Fields) -> Item:
    """`responses` (texts or objects) with `ranks` or `scores`, of the row or of each response; or with neither."""
    field = first(row, _LISTS)
    values = sequence(row[field], field)
    policies = _policies(row, len(values))
    responses = tuple(_response(value, f"{field}[{n}]", policies[n]) for n, value in enumerate(values))
    item = Item(messages=prompt(row), responses=responses, **facts(row))
    order = {name: row.get(f"{name}s", _column(values, name)) for name in ("rank", "score")}
    if order["rank"] is not None:
        places = numbers(order["rank"], "ranks", len(values))
        return replace(item, ranks=tuple(rank(place, f"ranks[{n}]") for n, place in enumerate(places)))
    if order["score"] is not None:
        return replace(item, scores=numbers(order["score"], "scores", len(values)))
    return item


def _column(values: Sequence[Any], name: str) -> list[Any] | None:
    """The `name` of every object in a list, or None when none has it."""
    rows = [cast(Fields, value) if isinstance(value, Mapping) else {} for value in values]
    return [row.get(name) for row in rows] if any(name in row for row in rows) else None


def _scored(row: Fields, kind: type[Any]) -> list[Item]:
    """One response a row with a `rank` or `score`; rows of one prompt and one labeler make a group."""
    if kind is Demonstration:
        raise RowError("", "a graded answer, perhaps a bad one; to take it all the same, name the layout 'answered'")
    field = first(row, _ANSWERS)
    messages, known = prompt(row), facts(row)
    known["id"] = ""  # the id of the row is the response's; the ranking gets one of its content
    group = row.get("group") or known.get("prompt_id") or [(message.role, message.content) for message in messages]
    item = Item(
        messages=messages,
        responses=(Response(text=answer(row[field], field), policy=_policy(row)),),
        ranks=(rank(number(row["rank"], "rank"), "rank"),) if "rank" in row else (),
        scores=() if "rank" in row else (number(row["score"], "score"),),
        group=content_id(group, known.get("labeler", "")),
        **known,
    )
    return [item]


def _answered(row: Fields, kind: type[Any]) -> list[Item]:
    """A prompt and one answer; where it says whether the answer is good, a good one."""
    field = first(row, _ANSWERS)
    if row.get("label") is False and kind is Demonstration:
        raise RowError("label", "false, so the answer is a bad one; only good ones are demonstrations")
    return [Item(messages=prompt(row), responses=(Response(text=answer(row[field], field)),), **facts(row))]


def _conversation(row: Fields) -> Item:
    """A whole conversation; the last turn of the assistant is the response."""
    field = first(row, CONVERSATIONS)
    messages = context(row)
    if not messages or messages[-1].role != "assistant":
        raise RowError(field, "does not end with the assistant's turn; end it with a response, or read it as a prompt")
    response = Response(text=messages[-1].content)
    return Item(messages=checked(messages[:-1], field), responses=(response,), **facts(row))


def _asked(row: Fields) -> Item:
    """A prompt alone: the id of the row is the prompt's."""
    known = facts(row)
    return Item(messages=prompt(row), **{"prompt_id": known.get("id", ""), **known})


# -- the other layouts ---------------------------------------------------------------------------------------------


def _own(row: Fields, kind: type[Any]) -> Iterable[Candidate]:
    """A record of Assent's own; every record that holds a prompt gives the prompt, a ranking also its samples."""
    if not isinstance(row["kind"], str):
        raise RowError("kind", f"not one of {', '.join(KINDS)}; write the kind as a word")
    record = from_json(row)
    if isinstance(record, kind):
        return [record]
    if kind is Prompt and not isinstance(record, Prompt | Document):
        return [record.prompt]
    if kind is Samples and isinstance(record, Ranking):
        origin = {"source": record.source, "licence": record.licence}
        return [Samples(id=record.id, prompt=record.prompt, responses=record.responses, **origin)]
    return [
        RowError("kind", f"a {kind_name(type(record))} cannot be read as a {kind_name(kind)}; ask for its own kind")
    ]


def _document(row: Fields, kind: type[Any]) -> Iterable[Candidate]:
    known = {name: value for name, value in facts(row).items() if name in ("id", "source", "licence")}
    content = text(row["text"], "text")
    return [Document(**{"id": content_id(content), **known}, text=content)]


def _asks(row: Fields) -> bool:
    return bool(first(row, PROMPTS)) and not _ends_with_assistant(row)


def _is_conversation(row: Fields) -> bool:
    compares = any(name in row for name in ("chosen", *_SIDES, *_LISTS))
    return _ends_with_assistant(row) or (bool(first(row, CONVERSATIONS)) and not compares)


def _ends_with_assistant(row: Fields) -> bool:
    value = row.get(first(row, CONVERSATIONS))
    if not isinstance(value, list | tuple) or not value:
        return False
    try:
        return turn(cast(Sequence[Any], value)[-1], "").role == "assistant"
    except RowError:
        return False  # the layout that takes it will say what is wrong


def _has(*names: str) -> Callable[[Fields], bool]:
    return lambda row: all(name in row for name in names)


def _has_list(row: Fields) -> bool:
    answers = row.get("answers")  # in exams, what a question may be answered with
    objects = isinstance(answers, list | tuple) and all(isinstance(item, Mapping) for item in cast(Any, answers))
    return bool(answers and objects) or "responses" in row or "completions" in row


def _has_answer(row: Fields) -> bool:
    return bool(first(row, PROMPTS) and first(row, _ANSWERS))


def _single(parse: Callable[[Fields], Item]) -> Callable[[Fields, type[Any]], Iterable[Candidate]]:
    return lambda row, kind: [parse(row)]


_COMPARED = (Ranking, Samples, Prompt)
_WRITTEN = (Demonstration, Prompt)
_ALL = (Prompt, Demonstration, Samples, Ranking)

LAYOUTS = (
    Layout("assent", tuple(KINDS.values()), _has("kind", "schema"), _own),
    Layout("tree", _ALL, trees.is_tree, trees.candidates),
    Layout("pair", _COMPARED, _has("chosen", "rejected"), _single(_pair)),
    Layout("choice", _COMPARED, _has(*_SIDES), _single(_choice)),
    Layout("list", _COMPARED, _has_list, _single(_list)),
    Layout("scored", _ALL, lambda row: _has_answer(row) and ("rank" in row or "score" in row), _scored),
    Layout("answered", _WRITTEN, _has_answer, _answered),
    Layout("prompt", (Prompt,), _asks, _single(_asked)),
    Layout("conversation", _WRITTEN, _is_conversation, _single(_conversation)),
    Layout("text", (Document,), lambda row: "text" in row and not trees.is_tree(row), _document),
)
