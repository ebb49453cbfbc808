"""What is said to people, in English, and able to be said in other languages.

A phrase is a `str` in English: logs, exports and programs have English, whoever asked. It remembers its message and
what was put into it, so that a page can say it in the language of whoever reads it (`languages`). The messages are
collected from calls of `phrase` by `scripts.catalogues`, so a call holds its message as one literal.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any


class Phrase(str):
    """An English text that knows what it was made from: a message with `%(name)s` in it, and values by name."""

    message: str
    values: Mapping[str, Any]

    def __new__(cls, message: str, values: Mapping[str, Any]) -> "Phrase":
        """Put the values into the message."""
        made = super().__new__(cls, message % values if values else message)
        made.message, made.values = message, values
        return made

    def said(self, translated: Callable[[str], str]) -> str:
        """The same by means of a catalogue: its message translated, and every value that is a phrase as well."""
        values = {name: one.said(translated) if isinstance(one, Phrase) else one for name, one in self.values.items()}
        return translated(self.message) % values if values else translated(self.message)


def phrase(message: str, **values: Any) -> Phrase:
    """A text for people; the message is a literal, and what varies is put into it by name."""
    return Phrase(message, values)


def unlisted(field: str, given: object, known: Iterable[str]) -> Phrase:
    """A value of a field that is none of those that are known."""
    values = {"field": field, "given": repr(given), "known": ", ".join(known)}
    return phrase("%(field)s: %(given)s is not one of %(known)s", **values)


def several(faults: Iterable[str]) -> Phrase:
    """Faults in one line, each said in its own words."""
    values = {f"fault{number}": one for number, one in enumerate(faults)}
    return Phrase("; ".join(f"%({name})s" for name in values), values)
