"""Is this an access token of the organisation's OpenID provider, and whose? JWTs alone (RFC 9068, or like ID tokens).

Knows no account and no session. Opaque tokens would have to be asked about (RFC 7662); they are refused.
"""

import ssl
from pathlib import Path
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwt import JWTClaimsRegistry

from outgate.accept.provider_documents import ProviderDocuments
from outgate.accept.tokens import ProviderUnavailable, TokenRefused, Verified
from outgate.config import ConfigError, OidcSettings
from outgate.mail.addresses import AddressError, canonical
from outgate.openid.provider_keys import KeysUnavailable, ProviderKeys
from outgate.openid.signed_claims import LEEWAY, TokenUnfit, signed_claims

_TYPES = ("jwt", "at+jwt", "application/at+jwt")

_OPAQUE = TokenRefused("the token is not a JWT", "The access token is not a JWT; opaque tokens are not supported here")


class OidcVerifier:
    """Judges tokens by the provider's keys and by what the settings demand. ConfigError if `ca_file` can't be used."""

    def __init__(self, settings: OidcSettings, ca_file: Path | None = None) -> None:
        self._settings = settings
        self._keys = ProviderKeys(settings.issuer, ProviderDocuments(_verifying_context(ca_file)), "oidc.issuer")
        self.configuration = self._keys.configuration

    async def verify(self, token: str, now: float) -> Verified | TokenRefused | ProviderUnavailable:
        """Judge a token at this time, in seconds since 1970."""
        if token.count(".") != 2:
            return _OPAQUE
        try:
            claims = await signed_claims(token, self._keys, _TYPES, now)
            self._check(claims, now)
            return Verified(self._address(claims), claims["exp"] + LEEWAY)
        except KeysUnavailable as error:
            return ProviderUnavailable(str(error))
        except AddressError:
            return TokenRefused(f"the claim {self._settings.claim} is not an address")
        except (JoseError, TokenUnfit) as error:
            return TokenRefused(str(error))

    def _check(self, claims: dict[str, Any], now: float) -> None:
        """RFC 9068 section 4; raises JoseError or TokenUnfit."""
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
            raise TokenUnfit(f"the token does not have the scope {settings.scope}")
        if "cnf" in claims:
            raise TokenUnfit("the token is bound to a key of its client; SASL has no way to prove that (RFC 9449)")

    def _address(self, claims: dict[str, Any]) -> str:
        name = self._settings.claim
        value = claims.get(name)
        if not isinstance(value, str):
            raise TokenUnfit(f"the token has no claim {name}; set oidc.claim, or have the provider add it")
        if name == "email" and str(claims.get("email_verified", True)).lower() != "true":
            raise TokenUnfit("the provider has not verified the user's address (email_verified)")
        return canonical(value)


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
