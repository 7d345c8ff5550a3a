"""Users and groups as SCIM has them, and what this server can do (RFC 7643). Shapes only.

They have the attributes that are kept here. What else a provider sends (telephones, departments, passwords) is let
pass, and not kept: see ScimPolicy.Unknown.
"""

from functools import cached_property
from typing import Annotated, Any, ClassVar, Final

from pydantic import Field

from outgate.directory.provisioned_users import ProviderNames
from outgate.extras import extra

with extra("scim"):
    from scim2_models import (
        URN,
        AuthenticationScheme,
        Bulk,
        CaseExact,
        ChangePassword,
        ComplexAttribute,
        ETag,
        Filter,
        Mutability,
        Patch,
        Reference,
        Required,
        Resource,
        Schema,
        ScimPolicy,
        ScimProvider,
        ServiceProviderConfig,
        Sort,
        Uniqueness,
    )

PAGE_AT_MOST: Final = 200  # users or groups of one answer


class ScimName(ComplexAttribute):
    """The parts of a name."""

    given_name: str | None = None
    """The first names."""

    family_name: str | None = None
    """The family name."""


class ScimMembership(ComplexAttribute):
    """A group that a user is in."""

    value: Annotated[str | None, Mutability.read_only, CaseExact.true] = None
    """The group's number."""

    ref: Annotated[Reference["Group"] | None, Mutability.read_only] = Field(  # type: ignore[name-defined]  # noqa: F821
        None, serialization_alias="$ref", validation_alias="$ref"
    )
    """Where the group is."""

    display: Annotated[str | None, Mutability.read_only] = None
    """The group's name."""


class ScimUser(Resource[Any]):
    """A user of the organisation."""

    __schema__ = URN("urn:ietf:params:scim:schemas:core:2.0:User")

    user_name: Annotated[str | None, Uniqueness.server, Required.true] = None
    """The primary address, in one of the organisation's domains."""

    name: ScimName | None = None
    """The parts of the user's name."""
    Name: ClassVar[type[ComplexAttribute]] = ScimName

    display_name: str | None = None
    """The name that others see; the parts of the name in a row if there is none."""

    active: bool | None = None
    """Whether the user may log in and send; false suspends the user. It has a value always."""

    groups: Annotated[list[ScimMembership] | None, Mutability.read_only] = None
    """The groups that the user is in."""
    Groups: ClassVar[type[ComplexAttribute]] = ScimMembership

    def names(self) -> ProviderNames:
        """What is said of the user beside the address."""
        parts = self.name or ScimName()
        said = (self.external_id, self.display_name, parts.given_name, parts.family_name)
        return ProviderNames(*(one or None for one in said))


class ScimMember(ComplexAttribute):
    """A user who is in a group."""

    value: Annotated[str | None, Mutability.immutable, CaseExact.true] = None
    """The user's number."""

    ref: Annotated[Reference["User"] | None, Mutability.immutable] = Field(  # type: ignore[name-defined]  # noqa: F821
        None, serialization_alias="$ref", validation_alias="$ref"
    )
    """Where the user is."""

    type: Annotated[str | None, Mutability.immutable] = Field(None, examples=["User"])
    """User: groups in groups are not kept."""


class ScimGroup(Resource[Any]):
    """A group of users, to which addresses are granted."""

    __schema__ = URN("urn:ietf:params:scim:schemas:core:2.0:Group")

    display_name: Annotated[str | None, Uniqueness.server, Required.true] = None
    """The name of the group, which no other has."""

    members: list[ScimMember] | None = None
    """The users who are in it."""
    Members: ClassVar[type[ComplexAttribute]] = ScimMember


class OutgateProvider(ScimProvider):
    """What is told of this server. An address stays, and is told to; it is read leniently, so that a provider may
    send it again with what has changed.
    """

    @cached_property
    def schemas(self) -> tuple[Schema, ...]:
        """As they are published."""
        told = super().schemas
        for attribute in (one for schema in told for one in schema.attributes or ()):
            if attribute.name == "userName":
                attribute.mutability = Mutability.immutable
        return told


CONFIG: Final = ServiceProviderConfig(
    patch=Patch(supported=True),
    bulk=Bulk(supported=False, max_operations=0, max_payload_size=0),
    filter=Filter(supported=True, max_results=PAGE_AT_MOST),
    change_password=ChangePassword(supported=False),
    sort=Sort(supported=False),
    etag=ETag(supported=True),
    authentication_schemes=[
        AuthenticationScheme(
            type=AuthenticationScheme.Type.oauthbearertoken,
            name="Bearer token",
            description="A token that `outgate scim token create` has made",
            primary=True,
        )
    ],
)
# What Entra ID does beside the RFC: attributes of its own, a value that says what to remove, a filter that says what
# to make.
POLICY: Final = ScimPolicy(
    unknown=ScimPolicy.Unknown.ignore,
    remove_value_as_filter=ScimPolicy.RemoveValue.apply,
    unmatched_path_filter=ScimPolicy.UnmatchedPathFilter.create,
)
PROVIDER: Final = OutgateProvider([ScimUser, ScimGroup], config=CONFIG, policy=POLICY)
