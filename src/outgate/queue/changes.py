"""The changes that a queue can undergo, and how many of them are made in one transaction.

Each change is a record; `apply` sorts a group of them into one executemany for each kind of row. Knows no thread and
no event loop; the caller owns the transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, exists, insert, select, text, tuple_, update

from outgate.mail.headers import Field
from outgate.queue.entry import Item, Message, Recipient
from outgate.record import message_log
from outgate.record.events import MessageEvent, excerpt
from outgate.store.tables import chunk, message, node, recipient, usage


@dataclass(frozen=True, slots=True)
class AddChunk:
    """A piece of a message that is still arriving."""

    message_id: int
    number: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Discard:
    """The message did not arrive whole: its pieces go."""

    message_id: int


@dataclass(frozen=True, slots=True)
class Put:
    """A message has arrived: its last piece, its row, its recipients. After the commit it is ours.

    `leased_by` is set when it is handed over in memory at the same time, else a claim will find it.
    """

    message: Message
    recipients: Sequence[Recipient]
    last_chunk: bytes
    events: Sequence[MessageEvent]
    due_at: float
    leased_by: str | None = None
    leased_until: float = 0.0
    fields: Sequence[Field] | None = None  # for whom it is handed over to in memory
    journal_of: int | None = None  # the message that this is the journal copy of


@dataclass(frozen=True, slots=True)
class RecordEvents:
    """Facts alone: of a message that was not taken."""

    events: Sequence[MessageEvent]


@dataclass(frozen=True, slots=True)
class Defer:
    """A recipient that is tried again at `due_at`."""

    recipient: Recipient
    due_at: float
    reply: str


@dataclass(frozen=True, slots=True)
class Finish:
    """Outcomes of an attempt: `done` are the numbers of recipients with a final one; `report` tells the sender."""

    message_id: int
    done: Sequence[int]
    deferred: Sequence[Defer]
    events: Sequence[MessageEvent]
    leased_by: str
    report: Put | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """Take over what is due, at most about `limit` recipients."""

    leased_by: str
    now: float
    until: float
    limit: int


@dataclass(frozen=True, slots=True)
class Renew:
    """The worker still holds these messages."""

    message_ids: Sequence[int]
    leased_by: str
    until: float


@dataclass(frozen=True, slots=True)
class Release:
    """Give back all that workers whose names begin so hold: they start anew, or stop."""

    leased_by: str


@dataclass(frozen=True, slots=True)
class InForce:
    """This worker hands nothing over any more that was decided under an older version; None: it stops."""

    node: str
    version: int | None
    at: float


@dataclass(frozen=True, slots=True)
class ForgetUsage:
    """What was sent before this hour counts for no limit any more."""

    before_hour: int


Change = AddChunk | Discard | Put | Finish | Claim | Renew | Release | InForce | ForgetUsage | RecordEvents
Result = list[Item] | None


@dataclass(slots=True)
class _Rows:
    """The rows of a group of changes, by statement."""

    chunks: list[dict[str, Any]] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)
    recipients: list[dict[str, Any]] = field(default_factory=list)
    events: list[MessageEvent] = field(default_factory=list)
    done: list[dict[str, Any]] = field(default_factory=list)
    deferred: list[dict[str, Any]] = field(default_factory=list)
    finished: list[dict[str, Any]] = field(default_factory=list)
    discarded: list[dict[str, Any]] = field(default_factory=list)
    renewed: list[dict[str, Any]] = field(default_factory=list)
    journalled: list[dict[str, Any]] = field(default_factory=list)
    used: dict[tuple[int, int], list[int]] = field(default_factory=dict)  # (hour, account) -> messages, recipients


_ADD_CHUNK, _ADD_MESSAGE, _ADD_RECIPIENT = insert(chunk), insert(message), insert(recipient)
_DROP_CHUNKS = delete(chunk).where(chunk.c.message_id == bindparam("b_message"))
_DROP_RECIPIENT = delete(recipient).where(
    recipient.c.message_id == bindparam("b_message"), recipient.c.number == bindparam("b_number")
)
_DEFER = (
    update(recipient)
    .where(
        recipient.c.message_id == bindparam("b_message"),
        recipient.c.number == bindparam("b_number"),
        recipient.c.leased_by == bindparam("b_leased_by"),
    )
    .values(
        due_at=bindparam("b_due_at"),
        attempts=bindparam("b_attempts"),
        queue=bindparam("b_queue"),
        last_reply=bindparam("b_reply"),
        leased_by=None,
        leased_until=0.0,
    )
)
_NOBODY_LEFT = ~exists().where(recipient.c.message_id == bindparam("b_message"))
_DROP_MESSAGE = delete(message).where(message.c.id == bindparam("b_message"), _NOBODY_LEFT)
_DROP_CONTENT = delete(chunk).where(chunk.c.message_id == bindparam("b_message"), _NOBODY_LEFT)
_RENEW = (
    update(recipient)
    .where(recipient.c.message_id == bindparam("b_message"), recipient.c.leased_by == bindparam("b_leased_by"))
    .values(leased_until=bindparam("b_until"))
)


_JOURNALLED = update(message).where(message.c.id == bindparam("b_message")).values(journalled=True)
# Both databases have it, SQLAlchemy only by dialect.
_USED = text(
    "INSERT INTO usage (account_id, hour, messages, recipients) VALUES (:account_id, :hour, :messages, :recipients)"
    " ON CONFLICT (hour, account_id) DO UPDATE SET"
    " messages = usage.messages + excluded.messages, recipients = usage.recipients + excluded.recipients"
)


def apply(conn: Connection, changes: Sequence[Change]) -> list[Result]:
    """Make all `changes` in the caller's transaction; the result of each in the same order (items for a Claim)."""
    rows = _Rows()
    for change in changes:
        _collect(rows, change)
    for statement, parameters in (
        (_ADD_CHUNK, rows.chunks),
        (_ADD_MESSAGE, rows.messages),
        (_ADD_RECIPIENT, rows.recipients),
        (_DROP_CHUNKS, rows.discarded),
        (_DROP_RECIPIENT, rows.done),
        (_DEFER, rows.deferred),
        (_DROP_CONTENT, rows.finished),
        (_DROP_MESSAGE, rows.finished),
        (_RENEW, rows.renewed),
        (_JOURNALLED, rows.journalled),
        (_USED, _usage(rows)),
    ):
        if parameters:
            conn.execute(statement, parameters)
    message_log.add(conn, rows.events)
    return [_answer(conn, change) for change in changes]


def _answer(conn: Connection, change: Change) -> Result:
    if isinstance(change, Claim):
        return _claim(conn, change)
    if isinstance(change, InForce):
        conn.execute(delete(node).where(node.c.name == change.node))
        if change.version is not None:
            conn.execute(insert(node).values(name=change.node, version=change.version, seen_at=change.at))
    if isinstance(change, ForgetUsage):
        conn.execute(delete(usage).where(usage.c.hour < change.before_hour))
    if isinstance(change, Release):
        conn.execute(
            update(recipient)
            .where(recipient.c.leased_by.startswith(change.leased_by, autoescape=True))
            .values(leased_by=None, leased_until=0.0)
        )
    return None


def _collect(rows: _Rows, change: Change) -> None:
    match change:
        case AddChunk(message_id, number, data):
            rows.chunks.append({"message_id": message_id, "number": number, "data": data})
        case Put():
            _collect_put(rows, change)
        case Finish():
            _collect_finish(rows, change)
        case RecordEvents(recorded):
            rows.events += recorded
        case Discard(message_id):
            rows.discarded.append({"b_message": message_id})
        case Renew(message_ids, leased_by, until):
            rows.renewed += [{"b_message": i, "b_leased_by": leased_by, "b_until": until} for i in message_ids]


def _collect_put(rows: _Rows, put: Put) -> None:
    entry = put.message
    rows.messages.append({name: getattr(entry, name) for name in Message.__slots__})
    rows.chunks.append({"message_id": entry.id, "number": entry.chunks - 1, "data": put.last_chunk})
    rows.recipients += [
        {
            "message_id": entry.id,
            "number": one.number,
            "address": one.address,
            "orcpt": one.orcpt,
            "notify": one.notify,
            "queue": one.queue,
            "attempts": 0,
            "due_at": put.due_at,
            "leased_until": put.leased_until,
            "leased_by": put.leased_by,
            "held": False,
        }
        for one in put.recipients
    ]
    rows.events += put.events
    if put.journal_of is not None:
        rows.journalled.append({"b_message": put.journal_of})
    if entry.account_id is not None:
        hour = int(entry.received_at // 3600)
        counted = rows.used.setdefault((hour, entry.account_id), [0, 0])
        counted[0] += 1
        counted[1] += len(put.recipients)


def _usage(rows: _Rows) -> list[dict[str, Any]]:
    """In the order of accounts, so that two nodes never wait for each other's rows."""
    return [
        {"account_id": account_id, "hour": hour, "messages": messages, "recipients": recipients}
        for (hour, account_id), (messages, recipients) in sorted(rows.used.items())
    ]


def _collect_finish(rows: _Rows, finish: Finish) -> None:
    rows.done += [{"b_message": finish.message_id, "b_number": number} for number in finish.done]
    rows.deferred += [
        {
            "b_message": finish.message_id,
            "b_number": one.recipient.number,
            "b_leased_by": finish.leased_by,
            "b_due_at": one.due_at,
            "b_attempts": one.recipient.attempts,
            "b_queue": one.recipient.queue,
            "b_reply": excerpt(one.reply),
        }
        for one in finish.deferred
    ]
    if finish.done:
        rows.finished.append({"b_message": finish.message_id})
    rows.events += finish.events
    if finish.report:
        _collect_put(rows, finish.report)


def _claim(conn: Connection, claim: Claim) -> list[Item]:
    """Lease what is due: the oldest first, and of each message all that is due of it (one transaction to a peer)."""
    due = and_(~recipient.c.held, recipient.c.due_at <= claim.now, recipient.c.leased_until <= claim.now)
    oldest = select(recipient.c.message_id).where(due).order_by(recipient.c.due_at).limit(claim.limit)
    ids = list(dict.fromkeys(conn.scalars(oldest)))
    if not ids:
        return []
    # Another node may be claiming at the same time: what it has locked is its own (PostgreSQL; SQLite has one writer).
    taken = conn.execute(
        select(recipient)
        .where(recipient.c.message_id.in_(ids), due)
        .order_by(recipient.c.message_id, recipient.c.number)
        .with_for_update(skip_locked=True)
    ).all()
    keys = [(row.message_id, row.number) for row in taken]
    conn.execute(
        update(recipient)
        .where(tuple_(recipient.c.message_id, recipient.c.number).in_(keys))
        .values(leased_by=claim.leased_by, leased_until=claim.until)
    )
    waiting: dict[int, list[Recipient]] = {}
    for row in taken:
        entry = Recipient(row.number, row.address, row.queue, row.orcpt, row.notify, row.attempts)
        waiting.setdefault(row.message_id, []).append(entry)
    messages = conn.execute(select(message).where(message.c.id.in_(waiting)).order_by(message.c.id))
    return [Item(Message(**row._asdict()), tuple(waiting[row.id])) for row in messages]
