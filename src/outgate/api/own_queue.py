"""Outgate's own API: mail that waits: looking at it, retrying, holding, releasing, returning, moving and deleting it.

Each change is of one message, at once, or of all that a selection means, in steps after the answer.
"""

from collections.abc import Callable
from typing import Final

from outgate.api.api_call import ApiCall
from outgate.api.api_method import Answer, ApiMethod, ApiParameter, Resource
from outgate.api.google_error import invalid
from outgate.api.own_method import CURSOR, LIMIT, Declared, cursor_of, limit_of, own_method, scope_of
from outgate.api.own_queue_resources import (
    ID,
    MessageHistoryEvent,
    OwnWayChoice,
    QueueChange,
    QueueCount,
    QueueCounts,
    QueuedMessage,
    QueueMove,
    QueueSelection,
    QueueTally,
    TallyLine,
    WaitingRecipient,
    WaitingRecipients,
)
from outgate.api.problem_form import require_match
from outgate.operations import message_log_operations, queue_operations, restriction_operations
from outgate.operations.context import OperationContext
from outgate.operations.operation import OperationFunction
from outgate.operations.queue_names import event_queues, queue_names
from outgate.operations.waiting_mail import LaterChange
from outgate.queue.admin import By, Selection, WaitState
from outgate.queue.entry import Instruction
from outgate.queue.queue_id import from_text, to_text

MESSAGE: Final = ApiParameter("id", f"The message's queue id, as in {ID}.", pattern="^[0-7][0-9a-hjkmnp-tv-z]{12}$")
_CURSOR_FORM: Final = r"([0-7][0-9a-hjkmnp-tv-z]{12})\.(\d{1,9})"
_COUNTS_FORM: Final = r"(\d{1,12})\.(.{1,300})"

Change = Callable[[ApiCall, OperationContext, Selection], LaterChange]


# --- looking ---------------------------------------------------------------------------------------------------------


def recipients(call: ApiCall) -> WaitingRecipients:
    """A page of those that wait."""
    given, limit, cursor = call.parameters, limit_of(call), cursor_of(call, _CURSOR_FORM)
    wanted = Selection(
        address=given.get("address"),
        queue=given.get("queue"),
        state=WaitState(given["state"]) if "state" in given else None,
        older_than=call.services.now() - int(given["olderThan"]) if "olderThan" in given else None,
        reply=given.get("reply"),
    )
    with call.reading() as op:
        behind = (from_text(cursor[0]), int(cursor[1])) if cursor else None
        found = queue_operations.waiting(op, wanted, limit, behind)
        names = queue_names(op, {one.queue for one in found})
        suspended = restriction_operations.suspended(op)
    last = found[-1] if len(found) == limit else None
    return WaitingRecipients(
        items=[WaitingRecipient.of(one, names, suspended) for one in found],
        next_cursor=f"{to_text(last.message_id)}.{last.number}" if last else None,
    )


def message(call: ApiCall) -> QueuedMessage:
    """One of which something waits."""
    with call.reading() as op:
        return _message(op, queue_number(call.parameters["id"]))


def _message(op: OperationContext, number: int) -> QueuedMessage:
    found = queue_operations.of_message(op, number)
    events = message_log_operations.history(op, number)
    names = queue_names(op, {one.queue for one in found}) | event_queues(op, events)
    suspended = restriction_operations.suspended(op)
    return QueuedMessage(
        id=to_text(number),
        recipients=[WaitingRecipient.of(one, names, suspended) for one in found],
        events=[MessageHistoryEvent.of(event, names) for event in events],
    )


def counts(call: ApiCall) -> QueueCounts:
    """A page of queues."""
    limit, cursor = limit_of(call), cursor_of(call, _COUNTS_FORM)
    with call.reading() as op:
        found = queue_operations.counts(op, limit, (int(cursor[0]), cursor[1]) if cursor else None)
        names = queue_names(op, [one.queue for one in found])
    last = found[-1] if len(found) == limit else None
    return QueueCounts(
        items=[QueueCount.of(one, names) for one in found],
        next_cursor=f"{last.recipients}.{last.queue}" if last else None,
    )


def tally(call: ApiCall) -> QueueTally:
    """How much waits, by something."""
    with call.reading() as op:
        found = queue_operations.tally(op, Selection(), By(call.parameters["by"]))
    return QueueTally(items=[TallyLine(key=key, recipients=number) for key, number in found])


def queue_number(text: str) -> int:
    """Of a queue id as text. Raises ApiError."""
    try:
        return from_text(text)
    except ValueError as error:
        raise invalid(f"{error}.") from None


# --- changing --------------------------------------------------------------------------------------------------------


def _of_one(change: Change) -> Answer:
    """Changes what waits of the message that the path names, at once."""

    def answer(call: ApiCall) -> QueueChange:
        number = queue_number(call.parameters["id"])
        with call.writing() as op:
            require_match(call.request, lambda: _message(op, number))
            made = change(call, op, Selection(message_id=number))
        return QueueChange(recipients=made.recipients, is_done=True, is_dry_run=False)

    return answer


def _of_many(change: Change) -> Answer:
    """Changes what the body says, in steps after the answer; or only says how much that would be."""

    def answer(call: ApiCall) -> QueueChange:
        sent = call.resource(QueueSelection)
        wanted = _selection(sent, call.services.now())
        if sent.dry_run:
            call.require_scope(scope_of(queue_operations.matching.operation.needs))
            with call.reading() as op:
                return QueueChange(recipients=queue_operations.matching(op, wanted), is_done=False, is_dry_run=True)
        with call.writing() as op:
            made = change(call, op, wanted)
        is_done = wanted.message_id is not None
        return QueueChange(recipients=made.recipients if is_done else None, is_done=is_done, is_dry_run=False)

    return answer


def _move(call: ApiCall, op: OperationContext, wanted: Selection) -> LaterChange:
    """By the way that the body says."""
    sent = call.sent
    assert isinstance(sent, QueueMove | OwnWayChoice)
    return queue_operations.move(op, wanted, None if sent.way == "usual" else Instruction(sent.way))


def _selection(sent: QueueSelection, now: float) -> Selection:
    filters = (sent.id, sent.address, sent.queue, sent.state, sent.reply)
    is_filtered = any(filters) or sent.older_than is not None
    if not is_filtered and not sent.everything:
        raise invalid("Say which: id, address, queue, state, olderThan, reply, or everything.")
    if is_filtered and sent.everything:
        raise invalid("Invalid value at 'everything': it stands in place of the other ways to say which.")
    return Selection(
        message_id=queue_number(sent.id) if sent.id else None,
        address=sent.address or None,
        queue=sent.queue or None,
        state=sent.state,
        older_than=None if sent.older_than is None else now - sent.older_than,
        reply=sent.reply or None,
    )


_PLAIN: Final = (
    queue_operations.retry,
    queue_operations.hold,
    queue_operations.release,
    queue_operations.expire,
    queue_operations.delete,
)


def _plain(operation: OperationFunction[[Selection], LaterChange]) -> tuple[ApiMethod, ApiMethod]:
    """Of one message, and of many."""
    return _changes(operation, lambda _call, op, wanted: operation(op, wanted), None, QueueSelection)


def _changes(
    operation: Declared, change: Change, of_one: type[Resource] | None, of_many: type[QueueSelection]
) -> tuple[ApiMethod, ApiMethod]:
    verb = operation.operation.name.partition(".")[2]
    is_deletion = verb == "delete"
    one = own_method(
        operation,
        "DELETE" if is_deletion else "POST",
        "queue/messages/{id}" + ("" if is_deletion else f"/{verb}"),
        _of_one(change),
        MESSAGE,
        name="one",
        says="Of one message.",
        takes=of_one,
        gives=QueueChange,
        guarded_by=(queue_operations.waiting, message_log_operations.history),
    )
    many = own_method(
        operation,
        "POST",
        f"queue/{verb}",
        _of_many(change),
        name="many",
        says="Of all that is meant; with `dryRun` it only says of how many recipients it would be, and needs"
        f" `{scope_of(queue_operations.matching.operation.needs)}` as well.",
        takes=of_many,
        gives=QueueChange,
    )
    return one, many


METHODS: Final[tuple[ApiMethod, ...]] = (
    own_method(
        queue_operations.waiting,
        "GET",
        "queue/recipients",
        recipients,
        ApiParameter("address", "Only with this in the address of sender, recipient or account.", "query"),
        ApiParameter("queue", "Only in this queue.", "query"),
        ApiParameter("state", "Only in this state.", "query", enum=tuple(WaitState)),
        ApiParameter("olderThan", "Only what came so many seconds ago or earlier.", "query", "integer", "int32"),
        ApiParameter("reply", "Only with this in the last reply.", "query"),
        LIMIT,
        CURSOR,
        says="Those of the oldest message first.",
        gives=WaitingRecipients,
    ),
    own_method(
        queue_operations.waiting,
        "GET",
        "queue/messages/{id}",
        message,
        MESSAGE,
        name="message",
        says="One message, with its history: decisions, each attempt, holds and what was said of it by whom.",
        gives=QueuedMessage,
        besides=(message_log_operations.history,),
    ),
    own_method(
        queue_operations.counts,
        "GET",
        "queue/counts",
        counts,
        LIMIT,
        CURSOR,
        says="By queue, the fullest first.",
        gives=QueueCounts,
    ),
    own_method(
        queue_operations.tally,
        "GET",
        "queue/tally",
        tally,
        ApiParameter("by", "What is counted by.", "query", default=By.STATE.value, enum=tuple(By)),
        gives=QueueTally,
    ),
    *(method for operation in _PLAIN for method in _plain(operation)),
    *_changes(queue_operations.move, _move, OwnWayChoice, QueueMove),
)
