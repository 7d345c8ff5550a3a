"""What can't be undone is asked for on a terminal; what is not given stays; what does nothing yet says so."""

import pytest
import typer

from cli.program import ALICE, PARTNER, Program
from outgate.cli import shell
from outgate.cli.status import Status
from outgate.commands import init as init_command

HOST = "smtp.dominiopartner.example"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The questions of a terminal where everything is answered by no."""
    questions: list[str] = []

    def no(question: str, **_: object) -> None:
        questions.append(question)
        raise typer.Abort

    monkeypatch.setattr(typer, "confirm", no)
    monkeypatch.setattr(shell, "_on_terminal", lambda: True)
    return questions


def test_a_user_is_removed_on_a_terminal_only_if_that_is_agreed_to(program: Program, asked: list[str]) -> None:
    program.says("user", "remove", "bob@example.com", status=Status.UNEXPECTED)
    assert "bob@example.com" in asked[0]
    assert "bob@example.com" in program.says("user", "list")
    program.run("user", "remove", "bob@example.com", "--yes")
    assert "bob@example.com" not in program.says("user", "list")


def test_all_that_waits_is_deleted_only_if_that_is_agreed_to(program: Program, asked: list[str]) -> None:
    program.run("send", ALICE, "--to", "carol@recipient.example", "--text", "x")
    program.says("queue", "delete", "--all", status=Status.UNEXPECTED)
    program.says("queue", "delete", "--address", "carol@", status=Status.UNEXPECTED)
    assert len(asked) == 2
    assert program.run("queue", "delete", "--all", "--yes") == {"recipients": 1}


def test_scripts_are_not_asked(program: Program) -> None:
    program.run("user", "remove", "bob@example.com")


def _set(program: Program, *options: str, stdin: str = "") -> dict[str, object]:
    row = program.run("sendas", "gateway", "set", ALICE, PARTNER, *options, "--no-probe", stdin=stdin)
    gateway: dict[str, object] = row["gateway"]
    return gateway


def test_a_gateway_keeps_what_is_not_given(program: Program) -> None:
    program.add_partner()
    first = _set(program, "--host", HOST, "--username", "alice", "--password-stdin", stdin="secret")
    assert _set(program, "--host", HOST) == first
    assert _set(program) == first
    assert _set(program, "--port", "2525") == first | {"port": 2525}
    assert _set(program, "--security", "ssl") == first | {"port": 465, "security": "ssl"}
    assert _set(program, "--host", HOST.upper()) == first | {"port": 465, "security": "ssl"}


def test_a_log_in_does_not_follow_to_another_host(program: Program) -> None:
    program.add_partner()
    _set(program, "--host", HOST, "--username", "alice", "--password-stdin", stdin="secret")
    told = program.fails(
        Status.USAGE, "sendas", "gateway", "set", ALICE, PARTNER, "--host", "smtp.elsewhere.example", "--no-probe"
    )
    assert "does not follow" in told
    assert _set(program, "--host", "smtp.elsewhere.example", "--no-log-in")["username"] == ""


def test_a_log_in_is_taken_away_only_if_that_is_agreed_to(program: Program, asked: list[str]) -> None:
    program.add_partner()
    _set(program, "--host", HOST, "--username", "alice", "--password-stdin", stdin="secret")
    program.says("sendas", "gateway", "set", ALICE, PARTNER, "--no-log-in", "--no-probe", status=Status.UNEXPECTED)
    assert "alice" in asked[0]
    assert _set(program)["username"] == "alice"


@pytest.mark.parametrize("options", [["--username", "alice"], ["--port", "465"], ["--password-stdin"]])
def test_options_of_a_gateway_without_a_host_are_refused(program: Program, options: list[str]) -> None:
    assert "--host" in program.fails(Status.USAGE, "sendas", "add", ALICE, PARTNER, *options, stdin="secret")
    assert "--host" in program.fails(
        Status.USAGE, "sendas", "gateway", "set", ALICE, ALICE, *options, "--no-probe", stdin="secret"
    )


def test_commands_say_that_no_server_runs(program: Program) -> None:
    for command in (
        ("sendas", "add", ALICE, PARTNER),
        ("sendas", "resend", ALICE, PARTNER),
        ("send", ALICE, "--to", "carol@recipient.example", "--text", "x"),
        ("queue", "retry", "--all"),
    ):
        assert "no server runs" in program.says(*command)


@pytest.mark.parametrize("length", [1, 7])
def test_a_short_password_is_refused(program: Program, length: int) -> None:
    told = program.fails(Status.INVALID, "user", "add", "dora@example.com", "--password-stdin", stdin="x" * length)
    assert "8 to 1024" in told


def test_init_asks_on_a_terminal_for_mailboxes_and_administrator(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    program = Program(tmp_path_factory.mktemp("asked") / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(init_command, "_on_terminal", lambda: True)
        told = program.says("init", "example.com", stdin="lmtp:/var/run/dovecot/lmtp\ndora@example.com\n")
    assert "go to lmtp:/var/run/dovecot/lmtp" in told
    assert "dora@example.com logs in by this, once" in told
    assert 'mailbox = "lmtp:/var/run/dovecot/lmtp"' in (program.data / "outgate.toml").read_text()


def test_init_takes_the_mailbox_by_option_and_says_what_maildirs_mean(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    program = Program(tmp_path_factory.mktemp("option") / "data")
    program.says("init", "example.com", "--mailbox", "smtp://mail.example.com:25")
    assert 'mailbox = "smtp://mail.example.com:25"' in (program.data / "outgate.toml").read_text()
    plain = Program(tmp_path_factory.mktemp("plain") / "data")
    assert "that no mail program sees" in plain.says("init", "example.com")
