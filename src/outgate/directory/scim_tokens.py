"""Tokens of identity providers, which they show with each request (SCIM; RFC 6750). Each is long and random; only its
SHA-256 is kept. One lasts until it is revoked, or its unit is removed.

Such a token is nobody's: a role says what it may do, in one unit and those below, so that it goes on working when the
administrator who made it has left. The functions work in the caller's transaction. Knows no HTTP.
"""

import re
import secrets
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, insert, select

from outgate.directory import roles, units
from outgate.directory.change import lock
from outgate.directory.errors import AlreadyExists, Invalid, NotFound
from outgate.directory.privileges import Grant
from outgate.directory.secret_digest import digest
from outgate.frozen import frozen
from outgate.store import tables
from outgate.store.tables import scim_token as table

_NAME: Final = re.compile(r"[a-z]([a-z0-9-]{0,28}[a-z0-9])?")
_PREFIX: Final = "outgate-scim-"  # by which programs that look for secrets in the open know one
_TOKEN_BYTES: Final = 32


@frozen
class ScimToken:
    """One, without its secret. New users are put in `unit`."""

    name: str
    role: str
    unit: str
    created_at: float


def create(connection: Connection, name: str, role: str, unit: str, now: float) -> tuple[ScimToken, str]:
    """A new one with its secret, which can't be had again. Raises AlreadyExists, Invalid, NotFound."""
    lock(connection)  # its role is not removed meanwhile
    if not _NAME.fullmatch(name):
        raise Invalid(
            "'{name}' is not a token's name: small letters, digits and hyphens, at most 30, a letter first",
            name=name[:80],
        )
    if any(one.name == name for one in listed(connection)):
        raise AlreadyExists("there is a SCIM token {name} already", name=name)
    known, place = roles.find(connection, role), units.find(connection, unit)
    secret = _PREFIX + secrets.token_urlsafe(_TOKEN_BYTES)
    row = {"name": name, "digest": digest(secret), "role": known.name, "unit_id": place.id, "created_at": now}
    connection.execute(insert(table).values(row))
    return ScimToken(name, known.name, place.path, now), secret


def listed(connection: Connection) -> tuple[ScimToken, ...]:
    """All there are, by name."""
    return tuple(_made(row) for row in connection.execute(_TOKENS.order_by(table.c.name)))


def revoke(connection: Connection, name: str) -> ScimToken:
    """Nothing is answered to it from now on. Raises NotFound."""
    found = next((one for one in listed(connection) if one.name == name), None)
    if found is None:
        raise NotFound(
            "there is no SCIM token {name}; `outgate scim token list` shows those that exist", name=name[:80]
        )
    connection.execute(delete(table).where(table.c.name == name))
    return found


def find(connection: Connection, secret: str) -> ScimToken | None:
    """The token of this secret; None if there is none."""
    row = connection.execute(_TOKENS.where(table.c.digest == digest(secret))).first()
    return _made(row) if row else None


def grants(connection: Connection, token: ScimToken) -> tuple[Grant, ...]:
    """What it may do: nothing any more if its role is gone."""
    return tuple(Grant(token.unit, role.privileges) for role in roles.roles(connection) if role.name == token.role)


_TOKENS: Final = select(table.c.name, table.c.role, tables.unit.c.path, table.c.created_at).join_from(
    table, tables.unit
)


def _made(row: Row[*tuple[Any, ...]]) -> ScimToken:
    return ScimToken(*row)
