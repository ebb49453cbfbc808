"""Servers and signed-in people for the tests of the routes."""

from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from assent.label import accounts, keys
from assent.label.app import create_app
from assent.label.settings import Settings
from assent.label.store.database import Database
from assent.label.store.migrate import migrate

SECRET = b"8cf2a91e07d54b3390ee61bb57c2f4ad1b7e"
PASSWORD = "a heron on the wharf"
ORIGIN = {"Origin": "https://testserver"}


def settings(url: str, **changes: Any) -> Settings:
    return Settings(database=url, secret=SECRET, **changes)


class Site:
    """A server in this process, and clients of it; the tables are brought to the newest revision unless `as_it_is`."""

    def __init__(self, url: str, *, as_it_is: bool = False, **changes: Any) -> None:
        made = Database(url)
        if not as_it_is:
            migrate(made)
        made.close()
        self.app = create_app(settings(url, **changes))
        self.database: Database = self.app.state.database

    @classmethod
    def at(cls, directory: Path, **changes: Any) -> "Site":
        return cls(f"sqlite:///{directory}/label.db", **changes)

    def client(self, **headers: str) -> TestClient:
        """A browser that is signed out."""
        return TestClient(
            self.app,
            base_url="https://testserver",
            headers={**ORIGIN, **headers},
            raise_server_exceptions=False,
            follow_redirects=False,
        )

    def invite(self, role: str = "labeler", team: str = "train") -> str:
        return self.database.transact(lambda connection: accounts.make_invite(connection, role, team, None))

    def person(self, role: str, name: str, team: str = "train") -> TestClient:
        """A browser in which somebody is signed in."""
        client = self.client()
        given = {"token": self.invite(role, team), "name": name, "password": PASSWORD}
        answer = client.post("/session/invite", json=given)
        assert answer.status_code == 200, answer.text
        return client

    def key(self, *scopes: str) -> TestClient:
        """A program with a key."""
        token = self.database.transact(lambda connection: keys.make(connection, "program", scopes, None))
        return self.client(Authorization=f"Bearer {token}")

    def close(self) -> None:
        self.database.close()
