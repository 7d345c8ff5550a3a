"""The client that a consent was given to: that of the settings, or one that was registered."""

from sqlalchemy import Engine

from outgate.oauth.providers import OAuthProvider
from outgate.sendas import oauth_clients
from outgate.sendas.oauth_clients import OAuthClient
from outgate.store.engine import read
from outgate.store.vault import Vault


def known_client(engine: Engine, vault: Vault, provider: OAuthProvider, client_id: str) -> OAuthClient | None:
    """With its secret; None if it is no longer set up. Raises store.vault.SealBroken."""
    if client_id == provider.client_id:
        return OAuthClient(client_id, provider.client_secret)
    with read(engine) as connection:
        return oauth_clients.by_id(connection, vault, provider.name, client_id)
