"""What an administrator does with waiting mail: look, retry, hold, release, delete.

The caller owns the transaction. Knows no event loop; a server that is running finds what changed at its next claim.
"""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Final

from sqlalchemy import ColumnElement, Connection, Select, Update, and_, case, delete, func, or_, select, tuple_, update

from outgate.frozen import frozen
from outgate.queue.early import is_early
from outgate.queue.entry import Instruction
from outgate.record import events, message_log
from outgate.store.containing import Containing
from outgate.store.lease_clock import LeaseNow
from outgate.store.tables import account, chunk, message, recipient, unit

STEP: Final = 500  # recipients that are changed in one transaction: some ten milliseconds
TALLIED: Final = 1000  # lines of a tally
ERROR_LENGTH: Final = 60  # characters of a reply by which errors are told apart
AGES: Final = ((300.0, "less than 5 minutes"), (3600.0, "less than an hour"), (86400.0, "less than a day"))
HELD: Final = "held"  # as the record has it
RELEASED: Final = "released"
USUAL: Final = "usual"  # way: an instruction is taken back
DELETED = "deleted from the queue by the administrator"


@frozen
class Waiting:
    """A recipient that has no final outcome yet; `number` is its place in the message. `in_transfer` says that a worker
    holds a lease on it. Times in seconds since the epoch; `account_id` is None for the organisation's own mail."""

    message_id: int
    number: int
    account_id: int | None
    sender: str
    recipient: str
    queue: str
    size: int
    attempts: int
    received_at: float
    due_at: float
    last_reply: str | None
    held: bool
    in_transfer: bool


class WaitState(StrEnum):
    """How it stands with a recipient that waits."""

    IN_TRANSFER = "in-transfer"
    HELD = "held"
    NEW = "new"  # not tried yet
    DEFERRED = "deferred"  # tried in vain


class By(StrEnum):
    """What recipients that wait are counted by."""

    QUEUE = "queue"
    STATE = "state"
    AGE = "age"
    ERROR = "error"


@frozen
class Selection:
    """Which recipients are meant; what is None is not asked for. `address` is a part of that of the
    sender, the recipient or the account.

    `older_than`: received before then, in seconds since the epoch. `reply` is a part of the last reply.
    `account_id`, `chosen_from` (with its +tags, or `*@` a domain) and `unit` (with those below it) are the sender's.
    `within` are the first message and the last one of a step.
    """

    message_id: int | None = None
    address: str | None = None
    queue: str | None = None
    account_id: int | None = None
    chosen_from: str | None = None
    unit: str | None = None
    state: WaitState | None = None
    older_than: float | None = None
    reply: str | None = None
    within: tuple[int, int] | None = None


def waiting(
    conn: Connection, wanted: Selection, now: float, limit: int, behind: tuple[int, int] | None = None
) -> Iterator[Waiting]:
    """Recipients that wait, the oldest message first. `behind` are the message and the number of the last one that was
    shown: those behind it come.
    """
    columns = recipient.c
    further = [tuple_(columns.message_id, columns.number) > behind] if behind else []
    rows = conn.execute(
        select(
            columns.message_id,
            columns.number,
            message.c.account_id,
            func.coalesce(func.nullif(message.c.chosen_from, ""), message.c.reverse_path).label("sender"),
            columns.address.label("recipient"),
            columns.queue,
            message.c.size,
            columns.attempts,
            message.c.received_at,
            columns.due_at,
            columns.last_reply,
            columns.held,
            (columns.leased_until > LeaseNow()).label("in_transfer"),
        )
        .join_from(recipient, message, message.c.id == columns.message_id)
        .where(*further, *_conditions(wanted))
        .order_by(columns.message_id, columns.number)
        .limit(limit)
    )
    return (Waiting(**row._asdict()) for row in rows)


@frozen
class Count:
    """How much waits in one queue (route.Route.queue). `oldest` is when its first message was received."""

    queue: str
    messages: int
    recipients: int
    held: int
    oldest: float


def leased_by(conn: Connection, owners: Sequence[str], before: float, limit: int) -> list[tuple[int, str, str]]:
    """What these workers hold of messages that came before a time: message id, recipient, queue; the oldest first."""
    rows = conn.execute(
        select(recipient.c.message_id, recipient.c.address, recipient.c.queue)
        .join(message, message.c.id == recipient.c.message_id)
        .where(recipient.c.leased_by.in_(owners), message.c.received_at < before)
        .order_by(recipient.c.message_id, recipient.c.number)
        .limit(limit)
    )
    return [(row.message_id, row.address, row.queue) for row in rows]


def leases(conn: Connection) -> dict[str, int]:
    """How many recipients each worker holds."""
    columns = recipient.c
    held = select(columns.leased_by, func.count().label("recipients")).where(columns.leased_until > LeaseNow())
    return {row.leased_by: row.recipients for row in conn.execute(held.group_by(columns.leased_by))}


def count(conn: Connection, limit: int | None = None, behind: tuple[int, str] | None = None) -> Iterator[Count]:
    """Each queue in which something waits, the fullest first. `behind` are the recipients and the queue of the last one
    that was shown: those behind it come.
    """
    columns = recipient.c
    counted = (
        select(
            columns.queue,
            func.count(columns.message_id.distinct()).label("messages"),
            func.count().label("recipients"),
            func.count().filter(columns.held).label("held"),
            func.min(columns.message_id).label("first"),  # the oldest: ids grow with time
        )
        .group_by(columns.queue)
        .subquery()
    )
    found = counted.c
    wanted = (
        select(found.queue, found.messages, found.recipients, found.held, message.c.received_at)
        .join_from(counted, message, message.c.id == found.first)
        .order_by(found.recipients.desc(), found.queue)
        .limit(limit)
    )
    if behind:
        recipients, queue = behind
        equal = and_(found.recipients == recipients, found.queue > queue)
        wanted = wanted.where(or_(found.recipients < recipients, equal))
    return (Count(*row) for row in conn.execute(wanted))


def matching(conn: Connection, wanted: Selection) -> int:
    """How many recipients are meant."""
    return conn.scalar(select(func.count()).select_from(recipient).where(*_conditions(wanted))) or 0


def instructions(conn: Connection, wanted: Selection) -> set[Instruction]:
    """What is to be done with recipients that are meant."""
    columns = recipient.c
    told = select(columns.instruction).where(columns.instruction.is_not(None), *_conditions(wanted))
    return {Instruction(one) for one in conn.scalars(told.distinct())}


def tally(conn: Connection, wanted: Selection, by: By, now: float) -> list[tuple[str, int]]:
    """How many recipients of those meant, by queue, state, age or last error; the most first."""
    columns = recipient.c
    age = now - message.c.received_at
    keys: dict[By, ColumnElement[str]] = {
        By.QUEUE: columns.queue,
        By.STATE: _state(),
        By.AGE: case(
            *((age < seconds, words) for seconds, words in AGES),
            else_="a day or more",
        ),
        By.ERROR: func.coalesce(func.substr(columns.last_reply, 1, ERROR_LENGTH), "none yet"),
    }
    key = keys[by].label("key")
    rows = conn.execute(
        select(key, func.count().label("recipients"))
        .join_from(recipient, message, message.c.id == columns.message_id)
        .where(*_conditions(wanted))
        .group_by(key)
        .order_by(func.count().desc(), key)
        .limit(TALLIED)
    )
    return [(row.key, row.recipients) for row in rows]


def instruct(conn: Connection, wanted: Selection, instruction: Instruction | None, now: float, by: str) -> int:
    """Say what is to be done with recipients that are not in transfer, at once; None takes it back. What is held goes
    on. Returns their number; the record says by whom.

    What its sender lets leave later comes back at once, and leaves later by whatever way.
    """
    idle = recipient.c.leased_until <= LeaseNow()
    value = instruction.value if instruction else None
    due_at = now if instruction is Instruction.RETURN else _due_at(now)
    changed = update(recipient).where(idle, *_conditions(wanted))
    return _told(conn, changed.values(instruction=value, held=False, due_at=due_at), value or USUAL, now, by)


def retry(conn: Connection, wanted: Selection, now: float) -> int:
    """Make recipients due now that are neither held nor in transfer; returns their number.

    What its sender lets leave later is left alone.
    """
    idle = and_(~recipient.c.held, recipient.c.leased_until <= LeaseNow(), ~is_early(now))
    return conn.execute(update(recipient).where(idle, *_conditions(wanted)).values(due_at=now)).rowcount


def end_of_step(conn: Connection, after: int) -> int | None:
    """The last message of a step that begins behind the message `after`; None if nothing waits there."""
    columns = recipient.c
    rows = select(columns.message_id).where(columns.message_id > after).order_by(columns.message_id).limit(STEP)
    last: int | None = conn.scalar(select(func.max(rows.subquery().c.message_id)))
    return last


def hold(conn: Connection, wanted: Selection, now: float, by: str) -> int:
    """Attempt nothing more until `release`. What is in transfer is held after this attempt. The record says by whom."""
    return _told(
        conn, update(recipient).where(~recipient.c.held, *_conditions(wanted)).values(held=True), HELD, now, by
    )


def release(conn: Connection, wanted: Selection, now: float, by: str) -> int:
    """Undo `hold`, and try at once, or when the sender lets it leave. The record says by whom."""
    freed = update(recipient).where(recipient.c.held, *_conditions(wanted)).values(held=False, due_at=_due_at(now))
    return _told(conn, freed, RELEASED, now, by)


def _told(conn: Connection, change: Update, what: str, now: float, by: str) -> int:
    """Make it, with its place in the history of each message; returns the number of recipients."""
    columns = recipient.c
    rows = conn.execute(change.returning(columns.message_id, columns.number, columns.address)).all()
    instructed = [
        events.instructed(row.message_id, now, recipient=row.address, what=what, by=by) for row in sorted(rows)
    ]
    message_log.add(conn, instructed)
    return len(rows)


def _due_at(now: float) -> ColumnElement[float]:
    """At once, or when the sender lets it leave."""
    return case((is_early(now), recipient.c.due_at), else_=now)


def remove(conn: Connection, wanted: Selection, now: float, reason: str = DELETED) -> int:
    """Delete recipients that are not in transfer, and each message that has none left; the record says so.

    Returns the number of recipients deleted. No report goes to the sender.
    """
    columns = recipient.c
    rows = conn.execute(
        select(columns.message_id, columns.number, columns.address, columns.queue)
        .where(columns.leased_until <= LeaseNow(), *_conditions(wanted))
        .with_for_update()
    ).all()
    for row in rows:
        conn.execute(delete(recipient).where(columns.message_id == row.message_id, columns.number == row.number))
    message_log.add(conn, [_deleted(row.message_id, row.address, row.queue, now, reason) for row in rows])
    _drop_empty(conn, sorted({row.message_id for row in rows}))
    return len(rows)


def _deleted(message_id: int, address: str, queue: str, now: float, reason: str) -> events.MessageEvent:
    passage = events.Passage(message_id, sender="", queue=queue, way="deleted")
    return events.bounced(passage, now, recipient=address, reason=reason, report=None)


def _drop_empty(conn: Connection, message_ids: Sequence[int]) -> None:
    for identity in message_ids:
        if conn.scalar(select(func.count()).where(recipient.c.message_id == identity)) == 0:
            conn.execute(delete(chunk).where(chunk.c.message_id == identity))
            conn.execute(delete(message).where(message.c.id == identity))


def _conditions(wanted: Selection) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.message_id is not None:
        conditions.append(recipient.c.message_id == wanted.message_id)
    if wanted.within is not None:
        conditions.append(recipient.c.message_id.between(*wanted.within))
    if wanted.queue is not None:
        conditions.append(recipient.c.queue == wanted.queue)
    if wanted.state is not None:
        conditions.append(_state() == wanted.state.value)
    if wanted.reply is not None:
        conditions.append(Containing(recipient.c.last_reply, wanted.reply))
    if wanted.older_than is not None:
        conditions.append(
            recipient.c.message_id.in_(_messages(wanted).where(message.c.received_at < wanted.older_than))
        )
    if wanted.address is not None:
        accounts = select(account.c.id).where(Containing(account.c.primary_address, wanted.address))
        sent_by = _messages(wanted).where(
            or_(
                message.c.account_id.in_(accounts),
                Containing(message.c.chosen_from, wanted.address),
                Containing(message.c.reverse_path, wanted.address),
            )
        )
        sent_to = Containing(recipient.c.address, wanted.address)
        conditions.append(or_(sent_to, recipient.c.message_id.in_(sent_by)))
    if sender := _of_sender(wanted):
        conditions.append(recipient.c.message_id.in_(_messages(wanted).where(*sender)))
    return conditions


def _state() -> ColumnElement[str]:
    columns = recipient.c
    return case(
        (columns.leased_until > LeaseNow(), WaitState.IN_TRANSFER.value),
        (columns.held, WaitState.HELD.value),
        (columns.attempts > 0, WaitState.DEFERRED.value),
        else_=WaitState.NEW.value,
    )


def _messages(wanted: Selection) -> Select[tuple[int]]:
    """Those of the step, so that no step looks at all that waits."""
    found = select(message.c.id)
    return found.where(message.c.id.between(*wanted.within)) if wanted.within else found


def _of_sender(wanted: Selection) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.account_id is not None:
        conditions.append(message.c.account_id == wanted.account_id)
    if wanted.chosen_from is not None:
        local, _, domain = wanted.chosen_from.rpartition("@")
        sender = message.c.chosen_from
        in_domain = sender.endswith(f"@{domain}", autoescape=True)
        tagged = in_domain & sender.startswith(f"{local}+", autoescape=True)
        conditions.append(in_domain if local == "*" else (sender == wanted.chosen_from) | tagged)
    if wanted.unit is not None and wanted.unit != "/":
        below = unit.c.path.startswith(f"{wanted.unit}/", autoescape=True)
        accounts = select(account.c.id).join(unit).where(or_(unit.c.path == wanted.unit, below))
        conditions.append(message.c.account_id.in_(accounts))
    return conditions
