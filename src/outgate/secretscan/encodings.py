"""A known secret and the forms in which it could lie somewhere: raw, and as what carries it would write it. Pure."""

import base64
import json
from collections.abc import Iterator
from dataclasses import field
from typing import Final
from urllib.parse import quote, quote_plus

from outgate.frozen import frozen

SHORTEST: Final = 6  # bytes; what is shorter is found everywhere by chance
_PEM: Final = b"-----"
_PIECE: Final = 48  # bytes of a long secret that are looked for together


@frozen
class Secret:
    """`name` says whose it is. `in_memory` is whether the server's memory may not have it either (a key must be there).

    `username` is whom it logs in, for the message of SASL PLAIN.
    """

    name: str
    value: bytes = field(repr=False)
    username: str = ""
    in_memory: bool = True


def forms(secret: Secret) -> dict[bytes, str]:
    """What to look for, with the name of each form; nothing if the secret is too short."""
    is_long = len(secret.value) > 4 * _PIECE or secret.value.startswith(_PEM)
    pieces = _pieces(secret.value) if is_long else [secret.value]
    found = {text: form for piece in pieces for form, text in _of_bytes(piece) if len(text) >= SHORTEST}
    if secret.username:
        plain = f"\0{secret.username}\0".encode() + secret.value
        found[base64.b64encode(plain)] = "base64 of SASL PLAIN"
    return found if len(secret.value) >= SHORTEST else {}


def _pieces(value: bytes) -> list[bytes]:
    """Of a long secret, the second half in pieces: the first half of an RSA key is what the DNS shows (RFC 8017 A.1.2).

    Of PEM, each line, for its line ends may be written otherwise; and what the lines stand for.
    """
    if not value.startswith(_PEM):
        half = value[len(value) // 2 :]
        return [half[at : at + _PIECE] for at in range(0, len(half) - _PIECE + 1, _PIECE)]
    lines = [line for line in value.splitlines() if not line.startswith(_PEM)]
    secret = [line for line in lines[len(lines) // 2 :] if len(line) >= _PIECE]
    return [*secret, *(base64.b64decode(line) for line in secret)]


def _of_bytes(value: bytes) -> Iterator[tuple[str, bytes]]:
    for shift in range(3):
        # Within a longer text it may begin at three places of a group; the groups at its ends depend on neighbours.
        whole = base64.b64encode(b"\0" * shift + value)
        yield "base64", whole[4 if shift else 0 : (len(value) + shift) // 3 * 4]
    yield "hex", value.hex().encode()
    yield "hex", value.hex().upper().encode()
    try:
        text = value.decode()
    except UnicodeDecodeError:
        pass
    else:
        yield "UTF-16", text.encode("utf-16-le")
        yield "UTF-16", text.encode("utf-16-be")
        yield "URL-encoded", quote(text, safe="").encode()
        yield "URL-encoded", quote_plus(text).encode()
        yield "JSON", json.dumps(text)[1:-1].encode()
    yield "raw", value  # last: where another form is the same bytes, this is its name
