"""Codes of an authenticator, a second thing to know at the door (RFC 6238)."""

import hmac
import secrets
import struct
from base64 import b32decode, b32encode

from sqlalchemy import Connection, select, update

from assent.label.store import audit
from assent.label.store.database import now
from assent.label.store.tables import person


def set_up(connection: Connection, number: int) -> str:
    """A new key for an authenticator app, as an otpauth URL; from now on signing in asks for its code."""
    key = b32encode(secrets.token_bytes(20)).decode()
    connection.execute(update(person).where(person.c.id == number).values(totp=key))
    audit.append(connection, number, "set up", "a code of an authenticator")
    return f"otpauth://totp/Assent:{number}?secret={key}&issuer=Assent"


def matches(connection: Connection, key: str, code: str, spent: int) -> int:
    """The half minute whose code this is: now, or the one before or after; 0 for a wrong code.

    spent: the half minute of the last code that was taken; none is taken twice, nor an older one (RFC 6238, 5.2).
    """
    moment = int(connection.execute(select(now())).scalar_one() // 30)
    found = [
        (moment + shift) * hmac.compare_digest(time_code(key, moment + shift).encode(), code.strip().encode())
        for shift in (-1, 0, 1)  # all, in even time
    ]
    return max(one if one > spent else 0 for one in found)


def spend(connection: Connection, number: int, code: str) -> bool:
    """Take a person's code for good, if they have an authenticator; False when it is not right, or no longer."""
    row = connection.execute(select(person.c.totp, person.c.spent).where(person.c.id == number)).one()
    if row.totp is None:
        return True
    moment = matches(connection, row.totp, code, row.spent)
    newer = update(person).where(person.c.id == number, person.c.spent < moment).values(spent=moment)
    return connection.execute(newer).rowcount == 1


def time_code(key: str, moment: int) -> str:
    """The six digits of a half minute (RFC 6238 with SHA-1, as authenticator apps have it)."""
    digest = hmac.digest(b32decode(key), struct.pack(">Q", moment), "sha1")
    place = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[place : place + 4])[0] & 0x7FFFFFFF) % 1_000_000:06d}"
