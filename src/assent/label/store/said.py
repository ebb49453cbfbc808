"""What is wrong with a line or a plan, so that it can be said in other languages.

Records, plans and JSON say what is wrong in English sentences of their own (`assent.records` knows no screens). They
are known here word for word; what is not known stays as it is.
"""

import re
from functools import cache

from assent.label.phrases import Phrase, phrase

SENTENCES = (  # of assent.records
    phrase("%(field)s: %(given)s is not one of %(known)s"),
    phrase("messages: empty; a prompt needs at least one message"),
    phrase("messages: the last one is the assistant's; a prompt ends before the response"),
    phrase("messages: every message is blank"),
    phrase("response: empty; a demonstration needs a text"),
    phrase("responses: empty; samples need at least one response"),
    phrase("responses: %(count)s given; a ranking compares at least 2"),
    phrase("ranks: %(ranks)s ranks for %(count)s responses"),
    phrase("ranks: %(rank)s is below 1; the best rank is 1"),
    phrase("overall: %(overall)s is outside 1 (worst) to 7 (best)"),
    phrase("text: empty; a document needs a text"),
    phrase("%(field)s: an object was expected, not %(given)s"),
    phrase("%(field)s: a list was expected, not %(given)s"),
    phrase("%(field)s: %(wanted)s was expected, not %(given)s"),
    phrase("%(field)s: a finite number was expected"),
    phrase("%(field)s: missing"),
    phrase("%(field)s: unknown field; known are %(known)s"),
    phrase("schema: %(schema)s; this version of Assent reads schema %(known)s"),
    # of importing and meant
    phrase("id: %(id)s was used in line %(line)s; ids are unique in a batch"),
    phrase("the file is UTF-16; save it as UTF-8"),
    phrase("a byte order mark in the middle of the file; were files joined?"),
    phrase("holds a NUL character, which cannot be stored; remove it"),
    phrase("byte %(byte)s is not UTF-8; save the file as UTF-8"),
    phrase("kind: %(kind)s; prompts, samples and rankings (as gold) can be labeled"),
    phrase("holds half a surrogate pair, which is no character; remove it"),
    phrase("nested deeper than %(most)s; no record is"),
    phrase("a field stands twice in one object; remove one"),
    phrase("%(word)s is not JSON; write a number or leave the field out"),
    phrase("id: 1 to 400 printable characters"),
    phrase("responses: %(count)s; a screen ranks %(fewest)s to %(most)s"),
    phrase("responses: every one is blank; there is nothing to rank"),
    phrase("%(field)s: %(count)s characters; at most %(most)s"),
    phrase("ranks: %(rank)s is above the number of responses"),
    phrase("an object was expected, such as %(example)s"),
    phrase("%(field)s: unknown; fields are id, reason, ranks and response"),
    phrase("%(field)s: a text of 1 to %(most)s characters is needed"),
    phrase("response: a text of at most %(most)s characters"),
    phrase("%(id)s: a prompt is to be answered; give `response` and no `ranks`"),
    phrase("%(id)s: `ranks` are needed, one for each of its %(count)s responses"),
    phrase("%(id)s: responses are to be ranked; give `ranks` and no `response`"),
    phrase("ranks: whole numbers from 1 without gaps, in the order of the responses; ties share one"),
    phrase("id: %(id)s stands in two lines; keep one"),
    # of planning
    phrase("overlap and shared_overlap: 1 to 50 labelers"),
    phrase("%(field)s: %(given)s is no share; 0 to 1"),
    phrase("gold: %(given)s; at most half of the work can have known answers (usual: 0.05 to 0.1)"),
    phrase("reviews: %(given)s; 0 to 10 others read every demonstration"),
    phrase("limit: %(given)s; 0 takes all items"),
    phrase("plan: %(field)s is a %(kind)s, not %(given)s"),
    phrase("plan: a JSON object was expected"),
    # of json
    phrase("Expecting value: %(place)s"),
    phrase("Expecting ',' delimiter: %(place)s"),
    phrase("Expecting ':' delimiter: %(place)s"),
    phrase("Expecting property name enclosed in double quotes: %(place)s"),
    phrase("Extra data: %(place)s"),
    phrase("Unterminated string starting at: %(place)s"),
    phrase("line %(line)s column %(column)s (char %(letter)s)"),
)


@cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    """What each sentence looks like; those with more words of their own before those with fewer."""
    found: list[tuple[re.Pattern[str], str]] = []
    for message in sorted(map(str, SENTENCES), key=lambda one: -len(re.sub(r"%\(\w+\)s", "", one))):
        parts = re.split(r"%\((\w+)\)s", message)
        text = "".join(re.escape(one) if place % 2 == 0 else f"(?P<{one}>.+?)" for place, one in enumerate(parts))
        found.append((re.compile(rf"(?P<prefix_>(?:[\w\[\]]+\.)*){text}", re.DOTALL), message))
    return found


def known(fault: Exception | str) -> str:
    """What an error says, as a phrase if it is a sentence that is known."""
    if isinstance(fault, Exception) and fault.args and isinstance(fault.args[0], Phrase):
        return fault.args[0]
    told = str(fault)
    for pattern, message in _patterns():
        if (found := pattern.fullmatch(told)) is not None:
            values = found.groupdict()
            prefix = values.pop("prefix_")
            rest = Phrase(message, {name: known(one) if name == "place" else one for name, one in values.items()})
            return Phrase("%(prefix)s%(rest)s", {"prefix": prefix, "rest": rest}) if prefix else rest
    return told


def at(name: str, number: int, fault: Exception) -> Phrase:
    """What is wrong with a line of a file."""
    values = {"name": name, "number": number, "fault": known(fault)}
    return phrase("%(name)s, line %(number)s: %(fault)s. Nothing was imported.", **values)
