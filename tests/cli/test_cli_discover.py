"""`outgate sendas discover`, with a real DNS server."""

from collections.abc import Iterator

import pytest
from bench.scratch import free_port

from cli.program import PARTNER, Program
from outgate.cli.status import Status
from outgate.demo import nameserver
from way.place import LOCALHOST

ZONE = """\
_submissions._tcp.dominiopartner.example. 60 IN SRV 0 0 465 smtp.provider.example.
_submission._tcp.dominiopartner.example. 60 IN SRV 0 0 587 smtp.dominiopartner.example.
dominiopartner.example. 60 IN MX 10 mx.dominiopartner.example.
"""


@pytest.fixture(autouse=True)
def _zone(monkeypatch: pytest.MonkeyPatch, _clean_environment: None) -> Iterator[None]:
    port = free_port()
    monkeypatch.setenv("OUTGATE_DELIVERY__NAMESERVERS", f'["{LOCALHOST.address}:{port}"]')
    with nameserver.serve(nameserver.Records(ZONE), LOCALHOST, port):
        yield


def test_candidates_come_in_order_with_what_was_looked_at(program: Program) -> None:
    found = program.run("sendas", "discover", PARTNER)
    assert [(one["host"], one["port"], one["security"], one["confirm"]) for one in found["candidates"]] == [
        ("smtp.provider.example", 465, "ssl", True),
        ("smtp.dominiopartner.example", 587, "starttls", False),
        ("mx.dominiopartner.example", 587, "starttls", False),
    ]
    assert {one["username"] for one in found["candidates"]} == {PARTNER}
    assert [one["source"] for one in found["looked_at"]] == [
        "preset",
        "pacc",
        "srv",
        "srv",
        "autoconfig",
        "autoconfig",
        "mx",
    ]
    assert {one["outcome"] for one in found["looked_at"]} == {"nothing", "found", "no-answer"}


def test_people_see_both_as_tables(program: Program) -> None:
    shown = program.says("sendas", "discover", PARTNER)
    servers, places = shown.split("looked at")
    assert "smtp.provider.example" in servers
    assert "published" in servers
    assert "https://autoconfig.dominiopartner.example/mail/config-v1.1.xml" in places
    assert "no-answer" in places


def test_no_server_is_said_with_where_was_looked(program: Program) -> None:
    shown = program.says("sendas", "discover", "alice@unknown.example")
    assert "no server was found" in shown
    assert "_submissions._tcp.unknown.example" in shown


def test_what_is_no_address_is_an_error(program: Program) -> None:
    assert "is not an address" in program.fails(Status.INVALID, "sendas", "discover", "dominiopartner.example")
    assert "no domain" in program.fails(Status.INVALID, "sendas", "discover", "alice@[192.0.2.1]")
