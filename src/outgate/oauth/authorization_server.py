"""A provider's authorization server: finds its endpoints and asks them (RFC 6749, 7591, 8414, 8628).

All that is asked is asked by the egress guard's client. Knows no user, no store and no clock but the caller's.
"""

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, Final, TypeGuard
from urllib.parse import quote, urlencode

from authlib.oauth2.rfc6749.parameters import prepare_token_request

from outgate.egress.https_client import Fetched, HttpsClient, NotFetched
from outgate.frozen import frozen
from outgate.model import OAuthTokens
from outgate.oauth.providers import OAuthProvider
from outgate.printable import printable
from outgate.sendas.oauth_clients import OAuthClient

PATIENCE: Final = 30.0  # seconds for one question
_LONGEST_TOKEN: Final = 8192  # characters
_LONGEST_ID_TOKEN: Final = 32768  # characters; some list all groups of a user
_DEFAULT_LIFETIME: Final = 3600.0  # seconds, where the server does not say (RFC 6749 section 5.1)
_PAUSE: Final = 60.0  # seconds that a server is left alone that can't answer and says no more
_LONGEST_PAUSE: Final = 86400.0  # seconds, whatever it says
_DEVICE_LIFETIME: Final = 600.0  # seconds, where the server does not say
_DEVICE_INTERVAL: Final = 5.0  # seconds (RFC 8628 section 3.2)

_FORM: Final = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
_JSON: Final = {"Content-Type": "application/json", "Accept": "application/json"}
_ENDPOINTS: Final = (
    "authorization_endpoint",
    "token_endpoint",
    "device_authorization_endpoint",
    "registration_endpoint",
)


@frozen
class GrantRefused:
    """The server's refusal: its code (RFC 6749 section 5.2), and its own words."""

    error: str
    description: str = ""

    @property
    def text(self) -> str:
        """Both, for people."""
        return f"{self.error}: {self.description}" if self.description else self.error


@frozen
class ServerAway:
    """The server can't be asked now, or answers with no answer; not to be asked again for `pause` seconds."""

    reason: str
    pause: float = _PAUSE


@frozen
class IdentityTokens:
    """What says who has signed in, and what may be asked for more about them (empty if nothing)."""

    id_token: str = field(repr=False)
    access_token: str = field(repr=False)


@frozen
class DeviceCode:
    """What a user enters where (RFC 8628 section 3.2); times in seconds."""

    device_code: str = field(repr=False)
    user_code: str
    verification_uri: str
    complete_uri: str
    interval: float
    lifetime: float


class AuthorizationServer:
    """Of one provider, for one event loop."""

    def __init__(self, provider: OAuthProvider, https: HttpsClient) -> None:
        self.provider = provider
        self._https = https
        self._endpoints = {name: str(getattr(provider, name)) for name in _ENDPOINTS}
        self._was_asked = not provider.issuer

    async def endpoint(self, name: str) -> str | ServerAway:
        """The URL of an endpoint; empty if the server has none."""
        if not self._endpoints[name] and not self._was_asked:
            fault = await self._discover()
            if fault:
                return fault
        return self._endpoints[name]

    async def exchange(
        self, client: OAuthClient, code: str, redirect_uri: str, verifier: str, now: float
    ) -> OAuthTokens | GrantRefused | ServerAway:
        """The tokens for an authorization code (RFC 6749 section 4.1.3, RFC 7636)."""
        asked = {"code": code, "redirect_uri": redirect_uri, "code_verifier": verifier}
        return await self._tokens(client, "authorization_code", asked, now)

    async def identity(
        self, client: OAuthClient, code: str, redirect_uri: str, verifier: str
    ) -> IdentityTokens | GrantRefused | ServerAway:
        """Who has signed in, for an authorization code (OpenID Connect Core 1.0 section 3.1.3)."""
        asked = {"code": code, "redirect_uri": redirect_uri, "code_verifier": verifier}
        found = await self._grant(client, "authorization_code", asked)
        if not isinstance(found, dict):
            return found
        identity, access = found.get("id_token"), found.get("access_token")
        if not _is_token(identity, _LONGEST_ID_TOKEN):
            return ServerAway("the provider's answer has no ID token")
        return IdentityTokens(identity, access if _is_token(access) else "")

    async def refresh(
        self, client: OAuthClient, refresh_token: str, now: float
    ) -> OAuthTokens | GrantRefused | ServerAway:
        """New tokens for a refresh token; it stays itself where the server gives no other (RFC 6749 section 6)."""
        asked = {"refresh_token": refresh_token}
        return await self._tokens(client, "refresh_token", asked, now, former=refresh_token)

    async def device_code(self, client: OAuthClient) -> DeviceCode | GrantRefused | ServerAway:
        """Begin a sign-in on another device."""
        where = await self.endpoint("device_authorization_endpoint")
        if isinstance(where, ServerAway):
            return where
        if not where:
            return GrantRefused("unsupported_grant_type", f"{self.provider.title} offers no sign-in by device code")
        form = {"client_id": client.client_id, "scope": " ".join(self.provider.scopes)}
        found = await self._post(where, urlencode(form), _authenticated(client))
        if not isinstance(found, dict):
            return found
        try:
            uri = str(found.get("verification_uri") or found["verification_url"])  # Google's name for it
            code, user_code = str(found["device_code"]), str(found["user_code"])
        except KeyError:
            return ServerAway("the provider's answer has no device code")
        lifetime = _seconds(found.get("expires_in"), _DEVICE_LIFETIME)
        interval = max(1.0, _seconds(found.get("interval"), _DEVICE_INTERVAL))
        return DeviceCode(code, user_code, uri, str(found.get("verification_uri_complete", "")), interval, lifetime)

    async def device_tokens(
        self, client: OAuthClient, device: DeviceCode, now: float
    ) -> OAuthTokens | GrantRefused | ServerAway:
        """Whether the user has signed in by now: GrantRefused `authorization_pending` or `slow_down` if not yet."""
        asked = {"device_code": device.device_code}
        return await self._tokens(client, "urn:ietf:params:oauth:grant-type:device_code", asked, now)

    async def register(
        self, redirect_uris: Sequence[str], application_type: str, name: str
    ) -> OAuthClient | GrantRefused | ServerAway:
        """Make this installation a client (RFC 7591); `application_type` is `native` or `web`."""
        where = await self.endpoint("registration_endpoint")
        if isinstance(where, ServerAway):
            return where
        if not where:
            return GrantRefused("invalid_client", f"{self.provider.title} needs a client_id, and registers no clients")
        grants = ["authorization_code", "refresh_token"]
        if await self.endpoint("device_authorization_endpoint"):
            grants.append("urn:ietf:params:oauth:grant-type:device_code")
        metadata = {
            "client_name": name,
            "application_type": application_type,
            "redirect_uris": list(redirect_uris),
            "grant_types": grants,
            "response_types": ["code"],
            "token_endpoint_auth_method": "none" if application_type == "native" else "client_secret_basic",
        }
        found = await self._post(where, json.dumps(metadata), _JSON)
        if not isinstance(found, dict):
            return found
        if not isinstance(found.get("client_id"), str):
            return ServerAway("the provider's answer has no client_id")
        secret = found.get("client_secret")
        return OAuthClient(found["client_id"], secret if isinstance(secret, str) else "")

    # --- how it is asked ---------------------------------------------------------------------------------------------

    async def _tokens(
        self, client: OAuthClient, grant_type: str, asked: Mapping[str, str], now: float, former: str = ""
    ) -> OAuthTokens | GrantRefused | ServerAway:
        found = await self._grant(client, grant_type, asked)
        if not isinstance(found, dict):
            return found
        access, refresh = found.get("access_token"), found.get("refresh_token", former)
        if not _is_token(access) or str(found.get("token_type", "bearer")).lower() != "bearer":
            return ServerAway("the provider's answer has no bearer token")
        if not _is_token(refresh):
            return GrantRefused(
                "no_refresh_token", "the provider gave no refresh token; the scope offline_access may be missing"
            )
        return OAuthTokens(access, refresh, now + _seconds(found.get("expires_in"), _DEFAULT_LIFETIME))

    async def _grant(
        self, client: OAuthClient, grant_type: str, asked: Mapping[str, str]
    ) -> dict[str, Any] | GrantRefused | ServerAway:
        """The token endpoint's answer (RFC 6749 section 5)."""
        where = await self.endpoint("token_endpoint")
        if isinstance(where, ServerAway):
            return where
        named = asked if client.secret else {**asked, "client_id": client.client_id}
        return await self._post(where, prepare_token_request(grant_type, **named), _authenticated(client))

    async def _post(
        self, url: str, content: str, headers: Mapping[str, str]
    ) -> dict[str, Any] | GrantRefused | ServerAway:
        answer = await self._https.post(url, content.encode(), headers, PATIENCE)
        if isinstance(answer, NotFetched):
            return ServerAway(f"{self.provider.title} can't be asked: {answer.reason}")
        found = _object(answer)
        if answer.status in (200, 201) and found is not None:
            return found
        error = found.get("error") if found else None
        if 400 <= answer.status < 500 and answer.status not in (408, 429) and found and isinstance(error, str):
            if error in ("temporarily_unavailable", "server_error"):
                return ServerAway(f"{self.provider.title} answers {error}")
            return GrantRefused(_line(error), _line(found.get("error_description", "")))
        pause = min(_seconds(answer.headers.get("retry-after"), _PAUSE), _LONGEST_PAUSE)
        return ServerAway(f"{self.provider.title} answers with status {answer.status}", pause)

    async def _discover(self) -> ServerAway | None:
        """OpenID Connect Discovery 1.0 section 4, else RFC 8414 section 3."""
        issuer = self.provider.issuer.removesuffix("/")
        origin, slash, path = issuer.removeprefix("https://").partition("/")
        places = (
            f"{issuer}/.well-known/openid-configuration",
            f"https://{origin}/.well-known/oauth-authorization-server{slash}{path}",
        )
        reason = ""
        for place in places:
            answer = await self._https.get(place)
            if isinstance(answer, NotFetched):
                return ServerAway(f"{self.provider.title} can't be asked: {answer.reason}")
            found = _object(answer)
            if answer.status == 200 and found is not None and str(found.get("issuer")).removesuffix("/") == issuer:
                self._learn(found)
                return None
            reason = f"{place} answers with status {answer.status}, or is of another issuer"
        return ServerAway(reason)

    def _learn(self, found: Mapping[str, Any]) -> None:
        for name in _ENDPOINTS:
            value = found.get(name)
            if not self._endpoints[name] and isinstance(value, str) and value.startswith("https://"):
                self._endpoints[name] = value
        self._was_asked = True


def _authenticated(client: OAuthClient) -> Mapping[str, str]:
    """RFC 6749 section 2.3.1: by HTTP Basic, with name and secret encoded as in a form."""
    if not client.secret:
        return _FORM
    pair = f"{quote(client.client_id, safe='')}:{quote(client.secret, safe='')}"
    return {**_FORM, "Authorization": f"Basic {b64encode(pair.encode()).decode()}"}


def _object(answer: Fetched) -> dict[str, Any] | None:
    try:
        found = json.loads(answer.content)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _is_token(text: object, longest: int = _LONGEST_TOKEN) -> TypeGuard[str]:
    """One that fits into a line and says nothing else there (RFC 6750 section 2.1)."""
    return isinstance(text, str) and 0 < len(text) <= longest and all("!" <= char <= "~" for char in text)


def _seconds(text: object, otherwise: float) -> float:
    try:
        found = float(text)  # type: ignore[arg-type]  # whatever it is
    except (TypeError, ValueError):
        return otherwise
    return found if 0 < found < 10 * 365 * 86400 else otherwise


def _line(text: object) -> str:
    """Words of the server, in one line of a sensible length."""
    return printable(str(text).strip(), 300)
