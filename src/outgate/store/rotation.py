"""A new key for the vault: added to the file, everything sealed anew with it, then the old keys removed.

Safe to kill at any step. Until the last one every key that opens anything is in the file, and rotating again finishes.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Connection, Engine, Row, Table, delete, select, update

from outgate.store import keyfile, tables
from outgate.store.engine import write
from outgate.store.vault import Vault, credential, signing_key

AnyRow = Row[*tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Rotation:
    """What was done: the id of the key now in use, and how many values were sealed anew with it."""

    key_id: str
    resealed: int


@dataclass(frozen=True, slots=True)
class _Sealed:
    """A column of sealed values, and the identity that each is sealed for."""

    table: Table
    column: Column[bytes]
    identity: Callable[[AnyRow], str]


def credential_of(row: AnyRow, prefix: str) -> str:
    """The identity of a gateway row's password; `prefix` is `gateway` or `domain-gateway`."""
    return credential(f"{prefix}:{row.id}", row.credential_version, row.security, row.host, row.port, row.username)


_SEALED = (
    _Sealed(tables.gateway, tables.gateway.c.sealed_password, lambda row: credential_of(row, "gateway")),
    _Sealed(
        tables.domain_gateway,
        tables.domain_gateway.c.sealed_password,
        lambda row: credential_of(row, "domain-gateway"),
    ),
    _Sealed(tables.domain, tables.domain.c.dkim_sealed_key, lambda row: signing_key(row.name)),
)


def rotate(engine: Engine, path: Path, environment: Mapping[str, str] | None = None) -> Rotation:
    """Seal everything with a new key. Codes that wait for confirmation lapse: they must be sent again.

    Raises keyfile.KeyFileError, vault.SealBroken (nothing is changed then but that the file has one key more) and
    store.engine.StoreUnavailable. Keys of the environment are the administrator's to change: there the last one given
    is the new one.
    """
    environment = os.environ if environment is None else environment
    if environment.get(keyfile.VARIABLE):
        return _rotate_environment(engine, path, environment)
    keys = keyfile.read(path)
    key_id, key = keyfile.new_key()
    keyfile.write(path, keys | {key_id: key})
    resealed = _reseal(engine, Vault.load(path, environment))
    keyfile.write(path, {key_id: key})
    return Rotation(key_id, resealed)


def _rotate_environment(engine: Engine, path: Path, environment: Mapping[str, str]) -> Rotation:
    keys = keyfile.load(path, environment)
    if len(keys) < 2:
        raise keyfile.KeyFileError(
            f"the key comes from {keyfile.VARIABLE}, which this program can't change. Append a second line"
            " `<new id> <key>` to it (key: openssl rand -base64 32), restart all nodes with it, run this again, then"
            " remove the first line and restart all nodes"
        )
    return Rotation(next(reversed(keys)), _reseal(engine, Vault.load(path, environment)))


def _reseal(engine: Engine, vault: Vault) -> int:
    """All columns in one transaction. The update at its start is the lock that whoever seals holds as well."""
    columns = tables.organisation.c
    with write(engine) as connection:
        connection.execute(update(tables.organisation).values(directory_version=columns.directory_version + 1))
        connection.execute(delete(tables.verification))
        return sum(_reseal_column(connection, vault, sealed) for sealed in _SEALED)


def _reseal_column(connection: Connection, vault: Vault, sealed: _Sealed) -> int:
    rows = connection.execute(select(sealed.table).where(sealed.column.is_not(None))).all()
    for row in rows:
        identity = sealed.identity(row)
        value = vault.seal(vault.open(row._mapping[sealed.column], identity), identity)
        connection.execute(update(sealed.table).where(sealed.table.c.id == row.id).values({sealed.column.name: value}))
    return len(rows)
