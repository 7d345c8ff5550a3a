"""Writes events as rows and finds them again. Rows are added and never changed; `retention` removes the old.

What a message is searched by is in `search_keys`.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from enum import StrEnum
from functools import partial
from typing import Any, Final

from pydantic_core import to_json
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    case,
    exists,
    func,
    insert,
    literal,
    literal_column,
    select,
    tuple_,
)

from outgate.frozen import frozen
from outgate.record import search_keys
from outgate.record.events import FIRST_KINDS, EventKind, MessageEvent
from outgate.record.search_keys import Between, KeyRole
from outgate.store.batch import Batch, Step
from outgate.store.tables import fact, message

_ADD = Step(90, insert(fact))
# Literally as in the indexes' conditions.
FIRST: Final[ColumnElement[bool]] = literal_column("fact.kind IN ('accepted', 'refused')")
_IS_REFUSED: Final[ColumnElement[bool]] = literal_column("fact.kind = 'refused'")


def add(conn: Connection, events: Sequence[MessageEvent]) -> None:
    """Record events within the caller's transaction."""
    batch = Batch()
    add_to(batch, events)
    batch.execute(conn)


def add_to(batch: Batch, events: Sequence[MessageEvent]) -> None:
    """Record events together with what they tell of."""
    batch.add(_ADD, *[_row(event) for event in events])
    for event in events:
        if event.kind in FIRST_KINDS:
            search_keys.add_to(batch, event)


def _row(event: MessageEvent) -> dict[str, Any]:
    return {
        "message_id": event.message_id,
        "at": event.at,
        "kind": str(event.kind),
        "detail": to_json(event.detail).decode(),
    }


_DAY: Final = 86400.0  # seconds
_WALKED: Final = 4000  # messages of a key that are looked at in one step
_LOOKED_AT: Final = 20  # messages: others may send from the same address, and the account from other ones


class MessageOutcome(StrEnum):
    """What became of a message: refused, or else waiting while one recipient waits, or else bounced if one was."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    REFUSED = "refused"


@frozen
class MessageFilter:
    """Which messages `search` shows; what is None is not asked for. Times in seconds since the epoch.

    `address` is a sender's or a recipient's; each of the three is a whole address or, without an @, a domain.
    `older_than` is the queue id of the last message that was shown: those behind it come.
    """

    address: str | None = None
    sender: str | None = None
    recipient: str | None = None
    message_id: str | None = None
    outcome: MessageOutcome | None = None
    since: float | None = None
    until: float | None = None
    limit: int = 50
    older_than: int | None = None


@frozen
class LoggedMessage:
    """The first event of a message, accepted or refused, and what became of it."""

    event: MessageEvent
    outcome: MessageOutcome


def history(conn: Connection, message_id: int) -> list[MessageEvent]:
    """All events of one message, oldest first; empty if there is no such message."""
    rows = conn.execute(select(fact).where(fact.c.message_id == message_id).order_by(fact.c.id))
    return [event_of(row) for row in rows]


def routes(conn: Connection, message_ids: Collection[int]) -> list[MessageEvent]:
    """By which ways these messages were to go; a refused one has none."""
    wanted = (fact.c.message_id.in_(message_ids), fact.c.kind == EventKind.ROUTED.value)
    return [event_of(row) for row in conn.execute(select(fact).where(*wanted).order_by(fact.c.id))]


def search(conn: Connection, wanted: MessageFilter) -> Iterator[LoggedMessage]:
    """The newest messages that match, newest first."""
    by_keys = _by_keys(wanted)
    rows = _found_along(conn, wanted, by_keys) if by_keys else conn.execute(statement(wanted)).all()
    return (LoggedMessage(event_of(row), MessageOutcome(row.outcome)) for row in rows)


@frozen
class _Way:
    """One thing that is asked for: the newest so many messages of it between two, and whether a message is of it."""

    newest: Callable[[int, Between], Select[Any]]
    condition: ColumnElement[bool]


def _found_along(conn: Connection, wanted: MessageFilter, by_keys: Sequence[_Way]) -> list[Row[Any]]:
    """By the way with the fewest messages, from the newest on, as far as it takes: a popular domain has many, and
    its newest are enough.
    """
    after, behind = _bounds(conn, wanted)
    ways = [*by_keys, *_by_outcome(wanted)]
    walked = _sparsest(conn, ways, (after, behind)) if len(ways) > 1 else ways[0]
    conditions = [way.condition for way in ways if way is not walked]
    if wanted.outcome is not None:
        conditions.append(literal(wanted.outcome.value) == _OUTCOME)
    found, step = list[Row[Any]](), min(wanted.limit, _WALKED)
    while True:
        ids = conn.scalars(walked.newest(step, (after, behind))).all()
        among = _shown_of(wanted, fact.c.message_id.in_(ids), *conditions)
        newest = among.order_by(fact.c.message_id.desc(), fact.c.id.desc()).limit(wanted.limit - len(found))
        found += conn.execute(newest).all()
        if len(found) >= wanted.limit or len(ids) < step:
            return found
        behind, step = ids[-1], min(4 * step, _WALKED)


def _sparsest(conn: Connection, ways: Sequence[_Way], between: Between) -> _Way:
    """The one that ends first; of those that don't, the one whose messages reach back the furthest."""

    def reach(way: _Way) -> tuple[int, int]:
        ids = conn.scalars(way.newest(_WALKED, between)).all()
        return (ids[-1] if len(ids) == _WALKED else -1), len(ids)

    return min(ways, key=reach)


def _bounds(conn: Connection, wanted: MessageFilter) -> Between:
    """Between which messages those of the times lie that are asked for.

    Queue ids grow with time, but for clocks that were set and for messages that took long to come: one that came a day
    earlier is before all of them, and one that came a day later behind.
    """
    after, behind = None, wanted.older_than
    if wanted.since is not None:
        earlier = select(fact.c.message_id).where(FIRST, fact.c.at < wanted.since - _DAY)
        after = conn.scalar(earlier.order_by(fact.c.at.desc(), fact.c.id.desc()).limit(1))
    if wanted.until is not None:
        later = select(fact.c.message_id).where(FIRST, fact.c.at >= wanted.until + _DAY)
        later_one = conn.scalar(later.order_by(fact.c.at, fact.c.id).limit(1))
        behind = min((one for one in (behind, later_one) if one is not None), default=None)
    return after, behind


def last_accepted(conn: Connection, account: str, addresses: Sequence[str]) -> dict[str, float]:
    """When the last message of an account from each address was accepted, in seconds since the epoch; without those
    addresses by which none of the newest messages that are found by them is.
    """
    found: dict[str, float] = {}
    for each in (1, _LOOKED_AT):  # most are told by their newest message
        if left := [one for one in addresses if one not in found]:
            found |= _last_accepted(conn, account, left, each)
    return found


def _last_accepted(conn: Connection, account: str, addresses: Sequence[str], each: int) -> dict[str, float]:
    by_message: dict[int, set[str]] = {}
    for number, message_id in conn.execute(search_keys.newest(account, addresses, each)):
        by_message.setdefault(message_id, set()).update(addresses[number : number + 1] or addresses)
    accepted = (fact.c.message_id.in_(by_message), FIRST, fact.c.kind == EventKind.ACCEPTED.value)
    found: dict[str, float] = {}
    for row in conn.execute(select(fact).where(*accepted).order_by(fact.c.message_id.desc())):
        if wanted := by_message[row.message_id] - found.keys():
            detail = json.loads(row.detail)
            by = search_keys.compared(detail["from"]) if detail["account"] == account else ()
            found.update((one, row.at) for one in wanted if one in by)
    return found


def statement(wanted: MessageFilter) -> Select[Any]:
    """The query of `search` for no key: by an index, whatever is asked for."""
    # The few are in order of their queue ids, which grow with time.
    by_message = wanted.outcome in _BY_MESSAGE
    conditions = [_OUTCOMES[wanted.outcome]] if wanted.outcome is not None else []
    if wanted.older_than is not None:
        conditions.append(_behind(wanted.older_than, by_message=by_message))
    newest_first = fact.c.message_id.desc() if by_message else fact.c.at.desc()
    return _shown_of(wanted, *conditions).order_by(newest_first, fact.c.id.desc()).limit(wanted.limit)


def _shown_of(wanted: MessageFilter, *conditions: ColumnElement[bool]) -> Select[Any]:
    """First events of those times under these conditions, and what became of their messages."""
    times = [] if wanted.since is None else [fact.c.at >= wanted.since]
    if wanted.until is not None:
        times.append(fact.c.at < wanted.until)
    return select(*fact.c, _OUTCOME.label("outcome")).where(FIRST, *times, *conditions)


def _behind(message_id: int, *, by_message: bool) -> ColumnElement[bool]:
    """What comes after this message in the order of `statement`: nothing, if it is not on record any more."""
    if by_message:
        return fact.c.message_id < message_id
    last = select(_shown.c.at, _shown.c.id).where(_shown.c.message_id == message_id, _IS_FIRST_SHOWN)
    return tuple_(fact.c.at, fact.c.id) < last.scalar_subquery()


_shown = fact.alias("shown")
_IS_FIRST_SHOWN: Final[ColumnElement[bool]] = literal_column("shown.kind IN ('accepted', 'refused')")
_bounced = fact.alias("bounced")
_WAITS = exists().where(message.c.id == fact.c.message_id)
_IS_BOUNCE: Final[ColumnElement[bool]] = literal_column("bounced.kind = 'bounced'")
_HAS_BOUNCED = exists().where(_bounced.c.message_id == fact.c.message_id, _IS_BOUNCE)
_OUTCOME = case(
    (_IS_REFUSED, MessageOutcome.REFUSED.value),
    (_WAITS, MessageOutcome.WAITING.value),
    (_HAS_BOUNCED, MessageOutcome.BOUNCED.value),
    else_=MessageOutcome.DELIVERED.value,
)
# By the index that few messages are in: each that became this, and perhaps others.
_FEW: Final[Mapping[MessageOutcome, Select[Any]]] = {
    MessageOutcome.REFUSED: select(fact.c.message_id).where(_IS_REFUSED),
    MessageOutcome.WAITING: select(message.c.id),
    MessageOutcome.BOUNCED: select(_bounced.c.message_id).where(_IS_BOUNCE),
}
_OUTCOMES: Final[Mapping[MessageOutcome, ColumnElement[bool]]] = {
    MessageOutcome.REFUSED: _IS_REFUSED,
    MessageOutcome.WAITING: fact.c.message_id.in_(_FEW[MessageOutcome.WAITING]),
    MessageOutcome.BOUNCED: and_(fact.c.message_id.in_(_FEW[MessageOutcome.BOUNCED]), ~_WAITS),
    MessageOutcome.DELIVERED: and_(~_IS_REFUSED, ~_WAITS, ~_HAS_BOUNCED),
}
_BY_MESSAGE: Final = (MessageOutcome.WAITING, MessageOutcome.BOUNCED)


def _by_keys(wanted: MessageFilter) -> list[_Way]:
    """What is asked for that messages have keys of."""
    asked = (
        (wanted.address, (KeyRole.SENDER, KeyRole.RECIPIENT)),
        (wanted.sender, (KeyRole.SENDER,)),
        (wanted.recipient, (KeyRole.RECIPIENT,)),
    )
    keys = [
        [search_keys.address_or_domain(role, wanted_text) for role in roles]
        for wanted_text, roles in asked
        if wanted_text
    ]
    if wanted.message_id:
        keys.append([search_keys.message_id_key(wanted.message_id)])
    return [_Way(partial(search_keys.messages, one), search_keys.has_one(fact.c.message_id, one)) for one in keys]


def _by_outcome(wanted: MessageFilter) -> list[_Way]:
    """What is asked for that few messages became."""
    if wanted.outcome is None or wanted.outcome not in _FEW:
        return []
    return [_Way(partial(_newest_of, _FEW[wanted.outcome]), _OUTCOMES[wanted.outcome])]


def _newest_of(few: Select[Any], limit: int, between: Between) -> Select[Any]:
    (identity,) = few.selected_columns
    after, behind = between
    if after is not None:
        few = few.where(identity > after)
    if behind is not None:
        few = few.where(identity < behind)
    return few.distinct().order_by(identity.desc()).limit(limit)


def latest(conn: Connection, after: int, limit: int, to: int | None = None) -> list[tuple[int, MessageEvent]]:
    """Events with a row number above `after`, perhaps only up to `to`, oldest first, each with its number."""
    wanted = [fact.c.id > after, *([fact.c.id <= to] if to is not None else [])]
    rows = conn.execute(select(fact).where(*wanted).order_by(fact.c.id).limit(limit))
    return [(row.id, event_of(row)) for row in rows]


def between(
    conn: Connection, after: int, to: int, kinds: Collection[str], limit: int
) -> list[tuple[int, MessageEvent]]:
    """Events of these kinds with a row number above `after` up to `to`, oldest first, each with its number."""
    wanted = (fact.c.id > after, fact.c.id <= to, fact.c.kind.in_(kinds))
    rows = conn.execute(select(fact).where(*wanted).order_by(fact.c.id).limit(limit))
    return [(row.id, event_of(row)) for row in rows]


def firsts(conn: Connection, message_ids: Collection[int]) -> dict[int, MessageEvent]:
    """The events with which these messages began, by message; without those that are on record no more."""
    rows = conn.execute(select(fact).where(fact.c.message_id.in_(message_ids), FIRST))
    return {row.message_id: event_of(row) for row in rows}


def newest(conn: Connection) -> int:
    """The row number of the newest event, 0 if there is none."""
    return conn.scalar(select(func.max(fact.c.id))) or 0


def event_of(row: Row[Any]) -> MessageEvent:
    return MessageEvent(row.message_id, row.at, EventKind(row.kind), json.loads(row.detail))
