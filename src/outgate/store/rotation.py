"""A new key for the vault: added to the file, everything sealed anew with it, then the old keys removed.

Safe to kill at any step. Until the last one every key that opens anything is in the file, and rotating again finishes.
Where the keys are not ours to write (environment, command) only the middle step is done here.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, delete, update

from outgate import clock
from outgate.frozen import frozen
from outgate.store import keyfile, keysource, tables
from outgate.store.engine import write
from outgate.store.keysource import FileKeys, KeySource
from outgate.store.sealed import SEALED, SealedColumn
from outgate.store.vault import Vault

_ONE_KEY: Final = {
    keyfile.VARIABLE: (
        f"the key comes from {keyfile.VARIABLE}, which this program can't change. Append a second line"
        " `<new id> <key>` to it (key: openssl rand -base64 32), restart all nodes with it, run this again, then"
        " remove the first line and restart all nodes"
    ),
    "secret_key_command": (
        "secret_key_command prints one key. Have it print a second line `<new id> <key>` (32 bytes in base64), send"
        " all nodes SIGHUP, run this again, and let it print the first line no more when `outgate secrets status`"
        " counts nothing that is sealed with it"
    ),
}


@frozen
class Rotation:
    """What was done: the id of the key now in use, and how many values were sealed anew with it."""

    key_id: str
    resealed: int


def rotate(
    engine: Engine, path: Path, environment: Mapping[str, str] | None = None, command: Sequence[str] = ()
) -> Rotation:
    """Seal everything with a new key. Codes that wait for confirmation lapse: they must be sent again.

    Raises keyfile.KeyFileError, vault.SealBroken (nothing is changed then but that the file has one key more) and
    store.engine.StoreUnavailable. Keys of the environment or of a command are the administrator's to change: there the
    last one given is the new one.
    """
    source = keysource.source(path, environment, command)
    if not isinstance(source, FileKeys):
        return _rotate_given(engine, source)
    keys = source.read()
    key_id, key = keyfile.new_key()
    keyfile.write(path, keys | {key_id: key})
    resealed = _reseal(engine, Vault.load(path, {}))
    keyfile.write(path, {key_id: key})
    return Rotation(key_id, resealed)


def _rotate_given(engine: Engine, source: KeySource) -> Rotation:
    keys = source.read()
    if len(keys) < 2:
        raise keyfile.KeyFileError(_ONE_KEY[source.name])
    current = next(reversed(keys))
    return Rotation(current, _reseal(engine, Vault(keys, current)))


def _reseal(engine: Engine, vault: Vault) -> int:
    """All columns in one transaction. The update at its start is the lock that whoever seals holds as well."""
    columns = tables.organisation.c
    versions = {"directory_version": columns.directory_version + 1, "policy_version": columns.policy_version + 1}
    with write(engine) as connection:
        connection.execute(update(tables.organisation).values(versions))
        connection.execute(delete(tables.verification))
        _forget_former_secrets(connection)
        return sum(_reseal_column(connection, vault, sealed) for sealed in SEALED)


def _forget_former_secrets(connection: Connection) -> None:
    """Those of webhooks whose time is over sign nothing any more."""
    webhook = tables.webhook.c
    forgotten = {"sealed_former_secret": None, "former_until": None}
    connection.execute(update(tables.webhook).where(webhook.former_until <= clock.now()).values(forgotten))


def _reseal_column(connection: Connection, vault: Vault, sealed: SealedColumn) -> int:
    rows = list(sealed.rows(connection))
    for row in rows:
        identity = sealed.identity(row)
        value = vault.seal(vault.open(sealed.value(row), identity), identity)
        this = [column == row._mapping[column] for column in sealed.table.primary_key]
        connection.execute(update(sealed.table).where(*this).values({sealed.column.name: value}))
    return len(rows)
