"""Groups: users who have something in common, whatever unit they are in. Knows not what is granted to them.

The functions work in the caller's transaction.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, delete, func, insert, select, true, update

from outgate.directory.change import lock, touch
from outgate.directory.errors import AlreadyExists, Invalid, NotFound
from outgate.frozen import frozen
from outgate.store import tables

LONGEST_NAME: Final = 255  # characters; PostgreSQL takes 2,704 bytes in an index
MEMBERS_AT_MOST: Final = 1000

_group, _member = tables.user_group.c, tables.group_member.c


@frozen
class UserGroup:
    """A group without its members. `external_id` is its name at the identity provider that keeps it."""

    id: int
    name: str
    external_id: str | None
    created_at: float


@frozen
class GroupMember:
    """A user who is in a group."""

    account_id: int
    address: str


def behind(group_id: int) -> ColumnElement[bool]:
    """The condition for groups that were made after one."""
    return _group.id > group_id


def listed(
    connection: Connection, where: ColumnElement[bool] | None = None, *, after: int = 0, limit: int | None = None
) -> tuple[UserGroup, ...]:
    """Groups by age: those that meet a condition on rows of `user_group`, without the first `after`."""
    query = select(tables.user_group).where(true() if where is None else where).order_by(_group.id)
    return tuple(_made(row) for row in connection.execute(query.offset(after).limit(limit)))


def count(connection: Connection, where: ColumnElement[bool]) -> int:
    """How many groups meet a condition."""
    return connection.scalar(select(func.count()).select_from(tables.user_group).where(where)) or 0


def find(connection: Connection, name: str) -> UserGroup:
    """The group of this name. Raises NotFound."""
    row = connection.execute(select(tables.user_group).where(_group.name == name)).first()
    if row is None:
        raise NotFound("there is no group '{name}'; `outgate group list` shows those that exist", name=name[:80])
    return _made(row)


def by_id(connection: Connection, group_id: int) -> UserGroup:
    """The group of this number. Raises NotFound."""
    row = connection.execute(select(tables.user_group).where(_group.id == group_id)).first()
    if row is None:
        raise NotFound("there is no such group any more")
    return _made(row)


def create(connection: Connection, name: str, external_id: str | None, now: float) -> UserGroup:
    """A group without members. Raises AlreadyExists, Invalid."""
    lock(connection)
    _check_name(connection, name)
    _check_external_id(external_id)
    values = {"name": name, "external_id": external_id, "created_at": now}
    connection.execute(insert(tables.user_group).values(values))
    return find(connection, name)


def edit(connection: Connection, group: UserGroup, name: str, external_id: str | None) -> UserGroup:
    """Give a group another name. Raises AlreadyExists, Invalid."""
    lock(connection)
    if name != group.name:
        _check_name(connection, name)
    _check_external_id(external_id)
    values = {"name": name, "external_id": external_id}
    connection.execute(update(tables.user_group).where(_group.id == group.id).values(values))
    return by_id(connection, group.id)


def remove(connection: Connection, group: UserGroup) -> None:
    """Remove a group, with what was granted to it. Its users stay."""
    touch(connection)  # copies have the gateways of its grants
    connection.execute(delete(tables.user_group).where(_group.id == group.id))


def members(connection: Connection, group_ids: Collection[int]) -> Mapping[int, tuple[GroupMember, ...]]:
    """Who is in each of these groups, by the groups' numbers; the members by theirs."""
    account = tables.account.c
    rows = connection.execute(
        select(_member.group_id, account.id, account.primary_address)
        .join_from(tables.group_member, tables.account)
        .where(_member.group_id.in_(group_ids))
        .order_by(account.id)
    )
    found: dict[int, list[GroupMember]] = {one: [] for one in group_ids}
    for row in rows:
        found[row.group_id].append(GroupMember(row.id, row.primary_address))
    return {group: tuple(of_it) for group, of_it in found.items()}


def sizes(connection: Connection, group_ids: Collection[int]) -> Mapping[int, int]:
    """How many users are in each of these groups, by the groups' numbers."""
    rows = connection.execute(
        select(_member.group_id, func.count()).where(_member.group_id.in_(group_ids)).group_by(_member.group_id)
    )
    return dict.fromkeys(group_ids, 0) | {row.group_id: row[1] for row in rows}


def set_members(connection: Connection, group: UserGroup, account_ids: Collection[int]) -> tuple[set[int], set[int]]:
    """Have these users in the group and no other; returns who came and who went. Raises Invalid."""
    lock(connection)
    if len(account_ids) > MEMBERS_AT_MOST:
        raise Invalid("a group has at most {most} members; put more of them in a unit", most=MEMBERS_AT_MOST)
    had = {one.account_id for one in members(connection, [group.id])[group.id]}
    came, went = set(account_ids) - had, had - set(account_ids)
    if went:
        connection.execute(
            delete(tables.group_member).where(_member.group_id == group.id, _member.account_id.in_(went))
        )
    if came:
        connection.execute(
            insert(tables.group_member), [{"group_id": group.id, "account_id": one} for one in sorted(came)]
        )
    return came, went


def of_users(connection: Connection, account_ids: Collection[int]) -> Mapping[int, tuple[UserGroup, ...]]:
    """In which groups each of these users is, by the users' numbers."""
    rows = connection.execute(
        select(_member.account_id, tables.user_group)
        .join_from(tables.group_member, tables.user_group)
        .where(_member.account_id.in_(account_ids))
        .order_by(_group.id)
    )
    found: dict[int, list[UserGroup]] = {one: [] for one in account_ids}
    for row in rows:
        found[row.account_id].append(_made(row))
    return {account: tuple(of_it) for account, of_it in found.items()}


def _check_name(connection: Connection, name: str) -> None:
    if not 0 < len(name) <= LONGEST_NAME or name != name.strip() or not name.isprintable():
        raise Invalid("a group's name has 1 to {most} printable characters", most=LONGEST_NAME)
    if connection.scalar(select(_group.id).where(_group.name == name)) is not None:
        raise AlreadyExists("there is a group {name} already", name=name)


def _check_external_id(external_id: str | None) -> None:
    if external_id is not None and (len(external_id) > LONGEST_NAME or "\0" in external_id):
        raise Invalid("a group's external number has at most {most} characters", most=LONGEST_NAME)


def _made(row: Row[*tuple[Any, ...]]) -> UserGroup:
    return UserGroup(row.id, row.name, row.external_id, row.created_at)
