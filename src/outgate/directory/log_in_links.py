"""Links that log a user in to the pages once, in place of the password: for the first log-in, or who is locked out.

A link is long and random, so its SHA-256 is kept; each account has one at most. The functions work in the caller's
transaction. Knows no page and no address of one.
"""

import secrets
from typing import Final

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, select

from outgate.directory.secret_digest import digest
from outgate.store.tables import account
from outgate.store.tables import log_in_link as table

VALID_SECONDS: Final = 86_400.0
_TOKEN_BYTES: Final = 32


def make(connection: Connection, account_id: int, now: float) -> str:
    """A new one, in place of the one there was; returns its secret."""
    end(connection, account_id)
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    row = {"account_id": account_id, "digest": digest(token), "ends_at": now + VALID_SECONDS}
    connection.execute(insert(table).values(row))
    return token


def find(connection: Connection, token: str, now: float) -> int | None:
    """Whose it is; None if it opens nothing."""
    return connection.scalar(select(table.c.account_id).where(_opens(token, now)))


def take(connection: Connection, token: str, now: float) -> int | None:
    """As `find`, and it opens nothing from now on: of two who ask at once one gets it."""
    return connection.scalar(delete(table).where(_opens(token, now)).returning(table.c.account_id))


def end(connection: Connection, account_id: int) -> bool:
    """It opens nothing any more; returns whether there was one."""
    return bool(connection.execute(delete(table).where(table.c.account_id == account_id)).rowcount)


def _opens(token: str, now: float) -> ColumnElement[bool]:
    """Only for who may log in, by what is kept here: the password in a directory elsewhere is not passed by."""
    may_log_in = select(account.c.id).where(~account.c.suspended, account.c.source == "local")
    return and_(table.c.digest == digest(token), table.c.ends_at > now, table.c.account_id.in_(may_log_in))
