"""A small provider of sign-ins (OpenID Connect) on a port of its own, which can be made to lie."""

import base64
import hashlib
import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "assent", "the provider's word for us"


class Provider:
    """Signs everybody in as `subject` at once. claims, metadata: what it says otherwise; key: what it signs with."""

    def __init__(self) -> None:
        self.published = self.key = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
        self.subject = "subject-1"
        self.claims: dict[str, Any] = {}
        self.header: dict[str, Any] = {}
        self.metadata: dict[str, Any] = {}
        self.extra: dict[str, str] = {}  # in the address that leads back
        self.status = 200
        self.codes: dict[str, dict[str, str]] = {}
        self.asked: list[dict[str, str]] = []
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                query = {name: one[0] for name, one in parse_qs(parts.query).items()}
                if parts.path == "/.well-known/openid-configuration":
                    self.tell(provider.description())
                elif parts.path == "/keys":
                    self.tell({"keys": [provider.published.as_dict(private=False)]})
                else:
                    self.send_response(302)
                    self.send_header("Location", provider.authorized(query))
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                form = {name: one[0] for name, one in parse_qs(body).items()}
                known = base64.b64decode(self.headers.get("authorization", "").removeprefix("Basic ")).decode()
                found = provider.exchanged(form) if known == f"{CLIENT}:{SECRET}" else None
                self.tell(found or {"error": "invalid_grant"}, provider.status if found else 400)

            def tell(self, what: Any, status: int = 200) -> None:
                body = json.dumps(what).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def description(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": self.issuer + "/authorize",
            "token_endpoint": self.issuer + "/token",
            "jwks_uri": self.issuer + "/keys",
            "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
            "authorization_response_iss_parameter_supported": True,
            **self.metadata,
        }

    def authorized(self, query: dict[str, str]) -> str:
        """Where somebody is sent back to, with a code."""
        self.asked.append(query)
        code = secrets.token_hex(8)
        self.codes[code] = query
        back = {"code": code, "state": query["state"], "iss": self.issuer, **self.extra}
        return f"{query['redirect_uri']}?{urlencode({name: one for name, one in back.items() if one})}"

    def exchanged(self, form: dict[str, str]) -> dict[str, Any] | None:
        """A token for a code, once, for whoever has the verifier (PKCE) and the same address."""
        query = self.codes.pop(form.get("code", ""), None)
        if query is None or form["redirect_uri"] != query["redirect_uri"]:
            return None
        digest = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).decode().rstrip("=")
        if digest != query["code_challenge"] or query["code_challenge_method"] != "S256":
            return None
        claims = {
            "iss": self.issuer,
            "sub": self.subject,
            "aud": query["client_id"],
            "exp": int(time.time()) + 300,
            "iat": int(time.time()),
            "nonce": query["nonce"],
            "email": "ada@example.org",
            "email_verified": False,
            "name": "Ada",
            "role": "admin",
            **self.claims,
        }
        header = {"alg": "RS256", "kid": "one", **self.header}
        signed = jwt.encode(header, {name: one for name, one in claims.items() if one is not None}, self.key)
        return {"access_token": "access", "token_type": "Bearer", "id_token": self.forged(signed)}

    def forged(self, signed: str) -> str:
        """The token as it is sent."""
        return signed

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
