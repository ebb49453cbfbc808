"""How a server is set up, and its one secret."""

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from assent.run import atomically

PLACEHOLDERS = ("secret", "changeme", "change", "default", "example", "password", "placeholder", "todo", "12345678")
VARIABLE, OIDC_VARIABLE = "ASSENT_LABEL_SECRET", "ASSENT_LABEL_OIDC_SECRET"


class SettingsError(ValueError):
    """Settings that a server must not start with; says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Provider:
    """Where people may sign in as well (OpenID Connect). name: on the button; client, secret: this server, there."""

    issuer: str
    client: str
    secret: bytes = field(repr=False)
    name: str = "SSO"

    def __post_init__(self) -> None:
        if not self.safe(self.issuer) or len(self.issuer) > 300:
            raise SettingsError(f"oidc: {self.issuer!r} is no address that begins with https://")
        if not self.client or not self.secret:
            raise SettingsError(f"oidc: a client and its secret are needed, in {OIDC_VARIABLE} or a file oidc-secret")

    @staticmethod
    def safe(url: str) -> bool:
        """Whether an address is reached by https, or is one of this machine."""
        parts = urlsplit(url)
        local = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")
        return bool(parts.hostname) and (parts.scheme == "https" or local)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One server.

    database: `sqlite:///PATH` or `postgresql://USER@HOST/NAME`. secret: what pseudonyms are made with. Neither is shown
    in a repr: an address may hold a password. https: browsers reach the server by https; then its cookie is sent by
    nothing else. lease: seconds that a task stays with a labeler who does nothing. codes: leads and admins need an
    authenticator, and can do nothing before they have set it up. production: no documentation pages, no details in
    errors. hooks: hosts that webhooks may go to, see `webhooks.places`. oidc: where people may sign in as well.
    """

    database: str = field(repr=False)
    secret: bytes = field(repr=False)
    https: bool = True
    lease: float = 1800.0
    codes: bool = False
    production: bool = True
    hooks: tuple[str, ...] = ()
    oidc: Provider | None = None
    max_body: int = 2_000_000
    max_import: int = 64_000_000
    busy_seconds: float = 5.0

    def __post_init__(self) -> None:
        if len(self.secret) < 32:
            raise SettingsError(f"secret: {len(self.secret)} bytes are too few; 32 random ones are needed")
        lowered = self.secret.decode(errors="replace").lower()
        if len(set(self.secret)) < 10 or any(word in lowered for word in PLACEHOLDERS):
            raise SettingsError("secret: looks like a placeholder; remove it, and a random one is made")
        if self.lease < 10:
            raise SettingsError(f"lease: {self.lease} seconds are too short to do a task in")

    @property
    def cookie(self) -> str:
        """The name of the session's cookie; the prefix makes browsers hold it to this host and to https."""
        return "__Host-sid" if self.https else "sid"


def secret(directory: Path) -> bytes:
    """The secret of a server: from the environment, or from a file of the owner alone, made at the first start.

    Raises SettingsError when others can read the file.
    """
    if VARIABLE in os.environ:
        return os.environ[VARIABLE].encode()
    path = directory / "secret"
    if not path.exists():
        with (
            atomically(path) as temporary,
            os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file,
        ):
            file.write(secrets.token_hex(32))
    return _private(path)


def oidc_secret(directory: Path) -> bytes:
    """The secret that a provider gave us: from the environment, or from a file `oidc-secret`; empty without either."""
    path = directory / "oidc-secret"
    return os.environ.get(OIDC_VARIABLE, "").encode() or (_private(path) if path.exists() else b"")


def _private(path: Path) -> bytes:
    if path.stat().st_mode & 0o077:
        raise SettingsError(f"{path} can be read by others; say chmod 600 {path}")
    return path.read_text().strip().encode()
