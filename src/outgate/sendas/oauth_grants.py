"""What was allowed at the OAuth providers of gateways, users' own and common ones: the tokens at rest, and who may
refresh them.

Knows no provider and no HTTP: what is stored here was got by oauth/.
"""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Column, ColumnElement, Connection, and_, delete, exists, insert, or_, select, update

from outgate.directory import accounts
from outgate.directory.change import lock
from outgate.directory.gateway_settings import credential_of
from outgate.frozen import frozen
from outgate.model import Consent, Gateway, OAuthTokens
from outgate.store import tables
from outgate.store.lease_clock import LeaseNow
from outgate.store.vault import Vault, token

LEASE: Final = 120.0  # seconds; longer than a provider may take to answer

_grant = tables.oauth_grant.c


@frozen
class OAuthGrant:
    """A gateway's consent with its tokens opened. `refused` says why the provider takes it no more, if so; before
    `retry_at` (seconds since the epoch) it is not to be asked again.
    """

    gateway: Gateway
    client_id: str
    tokens: OAuthTokens
    generation: int
    granted_at: float
    refreshed_at: float
    retry_at: float
    refused: str | None


def replace(connection: Connection, vault: Vault, gateway: Gateway, consent: Consent | None, now: float) -> None:
    """What is allowed to a gateway that has just been set; None: it has a password, or no log-in."""
    connection.execute(delete(tables.oauth_grant).where(_of(gateway)))
    if consent is None:
        return
    values = {_key(gateway).name: gateway.row, "client_id": consent.client_id, "granted_at": now}
    connection.execute(insert(tables.oauth_grant).values(**values, **_sealed(vault, gateway, 1, consent.tokens, now)))


def find(connection: Connection, vault: Vault, gateway: Gateway) -> OAuthGrant | None:
    """The grant of a gateway; None if there is none, or the gateway was set anew since it was read. Raises
    store.vault.SealBroken.
    """
    row = connection.execute(select(tables.oauth_grant).where(_of(gateway), _is_as_read(gateway))).first()
    if row is None:
        return None
    refresh = vault.open(row.sealed_refresh_token, _identity("refresh", gateway, row.generation)).decode()
    access = vault.open(row.sealed_access_token, _identity("access", gateway, row.generation)).decode()
    return OAuthGrant(
        gateway,
        row.client_id,
        OAuthTokens(access, refresh, row.expires_at),
        row.generation,
        row.granted_at,
        row.refreshed_at,
        row.retry_at,
        row.refused,
    )


def claim(connection: Connection, grant: OAuthGrant, owner: str) -> bool:
    """Take the lease to refresh it, for LEASE seconds; False if another has it, or was there before us."""
    now = LeaseNow()
    # A lease that ends later than any could was taken before the machine's clock began anew.
    is_free = or_(_grant.leased_until <= now, _grant.leased_until > now + LEASE)
    taken = update(tables.oauth_grant).where(_this(grant), is_free)
    return connection.execute(taken.values(leased_until=now + LEASE, leased_by=owner)).rowcount == 1


def release(connection: Connection, grant: OAuthGrant, owner: str, retry_at: float) -> None:
    """Give the lease back with nothing changed; the provider is not asked before `retry_at`."""
    mine = update(tables.oauth_grant).where(_this(grant), _grant.leased_by == owner)
    connection.execute(mine.values(leased_until=0.0, leased_by=None, retry_at=retry_at))


def refreshed(connection: Connection, vault: Vault, grant: OAuthGrant, tokens: OAuthTokens, now: float) -> bool:
    """Put new tokens in the place of those that the grant was read with; False if there are others by now."""
    lock(connection)
    values = _sealed(vault, grant.gateway, grant.generation + 1, tokens, now)
    return connection.execute(update(tables.oauth_grant).where(_this(grant)).values(values)).rowcount == 1


def refuse(connection: Connection, grant: OAuthGrant, reason: str) -> bool:
    """The provider takes this refresh token no more; False if that was known, or there is another by now."""
    lock(connection)
    known = update(tables.oauth_grant).where(_this(grant), _grant.refused.is_(None))
    return connection.execute(known.values(refused=reason, leased_until=0.0, leased_by=None)).rowcount == 1


def refusal(connection: Connection, gateway: Gateway) -> str | None:
    """Why whoever signed in to a gateway must do so again, if so."""
    row = connection.execute(select(_grant.refused).where(_of(gateway))).first()
    return row.refused if row else "the consent was erased; sign in again"


def idle(connection: Connection, before: float, now: float, limit: int) -> Sequence[Gateway]:
    """Gateways whose tokens were last refreshed at or before a time, the longest ago first."""
    which = select(_grant.gateway_id, _grant.common_grant_id).where(
        _grant.refreshed_at <= before, _grant.retry_at <= now, _grant.refused.is_(None)
    )
    rows = connection.execute(which.order_by(_grant.refreshed_at).limit(limit)).all()
    found = (
        _users(connection, row.gateway_id) if row.common_grant_id is None else _common(connection, row.common_grant_id)
        for row in rows
    )
    return [one for one in found if one]


def _users(connection: Connection, gateway_id: int) -> Gateway | None:
    columns = (tables.send_as.c.account_id, tables.send_as.c.address)
    row = connection.execute(
        select(*columns).join_from(tables.gateway, tables.send_as).where(tables.gateway.c.id == gateway_id)
    ).one()
    account = accounts.load(connection, row.account_id)
    entry = account.send_as.get(row.address) if account else None
    return entry.gateway if entry else None


def _common(connection: Connection, grant_id: int) -> Gateway:
    row = connection.execute(
        select(tables.address_grant.c.address, *accounts.COMMON_GATEWAY_COLUMNS)
        .join_from(tables.common_gateway, tables.address_grant)
        .where(tables.common_gateway.c.grant_id == grant_id)
    ).one()
    return accounts.common_gateway(row)


def erase(connection: Connection, account_id: int) -> int:
    """Forget all of an account; returns how many there were."""
    of_account = select(tables.send_as.c.id).where(tables.send_as.c.account_id == account_id)
    theirs = select(tables.gateway.c.id).where(tables.gateway.c.send_as_id.in_(of_account))
    return connection.execute(delete(tables.oauth_grant).where(_grant.gateway_id.in_(theirs))).rowcount


def _key(gateway: Gateway) -> Column[int]:
    """What a row says its gateway by."""
    return _grant.common_grant_id if gateway.is_common else _grant.gateway_id


def _of(gateway: Gateway) -> ColumnElement[bool]:
    return _key(gateway) == gateway.row


def _is_as_read(gateway: Gateway) -> ColumnElement[bool]:
    """Whether it has the credential that it was read with: else the tokens are another one's, which is no forgery."""
    table = tables.common_gateway if gateway.is_common else tables.gateway
    (row,) = table.primary_key.columns
    return exists().where(row == gateway.row, table.c.credential_version == gateway.credential_version)


def _this(grant: OAuthGrant) -> ColumnElement[bool]:
    """The row as the grant was read: neither another consent nor later tokens."""
    return and_(
        _of(grant.gateway),
        _grant.generation == grant.generation,
        _grant.granted_at == grant.granted_at,
    )


def _sealed(vault: Vault, gateway: Gateway, generation: int, tokens: OAuthTokens, now: float) -> dict[str, object]:
    return {
        "sealed_refresh_token": vault.seal(tokens.refresh.encode(), _identity("refresh", gateway, generation)),
        "sealed_access_token": vault.seal(tokens.access.encode(), _identity("access", gateway, generation)),
        "generation": generation,
        "expires_at": tokens.expires_at,
        "refreshed_at": now,
        "retry_at": 0.0,
        "refused": None,
        "leased_until": 0.0,
        "leased_by": None,
    }


def _identity(kind: str, gateway: Gateway, generation: int) -> str:
    return token(kind, gateway.provider, generation, credential_of(gateway))
