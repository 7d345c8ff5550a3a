"""Somebody logs in at the OpenID provider: where the browser is sent, and who the provider says it is when it is back.

Authorization code with PKCE, state and nonce (OpenID Connect Core 1.0 section 3.1). What is to be remembered between
the two is data (`PendingLogIn`), kept by the browser that began. Where the provider is asked, and by which keys it is
known, is in its discovery document, which is read before anybody is sent there. All that is asked passes the egress
guard. Knows no account and no page.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import field
from typing import Any, Final

import structlog
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jwt import JWTClaimsRegistry
from pydantic import ValidationError

from outgate.config import WebOidcSettings
from outgate.directory.errors import DirectoryError, Invalid
from outgate.egress.https_client import HttpsClient, NotFetched
from outgate.frozen import frozen
from outgate.mail.addresses import AddressError, canonical
from outgate.oauth.authorization_server import AuthorizationServer, GrantRefused, ServerAway
from outgate.oauth.providers import OAuthProvider
from outgate.oauth.sign_in import SignInFailed, code_in
from outgate.openid.provider_keys import KeysUnavailable, ProviderKeys, ProviderUnfit
from outgate.openid.signed_claims import LEEWAY, TokenUnfit, signed_claims
from outgate.sendas.oauth_clients import OAuthClient

_TYPES: Final = ("jwt",)
_LATER: Final = (408, 425, 429)  # what a 4xx may be that asks for patience

_log = structlog.get_logger("openid")


@frozen
class PendingLogIn:
    """One that has begun. `state`, `nonce` and `verifier` are long and random, and good for this one alone. `again`:
    the provider was told to ask who it is, whoever is logged in there; `begun_at` in seconds since 1970.
    """

    state: str
    nonce: str
    verifier: str = field(repr=False)
    again: bool
    begun_at: float


@frozen
class ProviderIdentity:
    """Who it is: a primary address in its compared form, and when they last showed it there (0: it does not say)."""

    address: str
    shown_at: float


class ProviderLogInFailed(DirectoryError):
    """Nobody is logged in; the text says why, for whoever tried."""


class ProviderUnreachable(ProviderLogInFailed):
    """The provider can't be asked: just now, or as it is set up."""


class ProviderLogIn:
    """Begins and ends log-ins, for one event loop. `redirect_uri` is the page that the provider sends browsers to."""

    def __init__(self, settings: WebOidcSettings, secret: str, redirect_uri: str, https: HttpsClient) -> None:
        self.title, self.asks_second_factor = settings.title, settings.asks_second_factor
        self._settings, self._https, self._redirect_uri = settings, https, redirect_uri
        self._client = OAuthClient(settings.client_id, secret)
        self._keys = ProviderKeys(settings.issuer, self._object, "web.oidc.issuer")

    async def begin(self, now: float, *, again: bool = False, hint: str = "") -> tuple[str, PendingLogIn]:
        """The address to send the browser to. `again` has the provider ask even of who is logged in there. Raises
        ProviderUnreachable.
        """
        provider = self._endpoints(await self._document(now))
        pending = PendingLogIn(
            secrets.token_urlsafe(24), secrets.token_urlsafe(24), secrets.token_urlsafe(48), again, now
        )
        url = prepare_grant_uri(
            provider.authorization_endpoint,
            self._client.client_id,
            "code",
            redirect_uri=self._redirect_uri,
            scope=list(self._settings.scopes),
            state=pending.state,
            nonce=pending.nonce,
            code_challenge=str(create_s256_code_challenge(pending.verifier)),  # type: ignore[no-untyped-call]  # its stubs
            code_challenge_method="S256",
            prompt="login" if again else None,
            max_age="0" if again else None,
            login_hint=hint or None,
        )
        return url, pending

    async def end(self, pending: PendingLogIn, returned: str, now: float) -> ProviderIdentity:
        """Who it is, by the query that the browser came back with. Raises ProviderLogInFailed."""
        try:
            code = code_in(returned, pending.state, self._settings.issuer)
        except SignInFailed as error:
            if str(error.facts.get("said")).startswith("access_denied"):
                raise ProviderLogInFailed(
                    "you have not logged in at {provider}; try again", provider=self.title
                ) from None
            raise ProviderLogInFailed(error.text, **error.facts) from None
        try:
            return await self._identity(pending, code, now)
        except KeysUnavailable as error:
            raise self._away(error) from None
        except ExpiredTokenError:
            raise self._unfit(Invalid("it has expired, or the clocks there and here differ")) from None
        except (Invalid, TokenUnfit, JoseError) as error:
            raise self._unfit(error) from None

    async def _identity(self, pending: PendingLogIn, code: str, now: float) -> ProviderIdentity:
        document = await self._document(now)
        server = AuthorizationServer(self._endpoints(document), self._https)
        tokens = await server.identity(self._client, code, self._redirect_uri, pending.verifier)
        if isinstance(tokens, ServerAway):
            raise self._away(tokens.reason)
        if isinstance(tokens, GrantRefused):
            _log.warning("the OpenID provider gives no tokens", issuer=self._settings.issuer, reason=tokens.text)
            raise ProviderLogInFailed(
                "{provider} did not accept this log-in ({said}); try again; if it stays so, tell your administrator",
                provider=self.title,
                said=tokens.text,
            )
        claims = await signed_claims(tokens.id_token, self._keys, _TYPES, now)
        self._check(claims, pending, now)
        shown_at = _moment(claims.get("auth_time"), now)
        if pending.again and shown_at < pending.begun_at - LEEWAY:
            raise ProviderLogInFailed(
                "{provider} has not asked you who you are this time, or does not say so; use your password here, or a"
                " passkey",
                provider=self.title,
            )
        if self._settings.claim not in claims:
            claims = await self._told(document.get("userinfo_endpoint"), tokens.access_token, str(claims["sub"]))
        return ProviderIdentity(self._address(claims), shown_at)

    def _check(self, claims: Mapping[str, Any], pending: PendingLogIn, now: float) -> None:
        """OpenID Connect Core 1.0 section 3.1.3.7; raises JoseError or TokenUnfit."""
        client = self._client.client_id
        demanded = JWTClaimsRegistry(
            now=int(now),
            leeway=LEEWAY,
            iss={"essential": True, "value": self._settings.issuer},
            aud={"essential": True, "value": client},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": pending.nonce},
        )
        demanded.validate(dict(claims))
        if claims.get("azp", client) != client or (claims["aud"] not in (client, [client]) and "azp" not in claims):
            raise TokenUnfit("the token is for another client, too (aud, azp)")

    async def _told(self, where: object, access_token: str, subject: str) -> dict[str, Any]:
        """What the ID token leaves out (section 5.3). Raises ProviderUnreachable, Invalid."""
        if not isinstance(where, str) or not where.startswith("https://") or not access_token:
            raise Invalid("it has no claim {name}", name=self._settings.claim)
        try:
            found = await self._object(where, {"Authorization": f"Bearer {access_token}"})
        except ValueError as error:
            raise self._away(str(error)) from None
        if found.get("sub") != subject:
            raise Invalid("its userinfo is somebody else's")
        return found

    def _address(self, claims: Mapping[str, Any]) -> str:
        """Raises Invalid."""
        name = self._settings.claim
        value = claims.get(name)
        if not isinstance(value, str):
            raise Invalid("it has no claim {name}", name=name)
        if name == "email" and str(claims.get("email_verified")).lower() != "true":
            raise Invalid("it has not verified your address (email_verified)")
        try:
            return canonical(value)
        except AddressError:
            raise Invalid("its claim {name} is no address", name=name) from None

    # --- how it is asked ---------------------------------------------------------------------------------------------

    async def _document(self, now: float) -> Mapping[str, Any]:
        """Raises ProviderUnreachable."""
        try:
            return await self._keys.document(now)
        except KeysUnavailable as error:
            raise self._away(error) from None

    def _endpoints(self, document: Mapping[str, Any]) -> OAuthProvider:
        """Where it is asked. Raises ProviderUnreachable."""
        named = {name: document.get(name) for name in ("authorization_endpoint", "token_endpoint")}
        try:
            return OAuthProvider.model_validate({"name": "log-in", "label": self.title, **named})
        except ValidationError:
            fault = f"{self._keys.configuration} names no https address as {' or '.join(named)}"
            raise self._away(KeysUnavailable(fault, is_unfit=True)) from None

    async def _object(self, url: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        """A JSON object, as provider_keys.Ask has it. No redirect is followed: what is sent may be a token."""
        answer = await self._https.get(url, redirects=0, headers=headers)
        if isinstance(answer, NotFetched):
            raise (ProviderUnfit if answer.forbidden or answer.untrusted else ValueError)(f"{url}: {answer.reason}")
        if 400 <= answer.status < 500 and answer.status not in _LATER:
            raise ProviderUnfit(f"{url} answers with status {answer.status}")
        try:
            found = json.loads(answer.content)
        except (ValueError, RecursionError):
            found = None
        if answer.status != 200 or not isinstance(found, dict):
            raise ValueError(f"{url} answers with status {answer.status}, or with no JSON object")
        return found

    def _away(self, reason: str | KeysUnavailable) -> ProviderUnreachable:
        _log.warning("the OpenID provider can't be asked", issuer=self._settings.issuer, reason=str(reason))
        if isinstance(reason, KeysUnavailable) and reason.is_unfit:
            return ProviderUnreachable(
                "{provider} can't be used as it is set up here; tell your administrator, or log in with your password",
                provider=self.title,
            )
        return ProviderUnreachable(
            "{provider} can't be asked just now; try again in a minute, or log in with your password",
            provider=self.title,
        )

    def _unfit(self, error: Exception) -> ProviderLogInFailed:
        """What a user may meet is told in their language; what else is wrong is for the log alone."""
        _log.warning("log-in by the OpenID provider refused", issuer=self._settings.issuer, reason=str(error))
        if isinstance(error, Invalid):
            return ProviderLogInFailed(
                "what {provider} says of you can't be used here: {reason}; tell your administrator",
                provider=self.title,
                reason=error,
            )
        return ProviderLogInFailed(
            "what {provider} says of you can't be used here; the log says why: tell your administrator",
            provider=self.title,
        )


def _moment(value: object, now: float) -> float:
    """`auth_time`, in seconds since 1970, and not after now; 0 if it is no time, or one that can't be yet."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= now + LEEWAY:
        return 0.0
    return min(float(value), now)
