"""Operations on mail that waits."""

from outgate.directory.errors import Invalid, NotFound
from outgate.directory.privileges import Privilege
from outgate.operations import targets
from outgate.operations.context import OperationContext
from outgate.operations.operation import operation
from outgate.operations.waiting_mail import LaterChange, StepChange
from outgate.queue import admin as queue
from outgate.queue.admin import By, Count, Selection, Waiting
from outgate.queue.entry import Instruction
from outgate.queue.queue_id import to_text

_ALL_RECIPIENTS = 1_000_000  # of one message


@operation("queue.list", Privilege.QUEUE_READ, targets.ORGANISATION, changes=False)
def waiting(
    op: OperationContext, wanted: Selection, limit: int, behind: tuple[int, int] | None = None
) -> list[Waiting]:
    """See what waits in the queue."""
    return list(queue.waiting(op.connection, wanted, op.now, limit, behind))


@operation("queue.count", Privilege.QUEUE_READ, targets.ORGANISATION, changes=False)
def counts(op: OperationContext, limit: int | None = None, behind: tuple[int, str] | None = None) -> list[Count]:
    """See how much waits where."""
    return list(queue.count(op.connection, limit, behind))


@operation("queue.retry", Privilege.QUEUE_MANAGE, targets.ORGANISATION)
def retry(op: OperationContext, wanted: Selection) -> LaterChange:
    """Try waiting mail at once."""
    return _change(op, wanted, lambda connection, step: queue.retry(connection, step, op.now))


@operation("queue.hold", Privilege.QUEUE_MANAGE, targets.ORGANISATION)
def hold(op: OperationContext, wanted: Selection) -> LaterChange:
    """Hold waiting mail."""
    return _change(op, wanted, lambda connection, step: queue.hold(connection, step, op.now, op.actor.name))


@operation("queue.release", Privilege.QUEUE_MANAGE, targets.ORGANISATION)
def release(op: OperationContext, wanted: Selection) -> LaterChange:
    """Let held mail go on."""
    return _change(op, wanted, lambda connection, step: queue.release(connection, step, op.now, op.actor.name))


@operation("queue.delete", Privilege.QUEUE_MANAGE, targets.ORGANISATION)
def delete(op: OperationContext, wanted: Selection) -> LaterChange:
    """Delete waiting mail."""
    return _change(op, wanted, lambda connection, step: queue.remove(connection, step, op.now))


@operation("queue.expire", Privilege.QUEUE_MANAGE, targets.ORGANISATION)
def expire(op: OperationContext, wanted: Selection) -> LaterChange:
    """Return waiting mail to its senders, with a report."""
    return _instructed(op, wanted, Instruction.RETURN)


@operation("queue.move", Privilege.QUEUE_MANAGE, targets.ORGANISATION)
def move(op: OperationContext, wanted: Selection, way: Instruction | None) -> LaterChange:
    """Send waiting mail by another way of the organisation's own, or again by its usual one."""
    if way is Instruction.RETURN:
        raise Invalid("mail is returned by `outgate queue expire`")
    made = _instructed(op, wanted, way)
    op.note(way=way.value if way else "usual")
    return made


@operation("queue.tally", Privilege.QUEUE_READ, targets.ORGANISATION, changes=False)
def tally(op: OperationContext, wanted: Selection, by: By) -> list[tuple[str, int]]:
    """See how much waits by gateway, destination, state, age or last error."""
    return queue.tally(op.connection, wanted, by, op.now)


@operation("queue.match", Privilege.QUEUE_READ, targets.ORGANISATION, changes=False)
def matching(op: OperationContext, wanted: Selection) -> int:
    """See how many recipients a change would be of."""
    return queue.matching(op.connection, wanted)


def of_message(op: OperationContext, message_id: int) -> list[Waiting]:
    """What waits of one message. Raises NotFound if nothing does."""
    found = waiting(op, Selection(message_id=message_id), _ALL_RECIPIENTS)
    if not found:
        raise _nothing_waits(message_id)
    return found


def _change(op: OperationContext, wanted: Selection, change: StepChange) -> LaterChange:
    """One message's recipients at once; of more than that, after the commit, in steps: how many is known then."""
    op.note(message=wanted.message_id, address=wanted.address, queue=wanted.queue)
    made = LaterChange(change, wanted)
    if wanted.message_id is None:
        op.later.append(made)
        return made
    if not list(queue.waiting(op.connection, wanted, op.now, 1)):
        raise _nothing_waits(wanted.message_id)
    made.recipients = change(op.connection, wanted)
    op.note(recipients=made.recipients)
    return made


def _instructed(op: OperationContext, wanted: Selection, way: Instruction | None) -> LaterChange:
    return _change(op, wanted, lambda connection, step: queue.instruct(connection, step, way, op.now, op.actor.name))


def _nothing_waits(message_id: int) -> NotFound:
    name = to_text(message_id)
    return NotFound("nothing waits of the message {name}; `outgate log {name}` shows what became of it", name=name)
