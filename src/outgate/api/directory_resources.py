"""Users, aliases and units as the Directory API has them. What is written and never read is in no answer."""

from typing import Any

from pydantic import Field

from outgate.api.api_method import Resource
from outgate.directory.units import OrgUnit
from outgate.directory.users import User
from outgate.iso_time import iso

CUSTOMER_ID = "my_customer"


class UserNameResource(Resource):
    """A user's name. It is one text here: the family name is its last word."""

    google_name = "UserName"

    given_name: str | None = Field(None, description="The first names.")
    family_name: str | None = Field(None, description="The family name.")
    full_name: str | None = Field(None, description="The whole name. Read-only.")
    display_name: str | None = Field(
        None, description="The whole name, if it is to be another than both in a row. Write-only."
    )

    @classmethod
    def of(cls, name: str) -> "UserNameResource":
        """What is told of a name."""
        given, _, family = name.rpartition(" ")
        return cls(given_name=given, family_name=family, full_name=name)

    def text(self, before: str) -> str:
        """The name that is asked for; what is left out is as before."""
        if self.display_name is not None:
            return self.display_name
        known = UserNameResource.of(before)
        given = known.given_name if self.given_name is None else self.given_name
        family = known.family_name if self.family_name is None else self.family_name
        return f"{given} {family}".strip()


class UserResource(Resource):
    """A user of the organisation."""

    google_name = "User"

    kind: str | None = Field(None, description="admin#directory#user")
    id: str | None = Field(None, description="The user's number, which stays. Read-only.")
    customer_id: str | None = Field(None, description="my_customer. Read-only.")
    primary_email: str | None = Field(None, description="The primary address. Read-only but for insert.")
    name: UserNameResource | None = Field(None, description="The user's name.")
    password: str | None = Field(None, repr=False, description="A new password. Write-only.")
    org_unit_path: str | None = Field(None, description="The unit, as in /Sales/Italy; the root if it is left out.")
    suspended: bool | None = Field(None, description="Whether the user can neither log in nor send.")
    suspension_reason: str | None = Field(None, description="ADMIN, if the user is suspended. Read-only.")
    creation_time: str | None = Field(
        None, description="Since when there is the user. Read-only.", json_schema_extra={"format": "date-time"}
    )
    emails: Any = Field(None, description="The primary address, as a list of one. Read-only.")

    @classmethod
    def of(cls, user: User) -> "UserResource":
        """What is told of a user."""
        return cls(
            kind="admin#directory#user",
            id=str(user.id),
            customer_id=CUSTOMER_ID,
            primary_email=user.address,
            name=UserNameResource.of(user.name),
            org_unit_path=user.unit,
            suspended=user.suspended,
            suspension_reason="ADMIN" if user.suspended else None,
            creation_time=iso(user.created_at),
            emails=[{"address": user.address, "primary": True}],
        )


class UserList(Resource):
    """A page of users, by address."""

    google_name = "Users"

    kind: str = Field("admin#directory#users", description="admin#directory#users")
    users: list[UserResource] = Field([], description="The users.")
    next_page_token: str | None = Field(None, description="Names the next page; the last one has none.")


class AliasResource(Resource):
    """Another address of a user in the organisation's own domains."""

    google_name = "Alias"

    kind: str | None = Field(None, description="admin#directory#alias")
    id: str | None = Field(None, description="The user's number. Read-only.")
    primary_email: str | None = Field(None, description="The user's primary address. Read-only.")
    alias: str | None = Field(None, description="The address.")


class AliasList(Resource):
    """All aliases of a user."""

    google_name = "Aliases"

    kind: str = Field("admin#directory#aliases", description="admin#directory#aliases")
    aliases: list[Any] = Field([], description="The aliases, each as Alias.")


class OrgUnitResource(Resource):
    """An organisational unit."""

    google_name = "OrgUnit"

    kind: str | None = Field(None, description="admin#directory#orgUnit")
    name: str | None = Field(None, description="The last part of its path.")
    description: str | None = Field(None, description="Empty: units have none here.")
    org_unit_path: str | None = Field(None, description="Its path, as in /Sales/Italy. Read-only.")
    org_unit_id: str | None = Field(None, description="Its number, which stays when it is moved. Read-only.")
    parent_org_unit_path: str | None = Field(None, description="The path of the unit above.")
    parent_org_unit_id: str | None = Field(None, description="The number of the unit above.")

    @classmethod
    def of(cls, unit: OrgUnit) -> "OrgUnitResource":
        """What is told of a unit."""
        above, _, name = unit.path.rpartition("/")
        return cls(
            kind="admin#directory#orgUnit",
            name=name or "/",
            description="",
            org_unit_path=unit.path,
            org_unit_id=f"id:{unit.id}",
            parent_org_unit_path=(above or "/") if unit.parent_id is not None else None,
            parent_org_unit_id=f"id:{unit.parent_id}" if unit.parent_id is not None else None,
        )


class OrgUnitList(Resource):
    """Units of the tree, each after the one above it."""

    google_name = "OrgUnits"

    kind: str = Field("admin#directory#org_units", description="admin#directory#org_units")
    organization_units: list[OrgUnitResource] = Field([], description="The units.")
