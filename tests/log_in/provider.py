"""An OpenID provider on loopback: discovery and keys over HTTPS, and tokens, signed with `cryptography` alone."""

import base64
import hashlib
import hmac
import json
import ssl
import threading
from collections.abc import Mapping
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from bench.scratch import free_port
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

AUDIENCE = "outgate"
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def b64(data: bytes) -> str:
    """Base64 as in RFC 7515."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value: int, size: int = 0) -> str:
    return b64(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


class Key:
    """One signing key with its id."""

    def __init__(self, kid: str, private: PrivateKey) -> None:
        self.kid, self.private = kid, private

    @property
    def algorithm(self) -> str:
        if isinstance(self.private, rsa.RSAPrivateKey):
            return "RS256"
        return "ES256" if isinstance(self.private, ec.EllipticCurvePrivateKey) else "EdDSA"

    def public(self) -> dict[str, str]:
        """As a JWK (RFC 7517, 8037)."""
        if isinstance(self.private, rsa.RSAPrivateKey):
            numbers = self.private.public_key().public_numbers()
            own = {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e)}
        elif isinstance(self.private, ec.EllipticCurvePrivateKey):
            point = self.private.public_key().public_numbers()
            own = {"kty": "EC", "crv": "P-256", "x": number(point.x, 32), "y": number(point.y, 32)}
        else:
            raw = self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
            own = {"kty": "OKP", "crv": "Ed25519", "x": b64(raw)}
        return {**own, "kid": self.kid, "use": "sig"}

    def sign(self, text: bytes) -> bytes:
        if isinstance(self.private, rsa.RSAPrivateKey):
            return self.private.sign(text, padding.PKCS1v15(), SHA256())
        if isinstance(self.private, ec.EllipticCurvePrivateKey):
            r, s = decode_dss_signature(self.private.sign(text, ec.ECDSA(SHA256())))
            return r.to_bytes(32, "big") + s.to_bytes(32, "big")
        return self.private.sign(text)

    def token(self, claims: Mapping[str, object], **header: object) -> str:
        """A JWT; header fields given as None are left out."""
        fields = {"alg": self.algorithm, "kid": self.kid, "typ": "at+jwt", **header}
        return jws({name: value for name, value in fields.items() if value is not None}, claims, self.sign)


def jws(header: object, payload: object, sign: Any) -> str:
    """A compact JWS (RFC 7515 section 7.1)."""
    text = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(payload).encode())}"
    return f"{text}.{b64(sign(text.encode()))}"


def hs256(secret: bytes) -> Any:
    return lambda text: hmac.digest(secret, text, hashlib.sha256)


@cache  # they take their time
def rsa_key(kid: str = "rsa") -> Key:
    return Key(kid, rsa.generate_private_key(65537, 2048))


def ec_key(kid: str = "ec") -> Key:
    return Key(kid, ec.generate_private_key(ec.SECP256R1()))


def ed25519_key(kid: str = "ed") -> Key:
    return Key(kid, ed25519.Ed25519PrivateKey.generate())


class Provider:
    """The server, in threads of its own. `answers` replaces what it says at a path: status, headers, body."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self.keys: list[Key] = [rsa_key()]
        self.asked: list[str] = []
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self._port = free_port()  # none that a connection takes between a stop and the next start
        self._server: ThreadingHTTPServer | None = None
        self.start()

    @property
    def issuer(self) -> str:
        return f"https://localhost:{self._port}/realms/example"

    def start(self) -> None:
        """Listen, after a stop at the same port."""
        provider = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 10

            def do_GET(self) -> None:
                provider.asked.append(self.path)
                status, headers, body = provider.answer(self.path)
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                """A client that breaks off, as one does that does not trust the certificate."""

        self._server = Server(("127.0.0.1", self._port), Handler)
        self._server.socket = self._context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        threading.Thread(target=self._server.serve_forever, args=(0.01,)).start()

    def stop(self) -> None:
        """No longer listen."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        if path in self.answers:
            return self.answers[path]
        documents: dict[str, object] = {
            "/realms/example/.well-known/openid-configuration": {"issuer": self.issuer, "jwks_uri": self.jwks_uri},
            "/certs": {"keys": [key.public() for key in self.keys]},
        }
        if path not in documents:
            return 404, {}, b"{}"
        return 200, {}, json.dumps(documents[path]).encode()

    @property
    def jwks_uri(self) -> str:
        return f"https://localhost:{self._port}/certs"

    def claims(self, now: float, **other: object) -> dict[str, object]:
        """What an access token for alice says; a claim given as None is left out."""
        claims = {
            "iss": self.issuer,
            "aud": [AUDIENCE, "account"],
            "sub": "f81d4fae",
            "iat": int(now),
            "exp": int(now) + 300,
            "scope": "openid email",
            "email": "alice@example.com",
            "email_verified": True,
            **other,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, now: float, **claims: object) -> str:
        """A token of the first key."""
        return self.keys[0].token(self.claims(now, **claims))
