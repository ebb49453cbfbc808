"""The pages that people see: templates filled on the server, with small modules of script beside them."""

import hashlib
import html as escaping
import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from assent.label import render

STATIC = Path(__file__).parents[1] / "static"
MENUS = {
    "labeler": (("/", "Tasks"), ("/guidelines", "Guidelines"), ("/history", "My work")),
    "lead": (
        ("/lead", "Overview"),
        ("/lead/quality", "Quality"),
        ("/lead/adjudication", "Adjudication"),
        ("/lead/files", "Import and export"),
        ("/guidelines", "Guidelines"),
    ),
    "admin": (
        ("/admin", "People"),
        ("/admin/keys", "Keys"),
        ("/admin/audit", "Audit log"),
        ("/guidelines", "Guidelines"),
    ),
}
MENUS["researcher"] = MENUS["lead"]


def filled(template: str, here: str, person: Any, theme: str = "", **values: Any) -> str:
    """The HTML of a page. here: its address, for the menu; person: who looks, or None; theme: light, dark or unset."""
    menu = MENUS.get(person.role, ()) if person else ()
    theme = theme if theme in ("light", "dark") else ""
    return _environment().get_template(template).render(here=here, person=person, menu=menu, theme=theme, **values)


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
    filters: dict[str, Callable[[str], str]] = {
        "raw": lambda text: Markup(render.raw(text)),
        "markdown": lambda text: Markup(render.html(text)),
        "visible": lambda text: Markup(render.marked(escaping.escape(text))),
        "words": words,
    }
    environment.filters.update(filters)
    environment.globals["static"] = static
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
