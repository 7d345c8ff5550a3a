"""Bad input gets a clear answer, nothing is lost, and no credential leaves."""

import asyncio
import base64
import smtplib
import socket
import sqlite3
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from bench.scratch import free_port
from sqlalchemy import select

from corpus.peer import RawPeer
from outgate import config, wiring
from outgate.demo.network import VirtualHost
from outgate.record import message_log
from outgate.record.events import EventKind
from outgate.store import tables
from outgate.store.engine import read
from way.conftest import PARTNER
from way.place import GATEWAY_PASSWORD, PASSWORD, Site, eventually, install, running
from way.submit import client, message

Dialogue = Callable[[smtplib.SMTP], tuple[int, bytes]]


@pytest_asyncio.fixture
async def server(site: Site) -> AsyncIterator[wiring.ServerProcess]:
    """The running server of `site`."""
    started = await running(site)
    yield started
    await started.stop()


async def _talk(site: Site, dialogue: Dialogue) -> tuple[int, str]:
    """Run a dialogue as alice in a thread; its last reply."""

    def work() -> tuple[int, str]:
        with client(site) as session:
            session.ehlo()
            code, text = dialogue(session)
            return code, text.decode()

    return await asyncio.to_thread(work)


def _log_in(site: Site, account: str, password: str) -> tuple[int, bytes]:
    """One AUTH PLAIN, as smtplib's login would try several mechanisms."""
    with smtplib.SMTP_SSL("localhost", site.tls, context=site.client_context()) as session:
        session.ehlo()
        response = base64.b64encode(f"\0{account}\0{password}".encode()).decode()
        return session.docmd(f"AUTH PLAIN {response}")


def _send(sender: str, content: bytes) -> Dialogue:
    def dialogue(session: smtplib.SMTP) -> tuple[int, bytes]:
        code, text = session.mail(sender)
        if code != 250:
            return code, text
        session.rcpt("carol@recipient.example")
        session.putcmd("data")
        session.getreply()
        session.send(content + b"\r\n.\r\n")
        return session.getreply()

    return dialogue


# --- log-in ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("server")
async def test_wrong_passwords_are_throttled_even_for_the_right_one(tmp_path: Path) -> None:
    site = install(tmp_path / "throttled", log_in={"failures_per_account": "3/10minutes"})
    server = await running(site)

    try:
        replies = [await asyncio.to_thread(_log_in, site, "alice@example.com", "wrong") for _ in range(3)]
        assert [code for code, _ in replies] == [535] * 3
        assert (await asyncio.to_thread(_log_in, site, "alice@example.com", PASSWORD))[0] == 454
        assert (await asyncio.to_thread(_log_in, site, "bob@example.com", PASSWORD))[0] == 235
    finally:
        await server.stop()


@pytest.mark.usefixtures("server")
async def test_the_reply_does_not_tell_whether_a_user_exists(site: Site) -> None:
    alice = await asyncio.to_thread(_log_in, site, "alice@example.com", "wrong")
    nobody = await asyncio.to_thread(_log_in, site, "nobody@example.com", "wrong")
    assert alice == nobody == (535, b"5.7.8 Authentication credentials invalid")


@pytest.mark.usefixtures("server")
async def test_nobody_logs_in_without_tls(site: Site) -> None:
    def work() -> tuple[int, bytes]:
        with smtplib.SMTP("localhost", site.starttls) as session:
            session.ehlo()
            assert "auth" not in session.esmtp_features
            return session.docmd("AUTH PLAIN AGFsaWNlAHg=")

    assert (await asyncio.to_thread(work))[0] == 538


# --- addresses -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    ("envelope", "header"),
    [
        ("bob@example.com", "bob@example.com"),
        ("alice@example.com", "bob@example.com"),
        ("alice@example.com", "alice@example.com, bob@example.com"),
        ("alice@example.com", '"alice@example.com" <ceo@elsewhere.example>'),
    ],
)
async def test_a_from_of_somebody_else_is_refused_with_what_to_do(site: Site, envelope: str, header: str) -> None:
    code, text = await _talk(site, _send(envelope, message(header)))
    assert code == 550
    assert text.startswith("5.7.1")
    assert "is not an address of alice@example.com; add it under 'Send mail as'" in text


@pytest.mark.usefixtures("server")
async def test_an_address_that_is_not_confirmed_is_refused_with_what_to_do(site: Site) -> None:
    await site.add_external("alice@example.com", PARTNER, verified=False)
    code, text = await _talk(site, _send("alice@example.com", message(PARTNER)))
    assert (code, text[:5]) == (550, "5.7.1")
    assert "is not confirmed yet; enter the code" in text


@pytest.mark.usefixtures("server")
async def test_a_mailbox_that_is_not_there_is_refused_at_once(site: Site) -> None:
    def dialogue(session: smtplib.SMTP) -> tuple[int, bytes]:
        session.mail("alice@example.com")
        return session.rcpt("nobody@example.com")

    assert (await _talk(site, dialogue))[0] == 550


@pytest.mark.usefixtures("server")
async def test_ten_thousand_recipients_are_refused_beyond_the_limit_and_the_rest_is_taken(site: Site) -> None:
    await site.set_domain_gateway(free_port())  # nobody is there, so that none leaves or comes back meanwhile

    def dialogue(session: smtplib.SMTP) -> tuple[int, bytes]:
        session.mail("alice@example.com")
        codes = [session.rcpt(f"u{number}@recipient.example")[0] for number in range(10_000)]
        assert codes == [250] * 1000 + [452] * 9000
        session.putcmd("data")
        session.getreply()
        session.send(message("alice@example.com") + b".\r\n")
        return session.getreply()

    assert (await _talk(site, dialogue))[0] == 250
    place = site.place()
    with read(place.engine) as conn:
        assert len(conn.execute(select(tables.recipient)).all()) == 1000


# --- bytes -----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    ("command", "code"),
    [
        (b"MAIL FROM:<\xff\xfe@example.com>\r\n", 501),
        (b"MAIL FROM:<alice\0@example.com>\r\n", 501),
        (b"NOOP " + b"x" * 5000 + b"\r\n", 500),
        (b"MAIL FROM:<alice@example.com> SIZE=99999999999\r\n", 552),
        (b"MAIL FROM:<alice@example.com> WHATEVER=1\r\n", 555),
    ],
)
async def test_a_broken_command_is_named_and_the_session_goes_on(site: Site, command: bytes, code: int) -> None:
    def dialogue(session: smtplib.SMTP) -> tuple[int, bytes]:
        session.send(command)
        assert session.getreply()[0] == code
        return session.mail("alice@example.com")

    assert (await _talk(site, dialogue))[0] == 250


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (message("alice@example.com", body="nul \0 byte"), "NUL"),
        (message("alice@example.com", body="x" * 999), "Line 7 of the content is longer than 998 bytes"),
        (message("alice@example.com").replace(b"few words", b"few\nwords"), "bare CR or LF"),
        (message("alice@example.com", subject="x").replace(b"Subject: x", b"Subject: \xff\xfe"), "not valid UTF-8"),
        (b"Subject: no From\r\n\r\nx", "no From"),
        (b"From: alice@example.com\r\nFrom: bob@example.com\r\n\r\nx", "more than one From"),
        (b"no header at all\r\n\r\nx", "header"),
    ],
)
async def test_content_that_cannot_be_right_is_refused_and_named(site: Site, content: bytes, words: str) -> None:
    code, text = await _talk(site, _send("alice@example.com", content))
    assert code == 550
    assert words in text


async def test_a_message_over_the_size_is_refused_after_it_came(tmp_path: Path) -> None:
    site = install(tmp_path / "small", submission={"max_message_bytes": 100_000})
    await site.set_domain_gateway(free_port())  # nobody is there: what is taken stays
    server = await running(site)
    try:
        big = message("alice@example.com", body="\r\n".join(["x" * 70] * 3000))
        code, text = await _talk(site, _send("alice@example.com", big))
        assert (code, text) == (552, "5.3.4 The message is larger than 100000 bytes")
        assert (await _talk(site, _send("alice@example.com", message("alice@example.com"))))[0] == 250
        place = site.place()
        with read(place.engine) as conn:
            assert len(conn.execute(select(tables.message)).all()) == 1
            assert len(conn.execute(select(tables.chunk)).all()) == 1
    finally:
        await server.stop()


# --- gateways --------------------------------------------------------------------------------------------------------


def _deferred(site: Site) -> list[str]:
    place = site.place()
    with read(place.engine) as conn:
        found = conn.execute(select(tables.fact.c.message_id).distinct()).scalars().all()
        return [
            fact.detail["reason"]
            for message_id in found
            for fact in message_log.history(conn, message_id)
            if fact.kind is EventKind.DEFERRED
        ]


async def _reason_to_wait(site: Site) -> str:
    await _talk(site, _send(PARTNER, message(PARTNER)))
    await eventually(lambda: _deferred(site), "it is deferred")
    return _deferred(site)[0]


@pytest.mark.usefixtures("server")
async def test_mail_for_a_gateway_whose_name_does_not_resolve_waits_and_says_why(site: Site) -> None:
    await site.switch(on=True)
    await site.add_external("alice@example.com", PARTNER, 587, host="gone.invalid")
    assert "the host gone.invalid" in await _reason_to_wait(site)


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("fault", ["name", "chain"])
async def test_no_credential_leaves_when_the_certificate_does_not_match(site: Site, tmp_path: Path, fault: str) -> None:
    if fault == "name":
        context = site.authority.server_context(VirtualHost("other.example", "127.0.0.9"))
    else:
        stranger = install(tmp_path / "stranger")
        context = stranger.authority.server_context(VirtualHost("localhost", "127.0.0.1"))
    async with RawPeer(tls=context, credentials={PARTNER: GATEWAY_PASSWORD}) as gateway:
        await site.switch(on=True)
        await site.add_external("alice@example.com", PARTNER, gateway.port)
        assert "certificate" in await _reason_to_wait(site)
        assert not [line for line in gateway.commands if line.startswith(("AUTH", "MAIL"))]


@pytest.mark.usefixtures("server")
async def test_no_credential_leaves_when_tls_is_not_offered(site: Site) -> None:
    async with RawPeer(credentials={PARTNER: GATEWAY_PASSWORD}) as gateway:
        await site.switch(on=True)
        await site.add_external("alice@example.com", PARTNER, gateway.port)
        assert "does not offer STARTTLS" in await _reason_to_wait(site)
        assert not [line for line in gateway.commands if line.startswith(("AUTH", "MAIL"))]


@pytest.mark.usefixtures("server")
async def test_mail_for_a_gateway_that_refuses_the_log_in_waits(site: Site, tmp_path: Path) -> None:
    context = site.authority.server_context(VirtualHost("localhost", "127.0.0.1"))
    async with RawPeer(tls=context, credentials={PARTNER: "changed meanwhile"}) as gateway:
        await site.switch(on=True)
        await site.add_external("alice@example.com", PARTNER, gateway.port)
        assert "log-in refused: 535" in await _reason_to_wait(site)
        assert gateway.messages == []


# --- the database and the configuration ------------------------------------------------------------------------------


@pytest.mark.usefixtures("server")
async def test_a_locked_database_defers_the_client_and_nothing_is_acknowledged(site: Site) -> None:
    blocker = sqlite3.connect(site.data / "outgate.db", isolation_level=None, check_same_thread=False)
    # In a thread: the server, in the same process, may hold the lock and want the loop to let it go.
    await asyncio.to_thread(blocker.execute, "BEGIN IMMEDIATE")
    send = _send("alice@example.com", message("alice@example.com"))
    assert await _talk(site, send) == (451, "4.3.1 Can't store the message now; try again later")
    blocker.execute("ROLLBACK")
    blocker.close()
    assert (await _talk(site, send))[0] == 250


def test_an_unknown_setting_is_named(tmp_path: Path) -> None:
    (tmp_path / "outgate.toml").write_text("[submission]\nstarttls_prot = 587\n")
    with pytest.raises(config.ConfigError, match=r"no setting 'submission\.starttls_prot'"):
        config.load(tmp_path)


def test_an_unknown_variable_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTGATE_SUBMISION__STARTTLS_PORT", "587")
    with pytest.raises(config.ConfigError, match="OUTGATE_SUBMISION__STARTTLS_PORT"):
        config.load(tmp_path)


@pytest.mark.usefixtures("server")
async def test_plain_text_on_the_tls_port_harms_nobody(site: Site) -> None:
    def work() -> None:
        with socket.create_connection(("127.0.0.1", site.tls)) as wrong:
            wrong.sendall(b"EHLO me\r\n")
            wrong.recv(100)

    await asyncio.to_thread(work)
    assert (await _talk(site, _send("alice@example.com", message("alice@example.com"))))[0] == 250


async def test_a_certificate_is_read_again_without_a_restart(site: Site, server: wiring.ServerProcess) -> None:
    def fingerprint(port: int) -> str:
        return ssl.get_server_certificate(("127.0.0.1", port))

    before = await asyncio.to_thread(fingerprint, site.tls)
    chain, key = site.authority.issue(VirtualHost("localhost", "127.0.0.1"))
    chain.rename(site.data / "tls" / "cert.pem")
    key.rename(site.data / "tls" / "key.pem")
    server.reload()
    assert await asyncio.to_thread(fingerprint, site.tls) != before
