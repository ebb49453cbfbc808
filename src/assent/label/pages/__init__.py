"""The pages that people see: templates filled on the server, with small modules of script beside them."""

import hashlib
import html as escaping
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse

from assent.label import render
from assent.label.pages import drawing

STATIC = Path(__file__).parents[1] / "static"
MENUS: dict[str, tuple[tuple[str, str], ...]] = {
    "labeler": (("/tasks", "Tasks"), ("/guidelines", "Guidelines"), ("/history", "My work")),
    "lead": (
        ("/lead", "Overview"),
        ("/lead/quality", "Quality"),
        ("/lead/adjudication", "Adjudication"),
        ("/lead/candidates", "Candidates"),
        ("/lead/survey", "Survey"),
        ("/tasks", "Tasks"),
        ("/guidelines", "Guidelines"),
    ),
    "admin": (
        ("/admin", "People"),
        ("/admin/keys", "Keys"),
        ("/admin/audit", "Audit log"),
        ("/guidelines", "Guidelines"),
    ),
}
MENUS["researcher"] = tuple(one for one in MENUS["lead"] if one[0] != "/tasks")


def filled(template: str, here: str, person: Any, theme: str = "", **values: Any) -> str:
    """The HTML of a page. here: its address, for the menu; person: who looks, or None; theme: light, dark or unset."""
    menu = MENUS.get(person.role, ()) if person else ()
    theme = theme if theme in ("light", "dark") else ""
    return _environment().get_template(template).render(here=here, person=person, menu=menu, theme=theme, **values)


def page(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A page for whoever asks."""
    person = getattr(request.state, "person", None)
    text = filled(template, request.url.path, person, request.cookies.get("theme", ""), **values)
    return HTMLResponse(text, status)


def error(request: Request, status: int, sentence: str) -> HTMLResponse:
    """A failure, told on a page of its own."""
    return page(request, "error.html.j2", status, code=status, sentence=sentence)


def see(path: str) -> RedirectResponse:
    """After something was done: look at this page."""
    return RedirectResponse(path, 303)


def facts(task: Mapping[str, Any]) -> str:
    """What the scripts of a task need to know, as JSON: its texts without their HTML, its draft, how it stands."""
    known = {name: task[name] for name in ("slot", "kind", "state", "practice", "draft", "draft_version")}
    texts = {response["key"]: response["text"] for response in task["responses"]}
    return json.dumps(known | {"schema": task["questions"]["version"], "texts": texts})


@cache
def _environment() -> Any:
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("assent.label", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Callable[[Any], str]] = {
        "raw": lambda text: Markup(render.raw(text)),
        "prose": lambda text: Markup(render.prose(text)),
        "visible": lambda text: Markup(render.marked(escaping.escape(text))),
        "words": words,
        "day": lambda at: datetime.fromtimestamp(at, UTC).strftime("%-d %B %Y"),
        "moment": lambda at: datetime.fromtimestamp(at, UTC).strftime("%-d %b %Y, %H:%M UTC"),
        "percent": lambda share: f"{100 * share:.0f}\u00a0%",
    }
    environment.filters.update(filters)
    drawn: dict[str, Any] = {name: getattr(drawing, name) for name in ("share_chart", "small_interval", "progress")}
    environment.globals.update(drawn, static=static)
    return environment


def words(text: str) -> str:
    """The length of a text for people: `1 word`, `1,204 words`."""
    count = len(text.split())
    return f"{count:,} word{'' if count == 1 else 's'}"


@cache
def static(name: str) -> str:
    """The address of a file beside the pages; it changes when the file does, so that browsers may keep it for ever."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:10]
    return f"/static/{name}?{digest}"
