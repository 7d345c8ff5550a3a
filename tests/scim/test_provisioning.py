"""What identity providers send, in the forms in which Entra ID and Okta send it, and what becomes of it."""

from collections.abc import Callable
from typing import Final

import pytest
from scim2_models import Path
from sqlalchemy import Engine, insert, select

from outgate.directory import roles, scim_tokens, user_groups, users
from outgate.directory.errors import NotAllowed
from outgate.operations import context, domain_proof_operations, group_operations
from outgate.operations.actor import Actor
from outgate.record.audit_trail import AuditFilter, search
from outgate.scim import scim_protocol
from outgate.sendas import send_as_addresses
from outgate.store.engine import read, write
from outgate.store.tables import account, message
from scim.identity_provider import ENTERPRISE, GROUP, USER, Provider

NewProvider = Callable[..., Provider]

ALICE, BOB, CAROL = "alice@example.com", "bob@example.com", "carol@example.com"
# As Entra ID makes a user.
BODY = {
    "schemas": [USER, ENTERPRISE],
    "externalId": "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef",
    "userName": "Carol@Example.com",
    "active": True,
    "displayName": "Carol Anna Rossi",
    "emails": [{"primary": True, "type": "work", "value": CAROL}],
    "meta": {"resourceType": "User"},
    "name": {"formatted": "Carol Anna Rossi", "familyName": "Rossi", "givenName": "Carol Anna"},
    "roles": [],
    ENTERPRISE: {"department": "Sales", "manager": "26118915-6090-4610-87e4-49d8ca9f808d"},
}


def carol(provider: Provider) -> str:
    made = provider.ask("POST", "Users", BODY)
    assert made.status == 201, made.body
    number: str = made.body["id"]
    return number


def test_a_user_comes_as_entra_id_sends_them_and_what_is_not_kept_here_is_let_pass(provider: NewProvider) -> None:
    entra = provider()
    made = entra.ask("POST", "Users", BODY)
    number = made.body["id"]
    assert made.status == 201
    assert made.headers["Location"] == f"https://mail.example.com/scim/v2/Users/{number}"
    assert made.headers["ETag"] == made.body["meta"]["version"]
    assert {name: told for name, told in made.body.items() if name != "meta"} == {
        "schemas": [USER],
        "id": number,
        "externalId": BODY["externalId"],
        "userName": CAROL,
        "name": {"familyName": "Rossi", "givenName": "Carol Anna"},
        "displayName": "Carol Anna Rossi",
        "active": True,
    }
    assert entra.ask("GET", f"Users/{number}").body == made.body
    with read(entra.engine) as connection:
        user = users.find(connection, CAROL)
        assert (user.name, user.unit, str(user.id)) == ("Carol Anna Rossi", "/", number)
        password = select(account.c.password_hash).where(account.c.id == user.id)
        assert connection.scalar(password) is None
    again = entra.ask("POST", "Users", BODY)
    assert (again.status, again.body["scimType"]) == (409, "uniqueness")


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "Replace", "path": "active", "value": "False"},
        {"op": "Replace", "value": {"active": "False"}},
        {"op": "replace", "value": {"active": False}},
        {"op": "replace", "value": {"active": False, "userName": CAROL}},
        {"op": "Add", "path": f"{USER}:active", "value": False},
    ],
)
def test_active_false_suspends_in_every_form_in_which_it_comes(provider: NewProvider, operation: object) -> None:
    entra = provider()
    number = carol(entra)
    told = entra.patch(f"Users/{number}", operation)
    assert (told.status, told.body["active"]) == (200, False)
    with read(entra.engine) as connection:
        assert users.find(connection, CAROL).suspended
        done = {one.entry.operation: one.entry.actor for one in search(connection, AuditFilter())}
    assert done["user.suspend"] == done["user.create"] == "SCIM token entra"
    assert entra.patch(f"Users/{number}", {"op": "Replace", "path": "active", "value": "True"}).body["active"]
    body = {name: BODY[name] for name in ("schemas", "userName", "displayName")}
    for active in (False, True):  # as Okta does it
        assert entra.ask("PUT", f"Users/{number}", body | {"id": number, "active": active}).body["active"] == active
    assert entra.ask("PUT", f"Users/{number}", body | {"active": False}).status == 200
    assert not entra.ask("PUT", f"Users/{number}", body).body["active"], "what is left out resumes nobody"


def test_names_follow_the_provider_until_somebody_changes_them_here(provider: NewProvider) -> None:
    entra = provider()
    path = f"Users/{carol(entra)}"
    told = entra.patch(
        path,
        {"op": "Replace", "path": "name.familyName", "value": "Bianchi"},
        {"op": "Add", "path": 'emails[type eq "work"].value', "value": "c@elsewhere.example"},
        {"op": "Add", "path": f"{ENTERPRISE}:department", "value": "Press"},
        {"op": "replace", "value": {"name.givenName": "Carla", "displayName": "Carla Bianchi"}},
    )
    assert told.body["name"] == {"familyName": "Bianchi", "givenName": "Carla"}
    with write(entra.engine) as connection:
        assert users.find(connection, CAROL).name == "Carla Bianchi"
        users.edit(connection, CAROL, name="Carla")
    entra.patch(path, {"op": "Replace", "path": "externalId", "value": "another"})
    with read(entra.engine) as connection:
        assert users.find(connection, CAROL).name == "Carla"
    entra.patch(
        path, {"op": "Remove", "path": "displayName"}, {"op": "Replace", "path": "name.familyName", "value": "V."}
    )
    with read(entra.engine) as connection:
        assert users.find(connection, CAROL).name == "Carla V."


def test_an_address_stays_and_nobody_gets_one_that_is_somebody_else_s(provider: NewProvider) -> None:
    entra = provider()
    path = f"Users/{carol(entra)}"
    with write(entra.engine) as connection:
        send_as_addresses.add(
            connection, users.find(connection, BOB).id, "press@example.com", 0.0, granted_by_administrator=True
        )
    for address in (BOB, "new@example.com", "press@example.com"):
        changed = entra.patch(path, {"op": "Replace", "path": "userName", "value": address})
        assert (changed.status, changed.body["scimType"]) == (400, "mutability")
        assert "add another user" in changed.body["detail"]
        assert entra.ask("PUT", path, BODY | {"userName": address}).status == 400
    assert entra.ask("PUT", path, BODY).status == 200, "the same in other letters"
    taken = entra.ask("POST", "Users", BODY | {"userName": "press@example.com"})
    assert (taken.status, taken.body["detail"]) == (
        409,
        f"press@example.com is an address of {BOB}; take it away from them first",
    )
    outside = entra.ask("POST", "Users", BODY | {"userName": "carol@elsewhere.example"})
    assert (outside.status, outside.body["scimType"]) == (400, "invalidValue")


def test_a_version_guards_what_was_read(provider: NewProvider) -> None:
    entra = provider()
    path = f"Users/{carol(entra)}"
    read_once = entra.ask("GET", path)
    stale = [("If-Match", read_once.headers["ETag"])]
    assert entra.ask("GET", path, None, [("If-None-Match", read_once.headers["ETag"])]).status == 304
    with write(entra.engine) as connection:
        users.suspend(connection, CAROL)
    assert entra.ask("DELETE", path, None, stale).status == 412
    assert entra.ask("PUT", path, BODY, stale).status == 412
    assert entra.ask("DELETE", path, None, [("If-Match", entra.ask("GET", path).headers["ETag"])]).status == 204
    assert entra.ask("GET", path).status == entra.ask("DELETE", path).status == 404


def test_who_is_deleted_leaves_their_waiting_mail_as_a_removal_does(provider: NewProvider) -> None:
    entra = provider()
    number = carol(entra)
    with write(entra.engine) as connection:
        connection.execute(
            insert(message).values(
                id=1,
                account_id=int(number),
                chosen_from=CAROL,
                reverse_path=CAROL,
                size=1,
                header_size=1,
                chunks=0,
                body_digest=b"",
                eight_bit=False,
                smtputf8=False,
                protocol="ESMTPSA",
                received_at=0.0,
            )
        )
    assert entra.ask("DELETE", f"Users/{number}").status == 204
    with read(entra.engine) as connection:
        assert connection.scalar(select(message.c.id)) == 1
        assert "user.remove" in {one.entry.operation for one in search(connection, AuditFilter())}


def test_groups_are_kept_with_their_members_and_what_is_granted_to_them_follows(provider: NewProvider) -> None:
    entra = provider()
    number = carol(entra)
    with read(entra.engine) as connection:
        bob = str(users.find(connection, BOB).id)
    made = entra.ask("POST", "Groups", {"schemas": [GROUP], "externalId": "8aa1", "displayName": "Press"})
    path = f"Groups/{made.body['id']}"
    with context.writing(entra.engine, entra.vault, Actor.console("root"), 0.0, []) as op:
        domain_proof_operations.grant(op, "press@example.com", group="Press")

    def has_it(address: str) -> bool:
        with read(entra.engine) as connection:
            return address in {one.account for one in send_as_addresses.holders(connection, "press@example.com")}

    assert entra.patch(path, {"op": "Add", "path": "members", "value": [{"value": number}]}).status == 204
    assert has_it(CAROL)
    assert entra.patch(path, {"op": "add", "path": "members", "value": [{"value": bob, "display": BOB}]}).status == 204
    told = entra.ask("GET", path).body
    assert told["members"] == [
        {"value": one, "$ref": f"https://mail.example.com/scim/v2/Users/{one}", "type": "User"}
        for one in sorted((bob, number), key=int)
    ]
    assert entra.ask("GET", f"Users/{bob}").body["groups"] == [
        {"value": made.body["id"], "$ref": told["meta"]["location"], "display": "Press"}
    ]
    assert entra.found("Groups", f'id eq "{made.body["id"]}" and members eq "{bob}"') == ["Press"]
    assert entra.found("Users", f'groups.value eq "{made.body["id"]}"') == [BOB, CAROL]
    hidden = entra.ask("GET", "Groups", filter='displayName eq "press"', excludedAttributes="members").body
    assert "members" not in hidden["Resources"][0]
    assert entra.patch(path, {"op": "Remove", "path": "members", "value": [{"value": number}]}).status == 204
    assert entra.patch(path, {"op": "remove", "path": f'members[value eq "{bob}"]'}).status == 204
    assert not has_it(CAROL)
    assert not has_it(BOB)
    assert entra.patch(path, {"op": "replace", "path": "members", "value": [{"value": number}]}).status == 204
    assert entra.patch(path, {"op": "replace", "value": {"id": made.body["id"], "displayName": "News"}}).status == 204
    assert has_it(CAROL), "a grant stays with a group whatever it is called"
    for member in ({"value": "999"}, {"value": "x"}, {"value": number, "type": "Group"}):
        wrong = entra.patch(path, {"op": "add", "path": "members", "value": [member]})
        assert (wrong.status, wrong.body["scimType"]) == (400, "invalidValue")
    assert entra.ask("POST", "Groups", {"schemas": [GROUP], "displayName": "News"}).status == 409
    assert entra.ask("DELETE", path).status == 204
    assert not has_it(CAROL)
    assert entra.ask("GET", path).status == 404


def test_nobody_comes_into_a_group_that_has_an_address_of_who_may_do_more_than_the_token(
    provider: NewProvider,
) -> None:
    entra = provider()
    with write(entra.engine) as connection:
        roles.assign(connection, ALICE, "super-admin", "/", 0.0)
        bob = str(users.find(connection, BOB).id)
        group = user_groups.create(connection, "Board", None, 0.0)
    with context.writing(entra.engine, entra.vault, Actor.console("root"), 0.0, []) as op:
        domain_proof_operations.grant(op, ALICE, group="Board")
    refused = entra.patch(f"Groups/{group.id}", {"op": "add", "path": "members", "value": [{"value": bob}]})
    assert refused.status == 403
    assert "ask a super administrator" in refused.body["detail"]
    with read(entra.engine) as connection:
        assert user_groups.members(connection, [group.id])[group.id] == ()
    super_admin = provider("super-admin")
    path = f"Groups/{group.id}"
    assert super_admin.patch(path, {"op": "add", "path": "members", "value": [{"value": bob}]}).status == 204


def test_a_page_of_groups_has_no_more_members_than_the_largest_group_may_have(
    provider: NewProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_operations, "MEMBERS_AT_MOST", 2)
    entra = provider()
    with read(entra.engine) as connection:
        ids = [str(users.find(connection, address).id) for address in (ALICE, BOB)]
    for name in ("One", "Two"):
        body = {"schemas": [GROUP], "displayName": name, "members": [{"value": one} for one in ids]}
        assert entra.ask("POST", "Groups", body).status == 201
    first = entra.ask("GET", "Groups").body
    assert (first["totalResults"], first["itemsPerPage"]) == (2, 1)
    assert entra.ask("GET", "Groups", startIndex="2").body["Resources"][0]["displayName"] == "Two"
    assert entra.ask("GET", "Groups", excludedAttributes="members").body["itemsPerPage"] == 2


def test_a_token_does_what_its_role_says_in_its_unit_and_to_nobody_who_may_do_more(provider: NewProvider) -> None:
    sales = provider(unit="/Sales")
    assert sales.found("Users", "userName pr") == [ALICE]
    number = carol(sales)
    with write(sales.engine) as connection:
        assert users.find(connection, CAROL).unit == "/Sales"
        bob = users.find(connection, BOB).id
        group = user_groups.create(connection, "Press", None, 0.0)
        roles.assign(connection, ALICE, "auditor", "/", 0.0)
        alice = users.find(connection, ALICE).id
    suspended = {"op": "replace", "value": {"active": False}}
    for denied in (
        sales.ask("GET", f"Users/{bob}"),
        sales.patch(f"Users/{bob}", suspended),
        sales.ask("GET", "Groups"),
        sales.ask("DELETE", f"Groups/{group.id}"),
        sales.patch(f"Users/{alice}", suspended),
        provider("auditor").patch(f"Users/{number}", suspended),
    ):
        assert denied.status == 403, denied.body
    everywhere = provider()
    joins = {"op": "add", "path": "members", "value": [{"value": str(alice)}]}
    assert everywhere.patch(f"Groups/{group.id}", joins).status == 403
    assert provider("super-admin").patch(f"Groups/{group.id}", joins).status == 204
    assert everywhere.patch(f"Groups/{group.id}", joins).status == 204, "who is in it already is not acted on"


def test_a_role_is_not_removed_while_a_token_has_it(example: Engine) -> None:
    with write(example) as connection:
        roles.create(connection, "provisioner", ["users-manage"])
        scim_tokens.create(connection, "entra", "provisioner", "/", 0.0)
        with pytest.raises(NotAllowed, match="the SCIM token entra has the role provisioner; revoke it first"):
            roles.remove(connection, "provisioner")
        scim_tokens.revoke(connection, "entra")
        roles.remove(connection, "provisioner")


FILTERS: Final = {
    'userName eq "CAROL@example.com"': [CAROL],
    'userName ne "carol@example.com"': [ALICE, BOB],
    'userName sw "A"': [ALICE],
    'userName co "@EXAMPLE" and not (displayName eq "bob")': [ALICE, CAROL],
    'externalId eq "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef"': [CAROL],
    'externalId ne "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef"': [ALICE, BOB],
    "externalId pr": [CAROL],
    "not (externalId pr)": [ALICE, BOB],
    "externalId eq null": [ALICE, BOB],
    "name.familyName pr": [CAROL],
    "name.givenName eq null": [ALICE, BOB],
    'displayName eq "carol anna rossi" or displayName ew "B"': [BOB, CAROL],
    'name.familyName eq "rossi"': [CAROL],
    'name.givenName co "100%"': [],
    "active eq true": [ALICE, CAROL],
    'active eq "False"': [BOB],
    'id eq "none"': [],
    f'{USER}:userName eq "{BOB}"': [BOB],
    'userName eq "2fe0df3a-7b7f-4be3-8b35-7d3a5c1f1d9a"': [],
}


def test_filters_find_what_they_name_on_both_databases(provider: NewProvider) -> None:
    entra = provider()
    carol(entra)
    with write(entra.engine) as connection:
        users.suspend(connection, BOB)
    assert {wanted: entra.found("Users", wanted) for wanted in FILTERS} == FILTERS


def test_lists_come_in_bounded_pages(provider: NewProvider) -> None:
    entra = provider()
    new = [{"primary_address": f"u{one}@example.com", "unit_id": 1, "created_at": 0.0} for one in range(205)]
    with write(entra.engine) as connection:
        connection.execute(insert(account), new)
    whole = entra.ask("GET", "Users", count="5000").body
    assert (whole["totalResults"], whole["itemsPerPage"], len(whole["Resources"])) == (207, 200, 200)
    rest = entra.ask("GET", "Users", startIndex="201", count="200").body
    assert (rest["totalResults"], rest["startIndex"], len(rest["Resources"])) == (207, 201, 7)
    assert not {one["id"] for one in whole["Resources"]} & {one["id"] for one in rest["Resources"]}
    beyond = entra.ask("GET", "Users", startIndex="9" * 20)
    assert (beyond.status, beyond.body["totalResults"], beyond.body.get("Resources", [])) == (200, 207, [])
    assert entra.ask("GET", "Groups", startIndex="9" * 20).status == 200
    searched = entra.ask("POST", "Users/.search", {"filter": 'userName sw "u20"', "count": 2}).body
    assert (searched["totalResults"], len(searched["Resources"])) == (6, 2)


BAD: Final[tuple[tuple[str, str, object, int], ...]] = (
    ("GET", "Users?title pr", None, 400),
    ("GET", 'Users?userName gt "a"', None, 400),
    ("GET", "Users?userName eq", None, 400),
    ("GET", 'Users?userName eq "\\u0000"', None, 400),
    ("GET", 'Users?displayName eq "\\ud800"', None, 400),
    ("GET", "Users?" + " or ".join(['userName eq "a"'] * 60), None, 400),
    ("GET", "Users?" + "not (" * 600 + "userName pr" + ")" * 600, None, 400),
    ("GET", "Users?" + "a" * 4001, None, 400),
    ("POST", "Users/.search", {"filter": "a" * 20_000}, 413),
    ("GET", "Users/x", None, 404),
    ("GET", "Nothing", None, 404),
    ("GET", "Me", None, 501),
    ("POST", "Bulk", {}, 501),
    ("GET", "", None, 501),
    ("PUT", "Users", BODY, 405),
    ("POST", "Users", [1], 400),
    ("POST", "Users", BODY | {"userName": "a\0@example.com"}, 400),
    ("POST", "Users", BODY | {"displayName": "a\0b"}, 400),
    ("POST", "Users", BODY | {"displayName": "\ud800"}, 400),
    ("POST", "Users", BODY | {"externalId": "x\0"}, 400),
    ("POST", "Users", BODY | {"externalId": "x" * 256}, 400),
    ("POST", "Users", BODY | {"active": "perhaps"}, 400),
    ("POST", "Groups", {"schemas": [GROUP], "displayName": "a\0"}, 400),
    ("POST", "Groups", {"schemas": [GROUP], "displayName": "x" * 256}, 400),
    ("POST", "Groups", {"schemas": [GROUP], "displayName": "A", "members": [{"value": "1"}] * 2}, 201),
)


def test_bad_input_is_told_so_in_scim_s_own_form(provider: NewProvider) -> None:
    entra = provider()
    for method, asked, body, status in BAD:
        path, _, wanted = asked.partition("?")
        told = entra.ask(method, path, body, **({"filter": wanted} if wanted else {}))
        assert told.status == status, (asked, body, told.body)
        if status >= 400:
            assert told.body["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
            assert told.body["status"] == str(status)


def test_a_filter_that_is_not_known_is_refused_in_scim_s_words(provider: NewProvider) -> None:
    told = provider().ask("GET", "Users", filter="name pr").body["detail"]
    assert told == (
        "no filter by name is known here; there are: id, userName, active, externalId, displayName, name.givenName,"
        " name.familyName, groups.value"
    )


def test_a_patch_of_too_many_operations_is_refused(provider: NewProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scim_protocol, "PATCHES_AT_MOST", 2)
    entra = provider()
    path = f"Users/{carol(entra)}"
    operation = {"op": "Replace", "path": "active", "value": True}
    assert entra.patch(path, *[operation] * 3).status == 413
    group = entra.ask(
        "POST", "Groups", {"schemas": [GROUP], "displayName": "A", "members": [{"value": path.rpartition("/")[2]}]}
    )
    for op, count in (("Remove", scim_protocol.REMOVED_AT_MOST), ("Add", user_groups.MEMBERS_AT_MOST)):
        named = {"op": op, "path": "members", "value": [{"value": str(one)} for one in range(count + 1)]}
        assert entra.patch(f"Groups/{group.body['id']}", named).status == 413
    described = {f"a{one}": "x" for one in range(scim_protocol.REMOVED_AT_MOST + 1)}
    assert entra.patch(f"Groups/{group.body['id']}", named | {"op": "Remove", "value": described}).status == 413
    twice = {"op": "remove", "path": "members", "PATH": "externalId"}
    assert entra.patch(f"Groups/{group.body['id']}", twice).status == 400
    monkeypatch.setattr(scim_protocol, "LOOKED_AT", 1)
    for dear in (
        {"op": "remove", "path": 'members[value eq "998" OR value eq "999"]'},
        {"op": "replace", "value": {"displayName": "B", "externalId": "b"}},
    ):
        assert entra.patch(f"Groups/{group.body['id']}", dear).status == 413
    leaves = {"op": "remove", "path": 'members[value eq "999"]'}
    assert entra.patch(f"Groups/{group.body['id']}", leaves, leaves).status == 413
    assert entra.patch(f"Groups/{group.body['id']}", leaves).status == 204


def test_a_path_that_is_too_long_is_refused_before_it_is_read(
    provider: NewProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    entra = provider()
    path = f"Users/{carol(entra)}"
    terms = " or ".join(f'value eq "{one}"' for one in range(20))
    monkeypatch.setattr(Path, "__new__", lambda *_: pytest.fail("it was read"))
    for operation in (
        {"op": "remove", "path": f"groups[{terms}]"},
        {"op": "Remove", "Path": f"groups[{terms}]"},
        {"op": "replace", "value": {f"groups[{terms}]": "x"}},
        {"op": "replace", "value": {"name": {f"x[{terms}]": "x"}}},
    ):
        refused = entra.patch(path, operation)
        assert (refused.status, refused.body["scimType"]) == (400, "invalidPath"), operation
        assert refused.body["detail"] == "a path has at most 200 characters here"
