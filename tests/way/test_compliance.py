"""Compliance on the whole way: journal, footer, attachments and recipients of mail by users' gateways."""

import email
import email.policy
import smtplib
from email.message import EmailMessage
from pathlib import Path

import pytest

from corpus.inbox import Received
from corpus.peer import RawPeer
from outgate.record.facts import Kind
from way.conftest import PARTNER
from way.place import GATEWAY_PASSWORD, LOCALHOST, Site, eventually, install, running
from way.submit import message, submit
from way.test_policy_in_force import facts, set_policy

ALICE = "alice@example.com"
ARCHIVE = "archive@journal.example"
CAROL = "carol@recipient.example"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return install(tmp_path / "outgate", delivery={"retry": [1]})


def read(content: bytes) -> EmailMessage:
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


def journalled(received: Received) -> tuple[EmailMessage, bytes]:
    """The journal message, and the bytes of the message in it."""
    outer = read(received.content)
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
    kinds = [one.kind for one in facts(site)]
    assert kinds.count(Kind.JOURNALLED) == 1
    assert kinds.index(Kind.JOURNALLED) < kinds.index(Kind.ATTEMPT)


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
            await eventually(lambda: any(one.kind is Kind.DEFERRED for one in facts(site)), "it waits")
            await set_policy(site, deniedAttachmentTypes=".exe")
            open_for_business = True
            await eventually(lambda: any(one.kind is Kind.BOUNCED for one in facts(site)), "it comes back")
        finally:
            await server.stop()
    assert peers.gateway.messages == []
    (bounced,) = [one for one in facts(site) if one.kind is Kind.BOUNCED]
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
            await eventually(lambda: facts(site)[-1].kind is Kind.DELIVERED, "it is delivered")
        finally:
            await server.stop()
    assert b"Example S.p.A." not in left.content
    (attempt,) = [one for one in facts(site) if one.kind is Kind.ATTEMPT]
    assert attempt.detail["footer"] == "not added: the message is signed or encrypted"
