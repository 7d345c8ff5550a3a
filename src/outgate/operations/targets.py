"""Finds what an operation is about: the objects over which its actor needs the privilege. Knows no operation."""

from collections.abc import Collection, Iterable, Mapping
from typing import Final, cast

from sqlalchemy import ColumnElement, Connection

from outgate.directory import units, user_groups, users
from outgate.directory.change import compared
from outgate.directory.user_groups import UserGroup
from outgate.mail.addresses import without_tag
from outgate.operations.operation_table import Target, TargetFinder
from outgate.sendas import grant_reach, send_as_addresses
from outgate.store import tables

Arguments = Mapping[str, object]

# What concerns everybody needs the privilege at the root.
ORGANISATION: Final = TargetFinder((), "`/`", lambda _connection, _arguments: [Target("/", "the organisation")])


def unit(parameter: str) -> TargetFinder:
    """The unit that is named; the root if none is."""

    def find(connection: Connection, arguments: Arguments) -> Iterable[Target]:
        found = units.find(connection, _text(arguments, parameter) or "/").path
        return [Target(found, found)]

    return TargetFinder((parameter,), "the one named", find)


def parent(parameter: str) -> TargetFinder:
    """The unit above the one that is named, which may not be there yet."""

    def find(connection: Connection, arguments: Arguments) -> Iterable[Target]:
        path = units.normal_path(_text(arguments, parameter))
        return [Target(units.find(connection, path.rpartition("/")[0] or "/").path, path)]

    return TargetFinder((parameter,), "the one above", find)


def user(parameter: str) -> TargetFinder:
    """The user that is named, in the user's unit."""

    def find(connection: Connection, arguments: Arguments) -> Iterable[Target]:
        found = users.find(connection, _text(arguments, parameter))
        return [Target(found.unit, found.address, found.id)]

    return TargetFinder((parameter,), "the user's", find)


def new_user(address: str, place: str) -> TargetFinder:
    """A user who is not there yet, in the unit where they will be."""

    def find(connection: Connection, arguments: Arguments) -> Iterable[Target]:
        return [Target(units.find(connection, _text(arguments, place)).path, _text(arguments, address))]

    return TargetFinder((address, place), "the one named", find)


def assignee(address: str, place: str) -> TargetFinder:
    """A user in the unit for which they are given something."""

    def find(connection: Connection, arguments: Arguments) -> Iterable[Target]:
        found = users.find(connection, _text(arguments, address))
        return [Target(units.find(connection, _text(arguments, place)).path, found.address, found.id)]

    return TargetFinder((address, place), "the one named", find)


def comers_and_goers(group: str, members: str | None = None) -> TargetFinder:
    """The users who come into a group, or leave it, if these are to be its members; all it has if none are named."""

    def find(connection: Connection, arguments: Arguments) -> Iterable[Target]:
        had = _members(connection, user_groups.find(connection, _text(arguments, group)))
        wanted = set(cast(Collection[int], arguments[members])) if members else set[int]()
        for one in users.some(connection, had ^ wanted):
            yield Target(one.unit, one.address, one.id)

    return TargetFinder((group, members) if members else (group,), "those of who comes and goes", find)


def holders(parameter: str) -> TargetFinder:
    """Everybody who has an address of the organisation's own domains, or that without its +tag: whoever gives it away
    acts on them as well.

    Not of addresses outside: one gets those by a proof, or by a grant in a domain that is proven whole; neither takes
    anything from who has one.
    """

    def find(connection: Connection, arguments: Arguments) -> Iterable[Target]:
        address = compared(_text(arguments, parameter))
        if send_as_addresses.is_own_domain(connection, address):
            base = without_tag(address)
            for one in (address, base) if base else (address,):
                for holder in send_as_addresses.holders(connection, one):
                    yield Target(holder.unit, holder.account, holder.account_id)

    return TargetFinder((parameter,), "that of whoever has the address", find)


def granted_to_new_user(place: str) -> TargetFinder:
    """Whoever has an address that a user gets with the unit in which they are made.

    As the following, it asks of whoever makes users come under a grant what `holders` asks of whoever makes the grant.
    """

    def find(connection: Connection, arguments: Arguments) -> Iterable[Target]:
        path = units.find(connection, _text(arguments, place)).path
        return _owners(connection, grant_reach.at_unit(connection, path))

    return TargetFinder((place,), _OF_OWNERS, find)


def granted_to_moved_user(address: str, place: str) -> TargetFinder:
    """Whoever has an address that a user gets with another unit."""

    def find(connection: Connection, arguments: Arguments) -> Iterable[Target]:
        moved = users.find(connection, _text(arguments, address))
        path = units.find(connection, _text(arguments, place)).path
        return _owners_of_news(connection, grant_reach.at_unit(connection, path), tables.account.c.id == moved.id)

    return TargetFinder((address, place), _OF_OWNERS, find)


def granted_to_moved_unit(place: str, to: str) -> TargetFinder:
    """Whoever has an address that users of a unit get with another unit above them."""

    def find(connection: Connection, arguments: Arguments) -> Iterable[Target]:
        path, new = units.find(connection, _text(arguments, place)).path, units.normal_path(_text(arguments, to))
        reaching = grant_reach.at_unit(connection, new.rpartition("/")[0] or "/")
        return _owners_of_news(connection, reaching, tables.account.c.unit_id.in_(units.ids_below(path)))

    return TargetFinder((place, to), _OF_OWNERS, find)


def granted_to_comers(group: str, members: str) -> TargetFinder:
    """Whoever has an address that users get with a group, if these are to be its members."""

    def find(connection: Connection, arguments: Arguments) -> Iterable[Target]:
        known = user_groups.find(connection, _text(arguments, group))
        came = set(cast(Collection[int], arguments[members])) - _members(connection, known)
        return _owners_of_news(connection, grant_reach.of_group(connection, known.id), tables.account.c.id.in_(came))

    return TargetFinder((group, members), _OF_OWNERS, find)


_OF_OWNERS: Final = "that of whoever has an address granted there"


def _members(connection: Connection, group: UserGroup) -> set[int]:
    return {one.account_id for one in user_groups.members(connection, [group.id])[group.id]}


def _owners_of_news(connection: Connection, granted: Collection[str], who: ColumnElement[bool]) -> Iterable[Target]:
    return _owners(connection, grant_reach.new_to(connection, granted, who))


def _owners(connection: Connection, addresses: Collection[str]) -> Iterable[Target]:
    for one in grant_reach.owners(connection, addresses):
        yield Target(one.owner.unit, one.owner.account, one.owner.account_id, granted=one.address)


def _text(arguments: Arguments, parameter: str) -> str:
    return str(arguments[parameter] or "")
