"""Identity providers with a role for a unit, on both databases."""

from collections.abc import Callable

import pytest
from sqlalchemy import Engine

from outgate.directory import roles, scim_tokens
from outgate.operations.actor import Actor
from outgate.store.engine import read
from outgate.store.vault import Vault
from scim.identity_provider import Provider


@pytest.fixture
def provider(example: Engine, vault: Vault) -> Callable[..., Provider]:
    """Makes one with a role for a unit."""

    def make(role: str = "user-admin", unit: str = "/") -> Provider:
        with read(example) as connection:
            token = scim_tokens.ScimToken("entra", roles.find(connection, role).name, unit, 0.0)
            granted = scim_tokens.grants(connection, token)
        return Provider(example, vault, Actor("SCIM token entra", "192.0.2.1", granted=granted), unit)

    return make
