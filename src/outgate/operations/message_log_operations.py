"""Operations on the record of messages: where each went."""

from collections.abc import Collection, Sequence

from sqlalchemy import Engine

from outgate.directory import users
from outgate.directory.privileges import Privilege
from outgate.directory.users import User
from outgate.frozen import frozen
from outgate.operations import targets
from outgate.operations.context import OperationContext
from outgate.operations.operation import operation
from outgate.record import message_log, record_horizon
from outgate.record.events import EventKind, MessageEvent
from outgate.record.message_log import LoggedMessage, MessageFilter


@operation("log.search", Privilege.LOG_READ, targets.ORGANISATION, changes=False)
def messages(op: OperationContext, wanted: MessageFilter) -> list[LoggedMessage]:
    """Find messages in the mail log."""
    return list(message_log.search(op.connection, wanted))


@operation("log.routes", Privilege.LOG_READ, targets.ORGANISATION, changes=False)
def routes(op: OperationContext, message_ids: Collection[int]) -> list[MessageEvent]:
    """See by which ways messages were to go."""
    return message_log.routes(op.connection, message_ids)


@operation("log.show", Privilege.LOG_READ, targets.ORGANISATION, changes=False)
def history(op: OperationContext, message_id: int) -> list[MessageEvent]:
    """See everything that happened to a message."""
    return message_log.history(op.connection, message_id)


@frozen
class LogTail:
    """What was recorded since `latest` was asked the last time; `after` is what to ask it with the next time."""

    after: int
    events: tuple[MessageEvent, ...] = ()


def complete_row(engine: Engine) -> int | None:
    """Up to which row one may follow at this moment; None if somebody has been writing for too long to tell. Waits in
    transactions of its own, and so comes before the operation. Says nothing of anybody's mail.
    """
    return record_horizon.complete_row(engine)


@operation("log.follow", Privilege.LOG_READ, targets.ORGANISATION, changes=False)
def latest(op: OperationContext, complete: int, after: int | None = None, limit: int = 500) -> LogTail:
    """See what happens to messages as it happens.

    Only up to the row `complete` (`complete_row`): behind that, rows may yet come between.
    """
    if after is None:
        return LogTail(complete)
    found = message_log.latest(op.connection, after, limit, complete)
    return LogTail(found[-1][0] if found else after, tuple(event for _, event in found))


@frozen
class OwnMessages:
    """A page of what a user has sent, by queue id; `older_than` names the next page, if there may be one. A page may
    have less than it could: others may send from the same address.
    """

    ids: Sequence[int]
    older_than: int | None


@operation("log.own", Privilege.MAIL_SEND, targets.user("user"), changes=False, own=True)
def own_history(op: OperationContext, user: str, message_id: int) -> list[MessageEvent]:
    """See everything that happened to a message that a user has sent; nothing of any other."""
    events = message_log.history(op.connection, message_id)
    return events if events and _is_of(users.find(op.connection, user), events[0]) else []


@operation("log.own-list", Privilege.MAIL_SEND, targets.user("user"), changes=False, own=True)
def own_messages(op: OperationContext, user: str, limit: int, older_than: int | None = None) -> OwnMessages:
    """List what a user has sent, page by page, the newest first."""
    owner = users.find(op.connection, user)
    wanted = MessageFilter(sender=owner.address, limit=limit, older_than=older_than)
    found = list(message_log.search(op.connection, wanted))
    mine = [one.event.message_id for one in found if _is_of(owner, one.event)]
    return OwnMessages(mine, found[-1].event.message_id if len(found) == limit else None)


def _is_of(owner: User, event: MessageEvent) -> bool:
    """Whether a message was taken from this user, and not from somebody who had the address before."""
    told = event.detail.get("account") == owner.address and event.at >= owner.created_at
    return told and event.kind is EventKind.ACCEPTED
