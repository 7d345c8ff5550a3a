"""Links by which a user logs in to the pages once without the password: made by an operation, followed by its user."""

from dataclasses import field
from typing import Final

from sqlalchemy import Connection, Engine

from outgate.directory import accounts, log_in_links, users
from outgate.directory.accounts import LogInEntry
from outgate.directory.change import lock
from outgate.directory.errors import NotAllowed
from outgate.directory.privileges import Privilege
from outgate.directory.users import User
from outgate.frozen import frozen
from outgate.operations import targets
from outgate.operations.context import OperationContext
from outgate.operations.operation import operation
from outgate.record import audit_trail
from outgate.record.audit_trail import AuditEntry
from outgate.store.engine import read, write
from outgate.store.vault import Vault

PATH: Final = "/log-in/link"  # of the page that a link leads to
ACTOR: Final = "log-in link"  # who follows one is nobody yet


@frozen
class LogInLink:
    """What the user is to open, until when (seconds since the epoch)."""

    user: User
    url: str = field(repr=False)
    ends_at: float


@frozen
class LinkHolder:
    """Whom a link logs in."""

    user: User
    entry: LogInEntry


@operation("user.log-in-link", Privilege.USERS_SECURITY, targets.user("address"), services=("public_url",), proof=True)
def make_link(op: OperationContext, address: str, public_url: str) -> LogInLink:
    """Make a link by which a user logs in to the pages once, in place of the password; one made before ends."""
    user = users.find(op.connection, address)
    if not public_url:
        raise NotAllowed("a log-in link leads to the pages, which are off: set web.public_url in outgate.toml")
    if user.external:
        raise users.password_elsewhere(user.address)
    if user.suspended:
        raise NotAllowed("{address} is suspended, and can't log in; resume them first", address=user.address)
    token = log_in_links.make(op.connection, user.id, op.now)
    return LogInLink(user, f"{public_url.rstrip('/')}{PATH}/{token}", op.now + log_in_links.VALID_SECONDS)


# No operations: who has the link has the right.


def look_at_link(engine: Engine, token: str, now: float) -> User | None:
    """Whom the link would log in; None if it opens nothing. Changes nothing."""
    with read(engine) as connection:
        account_id = log_in_links.find(connection, token, now)
        return None if account_id is None else users.by_id(connection, account_id)


def follow_link(engine: Engine, vault: Vault, token: str, peer: str, now: float) -> LinkHolder | None:
    """Somebody has followed the link, which is spent now and on record; None if it opens nothing."""
    with write(engine) as connection:
        lock(connection)
        account_id = log_in_links.take(connection, token, now)
        if account_id is None:
            return None
        holder = _holder(connection, account_id)
        user = holder.user
        entry = AuditEntry(now, ACTOR, peer, make_link.operation.name, user.address, user.unit, detail={"used": True})
        audit_trail.append(connection, vault, [entry])
        return holder


def _holder(connection: Connection, account_id: int) -> LinkHolder:
    user = users.by_id(connection, account_id)
    entry = accounts.login(connection, user.address)
    assert entry
    return LinkHolder(user, entry)
