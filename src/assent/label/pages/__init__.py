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

from assent.label import languages, render
from assent.label.languages import ENGLISH, Language
from assent.label.pages import drawing
from assent.label.phrases import phrase

STATIC = Path(__file__).parents[1] / "static"
MENUS: dict[str, tuple[tuple[str, str], ...]] = {
    "labeler": (("/tasks", phrase("Tasks")), ("/guidelines", phrase("Guidelines")), ("/history", phrase("My work"))),
    "lead": (
        ("/lead", phrase("Overview")),
        ("/lead/quality", phrase("Quality")),
        ("/lead/adjudication", phrase("Adjudication")),
        ("/lead/candidates", phrase("Candidates")),
        ("/lead/survey", phrase("Survey")),
        ("/tasks", phrase("Tasks")),
        ("/guidelines", phrase("Guidelines")),
    ),
    "admin": (
        ("/admin", phrase("People")),
        ("/admin/keys", phrase("Keys")),
        ("/admin/webhooks", phrase("Webhooks")),
        ("/admin/audit", phrase("Audit log")),
        ("/guidelines", phrase("Guidelines")),
    ),
}
MENUS["researcher"] = tuple(one for one in MENUS["lead"] if one[0] != "/tasks")


def filled(template: str, here: str, person: Any, theme: str = "", tag: str = ENGLISH, **values: Any) -> str:
    """The HTML of a page.

    here: its address, for the menu; person: who looks, or None; theme: light, dark or unset; tag: of the language.
    """
    menu = MENUS.get(person.role, ()) if person else ()
    theme = theme if theme in ("light", "dark") else ""
    return _environment(tag).get_template(template).render(here=here, person=person, menu=menu, theme=theme, **values)


def page(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A page for whoever asks."""
    person = getattr(request.state, "person", None)
    tag = language(request).tag
    text = filled(template, request.url.path, person, request.cookies.get("theme", ""), tag, **values)
    return HTMLResponse(text, status)


def language(request: Request) -> Language:
    """The language of whoever asks: of their account, or else of this browser as it was chosen, or as it asks for."""
    person = getattr(request.state, "person", None)
    chosen = getattr(request.state, "language", "")  # by this very request
    chosen = chosen or (person.language if person else "") or request.cookies.get("language", "")
    return languages.negotiated(chosen, request.headers.get("accept-language", ""))


def refusal(here: str, status: int, told: str, spoken: Language, theme: str) -> str:
    """The HTML of a failure that is told before anybody is asked who they are."""
    return filled("error.html.j2", here, None, theme, spoken.tag, code=status, sentence=_sentence(spoken.said(told)))


def sentence(request: Request, told: str) -> str:
    """What a refusal says, as a sentence in the language of whoever asks."""
    return _sentence(language(request).said(told))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def error(request: Request, status: int, told: str) -> HTMLResponse:
    """A failure, told on a page of its own."""
    return page(request, "error.html.j2", status, code=status, sentence=sentence(request, told))


def see(path: str) -> RedirectResponse:
    """After something was done: look at this page."""
    return RedirectResponse(path, 303)


def facts(task: Mapping[str, Any]) -> str:
    """What the scripts of a task need to know, as JSON: its texts without their HTML, its draft, how it stands."""
    known = {name: task[name] for name in ("slot", "kind", "state", "practice", "draft", "draft_version")}
    texts = {response["key"]: response["text"] for response in task["responses"]}
    return json.dumps(known | {"schema": task["questions"]["version"], "texts": texts})


@cache
def _environment(tag: str) -> Any:
    """Templates in one language."""
    import jinja2
    from markupsafe import Markup

    spoken = languages.language(tag)
    environment: Any = jinja2.Environment(
        loader=jinja2.PackageLoader("assent.label", "templates"),
        extensions=["jinja2.ext.i18n"],
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.install_gettext_translations(spoken.translations, newstyle=True)
    filters: dict[str, Callable[[Any], str]] = {
        "raw": lambda text: Markup(render.raw(text)),
        "prose": lambda text: Markup(render.prose(text)),
        "visible": lambda text: Markup(render.marked(escaping.escape(text))),
        "said": spoken.said,
        "first_up": lambda text: text[:1].upper() + text[1:],
        **_numbers(spoken),
    }
    environment.filters.update(filters)
    drawn: dict[str, Any] = {name: getattr(drawing, name) for name in ("share_chart", "small_interval", "progress")}
    environment.globals.update(drawn, static=static, language=spoken, languages=languages.names)
    return environment


def _numbers(spoken: Language) -> dict[str, Callable[[Any], str]]:
    """Numbers, shares and moments as a language writes them; moments are in UTC."""
    from babel.dates import format_date, format_skeleton
    from babel.numbers import format_decimal, format_percent

    locale = spoken.locale

    def at(skeleton: str, seconds: float) -> str:
        return format_skeleton(skeleton, datetime.fromtimestamp(seconds, UTC), locale=locale)

    return {
        "whole": lambda number: format_decimal(number, "#,##0", locale),
        "decimal": lambda number: format_decimal(number, "#,##0.0", locale),
        "hundredth": lambda number: format_decimal(number, "#,##0.00", locale),
        "thousandth": lambda number: format_decimal(number, "#,##0.000", locale),
        "signed": lambda number: format_decimal(number, "+#,##0.00;-#,##0.00", locale),
        "percent": lambda share: format_percent(share, "#,##0\u00a0%", locale),
        "words": lambda text: words(text, spoken),
        "day": lambda seconds: format_date(datetime.fromtimestamp(seconds, UTC), "long", locale),
        "moment": lambda seconds: f"{at('yMMMd', seconds)}, {at('Hm', seconds)} UTC",
    }


def words(text: str, spoken: Language) -> str:
    """The length of a text for people: `1 word`, `1,204 words`."""
    from babel.numbers import format_decimal

    count = len(text.split())
    told = spoken.translations.ngettext("%(count)s word", "%(count)s words", count)
    return told % {"count": format_decimal(count, locale=spoken.locale)}


@cache
def static(name: str) -> str:
    """The address of a file beside the pages; it changes when the file does, so that browsers may keep it for ever."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:10]
    return f"/static/{name}?{digest}"
