"""JSON routes for signing in and out; pages use them too, so that nobody loses a text because a session ended."""

from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import BaseModel

from assent.label import access, accounts, codes, throttling
from assent.label.accounts import Person
from assent.label.phrases import phrase
from assent.label.settings import Settings
from assent.label.store.database import Database

router = APIRouter()
ACCESS = {
    "GET /session": access.EVERYBODY,
    "POST /session": access.ANYBODY,
    "DELETE /session": access.EVERYBODY,
    "POST /session/invite": access.ANYBODY,
    "POST /session/password": access.EVERYBODY,
    "POST /session/code": access.EVERYBODY,
}


class SignIn(BaseModel):
    """A name and a password, and a code where one is set up."""

    name: str
    password: str
    code: str = ""


class Join(BaseModel):
    """An invitation, and who one is going to be."""

    token: str
    name: str
    password: str


class NewPassword(BaseModel):
    """The old password and the new."""

    old: str
    new: str


@router.get("/session")
def me(request: Request) -> dict[str, str]:
    """Who is signed in."""
    return _told(access.person(request))


@router.post("/session")
def sign_in(request: Request, given: SignIn, response: Response) -> dict[str, str]:
    """Start a session; 401 for a wrong name, password or code, 429 after too many."""
    found, token = enter(request, given.name, given.password, given.code)
    set_cookie(response, request.app.state.settings, token)
    return _told(found)


@router.delete("/session", status_code=204)
def sign_out(request: Request, response: Response) -> None:
    """End this session."""
    leave(request)
    response.delete_cookie(request.app.state.settings.cookie, path="/")


@router.post("/session/invite")
def join(request: Request, given: Join, response: Response) -> dict[str, str]:
    """Use an invitation, and start a session."""
    found, token = accept(request, given.token, given.name, given.password)
    set_cookie(response, request.app.state.settings, token)
    return _told(found)


@router.post("/session/password", status_code=204)
def new_password(request: Request, given: NewPassword) -> None:
    """Change one's own password; all sessions end."""
    database: Database = request.app.state.database
    one = access.person(request)
    database.transact(lambda connection: accounts.change_password(connection, one, given.old, given.new))


@router.post("/session/code")
def set_up_code(request: Request) -> dict[str, str]:
    """Set up an authenticator; the URL is told once."""
    database: Database = request.app.state.database
    one = access.person(request)
    return {"url": database.transact(lambda connection: codes.set_up(connection, one.id))}


# -- for the pages as well -----------------------------------------------------------------------------------


def enter(request: Request, name: str, password: str, code: str = "") -> tuple[Person, str]:
    """Check who somebody is: the person and a new session's id. Raises HTTPException 401 or 429."""
    database: Database = request.app.state.database
    address = request.client.host if request.client else ""
    number, wait = database.transact(lambda connection: throttling.begin(connection, name, address))
    if wait:
        sentence = phrase("too many wrong passwords; wait %(minutes)s minutes", minutes=int(wait // 60) + 1)
        raise HTTPException(429, sentence, {"Retry-After": str(int(wait) + 1)})
    with database.read() as connection:
        found = accounts.known(connection, name, password, code)
    if found is None:
        database.transact(lambda connection: throttling.failed(connection, number, address))
        raise HTTPException(401, "the name, the password or the code is wrong")
    one = found
    before = request.cookies.get(request.app.state.settings.cookie, "")
    with database.write() as connection:
        if not codes.spend(connection, one.id, code):  # somebody else was faster with it
            raise HTTPException(401, "the name, the password or the code is wrong")
        throttling.passed(connection, number)
        if before:
            accounts.end_session(connection, before)
        accounts.refresh_hash(connection, one.id, password)
        return one, accounts.start_session(connection, one)


def accept(request: Request, token: str, name: str, password: str) -> tuple[Person, str]:
    """Use an invitation: the new person and a session's id. Raises RefusedError."""
    database: Database = request.app.state.database
    with database.write() as connection:
        made = accounts.join(connection, token, name, password)
        return made, accounts.start_session(connection, made)


def leave(request: Request) -> None:
    """End the session of a request."""
    database: Database = request.app.state.database
    token = request.cookies.get(request.app.state.settings.cookie, "")
    database.transact(lambda connection: accounts.end_session(connection, token))


def set_cookie(response: Response, settings: Settings, token: str) -> None:
    """Tell the browser its session."""
    response.set_cookie(
        settings.cookie,
        token,
        max_age=int(accounts.SESSION_SECONDS),
        path="/",
        secure=settings.https,
        httponly=True,
        samesite="lax",
    )


def _told(one: Person) -> dict[str, str]:
    return {"name": one.name, "role": one.role, "team": one.team}
