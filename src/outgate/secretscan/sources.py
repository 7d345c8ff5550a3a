"""The secrets that are known here: those that the vault seals, its keys, and what files name."""

from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection

from outgate.secretscan.encodings import Secret
from outgate.store import sealed
from outgate.store.keyfile import Keys
from outgate.store.vault import Vault


def of_vault(connection: Connection, vault: Vault) -> Iterator[Secret]:
    """Gateways' passwords and tokens, secrets of clients and webhooks, signing keys. Raises store.vault.SealBroken."""
    for column in (sealed.GATEWAY, sealed.COMMON_GATEWAY, sealed.DOMAIN_GATEWAY):
        for row in column.rows(connection):
            identity = column.identity(row)
            yield Secret(
                f"password of {column.table.name} {row[0]} at {row.host}",
                vault.open(column.value(row), identity),
                row.username,
            )
    for column in (*sealed.USER_TOKENS, *sealed.COMMON_TOKENS):
        gateway, kind = column.beside[0].name, column.column.name.removeprefix("sealed_").replace("_", " ")
        for row in column.rows(connection):
            host, username = (row._mapping[f"{gateway}__{name}"] for name in ("host", "username"))
            name = f"{kind} of {gateway} {row.gateway_id or row.common_grant_id} at {host}"
            yield Secret(name, vault.open(column.value(row), column.identity(row)), username)
    for row in sealed.CLIENT_SECRET.rows(connection):
        secret = vault.open(sealed.CLIENT_SECRET.value(row), sealed.CLIENT_SECRET.identity(row))
        yield Secret(f"secret of the OAuth client at {row.provider}", secret)
    for column in (sealed.WEBHOOK_SECRET, sealed.FORMER_WEBHOOK_SECRET):
        for row in column.rows(connection):
            secret = vault.open(column.value(row), column.identity(row))
            yield Secret(f"secret of the webhook {row.name}", secret, in_memory=False)
    for row in sealed.DKIM.rows(connection):
        key = vault.open(sealed.DKIM.value(row), sealed.DKIM.identity(row))
        yield Secret(f"DKIM key of {row.domain__name}", key, in_memory=False)


def of_keys(keys: Keys) -> Iterator[Secret]:
    """The vault's keys."""
    for key_id, key in keys.items():
        yield Secret(f"the vault's key {key_id}", key, in_memory=False)


def of_file(path: Path, name: str, *, in_memory: bool = True) -> Iterator[Secret]:
    """One secret a line."""
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        if line:
            yield Secret(f"{name}, line {number}", line, in_memory=in_memory)
