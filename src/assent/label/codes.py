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


def matches(connection: Connection, key: str, code: str) -> bool:
    """Whether a six-digit code is right now, or was half a minute ago or will be."""
    moment = int(connection.execute(select(now())).scalar_one() // 30)
    right = [time_code(key, moment + shift) for shift in (-1, 0, 1)]
    matches = [hmac.compare_digest(one.encode(), code.strip().encode()) for one in right]  # all, in even time
    return any(matches)


def time_code(key: str, moment: int) -> str:
    """The six digits of a half minute (RFC 6238 with SHA-1, as authenticator apps have it)."""
    digest = hmac.digest(b32decode(key), struct.pack(">Q", moment), "sha1")
    place = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[place : place + 4])[0] & 0x7FFFFFFF) % 1_000_000:06d}"
