"""The Cloud Identity Policy API as Google's own Python client asks for it: the settings of policy, by unit."""

from typing import Any

import pytest

from api.api_site import ALICE, SCOPE, ApiSite, ask, refused
from outgate.api import policy_filter
from outgate.api.identity_policies import type_of
from outgate.api.policy_filter import BadFilter
from outgate.directory.settings import SETTINGS
from outgate.operations import policy_operations, role_operations, unit_operations

POLICIES = f"{SCOPE}cloud-identity.policies"
SWITCH = "settings/gmail.per_user_outbound_gateway"
NAME = "allowUsersToUseExternalSmtpServers"
OF_GMAIL = "setting.type.matches('^settings/gmail\\\\..*$')"


def policies_of(api: ApiSite, scope: str = POLICIES) -> Any:
    credentials = api.credentials(ALICE, [scope], "console")
    return api.service("cloudidentity", "v1", credentials, static_discovery=True).policies()


async def test_units_have_policies_that_are_listed_made_changed_and_deleted(api: ApiSite) -> None:
    await api.service_account("console", [POLICIES, f"{POLICIES}.readonly"])
    policies = policies_of(api)
    assert (await refused(policies.list()))[:2] == (403, "PERMISSION_DENIED")
    await api.operate(lambda op: role_operations.assign(op, ALICE, "super-admin", "/"))
    await api.operate(lambda op: unit_operations.create(op, "/Sales"))
    units = {one.path: one.id for one in await api.look(unit_operations.tree)}

    default, own = (await ask(policies.list(filter=OF_GMAIL)))["policies"]
    assert own == {
        "name": f"policies/{units['/']}.{NAME}",
        "customer": "customers/my_customer",
        "policyQuery": {
            "orgUnit": f"orgUnits/{units['/']}",
            "query": f"entity.org_units.exists(org_unit, org_unit.org_unit_id == orgUnitId('{units['/']}'))",
            "sortOrder": 1.0,
        },
        "setting": {"type": SWITCH, "value": {NAME: True}},
        "type": "ADMIN",
    }
    assert (default["type"], default["setting"]["value"]) == ("SYSTEM", {NAME: False})
    assert await ask(policies.get(name=own["name"])) == own

    body: dict[str, Any] = {
        "policyQuery": {"orgUnit": f"orgUnits/{units['/Sales']}"},
        "setting": {"type": SWITCH, "value": {NAME: False}},
    }
    made = await ask(policies.create(body=body))
    name = made["response"]["name"]
    assert made["done"]
    assert made["response"]["policyQuery"]["sortOrder"] == 2.0
    _, known = await api.look(policy_operations.list_policies)
    assert known.own["/Sales"] == {NAME: False}
    assert (await refused(policies.create(body=body)))[:2] == (409, "ALREADY_EXISTS")
    await ask(policies.patch(name=name, body={"setting": {"value": {NAME: True}}}))
    assert (await ask(policies.get(name=name)))["setting"]["value"] == {NAME: True}
    assert (await ask(policies.delete(name=name)))["done"]
    assert (await refused(policies.get(name=name)))[:2] == (404, "NOT_FOUND")

    limit = {"type": "settings/outgate.messages_per_day", "value": {"messagesPerDay": 10}}
    await ask(policies.create(body=body | {"setting": limit}))
    seen, request = [], policies.list(pageSize=7)
    while request is not None:
        page = await ask(request)
        assert len(page["policies"]) <= 7
        seen += [one["name"] for one in page["policies"]]
        request = policies.list_next(request, page)
    assert len(seen) == len(set(seen)) == len(SETTINGS) + 2

    wrong_limit = {"type": "settings/outgate.recipients_per_day", "value": {"recipientsPerDay": -1}}
    for wrong, status in (
        (policies.create(body=body | {"setting": wrong_limit}), "INVALID_ARGUMENT"),
        (policies.create(body=body | {"setting": wrong_limit | {"value": {NAME: True}}}), "INVALID_ARGUMENT"),
        (policies.create(body=body | {"setting": {"type": "settings/gmail.pop", "value": {}}}), "INVALID_ARGUMENT"),
        (policies.create(body=body | {"policyQuery": {"orgUnit": "Sales"}}), "INVALID_ARGUMENT"),
        (policies.create(body=body | {"policyQuery": {"orgUnit": "orgUnits/999"}}), "NOT_FOUND"),
        (policies.patch(name=default["name"], body=own), "FAILED_PRECONDITION"),
        (policies.get(name="policies/none"), "NOT_FOUND"),
        (policies.list(filter="setting.type.matches('(a+)+')"), "INVALID_ARGUMENT"),
        (policies_of(api, f"{POLICIES}.readonly").delete(name=own["name"]), "PERMISSION_DENIED"),
    ):
        assert (await refused(wrong))[1] == status

    for host, found in (
        ("cloudidentity.googleapis.com", "cloudidentity:v1"),
        ("CloudIdentity.googleapis.com:443", "cloudidentity:v1"),
        *((host, "gmail:v1") for host in ("mail.example.com", "admin.example.com", "www.googleapis.com")),
    ):
        told = await api.client.get("/$discovery/rest?version=v1", headers={"Host": host})
        assert told.json()["id"] == found


async def test_what_no_value_of_a_setting_can_be_is_refused(api: ApiSite) -> None:
    await api.service_account("console", [POLICIES])
    await api.operate(lambda op: role_operations.assign(op, ALICE, "super-admin", "/"))
    [root] = [one.id for one in await api.look(unit_operations.tree)]
    _, before = await api.look(policy_operations.list_policies)
    policies = policies_of(api)
    for setting in SETTINGS.values():
        value = [None] if isinstance(setting.default, list) else None
        body = {
            "policyQuery": {"orgUnit": f"orgUnits/{root}"},
            "setting": {"type": type_of(setting), "value": {setting.name: value}},
        }
        there = setting.name in before.own["/"]
        name = f"policies/{root}.{setting.name}"
        request = policies.patch(name=name, body=body) if there else policies.create(body=body)
        assert (await refused(request))[:2] == (400, "INVALID_ARGUMENT"), setting.name
    _, after = await api.look(policy_operations.list_policies)
    assert after.own == before.own


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (OF_GMAIL, {SWITCH}),
        (r"setting.type.matches('^settings/gmail\..*$')", {SWITCH}),
        ("setting.type.matches('gmail.per_user_outbound_gateway')", {SWITCH}),
        (f'setting.type == "{SWITCH}"', {SWITCH}),
        (f'customer == "customers/my_customer" && ({OF_GMAIL} || setting.type.matches("footer$"))', {SWITCH, "footer"}),
        (f'customer == "customers/another" && {OF_GMAIL}', set()),
        (f'customer == "customers/another" || {OF_GMAIL}', {SWITCH}),
    ],
)
def test_a_filter_finds_what_it_says(text: str, found: set[str]) -> None:
    wanted = policy_filter.parse(text)
    types = {type_of(one) for one in SETTINGS.values() if wanted(type_of(one))}
    assert types == {one if one == SWITCH else "settings/outgate.gateway_footer" for one in found}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "setting.type",
        "setting.type.matches(x)",
        "setting.type.matches('a' && customer",
        "setting.type.matches('(a*)*$')",
        "setting.type.matches('.*.*.*.*.*')",
        "setting.name == 'x'",
        "customer == 'a' customer == 'b'",
        "(" * 30 + "customer == 'a'" + ")" * 30,
        "customer == 'a' &&" * 200,
    ],
)
def test_a_filter_that_can_not_be_read_is_refused(text: str) -> None:
    with pytest.raises(BadFilter):
        policy_filter.parse(text)
