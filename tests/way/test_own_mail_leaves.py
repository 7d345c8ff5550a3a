"""What recipients see of the organisation's own mail, and what postmasters and administrators get."""

import asyncio
import contextlib
import email
import email.policy
import gzip
import json
import re
import smtplib
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import dkim
import pytest
from bench.scratch import free_port
from sqlalchemy import Connection, insert, update

from corpus.peer import RawPeer
from outgate import clock
from outgate.accept.self_signed import VALID_DAYS, self_signed
from outgate.demo import nameserver
from outgate.directory import accounts, organisation
from outgate.model import Security
from outgate.operations.confirmation import Confirmation
from outgate.record import message_log
from outgate.record.events import EventKind, MessageEvent
from outgate.record.message_log import MessageFilter
from outgate.sendas import send_as_addresses
from outgate.store.engine import read, write
from outgate.store.tables import sts_policy, tls_policy, tls_report, tls_session
from outgate.tls_reports import report_rows, session_rows
from outgate.tls_reports.report_rows import ReportState
from outgate.tls_reports.utc_days import DAY
from way.conftest import PARTNER
from way.place import GATEWAY_PASSWORD, HOSTNAME, LOCALHOST, Site, eventually, install, running
from way.submit import client, message, submit


def inbox(site: Site, mailbox: str) -> list[EmailMessage]:
    folder = site.data / "mail" / mailbox / "new"
    read_back = [email.message_from_bytes(path.read_bytes(), policy=email.policy.default) for path in folder.glob("*")]
    assert all(isinstance(one, EmailMessage) for one in read_back)
    return read_back


def events(site: Site, kind: EventKind) -> list[MessageEvent]:
    place = site.place()
    with read(place.engine) as connection:
        found = [event for _, event in message_log.latest(connection, 0, 1000) if event.kind is kind]
    place.engine.dispose()
    return found


@contextlib.contextmanager
def changing(site: Site) -> Iterator[Connection]:
    place = site.place()
    with write(place.engine) as connection:
        yield connection
    place.engine.dispose()


def add_and_confirm(site: Site, address: str) -> None:
    place = site.place()
    with write(place.engine) as connection:
        account = accounts.find(connection, "alice@example.com")
        assert account
        send_as_addresses.add(connection, account.id, address, clock.now())
        Confirmation("mail.example.com").send(connection, place.vault, account, address, clock.now())
    place.engine.dispose()


def is_signed_by(raw: bytes, domain: str, site: Site) -> bool:
    place = site.place()
    with read(place.engine) as connection:
        (key,) = organisation.domains(connection)[0].signing
    place.engine.dispose()
    return f"d={domain};".encode() in raw and bool(dkim.verify(raw, dnsfunc=lambda *_, **__: key.record.encode()))


async def test_the_confirmation_is_signed_and_has_a_named_sender(site: Site) -> None:
    async with RawPeer() as relay:
        await site.set_domain_gateway(relay.port, Security.NONE)
        await asyncio.to_thread(add_and_confirm, site, PARTNER)
        server = await running(site)
        try:
            (received,) = await relay.wait_for(1)
        finally:
            await server.stop()
    assert is_signed_by(received.content, "example.com", site)
    assert b'From: "Outgate at example.com" <postmaster@example.com>' in received.content


async def test_a_report_that_leaves_is_signed_as_the_primary_domain(tmp_path: Path) -> None:
    """Mailboxes elsewhere check it as they check all mail."""
    async with RawPeer(answer=lambda line: "550 5.1.1 No" if "carol" in line else None) as relay:
        site = install(tmp_path / "o", local={"mailbox": f"smtp://127.0.0.1:{relay.port}"})
        await site.set_domain_gateway(relay.port, Security.NONE)
        server = await running(site)
        try:
            await submit(site, "alice@example.com", content=message("alice@example.com"))
            (report,) = await relay.wait_for(1)
        finally:
            await server.stop()
    assert report.recipients == ["alice@example.com"]
    assert b"From: Mail Delivery System <postmaster@example.com>" in report.content
    assert is_signed_by(report.content, "example.com", site)


async def test_a_report_on_tls_reaches_the_domain_whose_tls_is_broken_and_is_in_no_report(tmp_path: Path) -> None:
    """Users' mail waits there, since the domain's own policy wants it so."""
    domain, day, port = "recipient.example", int(clock.now() // DAY), free_port()
    zone = f"{domain}. 0 IN MX 10 mx.{domain}.\nmx.{domain}. 0 IN A 127.0.0.1\n"
    zone += f'_smtp._tls.{domain}. 0 IN TXT "v=TLSRPTv1; rua=mailto:tls@{domain}"\n'
    policy = f"version: STSv1\nmode: enforce\nmx: mx.{domain}\nmax_age: 604800\n"
    async with RawPeer() as peer:
        delivery = {"nameservers": [f"127.0.0.1:{port}"], "smtp_port": peer.port}
        site = install(tmp_path / "o", delivery=delivery)
        with nameserver.serve(nameserver.Records(zone), LOCALHOST, port):
            kept = {"id": "1", "text": policy, "fetched_at": clock.now(), "expires_at": 4e9, "used_at": clock.now()}
            with changing(site) as connection:
                connection.execute(insert(sts_policy).values(domain=domain, **kept))
            server = await running(site)
            await submit(site, "alice@example.com", [f"carol@{domain}"], message("alice@example.com"))
            await eventually(lambda: events(site, EventKind.DEFERRED), "it waits")
            await server.stop()
            with changing(site) as connection:  # a day later
                for table in (tls_session, tls_policy):
                    connection.execute(update(table).values(day=day - 1))
                report_rows.plan(connection, day - 1, domain, "r1@mail.example.com", 0.0, 0.0)
                connection.execute(update(tls_report).values(tried_until=4e9))
            server = await running(site)
            try:
                (received,) = await peer.wait_for(1)
            finally:
                await server.stop()
    assert (received.reverse_path, received.recipients) == ("", [f"tls@{domain}"])
    assert is_signed_by(received.content, "example.com", site)
    assert b":tls-report-domain:tls-report-submitter;" in re.sub(rb"\s", b"", received.content).lower()
    _, file = email.message_from_bytes(received.content, policy=email.policy.default).iter_parts()
    (told,) = json.loads(gzip.decompress(file.get_content()))["policies"]
    assert told["policy"]["policy-string"] == policy.splitlines()
    assert told["summary"] == {"total-successful-session-count": 0, "total-failure-session-count": 1}
    assert told["failure-details"][0]["result-type"] == "starttls-not-supported"
    with changing(site) as connection:
        assert report_rows.of_day(connection, day - 1, [domain])[domain].state is ReportState.SENT
        assert session_rows.of_domain(connection, day, domain) == []


async def test_a_code_that_never_arrives_is_told_to_the_postmaster(site: Site) -> None:
    async with RawPeer(answer=lambda line: "550 5.1.1 No" if line.startswith("RCPT") else None) as relay:
        await site.set_domain_gateway(relay.port, Security.NONE)
        await asyncio.to_thread(add_and_confirm, site, PARTNER)
        server = await running(site)
        try:
            await eventually(lambda: inbox(site, "postmaster@example.com"), "the report is there")
        finally:
            await server.stop()
    (report,) = inbox(site, "postmaster@example.com")
    assert PARTNER in report.as_string()


@pytest.mark.parametrize("address", ["<Postmaster>", "<postmaster@example.com>", "<ABUSE@Example.com>"])
@pytest.mark.parametrize("named", ["", "bob@example.com"])
async def test_postmaster_and_abuse_always_have_a_mailbox(tmp_path: Path, address: str, named: str) -> None:
    site = install(tmp_path / "o", local={"postmaster": named})
    server = await running(site)

    def send() -> tuple[int, bytes]:
        with client(site) as session:
            session.mail("alice@example.com")
            session.putcmd(f"RCPT TO:{address}")
            assert session.getreply()[0] == 250
            return session.data(message("alice@example.com"))

    try:
        assert (await asyncio.to_thread(send))[0] == 250
        role = address.strip("<>").lower().partition("@")[0] + "@example.com"
        await eventually(lambda: inbox(site, named or role), "it is there")
    finally:
        await server.stop()


async def test_a_mailbox_server_is_told_who_the_postmaster_is(tmp_path: Path) -> None:
    async with RawPeer(lmtp=True) as mailboxes:
        local = {"mailbox": f"lmtp://127.0.0.1:{mailboxes.port}", "postmaster": "bob@example.com"}
        site = install(tmp_path / "o", local=local)
        server = await running(site)
        try:
            to = ["postmaster@example.com", "carol@example.com"]
            await submit(site, "alice@example.com", to, message("alice@example.com"))
            received = await mailboxes.wait_for(1)
        finally:
            await server.stop()
    assert sorted(one for each in received for one in each.recipients) == ["bob@example.com", "carol@example.com"]


async def test_an_administrator_is_told_once_of_a_gateway_that_fails(tmp_path: Path) -> None:
    settings = {"retry_first": 0.05, "retry_factor": 1, "fault_report_after": 0.05, "notices_to": "bob@example.com"}
    site = install(tmp_path / "o", delivery=settings)
    async with RawPeer(tls=site.authority.server_context(LOCALHOST), credentials={PARTNER: "changed"}) as gateway:
        await site.switch(on=True)
        await site.add_external("alice@example.com", PARTNER, gateway.port)
        server = await running(site)
        try:
            for number in range(2):
                await submit(site, PARTNER, content=message(PARTNER, f"number {number}"))
            await eventually(lambda: inbox(site, "alice@example.com"), "the user is told")
            await eventually(lambda: inbox(site, "bob@example.com"), "the administrator is told")
        finally:
            await server.stop()
    (notice,) = inbox(site, "bob@example.com")
    told = notice.get_content()
    assert "535 5.7.8 Wrong user or password" in told
    assert str(notice["Subject"]) == f"Mail by localhost ({PARTNER}) waits"
    assert f"localhost ({PARTNER}), the gateway of {PARTNER} (alice@example.com)" in told
    assert "outgate queue retry --queue gateway:1" in told
    assert f"outgate sendas gateway set alice@example.com {PARTNER} --username={PARTNER}" in told
    assert GATEWAY_PASSWORD not in notice.as_string()
    (told_user,) = inbox(site, "alice@example.com")
    assert str(told_user["Subject"]) == f"Your mail from {PARTNER} waits: localhost refuses the password"
    assert "ask your administrator" in told_user.get_content()


@pytest.mark.parametrize(("days", "told"), [(-1.0, "has expired"), (5.5, "ends in 5 days")])
async def test_an_administrator_is_told_once_of_a_certificate_that_ends(tmp_path: Path, days: float, told: str) -> None:
    site = install(tmp_path / "o", delivery={"notices_to": "bob@example.com"})
    chain, key = self_signed(HOSTNAME, clock.now() - (VALID_DAYS - 1 - days) * 86400)
    (site.data / "tls" / "cert.pem").write_bytes(chain)
    (site.data / "tls" / "key.pem").write_bytes(key)
    for _ in range(2):
        server = await running(site)
        try:
            await eventually(lambda: inbox(site, "bob@example.com"), "the administrator is told")
        finally:
            await server.stop()
    (notice,) = inbox(site, "bob@example.com")
    assert str(notice["Subject"]) == f"The certificate {told}: {HOSTNAME}"
    assert str(site.data / "tls" / "cert.pem") in notice.get_content()
    assert "systemctl reload outgate" in notice.get_content()


@pytest.mark.parametrize("held", ["", "Message-ID: <wl-alice@example.com>\r\n"])
async def test_a_message_is_found_by_the_message_id_that_it_leaves_with(
    site: Site, gateway: RawPeer, held: str
) -> None:
    await site.switch(on=True)
    await site.add_external("alice@example.com", PARTNER, gateway.port)
    server = await running(site)
    try:
        await submit(site, PARTNER, content=f"From: {PARTNER}\r\n{held}\r\nHello\r\n".encode())
        (received,) = await gateway.wait_for(1)
    finally:
        await server.stop()
    message_id = email.message_from_bytes(received.content)["Message-ID"]
    assert message_id.endswith("@dominiopartner.example>")
    place = site.place()
    with read(place.engine) as connection:
        found = list(message_log.search(connection, MessageFilter(message_id=message_id)))
    place.engine.dispose()
    assert len(found) == 1


async def test_refusals_of_the_envelope_are_on_record_and_bounded(site: Site) -> None:
    server = await running(site)

    def session() -> None:
        with client(site) as open_session:
            for sender in ("stranger@elsewhere.example", "bob@example.com"):
                assert open_session.mail(sender)[0] == 550
            open_session.mail("alice@example.com")
            for number in range(30):
                with_reply = open_session.rcpt(f"nobody{number}@example.com")
                if with_reply[0] == 421:
                    break

    try:
        with contextlib.suppress(smtplib.SMTPServerDisconnected):
            await asyncio.to_thread(session)
        await eventually(lambda: len(events(site, EventKind.REFUSED)) >= 10, "they are on record")
    finally:
        await server.stop()
    refused = events(site, EventKind.REFUSED)
    assert len(refused) <= 20
    first, second, third = (one.detail for one in refused[:3])
    assert (first["mail_from"], first["account"]) == ("stranger@elsewhere.example", "alice@example.com")
    assert second["mail_from"] == "bob@example.com"
    assert (third["mail_from"], third["recipients"]) == ("alice@example.com", ["nobody0@example.com"])
    assert third["refused"].startswith("550 5.1.1 <nobody0@example.com>")
    assert all(one.detail["peer"] == "127.0.0.1" for one in refused)


@pytest.mark.parametrize(
    ("subject", "options", "asked"),
    [
        ("Grüße", ["BODY=8BITMIME"], False),
        ("Grüße", ["BODY=8BITMIME", "SMTPUTF8"], True),
        ("Hello", ["SMTPUTF8"], False),
    ],
)
async def test_smtputf8_is_asked_for_only_where_it_was_and_is_needed(
    site: Site, subject: str, options: list[str], asked: bool
) -> None:
    async with RawPeer() as relay:
        await site.set_domain_gateway(relay.port, Security.NONE)
        server = await running(site)

        def send() -> None:
            with client(site) as session:
                session.sendmail("alice@example.com", ["c@x.example"], message("alice@example.com", subject), options)

        try:
            await asyncio.to_thread(send)
            (received,) = await relay.wait_for(1)
        finally:
            await server.stop()
    assert ("SMTPUTF8" in received.mail_params) == asked


@pytest.mark.parametrize(("offers", "action"), [((), "relayed"), (("DSN",), None)])
async def test_success_is_reported_where_the_next_server_does_not(
    site: Site, offers: tuple[str, ...], action: str | None
) -> None:
    async with RawPeer(offers=("8BITMIME", *offers)) as relay:
        await site.set_domain_gateway(relay.port, Security.NONE)
        server = await running(site)

        def send() -> None:
            with client(site) as session:
                notify = ["NOTIFY=SUCCESS,FAILURE"]
                raw = message("alice@example.com")
                session.sendmail("alice@example.com", ["c@x.example", "bob@example.com"], raw, [], notify)

        try:
            await asyncio.to_thread(send)
            await relay.wait_for(1)
            wanted = 2 if action else 1
            await eventually(lambda: len(inbox(site, "alice@example.com")) == wanted, "reports are there")
        finally:
            await server.stop()
    told = "".join(one.as_string() for one in inbox(site, "alice@example.com"))
    assert "Final-Recipient: rfc822; bob@example.com\nAction: delivered" in told
    assert ("Final-Recipient: rfc822; c@x.example\nAction: relayed" in told) == bool(action)
