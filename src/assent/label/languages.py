"""The languages of the screens: a catalogue each, and which of them somebody gets.

English stands in the source; every other language is one file `catalogues/TAG.po` in gettext's format, read and checked
when the server starts, so that nothing compiled has to be kept beside it. Only what a person reads is translated:
never what is stored, exported, logged or told to a program, and no text of a guideline or a record.
"""

import gettext
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

from babel import Locale
from babel.core import negotiate_locale
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_file
from babel.messages.mofile import write_mo
from babel.messages.pofile import PoFileError, read_po

from assent.label.phrases import Phrase

CATALOGUES = Path(__file__).parent / "catalogues"
STATIC = Path(__file__).parent / "static"
ENGLISH = "en"
SCRIPT_WORDS: dict[str, Any] = {"gettext": None, "ngettext": (1, 2)}  # by which scripts ask for a text
_TAG = re.compile(r"<[^>]*>")
_NAME = re.compile(r"%\((\w+)\)s")


class CatalogueError(ValueError):
    """A catalogue that must not be served; says which file, which message and what is wrong."""


@dataclass(frozen=True)
class Language:
    """A language of the screens. tag: as in HTML; direction: ltr or rtl; scripts: JSON of what the scripts say."""

    tag: str
    name: str
    direction: str
    locale: Locale
    translations: gettext.NullTranslations
    scripts: str

    def said(self, text: str) -> str:
        """A phrase, or a text that is the message of one, in this language; any other text as it is."""
        translated = self._translated
        return text.said(translated) if isinstance(text, Phrase) else translated(text)

    def _translated(self, message: str) -> str:
        return self.translations.gettext(message) if message else ""  # gettext keeps its own notes under ""


@cache
def tags() -> tuple[str, ...]:
    """The languages there are, English first."""
    return (ENGLISH, *sorted(path.stem for path in CATALOGUES.glob("*.po")))


@cache
def language(tag: str) -> Language:
    """A language of `tags`. Raises CatalogueError for a catalogue that is at fault."""
    if tag == ENGLISH:  # dates as the source's spelling has them
        return Language(tag, "English", "ltr", Locale("en", "GB"), gettext.NullTranslations(), "")
    locale = Locale.parse(tag, sep="-")
    catalogue = read(CATALOGUES / f"{tag}.po")
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    name = locale.get_display_name(locale) or tag
    translations = gettext.GNUTranslations(compiled)
    return Language(tag, name, locale.text_direction, locale, translations, _for_scripts(locale, catalogue))


def names() -> list[Language]:
    """All languages, for somebody to choose from."""
    return [language(tag) for tag in tags()]


def negotiated(chosen: str, accepted: str) -> Language:
    """The language somebody has chosen, or else the first of an Accept-Language header that there is, or English."""
    if chosen in tags():
        return language(chosen)
    return language(negotiate_locale(_preferred(accepted), tags(), sep="-") or ENGLISH)


def _preferred(header: str) -> list[str]:
    """The languages of a header, the most wanted first; what cannot be read is left out."""
    found: list[tuple[float, str]] = []
    for part in header[:500].split(","):
        match = re.fullmatch(r"([A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*)(?:;q=([01](?:\.\d{0,3})?))?", part.strip())
        if match and (weight := float(match[2] or 1)) > 0:
            found.append((-weight, match[1]))
    return [tag for _, tag in sorted(found, key=lambda one: one[0])]


def read(path: Path) -> Catalog:
    """A catalogue that holds no fault. Raises CatalogueError that names the file and the message."""
    try:
        with path.open("rb") as file:
            catalogue = read_po(file, locale=path.stem.replace("-", "_"), abort_invalid=True)
    except (PoFileError, ValueError) as error:
        raise CatalogueError(f"{path.name}: {error}; mend the catalogue, or take it away") from None
    for message in catalogue:
        if message.id and not message.fuzzy and (wrong := fault(message)):
            raise CatalogueError(f"{path.name}, line {message.lineno}: {wrong}; mend the catalogue, or take it away")
    return catalogue


def fault(message: Message) -> str:
    """What is wrong with a translation, or nothing: a placeholder that the original has not, markup that differs.

    A translation stands in HTML as it is; so it brings the elements of the original and no other sign of HTML.
    """
    ids, found = forms(message.id), forms(message.string)
    known = {name for one in ids for name in _NAME.findall(one)}
    for text in filter(None, found):
        if extra := set(_NAME.findall(text)) - known:
            return f"%({min(extra)})s in {text!r} is no placeholder of {ids[0]!r}"
        if message.python_format and _NAME.sub("", text).replace("%%", "").count("%"):
            return f"a lone % in {text!r}; write %%"
        if sorted(_TAG.findall(text)) != sorted(_TAG.findall(ids[-1])):
            return f"the elements of {text!r} are not those of {ids[-1]!r}"
        if set('<>"') & set(_TAG.sub("", text)):
            return f'{text!r} has one of < > " outside of an element'
    return ""


def forms(given: Any) -> list[str]:
    """The texts of a message or of its translation: one, or as many as there are plurals."""
    return [one or "" for one in given] if isinstance(given, list | tuple) else [given or ""]


# -- for scripts ---------------------------------------------------------------------------------------------------


@cache
def script_messages() -> tuple[str, ...]:
    """The messages that the scripts beside the pages show: those of one number, and of several their singular."""
    found: dict[str, None] = {}
    for path in sorted(STATIC.glob("*.js")):
        for _, message, _, _ in extract_from_file("javascript", path, SCRIPT_WORDS):
            found[message if isinstance(message, str) else message[0]] = None
    return tuple(found)


def _for_scripts(locale: Locale, catalogue: Catalog) -> str:
    """{"words": {message: [form, ...]}, "plurals": {a browser's name of a plural: which form}} as JSON."""
    words = {
        one: forms(message.string)
        for one in script_messages()
        if (message := catalogue.get(one)) is not None and message.string and not message.fuzzy
    }
    return json.dumps({"words": words, "plurals": _plurals(locale, catalogue)}, ensure_ascii=False)


def _plurals(locale: Locale, catalogue: Catalog) -> Mapping[str, int]:
    """Which form of a catalogue goes with which name of a plural; browsers and Babel have the names from CLDR."""
    place: Callable[[int], int] = gettext.c2py(catalogue.plural_expr)
    return {str(locale.plural_form(count)): place(count) for count in reversed(range(1001))}
