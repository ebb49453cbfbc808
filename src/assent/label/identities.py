"""Who somebody is to a provider of sign-ins: an account is found by issuer and subject, and linked once.

An address of e-mail finds no account: whoever can name one at a provider would else be that person here.
"""

import secrets
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from assent.label import accounts
from assent.label.accounts import Person
from assent.label.phrases import phrase
from assent.label.store import audit
from assent.label.store.database import now
from assent.label.store.doors import begun, identity, person
from assent.label.store.slots import RefusedError

SECONDS = 600.0  # from leaving for the provider to coming back


def begin(connection: Connection) -> str:
    """A state for one sign-in; it comes back once, within ten minutes."""
    state = secrets.token_urlsafe(32)
    connection.execute(delete(begun).where(begun.c.created < now() - SECONDS))
    connection.execute(insert(begun).values(hash=accounts.hashed_token(state), created=now()))
    return state


def back(connection: Connection, state: str) -> None:
    """A state came back; raises RefusedError when it was never given, is too old, or came back before."""
    mine = (begun.c.hash == accounts.hashed_token(state), begun.c.created > now() - SECONDS)
    if connection.execute(delete(begun).where(*mine)).rowcount != 1:
        raise RefusedError(400, "this sign-in was begun elsewhere, or too long ago, or is over; begin again")


def known(connection: Connection, issuer: str, subject: str) -> Person | None:
    """Whose account it is, or None; raises RefusedError when the account is disabled."""
    rows = select(person).join(identity, identity.c.person == person.c.id)
    row = connection.execute(rows.where(identity.c.issuer == issuer, identity.c.subject == subject)).first()
    if row is None:
        return None
    if row.state != "active":
        raise RefusedError(403, "this account is disabled; ask the lead of your project")
    return Person(row.id, row.uid, row.name, row.role, row.team, language=row.language)


def link(connection: Connection, number: int, issuer: str, subject: str) -> None:
    """From now on whoever is this subject signs in as this person."""
    taken = select(identity.c.person).where(identity.c.issuer == issuer, identity.c.subject == subject)
    found: Any = connection.execute(taken).scalar_one_or_none()
    if found is not None and found != number:
        raise RefusedError(409, "you have an account here already, under another name; sign in with that")
    if found is None:
        values = {"issuer": issuer, "subject": subject, "person": number}
        connection.execute(insert(identity).values(**values, created=now()))
        audit.append(connection, number, "linked", f"person {number}", {"issuer": issuer})


def join(connection: Connection, token: str, name: str, issuer: str, subject: str) -> Person:
    """Make the person whom an invitation is for, without a password; whoever has an account keeps it."""
    if known(connection, issuer, subject) is not None:
        raise RefusedError(409, phrase("you have an account here already, under another name; sign in with that"))
    made = accounts.join(connection, token, name, None)
    link(connection, made.id, issuer, subject)
    return made


def ways(connection: Connection, number: int) -> tuple[bool, bool]:
    """Whether somebody can sign in at the provider, and whether by a password."""
    rows = select(person.c.password, identity.c.person).outerjoin(identity, identity.c.person == person.c.id)
    row = connection.execute(rows.where(person.c.id == number)).first()
    return (False, False) if row is None else (row.person is not None, row.password is not None)
