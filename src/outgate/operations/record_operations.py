"""Operations on the records: the audit trail and the mail log."""

from collections.abc import Sequence
from dataclasses import dataclass

from outgate.directory.errors import DirectoryError
from outgate.directory.privileges import Privilege
from outgate.operations import targets
from outgate.operations.operation import Counted, OperationContext, operation
from outgate.queue import admin as queue
from outgate.queue.admin import Count, Selection, Waiting
from outgate.record import audit_trail, message_log
from outgate.record.audit_trail import AuditFilter, Recorded
from outgate.record.events import MessageEvent
from outgate.record.message_log import LoggedMessage, MessageFilter


class Tampered(DirectoryError):
    """The audit trail is not as it was written. `faults` says where."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("the audit trail was tampered with: " + "; ".join(faults[:5]))
        self.faults = faults


@operation("audit.list", Privilege.AUDIT_READ, of=targets.organisation, changes=False)
def search(op: OperationContext, wanted: AuditFilter) -> list[Recorded]:
    """See who changed what."""
    return list(audit_trail.search(op.connection, wanted))


@operation("audit.verify", Privilege.AUDIT_READ, of=targets.organisation)
def verify(op: OperationContext) -> None:
    """Check that the audit trail is as it was written."""
    if faults := audit_trail.verify(op.connection, op.vault):
        raise Counted(Tampered(faults))


@operation("log.search", Privilege.LOG_READ, of=targets.organisation, changes=False)
def messages(op: OperationContext, wanted: MessageFilter) -> list[LoggedMessage]:
    """Find messages in the mail log."""
    return list(message_log.search(op.connection, wanted))


@operation("log.show", Privilege.LOG_READ, of=targets.organisation, changes=False)
def history(op: OperationContext, message_id: int) -> list[MessageEvent]:
    """See everything that happened to a message."""
    return message_log.history(op.connection, message_id)


@dataclass(frozen=True, slots=True)
class LogTail:
    """What was recorded since `latest` was asked the last time; `after` is what to ask it with the next time."""

    after: int
    events: tuple[MessageEvent, ...] = ()


@operation("log.follow", Privilege.LOG_READ, of=targets.organisation, changes=False)
def latest(op: OperationContext, after: int | None = None, limit: int = 500) -> LogTail:
    """See what happens to messages as it happens."""
    if after is None:
        return LogTail(message_log.newest(op.connection))
    found = message_log.latest(op.connection, after, limit)
    return LogTail(found[-1][0] if found else after, tuple(event for _, event in found))


@operation("queue.list", Privilege.QUEUE_READ, of=targets.organisation, changes=False)
def waiting(op: OperationContext, wanted: Selection, limit: int) -> list[Waiting]:
    """See what waits in the queue."""
    return list(queue.waiting(op.connection, wanted, op.now, limit))


@operation("queue.count", Privilege.QUEUE_READ, of=targets.organisation, changes=False)
def counts(op: OperationContext) -> list[Count]:
    """See how much waits where."""
    return list(queue.count(op.connection))


def _selected(op: OperationContext, wanted: Selection, number: int) -> int:
    op.note(message=wanted.message_id, address=wanted.address, queue=wanted.queue, recipients=number)
    return number


@operation("queue.retry", Privilege.QUEUE_MANAGE, of=targets.organisation)
def retry(op: OperationContext, wanted: Selection) -> int:
    """Try waiting mail at once."""
    return _selected(op, wanted, queue.retry(op.connection, wanted, op.now))


@operation("queue.hold", Privilege.QUEUE_MANAGE, of=targets.organisation)
def hold(op: OperationContext, wanted: Selection) -> int:
    """Hold waiting mail."""
    return _selected(op, wanted, queue.hold(op.connection, wanted))


@operation("queue.release", Privilege.QUEUE_MANAGE, of=targets.organisation)
def release(op: OperationContext, wanted: Selection) -> int:
    """Let held mail go on."""
    return _selected(op, wanted, queue.release(op.connection, wanted, op.now))


@operation("queue.delete", Privilege.QUEUE_MANAGE, of=targets.organisation)
def delete(op: OperationContext, wanted: Selection) -> int:
    """Delete waiting mail."""
    return _selected(op, wanted, queue.remove(op.connection, wanted, op.now))
