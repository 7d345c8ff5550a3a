"""Access tokens for gateways, kept fresh: whoever logs in gets one that is good for ten minutes at least.

One refresh at a time over all processes and nodes, by a lease in the database. New tokens take the place of the old
ones in one transaction; a provider's refusal is noted with its reason, and the user told, in the same transaction.
Knows no SMTP.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog
from prometheus_client import Counter
from sqlalchemy import Connection, Engine

from outgate.egress.https_client import HttpsClient
from outgate.frozen import frozen
from outgate.model import Gateway, OAuthTokens
from outgate.oauth.authorization_server import AuthorizationServer, GrantRefused, ServerAway
from outgate.oauth.clients import known_client
from outgate.oauth.consent_refusal import refusal_words
from outgate.oauth.providers import OAuthProviders, UnknownProvider
from outgate.sendas import oauth_grants
from outgate.sendas.oauth_grants import OAuthGrant
from outgate.store.engine import StoreUnavailable, read, write
from outgate.store.vault import SealBroken, Vault

MARGIN: Final = 600.0  # seconds before its end from which a token is renewed: Microsoft refuses one about to end
IDLE: Final = 7 * 86400.0  # seconds after which tokens that nobody uses are refreshed: Microsoft's die after 90 days
LOOK_EVERY: Final = 600.0  # seconds between looks for such
AT_ONCE: Final = 100  # of these that are refreshed at one look
FOR_ANOTHER: Final = 45.0  # seconds to wait for another's refresh
_LOOK: Final = 0.2  # seconds between looks whether it is done
_STORE: Final = 1.0  # seconds between tries to store what a provider has given

_NEW: Final = 300.0  # seconds that a token is too new for another to be worth a try
# Refusals that the user alone can mend, by signing in again.
_OF_USER: Final = frozenset({"invalid_grant", "no_refresh_token", "interaction_required"})

_REFRESHED = Counter("outgate_oauth_refreshes", "Refreshes of OAuth tokens, by what came of them", ["outcome"])

T = TypeVar("T")
TellUser = Callable[[Connection, Gateway, str], None]  # in the transaction that notes the refusal

_log = structlog.get_logger("oauth")


@frozen
class NoToken:
    """Why there is no access token now. `must_sign_in`: only the gateway's user can change that."""

    reason: str
    must_sign_in: bool = False


class AccessTokens:
    """For one event loop; `owner` names this process among all that share the database."""

    def __init__(
        self,
        engine: Engine,
        vault: Vault,
        providers: OAuthProviders,
        https: HttpsClient,
        owner: str,
        now: Callable[[], float],
        tell_user: TellUser,
    ) -> None:
        self._engine, self._vault, self._providers, self._https = engine, vault, providers, https
        self._owner, self._now, self._tell_user = owner, now, tell_user
        self._servers: dict[str, AuthorizationServer] = {}

    async def current(self, gateway: Gateway, *, instead_of: str = "") -> str | NoToken:
        """A token to log in with, good for MARGIN seconds or half of its life; refreshed first if need be.

        `instead_of` is one that the gateway's server would not take: another is got. Raises store.vault.SealBroken and
        StoreUnavailable.
        """
        until = asyncio.get_running_loop().time() + FOR_ANOTHER
        while True:
            grant = await self._in_thread(lambda connection: oauth_grants.find(connection, self._vault, gateway))
            if grant is None:
                return NoToken("the gateway was changed just now, or its consent erased: then sign in again", True)
            if grant.refused:
                return NoToken(grant.refused, True)
            if self._is_fresh(grant) and grant.tokens.access != instead_of:
                return grant.tokens.access
            if grant.tokens.access == instead_of and self._now() - grant.refreshed_at < _NEW:
                return NoToken("a new token is refused as well")
            if self._now() < grant.retry_at:
                return self._usable(grant, instead_of) or NoToken("the provider could not be asked for a new token")
            if await self._claimed(grant):
                refreshed = await self._refresh(grant)
                if isinstance(refreshed, NoToken) and not refreshed.must_sign_in:
                    return self._usable(grant, instead_of) or refreshed
                if isinstance(refreshed, NoToken):
                    return refreshed
            elif usable := self._usable(grant, instead_of):
                return usable  # another refreshes it; this one is good as long
            elif asyncio.get_running_loop().time() > until:
                return NoToken("another process has not refreshed the token in time")
            else:
                await asyncio.sleep(_LOOK)

    async def run(self) -> None:
        """Refresh what nobody uses, for ever."""
        while True:
            try:
                await self.refresh_idle()
            except StoreUnavailable as error:
                _log.error("idle tokens not refreshed", error=str(error))
            await asyncio.sleep(LOOK_EVERY)

    async def refresh_idle(self) -> int:
        """Refresh the tokens that were not for a week; how many there were."""
        now = self._now()
        found = await self._in_thread(lambda connection: oauth_grants.idle(connection, now - IDLE, now, AT_ONCE))
        for gateway in found:
            try:
                await self._refresh_if_idle(gateway)
            except SealBroken as error:
                _log.error("idle tokens not refreshed", gateway=gateway.identity, error=str(error))
        return len(found)

    async def _refresh_if_idle(self, gateway: Gateway) -> None:
        grant = await self._in_thread(lambda connection: oauth_grants.find(connection, self._vault, gateway))
        if grant is None or grant.refused or self._now() - grant.refreshed_at < IDLE:
            return
        if await self._claimed(grant):
            await self._refresh(grant)

    # --- one refresh, whose lease is ours -------------------------------------------------------------------------

    async def _refresh(self, grant: OAuthGrant) -> OAuthTokens | NoToken:
        """Asked and noted as one: once it is asked, the provider may have made the former refresh token worthless.

        Whoever breaks it off waits for its end; the provider is not waited for much longer than half a minute.
        """
        refreshing = asyncio.ensure_future(self._asked_and_noted(grant))
        try:
            return await asyncio.shield(refreshing)
        except asyncio.CancelledError:
            await asyncio.wait([refreshing])
            raise

    async def _asked_and_noted(self, grant: OAuthGrant) -> OAuthTokens | NoToken:
        return await self._noted(grant, await self._asked(grant))

    async def _asked(self, grant: OAuthGrant) -> OAuthTokens | GrantRefused | ServerAway:
        try:
            provider = self._providers.find(grant.gateway.provider)
        except UnknownProvider as error:
            return ServerAway(str(error))
        client = await asyncio.to_thread(known_client, self._engine, self._vault, provider, grant.client_id)
        if client is None:
            return GrantRefused("invalid_client", "the client that the user has signed in with is no longer set up")
        server = self._servers.get(provider.name)
        if server is None or server.provider != provider:
            server = self._servers[provider.name] = AuthorizationServer(provider, self._https)
        return await server.refresh(client, grant.tokens.refresh, self._now())

    async def _noted(self, grant: OAuthGrant, found: OAuthTokens | GrantRefused | ServerAway) -> OAuthTokens | NoToken:
        now, gateway = self._now(), grant.gateway
        if isinstance(found, OAuthTokens):
            await self._stored(lambda connection: oauth_grants.refreshed(connection, self._vault, grant, found, now))
            _REFRESHED.labels("refreshed").inc()
            _log.info("tokens refreshed", gateway=gateway.identity, provider=gateway.provider)
            return found
        if isinstance(found, GrantRefused) and found.error in _OF_USER:
            reason = refusal_words(self._providers.find(gateway.provider), found, grant.granted_at, now)
            await self._stored(lambda connection: self._refused(connection, grant, reason))
            _REFRESHED.labels("refused").inc()
            _log.warning("tokens refused", gateway=gateway.identity, provider=gateway.provider, reason=found.text)
            return NoToken(reason, must_sign_in=True)
        # Everything else is the provider's or the administrator's to mend (invalid_client): it is asked again later.
        pause = found.pause if isinstance(found, ServerAway) else LOOK_EVERY
        reason = found.reason if isinstance(found, ServerAway) else f"the provider says: {found.text}"
        await self._stored(lambda connection: self._release(connection, grant, now + pause))
        _REFRESHED.labels("failed").inc()
        _log.warning("tokens not refreshed", gateway=gateway.identity, provider=gateway.provider, reason=reason)
        return NoToken(reason)

    def _refused(self, connection: Connection, grant: OAuthGrant, reason: str) -> None:
        if oauth_grants.refuse(connection, grant, reason):
            self._tell_user(connection, grant.gateway, reason)

    def _release(self, connection: Connection, grant: OAuthGrant, retry_at: float) -> None:
        oauth_grants.release(connection, grant, self._owner, retry_at)

    async def _stored(self, change: Callable[[Connection], object]) -> None:
        """Until it is: what the provider has given is to be had nowhere else."""
        while True:
            try:
                await self._write(change)
            except StoreUnavailable as error:
                _log.error("tokens not stored yet", error=str(error))
                await asyncio.sleep(_STORE)
            else:
                return

    # --- judging, and the database --------------------------------------------------------------------------------

    def _is_fresh(self, grant: OAuthGrant) -> bool:
        lifetime = grant.tokens.expires_at - grant.refreshed_at
        return self._now() < grant.tokens.expires_at - min(MARGIN, lifetime / 2)

    def _usable(self, grant: OAuthGrant, instead_of: str) -> str | None:
        """The token, though it is about to end."""
        is_good = self._now() < grant.tokens.expires_at and grant.tokens.access != instead_of
        return grant.tokens.access if is_good else None

    def _claimed(self, grant: OAuthGrant) -> Awaitable[bool]:
        return self._write(lambda connection: oauth_grants.claim(connection, grant, self._owner))

    def _in_thread(self, question: Callable[[Connection], T]) -> Awaitable[T]:
        def ask() -> T:
            with read(self._engine) as connection:
                return question(connection)

        return asyncio.to_thread(ask)

    def _write(self, change: Callable[[Connection], T]) -> Awaitable[T]:
        def make() -> T:
            with write(self._engine) as connection:
                return change(connection)

        return asyncio.to_thread(make)
