"""What becomes of a message by each way: reports, local mailboxes, restarts, PostgreSQL."""

import asyncio
import contextlib
import email
import email.policy
import smtplib
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

import pytest

from corpus.peer import RawPeer
from outgate import clock
from outgate.demo.network import VirtualHost
from outgate.model import Security
from outgate.queue.admin import Selection, retry
from outgate.record import message_log
from outgate.record.events import EventKind, MessageEvent
from outgate.store.engine import read, write
from way.conftest import PARTNER
from way.place import GATEWAY_PASSWORD, LOCALHOST, Site, eventually, install, running
from way.submit import client, message, submit


def _mailbox(site: Site, user: str = "alice@example.com") -> list[EmailMessage]:
    folder = site.data / "mail" / user / "new"
    return [
        email.message_from_bytes(path.read_bytes(), policy=email.policy.default) for path in sorted(folder.glob("*"))
    ]


def _events(site: Site) -> list[MessageEvent]:
    place = site.place()
    with read(place.engine) as conn:
        found = [fact for _, fact in message_log.latest(conn, 0, 1000)]
    place.engine.dispose()
    return found


async def test_a_refusal_comes_back_to_the_primary_address_and_quotes_the_reply(site: Site) -> None:
    def answer(line: str) -> str | None:
        return "550 5.1.1 There is no carol here" if line.startswith("RCPT") else None

    context = site.authority.server_context(LOCALHOST)
    async with RawPeer(tls=context, credentials={PARTNER: GATEWAY_PASSWORD}, answer=answer) as gateway:
        await site.switch(on=True)
        await site.add_external("alice@example.com", PARTNER, gateway.port)
        server = await running(site)
        try:
            await submit(site, PARTNER)
            await eventually(lambda: _events(site)[-1].kind.value == "delivered", "the report is delivered")
        finally:
            await server.stop()
        assert gateway.messages == []
    (report,) = _mailbox(site)
    assert report["Return-Path"] == "<>"
    assert report.get_content_type() == "multipart/report"
    status = report.get_payload()[1].as_string()  # type: ignore[union-attr,index] # a multipart's parts
    assert "Final-Recipient: rfc822; carol@recipient.example" in status
    assert "There is no carol here" in status
    kinds = [fact.kind.value for fact in _events(site)]
    assert kinds[:4] == ["accepted", "routed", "attempt", "bounced"]
    assert kinds[-1] == "delivered"


async def test_no_report_is_made_about_mail_with_a_null_sender(site: Site) -> None:
    async with RawPeer(answer=lambda line: "550 5.1.1 no" if line.startswith("RCPT") else None) as relay:
        await site.set_domain_gateway(relay.port, Security.NONE)
        server = await running(site)
        try:
            await submit(site, "", content=message("alice@example.com"))
            await eventually(lambda: "bounced" in [fact.kind.value for fact in _events(site)], "it failed")
        finally:
            await server.stop()
    assert [fact.detail["report"] for fact in _events(site) if fact.kind.value == "bounced"] == [None]
    assert _mailbox(site) == []


RECEIPT = {"Content_Type": "multipart/report; report-type=disposition-notification; boundary=b"}


@pytest.mark.parametrize(
    ("answer", "of_receipt"),
    [
        (None, ""),
        (lambda line: "553 5.7.1 No null sender" if line.startswith("MAIL FROM:<>") else None, PARTNER),
        (lambda line: "550 5.7.1 No" if line.startswith("MAIL FROM:<> ") else None, PARTNER),
    ],
)
async def test_receipts_and_automatic_replies_take_the_users_gateway_and_show_no_other_address(
    site: Site, answer: Callable[[str], str | None] | None, of_receipt: str
) -> None:
    context = site.authority.server_context(LOCALHOST)
    credentials = {PARTNER: GATEWAY_PASSWORD}
    async with RawPeer(tls=context, credentials=credentials, answer=answer) as gateway, RawPeer() as relay:
        await site.switch(on=True)
        await site.add_external("alice@example.com", PARTNER, gateway.port)
        await site.set_domain_gateway(relay.port, Security.NONE)
        server = await running(site)
        try:
            await submit(site, "", content=message(PARTNER, **RECEIPT))
            await submit(site, PARTNER, content=message(PARTNER, Auto_Submitted="auto-replied"))
            received = await gateway.wait_for(2)
            await eventually(lambda: [one.kind for one in _events(site)].count(EventKind.DELIVERED) == 2, "recorded")
        finally:
            await server.stop()
    assert sorted(one.reverse_path for one in received) == sorted([of_receipt, PARTNER])
    assert not any(b"alice@example.com" in one.content for one in received)
    assert relay.messages == []
    attempts = [one.detail["mail_from"] for one in _events(site) if one.kind is EventKind.ATTEMPT]
    assert sorted(attempts) == sorted([of_receipt, PARTNER])


async def test_a_gateway_that_refuses_the_null_sender_at_the_recipient_gets_the_address(site: Site) -> None:
    context = site.authority.server_context(LOCALHOST)
    null: list[bool] = []

    def answer(line: str) -> str | None:
        if line.startswith("MAIL"):
            null.append("<>" in line)
        return "553 5.7.1 <>: Sender address rejected" if line.startswith("RCPT") and null[-1] else None

    async with RawPeer(tls=context, credentials={PARTNER: GATEWAY_PASSWORD}, answer=answer) as gateway:
        await site.switch(on=True)
        await site.add_external("alice@example.com", PARTNER, gateway.port)
        server = await running(site)
        try:
            await submit(site, "", content=message(PARTNER, **RECEIPT))
            (received,) = await gateway.wait_for(1)
        finally:
            await server.stop()
    assert received.reverse_path == PARTNER


async def test_a_gateway_may_want_tls_from_the_first_byte(site: Site) -> None:
    context = site.authority.server_context(LOCALHOST)
    async with RawPeer(tls=context, implicit_tls=True, credentials={PARTNER: GATEWAY_PASSWORD}) as gateway:
        await site.switch(on=True)
        await site.add_external("alice@example.com", PARTNER, gateway.port, security=Security.SSL)
        server = await running(site)
        try:
            await submit(site, PARTNER)
            (received,) = await gateway.wait_for(1)
        finally:
            await server.stop()
    assert (received.username, bool(received.tls)) == (PARTNER, True)


async def test_two_accounts_with_one_address_each_use_their_own_credential(site: Site) -> None:
    context = site.authority.server_context(LOCALHOST)
    async with (
        RawPeer(tls=context, credentials={PARTNER: GATEWAY_PASSWORD}) as alices,
        RawPeer(tls=context, credentials={PARTNER: GATEWAY_PASSWORD}) as bobs,
    ):
        await site.switch(on=True)
        await site.add_external("alice@example.com", PARTNER, alices.port)
        await site.add_external("bob@example.com", PARTNER, bobs.port)
        server = await running(site)
        try:
            for _ in range(5):
                await submit(site, PARTNER, account="alice@example.com")
                await submit(site, PARTNER, account="bob@example.com", content=message(PARTNER, "from bob"))
            from_alice, from_bob = await alices.wait_for(5), await bobs.wait_for(5)
        finally:
            await server.stop()
    assert not any(b"from bob" in one.content for one in from_alice)
    assert all(b"from bob" in one.content for one in from_bob)


async def test_a_colleague_named_twice_gets_one_copy(site: Site) -> None:
    server = await running(site)
    try:
        await submit(site, "alice@example.com", ["bob@example.com", "Bob@Example.com"], message("alice@example.com"))
        await eventually(lambda: any(one.kind is EventKind.DELIVERED for one in _events(site)), "it is delivered")
    finally:
        await server.stop()
    assert len(_mailbox(site, "bob@example.com")) == 1
    assert [one.kind for one in _events(site)].count(EventKind.DELIVERED) == 1


async def test_mail_to_a_colleague_lands_in_their_maildir_on_behalf_of_the_sender(site: Site) -> None:
    await site.add_external("alice@example.com", PARTNER)
    server = await running(site)
    try:
        await submit(site, PARTNER, ["bob@example.com"], message(PARTNER))
        await eventually(lambda: _mailbox(site, "bob@example.com"), "it is there")
    finally:
        await server.stop()
    (found,) = _mailbox(site, "bob@example.com")
    assert (found["From"], found["Sender"], found["Return-Path"]) == (
        PARTNER,
        "alice@example.com",
        "<alice@example.com>",
    )


@pytest.mark.parametrize("kind", ["smtp", "lmtp"])
async def test_a_mailbox_server_gets_the_organisations_mail(tmp_path: Path, kind: str) -> None:
    async with RawPeer(lmtp=kind == "lmtp") as server_of_mailboxes:
        site = install(tmp_path / "o", local={"mailbox": f"{kind}://127.0.0.1:{server_of_mailboxes.port}"})
        server = await running(site)
        try:
            await submit(site, "alice@example.com", ["anybody@example.com"], message("alice@example.com"))
            (received,) = await server_of_mailboxes.wait_for(1)
        finally:
            await server.stop()
    assert received.recipients == ["anybody@example.com"]


async def test_a_message_accepted_before_a_restart_is_delivered_after_it(site: Site) -> None:
    context = site.authority.server_context(LOCALHOST)
    await site.switch(on=True)
    async with RawPeer(tls=context, credentials={PARTNER: GATEWAY_PASSWORD}, answer=_not_yet) as gateway:
        await site.add_external("alice@example.com", PARTNER, gateway.port)
        server = await running(site)
        await submit(site, PARTNER)
        await eventually(lambda: "deferred" in [fact.kind.value for fact in _events(site)], "it was tried")
        await server.stop()
        gateway.answer = None
        _due_now(site)
        server = await running(site)
        try:
            await gateway.wait_for(1)
        finally:
            await server.stop()


def _not_yet(line: str) -> str | None:
    return "451 4.3.0 Not yet" if line.startswith("MAIL") else None


def _due_now(site: Site) -> None:
    place = site.place()
    with write(place.engine) as conn:
        retry(conn, Selection(), clock.now())
    place.engine.dispose()


async def test_the_same_path_on_postgresql(tmp_path: Path, new_postgresql: Callable[..., str]) -> None:
    url = new_postgresql()
    site = install(tmp_path / "o", database_url=url, top={"database_url": url})
    context = site.authority.server_context(VirtualHost("localhost", "127.0.0.1"))
    async with RawPeer(tls=context, credentials={PARTNER: GATEWAY_PASSWORD}) as gateway:
        await site.switch(on=True)
        await site.add_external("alice@example.com", PARTNER, gateway.port)
        server = await running(site)
        try:
            await asyncio.gather(*(submit(site, PARTNER) for _ in range(5)))
            received = await gateway.wait_for(5)
            await eventually(lambda: [fact.kind.value for fact in _events(site)].count("delivered") == 5, "recorded")
        finally:
            await server.stop()
    assert {one.reverse_path for one in received} == {PARTNER}


async def test_a_silent_session_is_closed_with_421(tmp_path: Path) -> None:
    site = install(tmp_path / "o", submission={"command_timeout": 1})
    server = await running(site)

    def wait() -> tuple[int, bytes]:
        session = _logged_in_in_time(site)
        reply = session.getreply()
        session.close()
        return reply

    try:
        assert (await asyncio.to_thread(wait))[0] == 421
    finally:
        await server.stop()


def _logged_in_in_time(site: Site) -> smtplib.SMTP:
    """Where the machine was too slow for a second between two commands, once more."""
    while True:
        with contextlib.suppress(smtplib.SMTPException):
            return client(site)


async def test_sessions_hear_421_when_the_server_stops(site: Site) -> None:
    server = await running(site)
    session: smtplib.SMTP = await asyncio.to_thread(client, site)
    await server.stop()
    assert (await asyncio.to_thread(session.getreply))[0] == 421
    session.close()
