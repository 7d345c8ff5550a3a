"""Writes events as rows and finds them again. Rows are added and never changed; `retention` removes the old.

Of each message, `search_key` has one row for what it is searched by: its senders, its recipients, its Message-ID.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from enum import StrEnum
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final

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
    literal_column,
    select,
    text,
    tuple_,
    union,
)

from outgate.frozen import frozen
from outgate.mail.addresses import AddressError, canonical, canonical_domain
from outgate.printable import printable
from outgate.record.events import EventKind, MessageEvent
from outgate.store.batch import Batch, Step
from outgate.store.batch import Row as NewRow
from outgate.store.tables import fact, message, search_key

_KEY: Final = itemgetter("role", "domain", "name", "message_id")


def _by_key(rows: Sequence[NewRow]) -> list[NewRow]:
    """In the order of the index: neighbours go to the same page."""
    return sorted(rows, key=_KEY)


_ADD = Step(90, insert(fact))
# Both databases have ON CONFLICT, SQLAlchemy only by dialect. The event is what counts: a key never stops it.
_ADD_KEY = Step(
    91,
    text(
        "INSERT INTO search_key (role, domain, name, message_id) VALUES (:role, :domain, :name, :message_id)"
        " ON CONFLICT DO NOTHING"
    ),
    merge=_by_key,
)
_KEY_LENGTH: Final = 255  # characters of either part; PostgreSQL takes 2,704 bytes in an index
# Literally as in the indexes' conditions.
FIRST: Final[ColumnElement[bool]] = literal_column("fact.kind IN ('accepted', 'refused')")
_IS_REFUSED: Final[ColumnElement[bool]] = literal_column("fact.kind = 'refused'")


class KeyRole(StrEnum):
    """What a message is searched by."""

    SENDER = "s"  # a From address, MAIL FROM, the account
    RECIPIENT = "r"
    MESSAGE_ID = "i"


Key = tuple[str, str, str]  # role, and the parts of an address; a Message-ID is divided at its @, too


def add(conn: Connection, events: Sequence[MessageEvent]) -> None:
    """Record events within the caller's transaction."""
    batch = Batch()
    add_to(batch, events)
    batch.execute(conn)


def add_to(batch: Batch, events: Sequence[MessageEvent]) -> None:
    """Record events together with what they tell of."""
    for event in events:
        batch.add(
            _ADD,
            {"message_id": event.message_id, "at": event.at, "kind": event.kind.value, "detail": _encode(event.detail)},
        )
        batch.add(
            _ADD_KEY,
            *(
                {"role": role, "domain": domain, "name": name, "message_id": event.message_id}
                for role, domain, name in keys_of(event)
            ),
        )


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode


def keys_of(event: MessageEvent) -> Collection[Key]:
    """What a message is found by: told by its first event."""
    if event.kind not in (EventKind.ACCEPTED, EventKind.REFUSED):
        return ()
    detail = event.detail
    found = {
        _address_key(KeyRole.SENDER, one)
        for one in {*detail["from"], detail["mail_from"], detail["account"]}
        if "@" in one
    }
    found.update([_address_key(KeyRole.RECIPIENT, one) for one in detail["recipients"]])
    found.update([_message_id_key(one) for one in (detail["message_id"], detail.get("made_message_id")) if one])
    return found


@lru_cache(maxsize=8192)
def _address_key(role: KeyRole, address: str) -> Key:
    try:
        address = canonical(address)
    except AddressError:
        address = printable(address.lower())
    return _key(role, address)


def _message_id_key(message_id: str) -> Key:
    return _key(KeyRole.MESSAGE_ID, printable(message_id.strip().strip("<>")))


def _key(role: KeyRole, text: str) -> Key:
    name, _, domain = text.rpartition("@")
    return role.value, domain[:_KEY_LENGTH], name[:_KEY_LENGTH]


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
    rows = conn.execute(statement(wanted)).all()
    return (LoggedMessage(event_of(row), MessageOutcome(row.outcome)) for row in rows)


def statement(wanted: MessageFilter) -> Select[Any]:
    """The query of `search`: by an index, whatever is asked for."""
    keys = _key_conditions(wanted)
    conditions: list[ColumnElement[bool]] = [FIRST, *keys]
    if wanted.since is not None:
        conditions.append(fact.c.at >= wanted.since)
    if wanted.until is not None:
        conditions.append(fact.c.at < wanted.until)
    if wanted.outcome is not None:
        conditions.append(_OUTCOMES[wanted.outcome])
    # Queue ids grow with time: by them what the keys gave is in order already.
    by_message = bool(keys) or wanted.outcome in _BY_MESSAGE
    if wanted.older_than is not None:
        conditions.append(_behind(wanted.older_than, by_message=by_message))
    newest_first = fact.c.message_id.desc() if by_message else fact.c.at.desc()
    columns = (*fact.c, _OUTCOME.label("outcome"))
    return select(*columns).where(*conditions).order_by(newest_first, fact.c.id.desc()).limit(wanted.limit)


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
_HAS_BOUNCED = exists().where(_bounced.c.message_id == fact.c.message_id, literal_column("bounced.kind = 'bounced'"))
_OUTCOME = case(
    (_IS_REFUSED, MessageOutcome.REFUSED.value),
    (_WAITS, MessageOutcome.WAITING.value),
    (_HAS_BOUNCED, MessageOutcome.BOUNCED.value),
    else_=MessageOutcome.DELIVERED.value,
)
# The few are asked for by their index, the many as the newest come.
_OUTCOMES: Final[Mapping[MessageOutcome, ColumnElement[bool]]] = {
    MessageOutcome.REFUSED: _IS_REFUSED,
    MessageOutcome.WAITING: fact.c.message_id.in_(select(message.c.id)),
    MessageOutcome.BOUNCED: and_(
        fact.c.message_id.in_(select(_bounced.c.message_id).where(literal_column("bounced.kind = 'bounced'"))), ~_WAITS
    ),
    MessageOutcome.DELIVERED: and_(~_IS_REFUSED, ~_WAITS, ~_HAS_BOUNCED),
}
_BY_MESSAGE: Final = (MessageOutcome.WAITING, MessageOutcome.BOUNCED)


def _key_conditions(wanted: MessageFilter) -> list[ColumnElement[bool]]:
    asked = (
        (wanted.address, (KeyRole.SENDER, KeyRole.RECIPIENT)),
        (wanted.sender, (KeyRole.SENDER,)),
        (wanted.recipient, (KeyRole.RECIPIENT,)),
    )
    found = [
        _has_key([_address_or_domain(role, wanted_text) for role in roles])
        for wanted_text, roles in asked
        if wanted_text
    ]
    if wanted.message_id:
        found.append(_has_key([_message_id_key(wanted.message_id)]))
    return found


def _has_key(keys: Sequence[Key]) -> ColumnElement[bool]:
    """One of the keys; a name that is empty stands for all of the domain."""
    each = [
        select(search_key.c.message_id).where(
            search_key.c.role == role,
            search_key.c.domain == domain,
            *([search_key.c.name == name] if name else []),
        )
        for role, domain, name in keys
    ]
    return fact.c.message_id.in_(each[0] if len(each) == 1 else union(*each))


def _address_or_domain(role: KeyRole, text: str) -> Key:
    text = text.strip().removeprefix("@")
    if "@" in text:
        return _address_key(role, text)
    try:
        return role.value, canonical_domain(text), ""
    except AddressError:
        return role.value, text.lower(), ""


def latest(conn: Connection, after: int, limit: int) -> list[tuple[int, MessageEvent]]:
    """Events with a row number above `after`, oldest first, each with its number: for `outgate log --follow`."""
    rows = conn.execute(select(fact).where(fact.c.id > after).order_by(fact.c.id).limit(limit))
    return [(row.id, event_of(row)) for row in rows]


def newest(conn: Connection) -> int:
    """The row number of the newest event, 0 if there is none."""
    return conn.scalar(select(func.max(fact.c.id))) or 0


def event_of(row: Row[Any]) -> MessageEvent:
    return MessageEvent(row.message_id, row.at, EventKind(row.kind), json.loads(row.detail))
