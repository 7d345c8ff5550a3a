"""What scim2-server reads and writes: users and groups by operations, in one transaction for each request.

Knows neither HTTP nor tables. What it raises is SCIM's, or an operation's (scim_protocol tells it).
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final, NoReturn, TypeVar, cast

from sqlalchemy import ColumnElement, true

from outgate.directory import user_groups
from outgate.directory.change import compared
from outgate.directory.errors import Invalid
from outgate.directory.provisioned_users import ProviderNames, ProvisionedUser
from outgate.directory.user_groups import GroupMember, UserGroup
from outgate.extras import extra
from outgate.operations import group_operations, provisioning_operations, user_operations
from outgate.operations.account_lookup import address_of_key
from outgate.operations.context import OperationContext
from outgate.scim import filter_condition
from outgate.scim.filter_condition import FilterCondition, number_of
from outgate.scim.scim_call import ProvidersCall
from outgate.scim.scim_shapes import PAGE_AT_MOST, ScimGroup, ScimMember, ScimMembership, ScimName, ScimUser

with extra("scim"):
    from scim2_models import (
        Meta,
        MutabilityException,
        NotFoundException,
        NotImplementedException,
        PreconditionFailedException,
        Reference,
        Resource,
        ResourceType,
        ResponseParameters,
        SearchRequest,
    )
    from scim2_server.storage import ScimStorage, SearchPage

USER, GROUP = "User", "Group"
_FARTHEST: Final = 10**9  # startIndex; no database counts beyond 2^63, nor PostgreSQL here beyond 2^31

R = TypeVar("R", ScimUser, ScimGroup)


class OperationStorage(ScimStorage):
    """Of one request, which changes something or only looks."""

    def __init__(self, call: ProvidersCall, *, changes: bool) -> None:
        self._call, self._changes = call, changes
        self._entered: OperationContext | None = None

    @contextmanager
    def operation(self) -> Iterator[None]:
        """The request's transaction."""
        with self._call.writing() if self._changes else self._call.reading() as op:
            self._entered = op
            yield

    @property
    def _op(self) -> OperationContext:
        assert self._entered
        return self._entered

    def get(
        self,
        resource_type: ResourceType,
        resource_id: str,
        *,
        response_parameters: ResponseParameters[Any] | None = None,
    ) -> Resource[Any]:
        """One of them. Raises NotFoundException."""
        if resource_type.name == USER:
            return self._user(self._address(resource_id))
        return self._group(self._named(resource_id))

    def search(
        self,
        resource_types: list[ResourceType],
        search_request: SearchRequest[Any],
        *,
        position: Any = None,
    ) -> SearchPage:
        """A page of those that the filter asks for, by age."""
        if len(resource_types) != 1:
            raise NotImplementedException(detail="users and groups are searched each for themselves")
        after = min(search_request.start_index or 1, _FARTHEST) - 1
        limit = PAGE_AT_MOST if search_request.count is None else min(search_request.count, PAGE_AT_MOST)
        if resource_types[0].name == USER:
            where = _condition(search_request, filter_condition.USERS, filter_condition.USERS_WITH)
            page = provisioning_operations.search(self._op, where, self._call.unit, after=after, limit=limit)
            return SearchPage(page.total, [_user(one) for one in page.users])
        where = _condition(search_request, filter_condition.GROUPS, filter_condition.GROUPS_WITH)
        with_members = "members" not in {str(one) for one in search_request.excluded_attributes or ()}
        found = group_operations.search(self._op, where, after=after, limit=limit, with_members=with_members)
        return SearchPage(found.total, [_group(one, found.members.get(one.id, ())) for one in found.groups])

    def create(self, resource_type: ResourceType, resource: Resource[Any]) -> Resource[Any]:
        """A new one."""
        op = self._op
        if isinstance(resource, ScimUser):
            made = provisioning_operations.create(op, resource.user_name or "", resource.names(), self._call.unit)
            if resource.active is False:
                user_operations.suspend(op, made.user.address)
            return self._user(made.user.address)
        wanted = cast(ScimGroup, resource)
        name = group_operations.create(op, wanted.display_name or "", wanted.external_id or None).name
        if wanted.members:
            group_operations.set_members(op, name, _member_ids(wanted))
        return self._group(name)

    def update(
        self, resource_type: ResourceType, resource: Resource[Any], *, expected_version: str | None = None
    ) -> Resource[Any]:
        """What it is to be from now on, whole."""
        before = self._as_expected(resource_type, resource.id or "", expected_version)
        if isinstance(resource, ScimUser):
            return self._update_user(cast(ScimUser, before), resource)
        return self._update_group(cast(ScimGroup, before), cast(ScimGroup, resource))

    def delete(self, resource_type: ResourceType, resource_id: str, *, expected_version: str | None = None) -> None:
        """As `outgate user remove` and `outgate group remove` do it."""
        self._as_expected(resource_type, resource_id, expected_version)
        if resource_type.name == USER:
            user_operations.remove(self._op, self._address(resource_id))
        else:
            group_operations.remove(self._op, self._named(resource_id))

    def _update_user(self, before: ScimUser, wanted: ScimUser) -> ScimUser:
        address = before.user_name or ""
        if compared(wanted.user_name or "") != address:
            raise MutabilityException(
                detail=f"userName of {address} can't be changed: mailbox and log have this name; add another user, and"
                " transfer the addresses"
            )
        if wanted.names() != before.names():
            provisioning_operations.name(self._op, address, wanted.names())
        if wanted.active is not None and wanted.active != before.active:
            (user_operations.resume if wanted.active else user_operations.suspend)(self._op, address)
        return self._user(address)

    def _update_group(self, before: ScimGroup, wanted: ScimGroup) -> ScimGroup:
        name, op = before.display_name or "", self._op
        if (wanted.display_name, wanted.external_id or None) != (name, before.external_id):
            edited = group_operations.edit(
                op, name, to=wanted.display_name or "", external_id=wanted.external_id or None
            )
            name = edited.name
        if (ids := _member_ids(wanted)) != _member_ids(before):
            group_operations.set_members(op, name, ids)
        return self._group(name)

    def _as_expected(self, resource_type: ResourceType, resource_id: str, version: str | None) -> Resource[Any]:
        found = self.get(resource_type, resource_id)
        if version is not None and found.meta and found.meta.version != version:
            raise PreconditionFailedException
        return found

    def _address(self, resource_id: str) -> str:
        if number_of(resource_id) is None:
            _no_such(USER, resource_id)
        return address_of_key(self._op, resource_id)

    def _named(self, resource_id: str) -> str:
        number = number_of(resource_id)
        if number is None:
            _no_such(GROUP, resource_id)
        return user_groups.by_id(self._op.connection, number).name

    def _user(self, address: str) -> ScimUser:
        return _user(provisioning_operations.show(self._op, address))

    def _group(self, name: str) -> ScimGroup:
        details = group_operations.show(self._op, name)
        return _group(details.group, details.members)


def _no_such(kind: str, resource_id: str) -> NoReturn:
    raise NotFoundException(detail=f"there is no {kind} '{resource_id[:40]}'")


def _condition(asked: SearchRequest[Any], known: Any, present: Any) -> ColumnElement[bool]:
    return FilterCondition(asked.filter, known, present).made() if asked.filter is not None else true()


def _member_ids(group: ScimGroup) -> frozenset[int]:
    """Raises Invalid for what is no user."""
    found = set[int]()
    for one in group.members or ():
        number = number_of(one.value or "")
        if number is None or (one.type or USER) != USER or "/Groups/" in str(one.ref or ""):
            raise Invalid("members of groups are users, each by its id; groups in groups are not kept")
        found.add(number)
    return frozenset(found)


def _user(found: ProvisionedUser) -> ScimUser:
    user = found.user
    names = found.names or ProviderNames(display_name=user.name or None)
    parts = ScimName(given_name=names.given_name, family_name=names.family_name)
    made = ScimUser(
        id=str(user.id),
        external_id=names.external_id,
        user_name=user.address,
        name=parts if names.given_name or names.family_name else None,
        display_name=names.display_name,
        active=not user.suspended,
        groups=[
            ScimMembership(value=str(one.id), ref=Reference(f"Groups/{one.id}"), display=one.name)
            for one in found.groups
        ]
        or None,
    )
    return _with_meta(made, USER, user.created_at)


def _group(group: UserGroup, members: Sequence[GroupMember]) -> ScimGroup:
    made = ScimGroup(
        id=str(group.id),
        external_id=group.external_id,
        display_name=group.name,
        members=[
            ScimMember(value=str(one.account_id), ref=Reference(f"Users/{one.account_id}"), type=USER)
            for one in members
        ]
        or None,
    )
    return _with_meta(made, GROUP, group.created_at)


def _with_meta(made: R, kind: str, created_at: float) -> R:
    """The version is of what is told: it changes with it, whoever has changed it."""
    told = json.dumps(made.model_dump(mode="json"), sort_keys=True)
    version = hashlib.sha256(told.encode()).hexdigest()[:24]
    made.meta = Meta(resource_type=kind, created=datetime.fromtimestamp(created_at, UTC), version=f'W/"{version}"')
    return made
