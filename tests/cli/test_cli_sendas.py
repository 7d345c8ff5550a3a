"""From addresses and gateways by the command line."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from bench.scratch import free_port
from sqlalchemy import select, update

from cli.program import ALICE, CAROL, PARTNER, SWITCH, Program, code_in
from corpus.aiosmtpd_peer import AiosmtpdPeer
from corpus.certificate import server_context
from outgate.cli.status import Status
from outgate.store.tables import domain_gateway, gateway, recipient

SECRET = "partner secret 42"
LOG_IN = ("--username", PARTNER, "--password-stdin")
NOWHERE = ("--host", "127.0.0.1", "--port", "9")


@contextmanager
def _partner(program: Program) -> Iterator[AiosmtpdPeer]:
    """The partner's server on another thread, with TLS that the program trusts and a log-in for PARTNER."""
    context, authority = server_context(program.data, "127.0.0.1")
    file = program.data / "outgate.toml"
    file.write_text(file.read_text().replace("#ca_file =", f'ca_file = "{authority.name}"'))
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    peer = AiosmtpdPeer(tls=context, credentials={PARTNER: SECRET})

    def run(step: Coroutine[Any, Any, Any]) -> None:
        asyncio.run_coroutine_threadsafe(step, loop).result(20)

    run(peer.__aenter__())
    try:
        yield peer
    finally:
        run(peer.__aexit__(None, None, None))
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _at(peer: AiosmtpdPeer) -> tuple[str, ...]:
    return ("--host", "127.0.0.1", "--port", str(peer.port))


def test_a_certificate_of_an_unknown_authority_says_how_to_make_it_known(program: Program) -> None:
    with _partner(program) as peer:
        file = program.data / "outgate.toml"
        file.write_text(file.read_text().replace("\nca_file =", "\n#ca_file =", 1))
        program.run("policy", "set", SWITCH, "on")
        arguments = ("sendas", "add", ALICE, PARTNER, *_at(peer), *LOG_IN)
        said = program.fails(Status.CHECK_FAILED, *arguments, stdin=f"{SECRET}\n")
    assert "install the package ca-certificates, or name its authority in delivery.ca_file" in said


def test_a_password_file_that_is_not_there_is_named_in_words(program: Program) -> None:
    said = program.fails(Status.USAGE, "user", "add", "dora@example.com", "--password-file", "nowhere/dora")
    assert said.endswith("the password file nowhere/dora can't be read: No such file or directory")


# --- proof of ownership ----------------------------------------------------------------------------------------------


def test_an_added_address_is_pending_until_the_mailed_code_is_entered(program: Program) -> None:
    added = program.run("sendas", "add", ALICE, PARTNER, "--name", "Alice (partner)")
    assert added["verification_status"] == "pending"
    [content] = program.waiting()
    assert f"To: {PARTNER}".encode() in content
    assert b"<postmaster@example.com>" in content
    verified = program.run("sendas", "verify", ALICE, PARTNER, code_in(content))
    assert (verified["verification_status"], verified["name"]) == ("accepted", "Alice (partner)")
    program.fails(Status.INVALID, "sendas", "verify", ALICE, PARTNER, code_in(content))


def test_the_code_is_printed_nowhere(program: Program) -> None:
    printed = program.says("sendas", "add", ALICE, PARTNER)
    printed += program.says("sendas", "show", ALICE, PARTNER, "--json") + program.says("log", "--json")
    printed += program.says("queue", "list", "--json") + program.says("sendas", "resend", ALICE, PARTNER)
    for content in program.waiting():
        assert code_in(content) not in printed


def test_the_message_with_the_code_waits_for_the_server(program: Program) -> None:
    program.run("sendas", "add", ALICE, PARTNER)
    [row] = program.run("queue", "list")
    assert (row["recipient"], row["queue"], row["state"]) == (PARTNER, "mx:dominiopartner.example", "waiting")
    [fact] = program.run("log")
    assert fact["mail_from"] == "postmaster@example.com"


def test_a_new_code_makes_the_former_one_void(program: Program) -> None:
    program.run("sendas", "add", ALICE, PARTNER)
    program.run("sendas", "resend", ALICE, PARTNER)
    first, second = (code_in(content) for content in program.waiting())
    program.says("sendas", "verify", ALICE, PARTNER, first, status=Status.INVALID)
    program.run("sendas", "verify", ALICE, PARTNER, second)


def test_codes_are_limited(program: Program) -> None:
    program.run("sendas", "add", ALICE, PARTNER)
    for _ in range(4):
        program.run("sendas", "resend", ALICE, PARTNER)
    assert "try again in" in program.fails(Status.NOT_ALLOWED, "sendas", "resend", ALICE, PARTNER)
    assert len(program.waiting()) == 5


def test_only_own_domains_are_granted_without_proof(program: Program) -> None:
    row = program.run("sendas", "add", ALICE, "sales@example.com", "--grant", "--default")
    assert (row["verification_status"], row["is_default"], row["own_domain"]) == ("accepted", True, True)
    program.fails(Status.NOT_ALLOWED, "sendas", "add", ALICE, PARTNER, "--grant")
    assert program.waiting() == []


# --- the list --------------------------------------------------------------------------------------------------------


def test_an_address_is_shown_edited_made_default_and_deleted(program: Program) -> None:
    program.add_partner()
    edited = program.run("sendas", "edit", ALICE, PARTNER, "--reply-to", CAROL, "--not-an-alias")
    assert (edited["reply_to"], edited["treat_as_alias"], edited["name"]) == (CAROL, False, "")
    assert program.run("sendas", "default", ALICE, PARTNER)["is_default"] is True
    assert [row["is_default"] for row in program.run("sendas", "list", ALICE)] == [False, True]
    assert "accepted" in program.says("sendas", "list", ALICE)
    program.run("sendas", "delete", ALICE, PARTNER)
    assert [row["address"] for row in program.run("sendas", "list", ALICE)] == [ALICE]


def test_errors_of_addresses_have_their_statuses(program: Program) -> None:
    program.run("sendas", "add", ALICE, PARTNER)
    program.fails(Status.ALREADY_EXISTS, "sendas", "add", ALICE, PARTNER)
    program.fails(Status.NOT_ALLOWED, "sendas", "default", ALICE, PARTNER)
    program.fails(Status.NOT_ALLOWED, "sendas", "delete", ALICE, ALICE)
    program.fails(Status.INVALID, "sendas", "add", ALICE, "not an address")
    program.fails(Status.INVALID, "sendas", "resend", ALICE, ALICE)
    program.fails(Status.NOT_FOUND, "sendas", "list", "nobody@example.com")
    for verb in ("show", "resend", "delete", "default", "test", "edit"):
        program.fails(Status.NOT_FOUND, "sendas", verb, ALICE, CAROL)


# --- gateways --------------------------------------------------------------------------------------------------------


def test_a_gateway_that_works_is_tried_and_saved(program: Program) -> None:
    program.add_partner()
    with _partner(program) as peer:
        row = program.run("sendas", "gateway", "set", ALICE, PARTNER, *_at(peer), *LOG_IN, stdin=SECRET)
        assert peer.connections == 1
        assert program.run("sendas", "test", ALICE, PARTNER)["works"] is True
        assert peer.connections == 2
        assert peer.messages == []
        port = peer.port
    assert row["gateway"] == {
        "host": "127.0.0.1",
        "port": port,
        "security": "starttls",
        "username": PARTNER,
        "provider": "",
        "kind": "smtp",
        "fallbacks": [],
    }
    explained = program.run("explain", ALICE, PARTNER, CAROL)
    assert (explained["way"], explained["mail_from"], explained["sender"]) == ("user-gateway", PARTNER, None)
    with program.reading() as connection:
        sealed = connection.scalars(select(gateway.c.sealed_password)).one()
    assert SECRET.encode() not in bytes(sealed or b"")


def test_a_wrong_password_is_found_before_the_gateway_is_saved(program: Program) -> None:
    program.add_partner()
    with _partner(program) as peer:
        reason = program.fails(
            Status.CHECK_FAILED, "sendas", "gateway", "set", ALICE, PARTNER, *_at(peer), *LOG_IN, stdin="wrong one"
        )
    assert "535" in reason
    assert "wrong one" not in reason
    assert program.run("sendas", "show", ALICE, PARTNER)["gateway"] is None


def test_an_address_is_not_added_with_a_gateway_that_does_not_work(program: Program) -> None:
    program.run("policy", "set", SWITCH, "on")
    nowhere = ("--host", "127.0.0.1", "--port", str(free_port()))
    program.fails(Status.CHECK_FAILED, "sendas", "add", ALICE, PARTNER, *nowhere, *LOG_IN, stdin=SECRET)
    assert len(program.run("sendas", "list", ALICE)) == 1
    added = program.run("sendas", "add", ALICE, PARTNER, *nowhere, *LOG_IN, "--no-probe", stdin=SECRET)
    assert added["gateway"]["host"] == "127.0.0.1"
    program.fails(Status.CHECK_FAILED, "sendas", "test", ALICE, PARTNER)


@pytest.mark.parametrize("command", [("gateway", "set"), ("add",)])
def test_with_the_switch_off_a_gateway_is_refused_and_nothing_is_connected_to(
    program: Program, command: tuple[str, ...]
) -> None:
    if command != ("add",):
        program.run("sendas", "add", ALICE, PARTNER)
    with _partner(program) as peer:
        reason = program.fails(
            Status.NOT_ALLOWED, "sendas", *command, ALICE, PARTNER, *_at(peer), *LOG_IN, stdin=SECRET
        )
        assert peer.connections == 0
    assert "Functionality not enabled" in reason
    assert len(program.run("sendas", "list", ALICE)) == (1 if command == ("add",) else 2)


@pytest.mark.parametrize("command", ["set", "add", "test", "import"])
def test_a_host_that_policy_forbids_is_refused_and_never_connected_to(
    program: Program, tmp_path: Path, command: str
) -> None:
    program.run("policy", "set", SWITCH, "on")
    if command != "add":
        program.run("sendas", "add", ALICE, PARTNER)
    with _partner(program) as peer:
        if command == "test":
            program.run("sendas", "gateway", "set", ALICE, PARTNER, *_at(peer), "--no-probe")
        program.run("policy", "set", "allowedGatewayHosts", "*.dominiopartner.example")
        reason = _refused_gateway(program, command, peer, tmp_path)
        assert peer.connections == 0
    assert "allowedGatewayHosts" in reason


def _refused_gateway(program: Program, command: str, peer: AiosmtpdPeer, folder: Path) -> str:
    """Ask for the peer as Alice's gateway, by one of the commands; returns the reason against it."""
    log_in = (*_at(peer), *LOG_IN)
    match command:
        case "set":
            return program.fails(Status.NOT_ALLOWED, "sendas", "gateway", "set", ALICE, PARTNER, *log_in, stdin=SECRET)
        case "add":
            return program.fails(Status.NOT_ALLOWED, "sendas", "add", ALICE, PARTNER, *log_in, stdin=SECRET)
        case "test":
            return program.fails(Status.NOT_ALLOWED, "sendas", "test", ALICE, PARTNER)
    rows = folder / "gateways.csv"
    rows.write_text(f"user,address,host,port\n{ALICE},{PARTNER},127.0.0.1,{peer.port}\n")
    return program.says("import", "gateways", str(rows), "--skip-faulty")


@pytest.mark.parametrize("command", ["gateway set", "add", "test", "domain-gateway set"])
def test_who_may_not_set_a_gateway_makes_nothing_connect(program: Program, command: str) -> None:
    program.add_partner()
    program.run("role", "assign", "bob@example.com", "auditor")
    with _partner(program) as peer:
        program.run("sendas", "gateway", "set", ALICE, PARTNER, *_at(peer), "--no-probe")
        arguments = {
            "gateway set": ("sendas", "gateway", "set", ALICE, PARTNER, *_at(peer)),
            "add": ("sendas", "add", ALICE, "other@dominiopartner.example", *_at(peer)),
            "test": ("sendas", "test", ALICE, PARTNER),
            "domain-gateway set": ("domain-gateway", "set", "127.0.0.1", "--port", str(peer.port)),
        }[command]
        program.fails(Status.NOT_ALLOWED, "--as", "bob@example.com", *arguments)
        assert peer.connections == 0


def test_what_came_of_a_try_is_on_record(program: Program) -> None:
    program.add_partner()
    with _partner(program) as peer:
        program.run("sendas", "gateway", "set", ALICE, PARTNER, *_at(peer), *LOG_IN, stdin=SECRET)
        program.run("sendas", "test", ALICE, PARTNER)
    program.fails(Status.CHECK_FAILED, "sendas", "test", ALICE, PARTNER)
    text = program.says("audit", "list", "--operation", "gateway.test")
    assert text.index("failed") < text.index("reason") < text.index("done"), "the newest first"


def test_errors_of_gateways_have_their_statuses(program: Program) -> None:
    program.add_partner()
    change = ("sendas", "gateway", "set", ALICE, PARTNER, "--host", "smtp.dominiopartner.example", "--no-probe")
    program.fails(Status.INVALID, *change, "--security", "none", "--port", "587")
    program.fails(Status.INVALID, *change, "--security", "plain")
    program.fails(Status.INVALID, *change, "--port", "70000")
    program.fails(Status.USAGE, *change, "--password-stdin", stdin=SECRET)
    program.fails(Status.USAGE, *change, "--username", "alice")
    program.fails(Status.NOT_FOUND, "sendas", "gateway", "clear", ALICE, CAROL)
    program.fails(Status.NOT_ALLOWED, "sendas", "gateway", "set", ALICE, ALICE, *NOWHERE)


def test_the_domain_gateway_is_set_shown_and_cleared(program: Program) -> None:
    assert program.run("domain-gateway", "show") == {"gateway": None, "domains": {}}
    with _partner(program) as peer:
        at = ("127.0.0.1", "--port", str(peer.port))
        program.fails(Status.CHECK_FAILED, "domain-gateway", "set", *at, *LOG_IN, stdin="wrong one")
        saved = program.run("domain-gateway", "set", *at, *LOG_IN, stdin=SECRET)
    assert program.run("domain-gateway", "show") == {"gateway": saved["gateway"], "domains": {}}
    assert program.run("explain", ALICE, ALICE, CAROL)["way"] == "domain-gateway"
    with program.reading() as connection:
        assert SECRET.encode() not in bytes(connection.scalars(select(domain_gateway.c.sealed_password)).one() or b"")
    own = ("127.0.0.2", "127.0.0.3", "--security", "none", "--domain", "example.com", "--no-probe")
    program.fails(Status.NOT_FOUND, "domain-gateway", "set", *own[:-2], "other.example", "--no-probe")
    of_domain = program.run("domain-gateway", "set", *own)["gateway"]
    assert of_domain["fallbacks"] == ["127.0.0.3"]
    assert program.run("domain-gateway", "show")["domains"] == {"example.com": of_domain}
    shown = program.says("explain", ALICE, ALICE, CAROL)
    assert "mail from example.com passes its outbound gateway 127.0.0.2:25, else 127.0.0.3" in shown
    assert program.run("gateway", "show", "domain-gateway:example.com")[0]["queue"] == "domain-gateway:example.com"
    again = program.run("domain-gateway", "clear", "--domain", "example.com")
    assert again == {"domain": "example.com", "gateway": saved["gateway"]}
    assert program.run("domain-gateway", "clear") == {"domain": None, "gateway": None}
    assert program.run("explain", ALICE, ALICE, CAROL)["way"] == "direct"


# --- mail that waits -------------------------------------------------------------------------------------------------

FAR = 4e9  # seconds since the epoch


@pytest.mark.parametrize(
    "change",
    [
        ("policy", "set", SWITCH, "off"),
        ("policy", "clear", SWITCH),
        ("sendas", "gateway", "set", ALICE, PARTNER, *NOWHERE, "--no-probe"),
        ("sendas", "gateway", "clear", ALICE, PARTNER),
        ("sendas", "delete", ALICE, PARTNER),
        ("domain-gateway", "set", "127.0.0.1", "--no-probe"),
        ("domain-gateway", "clear"),
        ("user", "move", ALICE, "/"),
    ],
)
def test_a_change_of_what_routes_depend_on_has_waiting_mail_decided_again(
    program: Program, change: tuple[str, ...]
) -> None:
    program.add_partner()
    for number in range(3):
        program.run("send", ALICE, "--from", PARTNER, "--to", f"{number}@recipient.example", "--text", "x")
    with program.writing() as connection:
        connection.execute(update(recipient).values(due_at=FAR))
        connection.execute(update(recipient).where(recipient.c.address.like("0@%")).values(held=True))
        connection.execute(update(recipient).where(recipient.c.address.like("1@%")).values(leased_until=FAR))
    program.run(*change)
    with program.reading() as connection:
        rows = connection.execute(select(recipient.c.address, recipient.c.due_at))
        due = {row.address: row.due_at for row in rows}
    assert due["0@recipient.example"] == due["1@recipient.example"] == FAR
    assert due["2@recipient.example"] < FAR
