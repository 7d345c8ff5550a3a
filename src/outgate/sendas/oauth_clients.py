"""The OAuth clients that were registered with providers (RFC 7591): one for each address that sign-ins return to."""

from dataclasses import field

from sqlalchemy import ColumnElement, Connection, insert, select

from outgate.directory.change import lock
from outgate.frozen import frozen
from outgate.store import tables
from outgate.store.vault import Vault, client_secret

_client = tables.oauth_client.c


@frozen
class OAuthClient:
    """What this installation is to a provider. Without a secret it is a public client (RFC 6749 section 2.1)."""

    client_id: str
    secret: str = field(default="", repr=False)


def keep(
    connection: Connection, vault: Vault, provider: str, redirect_uri: str, client: OAuthClient, now: float
) -> OAuthClient:
    """Keep a client that was registered just now; returns the one that there is, if another was quicker."""
    lock(connection)
    if found := for_redirect(connection, vault, provider, redirect_uri):
        return found
    sealed = vault.seal(client.secret.encode(), client_secret(provider, client.client_id)) if client.secret else None
    values = {"provider": provider, "redirect_uri": redirect_uri, "registered_at": now}
    connection.execute(insert(tables.oauth_client).values(client_id=client.client_id, sealed_secret=sealed, **values))
    return client


def for_redirect(connection: Connection, vault: Vault, provider: str, redirect_uri: str) -> OAuthClient | None:
    """The client whose sign-ins return there. Raises store.vault.SealBroken."""
    return _found(connection, vault, provider, _client.redirect_uri == redirect_uri)


def by_id(connection: Connection, vault: Vault, provider: str, client_id: str) -> OAuthClient | None:
    """The client of this id. Raises store.vault.SealBroken."""
    return _found(connection, vault, provider, _client.client_id == client_id)


def _found(connection: Connection, vault: Vault, provider: str, which: ColumnElement[bool]) -> OAuthClient | None:
    row = connection.execute(select(tables.oauth_client).where(_client.provider == provider, which)).first()
    if row is None:
        return None
    secret = b""
    if row.sealed_secret is not None:
        secret = vault.open(row.sealed_secret, client_secret(provider, row.client_id))
    return OAuthClient(row.client_id, secret.decode())
