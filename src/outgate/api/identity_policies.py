"""The Cloud Identity Policy API's `policies`: the settings of policy, by unit.

A value that a unit has of its own is a policy of type ADMIN; each setting's default is one of type SYSTEM. The user
that the token acts for needs the privileges that the console asks for.
"""

import re
from collections.abc import Iterator
from typing import Final

from outgate.api import policy_filter
from outgate.api.api_call import ApiCall
from outgate.api.api_method import ApiMethod, ApiParameter
from outgate.api.google_error import ApiError, invalid, not_found, precondition
from outgate.api.policy_filter import CUSTOMER, BadFilter
from outgate.api.policy_resource import (
    DoneOperation,
    PolicyList,
    PolicyQueryResource,
    PolicyResource,
    SettingResource,
)
from outgate.directory.settings import ALLOW_EXTERNAL_SMTP, SETTINGS, Setting, Value
from outgate.directory.units import OrgUnit
from outgate.frozen import frozen
from outgate.operations import policy_operations, unit_operations
from outgate.operations.context import OperationContext

POLICIES: Final = "https://www.googleapis.com/auth/cloud-identity.policies"
READONLY: Final = f"{POLICIES}.readonly"
SCOPES: Final = {POLICIES: "See and change the policy of units", READONLY: "See the policy of units"}

_USUAL: Final = 50  # policies of a page
_MOST: Final = 100
_SYSTEM: Final = 0  # in the place of a unit's number
PolicyKey = tuple[str, int]  # the name of a setting, the number of a unit
_NAME: Final = re.compile(r"policies/(\d{1,15})\.([A-Za-z]{1,60})")
_UNIT: Final = re.compile(r"orgUnits/(\d{1,15})")
_MADE: Final = "type.googleapis.com/google.apps.cloudidentity.policies.v1.Policy"
_GONE: Final = "type.googleapis.com/google.protobuf.Empty"


@frozen
class FoundPolicy:
    """A value, the unit that has it, and its place among those of the setting: 0 for a default, which is the root's."""

    setting: Setting
    unit: OrgUnit
    value: Value
    order: int

    @property
    def key(self) -> PolicyKey:
        """By which policies are listed."""
        return self.setting.name, self.unit.id if self.order else _SYSTEM

    def resource(self) -> PolicyResource:
        """What is told of it."""
        return PolicyResource(
            name=_name(self.key),
            customer=CUSTOMER,
            policy_query=PolicyQueryResource(
                org_unit=f"orgUnits/{self.unit.id}",
                query=f"entity.org_units.exists(org_unit, org_unit.org_unit_id == orgUnitId('{self.unit.id}'))",
                sort_order=float(self.order),
            ),
            setting=SettingResource(type=type_of(self.setting), value={self.setting.name: self.value}),
            type="ADMIN" if self.order else "SYSTEM",
        )


def type_of(setting: Setting) -> str:
    """Google's word where it has one, else ours: `settings/outgate.require_gateway_tls`."""
    if setting is ALLOW_EXTERNAL_SMTP:
        return "settings/gmail.per_user_outbound_gateway"
    return f"settings/outgate.{re.sub(r'([A-Z])', lambda match: '_' + match[1].lower(), setting.name)}"


_BY_TYPE: Final = {type_of(one): one for one in SETTINGS.values()}


# --- looking ---------------------------------------------------------------------------------------------------------


def list_(call: ApiCall) -> PolicyList:
    """A page of them."""
    given = call.parameters
    try:
        wanted = policy_filter.parse(given["filter"]) if given.get("filter") else None
    except BadFilter as error:
        raise invalid(f"Invalid filter: {error}.") from None
    limit = min(int(given.get("pageSize", _USUAL)) or _USUAL, _MOST)
    after = _key(f"policies/{given['pageToken']}") if given.get("pageToken") else ("", _SYSTEM)
    with call.reading() as op:
        found = sorted(_found(op), key=lambda one: one.key)
    ahead = [one for one in found if one.key > after and (wanted is None or wanted(type_of(one.setting)))]
    told = [one.resource() for one in ahead[:limit]]
    more = str(told[-1].name).removeprefix("policies/") if len(ahead) > limit else None
    return PolicyList(policies=told, next_page_token=more)


def get(call: ApiCall) -> PolicyResource:
    """One of them."""
    with call.reading() as op:
        return _one(op, _key(call.parameters["name"])).resource()


def _found(op: OperationContext) -> Iterator[FoundPolicy]:
    units = sorted(unit_operations.tree(op), key=lambda one: (one.path.count("/") if one.path != "/" else 0, one.path))
    _, known = policy_operations.list_policies(op)
    for setting in SETTINGS.values():
        yield FoundPolicy(setting, units[0], setting.default, 0)
        for order, unit in enumerate(units, 1):
            if setting.name in known.own.get(unit.path, ()):
                yield FoundPolicy(setting, unit, known.own[unit.path][setting.name], order)


def _one(op: OperationContext, key: PolicyKey) -> FoundPolicy:
    """Raises ApiError."""
    found = next((one for one in _found(op) if one.key == key), None)
    if found is None:
        raise not_found()
    return found


def _name(key: PolicyKey) -> str:
    setting, unit = key
    return f"policies/{unit}.{setting}"


def _key(name: str) -> PolicyKey:
    """Raises ApiError."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise not_found()
    return match[2], int(match[1])


# --- changing --------------------------------------------------------------------------------------------------------


def create(call: ApiCall) -> DoneOperation:
    """Give a unit a value of its own."""
    sent = call.resource(PolicyResource)
    setting = _setting(sent)
    query = sent.policy_query or PolicyQueryResource()
    match = _UNIT.fullmatch(query.org_unit or "")
    if match is None or query.group:
        raise invalid("Invalid policyQuery: orgUnit must name a unit, as in orgUnits/3, and nothing else be given.")
    with call.writing() as op:
        unit = next((one for one in unit_operations.tree(op) if one.id == int(match[1])), None)
        if unit is None:
            raise not_found()
        key = (setting.name, unit.id)
        if any(one.key == key for one in _found(op)):
            raise ApiError(409, f"{_name(key)} is there already; patch it.")
        policy_operations.set_policy(op, unit.path, setting, _value(sent, setting))
        return _made(op, key)


def patch(call: ApiCall) -> DoneOperation:
    """Change a value that a unit has of its own."""
    sent, name = call.resource(PolicyResource), call.parameters["name"]
    with call.writing() as op:
        found = _changeable(op, name)
        if sent.setting and sent.setting.type not in (None, type_of(found.setting)):
            raise invalid("Invalid policy: its setting.type can't be changed.")
        policy_operations.set_policy(op, found.unit.path, found.setting, _value(sent, found.setting))
        return _made(op, found.key)


def delete(call: ApiCall) -> DoneOperation:
    """Let a unit inherit again."""
    name = call.parameters["name"]
    with call.writing() as op:
        found = _changeable(op, name)
        policy_operations.clear_policy(op, found.unit.path, found.setting)
    return DoneOperation(name=f"operations/{name}", response={"@type": _GONE})


def _changeable(op: OperationContext, name: str) -> FoundPolicy:
    found = _one(op, _key(name))
    if not found.order:
        raise precondition(f"{name} is a default: create a policy for the unit that shall have another value.")
    return found


def _setting(sent: PolicyResource) -> Setting:
    found = _BY_TYPE.get((sent.setting and sent.setting.type) or "")
    if found is None:
        raise invalid(f"Invalid setting.type: it must be one of {', '.join(_BY_TYPE)}.")
    return found


def _value(sent: PolicyResource, setting: Setting) -> object:
    value = (sent.setting and sent.setting.value) or {}
    if value.keys() != {setting.name}:
        raise invalid(f"Invalid setting.value: it must have {setting.name}, and nothing else ({setting.form}).")
    return value[setting.name]


def _made(op: OperationContext, key: PolicyKey) -> DoneOperation:
    told = _one(op, key).resource().model_dump(mode="json", by_alias=True, exclude_none=True)
    return DoneOperation(name=f"operations/{_name(key)}", response={"@type": _MADE, **told})


_POLICY: Final = ApiParameter("name", "The policy's name.", pattern="^policies/[^/]+$")
_PATH: Final = "v1/policies"
_ONE: Final = "v1/{+name}"
_FLAT: Final = "v1/policies/{policiesId}"

METHODS: Final = (
    ApiMethod(
        id="cloudidentity.policies.list",
        verb="GET",
        path=_PATH,
        description="Lists the values of settings that units have of their own, and the defaults.",
        scopes=(POLICIES, READONLY),
        answer=list_,
        parameters=(
            ApiParameter("filter", "Clauses of CEL on setting.type and customer.", "query"),
            ApiParameter(
                "pageSize", "At most so many: 50 if it is left out, 100 at most.", "query", "integer", "int32"
            ),
            ApiParameter("pageToken", "The page that an answer's nextPageToken names.", "query"),
        ),
        gives=PolicyList,
    ),
    ApiMethod(
        id="cloudidentity.policies.create",
        verb="POST",
        path=_PATH,
        description="Gives a unit a value of its own for a setting.",
        scopes=(POLICIES,),
        answer=create,
        takes=PolicyResource,
        gives=DoneOperation,
    ),
    ApiMethod(
        id="cloudidentity.policies.get",
        verb="GET",
        path=_ONE,
        flat_path=_FLAT,
        description="Gets a policy.",
        scopes=(POLICIES, READONLY),
        answer=get,
        parameters=(_POLICY,),
        gives=PolicyResource,
    ),
    ApiMethod(
        id="cloudidentity.policies.patch",
        verb="PATCH",
        path=_ONE,
        flat_path=_FLAT,
        description="Changes the value that a unit has of its own.",
        scopes=(POLICIES,),
        answer=patch,
        parameters=(_POLICY,),
        takes=PolicyResource,
        gives=DoneOperation,
    ),
    ApiMethod(
        id="cloudidentity.policies.delete",
        verb="DELETE",
        path=_ONE,
        flat_path=_FLAT,
        description="Lets a unit inherit a setting again.",
        scopes=(POLICIES,),
        answer=delete,
        parameters=(_POLICY,),
        gives=DoneOperation,
    ),
)
