"""The server's half of the two SASL mechanisms that carry an access token: OAUTHBEARER (RFC 7628) and Google's XOAUTH2.

Bytes in, bytes out; what a token says and whether it is valid is not known here.
"""

import json
import re

from outgate.frozen import frozen
from outgate.smtp.sasl import SaslError, utf8

OAUTH_MECHANISMS = ("OAUTHBEARER", "XOAUTH2")

MAX_USERNAME = 320  # characters; an address has at most 254 (RFC 5321 section 4.5.3.1.3)
MAX_TOKEN = 8192  # characters; a line of AUTH has room for 9,200 bytes (RFC 4954 section 4)

_BEARER = re.compile(r"bearer +([A-Za-z0-9._~+/-]+=*)", re.IGNORECASE)  # b64token of RFC 6750 section 2.1
_PAIR = re.compile(r"([A-Za-z]+)=([\t\n\r -~]*)")  # kvpair of RFC 7628 section 3.1
_SASLNAME = re.compile(r"(?:[^,=\0]|=2C|=3D)+")  # RFC 5801 section 4


@frozen
class TokenIssuer:
    """What a client is told when its token is refused: where tokens are to be had, and for which scope."""

    configuration: str  # URL of the provider's discovery document
    scope: str = ""

    def failure(self, mechanism: str) -> bytes:
        """The challenge that says so (RFC 7628 section 3.2.2; for XOAUTH2 as Google's servers word it)."""
        if mechanism == "XOAUTH2":
            told = {"status": "401", "schemes": "bearer", "scope": self.scope}
        else:
            told = {"status": "invalid_token", "scope": self.scope, "openid-configuration": self.configuration}
        return json.dumps({name: text for name, text in told.items() if text}).encode()


def oauthbearer_message(message: bytes) -> tuple[str, str]:
    """User name and token of `n,a=user,^Ahost=…^Aport=…^Aauth=Bearer token^A^A`; raises SaslError.

    The user name is empty if the client leaves it to the token. The token is empty if the client only asks where
    tokens are to be had (RFC 7628 section 4.3).
    """
    header, _, rest = utf8(message).partition("\1")
    pairs = _pairs(rest)
    return _authorisation_identity(header), _token(pairs) if pairs.get("auth", "-") else ""


def xoauth2_message(message: bytes) -> tuple[str, str]:
    """User name and token of `user=user^Aauth=Bearer token^A^A`; raises SaslError."""
    first, _, rest = utf8(message).partition("\1")
    if not first.startswith("user=") or not first.isprintable():
        raise SaslError("user= is expected")
    return _username(first.removeprefix("user=")), _token(_pairs(rest))


def _authorisation_identity(header: str) -> str:
    """Of the GS2 header (RFC 5801 section 4), without channel binding: neither mechanism has one."""
    parts = header.split(",")
    if len(parts) != 3 or parts[0] != "n" or parts[2]:
        raise SaslError("the header n,a=user, is expected; channel binding is not offered")
    if not parts[1]:
        return ""
    name = parts[1].removeprefix("a=")
    if name == parts[1] or not _SASLNAME.fullmatch(name) or not name.isprintable():
        raise SaslError("a user name is expected")
    return _username(name.replace("=2C", ",").replace("=3D", "="))


def _username(name: str) -> str:
    if not 0 < len(name) <= MAX_USERNAME:
        raise SaslError("a user name of a usual length is expected")
    return name


def _pairs(text: str) -> dict[str, str]:
    """What stands between the separators; keys that are not known, host and port among them, mean nothing here."""
    if text != "\1" and not text.endswith("\1\1"):
        raise SaslError("the message has no end")
    pairs: dict[str, str] = {}
    for part in text[:-2].split("\1") if len(text) > 1 else ():
        match = _PAIR.fullmatch(part)
        if not match or match[1].lower() in pairs:
            raise SaslError("pairs of key and value are expected, each key once")
        pairs[match[1].lower()] = match[2]
    return pairs


def _token(pairs: dict[str, str]) -> str:
    match = _BEARER.fullmatch(pairs.get("auth", ""))
    if not match or len(match[1]) > MAX_TOKEN:
        raise SaslError("auth=Bearer and a token are expected")
    return match[1]
