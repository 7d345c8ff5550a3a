"""Operations on the record of messages: where each went."""

from collections.abc import Collection

from outgate.directory.privileges import Privilege
from outgate.frozen import frozen
from outgate.operations import targets
from outgate.operations.context import OperationContext
from outgate.operations.operation import operation
from outgate.record import message_log
from outgate.record.events import MessageEvent
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


@operation("log.follow", Privilege.LOG_READ, targets.ORGANISATION, changes=False)
def latest(op: OperationContext, after: int | None = None, limit: int = 500) -> LogTail:
    """See what happens to messages as it happens."""
    if after is None:
        return LogTail(message_log.newest(op.connection))
    found = message_log.latest(op.connection, after, limit)
    return LogTail(found[-1][0] if found else after, tuple(event for _, event in found))
