"""Refusals with more words than a report can quote: the outcome is on record, the report is cut, places are free."""

import asyncio
import email
import email.policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from corpus.peer import RawPeer
from outgate.model import Security
from outgate.record import message_log
from outgate.store.engine import read
from way.place import Site, eventually, install, running
from way.submit import client

MOST = 512 * 1024  # bytes of any report
HUNDRED = tuple(f"r{number}@recipient.example" for number in range(100))
HEADER = b"From: alice@example.com\r\nSubject: Offerta\r\nMessage-ID: <1@example.com>\r\n"
LONG_HEADER = HEADER + b"".join(b"X-%d: %b\r\n" % (n, b"h" * 893) for n in range(286))

POLICY = "".join(f"550-5.7.26 {'p' * 240}\r\n" for _ in range(4)) + "550 5.7.26 " + "p" * 240
LINES = "".join(f"550-5.7.1 {number} {'w' * 2000}\r\n" for number in range(198)) + "550 5.7.1 end"


def refuses(verb: str, reply: str) -> Any:
    return lambda line: reply if line.split()[0] == verb else None


@pytest.mark.parametrize(
    ("answer", "header", "recipients"),
    [
        pytest.param(refuses(".", POLICY), HEADER, HUNDRED, id="100 recipients, 1.2 KB at the end"),
        pytest.param(refuses("RCPT", POLICY), HEADER, HUNDRED, id="100 recipients, 1.2 KB each"),
        pytest.param(refuses("RCPT", LINES), HEADER, HUNDRED[:2], id="199 lines"),
        pytest.param(refuses("MAIL", "550 5.7.1 No"), LONG_HEADER, HUNDRED[:1], id="286 lines of 900 bytes"),
        pytest.param(refuses("RCPT", LINES), LONG_HEADER, HUNDRED[:2], id="all of it"),
    ],
)
@pytest.mark.parametrize("ret", ["", "RET=FULL"])
async def test_a_refusal_of_any_length_is_on_record_and_told(
    tmp_path: Path, answer: Any, header: bytes, recipients: tuple[str, ...], ret: str
) -> None:
    site = install(tmp_path / "outgate", delivery={"in_memory": 2})
    async with RawPeer(answer=answer) as relay:
        await site.set_domain_gateway(relay.port, Security.NONE)
        server = await running(site)
        try:
            for _ in range(3):  # more than there are places in memory
                await asyncio.to_thread(_send, site, header, recipients, ret)
            await eventually(lambda: _told(site) == 3 * len(recipients), "all reports are there")
            await eventually(lambda: not server._deliverer._inflight.message_ids(), "all places are free again")
        finally:
            await server.stop()
    assert _outcomes(site).count("bounced") == 3 * len(recipients)
    for raw in _reports(site):
        assert len(raw) < MOST
        report = email.message_from_bytes(raw, policy=email.policy.default)
        assert isinstance(report, EmailMessage)
        text, status, original = report.iter_parts()
        assert "Offerta" in text.get_content()
        groups: Any = status.get_payload()
        assert {group["Final-Recipient"] for group in groups[1:]} <= {f"rfc822; {one}" for one in recipients}
        assert "Subject: Offerta" in original.as_string()


def _send(site: Site, header: bytes, recipients: tuple[str, ...], ret: str) -> None:
    with client(site) as session:
        session.sendmail("alice@example.com", recipients, header + b"\r\nHello\r\n", [ret] if ret else [])


def _told(site: Site) -> int:
    """How many recipients all reports tell of: those of one message may have been tried apart."""
    return sum(raw.count(b"\nFinal-Recipient: ") for raw in _reports(site))


def _reports(site: Site) -> list[bytes]:
    return [path.read_bytes() for path in sorted((site.data / "mail" / "alice@example.com" / "new").glob("*"))]


def _outcomes(site: Site) -> list[str]:
    place = site.place()
    with read(place.engine) as connection:
        found = [event.kind.value for _, event in message_log.latest(connection, 0, 10_000)]
    place.engine.dispose()
    return found
