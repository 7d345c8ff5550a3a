"""Access tokens: what a program shows with each request (RFC 6750). Each is long and random; only its SHA-256 is kept.

One ends after an hour, when it is revoked, and with whatever it was given for: account, service account, key, grant.
The functions work in the caller's transaction. Knows no HTTP.
"""

import secrets
from typing import Final

from sqlalchemy import Connection, bindparam, delete, insert, select

from outgate.directory.secret_digest import digest
from outgate.frozen import frozen
from outgate.store.sealed import AnyRow
from outgate.store.tables import access_token as table

LIFETIME: Final = 3600.0  # seconds
_PREFIX: Final = "outgate-"  # by which programs that look for secrets in the open know one
_TOKEN_BYTES: Final = 32


@frozen
class AccessToken:
    """Whose it is and what it is good for, without its secret. Times are seconds since the epoch."""

    account_id: int
    client: str
    scopes: frozenset[str]
    expires_at: float


def issue(
    connection: Connection, account_id: int, client: str, scopes: frozenset[str], now: float, key_row: int | None = None
) -> str:
    """A new one; returns the secret. `key_row` is the key of the service account that asked for it."""
    token = _PREFIX + secrets.token_urlsafe(_TOKEN_BYTES)
    connection.execute(delete(table).where(table.c.expires_at <= now))
    row = {
        "digest": digest(token),
        "account_id": account_id,
        "key_id": key_row,
        "client": client,
        "scopes": " ".join(sorted(scopes)),
        "created_at": now,
        "expires_at": now + LIFETIME,
    }
    connection.execute(insert(table).values(row))
    return token


def find(connection: Connection, token: str, now: float) -> AccessToken | None:
    """The token of this secret; None if there is none, or no more."""
    row = connection.execute(BY_DIGEST, {"digest": digest(token)}).first()
    return made(row, now) if row else None


_COLUMNS: Final = (table.c.account_id, table.c.client, table.c.scopes, table.c.expires_at)
BY_DIGEST: Final = select(*_COLUMNS).where(table.c.digest == bindparam("digest"))


def made(row: AnyRow, now: float) -> AccessToken | None:
    """The token that a row of BY_DIGEST tells of; None if its time is over."""
    if row.expires_at <= now:
        return None
    return AccessToken(row.account_id, row.client, frozenset(row.scopes.split()), row.expires_at)


def revoke(connection: Connection, token: str) -> bool:
    """End it; whether there was one."""
    return bool(connection.execute(delete(table).where(table.c.digest == digest(token))).rowcount)
