"""What a service account signs to ask for a token (RFC 7523): read, and checked by its key. Pure."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from joserfc.errors import JoseError
from joserfc.jwk import RSAKey
from joserfc.jws import CompactSignature, JWSRegistry, extract_compact, validate_compact

from outgate.directory.service_accounts import PublicKey
from outgate.frozen import frozen

LIFETIME: Final = 3600.0  # seconds that an assertion may be good for, as at Google
LEEWAY: Final = 60.0  # seconds that the program's clock may be off
_LATEST: Final = 1e12  # seconds; nobody means a later time
_LONGEST_ADDRESS: Final = 320  # characters (RFC 5321 4.5.3.1: 64 and 255, and @)
_LONGEST_SCOPE: Final = 4000  # characters, of all together
_ALGORITHMS: Final = ("RS256",)
_MALFORMED: Final = (JoseError, ValueError, TypeError, AttributeError, KeyError, RecursionError)

FindKeys = Callable[[str], tuple[PublicKey, ...]]  # by the service account's address


class BadAssertion(Exception):
    """The text says what is wrong with it, for whoever signed it."""


@frozen
class Assertion:
    """A service account wants to act for `subject`, with these scopes."""

    key: PublicKey
    subject: str
    scopes: frozenset[str]


def read(token: str, audiences: frozenset[str], find_keys: FindKeys, now: float) -> Assertion:
    """The assertion, if it is signed and meant for us now. Raises BadAssertion."""
    signed, claims = _extracted(token)
    issuer = _text(claims, "iss", _LONGEST_ADDRESS)
    if not issuer:
        raise BadAssertion("iss is missing: the service account's address")
    key = _signer(signed, find_keys(issuer))
    _check_time(claims, now)
    if _audience(claims) not in audiences:
        raise BadAssertion("aud must be the token_uri of the key file")
    subject = _text(claims, "sub", _LONGEST_ADDRESS)
    if not subject:
        raise BadAssertion("sub is missing: a service account acts for a user here, never for itself")
    scopes = _text(claims, "scope", _LONGEST_SCOPE)
    if not scopes.strip():
        raise BadAssertion("scope is missing")
    return Assertion(key, subject, frozenset(scopes.split()))


def _text(claims: Mapping[str, Any], name: str, longest: int) -> str:
    """A claim that may be looked up and recorded as it is; empty if it is no text. Raises BadAssertion."""
    value = claims.get(name, "")
    if not isinstance(value, str):
        return ""
    if len(value) > longest or not value.isprintable():
        raise BadAssertion(f"{name} must be at most {longest} characters, all of them printable")
    return value


def _extracted(token: str) -> tuple[CompactSignature, dict[str, Any]]:
    try:
        signed = extract_compact(token.encode(), registry=JWSRegistry(algorithms=_ALGORITHMS))
        headers = signed.headers()
        if headers["alg"] not in _ALGORITHMS:
            raise BadAssertion("alg must be RS256")
        claims = _object(signed.payload)
    except _MALFORMED:
        raise BadAssertion("it can't be read: it must be a JWT, signed by RS256") from None
    return signed, claims


def _object(payload: bytes) -> dict[str, Any]:
    found = json.loads(payload)
    if not isinstance(found, dict):
        raise ValueError
    return found


def _signer(signed: CompactSignature, keys: tuple[PublicKey, ...]) -> PublicKey:
    """The key that signed it: the one that its head names; Google's library for Node names none."""
    named = signed.headers().get("kid")
    for key in keys:
        if named in (None, key.key_id) and _is_signed(signed, key.pem):
            return key
    raise BadAssertion("Invalid JWT Signature.")


def _is_signed(signed: CompactSignature, pem: str) -> bool:
    try:
        return validate_compact(signed, RSAKey.import_key(pem), algorithms=list(_ALGORITHMS))
    except _MALFORMED:
        return False


def _check_time(claims: dict[str, Any], now: float) -> None:
    begin, end = _time(claims.get("iat")), _time(claims.get("exp"))
    if begin is None or end is None:
        raise BadAssertion("iat and exp must be numbers: seconds since 1970")
    if end <= now - LEEWAY or begin > now + LEEWAY or end - begin > LIFETIME:
        raise BadAssertion(
            "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe."
            " Check your iat and exp values in the JWT claim."
        )


def _time(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _LATEST:
        return None
    return float(value)


def _audience(claims: dict[str, Any]) -> str:
    audience = claims.get("aud")
    if isinstance(audience, list) and len(audience) == 1:
        audience = audience[0]
    return audience if isinstance(audience, str) else ""
