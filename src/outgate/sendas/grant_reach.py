"""What comes to users who come into a group or a unit, by the grants that there are, and whose addresses those are.
Knows no operation, and nobody's privileges.
"""

from collections.abc import Collection, Iterable, Iterator

from sqlalchemy import ColumnElement, Connection, func, or_, select

from outgate.directory import policies, units
from outgate.frozen import frozen
from outgate.mail.addresses import without_tag
from outgate.model import DOMAIN_PROOF, WHOLE_DOMAIN
from outgate.sendas.send_as_addresses import Holder
from outgate.store import tables

_grant, _entry, _account = tables.address_grant.c, tables.send_as.c, tables.account.c


@frozen
class OwnedAddress:
    """An address that is granted, and somebody who has it, or some of a whole domain, without being one of many."""

    address: str
    owner: Holder


def of_group(connection: Connection, group_id: int) -> frozenset[str]:
    """The addresses that are granted to a group."""
    return frozenset(connection.scalars(select(_grant.address).where(_grant.group_id == group_id)))


def at_unit(connection: Connection, path: str) -> frozenset[str]:
    """The addresses that are granted to a unit, told by its path as it is kept, or to one above it."""
    reaching = units.ids_of(policies.up_to_root(path))
    return frozenset(connection.scalars(select(_grant.address).where(_grant.unit_id.in_(reaching))))


def new_to(connection: Connection, addresses: Collection[str], who: ColumnElement[bool]) -> frozenset[str]:
    """Those of the addresses that not all of these users, told by a condition on accounts, can send as already."""
    if not addresses:
        return frozenset()
    users = connection.scalar(select(func.count()).select_from(tables.account).where(who)) or 0
    rows = connection.execute(
        select(_entry.address, func.count())
        .join_from(tables.send_as, tables.account, _entry.account_id == _account.id)
        .where(who, _entry.address.in_(addresses), _entry.verified_at.is_not(None))
        .group_by(_entry.address)
    )
    had: dict[str, int] = {row[0]: row[1] for row in rows}
    return frozenset(one for one in addresses if had.get(one, 0) < users)


def owners(connection: Connection, addresses: Collection[str]) -> Iterator[OwnedAddress]:
    """Who has one of these addresses of the organisation's own domains, or that without its +tag: it is their primary
    one, was proven by them or granted to them alone. Who has it with all of a group or unit is no owner of it.
    """
    own = set(connection.scalars(select(tables.domain.c.name))) if addresses else set()
    granted = {one: one for one in sorted(addresses) if one.rpartition("@")[2] in own}
    granted |= {base: one for one in granted if (base := without_tag(one)) and base not in granted}
    if not granted:
        return
    rows = connection.execute(
        select(_entry.address, _account.id, _account.primary_address, tables.unit.c.path)
        .join_from(tables.send_as, tables.account, _entry.account_id == _account.id)
        .join(tables.unit, tables.unit.c.id == _account.unit_id)
        .outerjoin(tables.address_grant, _grant.id == _entry.grant_id)
        .where(_named(granted), _entry.verified_at.is_not(None))
        .where(or_(_entry.proof.is_(None), _entry.proof != DOMAIN_PROOF, _grant.account_id.is_not(None)))
        .order_by(_account.id, _entry.id)
    )
    for address, *owner in rows:
        whole = f"{WHOLE_DOMAIN}{address.rpartition('@')[2]}"
        yield OwnedAddress(granted.get(address, whole), Holder(*owner))


def _named(granted: Iterable[str]) -> ColumnElement[bool]:
    """Entries of these addresses; of those that stand for a whole domain, all in it."""
    ends = [one.removeprefix("*") for one in granted if one.startswith(WHOLE_DOMAIN)]
    return or_(_entry.address.in_(list(granted)), *(_entry.address.endswith(one, autoescape=True) for one in ends))
