"""Compliance on the whole way: journal, footer, attachments and recipients of mail by users' gateways."""

import asyncio
import email
import email.policy
import re
import smtplib
from email.message import EmailMessage
from pathlib import Path

import pytest
from sqlalchemy import func, select

from corpus.inbox import Received
from corpus.peer import HANG, RawPeer
from outgate.queue import Put
from outgate.record.events import EventKind, MessageEvent
from outgate.store import tables
from outgate.store.engine import StoreUnavailable, read
from way.conftest import PARTNER
from way.place import GATEWAY_PASSWORD, LOCALHOST, Site, eventually, install, listens, running, serve
from way.submit import client, message, submit
from way.test_policy_in_force import events, set_policy

ALICE = "alice@example.com"
ARCHIVE = "archive@journal.example"
CAROL = "carol@recipient.example"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return install(tmp_path / "outgate", delivery={"retry_first": 1, "retry_factor": 1})


def parsed_message(content: bytes) -> EmailMessage:
    parsed = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def with_attachment(name: str, content: bytes, media_type: str = "application/octet-stream") -> bytes:
    made = EmailMessage(policy=email.policy.SMTP)
    made["From"], made["To"], made["Subject"] = PARTNER, CAROL, "With a file"
    made["Date"], made["Message-ID"] = "Mon, 23 Nov 2026 10:00:00 +0000", "<1@client.example>"
    made.set_content("See the file.\n")
    maintype, _, subtype = media_type.partition("/")
    made.add_attachment(content, maintype=maintype, subtype=subtype, filename=name)
    return made.as_bytes()


class Peers:
    """The partner's gateway, and the organisation's relay."""

    def __init__(self, site: Site, answer: object = None) -> None:
        context = site.authority.server_context(LOCALHOST)
        self.gateway = RawPeer(tls=context, credentials={PARTNER: GATEWAY_PASSWORD}, answer=answer)  # type: ignore[arg-type]  # an Answer
        self.relay = RawPeer(tls=context, credentials={"relay": GATEWAY_PASSWORD})
        self._site = site

    async def __aenter__(self) -> "Peers":
        await self.gateway.__aenter__()
        await self.relay.__aenter__()
        await self._site.switch(on=True)
        await self._site.add_external(ALICE, PARTNER, self.gateway.port)
        await self._site.set_domain_gateway(self.relay.port)
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.gateway.__aexit__(None, None, None)
        await self.relay.__aexit__(None, None, None)


def waiting(site: Site) -> int:
    """How many recipients have no outcome yet."""
    place = site.place()
    with read(place.engine) as connection:
        found = connection.scalar(select(func.count()).select_from(tables.recipient)) or 0
    place.engine.dispose()
    return found


def journalled(received: Received) -> tuple[EmailMessage, bytes]:
    """The journal message, and the bytes of the message in it."""
    outer = parsed_message(received.content)
    boundary = outer.get_boundary()
    assert boundary
    part = received.content.split(f"\r\n--{boundary}".encode())[2]
    return outer, part.split(b"\r\n\r\n", 1)[1]


@pytest.mark.parametrize("size", [100, 700_000])
async def test_what_leaves_by_a_gateway_is_in_the_journal_byte_for_byte(site: Site, size: int) -> None:
    async with Peers(site) as peers:
        await set_policy(site, gatewayJournalAddress=ARCHIVE, gatewayFooter="Example S.p.A.")
        server = await running(site)
        try:
            lines = "".join(f"Line {n} of this message\r\n" for n in range(size // 25))
            await submit(site, PARTNER, [CAROL, "dora@recipient.example"], message(PARTNER, body=lines))
            (left,) = await peers.gateway.wait_for(1)
            (copy,) = await peers.relay.wait_for(1)
            await submit(site, ALICE, content=message(ALICE))
            await peers.relay.wait_for(2)
        finally:
            await server.stop()
    assert copy.recipients == [ARCHIVE]
    assert copy.reverse_path == "postmaster@example.com"
    outer, inner = journalled(copy)
    assert inner == left.content
    text = outer.get_body(("plain",))
    assert text is not None
    told = text.get_content()
    for part in (ALICE, f"MAIL FROM: {PARTNER}", CAROL, "dora@recipient.example", f"localhost:{peers.gateway.port}"):
        assert part in told
    assert inner.endswith(b"-- \r\nExample S.p.A.\r\n")
    kinds = [one.kind for one in events(site)]
    assert kinds.count(EventKind.JOURNALLED) == 1
    assert kinds.index(EventKind.JOURNALLED) < kinds.index(EventKind.ATTEMPT)


async def test_a_large_message_gets_its_footer_and_is_in_the_journal(site: Site) -> None:
    async with Peers(site) as peers:
        await set_policy(site, gatewayJournalAddress=ARCHIVE, gatewayFooter="Example", maxAttachmentBytes=4_000_000)
        server = await running(site)
        try:
            sent = with_attachment("large.bin", bytes(range(256)) * 12_000)
            await submit(site, PARTNER, content=sent)
            (left,) = await peers.gateway.wait_for(1)
            (copy,) = await peers.relay.wait_for(1)
        finally:
            await server.stop()
    assert journalled(copy)[1] == left.content
    assert left.mail_params["SIZE"] == str(len(left.content))
    text = parsed_message(left.content).get_body(("plain",))
    assert text is not None
    assert text.get_content().replace("\r\n", "\n") == "See the file.\n\n-- \nExample\n"
    assert left.content[-4_000_000:] == sent[-4_000_000:]


async def test_a_message_that_is_tried_again_is_in_the_journal_once(site: Site) -> None:
    tries = 0

    def answer(line: str) -> str | None:
        nonlocal tries
        tries += line.startswith("MAIL")
        return "451 4.3.0 Not yet" if line.startswith("MAIL") and tries < 3 else None

    async with Peers(site, answer) as peers:
        await set_policy(site, gatewayJournalAddress=ARCHIVE)
        server = await running(site)
        try:
            await submit(site, PARTNER)
            await peers.gateway.wait_for(1)
            await peers.relay.wait_for(1)
        finally:
            await server.stop()
    assert tries == 3
    assert len(peers.relay.messages) == 1


async def test_a_kill_between_journal_and_hand_over_leaves_one_copy(site: Site) -> None:
    """The gateway is silent at MAIL: then the copy is on disk, and the message is not handed over."""
    killed = False

    def hang_at_mail(line: str) -> str | None:
        return HANG if line.startswith("MAIL") and not killed else None

    async with Peers(site, hang_at_mail) as peers:
        await set_policy(site, gatewayJournalAddress=ARCHIVE)
        process = await serve(site)
        await eventually(lambda: listens(site), "it serves")
        await submit(site, PARTNER)
        await eventually(lambda: any(line.startswith("MAIL") for line in peers.gateway.commands), "MAIL was said")
        process.kill()
        await process.wait()
        killed = True
        assert peers.gateway.messages == []
        server = await running(site)
        try:
            (left,) = await peers.gateway.wait_for(1)
            await eventually(lambda: waiting(site) == 0, "nothing waits any more")
        finally:
            await server.stop()
    kinds = [one.kind for one in events(site)]
    assert kinds.count(EventKind.JOURNALLED) == 1
    copies = {journalled(one)[1] for one in peers.relay.messages}
    assert copies == {left.content}


@pytest.mark.parametrize("recipients", [3, 230])
async def test_a_message_in_several_transactions_has_one_copy_that_names_all(site: Site, recipients: int) -> None:
    async with Peers(site) as peers:
        await set_policy(site, gatewayJournalAddress=ARCHIVE)
        server = await running(site)
        try:
            names = [f"r{n}@recipient.example" for n in range(recipients)]
            await submit(site, PARTNER, names)
            await peers.gateway.wait_for(-(-recipients // 100))
            await eventually(lambda: waiting(site) == 0, "nothing waits any more")
        finally:
            await server.stop()
    (copy,) = peers.relay.messages
    text = journalled(copy)[0].get_body(("plain",))
    assert text is not None
    assert [line[11:] for line in text.get_content().splitlines() if line.startswith("Recipient: ")] == names


async def test_nothing_leaves_while_its_copy_can_not_be_stored(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two transactions at once: neither takes the other's failure for a copy."""
    full = True
    async with Peers(site) as peers:
        await set_policy(site, gatewayJournalAddress=ARCHIVE)
        server = await running(site)
        queue = server._queue
        put = queue.put

        async def on_a_full_disk(change: Put) -> None:
            await asyncio.sleep(0)
            if full and change.journal_of is not None:
                raise StoreUnavailable("the disk is full")
            await put(change)

        monkeypatch.setattr(queue, "put", on_a_full_disk)
        try:
            await submit(site, PARTNER, [f"r{n}@recipient.example" for n in range(150)])
            await eventually(lambda: len({one.detail["recipient"] for one in _deferred(site)}) == 150, "all wait")
            assert {one.detail["reason"] for one in _deferred(site)} == {
                "4.3.1 the copy for the journal could not be stored"
            }
            assert peers.gateway.messages == peers.relay.messages == []
            full = False
            await peers.gateway.wait_for(2)
            await peers.relay.wait_for(1)
        finally:
            await server.stop()
    assert [one.kind for one in events(site)].count(EventKind.JOURNALLED) == 1


def _deferred(site: Site) -> list[MessageEvent]:
    return [one for one in events(site) if one.kind is EventKind.DEFERRED]


async def test_a_copy_of_international_mail_leaves_as_such(site: Site) -> None:
    async with Peers(site) as peers:
        await set_policy(site, gatewayJournalAddress=ARCHIVE, gatewayFooter="Società")
        server = await running(site)
        try:
            raw = message(PARTNER, "Größe", "Straße", MIME_Version="1.0", Content_Type="text/plain; charset=utf-8")
            raw = raw.replace(b"MIME-Version", b"Content-Transfer-Encoding: 8bit\r\nMIME-Version")

            def send() -> None:
                with client(site) as session:
                    session.sendmail(PARTNER, [CAROL], raw, mail_options=["BODY=8BITMIME", "SMTPUTF8"])

            await asyncio.to_thread(send)
            (left,) = await peers.gateway.wait_for(1)
            (copy,) = await peers.relay.wait_for(1)
        finally:
            await server.stop()
    assert journalled(copy)[1] == left.content
    assert "Straße\r\n\r\n-- \r\nSocietà\r\n".encode() in left.content
    assert left.mail_params["SIZE"] == str(len(left.content))
    assert copy.mail_params["SIZE"] == str(len(copy.content))
    assert copy.mail_params["BODY"] == "8BITMIME"
    assert "SMTPUTF8" in left.mail_params
    assert "SMTPUTF8" not in copy.mail_params
    attached = [part for part in journalled(copy)[0].walk() if part.get_content_type() == "message/global"]
    assert len(attached) == 1


async def test_a_copy_that_the_archive_refuses_is_told_to_the_postmaster(site: Site) -> None:
    async with Peers(site) as peers:
        await set_policy(site, gatewayJournalAddress="nobody@example.com")
        server = await running(site)
        try:
            await submit(site, PARTNER)
            await peers.gateway.wait_for(1)
            await eventually(lambda: waiting(site) == 0, "nothing waits any more")
        finally:
            await server.stop()
    (bounced, *_) = [one for one in events(site) if one.kind is EventKind.BOUNCED]
    assert bounced.detail["recipient"] == "nobody@example.com"
    assert bounced.detail["report"] is not None


async def test_a_local_archive_gets_its_copy_in_its_mailbox(site: Site) -> None:
    async with Peers(site) as peers:
        await set_policy(site, gatewayJournalAddress="bob@example.com")
        server = await running(site)
        try:
            await submit(site, PARTNER)
            (left,) = await peers.gateway.wait_for(1)
            folder = site.data / "mail"
            await eventually(lambda: list(folder.rglob("new/*")), "the copy is there")
        finally:
            await server.stop()
    (copy,) = folder.rglob("new/*")
    assert left.content.replace(b"\r\n", b"\n").strip() in copy.read_bytes().replace(b"\r\n", b"\n")


@pytest.mark.parametrize(
    ("policy", "name", "content", "why"),
    [
        ({"deniedAttachmentTypes": ".exe"}, "tool.exe", b"MZ", "'tool.exe' may not leave by a user's gateway"),
        ({"maxAttachmentBytes": 1000}, "big.bin", b"x" * 1001, "maxAttachmentBytes is 1000"),
        ({"maxAttachmentBytes": 500_000}, "huge.bin", b"x" * 900_000, "it has 900000 bytes"),
    ],
)
async def test_an_attachment_that_is_denied_is_refused_at_submission(
    site: Site, policy: dict[str, object], name: str, content: bytes, why: str
) -> None:
    async with Peers(site) as peers:
        await set_policy(site, **policy)
        server = await running(site)
        try:
            with pytest.raises(smtplib.SMTPDataError, match=why) as refused:
                await submit(site, PARTNER, content=with_attachment(name, content))
            assert refused.value.smtp_code == 550
            (told,) = [one for one in events(site) if one.kind is EventKind.REFUSED]
            assert re.search(why, told.detail["refused"])
            assert (told.detail["account"], told.detail["recipients"]) == (ALICE, [CAROL])
            await submit(site, PARTNER, content=with_attachment("fine.pdf", b"%PDF", "application/pdf"))
            await peers.gateway.wait_for(1)
            # What the organisation's own servers send is not meant.
            await submit(site, ALICE, content=with_attachment(name, content).replace(PARTNER.encode(), ALICE.encode()))
            await peers.relay.wait_for(1)
        finally:
            await server.stop()


async def test_a_policy_that_comes_while_a_message_waits_is_applied_before_the_hand_over(site: Site) -> None:
    open_for_business = False

    def answer(line: str) -> str | None:
        return None if open_for_business or not line.startswith("MAIL") else "451 4.3.0 Not yet"

    async with Peers(site, answer) as peers:
        server = await running(site)
        try:
            await submit(site, PARTNER, content=with_attachment("tool.exe", b"MZ"))
            await eventually(lambda: any(one.kind is EventKind.DEFERRED for one in events(site)), "it waits")
            await set_policy(site, deniedAttachmentTypes=".exe")
            open_for_business = True
            await eventually(lambda: any(one.kind is EventKind.BOUNCED for one in events(site)), "it comes back")
        finally:
            await server.stop()
    assert peers.gateway.messages == []
    (bounced,) = [one for one in events(site) if one.kind is EventKind.BOUNCED]
    assert "'tool.exe'" in bounced.detail["reason"]


async def test_recipients_can_be_limited_to_domains(site: Site) -> None:
    async with Peers(site) as peers:
        await set_policy(site, allowedRecipientDomains="customer.example")
        server = await running(site)
        try:
            with pytest.raises(smtplib.SMTPDataError, match="allowedRecipientDomains"):
                await submit(site, PARTNER)
            await submit(site, PARTNER, ["dora@customer.example"])
            await peers.gateway.wait_for(1)
        finally:
            await server.stop()


async def test_why_there_is_no_footer_is_on_record(site: Site) -> None:
    async with Peers(site) as peers:
        await set_policy(site, gatewayFooter="Example S.p.A.")
        server = await running(site)
        try:
            signed = message(PARTNER, Content_Type='multipart/signed; boundary="b"', MIME_Version="1.0")
            await submit(site, PARTNER, content=signed)
            (left,) = await peers.gateway.wait_for(1)
            await eventually(lambda: events(site)[-1].kind is EventKind.DELIVERED, "it is delivered")
        finally:
            await server.stop()
    assert b"Example S.p.A." not in left.content
    (attempt,) = [one for one in events(site) if one.kind is EventKind.ATTEMPT]
    assert attempt.detail["footer"] == "not added: the message is signed or encrypted"
