"""Outgate's own API: groups of users, to which addresses are granted. Identity providers keep theirs by SCIM.

A group's name may have any character, so it stands in the query and in no path.
"""

from typing import Final

from pydantic import Field

from outgate.api.api_call import ApiCall
from outgate.api.api_method import ApiMethod, ApiParameter, Resource
from outgate.api.own_method import CURSOR, LIMIT, cursor_of, limit_of, own_method
from outgate.api.own_queue_resources import MOMENT
from outgate.directory.user_groups import UserGroup
from outgate.iso_time import iso
from outgate.operations import group_operations, user_operations
from outgate.operations.context import OperationContext
from outgate.operations.group_operations import GroupDetails

NAME: Final = ApiParameter("name", "The group's name.", "query", is_required=True)
_NAME: Final = "Press"
_ALICE: Final = "alice@example.com"
_AT_ONCE: Final = 100  # users that come or go


class NamedGroup(Resource):
    """A group, without its members."""

    name: str = Field(description="Its name.", examples=[_NAME])
    external_id: str | None = Field(None, description="What an identity provider calls it, if one keeps it.")
    created_at: str = Field(description="When it was made.", examples=[MOMENT])


class GroupWithMembers(NamedGroup):
    """A group with its members."""

    members: list[str] = Field(description="Their primary addresses.", examples=[[_ALICE]])

    @classmethod
    def of(cls, one: GroupDetails) -> "GroupWithMembers":
        """As it is now."""
        return cls(**_fields(one.group), members=[each.address for each in one.members])


class GroupPageResource(Resource):
    """A page of groups, those that were made first at its begin."""

    items: list[NamedGroup] = Field(description="The groups.")
    next_cursor: str | None = Field(
        None, description="What leads to the next page; left out on the last.", examples=["7"]
    )


class GroupName(Resource):
    """What a group is, or is to be, called."""

    name: str = Field(description="1 to 255 printable characters.", examples=[_NAME], max_length=1000)


class ComersAndGoers(Resource):
    """Who comes into a group, and who leaves it, by primary address."""

    come: list[str] = Field([], max_length=_AT_ONCE, description="Who comes.", examples=[[_ALICE]])
    go: list[str] = Field([], max_length=_AT_ONCE, description="Who leaves.", examples=[["bob@example.com"]])


def _fields(one: UserGroup) -> dict[str, str | None]:
    return {"name": one.name, "external_id": one.external_id, "created_at": iso(one.created_at)}


def listed(call: ApiCall) -> GroupPageResource:
    """A page of them."""
    limit, cursor = limit_of(call), cursor_of(call, r"(\d{1,12})")
    with call.reading() as op:
        found = group_operations.list_groups(op, behind=int(cursor[0]) if cursor else 0, limit=limit)
    return GroupPageResource(
        items=[NamedGroup.model_validate(_fields(one)) for one in found],
        next_cursor=str(found[-1].id) if len(found) == limit else None,
    )


def show(call: ApiCall) -> GroupWithMembers:
    """One of them."""
    with call.reading() as op:
        return GroupWithMembers.of(group_operations.show(op, call.parameters["name"]))


def create(call: ApiCall) -> NamedGroup:
    """One more."""
    with call.writing() as op:
        made = group_operations.create(op, call.resource(GroupName).name)
    return NamedGroup.model_validate(_fields(made))


def rename(call: ApiCall) -> NamedGroup:
    """Its members, and what it was granted, stay; so does what an identity provider calls it."""
    name = call.parameters["name"]
    with call.writing() as op:
        known = group_operations.show(op, name).group.external_id
        renamed = group_operations.edit(op, name, to=call.resource(GroupName).name, external_id=known)
    return NamedGroup.model_validate(_fields(renamed))


def change_members(call: ApiCall) -> GroupWithMembers:
    """The others stay."""
    name, sent = call.parameters["name"], call.resource(ComersAndGoers)
    with call.reading() as op:
        come, go = _numbers(op, sent.come), _numbers(op, sent.go)
    with call.writing() as op:
        had = {one.account_id for one in group_operations.show(op, name).members}
        return GroupWithMembers.of(group_operations.set_members(op, name, (had | come) - go))


def _numbers(op: OperationContext, addresses: list[str]) -> set[int]:
    return {user_operations.show(op, one).user.id for one in addresses}


def remove(call: ApiCall) -> None:
    """Its users stay."""
    with call.writing() as op:
        group_operations.remove(op, call.parameters["name"])


METHODS: Final[tuple[ApiMethod, ...]] = (
    own_method(group_operations.list_groups, "GET", "groups", listed, LIMIT, CURSOR, gives=GroupPageResource),
    own_method(group_operations.create, "POST", "groups", create, takes=GroupName, gives=NamedGroup),
    own_method(group_operations.show, "GET", "group", show, NAME, gives=GroupWithMembers),
    own_method(
        group_operations.edit,
        "PUT",
        "group",
        rename,
        NAME,
        takes=GroupName,
        gives=NamedGroup,
        besides=(group_operations.show,),
    ),
    own_method(group_operations.remove, "DELETE", "group", remove, NAME),
    own_method(
        group_operations.set_members,
        "POST",
        "group/members",
        change_members,
        NAME,
        says="Who is neither named as coming nor as leaving stays.",
        takes=ComersAndGoers,
        gives=GroupWithMembers,
        besides=(group_operations.show, user_operations.show),
    ),
)
