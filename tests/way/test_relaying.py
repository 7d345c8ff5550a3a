"""A mail server in front hands over its outbound mail: whose it is says XCLIENT, or a field above its own Received."""

import asyncio
import smtplib
from collections.abc import AsyncIterator, Sequence
from email.message import EmailMessage
from pathlib import Path

import pytest
import pytest_asyncio
from bench.scratch import free_port
from structlog.testing import capture_logs

from corpus.peer import RawPeer
from outgate.record.events import EventKind
from way.conftest import PARTNER
from way.place import GATEWAY_PASSWORD, LOCALHOST, Site, eventually, install, running
from way.submit import message
from way.test_own_mail_leaves import events, inbox

ALICE, BOB, CAROL = "alice@example.com", "bob@example.com", "carol@recipient.example"
OWN = b"Received: from desk by front.example.com; Mon, 23 Nov 2026 10:00:00 +0000\r\n"


@pytest.fixture(scope="module", autouse=True)
def _stories() -> None:
    """Traced: the door for servers in front is tested here alone."""


def _named(account: str) -> bytes:
    return f"X-Outgate-Account: {account}\r\n".encode()


async def _hand_over(
    port: int, sender: str, recipients: Sequence[str], content: bytes, said: Sequence[str] = ()
) -> None:
    """`said` before the message: STARTTLS, or what stands behind XCLIENT."""

    def work() -> None:
        with smtplib.SMTP("127.0.0.1", port, timeout=30) as session:
            for words in said:
                session.ehlo()
                code = session.starttls()[0] if words == "STARTTLS" else session.docmd("XCLIENT", words)[0]
                assert code == 220
            session.ehlo()
            assert not session.has_extn("auth")
            session.sendmail(sender, recipients, content)

    await asyncio.to_thread(work)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Site, int, RawPeer]]:
    """A running server with its door for servers in front, and alice's gateway."""
    port = free_port()
    relay = {"port": port, "address": "127.0.0.1", "trusted_networks": ("127.0.0.1/32",)}
    made = install(
        tmp_path_factory.mktemp("relaying") / "o",
        relay=relay,
        submission={"max_received": 5},
        delivery={"smtp_port": 1},
    )
    async with RawPeer(tls=made.authority.server_context(LOCALHOST), credentials={PARTNER: GATEWAY_PASSWORD}) as peer:
        await made.switch(on=True)
        await made.add_external(ALICE, PARTNER, peer.port)
        server = await running(made)
        try:
            yield made, port, peer
        finally:
            await server.stop()


@pytest.mark.asyncio(loop_scope="module")
async def test_what_names_an_account_leaves_by_its_gateway_without_the_field(site: tuple[Site, int, RawPeer]) -> None:
    _, port, peer = site
    written = message(PARTNER, "by field", X_Outgate_Account=BOB)
    await _hand_over(port, PARTNER, [CAROL], _named(ALICE) + OWN + written, ["STARTTLS"])
    await eventually(lambda: peer.messages, "it arrives")
    await _hand_over(
        port, PARTNER, [CAROL], _named(BOB) + OWN + message(PARTNER, "by command"), ["LOGIN=alice+40example.com"]
    )
    await eventually(lambda: len(peer.messages) == 2, "the other arrives")
    for one in peer.messages:
        assert b"x-outgate-account" not in one.content.lower()
        assert b"Subject: by " in one.content
    assert b" with ESMTPS id " in peer.messages[0].content


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    "said", [["LOGIN=[UNAVAILABLE]"], ["ADDR=127.0.0.9"], ["LOGIN=alice+40example.com", "STARTTLS"]]
)
async def test_where_xclient_names_nobody_a_field_names_nobody(
    site: tuple[Site, int, RawPeer], said: list[str]
) -> None:
    """A proxy passes on what its client writes: a field, and a Received of its own below."""
    made, port, _ = site
    forged = _named(ALICE) + b"Received: x\r\n" + message(ALICE, " ".join(said))
    await _hand_over(port, ALICE, [BOB], forged, said)

    def arrived() -> list[EmailMessage]:
        return [one for one in inbox(made, BOB) if one["Subject"] == " ".join(said)]

    await eventually(arrived, "it is in the mailbox")
    (got,) = arrived()
    assert got["X-Outgate-Account"] is None
    accepted = events(made, EventKind.ACCEPTED)[-1].detail
    assert (accepted["account"], accepted["from"]) == ("no account", [ALICE])


@pytest.mark.asyncio(loop_scope="module")
async def test_an_account_sends_as_its_own_addresses_alone(site: tuple[Site, int, RawPeer]) -> None:
    _, port, _ = site
    with pytest.raises(smtplib.SMTPDataError, match=r"not an address of bob@example\.com"):
        await _hand_over(port, PARTNER, [CAROL], _named(BOB) + OWN + message(PARTNER))
    with pytest.raises(smtplib.SMTPDataError, match="no account here: outgate user add"):
        await _hand_over(port, PARTNER, [CAROL], _named("nobody@example.com") + OWN + message(PARTNER))
    refused = events(site[0], EventKind.REFUSED)[-1].detail
    assert (refused["account"], refused["from"]) == ("no account", [PARTNER])
    assert "<nobody@example.com> has no account here" in refused["refused"]


@pytest.mark.asyncio(loop_scope="module")
async def test_without_an_account_no_users_gateway_is_taken(site: tuple[Site, int, RawPeer]) -> None:
    """Not even where a client names somebody below the server's own Received."""
    made, port, peer = site
    before = len(peer.messages)
    large = message(PARTNER, "forged", body="y" * 70 + ("\r\n" + "x" * 70) * 5000, X_Outgate_Account=ALICE)
    await _hand_over(port, PARTNER, [BOB, CAROL], OWN + large)

    def arrived() -> list[EmailMessage]:
        return [one for one in inbox(made, BOB) if one["Subject"] == "forged"]

    await eventually(arrived, "it is in the mailbox")
    (got,) = arrived()
    assert got["X-Outgate-Account"] is None
    assert got.get_content().count("x" * 70) == 5000
    ways = {one.detail["way"] for one in events(made, EventKind.ROUTED) if CAROL in one.detail["recipients"]}
    assert "direct" in ways
    assert len(peer.messages) == before
    with pytest.raises(smtplib.SMTPDataError, match="in a loop"):
        await _hand_over(port, PARTNER, [CAROL], OWN * 6 + message(PARTNER))
    with pytest.raises(smtplib.SMTPDataError, match="not a header field"):
        await _hand_over(port, PARTNER, [CAROL], b"no field\r\n" + OWN + message(PARTNER))


async def test_what_is_no_accounts_is_not_signed_for_the_mailboxes_as_the_organisations_own_is(tmp_path: Path) -> None:
    port = free_port()
    relay = {"port": port, "address": "127.0.0.1", "trusted_networks": ("127.0.0.1/32",)}
    async with RawPeer() as mailboxes:
        site = install(tmp_path / "o", relay=relay, local={"mailbox": f"smtp://127.0.0.1:{mailboxes.port}"})
        server = await running(site)
        try:
            await _hand_over(port, ALICE, [BOB], OWN + message("postmaster@example.com"))
            (received,) = await mailboxes.wait_for(1)
        finally:
            await server.stop()
    assert b"From: postmaster@example.com" in received.content
    assert b"DKIM-Signature" not in received.content


async def test_who_is_in_no_trusted_network_is_sent_away(tmp_path: Path) -> None:
    port = free_port()
    relay = {"port": port, "address": "127.0.0.1", "trusted_networks": ("192.0.2.0/24", "2001:db8::/32")}
    server = await running(install(tmp_path / "o", relay=relay, dkim_key=False))
    try:
        with capture_logs() as lines:
            for _ in range(5):
                with pytest.raises(smtplib.SMTPConnectError, match="trusted servers"):
                    await _hand_over(port, PARTNER, [CAROL], OWN + message(PARTNER))
        told = [one for one in lines if one.get("door") == "relay"]
        assert [(one["event"], one["peer"]) for one in told] == [("not trusted", "127.0.0.1")]  # once a minute
    finally:
        await server.stop()
