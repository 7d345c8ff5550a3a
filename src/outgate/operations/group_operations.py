"""Operations on groups of users. What is granted to a group follows at once, when users come into it and leave it."""

from collections.abc import Collection, Mapping, Sequence
from itertools import accumulate

from sqlalchemy import ColumnElement

from outgate.directory import user_groups, users
from outgate.directory.errors import Invalid
from outgate.directory.privileges import Privilege
from outgate.directory.user_groups import MEMBERS_AT_MOST, GroupMember, UserGroup
from outgate.frozen import frozen
from outgate.operations import targets
from outgate.operations.context import OperationContext
from outgate.operations.operation import operation
from outgate.queue.admin import Selection
from outgate.sendas import proven_domains

_NAMED = 50  # of those who came or went, by the audit trail


@frozen
class GroupDetails:
    """A group and its members."""

    group: UserGroup
    members: tuple[GroupMember, ...]


@frozen
class GroupPage:
    """Some of the groups that were found, and how many these are; with their members if those were asked for."""

    total: int
    groups: tuple[UserGroup, ...]
    members: Mapping[int, tuple[GroupMember, ...]]


@operation("group.list", Privilege.USERS_READ, targets.ORGANISATION, changes=False)
def list_groups(op: OperationContext, *, behind: int = 0, limit: int | None = None) -> tuple[UserGroup, ...]:
    """List the groups.

    All, or a page of those with greater numbers than `behind`.
    """
    return user_groups.listed(op.connection, user_groups.behind(behind), limit=limit)


@operation("group.search", Privilege.USERS_READ, targets.ORGANISATION, changes=False)
def search(
    op: OperationContext, where: ColumnElement[bool], *, after: int, limit: int, with_members: bool = True
) -> GroupPage:
    """Find groups by a condition, page by page. A page has no more members than the largest group may have."""
    found = user_groups.listed(op.connection, where, after=after, limit=limit)
    members: Mapping[int, tuple[GroupMember, ...]] = {}
    if with_members:
        found = _as_many_as_fit(found, user_groups.sizes(op.connection, [one.id for one in found]))
        members = user_groups.members(op.connection, [one.id for one in found])
    return GroupPage(user_groups.count(op.connection, where), found, members)


def _as_many_as_fit(found: Sequence[UserGroup], sizes: Mapping[int, int]) -> tuple[UserGroup, ...]:
    upto = accumulate(sizes[one.id] for one in found)
    return tuple(one for one, count in zip(found, upto, strict=True) if count <= MEMBERS_AT_MOST)


@operation("group.show", Privilege.USERS_READ, targets.ORGANISATION, changes=False)
def show(op: OperationContext, name: str) -> GroupDetails:
    """Show a group with its members."""
    group = user_groups.find(op.connection, name)
    return GroupDetails(group, user_groups.members(op.connection, [group.id])[group.id])


@operation("group.create", Privilege.USERS_MANAGE, targets.ORGANISATION)
def create(op: OperationContext, name: str, external_id: str | None = None) -> UserGroup:
    """Make a group without members."""
    op.changed(group=("", name), external_id=(None, external_id))
    return user_groups.create(op.connection, name, external_id, op.now)


@operation("group.edit", Privilege.USERS_MANAGE, targets.ORGANISATION)
def edit(op: OperationContext, name: str, *, to: str, external_id: str | None = None) -> UserGroup:
    """Rename a group, or say what an identity provider calls it. Members and grants stay."""
    before = user_groups.find(op.connection, name)
    op.note(group=before.name)
    op.changed(name=(before.name, to), external_id=(before.external_id, external_id))
    return user_groups.edit(op.connection, before, to, external_id)


@operation(
    "group.members",
    Privilege.USERS_MANAGE,
    targets.ORGANISATION,
    targets.comers_and_goers("name", "account_ids"),
    targets.granted_to_comers("name", "account_ids"),
)
def set_members(op: OperationContext, name: str, account_ids: Collection[int]) -> GroupDetails:
    """Say who is in a group. Addresses that it was granted come and go with it."""
    group = user_groups.find(op.connection, name)
    known = {one.id for one in users.some(op.connection, account_ids)}
    if missing := next(iter(set(account_ids) - known), None):
        raise Invalid("there is no user with the number {number}", number=missing)
    before = {one.account_id: one.address for one in user_groups.members(op.connection, [group.id])[group.id]}
    came, went = user_groups.set_members(op.connection, group, account_ids)
    after = user_groups.members(op.connection, [group.id])[group.id]
    joined = [one.address for one in after if one.account_id in came]
    left = [before[one] for one in sorted(went)]
    op.note(group=group.name, came=joined[:_NAMED], went=left[:_NAMED], came_in_all=len(came), went_in_all=len(went))
    proven_domains.settle_members(op.connection, group.id, came | went, op.now)
    for one in went:
        op.reconsider(Selection(account_id=one))
    return GroupDetails(group, after)


@operation("group.remove", Privilege.USERS_MANAGE, targets.ORGANISATION, targets.comers_and_goers("name"))
def remove(op: OperationContext, name: str) -> UserGroup:
    """Remove a group, with what was granted to it. Its users stay."""
    group = user_groups.find(op.connection, name)
    had = user_groups.members(op.connection, [group.id])[group.id]
    op.changed(group=(group.name, ""))
    user_groups.remove(op.connection, group)
    proven_domains.settle(op.connection, op.now)
    for one in had:
        op.reconsider(Selection(account_id=one.account_id))
    return group
