"""A message that is too large for one request of Microsoft Graph: the files go one by one into a draft, which is sent
once, wherever the connection breaks.
"""

import asyncio
import base64
import hashlib
import ssl
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest

from deliver import ledger
from http_gateways.graph_mailbox import GraphMailbox
from http_gateways.mail_provider import MailProvider
from http_gateways.test_http_transport import LogIn
from outgate.deliver import draft_upload
from outgate.deliver.connection import Timeouts
from outgate.deliver.delivery import Delivery
from outgate.deliver.http_transport import HttpTransport
from outgate.deliver.mail_api import APIS
from outgate.deliver.outcome import RECALLED, Outcome, Verdict
from outgate.deliver.transmission import Transmission
from outgate.demo.certificates import Authority
from outgate.egress.resolver import Host
from outgate.mail import detached
from outgate.model import GatewayKind
from way.place import LOCALHOST

SMALL = 1000  # to one, where sizes do not matter


def content_of(number: int, size: int) -> bytes:
    """What can't be taken for anything else."""
    return hashlib.shake_128(bytes([number])).digest(size)


def message_with(*sizes: int) -> bytes:
    """A text with files of these sizes."""
    made = EmailMessage(policy=SMTP)
    made["From"], made["To"], made["Message-ID"] = "alice@example.com", "r0@x.example", "<o'1@example.com>"
    made["Subject"] = "Large"
    made.set_content("Please find the files attached.")
    for number, size in enumerate(sizes):
        made.add_attachment(
            content_of(number, size), maintype="application", subtype="pdf", filename=f"Übersicht {number}.pdf"
        )
    return made.as_bytes()


class Prepared:
    """Hands over one message, in pieces."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    async def prepare(self, _delivery: Delivery, _hostname: str) -> Transmission:
        end = self._raw.index(b"\r\n\r\n") + 4
        body = self._raw[end:]

        async def more() -> AsyncIterator[bytes]:
            for at in range(100, len(body), 1_000_000):
                yield body[at : at + 1_000_000]

        return Transmission(self._raw[:end], body[:100], more(), len(self._raw), False)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def provider(authority: Authority) -> Iterator[MailProvider]:
    with MailProvider(authority.server_context(LOCALHOST), lambda _: "alice") as serving:
        yield serving


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """All limits of both sides are a thousandth."""
    for module, name in ((draft_upload, "AT_ONCE"), (detached, "PIECE")):
        monkeypatch.setattr(module, name, getattr(module, name) // SMALL)
    for name in ("largest_request", "least_session", "largest_range"):
        monkeypatch.setattr(GraphMailbox, name, getattr(GraphMailbox, name) // SMALL)
    for kind in (GatewayKind.GRAPH, GatewayKind.GRAPH_DRAFTS):
        monkeypatch.setitem(APIS, kind, replace(APIS[kind], largest=APIS[kind].largest // SMALL))


def transport(
    provider: MailProvider, authority: Authority, raw: bytes, kind: GatewayKind = GatewayKind.GRAPH_DRAFTS
) -> HttpTransport:
    async def hosts(_name: str = "") -> list[Host] | Outcome:
        return [Host("localhost", "127.0.0.1")]

    return HttpTransport(
        APIS[kind],
        provider.port,
        hosts,
        LogIn(),
        Timeouts(5, 5, 5, 20),
        ssl.create_default_context(cafile=str(authority.ca_file)),
        Prepared(raw),  # type: ignore[arg-type]
        "mail.example.com",
        max_age=60,
        elsewhere=hosts,
    )


async def carried(by: HttpTransport) -> Outcome:
    if failed := await by.connect():
        return failed
    (outcome,) = (await by.carry(ledger.delivery(ledger.item(1, "x.example"), [0], "x.example"))).outcomes
    return outcome


async def test_the_files_that_must_go_apart_are_there_byte_for_byte_and_the_rest_is_as_it_was(
    provider: MailProvider, authority: Authority
) -> None:
    """At the sizes that the reference has: one by a session in two ranges, one at once, one in the draft."""
    sizes = (900_000, 4_500_000, 2_400_000)
    raw = message_with(*sizes)
    one = transport(provider, authority, raw)
    outcome = await carried(one)
    one.close()
    assert (outcome.verdict, outcome.reason) == (Verdict.DELIVERED, "2.0.0 202 request-id r-1")
    (sent,) = provider.mailbox.sent
    assert sent.files == [
        (f"Übersicht {number}.pdf", "application/pdf", content_of(number, sizes[number])) for number in (1, 2)
    ]
    left = message_from_bytes(sent.mime, policy=SMTP)
    (file,) = left.iter_attachments()
    assert file.get_content() == content_of(0, sizes[0])
    text = raw.partition(b"Content-Type: application/pdf")[0]
    assert sent.mime.startswith(text + b"Content-Type: application/pdf")
    assert base64.b64encode(content_of(1, 30)) not in sent.mime
    assert provider.mailbox.steps == ["create", "session", "upload", "upload", "attach", "send"]


STEPS = ("create", "session", "upload", "attach", "send")


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_wherever_the_connection_breaks_it_is_sent_once_and_no_draft_is_left(
    provider: MailProvider, authority: Authority, step: str, when: str
) -> None:
    box = provider.mailbox

    def breaks(at: str, at_when: str) -> None:
        if (at, at_when) == (step, when):
            box.on_step = lambda _step, _when: None
            raise ConnectionResetError

    box.on_step = breaks
    one = transport(provider, authority, message_with(900, 4_500, 2_400))
    first = await carried(one)
    assert box.drafts == []
    is_there = (step, when) == ("send", "after")
    assert first.verdict is (Verdict.DELIVERED if is_there else Verdict.RETRY)
    if not is_there:
        assert first.reason.startswith("4.4.2 ")
        assert (await carried(one)).verdict is Verdict.DELIVERED
    one.close()
    assert [len(sent.files) for sent in box.sent] == [2]
    assert box.drafts == []


@pytest.mark.usefixtures("small")
async def test_a_step_that_is_refused_is_judged_and_the_draft_is_deleted(
    provider: MailProvider, authority: Authority
) -> None:
    provider.mailbox.largest_range = 1000  # less than the reference says
    one = transport(provider, authority, message_with(4_500, 900))
    outcome = await carried(one)
    one.close()
    assert (outcome.verdict, outcome.reason[:6]) == (Verdict.RETRY, "4.3.0 ")
    assert "eyJ" not in outcome.reason
    assert (provider.mailbox.drafts, provider.mailbox.sent) == ([], [])


@pytest.mark.usefixtures("small")
async def test_until_it_is_sent_it_can_be_called_back_and_leaves_no_draft(
    provider: MailProvider, authority: Authority
) -> None:
    one = transport(provider, authority, message_with(4_500, 900))
    loop, uploading = asyncio.get_running_loop(), asyncio.Event()

    def tell(step: str, _when: str) -> None:
        if step == "upload":
            loop.call_soon_threadsafe(uploading.set)

    provider.mailbox.on_step = tell
    task = asyncio.create_task(carried(one))
    await uploading.wait()
    assert one.recall()
    task.cancel()
    assert await task == RECALLED
    one.close()
    assert (provider.mailbox.drafts, provider.mailbox.sent) == ([], [])


@pytest.mark.parametrize(
    ("kind", "raw", "why"),
    [
        (GatewayKind.GRAPH, message_with(4_000), "takes at most 3145 bytes, and the message has"),
        (GatewayKind.GRAPH_DRAFTS, b"To: r0@x.example\r\n\r\n" + b"x" * 4000, "it is no text with files"),
    ],
)
@pytest.mark.usefixtures("small")
async def test_what_can_not_be_taken_apart_comes_back(
    provider: MailProvider,
    authority: Authority,
    kind: GatewayKind,
    raw: bytes,
    why: str,
) -> None:
    one = transport(provider, authority, raw, kind)
    outcome = await carried(one)
    one.close()
    assert (outcome.verdict, outcome.reason[:5], why in outcome.reason) == (Verdict.FAILED, "5.3.4", True)
    assert provider.mailbox.steps == []
