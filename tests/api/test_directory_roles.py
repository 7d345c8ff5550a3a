"""The Directory API's roles and role assignments, as Google's own Python client asks for them."""

from typing import Any

from api.api_site import ALICE, BOB, SCOPE, ApiSite, ask, refused
from outgate.directory.privileges import BUILT_IN, Privilege
from outgate.operations import audit_operations, role_operations, unit_operations
from outgate.record.audit_trail import AuditFilter

ROLES, USER = f"{SCOPE}admin.directory.rolemanagement", f"{SCOPE}admin.directory.user"
OURS = {"customer": "my_customer"}


def directory(api: ApiSite, *scopes: str, user: str = ALICE) -> Any:
    credentials = api.credentials(user, scopes or [ROLES, USER], "console")
    return api.service("admin", "directory_v1", credentials, static_discovery=True)


async def test_roles_are_made_given_for_a_unit_taken_away_and_removed(api: ApiSite) -> None:
    await api.service_account("console", [ROLES, USER, f"{ROLES}.readonly"])
    await api.operate(lambda op: role_operations.assign(op, ALICE, "super-admin", "/"))
    await api.operate(lambda op: unit_operations.create(op, "/Sales"))
    asked = directory(api)
    roles, given = asked.roles(), asked.roleAssignments()

    privileges = await ask(asked.privileges().list(**OURS))
    assert [one["privilegeName"] for one in privileges["items"]] == list(Privilege)
    listed = (await ask(roles.list(**OURS)))["items"]
    assert [one["roleName"] for one in listed] == list(BUILT_IN)
    assert listed[0]["isSuperAdminRole"]
    assert all(one["isSystemRole"] for one in listed)
    body = {
        "roleName": "queue-watch",
        "roleDescription": "Watches the queue",
        "rolePrivileges": [{"privilegeName": "queue-read", "serviceId": "00haapch16h1ysv"}],
    }
    made = await ask(roles.insert(**OURS, body=body))
    assert made == {
        "kind": "admin#directory#role",
        "roleId": made["roleId"],
        "roleName": "queue-watch",
        "roleDescription": "Watches the queue",
        "rolePrivileges": [{"privilegeName": "queue-read", "serviceId": "outgate"}],
        "isSystemRole": False,
        "isSuperAdminRole": False,
    }
    assert await ask(roles.get(**OURS, roleId=made["roleId"])) == made

    bob = (await ask(asked.users().get(userKey=BOB)))["id"]
    unit = next(one.id for one in await api.look(unit_operations.tree) if one.path == "/Sales")
    wanted = {"roleId": made["roleId"], "assignedTo": bob, "scopeType": "ORG_UNIT", "orgUnitId": f"id:{unit}"}
    one = await ask(given.insert(**OURS, body=wanted))
    assert one == {
        "kind": "admin#directory#roleAssignment",
        "roleAssignmentId": one["roleAssignmentId"],
        "roleId": made["roleId"],
        "assignedTo": bob,
        "assigneeType": "user",
        "scopeType": "ORG_UNIT",
        "orgUnitId": str(unit),
    }
    everywhere = await ask(given.insert(**OURS, body={"roleId": "4", "assignedTo": bob, "scopeType": "CUSTOMER"}))
    assert "orgUnitId" not in everywhere
    assert {(each.account, each.role, each.unit) for each in await api.look(role_operations.assignments)} == {
        (ALICE, "super-admin", "/"),
        (BOB, "queue-watch", "/Sales"),
        (BOB, "auditor", "/"),
    }
    assert await ask(given.get(**OURS, roleAssignmentId=one["roleAssignmentId"])) == one
    assert (await ask(given.list(**OURS, roleId=made["roleId"])))["items"] == [one]
    assert (await ask(given.list(**OURS, userKey=BOB)))["items"] == [one, everywhere]
    first = await ask(given.list(**OURS, maxResults=2))
    rest = await ask(given.list_next(given.list(**OURS, maxResults=2), first))
    assert [each["roleId"] for each in (*first["items"], *rest["items"])] == ["1", made["roleId"], "4"]

    for wrong, status in (
        (roles.insert(**OURS, body=body), "ALREADY_EXISTS"),
        (roles.insert(**OURS, body=body | {"roleName": "Queue Watch"}), "INVALID_ARGUMENT"),
        (roles.insert(**OURS, body=body | {"roleName": "x", "rolePrivileges": []}), "INVALID_ARGUMENT"),
        (roles.delete(**OURS, roleId=made["roleId"]), "FAILED_PRECONDITION"),
        (roles.delete(**OURS, roleId="1"), "FAILED_PRECONDITION"),
        (roles.get(**OURS, roleId="77"), "NOT_FOUND"),
        (roles.list(customer="C01"), "NOT_FOUND"),
        (roles.list(**OURS, pageToken="x"), "INVALID_ARGUMENT"),
        (given.insert(**OURS, body=wanted), "ALREADY_EXISTS"),
        (given.insert(**OURS, body=wanted | {"scopeType": "CUSTOMER"}), "INVALID_ARGUMENT"),
        (given.insert(**OURS, body=wanted | {"orgUnitId": "99"}), "NOT_FOUND"),
        (given.insert(**OURS, body=wanted | {"assignedTo": "99"}), "NOT_FOUND"),
        (given.insert(**OURS, body=wanted | {"assigneeType": "group"}), "INVALID_ARGUMENT"),
        (directory(api, f"{ROLES}.readonly").roles().delete(**OURS, roleId=made["roleId"]), "PERMISSION_DENIED"),
        (directory(api, user=BOB).roleAssignments().insert(**OURS, body=wanted | {"roleId": "1"}), "PERMISSION_DENIED"),
    ):
        assert (await refused(wrong))[1] == status, status

    assert not await ask(given.delete(**OURS, roleAssignmentId=one["roleAssignmentId"]))
    assert (await refused(given.get(**OURS, roleAssignmentId=one["roleAssignmentId"])))[1] == "NOT_FOUND"
    assert not await ask(roles.delete(**OURS, roleId=made["roleId"]))
    page = await api.look(lambda op: audit_operations.search(op, AuditFilter()))
    trail = [one.entry for one in page.entries]
    assert {"role.create", "role.assign", "role.unassign", "role.remove"} <= {each.operation for each in trail}
    assert {each.detail["client"] for each in trail if each.actor == ALICE} == {"console@service.mail.example.com"}
