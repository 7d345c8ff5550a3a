"""Finds what an operation is about: the objects over which its actor needs the privilege. Knows no operation."""

from collections.abc import Collection, Iterable, Mapping
from typing import Final, cast

from sqlalchemy import Connection

from outgate.directory import units, user_groups, users
from outgate.directory.change import compared
from outgate.mail.addresses import without_tag
from outgate.operations.operation_table import Target, TargetFinder
from outgate.sendas import send_as_addresses

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
        known = user_groups.find(connection, _text(arguments, group))
        had = {one.account_id for one in user_groups.members(connection, [known.id])[known.id]}
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


def _text(arguments: Arguments, parameter: str) -> str:
    return str(arguments[parameter] or "")
