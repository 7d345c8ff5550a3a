"""Operations on the records: the audit trail and the mail log."""

from collections.abc import Sequence

from outgate.control import targets
from outgate.control.operation import Act, Counted, operation
from outgate.directory.errors import DirectoryError
from outgate.directory.privileges import Privilege
from outgate.queue import operations as queue
from outgate.queue.operations import Count, Selection, Waiting
from outgate.record import audit, log
from outgate.record.audit import Filter, Recorded
from outgate.record.facts import Fact


class Tampered(DirectoryError):
    """The audit trail is not as it was written. `faults` says where."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("the audit trail was tampered with: " + "; ".join(faults[:5]))
        self.faults = faults


@operation("audit.list", Privilege.AUDIT_READ, of=targets.organisation, changes=False)
def search(act: Act, wanted: Filter) -> list[Recorded]:
    """See who changed what."""
    return list(audit.search(act.connection, wanted))


@operation("audit.verify", Privilege.AUDIT_READ, of=targets.organisation)
def verify(act: Act) -> None:
    """Check that the audit trail is as it was written."""
    if faults := audit.verify(act.connection, act.vault):
        raise Counted(Tampered(faults))


@operation("log.search", Privilege.LOG_READ, of=targets.organisation, changes=False)
def messages(act: Act, wanted: log.Filter) -> list[Fact]:
    """Find messages in the mail log."""
    return list(log.search(act.connection, wanted))


@operation("log.show", Privilege.LOG_READ, of=targets.organisation, changes=False)
def history(act: Act, message_id: int) -> list[Fact]:
    """See everything that happened to a message."""
    return log.history(act.connection, message_id)


@operation("queue.list", Privilege.QUEUE_READ, of=targets.organisation, changes=False)
def waiting(act: Act, wanted: Selection, limit: int) -> list[Waiting]:
    """See what waits in the queue."""
    return list(queue.waiting(act.connection, wanted, act.now, limit))


@operation("queue.count", Privilege.QUEUE_READ, of=targets.organisation, changes=False)
def counts(act: Act) -> list[Count]:
    """See how much waits where."""
    return list(queue.count(act.connection))


def _selected(act: Act, wanted: Selection, number: int) -> int:
    act.note(message=wanted.message_id, address=wanted.address, queue=wanted.queue, recipients=number)
    return number


@operation("queue.retry", Privilege.QUEUE_MANAGE, of=targets.organisation)
def retry(act: Act, wanted: Selection) -> int:
    """Try waiting mail at once."""
    return _selected(act, wanted, queue.retry(act.connection, wanted, act.now))


@operation("queue.hold", Privilege.QUEUE_MANAGE, of=targets.organisation)
def hold(act: Act, wanted: Selection) -> int:
    """Hold waiting mail."""
    return _selected(act, wanted, queue.hold(act.connection, wanted))


@operation("queue.release", Privilege.QUEUE_MANAGE, of=targets.organisation)
def release(act: Act, wanted: Selection) -> int:
    """Let held mail go on."""
    return _selected(act, wanted, queue.release(act.connection, wanted, act.now))


@operation("queue.delete", Privilege.QUEUE_MANAGE, of=targets.organisation)
def delete(act: Act, wanted: Selection) -> int:
    """Delete waiting mail."""
    return _selected(act, wanted, queue.remove(act.connection, wanted, act.now))
