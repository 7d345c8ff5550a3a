"""What messages are searched by: of each its senders, its recipients and its Message-ID, in an index of their own.

Keys come in the order of messages and belong all over the index: each would change a page of it, and be written in the
transaction that its message waits for. So those of a message lie in one row first (`fresh_search_keys`), are searched
there as well, and every second are sorted in together, each domain without a name once more: so whatever is asked for
is one range of the index, in the order of messages. Knows what an event says, and no other table of the record.
"""

import asyncio
import json
from collections.abc import Collection, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

import structlog
from pydantic_core import to_json
from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    delete,
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
from outgate.store.engine import StoreUnavailable
from outgate.store.group_commit import GroupCommit
from outgate.store.tables import fresh_search_keys, search_key

EVERY: Final = 1.0  # seconds
AT_ONCE: Final = 250  # keys after which a transaction sorts in no further message's: a millisecond or two
_IN_A_SECOND: Final = 1000  # messages that are fresh at once, by and large
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
_SORT_IN: Final = Step(
    92,
    text(
        "INSERT INTO search_key (role, domain, name, message_id) VALUES (:role, :domain, :name, :message_id)"
        " ON CONFLICT DO NOTHING"
    ),
)
_FRESH: Final = fresh_search_keys.c
_OLDEST: Final = (
    select(
        _FRESH.message_id, (func.sum(_FRESH.number).over(order_by=_FRESH.message_id) - _FRESH.number).label("before")
    )
    .where(_FRESH.message_id.in_(select(_FRESH.message_id).order_by(_FRESH.message_id).limit(AT_ONCE)))
    .subquery()
)
_TAKE: Final = (
    delete(fresh_search_keys)
    .where(_FRESH.message_id.in_(select(_OLDEST.c.message_id).where(_OLDEST.c.before < AT_ONCE)))
    .returning(_FRESH.message_id, _FRESH.found_by)
)
_COLUMNS: Final = ("role", "domain", "name", "message_id")


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
    return {*keys, *((role, domain, "") for role, domain, _ in keys if role != KeyRole.MESSAGE_ID)}


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
    return role.value, domain[:_LENGTH], name[:_LENGTH]


def address_or_domain(role: KeyRole, text: str) -> Key:
    """The key of what somebody asks for: an address, or a domain, whose name is empty."""
    text = text.strip().removeprefix("@")
    if "@" in text:
        return _address_key(role, text)
    try:
        return role.value, canonical_domain(text), ""
    except AddressError:
        return role.value, text.lower(), ""


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
        _fresh(_address_key(KeyRole.SENDER, account)).order_by(_FRESH.message_id.desc()).limit(_IN_A_SECOND).subquery()
    )
    return union_all(*(select(literal(n).label("number"), one.c.message_id) for n, one in enumerate([*found, fresh])))


def _sorted_in(key: Key) -> Select[Any]:
    role, domain, name = key
    columns = search_key.c
    return select(columns.message_id).where(columns.role == role, columns.domain == domain, columns.name == name)


def _fresh(key: Key) -> Select[Any]:
    """All are looked at: there are those of a second. A quotation mark within a key is escaped, so what ends one is its
    end. It is there if taking it out changes something: both databases can say that, and know capitals.
    """
    role, _, name = key
    wanted = _said([key])[1:-1]
    if not name and role != KeyRole.MESSAGE_ID:
        wanted = wanted.removesuffix('""]')
    return select(_FRESH.message_id).where(func.replace(_FRESH.found_by, wanted, "") != _FRESH.found_by)


def _said(keys: Sequence[Key]) -> str:
    return to_json(keys).decode()


def _read(found_by: str) -> list[Key]:
    return [(role, domain, name) for role, domain, name in json.loads(found_by)]


def remove(conn: Connection, events: Sequence[MessageEvent]) -> None:
    """Forget the keys of these messages, told by their first events."""
    ids = [event.message_id for event in events]
    conn.execute(delete(fresh_search_keys).where(_FRESH.message_id.in_(ids)))
    columns = search_key.c
    key = tuple_(columns.role, columns.domain, columns.name, columns.message_id)
    keys = [(*found, event.message_id) for event in events for found in sorted_in_as(keys_of(event))]
    for start in range(0, len(keys), _REMOVED_AT_ONCE):
        conn.execute(delete(search_key).where(key.in_(keys[start : start + _REMOVED_AT_ONCE])))


@frozen
class SortIn:
    """The oldest of the fresh keys go into the index."""

    @property
    def weight(self) -> int:
        """Nothing to speak of."""
        return 0

    def add_to(self, batch: Batch) -> None:
        """Not batched: what is fresh is asked for once the group's own rows are written."""

    def answer(self, connection: Connection) -> bool:
        """Whether there may be more."""
        taken = [(identity, _read(found_by)) for identity, found_by in connection.execute(_TAKE)]
        # In the order of the index: neighbours go to the same page.
        rows = sorted([(*key, identity) for identity, keys in taken for key in sorted_in_as(keys)])
        batch = Batch()
        batch.add(_SORT_IN, *[dict(zip(_COLUMNS, row, strict=True)) for row in rows])
        batch.execute(connection)
        return sum(len(keys) for _, keys in taken) >= AT_ONCE


async def sort_in(commits: GroupCommit) -> None:
    """Sort in what comes, every second, until it is cancelled."""
    while True:
        try:
            while await commits.make(SortIn()):
                pass
        except StoreUnavailable as error:
            _log.error("search keys wait to be sorted in", error=str(error))
        await asyncio.sleep(EVERY)
