"""A message that is too large for one request of Microsoft Graph: the files go one by one into a draft, which is sent
once, wherever the connection breaks.
"""

import asyncio
import base64
import hashlib
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest

from deliver import ledger
from http_gateways.graph_mailbox import GraphMailbox, MailboxRefusal
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
from outgate.egress.https_client import MAX_BYTES
from outgate.egress.resolver import Host
from outgate.mail import detached
from outgate.model import GatewayKind
from way.place import LOCALHOST

SMALL = 1000  # to one, where sizes do not matter


def content_of(number: int, size: int) -> bytes:
    """What can't be taken for anything else."""
    return hashlib.shake_128(bytes([number])).digest(size)


def message_with(*sizes: int, text: str = "Please find the files attached.") -> bytes:
    """A text with files of these sizes."""
    made = EmailMessage(policy=SMTP)
    made["From"], made["To"], made["Message-ID"] = "alice@example.com", "r0@x.example", "<o'1@example.com>"
    made["Subject"] = "Large"
    made.set_content(text)
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
    provider: MailProvider,
    authority: Authority,
    raw: bytes,
    kind: GatewayKind = GatewayKind.GRAPH_DRAFTS,
    uploads: Sequence[str] = ("127.0.0.1",),
) -> HttpTransport:
    """`uploads` are the addresses of the host that takes files."""

    async def hosts() -> list[Host] | Outcome:
        return [Host("localhost", "127.0.0.1")]

    async def elsewhere(name: str) -> list[Host] | Outcome:
        return [Host(name, address) for address in uploads]

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
        elsewhere=elsewhere,
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


async def test_a_draft_is_known_though_it_is_answered_with_a_long_text(
    provider: MailProvider, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = GatewayKind.GRAPH_DRAFTS
    monkeypatch.setitem(APIS, kind, replace(APIS[kind], largest=200_000))
    one = transport(provider, authority, message_with(300_000, text='<p class="x">\r\n' * 7_000))
    outcome = await carried(one)
    one.close()
    assert (outcome.verdict, provider.mailbox.drafts) == (Verdict.DELIVERED, [])
    assert provider.mailbox.steps == ["create", "attach", "send"]


@pytest.mark.usefixtures("small")
async def test_a_draft_whose_answer_is_too_long_is_found_by_its_message_id(
    provider: MailProvider, authority: Authority
) -> None:
    provider.mailbox.added = MAX_BYTES * 2
    one = transport(provider, authority, message_with(4_500, 900))
    outcome = await carried(one)
    one.close()
    assert (outcome.verdict, provider.mailbox.drafts) == (Verdict.DELIVERED, [])
    assert provider.mailbox.steps[:3] == ["create", "look", "session"]


@pytest.mark.usefixtures("small")
async def test_a_draft_that_can_not_be_told_from_another_is_not_sent_and_not_left(
    provider: MailProvider, authority: Authority
) -> None:
    box = provider.mailbox
    box.added = MAX_BYTES * 2

    def again(step: str, when: str) -> None:
        if (step, when) == ("create", "after"):
            (made,) = box.drafts
            box.items["again"] = replace(made, id_="again")

    box.on_step = again
    one = transport(provider, authority, message_with(4_500, 900))
    outcome = await carried(one)
    one.close()
    assert (outcome.verdict, outcome.reason[:6]) == (Verdict.RETRY, "4.3.0 ")
    assert (box.drafts, box.sent) == ([], [])


@pytest.mark.usefixtures("small")
async def test_no_file_is_encoded_beside_the_sessions_of_others(
    provider: MailProvider, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = list[threading.Thread]()

    def encoded(content: bytes) -> bytes:
        threads.append(threading.current_thread())
        return base64.b64encode(content)

    monkeypatch.setattr(draft_upload, "b64encode", encoded)
    one = transport(provider, authority, message_with(2_900, 2_800))
    assert (await carried(one)).verdict is Verdict.DELIVERED
    one.close()
    assert len(threads) == 3, "of the draft, and of two files"
    assert threading.current_thread() not in threads


@pytest.mark.usefixtures("small")
async def test_files_go_to_the_first_address_that_takes_them(provider: MailProvider, authority: Authority) -> None:
    one = transport(provider, authority, message_with(4_500, 900), uploads=("127.0.0.2", "127.0.0.1"))
    outcome = await carried(one)
    one.close()
    assert (outcome.verdict, len(provider.mailbox.sent)) == (Verdict.DELIVERED, 1)


@pytest.mark.usefixtures("small")
async def test_a_host_of_files_that_can_not_be_reached_is_named_and_the_connection_to_the_mailbox_kept(
    provider: MailProvider, authority: Authority
) -> None:
    one = transport(provider, authority, message_with(4_500, 900), uploads=("127.0.0.2", "127.0.0.3"))
    for _ in range(2):
        outcome = await carried(one)
        assert (outcome.verdict, outcome.peer) == (Verdict.RETRY, f"localhost[127.0.0.2]:{provider.port}")
        assert outcome.reason.startswith(f"4.4.1 {outcome.peer}: could not connect")
    one.close()
    assert (provider.mailbox.drafts, provider.connections) == ([], 1)


@pytest.mark.usefixtures("small")
async def test_a_host_of_files_that_breaks_is_named_and_the_connection_to_the_mailbox_kept(
    provider: MailProvider, authority: Authority
) -> None:
    box = provider.mailbox

    def breaks(step: str, _when: str) -> None:
        if step == "upload":
            raise ConnectionResetError

    box.on_step = breaks
    one = transport(provider, authority, message_with(4_500, 900), uploads=("127.0.0.1",))
    for _ in range(2):
        outcome = await carried(one)
        assert outcome.reason.startswith("4.4.2 localhost[127.0.0.1]:")
    one.close()
    assert (box.drafts, provider.connections) == ([], 3), "one to the mailbox, two for files"


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("how", ["its time is up", "it is broken off"])
async def test_what_is_known_to_be_sent_is_delivered_though_nobody_waited_for_the_answer(
    provider: MailProvider, authority: Authority, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    box, loop = provider.mailbox, asyncio.get_running_loop()
    sent, asked, timeouts, timeout = asyncio.Event(), threading.Event(), list[asyncio.Timeout](), asyncio.timeout

    def kept(delay: float | None) -> asyncio.Timeout:
        timeouts.append(timeout(delay))
        return timeouts[-1]

    def silent(step: str, when: str) -> None:
        if (step, when) == ("send", "after"):
            loop.call_soon_threadsafe(sent.set)
            assert asked.wait(10)
        if step == "ask":
            asked.set()

    monkeypatch.setattr(asyncio, "timeout", kept)
    box.on_step = silent
    one = transport(provider, authority, message_with(4_500, 900))
    task = asyncio.create_task(carried(one))
    await sent.wait()
    assert not one.recall()
    if how == "its time is up":
        timeouts[0].reschedule(loop.time())
    else:
        task.cancel()
    assert (await task).verdict is Verdict.DELIVERED
    one.close()
    assert (box.drafts, len(box.sent)) == ([], 1)


@pytest.mark.usefixtures("small")
async def test_a_draft_that_is_gone_before_it_was_sent_is_tried_again(
    provider: MailProvider, authority: Authority
) -> None:
    box = provider.mailbox

    def gone(step: str, _when: str) -> None:
        if step == "send":
            box.on_step = lambda _step, _when: None
            box.items.clear()
            raise ConnectionResetError

    box.on_step = gone
    one = transport(provider, authority, message_with(4_500, 900))
    assert (await carried(one)).verdict is Verdict.RETRY
    assert (await carried(one)).verdict is Verdict.DELIVERED
    one.close()
    assert (box.drafts, len(box.sent)) == ([], 1)


STEPS = ("create", "session", "upload", "attach", "send")
FAULTS: dict[str, tuple[Callable[[], Exception], str]] = {
    "a reset": (ConnectionResetError, "4.4.2 "),
    "504": (lambda: MailboxRefusal(504, "GatewayTimeout"), "4.3.0 "),
    "408": (lambda: MailboxRefusal(408, "RequestTimeout"), "4.3.0 "),
}


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("fault", FAULTS)
async def test_wherever_the_connection_breaks_it_is_sent_once_and_no_draft_is_left(
    provider: MailProvider, authority: Authority, step: str, when: str, fault: str
) -> None:
    box, (broken, status) = provider.mailbox, FAULTS[fault]

    def breaks(at: str, at_when: str) -> None:
        if (at, at_when) == (step, when):
            box.on_step = lambda _step, _when: None
            raise broken()

    box.on_step = breaks
    one = transport(provider, authority, message_with(900, 4_500, 2_400))
    first = await carried(one)
    assert box.drafts == []
    is_there = (step, when) == ("send", "after")
    assert first.verdict is (Verdict.DELIVERED if is_there else Verdict.RETRY)
    if not is_there:
        assert first.reason.startswith(status)
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
