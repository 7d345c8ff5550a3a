"""The changes that a queue can undergo. Each is a record that knows the rows it is made of; many of them are made in
one transaction (store.batch). Knows no thread and no event loop; the caller owns the transaction.

Leases run by store.lease_clock: their ends are never compared with wall time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import Connection, and_, bindparam, case, delete, exists, func, insert, select, update
from sqlalchemy import Row as SqlRow

from outgate.frozen import frozen
from outgate.mail.headers import Field
from outgate.model import QueueKey
from outgate.queue.early import is_early
from outgate.queue.entry import Claimed, Item, Message, Recipient, Room
from outgate.record import message_log
from outgate.record.events import MessageEvent, excerpt
from outgate.route import Ways
from outgate.store.batch import Batch, Row, RowsOnly, Step
from outgate.store.lease_clock import LeaseNow
from outgate.store.tables import chunk, message, recipient

STEP = 500  # recipients that are hastened in one transaction, or a few more, so that none is without its message's
# A claim's statements run on the event loop, where the database is a file: some milliseconds.
QUEUES_AT_ONCE: Final = 8
CLAIMED_AT_ONCE: Final = 50  # messages

_COLUMNS = tuple(one.name for one in fields(Message))
_VALUES = attrgetter(*_COLUMNS)

_OF_THE_MESSAGE = recipient.c.message_id == bindparam("b_message")
_THE_RECIPIENT = and_(_OF_THE_MESSAGE, recipient.c.number == bindparam("b_number"))
_OWN_LEASE = recipient.c.leased_by == bindparam("b_leased_by")
_NOBODY_LEFT = ~exists().where(_OF_THE_MESSAGE)
_LEASED_UNTIL = LeaseNow() + bindparam("b_lease")

_ADD_CHUNK = Step(10, insert(chunk))
_ADD_MESSAGE = Step(11, insert(message))
_ADD_RECIPIENT = Step(
    12,
    insert(recipient).values(leased_until=case((bindparam("b_lease") > 0, _LEASED_UNTIL), else_=0.0)),
)
# Pieces of a message that has a row are its content: a commit whose answer was lost may have put it into the queue.
_DROP_PIECES = Step(
    20,
    delete(chunk).where(
        chunk.c.message_id == bindparam("b_message"), ~exists().where(message.c.id == bindparam("b_message"))
    ),
)
# Two nodes that finish a message's last two recipients at once would each see the other's row, and leave the message.
_LOCK_MESSAGE = Step(
    30, update(message).where(message.c.id == bindparam("b_message")).values(id=message.c.id), only_on="postgresql"
)
_DROP_RECIPIENT = Step(31, delete(recipient).where(_THE_RECIPIENT))
_DEFER = Step(
    32,
    update(recipient)
    .where(_THE_RECIPIENT, _OWN_LEASE)
    .values(
        due_at=bindparam("b_due_at"),
        attempts=bindparam("b_attempts"),
        queue=bindparam("b_queue"),
        last_reply=bindparam("b_reply"),
        delay_told=bindparam("b_delay_told"),
        leased_by=None,
        leased_until=0.0,
    ),
)
_DROP_CONTENT = Step(33, delete(chunk).where(chunk.c.message_id == bindparam("b_message"), _NOBODY_LEFT))
_DROP_MESSAGE = Step(34, delete(message).where(message.c.id == bindparam("b_message"), _NOBODY_LEFT))
_RENEW = Step(40, update(recipient).where(_OF_THE_MESSAGE, _OWN_LEASE).values(leased_until=_LEASED_UNTIL))
_GIVE_BACK = Step(41, update(recipient).where(_THE_RECIPIENT, _OWN_LEASE).values(leased_by=None, leased_until=0.0))
_JOURNALLED = Step(50, update(message).where(message.c.id == bindparam("b_message")).values(journalled=True))


@frozen
class AddChunk(RowsOnly):
    """A piece of a message that is still arriving."""

    message_id: int
    number: int
    data: bytes

    @property
    def weight(self) -> int:
        """Bytes of the piece."""
        return len(self.data)

    def add_to(self, batch: Batch) -> None:
        """The piece."""
        batch.add(_ADD_CHUNK, {"message_id": self.message_id, "number": self.number, "data": self.data})


@frozen
class Discard(RowsOnly):
    """The message did not arrive whole: its pieces go."""

    message_id: int

    def add_to(self, batch: Batch) -> None:
        """All its pieces."""
        batch.add(_DROP_PIECES, {"b_message": self.message_id})


@dataclass(slots=True)
class Put(RowsOnly):
    """A message has arrived: its last piece, its row, its recipients. After the commit it is ours.

    `earlier_chunks` are the pieces right before the last that no AddChunk has stored.
    The queue sets `leased_by`, and `lease` to its seconds, when the message is handed over in memory at the same time;
    else a claim will find it.
    """

    message: Message
    recipients: Sequence[Recipient]
    last_chunk: bytes
    events: Sequence[MessageEvent]
    due_at: float
    leased_by: str | None = None
    lease: float = 0.0
    fields: Sequence[Field] | None = None  # this and the ways: for whom it is handed over to in memory
    ways: Ways | None = None
    journal_of: int | None = None  # the message that this is the journal copy of
    earlier_chunks: Sequence[bytes] = ()
    beside: Sequence[RowsOnly] = ()  # other rooms' changes that are made in the same transaction

    @property
    def weight(self) -> int:
        """Bytes of the pieces."""
        return len(self.last_chunk) + sum(map(len, self.earlier_chunks))

    def add_to(self, batch: Batch) -> None:
        """The message, its pieces, its recipients, its events, and what is made beside it."""
        entry = self.message
        batch.add(_ADD_MESSAGE, dict(zip(_COLUMNS, _VALUES(entry), strict=True)))
        pieces = (*self.earlier_chunks, self.last_chunk)
        numbered = enumerate(pieces, entry.chunks - len(pieces))
        batch.add(_ADD_CHUNK, *[{"message_id": entry.id, "number": n, "data": data} for n, data in numbered])
        batch.add(_ADD_RECIPIENT, *[self._row(one) for one in self.recipients])
        message_log.add_to(batch, self.events)
        if self.journal_of is not None:
            batch.add(_JOURNALLED, {"b_message": self.journal_of})
        for beside in self.beside:
            beside.add_to(batch)

    def _row(self, one: Recipient) -> Row:
        return {
            "message_id": self.message.id,
            "number": one.number,
            "address": one.address,
            "orcpt": one.orcpt,
            "notify": one.notify,
            "queue": str(one.queue),
            "attempts": 0,
            "due_at": self.due_at,
            "b_lease": self.lease,
            "leased_by": self.leased_by,
            "held": False,
            "delay_told": False,
        }


@frozen
class RecordEvents(RowsOnly):
    """Events alone: of a message that was not taken."""

    events: Sequence[MessageEvent]

    def add_to(self, batch: Batch) -> None:
        """The events."""
        message_log.add_to(batch, self.events)


@frozen
class Defer:
    """A recipient that is tried again at `due_at`; `untried`: it was not tried this time, either."""

    recipient: Recipient
    due_at: float
    reply: str
    untried: bool = False


@frozen
class Finish(RowsOnly):
    """Outcomes of an attempt: `done` are the numbers of recipients with a final one; `report` tells the sender."""

    message_id: int
    done: Sequence[int]
    deferred: Sequence[Defer]
    events: Sequence[MessageEvent]
    leased_by: str
    report: Put | None = None

    def add_to(self, batch: Batch) -> None:
        """The recipients' rows, the message and its content if nobody is left, the events and the report."""
        if self.deferred:
            batch.add(_DEFER, *[self._deferred(one) for one in self.deferred])
        if self.done:
            batch.add(_DROP_RECIPIENT, *[{"b_message": self.message_id, "b_number": number} for number in self.done])
            for step in (_LOCK_MESSAGE, _DROP_CONTENT, _DROP_MESSAGE):
                batch.add(step, {"b_message": self.message_id})
        message_log.add_to(batch, self.events)
        if self.report:
            self.report.add_to(batch)

    def bare(self) -> "Finish":
        """The outcomes alone, without what is told of them."""
        return replace(self, deferred=[replace(one, reply="") for one in self.deferred], events=(), report=None)

    def _deferred(self, one: Defer) -> Row:
        return {
            "b_message": self.message_id,
            "b_number": one.recipient.number,
            "b_leased_by": self.leased_by,
            "b_due_at": one.due_at,
            "b_attempts": one.recipient.attempts,
            "b_queue": str(one.recipient.queue),
            "b_reply": excerpt(one.reply),
            "b_delay_told": one.recipient.delay_told,
        }


@frozen
class Renew(RowsOnly):
    """The worker still holds these messages, for so many seconds more."""

    message_ids: Sequence[int]
    leased_by: str
    lease: float

    def add_to(self, batch: Batch) -> None:
        """Their recipients' leases."""
        batch.add(
            _RENEW, *({"b_message": i, "b_leased_by": self.leased_by, "b_lease": self.lease} for i in self.message_ids)
        )


@frozen
class GiveBack(RowsOnly):
    """The worker no longer holds these recipients, though they have no outcome: (message id, number)."""

    recipients: Sequence[tuple[int, int]]
    leased_by: str

    def add_to(self, batch: Batch) -> None:
        """Their leases."""
        batch.add(
            _GIVE_BACK,
            *({"b_message": i, "b_number": number, "b_leased_by": self.leased_by} for i, number in self.recipients),
        )


@frozen
class Release(RowsOnly):
    """Give back all that workers whose names begin so hold: they start anew, or stop."""

    leased_by: str

    def add_to(self, batch: Batch) -> None:
        """Not batched: it is one statement for all."""

    def answer(self, connection: Connection) -> None:
        """Nothing."""
        connection.execute(
            update(recipient)
            .where(recipient.c.leased_by.startswith(self.leased_by, autoescape=True))
            .values(leased_by=None, leased_until=0.0)
        )


# An expression, so that no index answers it. Else SQLite goes through all that waits in the queue, which may be a
# million, although the statement names the messages that it is about.
_OF_THE_QUEUE = recipient.c.queue + "" == bindparam("b_queue")

_WAITS = and_(
    ~recipient.c.held,
    recipient.c.due_at > bindparam("b_now"),
    recipient.c.leased_until <= LeaseNow(),
    ~is_early(bindparam("b_now")),
)
_SOME = (
    select(recipient.c.message_id)
    .where(recipient.c.queue == bindparam("b_queue"), _WAITS)
    .order_by(recipient.c.due_at)
    .limit(STEP)
)
_HASTEN = (
    update(recipient).where(recipient.c.message_id.in_(_SOME), _OF_THE_QUEUE, _WAITS).values(due_at=bindparam("b_now"))
)


@frozen
class Hasten:
    """Make due what waits in a queue, some of it, of what may leave already; answers how many that were."""

    queue: QueueKey
    now: float

    @property
    def weight(self) -> int:
        """Nothing to speak of."""
        return 0

    def add_to(self, batch: Batch) -> None:
        """Not batched: it is rare."""

    def answer(self, connection: Connection) -> int:
        """How many are due now."""
        return connection.execute(_HASTEN, {"b_queue": str(self.queue), "b_now": self.now}).rowcount


# All queues in which something waits, each found by one step in the index, with when the oldest of it was due.
_LATER = recipient.alias("later")
_QUEUES = select(func.min(recipient.c.queue).label("queue")).cte("queues", recursive=True)
_QUEUES = _QUEUES.union_all(
    select(select(func.min(_LATER.c.queue)).where(_LATER.c.queue > _QUEUES.c.queue).scalar_subquery()).where(
        _QUEUES.c.queue.is_not(None)
    )
)
_FREE = and_(~recipient.c.held, recipient.c.due_at <= bindparam("b_now"), recipient.c.leased_until <= LeaseNow())
_OLDEST = (
    select(func.min(recipient.c.due_at)).where(recipient.c.queue == _QUEUES.c.queue, _FREE).scalar_subquery()
).label("oldest")
_FOUND = select(_QUEUES.c.queue, _OLDEST).where(_QUEUES.c.queue.is_not(None)).subquery()
_DUE_QUEUES = select(_FOUND.c.queue).where(_FOUND.c.oldest.is_not(None)).order_by(_FOUND.c.oldest)
# What is due is taken by whole messages: a provider's interface hands one over for all whom it names, and parts would
# cost a transaction and a report each. The rows lead to their messages. Another node may be claiming at the same time
# (PostgreSQL; SQLite has one writer): whoever has locked a message takes what is due of it.
_DUE_MESSAGES = (
    select(recipient.c.message_id)
    .where(recipient.c.queue == bindparam("b_queue"), _FREE)
    .order_by(recipient.c.due_at)
    .limit(bindparam("b_limit"))
)
_LOCKED = (
    select(message.c.id)
    .where(message.c.id.in_(bindparam("b_messages", expanding=True)))
    .with_for_update(skip_locked=True, key_share=True)
)
_WHOLE = (
    select(recipient)
    .where(
        recipient.c.message_id.in_(bindparam("b_messages", expanding=True)),
        _OF_THE_QUEUE,
        _FREE,
    )
    .with_for_update(skip_locked=True)
)
_TAKE = update(recipient).where(_THE_RECIPIENT).values(leased_by=bindparam("b_leased_by"), leased_until=_LEASED_UNTIL)


def due_queues(connection: Connection, now: float) -> Sequence[QueueKey]:
    """Queues in which something is due that nobody holds, the most overdue first."""
    return [QueueKey.parse(one) for one in connection.scalars(_DUE_QUEUES, {"b_now": now})]


@frozen
class Claim:
    """Take over what is due in these queues, one after the other: of each the oldest, as much as there is room for.

    A step: however many queues there are, and however much there is room for, mail waits for few statements.
    """

    leased_by: str
    now: float
    lease: float
    room: Room
    queues: Sequence[QueueKey]

    @property
    def weight(self) -> int:
        """Nothing to speak of."""
        return 0

    def add_to(self, batch: Batch) -> None:
        """Not batched: what is due is asked once the group's own rows are written."""

    def answer(self, connection: Connection) -> Claimed:
        """The items that are ours now."""
        room, left_behind, to_go_on = self.room, set[QueueKey](), list[QueueKey]()
        taken, messages, seen_to = list[SqlRow[Any]](), 0, 0
        for queue in self.queues[:QUEUES_AT_ONCE]:
            if messages >= CLAIMED_AT_ONCE:
                break
            seen_to += 1
            here = room.of(queue)
            limit = min(here, CLAIMED_AT_ONCE - messages)
            rows, is_all = self._due(connection, queue, limit) if limit else ((), False)
            taken += rows
            brought = len({row.message_id for row in rows})
            messages += brought
            room = room.less(queue, brought)
            if is_all:
                continue
            if brought and limit < here:  # this step's bound, not the room: the next one takes more
                to_go_on.append(queue)
            else:
                left_behind.add(queue)
        if taken:
            common = {"b_leased_by": self.leased_by, "b_lease": self.lease}
            connection.execute(_TAKE, [common | {"b_message": row.message_id, "b_number": row.number} for row in taken])
        return Claimed(tuple(_items(connection, taken)), frozenset(left_behind), (*self.queues[seen_to:], *to_go_on))

    def _due(self, connection: Connection, queue: QueueKey, limit: int) -> tuple[Sequence[SqlRow[Any]], bool]:
        """Rows of at most so many messages that are due there, and whether that is all."""
        asked = {"b_queue": str(queue), "b_now": self.now, "b_limit": limit}
        found = connection.scalars(_DUE_MESSAGES, asked).all()
        locked = connection.scalars(_LOCKED, {"b_messages": sorted(set(found))}).all() if found else ()
        whole = connection.execute(_WHOLE, asked | {"b_messages": locked}).all() if locked else ()
        return whole, len(found) < limit


def _items(connection: Connection, rows: Sequence[Any]) -> Iterator[Item]:
    """Messages with those of their recipients whose rows these are."""
    waiting: dict[int, list[Recipient]] = {}
    for row in sorted(rows, key=lambda row: (row.message_id, row.number)):
        waiting.setdefault(row.message_id, []).append(Recipient.from_row(row))
    messages = connection.execute(select(message).where(message.c.id.in_(waiting)).order_by(message.c.id))
    for found in messages:
        yield Item(Message.from_row(found), tuple(waiting[found.id]))
