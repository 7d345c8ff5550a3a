"""A user's sign-in at a provider: the address that the browser opens, what comes back, and the device's way.

Authorization code with PKCE (RFC 7636); the browser returns to a loopback address (RFC 8252) or to a page of ours. What
is to be remembered between the two is data (`SignIn`), so that it may be kept anywhere. Knows no user and no gateway.
"""

import asyncio
import secrets
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Final, TypeVar
from urllib.parse import parse_qs

from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from sqlalchemy import Engine

from outgate.directory.errors import DirectoryError
from outgate.egress.https_client import HttpsClient
from outgate.frozen import frozen
from outgate.model import Consent
from outgate.oauth.authorization_server import (
    AuthorizationServer,
    DeviceCode,
    GrantRefused,
    ServerAway,
)
from outgate.oauth.clients import known_client
from outgate.oauth.providers import OAuthProvider
from outgate.printable import printable
from outgate.sendas import oauth_clients
from outgate.sendas.oauth_clients import OAuthClient
from outgate.store.engine import read, write
from outgate.store.vault import Vault

T = TypeVar("T")

LOOPBACK: Final = "http://127.0.0.1/"  # what a loopback address is registered as; the port may be any (RFC 8252)


@frozen
class SignIn:
    """One that has begun. `state` and `verifier` are long and random, and good for this one alone."""

    provider: str
    client_id: str
    redirect_uri: str
    state: str
    verifier: str = field(repr=False)
    url: str


class SignInFailed(DirectoryError):
    """The user did not sign in, or the provider can't be asked; the text says why, for people."""


class SignIns:
    """Begins and ends sign-ins at one provider. `name` is what the provider's page calls us."""

    def __init__(
        self,
        provider: OAuthProvider,
        https: HttpsClient,
        engine: Engine,
        vault: Vault,
        name: str,
        now: Callable[[], float],
    ) -> None:
        self.provider = provider
        self._server = AuthorizationServer(provider, https)
        self._engine, self._vault, self._name, self._now = engine, vault, name, now

    async def begin(self, redirect_uri: str, *, login_hint: str = "", native: bool = False) -> SignIn:
        """One that returns to this address, which is a program's on the user's machine if it is `native`. Raises
        SignInFailed.
        """
        client = await self._client(LOOPBACK if native else redirect_uri, "native" if native else "web")
        endpoint = _answer(await self._server.endpoint("authorization_endpoint"))
        state, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(48)
        url = prepare_grant_uri(
            endpoint,
            client.client_id,
            "code",
            redirect_uri=redirect_uri,
            scope=list(self.provider.scopes),
            state=state,
            code_challenge=str(create_s256_code_challenge(verifier)),  # type: ignore[no-untyped-call]  # its stubs
            code_challenge_method="S256",
            login_hint=login_hint or None,
            **self.provider.authorization_parameters,
        )
        return SignIn(self.provider.name, client.client_id, redirect_uri, state, verifier, url)

    async def end(self, begun: SignIn, returned: str) -> Consent:
        """What the user has allowed, by the query that the browser came back with. Raises SignInFailed."""
        client = await self._known(begun.client_id)
        code = code_in(returned, begun.state, self.provider.issuer)
        found = await self._server.exchange(client, code, begun.redirect_uri, begun.verifier, self._now())
        return Consent(self.provider.name, client.client_id, _answer(found))

    async def begin_device(self) -> tuple[OAuthClient, DeviceCode]:
        """The user enters a code on another device (RFC 8628). Raises SignInFailed."""
        client = await self._client(LOOPBACK, "native")
        return client, _answer(await self._server.device_code(client))

    async def device_consent(self, client: OAuthClient, device: DeviceCode) -> Consent | float:
        """What the user has allowed; or by how many seconds to wait longer than before for it. Raises SignInFailed."""
        found = await self._server.device_tokens(client, device, self._now())
        if isinstance(found, GrantRefused) and found.error in ("authorization_pending", "slow_down"):
            return 5.0 if found.error == "slow_down" else 0.0
        if isinstance(found, ServerAway):
            return 5.0
        return Consent(self.provider.name, client.client_id, _answer(found))

    # --- the client that we are --------------------------------------------------------------------------------------

    async def _client(self, redirect_uri: str, application_type: str) -> OAuthClient:
        """That of the settings; else one that is registered, now if it was not before."""
        if self.provider.client_id:
            return OAuthClient(self.provider.client_id, self.provider.client_secret)
        known = await asyncio.to_thread(self._registered, redirect_uri)
        if known is None:
            made = _answer(await self._server.register([redirect_uri], application_type, self._name))
            known = await asyncio.to_thread(self._keep, redirect_uri, made)
        return known

    async def _known(self, client_id: str) -> OAuthClient:
        found = await asyncio.to_thread(known_client, self._engine, self._vault, self.provider, client_id)
        if found is None:
            raise SignInFailed("the client that this sign-in began with is no longer set up; begin again")
        return found

    def _registered(self, redirect_uri: str) -> OAuthClient | None:
        with read(self._engine) as connection:
            return oauth_clients.for_redirect(connection, self._vault, self.provider.name, redirect_uri)

    def _keep(self, redirect_uri: str, client: OAuthClient) -> OAuthClient:
        with write(self._engine) as connection:
            return oauth_clients.keep(connection, self._vault, self.provider.name, redirect_uri, client, self._now())


def code_in(query: str, state: str, issuer: str = "") -> str:
    """The code that the browser came back with; from the provider that it was sent to, where that says its name (RFC
    9207). Raises SignInFailed.
    """
    found = {name: values[-1] for name, values in parse_qs(query).items()}
    if not secrets.compare_digest(found.get("state", "").encode(), state.encode()):
        raise SignInFailed("the answer is not to this sign-in; begin again")
    if "error" in found:
        raise SignInFailed("the provider says: {said}", said=_described(found))
    if issuer and found.get("iss", issuer).removesuffix("/") != issuer.removesuffix("/"):
        raise SignInFailed("the answer is another provider's; begin again")
    if "code" not in found:
        raise SignInFailed("the provider's answer has no code; begin again")
    return found["code"]


def _described(found: Mapping[str, str]) -> str:
    return GrantRefused(printable(found["error"], 100), printable(found.get("error_description", ""), 300)).text


def _answer(found: T | GrantRefused | ServerAway) -> T:
    """Raises SignInFailed."""
    if isinstance(found, GrantRefused):
        raise SignInFailed("the provider says: {said}", said=found.text)
    if isinstance(found, ServerAway):
        raise SignInFailed(found.reason)
    return found
