"""Finds what an operation is about: the unit in which its actor needs the privilege. Knows no operation."""

from typing import Any

from sqlalchemy import Connection

from outgate.directory import units, users
from outgate.operations.operation import WHERE, Target

WHOLE = Target("/", "the organisation")


def organisation(_connection: Connection, *_args: Any, **_options: Any) -> Target:
    """What concerns everybody needs the privilege at the root."""
    return WHOLE


def unit(connection: Connection, path: str | None = None, *_args: Any, **_options: Any) -> Target:
    """The unit named first; the root if none is."""
    found = units.find(connection, path or "/").path
    return Target(found, found)


def parent(connection: Connection, path: str, *_args: Any, **_options: Any) -> Target:
    """The unit above the one named, which may not be there yet."""
    path = units.normal_path(path)
    above = units.find(connection, path.rpartition("/")[0] or "/").path
    return Target(above, path)


def user(connection: Connection, address: str, *_args: Any, **_options: Any) -> Target:
    """The user named first, in the user's unit."""
    found = users.find(connection, address)
    return Target(found.unit, found.address, found.id)


WHERE.update({organisation: "`/`", unit: "the one named", parent: "the one above", user: "the user's"})
