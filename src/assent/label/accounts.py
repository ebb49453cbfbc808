"""Who works here: people and roles, invites, passwords, sessions, pseudonyms.

Nothing that opens a door is kept as it is told: of tokens and session ids the database has hashes, of passwords
argon2id (OWASP's minimum: 19 MiB, 2 passes). All functions work inside the caller's transaction.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Connection, LargeBinary, bindparam, delete, func, insert, or_, select, update

from assent.label import codes
from assent.label.phrases import phrase, unlisted
from assent.label.store import audit
from assent.label.store.database import Database, now
from assent.label.store.doors import identity, invite, person, session
from assent.label.store.slots import RefusedError

ROLES = ("labeler", "lead", "researcher", "admin")
TEAMS = ("train", "heldout")
SHORTEST = 12  # characters of a password; no rules about which (NIST SP 800-63B)
INVITE_SECONDS = 72 * 3600.0
IDLE_SECONDS, SESSION_SECONDS = 12 * 3600.0, 7 * 86400.0
COMMON = (  # the heads of lists of breached passwords, as far as they are long enough
    "123456789012", "1234567890123", "password1234", "passwordpassword", "qwertyuiop12",
    "qwertyuiop123", "1q2w3e4r5t6y", "1qaz2wsx3edc", "iloveyou1234", "administrator",
    "letmein12345", "welcome12345", "abcdefghijkl", "abcd12345678", "qwerty123456",
    "changeme1234", "superman1234", "football1234", "princess1234", "sunshine1234",
)  # fmt: skip


@dataclass(frozen=True)
class Person:
    """Somebody who is signed in. coded: they have an authenticator; language: of the screens, "" when not chosen."""

    id: int
    uid: str
    name: str
    role: str
    team: str
    coded: bool = False
    language: str = ""


def hashed_token(token: str) -> bytes:
    """What is kept of a token."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()


@cache
def _hasher() -> Any:
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)


@cache
def _nobody() -> str:
    """A hash that no password has: checking it takes as long as checking a real one."""
    return _hasher().hash(secrets.token_hex(32))


# -- invites and people --------------------------------------------------------------------------------------


def make_invite(connection: Connection, role: str, team: str, author: int | None) -> str:
    """A token with which one person can join, once, within 72 hours."""
    if role not in ROLES:
        raise RefusedError(422, unlisted("role", role, ROLES))
    if team not in TEAMS:
        raise RefusedError(422, unlisted("team", team, TEAMS))
    token = secrets.token_urlsafe(32)
    values = {"hash": hashed_token(token), "role": role, "team": team, "author": author}
    connection.execute(insert(invite).values(**values, expires=now() + INVITE_SECONDS))
    audit.append(connection, author, "invited", f"a {role}", {"team": team})
    return token


def open_invite(connection: Connection, token: str) -> Any:
    """The invite of a token; raises RefusedError 404 when it is unknown, used or too old."""
    found = connection.execute(
        select(invite).where(invite.c.hash == hashed_token(token), invite.c.used.is_(None), invite.c.expires > now())
    ).first()
    if found is None:
        raise RefusedError(404, "this invitation is unknown, used or older than 72 hours; ask for a new one")
    return found


def join(connection: Connection, token: str, name: str, password: str | None) -> Person:
    """Make the person whom an invite is for. Without a password they sign in at a provider (`identities`)."""
    found = open_invite(connection, token)
    name = checked_name(connection, name)
    hashed = None if password is None else _hasher().hash(_checked_password(password, name))
    used = update(invite).where(invite.c.hash == found.hash, invite.c.used.is_(None)).values(used=now())
    if connection.execute(used).rowcount != 1:
        raise RefusedError(404, "this invitation was just used; ask for a new one")
    values = {"uid": secrets.token_hex(16), "name": name, "role": found.role, "team": found.team}
    made = insert(person).values(**values, password=hashed, created=now()).returning(person.c.id)
    number = connection.execute(made).scalar_one()
    audit.append(connection, number, "joined", f"person {number}", {"role": found.role, "team": found.team})
    return Person(number, values["uid"], name, found.role, found.team)


def checked_name(connection: Connection, name: str) -> str:
    """A name that somebody may have; raises RefusedError 422, or 409 when somebody has it."""
    name = spelled(name)
    if not 2 <= len(name) <= 100 or not name.isprintable():
        raise RefusedError(422, "name: 2 to 100 printable characters")
    if _named(connection, name) is not None:
        raise RefusedError(409, "name: somebody has it already; choose another")
    return name


def spelled(name: str) -> str:
    """A name with single spaces, so that one account has one name."""
    return " ".join(name.split())


def _named(connection: Connection, name: str) -> Any:
    """Whose name it is, as it is written or else in other letters; a database may know capitals of ASCII only."""
    rows = select(person).where(or_(person.c.name == name, func.lower(person.c.name) == name.lower()))
    return connection.execute(rows.order_by(person.c.name != name)).first()


def _checked_password(password: str, name: str) -> str:
    lowered = password.lower()
    if not SHORTEST <= len(password) <= 1000:
        sentence = phrase(
            "password: at least %(fewest)s characters; a few words that do not belong together", fewest=SHORTEST
        )
        raise RefusedError(422, sentence)
    if lowered in COMMON or len(set(password)) < 5 or (len(name) > 3 and name.lower() in lowered):
        raise RefusedError(422, "password: easily guessed; choose another")
    return password


def people(connection: Connection) -> list[dict[str, Any]]:
    """Everybody, for the admin."""
    rows = connection.execute(select(person).order_by(person.c.id))
    return [
        {name: getattr(row, name) for name in ("id", "name", "role", "team", "state", "created")}
        | {"totp": row.totp is not None}
        for row in rows
    ]


def change(connection: Connection, number: int, actor: int, *, role: str = "", state: str = "") -> None:
    """Give a person another role, or disable, enable or delete them; all their sessions end at once.

    Deleting drops who it was and keeps what they judged, under the pseudonym.
    """
    row = connection.execute(select(person).where(person.c.id == number)).first()
    if row is None or row.state == "deleted":
        raise RefusedError(404, phrase("there is no person %(number)s", number=number))
    if (role and role not in ROLES) or state not in ("", "active", "disabled", "deleted"):
        sentence = phrase("role is one of %(roles)s; state is active, disabled or deleted", roles=", ".join(ROLES))
        raise RefusedError(422, sentence)
    if row.role == "admin" and (state in ("disabled", "deleted") or (role and role != "admin")):
        _keep_an_admin(connection, number)
    values: dict[str, Any] = {"role": role} if role else {}
    if state:
        values["state"] = state
    if state == "deleted":
        connection.execute(delete(identity).where(identity.c.person == number))
        values |= {"name": f"deleted {row.uid[:8]}", "password": None, "totp": None, "language": ""}
    connection.execute(update(person).where(person.c.id == number).values(**values))
    end_sessions(connection, number)
    audit.append(connection, actor, "changed", f"person {number}", {"role": role, "state": state})


def _keep_an_admin(connection: Connection, number: int) -> None:
    others = select(person.c.id).where(person.c.role == "admin", person.c.state == "active", person.c.id != number)
    if connection.execute(others).first() is None:
        raise RefusedError(409, "this is the only admin; make another one first")


# -- signing in ----------------------------------------------------------------------------------------------


def known(connection: Connection, name: str, password: str, code: str = "") -> Person | None:
    """The person of a name and password (and code, where one is set up), or None; it takes as long either way."""
    from argon2.exceptions import InvalidHashError, VerificationError

    row = _named(connection, spelled(name))
    hashed = row.password if row is not None and row.password is not None else _nobody()
    try:
        _hasher().verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return None
    if row is None or row.state != "active" or row.password is None:
        return None
    if row.totp is not None and not codes.matches(connection, row.totp, code, row.spent):
        return None
    return Person(row.id, row.uid, row.name, row.role, row.team, language=row.language)


def refresh_hash(connection: Connection, number: int, password: str) -> None:
    """Hash a password anew when the parameters have risen since."""
    hashed = connection.execute(select(person.c.password).where(person.c.id == number)).scalar_one()
    if _hasher().check_needs_rehash(hashed):
        connection.execute(update(person).where(person.c.id == number).values(password=_hasher().hash(password)))


def change_password(connection: Connection, one: Person, old: str, new: str) -> None:
    """Set another password; every session of the person ends."""
    hashed = connection.execute(select(person.c.totp).where(person.c.id == one.id)).scalar_one()
    if hashed is None and known(connection, one.name, old) is None:
        raise RefusedError(401, "the old password is wrong")
    if hashed is not None and not _password_matches(connection, one.id, old):
        raise RefusedError(401, "the old password is wrong")
    fresh = _hasher().hash(_checked_password(new, one.name))
    connection.execute(update(person).where(person.c.id == one.id).values(password=fresh))
    end_sessions(connection, one.id)
    audit.append(connection, one.id, "changed", "own password")


def _password_matches(connection: Connection, number: int, password: str) -> bool:
    from argon2.exceptions import VerificationError

    hashed = connection.execute(select(person.c.password).where(person.c.id == number)).scalar_one()
    try:
        return hashed is not None and bool(_hasher().verify(hashed, password))
    except VerificationError:
        return False


def choose_language(connection: Connection, number: int, tag: str) -> None:
    """Keep which language somebody wants on every device; "" for the one their browser asks for."""
    connection.execute(update(person).where(person.c.id == number).values(language=tag))


def start_session(connection: Connection, one: Person) -> str:
    """A new session id; it is told once and kept as a hash."""
    token = secrets.token_urlsafe(32)
    connection.execute(insert(session).values(hash=hashed_token(token), person=one.id, created=now(), seen=now()))
    return token


_SESSION = (
    select(person, session.c.seen, now().label("now"))
    .join(session, session.c.person == person.c.id)
    .where(
        session.c.hash == bindparam("of_token", type_=LargeBinary),
        session.c.seen > now() - IDLE_SECONDS,
        session.c.created > now() - SESSION_SECONDS,
        person.c.state == "active",
    )
)


def session_person(database: Database, token: str) -> tuple[Person, bool] | None:
    """Whose session it is, and whether it is time to note that it is in use; None when it has ended."""
    row = database.glance(_SESSION, {"of_token": hashed_token(token)})
    if row is None:
        return None
    coded = row.totp is not None or row.password is None  # without a password, the second factor is the provider's
    found = Person(row.id, row.uid, row.name, row.role, row.team, coded, row.language)
    return found, row.now - row.seen > 60


def touch(connection: Connection, token: str) -> None:
    """Note that a session is in use."""
    connection.execute(update(session).where(session.c.hash == hashed_token(token)).values(seen=now()))


def end_session(connection: Connection, token: str) -> None:
    """End one session."""
    connection.execute(delete(session).where(session.c.hash == hashed_token(token)))


def end_sessions(connection: Connection, number: int) -> None:
    """End all sessions of a person."""
    connection.execute(delete(session).where(session.c.person == number))


def pseudonym(secret: bytes, uid: str) -> str:
    """The name under which a person's work leaves the app: the same in every export of a server, and no way back."""
    return "labeler-" + hmac.digest(secret, f"pseudonym {uid}".encode(), "sha256").hex()[:16]
