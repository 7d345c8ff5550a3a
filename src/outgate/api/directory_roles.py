"""The Directory API's `roles`, `privileges` and `roleAssignments`: what administrators may do, and who is one.

Everything is named by its number. The user that the token acts for needs the privileges that the console asks for.
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from outgate.api.api_call import ApiCall
from outgate.api.api_method import ApiMethod, ApiParameter
from outgate.api.directory_resources import CUSTOMER_ID
from outgate.api.google_error import invalid, not_found
from outgate.api.role_resources import (
    PrivilegeList,
    RoleAssignmentList,
    RoleAssignmentResource,
    RoleList,
    RoleResource,
)
from outgate.directory.privileges import Role
from outgate.directory.roles import Assignment
from outgate.directory.units import OrgUnit
from outgate.operations import role_operations, unit_operations
from outgate.operations.account_lookup import address_of_key
from outgate.operations.context import OperationContext

ROLES: Final = "https://www.googleapis.com/auth/admin.directory.rolemanagement"
ROLES_READONLY: Final = f"{ROLES}.readonly"
ROLE_SCOPES: Final = {
    ROLES: "See, make and remove administrators' roles, and say who has which",
    ROLES_READONLY: "See administrators' roles, and who has which",
}

_MOST: Final = {"roles": 100, "assignments": 200}  # of a page, as at Google

T = TypeVar("T", Role, Assignment)


# --- roles -----------------------------------------------------------------------------------------------------------


def list_roles(call: ApiCall) -> RoleList:
    """A page of them, by number."""
    _of_ours(call)
    with call.reading() as op:
        found = role_operations.list_roles(op)
    shown, token = _page(call, found, _MOST["roles"])
    return RoleList(items=[RoleResource.of(one) for one in shown], next_page_token=token)


def get_role(call: ApiCall) -> RoleResource:
    """One of them."""
    _of_ours(call)
    with call.reading() as op:
        return RoleResource.of(_role(op, call.parameters["roleId"]))


def insert_role(call: ApiCall) -> RoleResource:
    """One of one's own."""
    _of_ours(call)
    sent = call.resource(RoleResource)
    if not sent.role_name:
        raise invalid("Invalid role: roleName is missing.")
    wanted = [one.privilege_name or "" for one in sent.role_privileges or ()]
    with call.writing() as op:
        return RoleResource.of(role_operations.create(op, sent.role_name, wanted, sent.role_description or ""))


def delete_role(call: ApiCall) -> None:
    """One of one's own, that nobody has."""
    _of_ours(call)
    with call.writing() as op:
        role_operations.remove(op, _role(op, call.parameters["roleId"]).name)


def list_privileges(call: ApiCall) -> PrivilegeList:
    """All that a role may allow: nobody's secret."""
    _of_ours(call)
    return PrivilegeList()


# --- who has which ---------------------------------------------------------------------------------------------------


def list_assignments(call: ApiCall) -> RoleAssignmentList:
    """A page of them, by number: all, or those of one user or role."""
    _of_ours(call)
    given = call.parameters
    with call.reading() as op:
        roles = {one.name: one for one in role_operations.list_roles(op)}
        found: Sequence[Assignment] = role_operations.assignments(op)
        if "roleId" in given:
            wanted = _role(op, given["roleId"]).name
            found = [one for one in found if one.role == wanted]
        if "userKey" in given:
            address = address_of_key(op, given["userKey"]).lower()
            found = [one for one in found if one.account == address]
    shown, token = _page(call, [one for one in found if one.role in roles], _MOST["assignments"])
    items = [RoleAssignmentResource.of(one, roles[one.role]) for one in shown]
    return RoleAssignmentList(items=items, next_page_token=token)


def get_assignment(call: ApiCall) -> RoleAssignmentResource:
    """One of them."""
    _of_ours(call)
    with call.reading() as op:
        return _told(op, _assignment(call, op))


def insert_assignment(call: ApiCall) -> RoleAssignmentResource:
    """Give a user a role: never more than who asks has."""
    _of_ours(call)
    sent = call.resource(RoleAssignmentResource)
    if not sent.role_id or not sent.assigned_to:
        raise invalid("Invalid role assignment: roleId and assignedTo are needed.")
    if sent.assignee_type not in (None, "user"):
        raise invalid("Invalid role assignment: roles are given to users here, not to groups.")
    with call.writing() as op:
        role, address = _role(op, sent.role_id), address_of_key(op, sent.assigned_to)
        return _told(op, role_operations.assign(op, address, role.name, _unit(op, sent)))


def delete_assignment(call: ApiCall) -> None:
    """Take a role away."""
    _of_ours(call)
    with call.writing() as op:
        found = _assignment(call, op)
        role_operations.unassign(op, found.account, found.role, found.unit)


def _unit(op: OperationContext, sent: RoleAssignmentResource) -> str:
    """The path of the unit that is wanted. Raises ApiError."""
    number = (sent.org_unit_id or "").removeprefix("id:")
    match sent.scope_type:
        case "CUSTOMER" if not number:
            return "/"
        case None if not number:
            return "/"
        case "ORG_UNIT" | None if number:
            return _with(str(number), unit_operations.tree(op), lambda one: one.id).path
    raise invalid("Invalid role assignment: scopeType is CUSTOMER, or ORG_UNIT with an orgUnitId.")


def _told(op: OperationContext, one: Assignment) -> RoleAssignmentResource:
    roles = {role.name: role for role in role_operations.list_roles(op)}
    if one.role not in roles:
        raise not_found()
    return RoleAssignmentResource.of(one, roles[one.role])


def _role(op: OperationContext, number: str) -> Role:
    return _with(number, role_operations.list_roles(op), lambda one: one.number)


def _assignment(call: ApiCall, op: OperationContext) -> Assignment:
    return _with(call.parameters["roleAssignmentId"], role_operations.assignments(op), lambda one: one.number)


N = TypeVar("N", Role, Assignment, OrgUnit)


def _with(number: str, among: Sequence[N], number_of: Callable[[N], int]) -> N:
    """The one of this number. Raises ApiError."""
    found = next((one for one in among if str(number_of(one)) == number), None)
    if found is None:
        raise not_found()
    return found


def _page(call: ApiCall, found: Sequence[T], most: int) -> tuple[list[T], str | None]:
    """Those after the one that the page token names, and the next token. Raises ApiError."""
    token = call.parameters.get("pageToken", "0")
    if not (token.isascii() and token.isdigit() and len(token) < 18):
        raise invalid("Invalid pageToken: it must be the nextPageToken of an answer.")
    limit = min(int(call.parameters.get("maxResults", most)) or most, most)
    ahead = sorted((one for one in found if one.number > int(token)), key=lambda one: one.number)
    shown = ahead[:limit]
    return shown, str(shown[-1].number) if len(ahead) > limit else None


def _of_ours(call: ApiCall) -> None:
    """Raises ApiError for another organisation."""
    if call.parameters["customer"] != CUSTOMER_ID:
        raise not_found()


_CUSTOMER: Final = ApiParameter("customer", CUSTOMER_ID)
_ROLE: Final = ApiParameter("roleId", "The role's number.")
_ASSIGNMENT: Final = ApiParameter("roleAssignmentId", "Its number.")
_PATH: Final = "admin/directory/v1/customer/{customer}/roles"
_ASSIGNMENTS: Final = "admin/directory/v1/customer/{customer}/roleassignments"
_TOKEN: Final = ApiParameter("pageToken", "The page that an answer's nextPageToken names.", "query")
_MAY_READ: Final = (ROLES, ROLES_READONLY)


def _at_most(count: int) -> ApiParameter:
    return ApiParameter("maxResults", f"At most so many; {count} at most.", "query", "integer", "int32")


METHODS: Final = (
    ApiMethod(
        id="directory.roles.list",
        verb="GET",
        path=_PATH,
        description="Lists the roles: those that come with the product, then those that were made here.",
        scopes=_MAY_READ,
        answer=list_roles,
        parameters=(_CUSTOMER, _at_most(_MOST["roles"]), _TOKEN),
        gives=RoleList,
    ),
    ApiMethod(
        id="directory.roles.insert",
        verb="POST",
        path=_PATH,
        description="Makes a role.",
        scopes=(ROLES,),
        answer=insert_role,
        parameters=(_CUSTOMER,),
        takes=RoleResource,
        gives=RoleResource,
    ),
    ApiMethod(
        id="directory.roles.get",
        verb="GET",
        path=f"{_PATH}/{{roleId}}",
        description="Gets a role.",
        scopes=_MAY_READ,
        answer=get_role,
        parameters=(_CUSTOMER, _ROLE),
        gives=RoleResource,
    ),
    ApiMethod(
        id="directory.roles.delete",
        verb="DELETE",
        path=f"{_PATH}/{{roleId}}",
        description="Removes a role that was made here and that nobody has.",
        scopes=(ROLES,),
        answer=delete_role,
        parameters=(_CUSTOMER, _ROLE),
    ),
    ApiMethod(
        id="directory.privileges.list",
        verb="GET",
        path=f"{_PATH}/ALL/privileges",
        description="Lists the privileges that a role may have.",
        scopes=_MAY_READ,
        answer=list_privileges,
        parameters=(_CUSTOMER,),
        gives=PrivilegeList,
    ),
    ApiMethod(
        id="directory.roleAssignments.list",
        verb="GET",
        path=_ASSIGNMENTS,
        description="Lists who has which role for which unit.",
        scopes=_MAY_READ,
        answer=list_assignments,
        parameters=(
            _CUSTOMER,
            ApiParameter("roleId", "Only those of this role.", "query"),
            ApiParameter("userKey", "Only those of the user with this primary address or number.", "query"),
            _at_most(_MOST["assignments"]),
            _TOKEN,
        ),
        gives=RoleAssignmentList,
    ),
    ApiMethod(
        id="directory.roleAssignments.insert",
        verb="POST",
        path=_ASSIGNMENTS,
        description="Gives a user a role, for all units or for one and those below it.",
        scopes=(ROLES,),
        answer=insert_assignment,
        parameters=(_CUSTOMER,),
        takes=RoleAssignmentResource,
        gives=RoleAssignmentResource,
    ),
    ApiMethod(
        id="directory.roleAssignments.get",
        verb="GET",
        path=f"{_ASSIGNMENTS}/{{roleAssignmentId}}",
        description="Gets one.",
        scopes=_MAY_READ,
        answer=get_assignment,
        parameters=(_CUSTOMER, _ASSIGNMENT),
        gives=RoleAssignmentResource,
    ),
    ApiMethod(
        id="directory.roleAssignments.delete",
        verb="DELETE",
        path=f"{_ASSIGNMENTS}/{{roleAssignmentId}}",
        description="Takes a role away.",
        scopes=(ROLES,),
        answer=delete_assignment,
        parameters=(_CUSTOMER, _ASSIGNMENT),
    ),
)
