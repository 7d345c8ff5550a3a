"""Log-ins on the pages: each browser has a cookie of its own, long and random; only its SHA-256 is kept.

One ends by itself after some time without a request, and after a longer one in any case; its user and an administrator
can end it before. The functions work in the caller's transaction. Knows no cookie and no page.
"""

import secrets
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, insert, or_, select, update

from outgate.directory.errors import NotFound
from outgate.directory.secret_digest import digest
from outgate.frozen import frozen
from outgate.printable import printable
from outgate.store.tables import web_session as table

NOTED_EVERY: Final = 60.0  # seconds to which the time of the last request is right: most requests write nothing
AT_MOST: Final = 50  # of one account; the one that was seen least lately ends for a new one
MAX_BROWSER: Final = 200  # characters of a User-Agent that are kept
_TOKEN_BYTES: Final = 32


class OpenedBy(StrEnum):
    """By what somebody has logged in."""

    PASSWORD = "password"  # noqa: S105 -- the word
    PASSKEY = "passkey"
    PROVIDER = "provider"
    LINK = "link"


@frozen
class WebSessionLimits:
    """Seconds: `idle` without a request, and `whole` from the log-in, after which a session ends; `proof` from when its
    user has shown who they are, after which they must again for what changes credentials or roles.
    """

    idle: float
    whole: float
    proof: float = 900.0


@frozen
class WebSession:
    """One log-in, without its secret. Times are seconds since the epoch."""

    id: int
    account_id: int
    peer: str
    browser: str
    created_at: float
    seen_at: float
    proven_at: float
    opened_by: OpenedBy


def begin(
    connection: Connection,
    account_id: int,
    peer: str,
    browser: str,
    now: float,
    *,
    opened_by: OpenedBy = OpenedBy.PASSWORD,
    proven_at: float | None = None,
) -> str:
    """A new log-in; returns the secret for the cookie. Never one that a browser brought: it could be a stranger's.

    `proven_at` is when its user has shown who they are, where that was before `now`.
    """
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    newest = select(table.c.id).where(table.c.account_id == account_id).order_by(table.c.seen_at.desc())
    kept = connection.scalars(newest.limit(AT_MOST - 1)).all()
    connection.execute(delete(table).where(table.c.account_id == account_id, table.c.id.not_in(kept)))
    row = {
        "account_id": account_id,
        "peer": peer,
        "browser": printable(browser, MAX_BROWSER),
        "created_at": now,
        "seen_at": now,
        "proven_at": now if proven_at is None else proven_at,
        "opened_by": opened_by.value,
    }
    connection.execute(insert(table).values(**row, digest=digest(token)))
    return token


def find(connection: Connection, token: str, limits: WebSessionLimits, now: float) -> WebSession | None:
    """The session of this cookie; None if there is none, or no more."""
    row = connection.execute(_COLUMNS.where(table.c.digest == digest(token), ~_over(limits, now))).first()
    return _session(row) if row else None


def listed(connection: Connection, account_id: int, limits: WebSessionLimits, now: float) -> tuple[WebSession, ...]:
    """An account's, the one that was seen last first."""
    mine = _COLUMNS.where(table.c.account_id == account_id, ~_over(limits, now)).order_by(table.c.seen_at.desc())
    return tuple(_session(row) for row in connection.execute(mine))


def note_seen(connection: Connection, session: WebSession, peer: str, now: float) -> None:
    """There was a request."""
    connection.execute(update(table).where(table.c.id == session.id).values(seen_at=now, peer=peer))


def needs_note(session: WebSession, peer: str, now: float) -> bool:
    """Whether `note_seen` would say something new."""
    return now - session.seen_at > NOTED_EVERY or session.peer != peer


def prove(connection: Connection, session: WebSession, now: float) -> str:
    """Its user has shown again who they are; returns a new secret for the cookie, in place of the one there was."""
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    values = {"proven_at": now, "digest": digest(token)}
    connection.execute(update(table).where(table.c.id == session.id).values(values))
    return token


def end(connection: Connection, account_id: int, session_id: int) -> WebSession:
    """End one of an account's. Raises NotFound."""
    row = connection.execute(_COLUMNS.where(table.c.id == session_id, table.c.account_id == account_id)).first()
    if row is None:
        raise NotFound("this log-in has ended already")
    connection.execute(delete(table).where(table.c.id == session_id))
    return _session(row)


def end_by_token(connection: Connection, token: str) -> None:
    """Log out."""
    connection.execute(delete(table).where(table.c.digest == digest(token)))


def end_all(connection: Connection, account_id: int, but: int | None = None) -> int:
    """End all of an account's but one; returns how many."""
    others = and_(table.c.account_id == account_id, table.c.id != (but or 0))
    return connection.execute(delete(table).where(others)).rowcount


def sweep(connection: Connection, limits: WebSessionLimits, now: float) -> None:
    """Forget those that are over."""
    connection.execute(delete(table).where(_over(limits, now)))


_COLUMNS: Final = select(
    table.c.id,
    table.c.account_id,
    table.c.peer,
    table.c.browser,
    table.c.created_at,
    table.c.seen_at,
    table.c.proven_at,
    table.c.opened_by,
)


def _session(row: Row[*tuple[Any, ...]]) -> WebSession:
    facts = row._asdict()
    return WebSession(**{**facts, "opened_by": OpenedBy(facts["opened_by"])})


def _over(limits: WebSessionLimits, now: float) -> ColumnElement[bool]:
    return or_(table.c.seen_at <= now - limits.idle, table.c.created_at <= now - limits.whole)
