"""Log-ins on the pages: who is logged in where, and operations that end them."""

from sqlalchemy import Engine

from outgate.directory import accounts, users, web_sessions
from outgate.directory.accounts import LogInEntry
from outgate.directory.privileges import Grant, Privilege
from outgate.directory.users import User
from outgate.directory.web_sessions import OpenedBy, WebSession, WebSessionLimits
from outgate.frozen import frozen
from outgate.operations import targets
from outgate.operations.actor import Actor
from outgate.operations.context import OperationContext
from outgate.operations.operation import operation
from outgate.store.engine import read, write


@frozen
class SessionHolder:
    """Whose a session is, and what they may do now."""

    session: WebSession
    user: User
    actor: Actor
    grants: tuple[Grant, ...]


@operation(
    "session.list", Privilege.USERS_SECURITY, targets.user("address"), changes=False, own=True, services=("limits",)
)
def list_sessions(op: OperationContext, address: str, limits: WebSessionLimits) -> tuple[WebSession, ...]:
    """See where a user is logged in on the pages."""
    return web_sessions.listed(op.connection, users.find(op.connection, address).id, limits, op.now)


@operation("session.end", Privilege.USERS_SECURITY, targets.user("address"), own=True)
def end_session(op: OperationContext, address: str, session: int) -> WebSession:
    """Log a user out of one browser."""
    ended = web_sessions.end(op.connection, users.find(op.connection, address).id, session)
    op.note(session=ended.id, peer=ended.peer)
    return ended


@operation("session.end-all", Privilege.USERS_SECURITY, targets.user("address"), own=True)
def end_all_sessions(op: OperationContext, address: str, but: int | None = None) -> int:
    """Log a user out of all browsers, or all but one."""
    count = web_sessions.end_all(op.connection, users.find(op.connection, address).id, but)
    op.note(count=count)
    return count


# No operations: whoever has proven the password, or has the cookie, has the right.


def log_in_entry(engine: Engine, address: str) -> LogInEntry | None:
    """What the user of this primary address may log in with; None if there is none."""
    with read(engine) as connection:
        return accounts.login(connection, address)


def begin_session(
    engine: Engine,
    account_id: int,
    peer: str,
    browser: str,
    limits: WebSessionLimits,
    now: float,
    *,
    opened_by: OpenedBy = OpenedBy.PASSWORD,
    proven_at: float | None = None,
    instead_of: str = "",
) -> str:
    """Somebody has logged in, and shown now who they are, or when `proven_at` says; returns the secret for the cookie.
    What the browser had before (`instead_of`) ends.
    """
    with write(engine) as connection:
        web_sessions.sweep(connection, limits, now)
        if instead_of:
            web_sessions.end_by_token(connection, instead_of)
        return web_sessions.begin(connection, account_id, peer, browser, now, opened_by=opened_by, proven_at=proven_at)


def holder_of_session(
    engine: Engine, token: str, peer: str, limits: WebSessionLimits, now: float
) -> SessionHolder | None:
    """Whose request it is that came with this cookie; None if nobody's."""
    with read(engine) as connection:
        session = web_sessions.find(connection, token, limits, now)
        if session is None:
            return None
        user = users.by_id(connection, session.account_id)
        if user.suspended:
            return None
        actor = Actor(user.address, peer, user.id, proven=now - session.proven_at < limits.proof)
        holder = SessionHolder(session, user, actor, actor.grants(connection))
    if web_sessions.needs_note(session, peer, now):
        with write(engine) as connection:
            web_sessions.note_seen(connection, session, peer, now)
    return holder


def prove_session(engine: Engine, session: WebSession, now: float) -> str:
    """Somebody has shown again who they are; returns the new secret for the cookie."""
    with write(engine) as connection:
        return web_sessions.prove(connection, session, now)


def leave_session(engine: Engine, token: str) -> None:
    """Log out."""
    with write(engine) as connection:
        web_sessions.end_by_token(connection, token)
