"""Passkeys (WebAuthn): public keys of what users log in with in place of password and code. Knows no ceremony: what a
browser sent was verified before.

The functions work in the caller's transaction.
"""

from dataclasses import field
from typing import Final

from sqlalchemy import Connection, delete, insert, select, update

from outgate.directory.errors import AlreadyExists, Invalid, NotAllowed, NotFound
from outgate.frozen import frozen
from outgate.store.tables import passkey as table

AT_MOST: Final = 20  # of one account
MAX_NAME: Final = 100  # characters


@frozen
class Passkey:
    """One of an account's. `public_key` is COSE (RFC 9052); times are seconds since the epoch."""

    id: int
    account_id: int
    name: str
    credential_id: bytes = field(repr=False)
    public_key: bytes = field(repr=False)
    sign_count: int
    created_at: float
    last_used_at: float | None


@frozen
class VerifiedKey:
    """What a browser has made and proved."""

    credential_id: bytes
    public_key: bytes
    sign_count: int


def add(connection: Connection, account_id: int, name: str, key: VerifiedKey, now: float) -> None:
    """Log-ins with it from now on. Raises Invalid (the name), AlreadyExists and NotAllowed (there are too many)."""
    name = " ".join(name.split())
    if not 0 < len(name) <= MAX_NAME or not name.isprintable():
        raise Invalid("a passkey has a name of 1 to {most} characters", most=MAX_NAME)
    there = listed(connection, account_id)
    if any(one.name == name for one in there):
        raise AlreadyExists("there is a passkey '{name}' already; take another name", name=name)
    if len(there) >= AT_MOST:
        raise NotAllowed("there are {most} passkeys already; remove one that is not used any more", most=AT_MOST)
    if find(connection, key.credential_id):
        raise AlreadyExists("this passkey is there already")
    row = {"account_id": account_id, "name": name, "created_at": now}
    keys = {"credential_id": key.credential_id, "public_key": key.public_key, "sign_count": key.sign_count}
    connection.execute(insert(table).values(**row, **keys))


def listed(connection: Connection, account_id: int) -> tuple[Passkey, ...]:
    """An account's, by age."""
    rows = connection.execute(_COLUMNS.where(table.c.account_id == account_id).order_by(table.c.id))
    return tuple(Passkey(*row) for row in rows)


def find(connection: Connection, credential_id: bytes) -> Passkey | None:
    """Whosesoever it is."""
    row = connection.execute(_COLUMNS.where(table.c.credential_id == credential_id)).first()
    return Passkey(*row) if row else None


def note_use(connection: Connection, passkey: Passkey, sign_count: int, now: float) -> None:
    """It was used to log in."""
    values = {"sign_count": sign_count, "last_used_at": now}
    connection.execute(update(table).where(table.c.id == passkey.id).values(values))


def remove(connection: Connection, account_id: int, passkey_id: int) -> Passkey:
    """No log-in with it from now on. Raises NotFound."""
    row = connection.execute(_COLUMNS.where(table.c.id == passkey_id, table.c.account_id == account_id)).first()
    if row is None:
        raise NotFound("there is no such passkey any more")
    connection.execute(delete(table).where(table.c.id == passkey_id))
    return Passkey(*row)


def remove_all(connection: Connection, account_id: int) -> int:
    """Remove an account's; returns how many."""
    return connection.execute(delete(table).where(table.c.account_id == account_id)).rowcount


_COLUMNS: Final = select(
    table.c.id,
    table.c.account_id,
    table.c.name,
    table.c.credential_id,
    table.c.public_key,
    table.c.sign_count,
    table.c.created_at,
    table.c.last_used_at,
)
