"""Personal data in text: recognisers that check what they find, so that a random number is not somebody's card.

Patterns alone find too much. Where a number has a check digit, a range or a plan, it is verified. Names and street
addresses have none and are not looked for: bring a recogniser of your own (`prompts.clean` takes any).
"""

import ipaddress
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple


class Recogniser(NamedTuple):
    """What is looked for, in words, and a function that tells whether a text holds it."""

    name: str
    finds: Callable[[str], bool]


_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)+([A-Za-z]{2,24})(?![\w-])")
_CARD = re.compile(r"(?<![\d.+-])\d(?:[ -]?\d){12,18}(?![\d-])")
_IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)")
_SSN = re.compile(r"(?<![\d-])(\d{3})-(\d{2})-(\d{4})(?![\d-])")
_INTERNATIONAL = re.compile(r"(?<![\w+])\+[1-9](?:[ ().-]{0,2}\d){7,14}(?!\d)")
_AMERICAN = re.compile(r"(?<![\d.-])(?:1[ .-])?\(?([2-9]\d\d)\)?[ .-]{1,2}([2-9]\d\d)[.-]\d{4}(?![\d-])")
_ADDRESS = re.compile(
    r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}(?=:\d{1,5}(?![\w:.]))|"  # with a port
    r"(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f:]*::?[0-9A-Fa-f:]+)(?![\w:]|\.\d))"
)


def luhn(digits: str) -> bool:
    """Whether the last digit checks the others (ISO/IEC 7812-1)."""
    doubled = [int(d) * (1 + place % 2) for place, d in enumerate(reversed(digits))]
    return sum(d - 9 * (d > 9) for d in doubled) % 10 == 0


def iban_valid(text: str) -> bool:
    """Whether the two check digits are right (ISO 13616: remainder 1 modulo 97)."""
    compact = text.replace(" ", "")
    moved = compact[4:] + compact[:4]
    return 15 <= len(compact) <= 34 and int("".join(str(int(letter, 36)) for letter in moved)) % 97 == 1


def _has_email(text: str) -> bool:
    return any(not found[0].split("@")[0].endswith(".") and ".." not in found[0] for found in _EMAIL.finditer(text))


def _has_card(text: str) -> bool:
    return any(len(set(digits)) > 1 and digits[0] in "23456" and luhn(digits) for digits in _digits(_CARD, text))


def _has_iban(text: str) -> bool:
    return any(iban_valid(found[0]) for found in _IBAN.finditer(text))


def _has_ssn(text: str) -> bool:
    """An American social security number: area not 000, 666 or 900 and above, no part of zeros."""
    parts = (found.groups() for found in _SSN.finditer(text))
    return any(a not in ("000", "666") and a < "900" and g != "00" and s != "0000" for a, g, s in parts)


def _has_phone(text: str) -> bool:
    return any(8 <= len(digits) <= 15 for digits in _digits(_INTERNATIONAL, text)) or bool(_AMERICAN.search(text))


def _has_address(text: str) -> bool:
    """A public internet address; private, loopback and documentation ranges name nobody."""
    for found in _ADDRESS.finditer(text):
        try:
            if ipaddress.ip_address(found[0]).is_global and len(re.findall(r"\w+", found[0])) > 2:  # not "10::"
                return True
        except ValueError:
            continue
    return False


def _digits(pattern: re.Pattern[str], text: str) -> Iterator[str]:
    return (re.sub(r"\D", "", found[0]) for found in pattern.finditer(text))


RECOGNISERS = (
    Recogniser("an e-mail address", _has_email),
    Recogniser("a payment card number", _has_card),
    Recogniser("a bank account number (IBAN)", _has_iban),
    Recogniser("a social security number", _has_ssn),
    Recogniser("a telephone number", _has_phone),
    Recogniser("an internet address", _has_address),
)
