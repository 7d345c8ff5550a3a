"""Mail leaves by a provider's interface over HTTPS as it does by SMTP: there byte for byte, slowed down, suspended and
mended, and never lost.
"""

import asyncio
import signal
from email.message import EmailMessage
from email.policy import SMTP

import pytest

from http_gateways.conftest import ALICE, PARTNER, Provided
from http_gateways.mail_provider import google_error, graph_error
from outgate import wiring
from outgate.config import EgressSettings
from outgate.deliver import api_answer, routing
from outgate.demo.certificates import Authority
from outgate.directory.gateway_settings import GatewaySettings
from outgate.model import Cause, Gateway, GatewayKind, Security
from outgate.sendas import common_gateways, proven_domains
from outgate.sendas.proven_domains import AddressGrant
from outgate.store.engine import write
from way.place import eventually, listens, running, serve
from way.submit import message, submit
from way.test_own_mail_leaves import inbox
from web.links import opened

SHARED = "sales@dominiopartner.example"
BOTH = pytest.mark.parametrize("kind", [GatewayKind.GMAIL, GatewayKind.GRAPH])


async def _ready(provided: Provided, kind: GatewayKind) -> None:
    await provided.site.switch(on=True)
    await provided.site.add_external(ALICE, PARTNER)
    await provided.sign_in(kind)


@BOTH
async def test_a_message_is_there_byte_for_byte(provided: Provided, kind: GatewayKind) -> None:
    await _ready(provided, kind)
    site, provider = provided.site, provided.mail
    content = message(PARTNER, body="Grüße\r\n.\r\n..two dots and trailing blanks  \r\n" + "x" * 900)
    # Longer than what is read at once, and of no whole number of groups of base64.
    long = message(PARTNER, "long", body="\r\n".join(["0123456789" * 7] * 30_000) + "!")
    server = await running(site)
    try:
        for one in (content, long):
            await submit(site, PARTNER, ["carol@recipient.example", "blind@recipient.example"], one)
            count = len(provider.sent) + 1
            await eventually(lambda count=count: len(provider.sent) >= count, "the provider has it")
    finally:
        await server.stop()
    for sent, submitted in zip(provider.sent, (content, long), strict=True):
        received, _, rest = sent.content.partition(b"\r\nFrom: ")
        assert received.startswith(b"Received: ")
        assert b"From: " + rest == submitted
        assert b"blind" not in sent.content
        assert sorted(sent.to) == ["blind@recipient.example", "carol@recipient.example"]
        assert sent.user == PARTNER
    assert provider.connections == 1, "the connection is kept"


async def test_whoever_was_granted_an_address_sends_by_the_mailbox_that_an_administrator_has_signed_in_to(
    provided: Provided,
) -> None:
    site, provider = provided.site, provided.mail
    await asyncio.to_thread(_granted, provided, GatewayKind.GRAPH)
    server = await running(site)
    try:
        await submit(site, SHARED, content=message(SHARED))
        await eventually(lambda: provider.sent, "the provider has it")
    finally:
        await server.stop()
    (sent,) = provider.sent
    assert (sent.user, SHARED.encode() in sent.content) == (PARTNER, True)


def _granted(provided: Provided, kind: GatewayKind) -> None:
    """All may send as SHARED, by the mailbox of PARTNER."""
    domain, grant = SHARED.partition("@")[2], AddressGrant(SHARED, None, "/")
    consent = provided.tokens.sign_in(PARTNER)
    wanted = GatewaySettings("localhost", provided.mail.port, Security.SSL, PARTNER, consent=consent, kind=kind)
    with opened(provided.site) as place, write(place.engine) as connection:
        proven_domains.begin(connection, domain, 0.0)
        proven_domains.settle_check(connection, domain, True, 0.0)
        proven_domains.grant(connection, grant, 0.0)
        common_gateways.set_gateway(connection, place.vault, grant, wanted, 0.0)


async def test_what_retry_after_says_is_kept_for_all_of_the_queue(
    provided: Provided, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_answer, "PAUSE", 1.0)
    await _ready(provided, GatewayKind.GRAPH)
    site, provider = provided.site, provided.mail
    throttled = graph_error("ApplicationThrottled", "Application is over its MailboxConcurrency limit.")
    provider.script.append((429, {"Retry-After": "1"}, throttled))
    server = await running(site)
    try:
        await submit(site, PARTNER, content=message(PARTNER, "first"))
        await eventually(provided.restrictions, "the queue is restricted")
        (restriction,) = provided.restrictions()
        await submit(site, PARTNER, content=message(PARTNER, "second"))
        await eventually(lambda: len(provider.sent) == 2, "both have gone")
        await eventually(lambda: not provided.restrictions(), "the restriction is over")
    finally:
        await server.stop()
    assert (restriction.cause, restriction.suspends) == (Cause.RULE, True)
    assert "429" in restriction.reason
    (refused_at, _), *later = provider.asked
    assert len(later) == 2, "nothing was asked meanwhile"
    assert all(at - refused_at > 0.9 for at, _ in later)


async def test_a_message_for_many_that_waited_goes_once_to_all_of_them(
    provided: Provided, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than a claim would take of other queues; and while one of them is held, the others wait."""
    monkeypatch.setattr(routing, "TOGETHER", 0.5)
    await _ready(provided, GatewayKind.GRAPH)
    site, provider = provided.site, provided.mail
    provider.script += [(503, {}, None)] * 1000  # until one of them is held
    many = [f"r{number}@recipient.example" for number in range(130)]
    to = ",\r\n ".join(many).encode()
    server = await running(site)
    try:
        await submit(site, PARTNER, many, message(PARTNER).replace(b"carol@recipient.example", to))
        await eventually(lambda: provider.asked, "it was tried")
        await provided.hold(0, held=True)
        await eventually(lambda: "others of it wait" in provided.last_reply(1), "the others wait")
        provider.script.clear()
        await provided.hold(0, held=False)
        await eventually(lambda: provider.sent or inbox(site, ALICE), "it has gone")
    finally:
        await server.stop()
    assert [sorted(one.to) for one in provider.sent] == [sorted(many)]
    assert inbox(site, ALICE) == []


async def test_a_token_that_is_not_taken_is_renewed_once(provided: Provided) -> None:
    await _ready(provided, GatewayKind.GRAPH)
    site, provider = provided.site, provided.mail
    provided.age_tokens(600)
    taken, refused = provider.whose, set(provided.tokens.secrets)
    provider.whose = lambda token: None if token in refused else taken(token)
    server = await running(site)
    try:
        await submit(site, PARTNER)
        await eventually(lambda: provider.sent, "it has gone")
    finally:
        await server.stop()
    assert [status for _, status in provider.asked] == [401, 202]
    assert len(provided.tokens.refreshes) == 1
    assert not provided.restrictions()


async def test_a_401_suspends_and_the_repair_resumes(provided: Provided) -> None:
    await _ready(provided, GatewayKind.GMAIL)
    site, provider = provided.site, provided.mail
    provided.age_tokens(600)
    taken, provider.whose = provider.whose, lambda _: None
    server = await running(site)
    try:
        await submit(site, PARTNER, content=message(PARTNER, "first"))
        await eventually(lambda: inbox(site, ALICE), "the user is told")
        asked = len(provider.asked)
        await submit(site, PARTNER, content=message(PARTNER, "second"))
        provider.whose = taken
        await provided.sign_in(GatewayKind.GMAIL)
        await eventually(lambda: len(provider.sent) == 2, "both have gone after the repair")
        await eventually(lambda: not provided.restrictions(), "nothing holds it back any more")
    finally:
        await server.stop()
    assert asked == 2, "with the token, and with another"
    (told,) = inbox(site, ALICE)
    assert "401" in told.get_content()
    assert not any(secret in told.as_string() for secret in provided.tokens.secrets)


async def test_what_the_interface_can_t_do_comes_back_with_the_reason(provided: Provided) -> None:
    await _ready(provided, GatewayKind.GRAPH)
    site, provider = provided.site, provided.mail
    denied = graph_error("ErrorSendAsDenied", "The user account doesn't have the right to send as this account.")
    provider.script.append((403, {}, denied))
    server = await running(site)
    try:
        await submit(site, PARTNER)
        await eventually(lambda: len(inbox(site, ALICE)) == 1, "what is refused comes back")
        await submit(site, PARTNER, ["dave@recipient.example"])
        await eventually(lambda: len(inbox(site, ALICE)) == 2, "To names somebody else")
        await submit(site, PARTNER, content=message(PARTNER, body="x" * 78 + "\r\n" + ("y" * 78 + "\r\n") * 40_000))
        await eventually(lambda: len(inbox(site, ALICE)) == 3, "it is too large")
    finally:
        await server.stop()
    told = " ".join("\n".join(" ".join(_text(one).split()) for one in inbox(site, ALICE)).split())
    assert "no right to send as this From address" in told
    assert "carol@recipient.example is not among those that this message is for" in told
    assert "takes at most 3145728 bytes" in told
    assert provider.sent == []


async def test_a_large_message_goes_by_a_draft_where_the_gateway_is_of_that_kind(provided: Provided) -> None:
    await _ready(provided, GatewayKind.GRAPH_DRAFTS)
    site, box = provided.site, provided.mail.mailbox
    made = EmailMessage(policy=SMTP)
    made["From"], made["To"], made["Subject"] = PARTNER, "carol@recipient.example", "Large"
    made.set_content("Please find the file attached.")
    made.add_attachment(b"0123456789" * 400_000, maintype="application", subtype="pdf", filename="large.pdf")
    server = await running(site)
    try:
        await submit(site, PARTNER, ["carol@recipient.example"], made.as_bytes())
        await eventually(lambda: box.sent, "it has gone")
    finally:
        await server.stop()
    (sent,) = box.sent
    assert sent.files == [("large.pdf", "application/pdf", b"0123456789" * 400_000)]
    assert b"Please find the file attached." in sent.mime
    assert (box.drafts, provided.mail.sent) == ([], [])


def _text(report: object) -> str:
    body = report.get_body()  # type: ignore[attr-defined]
    return str(body.get_content()) if body else str(report)


async def test_a_kill_between_answer_and_commit_loses_nothing(provided: Provided) -> None:
    await _ready(provided, GatewayKind.GMAIL)
    site, provider = provided.site, provided.mail
    process = await serve(site)
    provider.on_answer = lambda: process.send_signal(signal.SIGKILL)
    await eventually(lambda: listens(site), "it listens")
    await submit(site, PARTNER)
    await process.wait()
    assert len(provider.sent) == 1
    provider.on_answer = lambda: None
    process = await serve(site)
    try:
        await eventually(lambda: len(provider.sent) == 2, "it is sent again, since nobody knows")
        await submit(site, PARTNER, content=message(PARTNER, "afterwards"))
        await eventually(lambda: b"afterwards" in provider.sent[-1].content, "the next goes, and the first is done")
    finally:
        process.terminate()
        await process.wait()
    assert len(provider.sent) == 3


def _tried(provided: Provided) -> Gateway:
    port = provided.mail.port
    return Gateway("new:0", "localhost", port, Security.SSL, PARTNER, provider="example", kind=GatewayKind.GMAIL)


async def test_a_sign_in_is_tried_before_it_is_saved(provided: Provided) -> None:
    await _ready(provided, GatewayKind.GMAIL)
    probe = wiring.gateway_probe(provided.site.place(), "")
    consent, tried = provided.tokens.sign_in(PARTNER), _tried(provided)
    assert await asyncio.to_thread(probe.user_gateway, tried, consent.tokens.access, PARTNER) == ""
    assert "401" in await asyncio.to_thread(probe.user_gateway, tried, "worthless", PARTNER)
    provided.mail.of_nothing = (400, {}, google_error(400, "failedPrecondition", "Mail service not enabled"))
    assert "no Gmail mailbox" in await asyncio.to_thread(probe.user_gateway, tried, consent.tokens.access, PARTNER)
    assert provided.mail.sent == []


async def test_whom_the_guard_or_the_certificate_refuses_gets_no_token(provided: Provided) -> None:
    place = provided.site.place()
    config, tried = place.config, _tried(provided)
    guarded = config.model_copy(update={"egress": EgressSettings()})
    assert "loopback" in (await wiring.prober(guarded).gateway(tried, "token", PARTNER)).detail
    assert provided.mail.connections == 0
    Authority(provided.site.data)  # another, of the same name
    assert "the certificate is not accepted: " in (await wiring.prober(config).gateway(tried, "token", PARTNER)).detail
    assert provided.mail.asked == []


async def test_a_message_whose_answer_is_lost_is_handed_over_again(provided: Provided) -> None:
    await _ready(provided, GatewayKind.GMAIL)
    site, provider = provided.site, provided.mail

    def break_off() -> None:
        provider.on_answer = lambda: None
        raise ConnectionResetError

    provider.on_answer = break_off
    server = await running(site)
    try:
        await submit(site, PARTNER)
        await eventually(lambda: len(provider.sent) == 2, "it is sent again, since nobody knows")
    finally:
        await server.stop()
    assert len(provider.asked) == 1
    assert inbox(site, ALICE) == []
