"""`outgate scim` and `outgate group`."""

import pytest

from cli.program import ALICE, Program
from outgate.cli.status import Status

BOB = "bob@example.com"


def test_a_token_is_shown_once_and_revoked(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    program.fails(Status.INVALID, "scim", "token", "create", "entra")
    monkeypatch.setenv("OUTGATE_WEB__PUBLIC_URL", "https://mail.example.com/")
    made = program.run("scim", "token", "create", "entra")
    assert made["url"] == "https://mail.example.com/scim/v2"
    program.fails(Status.ALREADY_EXISTS, "scim", "token", "create", "entra")
    program.fails(Status.NOT_FOUND, "scim", "token", "create", "okta", "--role", "nobody")
    [listed] = program.run("scim", "token", "list")
    assert (listed["role"], listed["ou"], "token" in listed) == ("user-admin", "/", False)
    assert made["token"].encode() not in program.data.joinpath("outgate.db").read_bytes()
    program.run("scim", "token", "revoke", "entra")
    assert program.says("scim", "token", "list") == "there are no tokens\n"


def test_a_group_is_made_filled_granted_an_address_and_removed(program: Program) -> None:
    program.run("group", "create", "Press")
    assert program.run("group", "add", "Press", ALICE, BOB)["members"] == [ALICE, BOB]
    program.run("address-grant", "add", "press@example.com", "--group", "Press")
    assert program.run("group", "take-out", "Press", BOB)["members"] == [ALICE]
    program.run("group", "rename", "Press", "News")
    assert program.run("user", "show", ALICE)["groups"] == ["News"]
    assert program.run("group", "show", "News")["members"] == [ALICE]
    assert program.run("address-grant", "list") == [
        {"address": "press@example.com", "user": None, "ou": None, "group": "News", "gateway": None}
    ]
    assert "press@example.com" in [one["address"] for one in program.run("sendas", "list", ALICE)]
    assert "press@example.com" not in [one["address"] for one in program.run("sendas", "list", BOB)]
    program.run("group", "remove", "News")
    assert "press@example.com" not in [one["address"] for one in program.run("sendas", "list", ALICE)]
    assert program.says("group", "list") == "there are no groups\n"
