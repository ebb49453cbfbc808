"""Signing in at a provider (OpenID Connect): the code flow with PKCE, state and nonce, tokens checked by Authlib.

What the provider says is believed for one thing: that whoever comes back is the subject it names. Which account that
is stands in our table; roles, names and addresses of the provider are not looked at.
"""

import hmac
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx

from assent.label.phrases import Phrase, phrase
from assent.label.settings import Provider, SettingsError

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA")
SECONDS = 10.0  # for each question to the provider
FRESH = 3600.0  # seconds that its addresses and keys are kept
LEEWAY = 60  # seconds that its clock may differ from ours
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class OidcError(Exception):
    """A sign-in that must not be believed, in a sentence. ours: nobody did anything wrong; the provider fails."""

    def __init__(self, sentence: str, *, provider: bool = False) -> None:
        super().__init__(sentence)
        self.sentence, self.provider = sentence, provider


class Client:
    """This server as the provider knows it. secret: of the server; nonces and verifiers are made of it and a state."""

    def __init__(self, provider: Provider, secret: bytes) -> None:
        try:
            import authlib.oidc.core  # noqa: F401 # pyright: ignore[reportUnusedImport]
        except ModuleNotFoundError:
            raise SettingsError("signing in at a provider needs Authlib; pip install 'assent[oidc]'") from None
        self.provider, self._secret = provider, secret
        self._known: tuple[float, dict[str, Any]] | None = None
        self._keys: tuple[float, Any] | None = None
        self._lock = threading.Lock()

    def _made(self, what: str, state: str) -> str:
        digest = hmac.digest(self._secret, f"oidc {what} {state}".encode(), "sha256")
        return urlsafe_b64encode(digest).decode().rstrip("=")

    def address(self, state: str, back: str) -> str:
        """Where somebody is sent to sign in. back: where they return to."""
        from authlib.oauth2.rfc7636 import create_s256_code_challenge

        asked = {
            "response_type": "code",
            "client_id": self.provider.client,
            "redirect_uri": back,
            "scope": "openid",
            "state": state,
            "nonce": self._made("nonce", state),
            "code_challenge": create_s256_code_challenge(self._made("verifier", state)),
            "code_challenge_method": "S256",
        }
        where = self.metadata()["authorization_endpoint"]
        return f"{where}{'&' if urlsplit(where).query else '?'}{urlencode(asked)}"

    def subject(self, given: Mapping[str, str], state: str, back: str) -> str:
        """Who came back: the provider's name for them. given: what the address says. Raises OidcError."""
        known = self.metadata()
        named = given.get("iss", "")
        if named != self.provider.issuer and (named or known.get("authorization_response_iss_parameter_supported")):
            raise OidcError(phrase("this answer comes from another provider; begin again"))
        if given.get("error"):
            raise OidcError(phrase("the provider did not let you sign in; try again, or use your password"))
        token = self._exchanged(given.get("code", ""), state, back)
        claims = self._checked(token, self._made("nonce", state))
        subject = claims.get("sub")
        if not isinstance(subject, str) or not 0 < len(subject) <= 255:
            raise OidcError(phrase("the provider does not say who you are"))
        return subject

    def _exchanged(self, code: str, state: str, back: str) -> dict[str, Any]:
        known = self.metadata()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": back,
            "code_verifier": self._made("verifier", state),
        }
        who = (self.provider.client, self.provider.secret.decode())
        if "client_secret_basic" in known.get("token_endpoint_auth_methods_supported", ["client_secret_basic"]):
            return self._ask("POST", known["token_endpoint"], data=form, auth=who)
        return self._ask("POST", known["token_endpoint"], data={**form, "client_id": who[0], "client_secret": who[1]})

    def _checked(self, token: Mapping[str, Any], nonce: str) -> Mapping[str, Any]:
        """The claims of an ID token, when all of it is right: signature, issuer, audience, times, nonce."""
        from authlib.oidc.core import CodeIDToken
        from joserfc import jwt
        from joserfc.errors import InvalidKeyIdError, JoseError
        from joserfc.jws import JWSRegistry

        said = self.metadata().get("id_token_signing_alg_values_supported", ["RS256"])
        registry = JWSRegistry(algorithms=[one for one in ALGORITHMS if one in said], strict_check_header=False)
        text = str(token.get("id_token", ""))
        try:
            try:
                read = jwt.decode(text, self._key_set(), registry=registry)
            except InvalidKeyIdError:  # the provider has new keys
                read = jwt.decode(text, self._key_set(again=True), registry=registry)
            options = {
                "iss": {"essential": True, "value": self.provider.issuer},
                "aud": {"essential": True, "value": self.provider.client},
            }
            more = {"nonce": nonce, "client_id": self.provider.client, "access_token": token.get("access_token")}
            claims = CodeIDToken(read.claims, read.header, options, more)
            claims.validate(leeway=LEEWAY)
        except (JoseError, ValueError, TypeError) as error:
            raise OidcError(_refusal(error)) from None
        return claims

    # -- what the provider publishes -----------------------------------------------------------------------------

    def metadata(self) -> dict[str, Any]:
        """The provider's own description, not older than an hour. Raises OidcError when it is another's."""
        with self._lock:
            if self._known is None or time.monotonic() - self._known[0] > FRESH:
                found = self._ask("GET", self.provider.issuer.rstrip("/") + "/.well-known/openid-configuration")
                if found.get("issuer") != self.provider.issuer:
                    raise OidcError(phrase("the provider describes itself as another one"), provider=True)
                for name in _ENDPOINTS:
                    if not Provider.safe(str(found.get(name, ""))):
                        raise OidcError(phrase("the provider names an address without https"), provider=True)
                self._known = (time.monotonic(), found)
            return self._known[1]

    def _key_set(self, *, again: bool = False) -> Any:
        from joserfc.jwk import KeySet

        if again or self._keys is None or time.monotonic() - self._keys[0] > FRESH:
            published: Any = self._ask("GET", self.metadata()["jwks_uri"])
            self._keys = (time.monotonic(), KeySet.import_key_set(published))
        return self._keys[1]

    def _ask(self, method: str, url: str, **more: Any) -> dict[str, Any]:
        try:
            answer = httpx.request(method, url, timeout=SECONDS, follow_redirects=False, **more)
            found = answer.json() if answer.status_code == 200 else None
        except (httpx.HTTPError, ValueError):
            found = None
        if not isinstance(found, dict):
            sentence = phrase("the provider cannot be asked just now; try again, or use your password")
            raise OidcError(sentence, provider=True)
        return found


def _refusal(error: Exception) -> Phrase:
    """Why an ID token is not believed."""
    from joserfc.errors import BadSignatureError, ExpiredTokenError, InvalidClaimError, MissingClaimError

    if isinstance(error, ExpiredTokenError):
        return phrase("this sign-in is too old; begin again")
    if isinstance(error, BadSignatureError):
        return phrase("this sign-in is not signed by the provider; begin again")
    if isinstance(error, InvalidClaimError | MissingClaimError):
        return phrase("this sign-in is not for this server or not yours (%(claim)s); begin again", claim=error.claim)
    return phrase("what the provider says cannot be read; begin again")
