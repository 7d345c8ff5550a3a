"""The Directory API as Google's own Python client asks for it: users, their aliases, and the tree of units."""

from typing import Any

import pytest

from api.api_site import ALICE, BOB, SCOPE, ApiSite, ask, refused
from outgate.api.directory_resources import UserNameResource
from outgate.directory import accounts
from outgate.directory.password_hash import verify
from outgate.operations import role_operations, send_as_operations

USER, UNIT = f"{SCOPE}admin.directory.user", f"{SCOPE}admin.directory.orgunit"
CAROL = "carol@example.com"


def directory(api: ApiSite, *scopes: str, user: str = ALICE) -> Any:
    credentials = api.credentials(user, scopes or [USER, UNIT], "console")
    return api.service("admin", "directory_v1", credentials, static_discovery=True)


async def test_users_units_and_aliases_are_made_read_changed_and_deleted(api: ApiSite) -> None:
    await api.service_account("console", [USER, UNIT, f"{USER}.readonly"])
    await api.operate(lambda op: role_operations.assign(op, ALICE, "super-admin", "/"))
    made_by = directory(api)
    units, users, aliases = made_by.orgunits(), made_by.users(), made_by.users().aliases()

    sales = await ask(units.insert(customerId="my_customer", body={"name": "Sales", "parentOrgUnitPath": "/"}))
    italy = await ask(
        units.insert(customerId="my_customer", body={"name": "Italy", "parentOrgUnitId": sales["orgUnitId"]})
    )
    assert italy == {
        "kind": "admin#directory#orgUnit",
        "name": "Italy",
        "description": "",
        "orgUnitPath": "/Sales/Italy",
        "orgUnitId": italy["orgUnitId"],
        "parentOrgUnitPath": "/Sales",
        "parentOrgUnitId": sales["orgUnitId"],
    }
    assert await ask(units.get(customerId="my_customer", orgUnitPath="Sales/Italy")) == italy
    assert await ask(units.get(customerId="my_customer", orgUnitPath=italy["orgUnitId"])) == italy

    body = {
        "primaryEmail": CAROL,
        "name": {"givenName": "Carol Anna", "familyName": "Rossi"},
        "password": "a long secret",
        "orgUnitPath": "/Sales/Italy",
    }
    made = await ask(users.insert(body=body))
    assert made == {
        "kind": "admin#directory#user",
        "id": made["id"],
        "customerId": "my_customer",
        "primaryEmail": CAROL,
        "name": {"givenName": "Carol Anna", "familyName": "Rossi", "fullName": "Carol Anna Rossi"},
        "orgUnitPath": "/Sales/Italy",
        "suspended": False,
        "creationTime": made["creationTime"],
        "emails": [{"address": CAROL, "primary": True}],
    }
    log_in = await api.look(lambda op: accounts.login(op.connection, CAROL))
    assert log_in
    assert log_in.password_hash
    assert verify(log_in.password_hash, "a long secret")
    assert await ask(users.get(userKey=CAROL)) == await ask(users.get(userKey=made["id"])) == made
    assert (await refused(users.insert(body=body)))[:2] == (409, "ALREADY_EXISTS")

    alias = await ask(aliases.insert(userKey=CAROL, body={"alias": "sales@example.com"}))
    assert alias["primaryEmail"] == CAROL
    assert (await ask(aliases.list(userKey=CAROL)))["aliases"] == [alias]
    account = await api.look(lambda op: send_as_operations.account(op, CAROL))
    assert account.send_as["sales@example.com"].verified

    changed = await ask(users.patch(userKey=CAROL, body={"suspended": True, "name": {"familyName": "Bianchi"}}))
    assert (changed["suspended"], changed["suspensionReason"]) == (True, "ADMIN")
    assert changed["name"]["fullName"] == "Carol Anna Bianchi"
    found = await ask(users.list(customer="my_customer", query="orgUnitPath='/Sales' isSuspended=true carol*"))
    assert [one["primaryEmail"] for one in found["users"]] == [CAROL]
    changed = await ask(users.update(userKey=CAROL, body={"suspended": False, "orgUnitPath": "/Sales"}))
    assert (changed["suspended"], changed["orgUnitPath"]) == (False, "/Sales")
    first = await ask(users.list(customer="my_customer", maxResults=2))
    rest = await ask(users.list_next(users.list(customer="my_customer", maxResults=2), first))
    assert [one["primaryEmail"] for one in (*first["users"], *rest["users"])] == [ALICE, BOB, CAROL]
    assert not (await ask(users.list(domain="another.example")))["users"]

    moved = await ask(units.patch(customerId="my_customer", orgUnitPath="Sales/Italy", body={"name": "Italia"}))
    assert (moved["orgUnitPath"], moved["orgUnitId"]) == ("/Sales/Italia", italy["orgUnitId"])
    for kind, paths in (("children", ["/Sales"]), ("all", ["/Sales", "/Sales/Italia"])):
        listed = await ask(units.list(customerId="my_customer", type=kind))
        assert [one["orgUnitPath"] for one in listed["organizationUnits"]] == paths

    body["orgUnitPath"] = "/"
    north = await ask(units.insert(customerId="my_customer", body={"name": "North", "parentOrgUnitPath": "/"}))
    read = await ask(units.get(customerId="my_customer", orgUnitPath=italy["orgUnitId"]))
    for changed, path in (
        ({"parentOrgUnitPath": "/North"}, "/North/Italia"),
        ({"parentOrgUnitId": sales["orgUnitId"]}, "/Sales/Italia"),
        ({"parentOrgUnitPath": "/North", "parentOrgUnitId": north["orgUnitId"]}, "/North/Italia"),
        ({}, "/North/Italia"),
        ({"name": "Sud", "parentOrgUnitPath": "/"}, "/Sud"),
        ({"name": "Italia", "parentOrgUnitPath": "/Sales"}, "/Sales/Italia"),
    ):
        update = units.update(customerId="my_customer", orgUnitPath=read["orgUnitId"], body=read | changed)
        read = await ask(update)
        assert (read["orgUnitPath"], read["orgUnitId"]) == (path, italy["orgUnitId"])
    two = {"name": "Two", "parentOrgUnitPath": "/Sales", "parentOrgUnitId": north["orgUnitId"]}
    same = await ask(units.insert(customerId="my_customer", body=two | {"parentOrgUnitPath": "/North"}))
    assert same["orgUnitPath"] == "/North/Two"
    for wrong in (
        units.insert(customerId="my_customer", body=two),
        units.update(customerId="my_customer", orgUnitPath="North/Two", body=two | {"parentOrgUnitId": "id:1"}),
    ):
        assert "name different units" in (await refused(wrong))[2]
    for unit in ("North/Two", "North"):
        await ask(units.delete(customerId="my_customer", orgUnitPath=unit))

    for wrong, status in (
        (users.insert(body=body | {"primaryEmail": "carol@elsewhere.example"}), "INVALID_ARGUMENT"),
        (users.insert(body=body | {"primaryEmail": "dave@example.com", "password": "short"}), "INVALID_ARGUMENT"),
        (users.patch(userKey=CAROL, body={"primaryEmail": "d@example.com"}), "INVALID_ARGUMENT"),
        (users.list(customer="my_customer", query="isAdmin=true"), "INVALID_ARGUMENT"),
        (users.list(customer="C01"), "NOT_FOUND"),
        (users.get(userKey="999999"), "NOT_FOUND"),
        (users.get(userKey="a\0b"), "INVALID_ARGUMENT"),
        (users.list(customer="my_customer", query="a\0b"), "INVALID_ARGUMENT"),
        (users.list(customer="my_customer", pageToken="\0"), "INVALID_ARGUMENT"),
        (users.patch(userKey=CAROL, body={"name": {"givenName": "\ud800"}}), "INVALID_ARGUMENT"),
        (users.patch(userKey=CAROL, body={"name": {"givenName": "a\0b"}}), "INVALID_ARGUMENT"),
        (users.patch(userKey=CAROL, body={"orgUnitPath": "/\0"}), "INVALID_ARGUMENT"),
        (aliases.delete(userKey=CAROL, alias=CAROL), "NOT_FOUND"),
        (aliases.insert(userKey=CAROL, body={"alias": "c@elsewhere.example"}), "FAILED_PRECONDITION"),
        (units.delete(customerId="my_customer", orgUnitPath="Sales"), "FAILED_PRECONDITION"),
        (units.get(customerId="my_customer", orgUnitPath="None"), "NOT_FOUND"),
        (units.insert(customerId="my_customer", body={"name": "a/b"}), "INVALID_ARGUMENT"),
        (directory(api, f"{USER}.readonly").users().delete(userKey=CAROL), "PERMISSION_DENIED"),
        (directory(api, user=BOB).users().delete(userKey=CAROL), "PERMISSION_DENIED"),
    ):
        assert (await refused(wrong))[1] == status

    assert not await ask(aliases.delete(userKey=CAROL, alias="sales@example.com"))
    assert not await ask(users.delete(userKey=CAROL))
    assert (await refused(users.get(userKey=CAROL)))[:2] == (404, "NOT_FOUND")
    assert not await ask(units.delete(customerId="my_customer", orgUnitPath="Sales/Italia"))


@pytest.mark.parametrize("name", ["", "Alice", "Carol Anna Rossi"])
def test_a_name_that_is_read_and_written_again_is_the_same(name: str) -> None:
    assert UserNameResource.of(name).text("another") == name
