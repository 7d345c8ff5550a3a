"""What messages are searched by: of each its senders, its recipients and its Message-ID, in an index of their own.

Keys come in the order of messages and belong all over the index: each would change a page of it, and be written in the
transaction that its message waits for. So those of a message lie in one row first (`fresh_search_keys`), are searched
there as well, and every few seconds are sorted in together, each domain without a name once more: so whatever is asked
for is one range of the index, in the order of messages. Knows what an event says, and no other table of the record.

What is sorted in together goes in the order of the index, so that neighbours change a page once, and in steps, since
mail waits behind each. Only when all steps are made are its messages fresh no more: what a crash leaves between is
found twice, which a search takes for once, and sorted in again, which changes nothing. What is fresh is not removed, so
no key comes behind the removal of its message. On PostgreSQL nodes may be at the same messages: there a step adds no
key of one that is fresh no more, and a lock keeps steps and removals apart.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from enum import StrEnum
from functools import lru_cache
from itertools import chain, islice
from typing import Any, Final

import structlog
from pydantic_core import from_json, to_json
from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Select,
    delete,
    exists,
    func,
    literal,
    or_,
    select,
    text,
    tuple_,
    union,
    union_all,
)
from sqlalchemy.sql.selectable import CompoundSelect

from outgate.frozen import frozen
from outgate.mail.addresses import AddressError, canonical, canonical_domain
from outgate.printable import printable
from outgate.record.events import FIRST_KINDS, MessageEvent
from outgate.store.batch import Batch, Step
from outgate.store.engine import StoreUnavailable, execute_many, read
from outgate.store.group_commit import GroupCommit
from outgate.store.tables import fresh_search_keys, search_key

EVERY: Final = 2.0  # seconds
TOGETHER: Final = 6000  # keys after which no further message is sorted in with them: in order in two milliseconds
AT_ONCE: Final = 400  # rows of a step: a millisecond
_READ_AT_ONCE: Final = 500  # messages, and the keys of them that are looked at: a millisecond
_MOST_FRESH: Final = 5000  # messages of which more are hardly ever fresh at once
_REMOVED_AT_ONCE: Final = 1000  # keys
_LENGTH: Final = 255  # characters of either part; PostgreSQL takes 2,704 bytes in an index

_log = structlog.get_logger("record")


class KeyRole(StrEnum):
    """What a message is searched by."""

    SENDER = "s"  # a From address, MAIL FROM, the account
    RECIPIENT = "r"
    MESSAGE_ID = "i"


Between = tuple[int | None, int | None]  # queue ids, which are left out; None where there is no end
Key = tuple[str, str, str]  # role, and the parts of an address; a Message-ID is divided at its @, too


# Both databases have ON CONFLICT, SQLAlchemy only by dialect. The event is what counts: a key never stops it.
_ADD: Final = Step(
    91,
    text(
        "INSERT INTO fresh_search_keys (message_id, number, found_by) VALUES (:message_id, :number, :found_by)"
        " ON CONFLICT DO NOTHING"
    ),
)
_OF_A_STATEMENT: Final = 50  # rows: of a statement for each half of the time would go for beginning and ending it
# Always of so many rows: to prepare it takes longer than to execute it. To look for the message of each row would take
# SQLite a tenth longer, and it has one process that sorts in.
_SORT_IN: Final = {
    "sqlite": "INSERT INTO search_key (role, domain, name, message_id) VALUES {} ON CONFLICT DO NOTHING",
    "postgresql": "WITH row (role, domain, name, message_id) AS (VALUES {})"
    " INSERT INTO search_key (role, domain, name, message_id) SELECT role, domain, name, message_id FROM row"
    " WHERE EXISTS (SELECT 1 FROM fresh_search_keys WHERE fresh_search_keys.message_id = row.message_id)"
    " ON CONFLICT DO NOTHING",
}
_FORGET: Final = "DELETE FROM fresh_search_keys WHERE message_id IN ({})"
_MARKS: Final = {"sqlite": "?", "postgresql": "%s"}
_SORT_IN_ON: Final = {
    dialect: _SORT_IN[dialect].format(", ".join([f"({mark}, {mark}, {mark}, {mark})"] * _OF_A_STATEMENT))
    for dialect, mark in _MARKS.items()
}
_FORGET_ON: Final = {dialect: _FORGET.format(", ".join([mark] * _OF_A_STATEMENT)) for dialect, mark in _MARKS.items()}
_FRESH: Final = fresh_search_keys.c
_AS_ONE: Final = "\n".join  # a key's parts have no control characters, so this has their order
_LOCK: Final = func.hashtextextended("search keys", 0)  # PostgreSQL's; SQLite has one writer at a time


def add_to(batch: Batch, event: MessageEvent) -> None:
    """Record what the message is found by, together with its first event."""
    keys = list(keys_of(event))
    batch.add(_ADD, {"message_id": event.message_id, "number": len(keys), "found_by": _said(keys)})


def keys_of(event: MessageEvent) -> Collection[Key]:
    """What a message is found by: told by its first event."""
    if event.kind not in FIRST_KINDS:
        return ()
    detail = event.detail
    found = {
        _address_key(KeyRole.SENDER, one)
        for one in {*detail["from"], detail["mail_from"], detail["account"]}
        if "@" in one
    }
    found.update([_address_key(KeyRole.RECIPIENT, one) for one in detail["recipients"]])
    found.update([message_id_key(one) for one in (detail["message_id"], detail.get("made_message_id")) if one])
    return found


def sorted_in_as(keys: Collection[Key]) -> set[Key]:
    """What the index has of a message that is found by these keys: their domains, too."""
    return {*keys, *[(role, domain, "") for role, domain, _ in keys if role != KeyRole.MESSAGE_ID]}


def compared(addresses: Sequence[str]) -> set[str]:
    """From addresses as a message has them, in the form that they are found by."""
    return {f"{name}@{domain}" for _, domain, name in (_address_key(KeyRole.SENDER, one) for one in addresses)}


@lru_cache(maxsize=8192)
def _address_key(role: KeyRole, address: str) -> Key:
    try:
        address = canonical(address)
    except AddressError:
        address = printable(address.lower())
    return _key(role, address)


def message_id_key(message_id: str) -> Key:
    """The key of a Message-ID, with its angle brackets or without."""
    return _key(KeyRole.MESSAGE_ID, printable(message_id.strip().strip("<>")))


def _key(role: KeyRole, text: str) -> Key:
    name, _, domain = text.rpartition("@")
    return str(role), domain[:_LENGTH], name[:_LENGTH]


def address_or_domain(role: KeyRole, text: str) -> Key:
    """The key of what somebody asks for: an address, or a domain, whose name is empty."""
    text = text.strip().removeprefix("@")
    if "@" in text:
        return _address_key(role, text)
    try:
        return str(role), canonical_domain(text), ""
    except AddressError:
        return str(role), text.lower(), ""


def messages(keys: Sequence[Key], limit: int, between: Between) -> Select[Any]:
    """The ids of the newest messages that have one of the keys, newest first; a name that is empty stands for all of
    the domain. Those between the two, without them.
    """
    after, behind = between
    bounds = [(search_key.c.message_id, _sorted_in), (_FRESH.message_id, _fresh)]
    parts = []
    for key in keys:
        for identity, having in bounds:
            part = having(key).order_by(identity.desc()).limit(limit)
            if behind is not None:
                part = part.where(identity < behind)
            if after is not None:
                part = part.where(identity > after)
            parts.append(select(part.subquery().c.message_id))
    found = union(*parts).subquery()
    return select(found.c.message_id).order_by(found.c.message_id.desc()).limit(limit)


def has_one(message_id: ColumnElement[int], keys: Sequence[Key]) -> ColumnElement[bool]:
    """Whether this message has one of the keys."""
    found = [_sorted_in(key).where(search_key.c.message_id == message_id) for key in keys]
    fresh = [_fresh(key).where(_FRESH.message_id == message_id) for key in keys]
    return or_(*(one.exists() for one in [*found, *fresh]))


def newest(account: str, addresses: Sequence[str], each: int) -> CompoundSelect[Any]:
    """By the number of each From address the newest messages that are sorted in under it, so many of `each`; behind
    them, with the next number, what the account has sent that is fresh.
    """
    found = [
        _sorted_in(_address_key(KeyRole.SENDER, one)).order_by(search_key.c.message_id.desc()).limit(each).subquery()
        for one in addresses
    ]
    fresh = (
        _fresh(_address_key(KeyRole.SENDER, account)).order_by(_FRESH.message_id.desc()).limit(_MOST_FRESH).subquery()
    )
    return union_all(*(select(literal(n).label("number"), one.c.message_id) for n, one in enumerate([*found, fresh])))


def _sorted_in(key: Key) -> Select[Any]:
    role, domain, name = key
    columns = search_key.c
    return select(columns.message_id).where(columns.role == role, columns.domain == domain, columns.name == name)


def _fresh(key: Key) -> Select[Any]:
    """All are looked at: there are those of some seconds. A quotation mark within a key is escaped, so what ends one is
    its end. It is there if taking it out changes something: both databases can say that, and know capitals.
    """
    role, _, name = key
    wanted = _said([key])[1:-1]
    if not name and role != KeyRole.MESSAGE_ID:
        wanted = wanted.removesuffix('""]')
    return select(_FRESH.message_id).where(func.replace(_FRESH.found_by, wanted, "") != _FRESH.found_by)


def _said(keys: Sequence[Key]) -> str:
    return to_json(keys).decode()


def lock(conn: Connection) -> None:
    """Until the end of the transaction nothing that is fresh is sorted in: by SQLite's one writer at a time anyway."""
    if conn.dialect.name == "postgresql":
        conn.execute(select(func.pg_advisory_xact_lock(_LOCK)))


def is_fresh(message_id: ColumnElement[int]) -> ColumnElement[bool]:
    """Whether not all keys of this message are sorted in yet."""
    return exists().where(_FRESH.message_id == message_id)


def remove(conn: Connection, events: Sequence[MessageEvent]) -> None:
    """Forget the keys of these messages, told by their first events: none of them is fresh."""
    columns = search_key.c
    key = tuple_(columns.role, columns.domain, columns.name, columns.message_id)
    keys = [(*found, event.message_id) for event in events for found in sorted_in_as(keys_of(event))]
    for start in range(0, len(keys), _REMOVED_AT_ONCE):
        conn.execute(delete(search_key).where(key.in_(keys[start : start + _REMOVED_AT_ONCE])))


@frozen
class SortIn:
    """A step of sorting in: rows of the index, or messages of which all are in it."""

    rows: Sequence[tuple[str, str, str, int]]
    messages: Sequence[int] = ()

    @property
    def weight(self) -> int:
        """Nothing to speak of."""
        return 0

    def add_to(self, batch: Batch) -> None:
        """Not batched: it may be another one's turn."""

    def answer(self, connection: Connection) -> bool:
        """Whether it was our turn: nobody is waited for, since others wait for this transaction."""
        if connection.dialect.name == "postgresql" and not connection.scalar(
            select(func.pg_try_advisory_xact_lock(_LOCK))
        ):
            return False
        if self.rows:
            execute_many(connection, _SORT_IN_ON[connection.dialect.name], _by_statement(self.rows))
        if self.messages:
            execute_many(
                connection, _FORGET_ON[connection.dialect.name], _by_statement([(one,) for one in self.messages])
            )
        return True


def _by_statement(rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The values of each statement; the last row fills up the last one, since what comes twice counts once."""
    rows = [*rows, *[rows[-1]] * (-len(rows) % _OF_A_STATEMENT)]
    return [
        tuple(chain.from_iterable(rows[start : start + _OF_A_STATEMENT]))
        for start in range(0, len(rows), _OF_A_STATEMENT)
    ]


@frozen
class Fresh:
    """The oldest fresh messages, those of them that each key of the index has, and whether there may be more."""

    messages: Sequence[int]
    by_key: Mapping[Key, Sequence[int]]
    is_more: bool

    def steps(self) -> Iterator[SortIn]:
        """How they are sorted in, in the order of the index."""
        keys = sorted(self.by_key, key=_AS_ONE)
        rows = chain.from_iterable([(*key, identity) for identity in self.by_key[key]] for key in keys)
        while some := list(islice(rows, AT_ONCE)):
            yield SortIn(some)
        for start in range(0, len(self.messages), AT_ONCE):
            yield SortIn((), self.messages[start : start + AT_ONCE])


async def oldest(engine: Engine) -> Fresh:
    """What is sorted in together next: read without the write lock, and in pieces with room between."""
    messages, by_key = list[int](), defaultdict[Key, list[int]](list)
    rows, number, since = deque[Any](), 0, 0
    while number < TOGETHER:
        if not rows:
            rows.extend(await asyncio.to_thread(_fresh_behind, engine, messages[-1:]))
        if not rows:
            break
        identity, count, found_by = rows.popleft()
        for key in map(tuple, from_json(found_by)):
            by_key[key].append(identity)
        messages.append(identity)
        number, since = number + count, since + count
        if since >= _READ_AT_ONCE:
            since = 0
            await asyncio.sleep(0)
    await asyncio.sleep(0)
    return Fresh(messages, {**by_key, **_by_domain(by_key)}, number >= TOGETHER)


def _by_domain(by_key: Mapping[Key, Sequence[int]]) -> dict[Key, list[int]]:
    """What is sorted in besides (`sorted_in_as`), for all of them at once."""
    found = defaultdict[Key, set[int]](set)
    for (role, domain, _), messages in by_key.items():
        if role != KeyRole.MESSAGE_ID:
            found[role, domain, ""].update(messages)
    return {key: sorted(messages) for key, messages in found.items()}


def _fresh_behind(engine: Engine, last: Sequence[int]) -> Sequence[Any]:
    behind = [_FRESH.message_id > one for one in last]
    with read(engine) as conn:
        return conn.execute(select(*_FRESH).where(*behind).order_by(_FRESH.message_id).limit(_READ_AT_ONCE)).all()


async def sort_in(engine: Engine, commits: GroupCommit) -> None:
    """Sort in what comes, every few seconds, until it is cancelled."""
    while True:
        is_more = False
        try:
            is_more = await _sort_in_oldest(engine, commits)
        except StoreUnavailable as error:
            _log.error("search keys wait to be sorted in", error=str(error))
        if not is_more:
            await asyncio.sleep(EVERY)


async def _sort_in_oldest(engine: Engine, commits: GroupCommit) -> bool:
    """Whether there may be more to do at once: not while another node is at it."""
    fresh = await oldest(engine)
    for step in fresh.steps():
        if not await commits.make(step):
            return False
    return fresh.is_more
