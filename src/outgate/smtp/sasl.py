"""SASL mechanisms, both halves: PLAIN, LOGIN, SCRAM-SHA-256; as client also CRAM-MD5, OAUTHBEARER and XOAUTH2.

Bytes in, bytes out; base64 and the AUTH command belong to the engines. No secret is kept longer than an exchange.
"""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import stringprep
import unicodedata
from collections.abc import Generator
from dataclasses import field
from typing import Self

from outgate.frozen import frozen


class SaslError(Exception):
    """The other side's message can't be understood, or proves that it does not know the password."""


class ProofFailed(SaslError):
    """The other side does not know the password."""


def encode(data: bytes) -> bytes:
    """Base64 as AUTH carries it."""
    return base64.b64encode(data)


def decode(text: bytes) -> bytes:
    """The reverse; raises SaslError."""
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise SaslError("not base64") from None


def saslprep(text: str) -> str:
    """RFC 4013 as far as it matters between programs: mapping, NFKC, prohibited characters refused (SaslError)."""
    mapped = "".join(" " if stringprep.in_table_c12(c) else c for c in text if not stringprep.in_table_b1(c))
    normal = unicodedata.normalize("NFKC", mapped)
    if any(stringprep.in_table_c21_c22(c) or stringprep.in_table_c3(c) or stringprep.in_table_c9(c) for c in normal):
        raise SaslError("a character that SASL does not allow")
    return normal


@frozen
class ScramVerifier:
    """What a server keeps of a password for SCRAM-SHA-256 (RFC 5802 section 3)."""

    iterations: int
    salt: bytes
    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)

    @classmethod
    def derive(cls, password: str, iterations: int, salt: bytes | None = None) -> Self:
        """Made from the password; takes as long as `iterations` ask for."""
        salt = secrets.token_bytes(16) if salt is None else salt
        salted = hashlib.pbkdf2_hmac("sha256", saslprep(password).encode(), salt, iterations)
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        return cls(iterations, salt, hashlib.sha256(client_key).digest(), hmac.digest(salted, b"Server Key", "sha256"))

    @classmethod
    def parse(cls, text: str) -> Self:
        """From the form of RFC 5803; raises ValueError."""
        try:
            scheme, parameters, keys = text.split("$")
            iterations, salt = parameters.split(":")
            stored, server = keys.split(":")
            if scheme != "SCRAM-SHA-256":
                raise ValueError
            return cls(int(iterations), *(base64.b64decode(part, validate=True) for part in (salt, stored, server)))
        except ValueError:
            raise ValueError("not a SCRAM-SHA-256 verifier in the form of RFC 5803") from None

    def __str__(self) -> str:
        salt, stored, server = (encode(part).decode() for part in (self.salt, self.stored_key, self.server_key))
        return f"SCRAM-SHA-256${self.iterations}:{salt}${stored}:{server}"


# When the application gives no secret, salts are at least stable for the life of the process.
_PROCESS_SECRET = secrets.token_bytes(32)


def fake_verifier(secret: bytes, username: str, iterations: int) -> ScramVerifier:
    """For a user that does not exist: the same salt each time, so that nobody can tell; its keys fit no password.

    `iterations` must be what real users have, or it tells them apart.
    """
    salt = hmac.digest(secret or _PROCESS_SECRET, username.encode(), "sha256")[:16]
    return ScramVerifier(iterations, salt, secrets.token_bytes(32), secrets.token_bytes(32))


class ScramServer:
    """The server's half of one exchange (RFC 5802 section 5), without channel binding."""

    def __init__(self, client_first: bytes) -> None:
        text = utf8(client_first)
        if not text.startswith(("n,", "y,")):
            raise SaslError("channel binding is not offered")
        flag, authzid, bare = text.split(",", 2) if text.count(",") >= 2 else _malformed()
        fields = _fields(bare)
        if list(fields)[:2] != ["n", "r"]:
            raise SaslError("user name and nonce are expected")
        self.username = fields["n"].replace("=2C", ",").replace("=3D", "=")
        if authzid and authzid.removeprefix("a=") != fields["n"]:
            raise SaslError("nobody may act for somebody else")
        self._header = encode(f"{flag},{authzid},".encode()).decode()
        self._bare = bare
        self._nonce = fields["r"] + secrets.token_urlsafe(18)
        self._verifier: ScramVerifier | None = None
        self._server_first = ""

    def challenge(self, verifier: ScramVerifier) -> bytes:
        """The server's first message."""
        self._verifier = verifier
        self._server_first = f"r={self._nonce},s={encode(verifier.salt).decode()},i={verifier.iterations}"
        return self._server_first.encode()

    def final(self, client_final: bytes) -> bytes:
        """The server's last message; raises SaslError if the client does not know the password."""
        verifier = self._verifier
        text = utf8(client_final)
        without_proof, _, proof = text.rpartition(",p=")
        fields = _fields(without_proof)
        if verifier is None or fields.get("r") != self._nonce or fields.get("c") != self._header:
            raise SaslError("nonce or channel binding differ")
        auth_message = f"{self._bare},{self._server_first},{without_proof}".encode()
        signature = hmac.digest(verifier.stored_key, auth_message, "sha256")
        client_key = _xor(decode(proof.encode()), signature)
        if not hmac.compare_digest(hashlib.sha256(client_key).digest(), verifier.stored_key):
            raise SaslError("wrong password")
        return b"v=" + encode(hmac.digest(verifier.server_key, auth_message, "sha256"))


@frozen
class PasswordCredentials:
    """User name and password."""

    username: str
    password: str = field(repr=False)


@frozen
class TokenCredentials:
    """User name and OAuth 2 access token; host and port of the server, which OAUTHBEARER may say."""

    username: str
    token: str = field(repr=False)
    host: str = ""
    port: int = 0


Credentials = PasswordCredentials | TokenCredentials


@frozen
class KeyDerivation:
    """SCRAM's slow part: `run` it where nobody waits for it. It takes a second at most, where one was asked for."""

    password: str = field(repr=False)
    salt: bytes
    iterations: int

    def run(self) -> bytes:
        """The salted password (RFC 5802 section 3)."""
        return hashlib.pbkdf2_hmac("sha256", self.password.encode(), self.salt, self.iterations)


# A client's half: yields what to send (None first for mechanisms in which the server speaks first), is sent the
# server's challenges; after a KeyDerivation, what it gave.
Step = bytes | KeyDerivation | None
Exchange = Generator[Step, bytes, None]

MIN_ITERATIONS = 4096  # RFC 7677 section 4
MAX_ITERATIONS = 1_000_000  # a third to a whole second; OWASP's advice of 2023 is 600,000

# Best first: a challenge that a server can't reuse, then the password itself (only ever under verified TLS).
PASSWORD_MECHANISMS = ("SCRAM-SHA-256", "PLAIN", "LOGIN", "CRAM-MD5")
SECRET_ITSELF = ("PLAIN", "LOGIN", "OAUTHBEARER", "XOAUTH2")  # whoever gets these judges the secret for all mechanisms
TOKEN_MECHANISMS = ("OAUTHBEARER", "XOAUTH2")

# How many challenges must be answered before a 235 counts: the last of SCRAM's proves that the server knows the
# password too, and a server that only says "yes" does not.
CHALLENGES_DUE = {"SCRAM-SHA-256": 2, "PLAIN": 0, "LOGIN": 2, "CRAM-MD5": 1, "OAUTHBEARER": 0, "XOAUTH2": 0}


def exchange(mechanism: str, credentials: Credentials) -> Exchange:
    """The client's half of a mechanism."""
    if isinstance(credentials, TokenCredentials):
        return _oauthbearer(credentials) if mechanism == "OAUTHBEARER" else _xoauth2(credentials)
    made = {"SCRAM-SHA-256": _scram, "PLAIN": _plain, "LOGIN": _login, "CRAM-MD5": _cram_md5}
    return made[mechanism](credentials)


def _plain(credentials: PasswordCredentials) -> Exchange:
    yield f"\0{credentials.username}\0{credentials.password}".encode()


def _login(credentials: PasswordCredentials) -> Exchange:
    yield None
    yield credentials.username.encode()
    yield credentials.password.encode()


def _cram_md5(credentials: PasswordCredentials) -> Exchange:
    """RFC 2195."""
    challenge = yield None
    digest = hmac.new(credentials.password.encode(), challenge, "md5").hexdigest()
    yield f"{credentials.username} {digest}".encode()


def _oauthbearer(credentials: TokenCredentials) -> Exchange:
    """RFC 7628 section 3.1; host and port where they are known."""
    name = credentials.username.replace("=", "=3D").replace(",", "=2C")
    known = (("host", credentials.host), ("port", str(credentials.port or "")))
    pairs = [f"{key}={value}\1" for key, value in known if value]
    yield f"n,a={name},\1{''.join(pairs)}auth=Bearer {credentials.token}\1\1".encode()
    yield b"\1"  # a failure's details; this brings the final reply (section 3.2.3)


def _xoauth2(credentials: TokenCredentials) -> Exchange:
    yield f"user={credentials.username}\1auth=Bearer {credentials.token}\1\1".encode()
    yield b""  # a failure's details; an empty answer brings the final reply


def _scram(credentials: PasswordCredentials) -> Exchange:
    """RFC 5802 and 7677; also checks that the server knows the password."""
    nonce = secrets.token_urlsafe(18)
    name = saslprep(credentials.username).replace("=", "=3D").replace(",", "=2C")
    bare = f"n={name},r={nonce}"
    server_first = utf8((yield b"n,," + bare.encode()))
    fields = _fields(server_first)
    if not {"r", "s", "i"} <= fields.keys() or not fields["r"].startswith(nonce):
        raise SaslError("the server's first message can't be right")
    password = saslprep(credentials.password)
    salted = yield KeyDerivation(password, decode(fields["s"].encode()), _iterations(fields["i"]))
    client_key, server_key = hmac.digest(salted, b"Client Key", "sha256"), hmac.digest(salted, b"Server Key", "sha256")
    without_proof = f"c=biws,r={fields['r']}"
    auth_message = f"{bare},{server_first},{without_proof}".encode()
    stored_key = hashlib.sha256(client_key).digest()
    proof = encode(_xor(client_key, hmac.digest(stored_key, auth_message, "sha256"))).decode()
    server_final = utf8((yield f"{without_proof},p={proof}".encode()))
    expected = encode(hmac.digest(server_key, auth_message, "sha256"))
    if not hmac.compare_digest(_fields(server_final).get("v", "").encode(), expected):
        raise ProofFailed("the server does not know the password")
    yield b""


def _iterations(text: str) -> int:
    """A server must not make us weak with few rounds, nor busy for long with many."""
    if not re.fullmatch("[0-9]{4,7}", text) or not MIN_ITERATIONS <= int(text) <= MAX_ITERATIONS:
        raise SaslError("the server asks for too few or too many rounds")
    return int(text)


def plain_message(message: bytes) -> tuple[str, str, str]:
    """A client's PLAIN message: authzid, user name, password (RFC 4616). Raises SaslError."""
    parts = utf8(message).split("\0")
    if len(parts) != 3 or not parts[1]:
        raise SaslError("PLAIN has two NULs")
    return parts[0], parts[1], parts[2]


def utf8(message: bytes) -> str:
    """The text of a message; raises SaslError."""
    try:
        return message.decode()
    except UnicodeDecodeError:
        raise SaslError("not UTF-8") from None


def _fields(message: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in message.split(","):
        name, separator, value = part.partition("=")
        if not separator or len(name) != 1 or name in found:
            raise SaslError("attributes are expected")
        found[name] = value
    if "m" in found:
        raise SaslError("a mandatory extension that is not known (RFC 5802 section 5.1)")
    return found


def _malformed() -> tuple[str, str, str]:
    raise SaslError("the first message has three parts")


def _xor(left: bytes, right: bytes) -> bytes:
    if len(left) != len(right):
        raise SaslError("a proof of the wrong length")
    return bytes(a ^ b for a, b in zip(left, right, strict=True))
