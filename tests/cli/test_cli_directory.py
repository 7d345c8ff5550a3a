"""Domains, units, users, policy and the organisation's gateway by the command line."""

import os
import pty
import select
import subprocess
import sys
import termios
import time

import pytest
from typer.testing import CliRunner

from cli.program import ALICE, PASSWORD, SWITCH, Program
from outgate.cli.program import app
from outgate.cli.status import Status
from outgate.directory import accounts, password_hash


def _log_in(program: Program, address: str) -> accounts.LogInEntry:
    with program.reading() as connection:
        found = accounts.login(connection, address)
    assert found
    return found


# --- the data directory ----------------------------------------------------------------------------------------------


def test_options_may_stand_before_or_after_the_command(program: Program) -> None:
    data = str(program.data)
    before = CliRunner().invoke(app, ["--data", data, "--json", "user", "list"])
    after = CliRunner().invoke(app, ["user", "list", "--json", "--data", data])
    assert before.exit_code == after.exit_code == 0
    assert before.stdout == after.stdout != ""


def test_without_a_data_directory_one_is_asked_for() -> None:
    result = CliRunner().invoke(app, ["user", "list", "--json"])
    assert result.exit_code == Status.USAGE
    assert "OUTGATE_DATA" in result.stderr


def test_an_unexpected_error_is_one_line_and_can_be_traced(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("out of cheese")

    monkeypatch.setattr("outgate.directory.units.paths", fail)
    assert "RuntimeError: out of cheese" in program.fails(Status.UNEXPECTED, "ou", "list")
    traced = CliRunner().invoke(app, ["--traceback", "ou", "list"], env={"OUTGATE_DATA": str(program.data)})
    assert isinstance(traced.exception, RuntimeError)


def test_an_error_is_one_line_for_people_and_says_the_same_to_programs(program: Program) -> None:
    env = {"OUTGATE_DATA": str(program.data)}
    result = CliRunner().invoke(app, ["user", "show", "nobody@example.com"], env=env)
    assert (result.exit_code, result.stdout) == (Status.NOT_FOUND, "")
    message = program.fails(Status.NOT_FOUND, "user", "show", "nobody@example.com")
    assert result.stderr == f"outgate: {message}\n"


# --- users -----------------------------------------------------------------------------------------------------------


def test_a_user_is_added_with_a_password_from_standard_input(program: Program) -> None:
    row = program.run("user", "add", "Carla@Example.com", "--name", "Carla", "--password-stdin", stdin="pass 1 é\n")
    assert (row["address"], row["name"], row["ou"]) == ("carla@example.com", "Carla", "/")
    assert password_hash.verify(_log_in(program, "carla@example.com").password_hash or "", "pass 1 é")


def test_a_password_file_may_end_with_a_line_end(program: Program) -> None:
    file = program.data.parent / "password"
    file.write_text("a new one\r\n")
    program.run("user", "password", ALICE, "--password-file", str(file))
    assert password_hash.verify(_log_in(program, ALICE).password_hash or "", "a new one")
    program.run("user", "password", ALICE, "--password-file", "-", stdin="newer one")
    assert password_hash.verify(_log_in(program, ALICE).password_hash or "", "newer one")


@pytest.mark.parametrize("content", [b"\xef\xbb\xbfa new one\r\n", b"\xef\xbb\xbfa new one"])
def test_a_byte_order_mark_is_no_part_of_a_password(program: Program, content: bytes) -> None:
    file = program.data.parent / "password"
    file.write_bytes(content)
    program.run("user", "password", ALICE, "--password-file", str(file))
    assert password_hash.verify(_log_in(program, ALICE).password_hash or "", "a new one")
    program.run("user", "password", ALICE, "--password-stdin", stdin=content.decode().replace("a new", "a newer"))
    assert password_hash.verify(_log_in(program, ALICE).password_hash or "", "a newer one")


@pytest.mark.parametrize("content", ["a new one".encode("utf-16"), "né".encode("latin-1") + b" long enough"])
def test_a_password_file_that_is_not_utf_8_is_told_so(program: Program, content: bytes) -> None:
    file = program.data.parent / "password"
    file.write_bytes(content)
    told = program.fails(Status.USAGE, "user", "password", ALICE, "--password-file", str(file))
    assert "is not UTF-8; save it as UTF-8" in told
    assert "codec" not in told


@pytest.mark.parametrize("stdin", ["", "\n", "two\nlines\n"])
def test_a_password_is_one_line(program: Program, stdin: str) -> None:
    assert "one line" in program.fails(Status.USAGE, "user", "password", ALICE, "--password-stdin", stdin=stdin)


def test_without_a_terminal_a_password_is_not_asked_for(program: Program) -> None:
    assert "--password-file" in program.fails(Status.USAGE, "user", "add", "carla@example.com", stdin=PASSWORD)


def test_a_password_file_that_is_missing_is_named(program: Program) -> None:
    assert "/nowhere" in program.fails(Status.USAGE, "user", "password", ALICE, "--password-file", "/nowhere")


def test_on_a_terminal_a_password_is_asked_for_twice_and_not_shown(program: Program) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "outgate", "--data", str(program.data), "user", "password", ALICE]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True) as process:
        os.close(theirs)
        try:
            shown = b""
            for question in (b"New password", b"Repeat"):
                shown += _asked(ours, question)
                os.write(ours, b"swordfish\n")
            assert process.wait(30) == 0
        finally:
            process.kill()
            os.close(ours)
    assert b"swordfish" not in shown
    assert password_hash.verify(_log_in(program, ALICE).password_hash or "", "swordfish")


def _asked(terminal: int, question: bytes) -> bytes:
    """What is shown until the question stands there and echo is off: what was typed before that is thrown away."""
    shown, deadline = b"", time.monotonic() + 30
    while question not in shown or termios.tcgetattr(terminal)[3] & termios.ECHO:
        assert time.monotonic() < deadline, shown
        if select.select([terminal], [], [], 0.01)[0]:
            shown += os.read(terminal, 1024)
    return shown


def test_a_user_without_a_password_cannot_log_in(program: Program) -> None:
    program.run("user", "add", "carla@example.com", "--no-password")
    assert _log_in(program, "carla@example.com").password_hash is None
    assert program.run("user", "show", "carla@example.com")["has_password"] is False


def test_a_user_is_suspended_resumed_moved_and_removed(program: Program) -> None:
    program.run("ou", "add", "/Sales")
    assert program.run("user", "suspend", ALICE)["suspended"] is True
    assert program.run("user", "resume", ALICE)["suspended"] is False
    assert program.run("user", "move", ALICE, "/Sales")["ou"] == "/Sales"
    assert [row["address"] for row in program.run("user", "list", "--ou", "/Sales")] == [ALICE]
    assert program.run("user", "remove", ALICE)["address"] == ALICE
    assert [row["address"] for row in program.run("user", "list")] == ["bob@example.com"]


def test_errors_of_users_have_their_statuses(program: Program) -> None:
    program.fails(Status.ALREADY_EXISTS, "user", "add", ALICE, "--no-password")
    program.fails(Status.INVALID, "user", "add", "carol@recipient.example", "--no-password")
    program.fails(Status.INVALID, "user", "add", "nobody", "--no-password")
    program.fails(Status.NOT_FOUND, "user", "add", "x@example.com", "--no-password", "--ou", "/Sales")
    for verb in ("show", "suspend", "resume", "remove", "password"):
        program.fails(Status.NOT_FOUND, "user", verb, "nobody@example.com")


def test_a_name_cannot_play_tricks_with_the_terminal(program: Program) -> None:
    file = program.data.parent / "names"
    file.write_text("x")
    program.fails(Status.INVALID, "user", "add", "x@example.com", "--no-password", "--name", "\x1b[2Jgone")
    program.run("user", "add", "x@example.com", "--no-password", "--name", "[red]x[/red]")
    assert "[red]x[/red]" in program.says("user", "list")


# --- units and policy ------------------------------------------------------------------------------------------------


def test_units_are_added_listed_and_removed(program: Program) -> None:
    program.run("ou", "add", "/Sales")
    program.run("ou", "add", "/Sales/Italy")
    assert program.run("ou", "list")[1:] == [{"path": "/Sales", "users": 0}, {"path": "/Sales/Italy", "users": 0}]
    program.fails(Status.NOT_ALLOWED, "ou", "remove", "/Sales")
    program.fails(Status.NOT_FOUND, "ou", "remove", "/Nowhere")
    program.fails(Status.ALREADY_EXISTS, "ou", "add", "/Sales")
    program.fails(Status.INVALID, "ou", "add", "Sales")
    assert program.run("ou", "remove", "/Sales/Italy") == {"path": "/Sales/Italy"}


def test_policy_says_where_its_value_comes_from(program: Program) -> None:
    program.run("ou", "add", "/Sales")
    assert program.run("policy", "show", SWITCH, "--ou", "/Sales")["inherited_from"] == "the default"
    program.run("policy", "set", SWITCH, "on")
    rows = [row for row in program.run("policy", "list") if row["setting"] == SWITCH]
    assert [(row["ou"], row["value"], row["inherited_from"]) for row in rows] == [
        ("/", True, None),
        ("/Sales", True, "/"),
    ]
    program.run("policy", "set", SWITCH, "OFF", "--ou", "/Sales")
    assert program.run("policy", "show", SWITCH, "--ou", "/Sales")["value"] is False
    cleared = program.run("policy", "clear", SWITCH, "--ou", "/Sales")
    assert (cleared["value"], cleared["inherited_from"]) == (True, "/")
    assert f"{SWITCH}" in program.says("policy", "list")


def test_errors_of_policy_have_their_statuses(program: Program) -> None:
    program.fails(Status.NOT_FOUND, "policy", "set", "allowEverything", "on")
    program.fails(Status.NOT_FOUND, "policy", "set", SWITCH, "on", "--ou", "/Nowhere")
    program.fails(Status.INVALID, "policy", "set", SWITCH, "maybe")


# --- domains ---------------------------------------------------------------------------------------------------------


def test_a_domain_is_added_with_a_key_and_its_records(program: Program) -> None:
    row = program.run("domain", "add", "example.org", "--selector", "s1")
    assert [record["name"] for record in row["dns"]] == [
        "example.org",
        "s1._domainkey.example.org",
        "_dmarc.example.org",
    ]
    assert row["dns"][1]["value"] == row["dkim_record"]
    assert program.run("domain", "show", "example.org") == row
    assert 'TXT "v=DKIM1; k=rsa; p=' in program.says("domain", "show", "example.org")
    assert program.run("domain", "remove", "example.org") == {"name": "example.org"}


def test_errors_of_domains_have_their_statuses(program: Program) -> None:
    program.fails(Status.ALREADY_EXISTS, "domain", "add", "example.com", "--no-dkim")
    program.fails(Status.NOT_ALLOWED, "domain", "remove", "example.com")
    program.fails(Status.NOT_FOUND, "domain", "show", "example.org")
    program.fails(Status.INVALID, "domain", "add", "exa mple.org", "--no-dkim")


# --- keys ------------------------------------------------------------------------------------------------------------


def test_rotation_seals_everything_anew(program: Program) -> None:
    before = program.run("secrets", "status")
    done = program.run("secrets", "rotate")
    after = program.run("secrets", "status")
    assert done == {"current": after["current"], "resealed": 3}  # the DKIM key, and key and head of the audit trail
    assert before["current"] != after["current"]
    assert after["keys"] == [after["current"]]
    assert after["rotation_unfinished"] is False
    key = (program.data / "secret.key").read_text().split()[1]
    assert key not in program.says("secrets", "status")
