"""What is missing or unreadable in a data directory is named, with what to do; nothing is made in its place."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cli.program import ALICE, Program
from outgate.cli.status import Status
from outgate.directory import accounts
from outgate.installation import open_installation
from outgate.store.engine import read

COMMANDS = (
    ("user", "list"),
    ("serve",),
    ("queue", "count"),
    ("send", ALICE, "--to", "bob@example.com", "--text", "x"),
    ("policy", "set", "allowUsersToUseExternalSmtpServers", "on"),
)


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_makes_a_database_in_place_of_one_that_is_gone(program: Program, command: tuple[str, ...]) -> None:
    database = program.data / "outgate.db"
    database.unlink()
    told = program.fails(Status.UNAVAILABLE, *command)
    assert str(database) in told
    assert "backup" in told
    assert not database.exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_an_empty_file_is_not_taken_for_a_database(program: Program, command: tuple[str, ...]) -> None:
    database = program.data / "outgate.db"
    database.write_bytes(b"")
    assert "has no tables of Outgate" in program.fails(Status.UNAVAILABLE, *command)
    assert database.stat().st_size == 0


def test_an_empty_postgresql_database_is_not_filled(program: Program, new_postgresql: object) -> None:
    assert callable(new_postgresql)
    (program.data / "outgate.toml").write_text(f'database_url = "{new_postgresql(migrated=False)}"\n')
    for _ in range(2):
        assert "has no tables of Outgate" in program.fails(Status.UNAVAILABLE, "user", "list")


def test_a_missing_key_file_is_to_be_brought_back(program: Program) -> None:
    (program.data / "secret.key").unlink()
    told = program.fails(Status.UNAVAILABLE, "user", "list")
    assert "bring back your copy" in told
    assert "init" not in told
    assert not (program.data / "secret.key").exists()


@contextmanager
def _somebody_else() -> Iterator[None]:
    """A user who may not read what the tests make."""
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("part", [".", "outgate.toml", "secret.key", "outgate.db"])
def test_what_may_not_be_read_is_named_with_who_may(program: Program, tmp_path: Path, part: str) -> None:
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)
    program.data.chmod(0o755)
    for path in program.data.rglob("*"):
        os.chown(path, 65534, 65534)
    os.chown(program.data / part, 0, 0)
    (program.data / part).chmod(0o700 if part == "." else 0o600)
    with _somebody_else():
        told = program.fails(Status.UNAVAILABLE, "user", "list")
    assert str(program.data) in told
    assert "run this as root" in told


def test_a_database_that_is_opened_twice_keeps_its_log_when_another_process_has_looked_at_it(program: Program) -> None:
    """A file's locks are the process's (fcntl): closed once, all are gone, and SQLite takes the log for nobody's."""
    log = program.data / "outgate.db-wal"
    server = open_installation(program.data)
    with read(server.engine) as connection:
        accounts.load_organisation(connection)
    before = log.stat().st_ino
    open_installation(program.data).engine.dispose()
    look = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('SELECT count(*) FROM account').fetchall()"
    subprocess.run([sys.executable, "-S", "-c", look, str(program.data / "outgate.db")], check=True)
    assert log.exists()
    assert log.stat().st_ino == before
    server.engine.dispose()


@contextmanager
def _of_nobody(program: Program, but: str = "") -> Iterator[None]:
    """The data directory as a server's own user has it; what is named in `but` is root's."""
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    for path in (program.data, *program.data.rglob("*")):
        if path.name != but:
            shutil.chown(path, "nobody", "nogroup")
    yield


def test_what_belongs_to_root_among_the_servers_files_is_to_be_given_back(program: Program, tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)
    with _of_nobody(program, but="secret.key"), _somebody_else():
        told = program.fails(Status.UNAVAILABLE, "user", "list")
    assert (
        f"secret.key may not be read by nobody: give it back to nobody, as root: chown -R nobody {program.data}" in told
    )


def test_nothing_that_root_writes_is_kept_from_the_servers_user(program: Program) -> None:
    with _of_nobody(program):
        program.run("secrets", "rotate")
        program.run("user", "add", "carol@example.com", "--password-stdin", stdin="correct horse battery")
        program.run("domain", "dkim", "set", "example.com")
        program.run("send", ALICE, "--to", "carol@example.com", "--text", "x")
        owners = {path.name: path.owner() for path in program.data.rglob("*")}
    assert {name for name, owner in owners.items() if owner != "nobody"} == set()
    assert (program.data / "secret.key").stat().st_mode & 0o777 == 0o600


def test_root_does_not_run_the_server_on_another_users_directory(program: Program) -> None:
    with _of_nobody(program):
        told = program.fails(Status.UNAVAILABLE, "serve")
    assert "systemctl start outgate" in told
    assert f"runuser -u nobody -- outgate --data {program.data} serve" in told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[submission]\nstarttls_port = 'many'\n", "submission.starttls_port must be a whole number"),
        ("[egress]\nports = 60\n", "egress.ports must be a list, as in [60, 300] or"),
        ("[delivery.schedules.local]\nretry_frist = 5\n", "no setting 'delivery.schedules.local.retry_frist'"),
        (
            "[delivery.schedules.direct]\nretry_first = -5\n",
            "schedules.direct.retry_first must be more than 0",
        ),
        (
            "[delivery]\nretry_first = 36000\n",
            "delivery: retry_first (36000) may not be more than retry_longest (14400)",
        ),
        (
            "[delivery.schedules.local]\nretry_longest = 30\n",
            "delivery: schedules.local: retry_first (60) may not be more than retry_longest (30)",
        ),
        (
            "[delivery]\nretry = [60, 300]\n",
            "no setting 'delivery.retry'; delivery.retry_first, retry_factor and retry_longest took its place",
        ),
        ("[delivery.schedules.locally]\nretry_first = 5\n", "schedules.locally must be 'direct', 'local'"),
        ("[local]\nmailbox = 'mbox'\n", "local.mailbox must be maildir, lmtp://host:port"),
        ("log_format = 'xml'\n", "log_format must be 'text' or 'json'"),
        ("[submission]\nmax_sessions = 0\n", "submission.max_sessions must be at least 1"),
        ("[web]\ntls = 'perhaps'\n", "web.tls must be true or false"),
        ("submission = 3\n", "submission must be a table: [submission]"),
        ("hostname = 5\n", "hostname must be text"),
        ("processes = 2\n[submission]\ntls_port = 0\n", "with more than one process"),
        ("[oidc]\nissuer = 'https://idp.example'\n", "set oidc.audience"),
        ("[delivery]\nlease = -1\n", "delivery.lease must be more than 0"),
        ("[egress]\nown_networks = ['10.0.0.1/8']\n", "a network is written as in 10.9.0.0/16"),
    ],
)
def test_a_fault_of_the_configuration_is_told_in_words(program: Program, text: str, told: str) -> None:
    file = program.data / "outgate.toml"
    file.write_text(text)
    said = program.fails(Status.UNAVAILABLE, "user", "list")
    assert told in said
    assert said.startswith(str(file))
    _in_our_words(said)


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("OUTGATE_SUBMISSION__STARTTLS_PORT", "many", "OUTGATE_SUBMISSION__STARTTLS_PORT must be a whole number"),
        ("OUTGATE_EGRESS__PORTS", "60", "OUTGATE_EGRESS__PORTS must be a list, as in [60, 300]"),
        ("OUTGATE_EGRESS__PORTS", "[60", "OUTGATE_EGRESS__PORTS is not JSON"),
        ("OUTGATE_SUBMISSION__PROT", "1", "there is no setting for the environment variable OUTGATE_SUBMISSION__PROT"),
        ("OUTGATE_LOG_FORMAT", "xml", "OUTGATE_LOG_FORMAT must be 'text' or 'json'"),
        ("OUTGATE_PROCESSES", "0", "OUTGATE_PROCESSES must be at least 1"),
    ],
)
def test_a_fault_of_the_environment_blames_the_variable(
    program: Program, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, told: str
) -> None:
    monkeypatch.setenv(variable, value)
    said = program.fails(Status.UNAVAILABLE, "user", "list")
    assert told in said
    assert "outgate.toml" not in said
    _in_our_words(said)


def _in_our_words(text: str) -> None:
    for theirs in ("Value error", "Input should", "unable to parse", "setting ''", "pydantic", "Errno"):
        assert theirs not in text
