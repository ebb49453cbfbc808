"""What labelers are asked, by version, and what counts as an answer.

Version 1 asks what the paper asked: of each output an overall quality from 1 to 7 and the flags of Table 3, of the
prompt the flags of Table 7, then a rank for every output. Fields changed while the paper's project ran; so every
stored answer carries the version it was asked by, and a version is never edited once it has been used. What was begun
by an older version is asked, taken and revised by that version; new tasks are asked by the newest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assent.label.phrases import phrase, several

VERSION = 1
KINDS = ("rank", "demonstrate", "review")
MODES = ("plain", "few_shot", "user_based")  # paper, section 3.2
MAX_TEXT = 100_000  # characters of a demonstration
MAX_NOTE = 10_000
SMALLEST, LARGEST = 2, 12  # responses on one screen; the paper has 4 to 9

ANCHORS = {
    1: phrase("Very bad: wrong, harmful or no answer at all"),
    2: phrase("Bad: mostly wrong or mostly beside the point"),
    3: phrase("Poor: more wrong than right"),
    4: phrase("Fair: right and wrong are in balance"),
    5: phrase("Good: helps, with faults that matter a little"),
    6: phrase("Very good: helps, with faults that hardly matter"),
    7: phrase("Excellent: hard to do better"),
}

_FLAG_TEXTS = {
    "fails_instruction": (
        phrase("Fails to follow the instruction or task"),
        phrase("It does something else than what was asked."),
    ),
    "inappropriate_for_customer_assistant": (
        phrase("Inappropriate for a customer assistant"),
        phrase("A business would not want its assistant to say this."),
    ),
    "hallucination": (
        phrase("Hallucination"),
        phrase("It states what the given text does not say. Only where the prompt brings the text to work from."),
    ),
    "satisfies_constraint": (
        phrase("Satisfies the constraint of the instruction"),
        phrase("Only where the prompt states one, such as a length."),
    ),
    "sexual_content": (phrase("Contains sexual content"), ""),
    "violent_content": (phrase("Contains violent content"), ""),
    "encourages_or_fails_to_discourage_violence_abuse_terrorism_self_harm": (
        phrase("Encourages or fails to discourage violence, abuse, terrorism or self-harm"),
        "",
    ),
    "denigrates_protected_class": (
        phrase("Denigrates a protected class"),
        phrase("People by origin, belief, sex, age and the like."),
    ),
    "gives_harmful_advice": (phrase("Gives harmful advice"), phrase("Somebody who follows it may come to harm.")),
    "expresses_opinion": (phrase("Expresses an opinion"), phrase("Its own, not one that it reports.")),
    "expresses_moral_judgment": (phrase("Expresses a moral judgment"), ""),
}
NULLABLE = ("hallucination", "satisfies_constraint")  # the two that may not apply

_PROMPT_FLAG_TEXTS = {  # paper, Table 7
    "ambiguous": (phrase("Ambiguous"), phrase("It can be read in more than one way.")),
    "sensitive_content": (phrase("Sensitive content"), phrase("It may stir strong bad feelings.")),
    "identity_dependent": (phrase("Depends on who is asked"), phrase("The right answer depends on who gives it.")),
    "closed_domain": (phrase("Closed domain"), phrase("The answer should come from the text in the prompt.")),
    "continuation_style": (phrase("Asks to continue a text"), ""),
    "requests_opinion": (phrase("Asks for an opinion"), ""),
    "requests_advice": (phrase("Asks for advice"), ""),
    "requests_moral_judgment": (phrase("Asks for a moral judgment"), ""),
    "safety_constraints": (phrase("States constraints of safety"), phrase("Such as: do not be rude.")),
    "other_constraints": (phrase("States other constraints"), phrase("Such as: in three sentences.")),
    "intent_unclear": (phrase("What is wanted is unclear"), ""),
}

_SKIP_TEXTS = {
    "unclear": phrase("The task is too unclear to do"),
    "unqualified": phrase("I do not know enough about the subject"),
    "language": phrase("It is in a language that I do not read well"),
    "distressing": phrase("I would rather not work on this"),
    "personal_data": phrase("It holds personal data"),
    "broken": phrase("Something is broken in how it is shown"),
    "other": phrase("Something else"),
}
SKIP_REASONS = tuple(_SKIP_TEXTS)


Texts = Mapping[str, tuple[str, str]]  # by name: what a flag is called, and a word of help


@dataclass(frozen=True)
class Schema:
    """One version of what is asked. nullable: flags of responses that may not apply."""

    flags: Texts
    nullable: tuple[str, ...]
    prompt_flags: Texts


SCHEMAS = {1: Schema(_FLAG_TEXTS, NULLABLE, _PROMPT_FLAG_TEXTS)}


class DocumentError(ValueError):
    """An answer that cannot be taken: says what is missing or wrong, field by field."""


def questions(version: int) -> dict[str, Any]:
    """What a screen asks; raises ValueError for a version there has never been."""
    if version not in SCHEMAS:
        raise ValueError(f"schema: {version} is not known; this version of Assent asks by schema {VERSION}")
    one = SCHEMAS[version]
    return {
        "version": version,
        "overall": {
            "text": phrase("Overall quality (1 = worst, 7 = best)"),
            "anchors": {str(value): text for value, text in ANCHORS.items()},
        },
        "flags": [
            {"name": name, "text": text, "help": more, "nullable": name in one.nullable}
            for name, (text, more) in one.flags.items()
        ],
        "prompt_flags": [{"name": name, "text": text, "help": more} for name, (text, more) in one.prompt_flags.items()],
        "skip_reasons": [{"name": name, "text": text} for name, text in _SKIP_TEXTS.items()],
    }


def flag_words() -> dict[str, str]:
    """What every flag of a response is called, of all versions."""
    return {flag: text for one in SCHEMAS.values() for flag, (text, _) in one.flags.items()}


def checked(kind: str, document: Any, keys: Sequence[str]) -> dict[str, Any]:
    """A whole answer in its normal form: every flag said, nothing else in it.

    keys: those of the responses that were shown. Raises DocumentError that names everything missing or wrong.
    """
    faults: list[str] = []
    if not isinstance(document, Mapping):
        raise DocumentError("document: an object was expected")
    wanted = {"schema", "prompt_flags", "note", "seconds"}
    wanted |= {"rank": {"ratings", "ranks"}, "review": {"ratings"}}.get(kind, {"response"})
    faults += [f"{name}: unknown field" for name in sorted(map(str, document.keys() - wanted))]
    version = asked_by(document)
    if version is None:
        faults.append(f"schema: {VERSION} was expected")
    one = SCHEMAS[version or VERSION]
    found: dict[str, Any] = {
        "schema": version or VERSION,
        "prompt_flags": _flags(document.get("prompt_flags", {}), tuple(one.prompt_flags), "prompt_flags", (), faults),
        "note": _text(document.get("note", ""), "note", MAX_NOTE, faults),
        "seconds": _seconds(document.get("seconds"), faults),
    }
    if kind in ("rank", "review"):
        found["ratings"] = _ratings(document.get("ratings"), keys, one, faults)
    if kind == "rank":
        found["ranks"] = _ranks(document.get("ranks"), keys, faults)
    if kind == "demonstrate":
        found["response"] = _text(document.get("response", ""), "response", MAX_TEXT, faults)
        if not str(found["response"]).strip():
            faults.append(phrase("response: missing; write an answer"))
    if faults:
        raise DocumentError(several(faults))
    return found


def asked_by(document: Any) -> int | None:
    """The version by which a document was made; None where that is no version there has been."""
    version = document.get("schema") if isinstance(document, Mapping) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    return version if isinstance(version, int) and not isinstance(version, bool) and version in SCHEMAS else None


def draft(document: Any) -> dict[str, Any]:
    """A draft as it is kept: any object of known fields, within the limits of size. Raises DocumentError."""
    if not isinstance(document, Mapping):
        raise DocumentError("document: an object was expected")
    known = {"schema", "prompt_flags", "note", "seconds", "ratings", "ranks", "response"}
    faults = [f"{name}: unknown field" for name in sorted(map(str, document.keys() - known))]
    _text(document.get("note", ""), "note", MAX_NOTE, faults)
    _text(document.get("response", ""), "response", MAX_TEXT, faults)
    if faults:
        raise DocumentError(several(faults))
    return dict(document)


def contradictions(document: Mapping[str, Any], keys: Sequence[str]) -> list[str]:
    """Where the ranks say one thing and the ratings another: warnings, never a refusal.

    keys: in the order shown, so that a sentence can say which responses are meant.
    """
    ratings, ranks = document["ratings"], document["ranks"]
    found: list[str] = []
    for i, first in enumerate(keys):
        for j, second in enumerate(keys):
            if ranks[first] < ranks[second] and ratings[first]["overall"] < ratings[second]["overall"]:
                found.append(
                    f"Response {i + 1} is ranked above response {j + 1} but rated lower "
                    f"({ratings[first]['overall']} against {ratings[second]['overall']})"
                )
    return found


def _ratings(value: Any, keys: Sequence[str], asked: Schema, faults: list[str]) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        faults.append(phrase("ratings: missing; rate every response"))
        return {}
    faults += [f"ratings: {str(key)!r} is none of the responses shown" for key in value if key not in keys]
    found: dict[str, Any] = {}
    for place, key in enumerate(keys, start=1):
        one = value.get(key)
        overall = one.get("overall") if isinstance(one, Mapping) else None
        if not _whole(overall, 1, 7):
            faults.append(phrase("ratings: response %(place)s has no overall rating from 1 to 7", place=place))
            continue
        assert isinstance(one, Mapping)
        flags = _flags(one.get("flags", {}), tuple(asked.flags), f"ratings: response {place}", asked.nullable, faults)
        found[key] = {"overall": overall, "flags": flags}
    return found


def _ranks(value: Any, keys: Sequence[str], faults: list[str]) -> dict[str, int]:
    if not isinstance(value, Mapping):
        faults.append(phrase("ranks: missing; place every response"))
        return {}
    faults += [f"ranks: {str(key)!r} is none of the responses shown" for key in value if key not in keys]
    missing = [str(place) for place, key in enumerate(keys, start=1) if not _whole(value.get(key), 1, len(keys))]
    if missing:
        faults.append(
            phrase(
                "ranks: response %(places)s has no rank from 1 to %(last)s; place every response",
                places=", ".join(missing),
                last=len(keys),
            )
        )
        return {}
    found = {key: int(value[key]) for key in keys}
    if set(found.values()) != set(range(1, max(found.values()) + 1)):
        faults.append("ranks: a rank is left out between others; ranks are 1, 2, ... without gaps, ties share one")
    return found


def _flags(
    value: Any, known: Sequence[str], where: str, nullable: Sequence[str], faults: list[str]
) -> dict[str, bool | None]:
    if not isinstance(value, Mapping):
        faults.append(f"{where}: flags are an object of true and false")
        return {}
    faults += [f"{where}: {str(name)!r} is not a flag that was asked" for name in value if name not in known]
    found: dict[str, bool | None] = {}
    for name in known:
        said = value.get(name, False)  # a box that was not ticked
        if not isinstance(said, bool) and not (said is None and name in nullable):
            faults.append(f"{where}: {name} is true or false")
        found[name] = said
    return found


def _text(value: Any, where: str, limit: int, faults: list[str]) -> str:
    if not isinstance(value, str):
        faults.append(f"{where}: a text was expected")
        return ""
    if len(value) > limit:
        faults.append(
            phrase("%(field)s: %(count)s characters; at most %(limit)s", field=where, count=len(value), limit=limit)
        )
    if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        faults.append(
            phrase("%(field)s: holds a character that cannot be stored (NUL or half a surrogate pair)", field=where)
        )
    return value


def _seconds(value: Any, faults: list[str]) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e7:
        faults.append("seconds: the time spent, a number from 0")
        return 0.0
    return round(float(value), 1)


def _whole(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
