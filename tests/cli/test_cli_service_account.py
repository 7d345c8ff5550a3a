"""`outgate service-account`: the key file that Google's libraries read, and what it is good for."""

import json
from pathlib import Path
from typing import Any

import pytest
from google.oauth2.service_account import Credentials

from cli.program import Program
from outgate.cli.status import Status

SHARING = "https://www.googleapis.com/auth/gmail.settings.sharing"


@pytest.fixture(autouse=True)
def public_url(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs know where it is."""
    monkeypatch.setenv("OUTGATE_WEB__PUBLIC_URL", "https://mail.example.com/")


def create(program: Program, file: Path, name: str = "tool") -> dict[str, Any]:
    made: dict[str, Any] = program.run("service-account", "create", name, "--key-file", str(file))
    return made


def test_a_key_file_is_read_by_google_s_library_and_by_nobody_else_of_the_machine(
    program: Program, tmp_path: Path
) -> None:
    made = create(program, tmp_path / "key.json")
    assert (tmp_path / "key.json").stat().st_mode & 0o777 == 0o600
    credentials = Credentials.from_service_account_file(tmp_path / "key.json", subject="alice@example.com")  # type: ignore[no-untyped-call]
    assert credentials.service_account_email == made["email"] == "tool@service.mail.example.com"
    assert json.loads((tmp_path / "key.json").read_text())["token_uri"] == "https://mail.example.com/token"
    assert made["client_id"].isdigit()
    kept = program.data.joinpath("outgate.db").read_bytes()
    assert credentials.signer.key_id.encode() in kept
    assert b"PRIVATE KEY" not in kept


def test_scopes_are_granted_as_a_whole_and_recorded(program: Program, tmp_path: Path) -> None:
    made = create(program, tmp_path / "key.json")
    granted = program.run("service-account", "grant", made["client_id"], "--scope", "gmail.settings.sharing")
    assert granted["scopes"] == [SHARING]
    other = program.run("service-account", "grant", "tool", "--scope", "https://mail.google.com/")
    assert other["scopes"] == ["https://mail.google.com/"]
    assert program.run("service-account", "grant", "tool", "--none")["scopes"] == []
    [first] = [
        event
        for one in program.run("audit", "list", "--operation", "service-account.grant")[::-1][:1]
        for event in one["events"]
    ]
    assert {"name": "NEW_SCOPES", "value": SHARING} in first["parameters"]


def test_keys_are_rotated_and_revoked(program: Program, tmp_path: Path) -> None:
    [old] = create(program, tmp_path / "1.json")["keys"]
    program.run("service-account", "rotate", "tool", "--key-file", str(tmp_path / "2.json"))
    new = json.loads((tmp_path / "2.json").read_text())["private_key_id"]
    [listed] = program.run("service-account", "list")
    assert listed["keys"] == [old, new]
    assert program.run("service-account", "revoke", "tool", "--key", old[:8])["keys"] == [new]
    assert "no key" in program.fails(Status.NOT_FOUND, "service-account", "revoke", "tool", "--key", old)
    program.run("service-account", "revoke", "tool", "--all")
    assert program.run("service-account", "list") == []


def test_what_can_not_be_is_told_before_anything_is_made(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "key.json"
    assert "small letters" in program.fails(Status.INVALID, "service-account", "create", "A b", "--key-file", str(file))
    create(program, file)
    told = program.fails(Status.ALREADY_EXISTS, "service-account", "create", "other", "--key-file", str(file))
    assert "another name" in told
    assert len(program.run("service-account", "list")) == 1
    monkeypatch.delenv("OUTGATE_WEB__PUBLIC_URL")
    told = program.fails(Status.INVALID, "service-account", "rotate", "tool", "--key-file", str(tmp_path / "x.json"))
    assert "web.public_url" in told


@pytest.mark.parametrize("command", ["create", "rotate"])
def test_a_key_that_can_not_be_written_is_not_made(program: Program, tmp_path: Path, command: str) -> None:
    create(program, tmp_path / "first.json")
    name = {"create": "other", "rotate": "tool"}[command]
    nowhere = tmp_path / "missing" / "key.json"
    told = program.fails(Status.INVALID, "service-account", command, name, "--key-file", str(nowhere))
    assert told == f"{nowhere} can't be written: No such file or directory"
    [account] = program.run("service-account", "list")
    assert len(account["keys"]) == 1


def test_a_file_without_a_key_is_not_left(program: Program, tmp_path: Path) -> None:
    file = tmp_path / "key.json"
    program.fails(Status.NOT_FOUND, "service-account", "rotate", "nobody", "--key-file", str(file))
    assert not file.exists()


def test_a_scope_that_is_not_served_is_refused_by_name(program: Program, tmp_path: Path) -> None:
    create(program, tmp_path / "key.json")
    for text in ("gmail.insert", "https://www.googleapis.com/auth/drive", "https://evil.example/gmail.send"):
        told = program.fails(Status.INVALID, "service-account", "grant", "tool", "--scope", text)
        assert f"'{text}' is not a scope that is served here" in told
        assert "gmail.settings.sharing" in told
    for text in ("mail.google.com", "https://mail.google.com", "https://mail.google.com/"):
        granted = program.run("service-account", "grant", "tool", "--scope", text)
        assert granted["scopes"] == ["https://mail.google.com/"]
    granted = program.run("service-account", "grant", "tool", "--scope", "admin.reports.audit.readonly")
    assert granted["scopes"] == ["https://www.googleapis.com/auth/admin.reports.audit.readonly"]


def test_the_beginning_of_two_keys_ids_says_so(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = iter(["abcd1", "abcd2"])
    monkeypatch.setattr("outgate.directory.service_accounts.secrets.token_hex", lambda _bytes: next(ids))
    create(program, tmp_path / "1.json")
    program.run("service-account", "rotate", "tool", "--key-file", str(tmp_path / "2.json"))
    told = program.fails(Status.INVALID, "service-account", "revoke", "tool", "--key", "abcd")
    assert told == "2 keys begin with abcd; give more of the key's id"


def test_only_who_may_do_everything_makes_programs_that_do(program: Program, tmp_path: Path) -> None:
    program.run("role", "assign", "alice@example.com", "user-admin")
    as_alice = ("--as", "alice@example.com", "service-account", "create", "tool")
    assert "api-manage" in program.fails(Status.NOT_ALLOWED, *as_alice, "--key-file", str(tmp_path / "key.json"))
    program.run("role", "assign", "bob@example.com", "super-admin")
    program.run("--as", "bob@example.com", *as_alice[2:], "--key-file", str(tmp_path / "key.json"))
