"""What a request to a provider's interface comes to, whatever becomes of its answer; and when it can be called back."""

import asyncio
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from deliver import ledger
from http_gateways.mail_provider import MailProvider
from outgate.deliver.connection import Timeouts
from outgate.deliver.delivery import AttemptResult, Delivery
from outgate.deliver.http_transport import HttpTransport
from outgate.deliver.mail_api import APIS
from outgate.deliver.outcome import RECALLED, Outcome, Verdict
from outgate.deliver.transmission import Transmission
from outgate.demo.certificates import Authority
from outgate.egress.https_client import MAX_BYTES
from outgate.egress.resolver import Host
from outgate.model import GatewayKind
from outgate.smtp import Credentials, TokenCredentials
from way.place import LOCALHOST

HEADER = b"From: alice@example.com\r\nTo: r0@x.example\r\n\r\n"


class LogIn:
    """A log-in that nobody refuses; a renewal of it waits until the test lets it go on."""

    def __init__(self) -> None:
        self.renewing, self.goes_on = asyncio.Event(), asyncio.Event()

    async def __call__(self) -> Credentials:
        return TokenCredentials("alice", "token", "localhost", 0)

    async def fault(self) -> Outcome | None:
        return None

    async def renew(self, refused: Outcome) -> bool:
        self.renewing.set()
        await self.goes_on.wait()
        return True


class Prepared:
    """Hands over one small message."""

    async def prepare(self, _delivery: Delivery, _hostname: str) -> Transmission:
        return Transmission(HEADER, b"Hello\r\n", None, len(HEADER) + 7, False)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def provider(authority: Authority) -> Iterator[MailProvider]:
    with MailProvider(authority.server_context(LOCALHOST), lambda _: "alice") as serving:
        yield serving


def transport(provider: MailProvider, log_in: LogIn, authority: Authority) -> HttpTransport:
    async def hosts() -> list[Host] | Outcome:
        return [Host("localhost", "127.0.0.1")]

    return HttpTransport(
        APIS[GatewayKind.GMAIL],
        provider.port,
        hosts,
        log_in,
        Timeouts(5, 5, 5, 20),
        ssl.create_default_context(cafile=str(authority.ca_file)),
        Prepared(),  # type: ignore[arg-type]
        "mail.example.com",
        max_age=60,
    )


def delivery() -> Delivery:
    return ledger.delivery(ledger.item(1, "x.example"), [0], "x.example")


async def carried(by: HttpTransport) -> AttemptResult:
    assert await by.connect() is None
    return await by.carry(delivery())


async def test_what_was_taken_is_delivered_though_the_rest_of_the_answer_is_long(
    provider: MailProvider, authority: Authority
) -> None:
    provider.script.append((200, {}, {"id": "x" * MAX_BYTES}))
    one = transport(provider, LogIn(), authority)
    for _ in range(2):
        (outcome,) = (await carried(one)).outcomes
        assert (outcome.verdict, outcome.reason[:9]) == (Verdict.DELIVERED, "2.0.0 200")
    one.close()
    assert len(provider.sent) == 1, "the second of two"


async def test_what_was_refused_is_called_back_while_the_token_is_renewed(
    provider: MailProvider, authority: Authority
) -> None:
    provider.whose = lambda _: None
    log_in = LogIn()
    one = transport(provider, log_in, authority)
    task = asyncio.create_task(carried(one))
    await log_in.renewing.wait()
    assert one.recall()
    task.cancel()
    assert list((await task).outcomes) == [RECALLED]
    one.close()


async def test_a_connection_that_was_not_used_is_kept(provider: MailProvider, authority: Authority) -> None:
    one = transport(provider, LogIn(), authority)
    assert await one.connect() is None
    await carried(one)
    await carried(one)
    one.close()
    assert (len(provider.sent), provider.connections) == (2, 1)
