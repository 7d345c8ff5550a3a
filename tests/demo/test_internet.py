"""The other parties of the demonstration, proven with smtplib: what they find is what is the case."""

import asyncio
import smtplib
import socket
from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path

import dns.resolver
import httpx2
import pytest

from outgate.demo.arrival import Arrival
from outgate.demo.internet import Internet, running
from outgate.demo.network import VirtualHost, is_free, reserve

# pyspf asks dnspython by a function that dnspython has deprecated; nothing of ours calls it.
pytestmark = pytest.mark.filterwarnings("ignore:please use dns.resolver.resolve:DeprecationWarning:spf")


@pytest.fixture
async def internet(tmp_path: Path) -> AsyncIterator[Internet]:
    with reserve() as network:
        async with running(network, tmp_path) as parties:
            yield parties


def _message(author: str, **fields: str) -> bytes:
    message = EmailMessage()
    message["From"] = author
    message["To"] = "carol@recipient.example"
    message["Subject"] = "The figures"
    message["Message-ID"] = "<1@test.example>"
    for name, value in fields.items():
        message[name] = value
    message.set_content("Ecco le cifre.\n.\nDots too.\n")
    return message.as_bytes(policy=message.policy.clone(linesep="\r\n"))


def _submit(internet: Internet, content: bytes, reverse_path: str, password: str | None = None) -> None:
    """As a mail program of the partner's user."""
    network = internet.network
    with smtplib.SMTP(network.partner.address, network.submission_port, timeout=30) as client:
        client.starttls(context=internet.authority.client_context())
        client.login(internet.partner.user, internet.partner.password if password is None else password)
        client.sendmail(reverse_path, ["carol@recipient.example"], content)


def _deliver(
    internet: Internet, source: VirtualHost, to: VirtualHost, content: bytes, reverse_path: str, rcpt: str
) -> None:
    """As a server at this address."""
    with smtplib.SMTP(
        to.address, internet.network.smtp_port, source.name, timeout=30, source_address=(source.address, 0)
    ) as client:
        client.starttls(context=internet.authority.client_context())
        client.sendmail(reverse_path, [rcpt], content)


async def _arrival(internet: Internet) -> Arrival:
    return await asyncio.wait_for(internet.recipient.arrivals.get(), 30)


async def test_mail_by_the_partners_own_server_passes_every_check(internet: Internet) -> None:
    partner = internet.partner.user
    await asyncio.to_thread(_submit, internet, _message(partner), partner)
    arrival = await _arrival(internet)
    checks = arrival.checks
    assert (checks.spf, checks.dkim, checks.dmarc) == ("pass", "pass", "pass")
    assert (checks.spf_domain, checks.dkim_domain) == ("dominiopartner.example", "dominiopartner.example")
    assert (arrival.shown_as, arrival.sender, arrival.folder) == (partner, None, "inbox")
    assert arrival.delivered_by == "smtp.dominiopartner.example"
    assert [entry.message_id for entry in internet.partner.log] == ["<1@test.example>"]


async def test_the_partners_domain_from_a_strangers_address_fails_spf_and_dmarc(internet: Internet) -> None:
    stranger = VirtualHost("stranger.example", f"{internet.network.prefix}.99")
    partner = internet.partner.user
    content = _message(partner)
    to = internet.network.recipient
    await asyncio.to_thread(_deliver, internet, stranger, to, content, partner, "carol@recipient.example")
    arrival = await _arrival(internet)
    assert (arrival.checks.spf, arrival.checks.dkim, arrival.checks.dmarc) == ("fail", "none", "fail")
    assert (arrival.folder, arrival.delivered_by) == ("junk", stranger.address)


async def test_a_changed_body_fails_dkim_and_dmarc_passes_by_spf_alone(internet: Internet) -> None:
    partner, network = internet.partner.user, internet.network
    changed = internet.partner.sign(_message(partner)).replace(b"cifre", b"spese")
    await asyncio.to_thread(
        _deliver, internet, network.partner, network.recipient, changed, partner, "carol@recipient.example"
    )
    checks = (await _arrival(internet)).checks
    assert (checks.spf, checks.dkim, checks.dmarc) == ("pass", "fail", "pass")


async def test_outgates_address_may_send_for_the_organisation_but_not_for_the_partner(internet: Internet) -> None:
    content = _message(internet.partner.user, Sender="alice@example.com")
    source, to = internet.network.outgate, internet.network.recipient
    await asyncio.to_thread(_deliver, internet, source, to, content, "alice@example.com", "carol@recipient.example")
    arrival = await _arrival(internet)
    assert (arrival.checks.spf, arrival.checks.spf_domain, arrival.checks.dmarc) == ("pass", "example.com", "fail")
    assert arrival.shown_as == "alice@dominiopartner.example on behalf of alice@example.com"
    assert arrival.shown_by_outlook == "alice@example.com on behalf of alice@dominiopartner.example"


async def test_the_relay_delivers_for_outgate_and_for_nobody_else(internet: Internet) -> None:
    network = internet.network
    content, carol = _message("alice@example.com"), "carol@recipient.example"
    await asyncio.to_thread(_deliver, internet, network.outgate, network.relay, content, "alice@example.com", carol)
    arrival = await _arrival(internet)
    assert (arrival.delivered_by, arrival.checks.spf) == ("relay.example.com", "pass")
    assert len(internet.relay.log) == 1
    stranger = VirtualHost("stranger.example", f"{network.prefix}.99")
    with pytest.raises(smtplib.SMTPSenderRefused):
        await asyncio.to_thread(_deliver, internet, stranger, network.relay, content, "alice@example.com", carol)


async def test_the_partner_wants_tls_the_right_password_and_its_users_own_address(internet: Internet) -> None:
    network = internet.network

    def without_tls() -> None:
        with smtplib.SMTP(network.partner.address, network.submission_port, timeout=30) as client:
            client.ehlo()
            assert not client.has_extn("auth")
            client.mail(internet.partner.user)
            code, _ = client.docmd("AUTH PLAIN AGEAYg==")
            assert code in (530, 538)

    await asyncio.to_thread(without_tls)
    content, partner = _message(internet.partner.user), internet.partner.user
    with pytest.raises(smtplib.SMTPAuthenticationError):
        await asyncio.to_thread(_submit, internet, content, partner, "wrong")
    with pytest.raises(smtplib.SMTPSenderRefused):
        await asyncio.to_thread(_submit, internet, content, "alice@example.com")
    assert internet.partner.log == []


async def test_the_partners_mailbox_keeps_what_comes_for_its_user(internet: Internet) -> None:
    content, source = _message("outgate@example.com"), internet.network.outgate
    to = internet.network.partner
    await asyncio.to_thread(_deliver, internet, source, to, content, "", internet.partner.user)
    assert await asyncio.wait_for(internet.partner.mailbox.get(), 30) == content


async def test_a_browser_sees_what_recipients_see_and_nothing_in_it_is_obeyed(internet: Internet) -> None:
    content = _message("alice@dominiopartner.example", Sender="alice@example.com").replace(
        b"The figures", b"<script>alert(1)</script> & figures"
    )
    source, network = internet.network.outgate, internet.network
    for to, rcpt in ((network.recipient, "carol@recipient.example"), (network.partner, internet.partner.user)):
        await asyncio.to_thread(_deliver, internet, source, to, content, "alice@example.com", rcpt)
    async with httpx2.AsyncClient(base_url=network.view, trust_env=False, timeout=30) as browser:
        english, italian, none_new, style, missing = [
            await browser.get(path)
            for path in ("/", "/?language=it", "/arrivals?after=2", "/look.css", "/../../secrets")
        ]
    assert "script-src 'self'" in english.headers["Content-Security-Policy"]
    assert english.text.count("&lt;script&gt;alert(1)&lt;/script&gt; &amp; figures") == 2
    assert "<script>" not in english.text
    assert english.text.index(internet.partner.user + "</bdi></dd>") < english.text.index("carol@recipient.example")
    for fact in ("on behalf of", "mail.example.com", "SPF: pass", "DMARC: fail", "Ecco le cifre.", "junk"):
        assert fact in english.text
    assert "<strong>per conto di</strong>" in italian.text
    assert [none_new.status_code, style.status_code, missing.status_code] == [204, 200, 404]


async def test_the_zones_answer_over_udp_and_tcp_and_say_what_does_not_exist(internet: Internet) -> None:
    def ask() -> None:
        for tcp in (False, True):
            answer = dns.resolver.resolve("recipient.example", "MX", tcp=tcp)
            assert [str(record.exchange) for record in answer] == ["mx.recipient.example."]
        with pytest.raises(dns.resolver.NoAnswer):
            dns.resolver.resolve("mx.recipient.example", "AAAA")
        with pytest.raises(dns.resolver.NXDOMAIN):
            dns.resolver.resolve("nowhere.example", "A")

    await asyncio.to_thread(ask)


def test_two_demonstrations_at_once_have_different_addresses() -> None:
    with reserve() as one, reserve() as other:
        assert one.prefix != other.prefix


def test_a_port_in_use_makes_a_network_not_free() -> None:
    with reserve() as network, socket.socket() as busy:
        assert is_free(network)
        busy.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # former connections are in TIME_WAIT
        busy.bind((network.recipient.address, network.smtp_port))
        busy.listen()
        assert not is_free(network)
