"""Is this an access token of the organisation's OpenID provider, and whose? JWTs alone (RFC 9068, or like ID tokens).

Knows no account and no session. Opaque tokens would have to be asked about (RFC 7662); they are refused.
"""

import json
import ssl
import warnings
from pathlib import Path
from typing import Any

from outgate.accept.oidc_keys import KeysUnavailable, ProviderKeys
from outgate.accept.tokens import ProviderUnavailable, TokenRefused, Verified
from outgate.config import ConfigError, OidcSettings
from outgate.extras import extra
from outgate.mail.addresses import AddressError, canonical

with extra("oidc"):
    from joserfc.errors import BadSignatureError, InvalidKeyIdError, JoseError, SecurityWarning
    from joserfc.jws import CompactSignature, JWSRegistry, extract_compact, validate_compact
    from joserfc.jwt import JWTClaimsRegistry

# Signatures by public keys. Never `none`, nor HS*, for whose secret a public key could be passed off.
ALGORITHMS = ("RS256", "ES256", "EdDSA", "Ed25519")
LEEWAY = 60  # seconds that the provider's clock may be off
# A logout token or a DPoP proof has a signature of the same keys, and another type (RFC 8725 section 3.11).
_TYPES = ("jwt", "at+jwt", "application/at+jwt")

_OPAQUE = TokenRefused("the token is not a JWT", "The access token is not a JWT; opaque tokens are not supported here")

# What the library raises on input that is not even of the right kind, besides its own errors.
_MALFORMED = (JoseError, ValueError, TypeError, AttributeError, KeyError, RecursionError)


class _Registry(JWSRegistry):
    max_header_length = 4096  # bytes; some providers put a certificate chain here


class OidcVerifier:
    """Judges tokens by the provider's keys and by what the settings demand. ConfigError if `ca_file` can't be used."""

    def __init__(self, settings: OidcSettings, ca_file: Path | None = None) -> None:
        self._settings = settings
        self._registry = _Registry(algorithms=ALGORITHMS, strict_check_header=False)
        self._keys = ProviderKeys(settings.issuer, _verifying_context(ca_file))
        self.configuration = self._keys.configuration

    async def verify(self, token: str, now: float) -> Verified | TokenRefused | ProviderUnavailable:
        """Judge a token at this time, in seconds since 1970."""
        if token.count(".") != 2:
            return _OPAQUE
        try:
            signed = self._read(token)
            claims = await self._claims(signed, now)
            self._check(claims, now)
            return Verified(self._address(claims), claims["exp"] + LEEWAY)
        except KeysUnavailable as error:
            return ProviderUnavailable(str(error))
        except AddressError:
            return TokenRefused(f"the claim {self._settings.claim} is not an address")
        except JoseError as error:
            return TokenRefused(str(error))
        except _Unfit as error:
            return TokenRefused(str(error))

    def _read(self, token: str) -> CompactSignature:
        """The header is checked before anything is asked of the provider for it."""
        try:
            signed = extract_compact(token.encode(), registry=self._registry)
            header = signed.headers()
            self._registry.check_header(header)
        except _MALFORMED:
            raise _Unfit("the token can't be read") from None
        if header["alg"] not in ALGORITHMS:
            raise _Unfit(f"the token's algorithm is none of {', '.join(ALGORITHMS)}")
        if "crit" in header or header.get("typ", "JWT").lower() not in _TYPES:
            raise _Unfit("the JWT is not an access token or ID token, or demands an extension")
        return signed

    async def _claims(self, signed: CompactSignature, now: float) -> dict[str, Any]:
        """What the token says, once its signature is known to be the provider's."""
        keys = await self._keys.find(signed.headers().get("kid"), now)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SecurityWarning)  # RFC 9864 renames EdDSA; providers still say it
                if not validate_compact(signed, keys, registry=self._registry):
                    raise BadSignatureError
            claims = json.loads(signed.payload or b"")
        except InvalidKeyIdError:
            raise _Unfit("the provider has no such key") from None
        except _MALFORMED:
            raise _Unfit("the signature is not one of the provider's, or signs no claims") from None
        if not isinstance(claims, dict):
            raise _Unfit("the token has no claims")
        return claims

    def _check(self, claims: dict[str, Any], now: float) -> None:
        """RFC 9068 section 4; raises JoseError or _Unfit."""
        settings = self._settings
        demanded = JWTClaimsRegistry(
            now=int(now),
            leeway=LEEWAY,
            iss={"essential": True, "value": settings.issuer},
            aud={"essential": True, "value": settings.audience},
            exp={"essential": True},
        )
        demanded.validate(claims)
        if settings.scope and settings.scope not in _scopes(claims):
            raise _Unfit(f"the token does not have the scope {settings.scope}")
        if "cnf" in claims:
            raise _Unfit("the token is bound to a key of its client; SASL has no way to prove that (RFC 9449)")

    def _address(self, claims: dict[str, Any]) -> str:
        name = self._settings.claim
        value = claims.get(name)
        if not isinstance(value, str):
            raise _Unfit(f"the token has no claim {name}; set oidc.claim, or have the provider add it")
        if name == "email" and str(claims.get("email_verified", True)).lower() != "true":
            raise _Unfit("the provider has not verified the user's address (email_verified)")
        return canonical(value)


class _Unfit(Exception):
    """The token is not accepted; the text says why."""


def _verifying_context(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file:
        try:
            context.load_verify_locations(ca_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"oidc.ca_file: {ca_file} can't be used: {error}") from None
    return context


def _scopes(claims: dict[str, Any]) -> list[str]:
    """`scope` is one text (RFC 9068 section 2.2.3); some providers say `scp`, as a text or a list."""
    value = claims.get("scope", claims.get("scp", ""))
    if isinstance(value, list):
        return [one for one in value if isinstance(one, str)]
    return value.split() if isinstance(value, str) else []
