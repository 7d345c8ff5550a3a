"""The DKIM keys of the organisation's domains, and how they follow each other.

A new key waits until its record is in the DNS, signs from then on, and is retired by the next; the record of a retired
key stays for mail that is under way, and the key itself is erased. Knows no DNS: what is in it is said by callers.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import field
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, insert, select, update

from outgate.directory.change import compared_domain, lock, touch
from outgate.directory.errors import AlreadyExists, NotFound
from outgate.frozen import frozen
from outgate.store import tables, vault
from outgate.store.vault import Vault

# A signature is made when a message leaves; then it may wait on others' servers for five days (RFC 5321 4.5.4.1).
RECORD_STAYS: Final = 7 * 86400.0

_columns: Final = tables.domain_key.c

KeyPlace = tuple[str, str]  # a selector and what its record is to be: a key is found at its own place alone


class KeyStage(StrEnum):
    """Where a key is in its life."""

    WAITING = "waiting"  # for its record to be seen in the DNS
    SIGNING = "signing"
    RETIRED = "retired"


@frozen
class KeyRecord:
    """A domain's key without its secret: `record` is the text of the TXT record at `selector`. Times are in seconds."""

    selector: str
    record: str
    created_at: float
    signs_from: float | None = None
    retired_at: float | None = None
    told: bool = False  # that its record may be removed

    @property
    def place(self) -> KeyPlace:
        """Where it is looked for, and as what."""
        return self.selector, self.record

    @property
    def stage(self) -> KeyStage:
        """Where it is in its life."""
        if self.retired_at is not None:
            return KeyStage.RETIRED
        return KeyStage.WAITING if self.signs_from is None else KeyStage.SIGNING

    @property
    def removable_from(self) -> float | None:
        """When nobody needs its record any more; None if it is not retired."""
        return None if self.retired_at is None else self.retired_at + RECORD_STAYS

    def is_removable(self, now: float) -> bool:
        """Whether its record may go out of the DNS."""
        return self.removable_from is not None and self.removable_from <= now


@frozen
class NewDkimKey:
    """A key to be a domain's: its secret (PEM, PKCS #8), and the text of its record."""

    selector: str
    record: str
    pem: bytes = field(repr=False)


@frozen
class SigningKey:
    """What a domain's messages are signed with (RFC 6376)."""

    domain: str
    selector: str
    pem: bytes = field(repr=False)


@frozen
class KeysSettled:
    """What came of a look at the DNS: the selectors that sign from now on, those that were retired for them, those
    whose record may go since now, and those that are forgotten as it is gone.
    """

    begun: tuple[str, ...] = ()
    retired: tuple[str, ...] = ()
    removable: tuple[str, ...] = ()
    forgotten: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.begun or self.removable or self.forgotten)


def of_domains(connection: Connection) -> dict[int, tuple[KeyRecord, ...]]:
    """By the domain's id, each domain's in the order in which they were made."""
    found: dict[int, list[KeyRecord]] = defaultdict(list)
    for row in connection.execute(select(tables.domain_key).order_by(_columns.id)):
        found[row.domain_id].append(_record(row))
    return {domain: tuple(keys) for domain, keys in found.items()}


def signing_keys(connection: Connection, keys: Vault) -> dict[str, tuple[SigningKey, ...]]:
    """The keys that each domain signs with now. Raises store.vault.SealBroken."""
    found: dict[str, list[SigningKey]] = defaultdict(list)
    query = (
        select(tables.domain_key, tables.domain.c.name)
        .join_from(tables.domain_key, tables.domain)
        .where(_columns.signs_from.is_not(None), _columns.retired_at.is_(None))
        .order_by(_columns.id)
    )
    for row in connection.execute(query):
        pem = keys.open(row.sealed_key, vault.signing_key(row.name))
        found[row.name].append(SigningKey(row.name, row.selector, pem))
    return {domain: tuple(each) for domain, each in found.items()}


def sign_with(connection: Connection, keys: Vault, name: str, key: NewDkimKey, now: float) -> None:
    """Sign the domain's messages with this key alone from now on. Raises NotFound."""
    touch(connection, shared=True)
    domain = find_domain(connection, name)
    selector = compared_domain(key.selector)
    connection.execute(delete(tables.domain_key).where(_of(domain), _columns.selector == selector))
    _retire(connection, domain, now)
    _add(connection, keys, domain, [key], now, signs_from=now)


def begin_rotation(connection: Connection, keys: Vault, name: str, made: Sequence[NewDkimKey], now: float) -> None:
    """Have new keys wait for their records. Raises NotFound and AlreadyExists."""
    touch(connection, shared=True)
    domain = find_domain(connection, name)
    known = _records(connection, domain)
    if any(one.stage is KeyStage.WAITING for one in known):
        raise AlreadyExists(
            "new keys of {domain} wait for their records already; publish them, or end that first:"
            " outgate domain dkim cancel {domain}",
            domain=domain.name,
        )
    for key in made:
        if any(one.selector == compared_domain(key.selector) for one in known):
            raise AlreadyExists("{domain} has a key at the selector {selector}", domain=name, selector=key.selector)
    _add(connection, keys, domain, made, now)


def cancel_rotation(connection: Connection, name: str) -> tuple[str, ...]:
    """Forget the keys that wait; returns their selectors. Raises NotFound."""
    touch(connection, shared=True)
    domain = find_domain(connection, name)
    waiting = _selectors(_records(connection, domain), KeyStage.WAITING)
    if not waiting:
        raise NotFound("no new keys of {domain} wait for their records", domain=domain.name)
    connection.execute(delete(tables.domain_key).where(_of(domain), _columns.selector.in_(waiting)))
    return waiting


def foreseen(
    known: Iterable[KeyRecord], published: Collection[KeyPlace], gone: Collection[KeyPlace], now: float
) -> KeysSettled:
    """What follows from the keys whose records are right in the DNS, and from those that have none there. What was
    found of another key at the same selector says nothing.

    New keys take over together, when the last of their records is seen.
    """
    known = tuple(known)
    waiting = [one for one in known if one.stage is KeyStage.WAITING]
    switches = bool(waiting) and all(one.place in published for one in waiting)
    late = [one for one in known if one.is_removable(now)]
    return KeysSettled(
        begun=_selectors(known, KeyStage.WAITING) if switches else (),
        retired=_selectors(known, KeyStage.SIGNING) if switches else (),
        removable=tuple(one.selector for one in late if not one.told and one.place not in gone),
        forgotten=tuple(one.selector for one in late if one.place in gone),
    )


def settle(
    connection: Connection, name: str, published: Collection[KeyPlace], gone: Collection[KeyPlace], now: float
) -> KeysSettled:
    """Make it so. Raises NotFound."""
    lock(connection)
    domain = find_domain(connection, name)
    done = foreseen(_records(connection, domain), published, gone, now)
    if not done:
        return done
    touch(connection, shared=True)
    if done.begun:
        _retire(connection, domain, now)
        _set(connection, domain, done.begun, signs_from=now)
    _set(connection, domain, done.removable, told=True)
    connection.execute(delete(tables.domain_key).where(_of(domain), _columns.selector.in_(done.forgotten)))
    return done


def find_domain(connection: Connection, name: str) -> Row[*tuple[Any, ...]]:
    """The row of an own domain. Raises NotFound."""
    name = compared_domain(name)
    row = connection.execute(select(tables.domain).where(tables.domain.c.name == name)).first()
    if row is None:
        raise NotFound("{domain} is not one of the organisation's domains", domain=name)
    return row


def _of(domain: Row[*tuple[Any, ...]]) -> Any:
    return _columns.domain_id == domain.id


def _records(connection: Connection, domain: Row[*tuple[Any, ...]]) -> tuple[KeyRecord, ...]:
    rows = connection.execute(select(tables.domain_key).where(_of(domain)).order_by(_columns.id))
    return tuple(map(_record, rows))


def _record(row: Row[*tuple[Any, ...]]) -> KeyRecord:
    return KeyRecord(row.selector, row.record, row.created_at, row.signs_from, row.retired_at, row.told)


def _selectors(known: Iterable[KeyRecord], stage: KeyStage) -> tuple[str, ...]:
    return tuple(one.selector for one in known if one.stage is stage)


def _add(
    connection: Connection,
    keys: Vault,
    domain: Row[*tuple[Any, ...]],
    made: Iterable[NewDkimKey],
    now: float,
    signs_from: float | None = None,
) -> None:
    for key in made:
        values = {
            "domain_id": domain.id,
            "selector": compared_domain(key.selector),
            "record": key.record,
            "sealed_key": keys.seal(key.pem, vault.signing_key(domain.name)),
            "created_at": now,
            "signs_from": signs_from,
        }
        connection.execute(insert(tables.domain_key).values(values))


def _retire(connection: Connection, domain: Row[*tuple[Any, ...]], now: float) -> None:
    """Those that sign; what they were is erased, as nobody needs it."""
    signing = (_of(domain), _columns.signs_from.is_not(None), _columns.retired_at.is_(None))
    connection.execute(update(tables.domain_key).where(*signing).values(retired_at=now, sealed_key=None))


def _set(connection: Connection, domain: Row[*tuple[Any, ...]], selectors: Collection[str], **values: object) -> None:
    connection.execute(update(tables.domain_key).where(_of(domain), _columns.selector.in_(selectors)).values(**values))
