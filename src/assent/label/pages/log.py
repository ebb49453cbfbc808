"""The audit log in the language of whoever reads it: what was done to what. It is kept in English, with its hashes."""

import re
from collections.abc import Mapping

from assent.label.phrases import Phrase, phrase

DEEDS: Mapping[str, str] = {  # by what stands in the log; every word that the app writes there
    "changed": phrase("changed"),
    "closed to compare": phrase("closed to compare"),
    "decided": phrase("decided"),
    "exported": phrase("exported"),
    "froze": phrase("froze"),
    "imported": phrase("imported"),
    "invited": phrase("invited"),
    "joined": phrase("joined"),
    "linked": phrase("linked to a provider"),
    "made": phrase("made"),
    "opened to compare": phrase("opened to compare"),
    "parked": phrase("parked"),
    "proposed": phrase("proposed"),
    "quarantined": phrase("set aside for personal data"),
    "registered": phrase("registered"),
    "released": phrase("released"),
    "repeated": phrase("planned repeats of"),
    "retired": phrase("took out of use the known answer of"),
    "revoked": phrase("revoked"),
    "scored": phrase("scored"),
    "set up": phrase("set up"),
    "skipped": phrase("skipped"),
    "stopped": phrase("stopped"),
    "wrote": phrase("wrote"),
}
THINGS: Mapping[str, str] = {  # by the first word; what follows it is a number, a name or a code
    "batch": phrase("batch %(name)s"),
    "candidate": phrase("candidate %(name)s"),
    "guideline": phrase("guideline %(name)s"),
    "item": phrase("item %(name)s"),
    "key": phrase("key %(name)s"),
    "person": phrase("person %(name)s"),
    "webhook": phrase("webhook %(name)s"),
}
WHOLE: Mapping[str, str] = {
    "a labeler": phrase("a labeler"),
    "a lead": phrase("a lead"),
    "a researcher": phrase("a researcher"),
    "a admin": phrase("an admin"),
    "own password": phrase("their own password"),
    "a code of an authenticator": phrase("a code of an authenticator"),
}
BROKEN = (
    phrase("entry %(number)s of the audit log is missing"),
    phrase("entry %(number)s of the audit log was changed"),
)


def deed(action: str) -> str:
    """What was done."""
    return DEEDS.get(action, action)


def thing(kept: str) -> str:
    """To what it was done."""
    kind, _, name = kept.partition(" ")
    if kept in WHOLE:
        return WHOLE[kept]
    return Phrase(str(THINGS[kind]), {"name": name}) if kind in THINGS and name else kept


def broken(told: str) -> str:
    """What is wrong with the log (see `audit.verify`)."""
    number = re.search(r"\d+", told)
    for one in BROKEN:
        if number and told == str(one) % {"number": number[0]}:
            return Phrase(str(one), {"number": number[0]})
    return told
