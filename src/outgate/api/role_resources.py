"""Administrators' roles, and who has them, as the Directory API has them. Pure shapes."""

from typing import ClassVar, Final, Literal

from pydantic import Field

from outgate.api.api_method import Resource
from outgate.directory.privileges import BUILT_IN, Privilege, Role
from outgate.directory.roles import SUPER_ADMIN, Assignment

SERVICE: Final = "outgate"  # whose privileges they all are


class RolePrivilegeResource(Resource):
    """One privilege of a role."""

    inline: ClassVar[bool] = True

    privilege_name: str | None = Field(None, description="As `privileges.list` and docs/roles.md name it.")
    service_id: str | None = Field(None, description="outgate; what is sent is not looked at.")


class RoleResource(Resource):
    """A role: a named set of privileges."""

    google_name = "Role"

    kind: str | None = Field(None, description="admin#directory#role")
    role_id: str | None = Field(
        None, description="Its number, which stays. Read-only.", json_schema_extra={"format": "int64"}
    )
    role_name: str | None = Field(None, description="Its name: small letters, digits and hyphens.")
    role_description: str | None = Field(None, description="What it is for.")
    role_privileges: list[RolePrivilegeResource] | None = Field(None, description="What it allows.")
    is_system_role: bool | None = Field(None, description="Whether it comes with the product. Read-only.")
    is_super_admin_role: bool | None = Field(None, description="Whether it allows everything. Read-only.")

    @classmethod
    def of(cls, role: Role) -> "RoleResource":
        """What is told of a role."""
        return cls(
            kind="admin#directory#role",
            role_id=str(role.number),
            role_name=role.name,
            role_description=role.summary,
            role_privileges=[
                RolePrivilegeResource(privilege_name=one, service_id=SERVICE) for one in sorted(role.privileges)
            ],
            is_system_role=role.name in BUILT_IN,
            is_super_admin_role=role.name == SUPER_ADMIN,
        )


class RoleList(Resource):
    """A page of roles: those that come with the product first."""

    google_name = "Roles"

    kind: str = Field("admin#directory#roles", description="admin#directory#roles")
    items: list[RoleResource] = Field([], description="The roles.")
    next_page_token: str | None = Field(None, description="Names the next page; the last one has none.")


class PrivilegeResource(Resource):
    """A privilege that a role may have."""

    google_name = "Privilege"

    kind: str = Field("admin#directory#privilege", description="admin#directory#privilege")
    privilege_name: str = Field(description="Its name.")
    service_id: str = Field(SERVICE, description="outgate")
    service_name: str = Field(SERVICE, description="outgate")
    is_ou_scopable: bool = Field(True, description="true: a role is given for a unit.")


class PrivilegeList(Resource):
    """All privileges that there are."""

    google_name = "Privileges"

    kind: str = Field("admin#directory#privileges", description="admin#directory#privileges")
    items: list[PrivilegeResource] = Field(
        default_factory=lambda: [PrivilegeResource(privilege_name=one) for one in Privilege],
        description="The privileges.",
    )


class RoleAssignmentResource(Resource):
    """A user has a role for a unit and those below it."""

    google_name = "RoleAssignment"

    kind: str | None = Field(None, description="admin#directory#roleAssignment")
    role_assignment_id: str | None = Field(
        None, description="Its number. Read-only.", json_schema_extra={"format": "int64"}
    )
    role_id: str | None = Field(None, description="The role's number.", json_schema_extra={"format": "int64"})
    assigned_to: str | None = Field(None, description="The user's number.")
    assignee_type: Literal["user", "group"] | None = Field(None, description="user. Read-only.")
    scope_type: str | None = Field(None, description="CUSTOMER for all units, ORG_UNIT for one and those below it.")
    org_unit_id: str | None = Field(None, description="The unit's number, if it is for one.")

    @classmethod
    def of(cls, one: Assignment, role: Role) -> "RoleAssignmentResource":
        """What is told of it."""
        everywhere = one.unit == "/"
        return cls(
            kind="admin#directory#roleAssignment",
            role_assignment_id=str(one.number),
            role_id=str(role.number),
            assigned_to=str(one.account_id),
            assignee_type="user",
            scope_type="CUSTOMER" if everywhere else "ORG_UNIT",
            org_unit_id=None if everywhere else str(one.unit_id),
        )


class RoleAssignmentList(Resource):
    """A page of them, by number."""

    google_name = "RoleAssignments"

    kind: str = Field("admin#directory#roleAssignments", description="admin#directory#roleAssignments")
    items: list[RoleAssignmentResource] = Field([], description="Who has which role where.")
    next_page_token: str | None = Field(None, description="Names the next page; the last one has none.")
