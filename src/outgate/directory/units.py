"""The tree of organisational units. A unit is named by its path: `/` is the root, `/Sales/Italy` a unit of a unit."""

import unicodedata
from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, insert, or_, select, update

from outgate.directory.change import touch
from outgate.directory.errors import AlreadyExists, Invalid, NotAllowed, NotFound
from outgate.frozen import frozen
from outgate.store import tables

MAX_NAME = 60  # characters of one unit's name


def paths(connection: Connection) -> tuple[str, ...]:
    """All units, each after its parent."""
    return tuple(sorted(connection.scalars(select(tables.unit.c.path))))


@frozen
class OrgUnit:
    """A unit; `id` stays when it is moved, `parent_id` is None for the root."""

    id: int
    path: str
    parent_id: int | None


def numbered(connection: Connection) -> tuple[OrgUnit, ...]:
    """All units, each after its parent."""
    columns = tables.unit.c
    rows = connection.execute(select(columns.id, columns.path, columns.parent_id).order_by(columns.path))
    return tuple(OrgUnit(*row) for row in rows)


def create(connection: Connection, path: str) -> str:
    """Add a unit below one that exists; returns its path as it is kept."""
    touch(connection, shared=True)
    path = normal_path(path)
    if connection.execute(select(tables.unit.c.id).where(tables.unit.c.path == path)).first():
        raise AlreadyExists("there is a unit {path} already", path=path)
    parent = find(connection, path.rpartition("/")[0] or "/")
    connection.execute(insert(tables.unit).values(path=path, parent_id=parent.id))
    return path


def remove(connection: Connection, path: str) -> None:
    """Remove a unit that is empty, with its policy."""
    touch(connection, shared=True)
    unit = find(connection, path)
    if unit.parent_id is None:
        raise NotAllowed("the root unit can't be removed")
    if below := connection.scalar(select(tables.unit.c.path).where(tables.unit.c.parent_id == unit.id).limit(1)):
        raise NotAllowed("{path} has units below it, such as {below}; remove them first", path=unit.path, below=below)
    account = tables.account.c
    if member := connection.scalar(select(account.primary_address).where(account.unit_id == unit.id).limit(1)):
        raise NotAllowed("{path} has users, such as {member}; move them first", path=unit.path, member=member)
    connection.execute(delete(tables.unit).where(tables.unit.c.id == unit.id))


def move(connection: Connection, path: str, to: str) -> str:
    """Rename a unit or put it elsewhere, with all units below it; returns its new path."""
    touch(connection, shared=True)
    unit, to = find(connection, path), normal_path(to)
    if unit.parent_id is None:
        raise NotAllowed("the root unit can't be moved")
    if to == unit.path or to.startswith(f"{unit.path}/"):
        raise Invalid("{path} can't be put below itself", path=unit.path)
    if connection.execute(select(tables.unit.c.id).where(tables.unit.c.path == to)).first():
        raise AlreadyExists("there is a unit {path} already", path=to)
    parent = find(connection, to.rpartition("/")[0] or "/")
    columns = tables.unit.c
    connection.execute(update(tables.unit).where(columns.id == unit.id).values(parent_id=parent.id))
    for row in connection.execute(select(columns.id, columns.path)).all():
        if row.path == unit.path or row.path.startswith(f"{unit.path}/"):
            new = to + row.path[len(unit.path) :]
            connection.execute(update(tables.unit).where(columns.id == row.id).values(path=new))
    return to


def ids_below(path: str) -> Select[tuple[int]]:
    """A unit, told by its path as it is kept, and all those below it."""
    columns = tables.unit.c
    below = columns.path.startswith(f"{path.rstrip('/')}/", autoescape=True)
    return select(columns.id).where(or_(columns.path == path, below))


def ids_of(paths: Collection[str]) -> Select[tuple[int]]:
    """These units, without those below them."""
    return select(tables.unit.c.id).where(tables.unit.c.path.in_(paths))


def find(connection: Connection, path: str) -> Row[*tuple[Any, ...]]:
    """The unit's row; raises NotFound."""
    path = normal_path(path)
    row = connection.execute(select(tables.unit).where(tables.unit.c.path == path)).first()
    if row is None:
        raise NotFound("there is no unit {path}; `outgate ou list` shows those that exist", path=path)
    return row


def normal_path(path: str) -> str:
    """The form in which paths are kept; raises Invalid."""
    path = unicodedata.normalize("NFC", path)
    if path == "/":
        return path
    root, *names = path.split("/")
    if root or not names or not all(_is_name(name) for name in names):
        raise Invalid(
            "'{text}' is not the path of a unit: it starts with / and has names of 1 to {most} printable characters"
            " between slashes",
            text=path[:80],
            most=MAX_NAME,
        )
    return path


def _is_name(name: str) -> bool:
    return 0 < len(name) <= MAX_NAME and name == name.strip() and name.isprintable()
