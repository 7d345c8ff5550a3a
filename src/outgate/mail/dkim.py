"""DKIM signatures (RFC 6376, Ed25519 by RFC 8463): relaxed header, simple body. Signs; checking is for recipients."""

import hashlib
import re
from base64 import b64encode
from dataclasses import field
from typing import Final, Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from outgate.frozen import frozen
from outgate.mail.headers import split_fields

PrivateKey = rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
Kind = Literal["rsa", "ed25519"]

# Signed once more than they occur, so that none can be added later (RFC 6376 section 8.15).
_OVERSIGNED = ("from", "subject", "to", "cc", "date", "reply-to")
_SIGNED = (
    "sender",
    "message-id",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
    "content-disposition",
    "content-language",
    "in-reply-to",
    "references",
    "auto-submitted",
    "list-id",
    "list-unsubscribe",
    "list-unsubscribe-post",
    "autocrypt",
    "tls-report-domain",
    "tls-report-submitter",
)
_SPACES = re.compile(rb"[ \t]+")
_EMPTY_LINES = re.compile(rb"(?:\n\r)*")


class BodyDigest:
    """SHA-256 of a body by "simple" canonicalisation (RFC 6376 3.4.3), fed in pieces; holds no more than a count."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._line_ends = 0  # CRLFs seen since the last text: only the first of them may count
        self._cr = b""  # a CR that may be half of the next CRLF

    def update(self, data: bytes) -> None:
        """Take the next piece of the body."""
        data = self._cr + data
        self._cr = b"\r" if data.endswith(b"\r") else b""
        end = len(data) - len(self._cr)
        tail = data[len(data[:end].rstrip(b"\r\n")) : end]
        match = _EMPTY_LINES.match(tail[::-1])
        blank = match.end() if match else 0
        if text := data[: end - blank]:
            _write_line_ends(self._hash, self._line_ends)
            self._line_ends = 0
            self._hash.update(text)
        self._line_ends += blank // 2

    def digest(self) -> bytes:
        """The 32 bytes for the body so far; more may follow."""
        final = self._hash.copy()
        if self._cr:
            _write_line_ends(final, self._line_ends)
            final.update(b"\r")
        final.update(b"\r\n")
        return final.digest()


def _write_line_ends(digest: "hashlib._Hash", count: int) -> None:
    """In pieces: a body of nothing but line ends must not become one long string here."""
    for start in range(0, count, 4096):
        digest.update(b"\r\n" * min(count - start, 4096))


@frozen
class DkimKey:
    """A key with the domain and selector that its public half is published under."""

    domain: str
    selector: str
    private_key: PrivateKey = field(repr=False)

    @property
    def algorithm(self) -> str:
        """The a= tag."""
        return "rsa-sha256" if isinstance(self.private_key, rsa.RSAPrivateKey) else "ed25519-sha256"


def generate(kind: Kind) -> bytes:
    """A new private key as PKCS #8 PEM: RSA of 2048 bits or Ed25519."""
    key: PrivateKey
    if kind == "rsa":
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    else:
        key = ed25519.Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


_USABLE: Final = "DKIM keys are RSA (at least 1024 bits, better 2048) or Ed25519"


def load(pem: bytes) -> PrivateKey:
    """The key in a PEM; raises ValueError if there is none that DKIM can use. Its text never shows the key."""
    try:
        key = load_pem_private_key(pem, password=None)
    except UnsupportedAlgorithm:
        raise ValueError(_USABLE) from None
    except (ValueError, TypeError):
        raise ValueError("this is not an unencrypted private key in PEM form") from None
    if isinstance(key, ed25519.Ed25519PrivateKey) or (isinstance(key, rsa.RSAPrivateKey) and key.key_size >= 1024):
        return key
    raise ValueError(_USABLE)


def dns_record(pem: bytes) -> str:
    """The TXT record for `<selector>._domainkey.<domain>` (RFC 6376 3.6.1, RFC 8463 section 4)."""
    key = load(pem)
    if isinstance(key, rsa.RSAPrivateKey):
        public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return f"v=DKIM1; k=rsa; p={b64encode(public).decode()}"
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return f"v=DKIM1; k=ed25519; p={b64encode(public).decode()}"


def sign(header_block: bytes, body_digest: bytes, key: DkimKey, signed_at: float) -> bytes:
    """The folded DKIM-Signature field, CRLF included, to be put before `header_block` (fields, no empty line)."""
    relaxed: dict[str, list[bytes]] = {}
    for item in split_fields(header_block):
        relaxed.setdefault(item.name.decode(), []).append(_relaxed(item.name, item.raw))
    names = _names(relaxed)
    unsigned = _signature_field(key, names, body_digest, int(signed_at))
    # Of several fields of one name the last one is signed first (RFC 6376 5.4.2); a name too many signs nothing.
    signed = b"".join([relaxed[name].pop() for name in names if relaxed.get(name)])
    signature = _signature(key.private_key, signed + _relaxed(b"dkim-signature", unsigned).removesuffix(b"\r\n"))
    return unsigned.removesuffix(b"\r\n") + _fold(b64encode(signature)) + b"\r\n"


def _names(relaxed: dict[str, list[bytes]]) -> list[str]:
    over = [name for name in _OVERSIGNED for _ in range(len(relaxed.get(name, ())) + 1)]
    return over + [name for name in _SIGNED for _ in relaxed.get(name, ())]


def _relaxed(name: bytes, raw: bytes) -> bytes:
    """RFC 6376 3.4.2."""
    value = _SPACES.sub(b" ", raw[len(name) + 1 :].replace(b"\r\n", b"")).strip(b" \t")
    return b"%b:%b\r\n" % (name, value)


def _signature_field(key: DkimKey, names: list[str], body_digest: bytes, signed_at: int) -> bytes:
    lines = [
        f"DKIM-Signature: v=1; a={key.algorithm}; c=relaxed/simple; d={key.domain};",
        f" s={key.selector}; t={signed_at};",
        *_folded_names(names),
        f" bh={b64encode(body_digest).decode()};",
        " b=",
    ]
    return "\r\n".join(lines).encode() + b"\r\n"


def _folded_names(names: list[str]) -> list[str]:
    lines = [" h="]
    for index, name in enumerate(names):
        item = name + (":" if index < len(names) - 1 else ";")
        if len(lines[-1]) + len(item) > 76:
            lines.append("  ")
        lines[-1] += item
    return lines


def _fold(text: bytes) -> bytes:
    return b"\r\n  ".join([text[start : start + 72] for start in range(0, len(text), 72)])


def _signature(key: PrivateKey, data: bytes) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), SHA256())
    return key.sign(hashlib.sha256(data).digest())  # RFC 8463 section 3: PureEdDSA over the SHA-256 hash
