"""Service accounts: programs that act for users of the organisation, each with keys of its own and what it was granted.

Of a key only the public half is kept; the private one is shown once, to whoever makes it. What is taken away ends the
tokens that were had by it. The functions work in the caller's transaction.
"""

import re
import secrets
from dataclasses import field
from typing import Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from sqlalchemy import Connection, Row, delete, insert, select

from outgate.directory.change import touch
from outgate.directory.errors import AlreadyExists, Invalid, NotAllowed, NotFound
from outgate.frozen import frozen
from outgate.store import tables

KEYS_AT_MOST: Final = 10  # of one service account, as at Google
_KEY_BITS: Final = 2048
_NAME: Final = re.compile(r"[a-z]([a-z0-9-]{0,28}[a-z0-9])?")
_SCOPE: Final = re.compile(r"[!#-\[\]-~]{1,200}")  # RFC 6749 3.3
_CLIENT_ID_DIGITS: Final = 21

_account, _key, _grant, _token = (
    tables.service_account.c,
    tables.service_account_key.c,
    tables.delegation.c,
    tables.access_token.c,
)


@frozen
class ServiceAccount:
    """One, with the ids of its keys by age and the scopes that it was granted."""

    name: str
    email: str
    client_id: str
    created_at: float
    keys: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()


@frozen
class NewKey:
    """A key that was just made; `private_key` (PEM, PKCS #8) can't be had again."""

    key_id: str
    private_key: str = field(repr=False)


@frozen
class PublicKey:
    """What a service account's signature is checked with, whose it is, and what that one was granted."""

    row: int
    key_id: str
    pem: str
    email: str
    scopes: frozenset[str]


def create(connection: Connection, name: str, host: str, now: float) -> ServiceAccount:
    """One without keys and grants; `host` is what its address ends with. Raises AlreadyExists, Invalid."""
    touch(connection)
    if not _NAME.fullmatch(name):
        raise Invalid(
            "'{name}' is not a service account's name: small letters, digits and hyphens, at most 30, a letter first",
            name=name[:80],
        )
    if any(one.name == name for one in listed(connection)):
        raise AlreadyExists("there is a service account {name} already", name=name)
    client_id = "1" + "".join(secrets.choice("0123456789") for _ in range(_CLIENT_ID_DIGITS - 1))
    row = {"name": name, "email": f"{name}@service.{host}", "client_id": client_id, "created_at": now}
    connection.execute(insert(tables.service_account).values(row))
    return find(connection, name)


def listed(connection: Connection) -> tuple[ServiceAccount, ...]:
    """All there are, by name."""
    rows = connection.execute(select(tables.service_account).order_by(_account.name))
    return tuple(_made(connection, row) for row in rows)


def find(connection: Connection, name: str) -> ServiceAccount:
    """The one of this name, address or client id. Raises NotFound."""
    return _made(connection, _row(connection, name))


def remove(connection: Connection, name: str) -> ServiceAccount:
    """Take it away with its keys, grants and tokens. Raises NotFound."""
    touch(connection)
    found = find(connection, name)
    connection.execute(delete(tables.service_account).where(_account.client_id == found.client_id))
    return found


def add_key(connection: Connection, name: str, now: float) -> NewKey:
    """A further key. Raises NotAllowed (there are too many), NotFound."""
    touch(connection)
    row = _row(connection, name)
    if len(_made(connection, row).keys) >= KEYS_AT_MOST:
        raise NotAllowed("{name} has {most} keys already; revoke one first", name=row.name, most=KEYS_AT_MOST)
    private = rsa.generate_private_key(65537, _KEY_BITS)
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    key_id = secrets.token_hex(20)
    values = {"service_account_id": row.id, "key_id": key_id, "public_key": public.decode(), "created_at": now}
    connection.execute(insert(tables.service_account_key).values(values))
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return NewKey(key_id, pem.decode())


def revoke_key(connection: Connection, name: str, key_id: str) -> None:
    """Nothing is signed with it from now on, and tokens that were had by it end. Raises NotFound."""
    touch(connection)
    mine = (_key.service_account_id == _row(connection, name).id, _key.key_id == key_id)
    if not connection.execute(delete(tables.service_account_key).where(*mine)).rowcount:
        raise NotFound("{name} has no key {key}", name=name[:80], key=key_id[:80])


def grant(connection: Connection, name: str, scopes: tuple[str, ...], now: float) -> ServiceAccount:
    """What the service account may do as any user from now on, all of it; none takes everything away.

    Its tokens end: it gets new ones of what it may do now. Raises Invalid, NotFound.
    """
    touch(connection)
    row = _row(connection, name)
    for scope in scopes:
        if not _SCOPE.fullmatch(scope):
            raise Invalid("'{scope}' is not a scope", scope=scope[:80])
    connection.execute(delete(tables.delegation).where(_grant.service_account_id == row.id))
    for scope in sorted(set(scopes)):
        values = {"service_account_id": row.id, "scope": scope, "created_at": now}
        connection.execute(insert(tables.delegation).values(values))
    of_it = select(_key.id).where(_key.service_account_id == row.id)
    connection.execute(delete(tables.access_token).where(_token.key_id.in_(of_it)))
    return _made(connection, row)


def public_keys(connection: Connection, email: str) -> tuple[PublicKey, ...]:
    """The keys of the service account of this address; none if there is none."""
    rows = connection.execute(
        select(_key.id, _key.key_id, _key.public_key, _key.service_account_id, _account.email)
        .join_from(tables.service_account_key, tables.service_account)
        .where(_account.email == email)
    ).all()
    scopes = frozenset(_scopes(connection, rows[0].service_account_id)) if rows else frozenset()
    return tuple(PublicKey(row.id, row.key_id, row.public_key, row.email, scopes) for row in rows)


def _row(connection: Connection, name: str) -> Row[*tuple[Any, ...]]:
    named = (_account.name == name) | (_account.email == name) | (_account.client_id == name)
    row = connection.execute(select(tables.service_account).where(named)).first()
    if row is None:
        raise NotFound(
            "there is no service account {name}; `outgate service-account list` shows those that exist", name=name[:80]
        )
    return row


def _made(connection: Connection, row: Row[*tuple[Any, ...]]) -> ServiceAccount:
    keys = select(_key.key_id).where(_key.service_account_id == row.id).order_by(_key.id)
    return ServiceAccount(
        row.name,
        row.email,
        row.client_id,
        row.created_at,
        tuple(connection.scalars(keys)),
        _scopes(connection, row.id),
    )


def _scopes(connection: Connection, service_account_id: int) -> tuple[str, ...]:
    found = select(_grant.scope).where(_grant.service_account_id == service_account_id).order_by(_grant.scope)
    return tuple(connection.scalars(found))
