"""The lead's pages on the quality of a batch: how far labelers agree, and what models of labelers say."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request, Response

from assent.label import access, schema
from assent.label.pages import page, see
from assent.label.phrases import phrase
from assent.label.store import batches
from assent.label.store.database import Database
from assent.label.store.known import retired

router = APIRouter(prefix="/lead", include_in_schema=False)
ACCESS = {
    "GET /lead/quality": access.READERS,
    "GET /lead/batches/{name}/quality": access.READERS,
    "GET /lead/batches/{name}/models": access.READERS,
}
STATED = (  # reasons of the statistics why a number is not known, word for word
    phrase("no pair of responses was ordered by two labelers; agreement needs prompts ranked twice"),
    phrase("no pair of responses was judged by two labelers; agreement needs items ranked twice"),
    phrase("no unit was judged by two labelers; agreement needs items with several judgements"),
    phrase("nobody ranked an item twice; serve some items again after a week, in a new order"),
)
USE_CASES = {  # paper, Table 1
    "generation": phrase("generation"),
    "open_qa": phrase("open questions"),
    "brainstorming": phrase("brainstorming"),
    "chat": phrase("chat"),
    "rewrite": phrase("rewriting"),
    "summarization": phrase("summarization"),
    "classification": phrase("classification"),
    "other": phrase("something else"),
    "closed_qa": phrase("closed questions"),
    "extract": phrase("extraction"),
    "": phrase("not said"),
}
RULES = {
    "strict": phrase("Better, worse or tied: all three the same"),
    "drop": phrase("Pairs that neither ties"),
    "half": phrase("A tie against a preference counts half"),
}


@router.get("/quality")
def quality(request: Request) -> Response:
    """The quality of the newest batch that has answers."""
    database: Database = request.app.state.database
    with database.read() as connection:
        name = batches.newest_answered(connection)
    return see(f"/lead/batches/{name}/quality" if name else "/lead")


@router.get("/batches/{name}/quality")
def batch_quality(request: Request, name: str) -> Response:
    """Every labeler of a batch, by name, never a list of the best; and how the batch holds together."""
    found, known = _known(request, name)
    between: Any = found["between"] if found else []
    heat = {(one["one"], one["other"]): one for one in ([] if "unknown" in between else between)}
    agreed = agreements(found["agreement"]) if found else []
    database: Database = request.app.state.database
    with database.read() as connection:
        gone = retired(connection, batches.found(connection, name).id)
    divided = [] if found is None else _divided(found["parts"])
    return page(request, "lead_quality.html.j2", heat=heat, agreements=agreed, parts=divided, retired=gone, **known)


@router.get("/batches/{name}/models")
def batch_models(request: Request, name: str) -> Response:
    """What is probably so and whose word says how much, by models of labelers; never a list of the best."""
    return page(request, "lead_models.html.j2", **_known(request, name)[1])


def _known(request: Request, name: str) -> tuple[Mapping[str, Any] | None, dict[str, Any]]:
    """The numbers of a batch, and what every page about them needs."""
    found, renewing = request.app.state.measures.known(name)
    database: Database = request.app.state.database
    with database.read() as connection:
        names = batches.names(connection)
    known = {"batch": name, "found": found, "renewing": renewing, "names": names, "words": schema.flag_words()}
    return found, known


def _divided(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The two divisions of a batch: `weeks` by their Mondays in seconds, use cases by what they are called."""
    mondays = [
        {**one, "monday": datetime.strptime(f"{one['name']}-1 +0000", "%G-W%V-%u %z").timestamp()}
        for one in found["weeks"]
    ]
    called = [{**one, "called": USE_CASES[one["name"]]} for one in found["use_cases"]]
    return [
        {"title": phrase("By what prompts ask for"), "first": phrase("Use case"), "rows": called},
        {"title": phrase("Week by week"), "first": phrase("Week"), "rows": mondays},
    ]


def agreements(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Agreement by each rule, flat, for a chart; rules by which nothing counts are left out."""
    return [
        {
            "name": RULES[rule],
            "chance": one["chance"],
            "pairs": one["pairs"],
            **one["found"],
            **one["found"]["interval"],
        }
        for rule, one in found.items()
        if "unknown" not in one
    ]
