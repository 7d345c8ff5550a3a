"""What tells receivers of what is on record, by a clock that the test sets."""

import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from sqlalchemy import Engine

from outgate.config import EgressSettings
from outgate.egress.guard import Guard
from outgate.egress.https_client import HttpsClient
from outgate.egress.resolver import Resolver
from outgate.record import events, message_log
from outgate.record.events import MessageEvent, Passage
from outgate.store.engine import read, write
from outgate.store.vault import Vault
from outgate.webhooks import endpoints, tries
from outgate.webhooks.endpoints import Webhook, WebhookSettings
from outgate.webhooks.tries import WebhookTry
from outgate.webhooks.webhook_sender import WebhookSender
from webhooks.receiver import Receiver

LOOPBACK = EgressSettings(allowed_networks={"loopback": "127.0.0.0/8"})


@dataclass
class Office:
    """The organisation example.com, its record and its webhooks."""

    engine: Engine
    vault: Vault
    now: float = field(default_factory=lambda: float(int(time.time())))
    told: list[tuple[str, str, str]] = field(default_factory=list)
    messages: int = 0

    def __post_init__(self) -> None:
        self.sender = self.another()

    def another(self, owner: str = "first", egress: EgressSettings = LOOPBACK) -> WebhookSender:
        """A process that sends, as after a restart."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client = HttpsClient(Resolver([], Guard(egress)), context, any_port=True, allow_http=True)
        return WebhookSender(self.engine, self.vault, client, owner, lambda: self.now, self._tell)

    async def _tell(self, name: str, subject: str, text: str) -> None:
        self.told.append((name, subject, text))

    async def serve(self, sender: WebhookSender | None = None) -> None:
        """Until there is nothing to do at this time."""
        for _ in range(2):
            await (sender or self.sender).look()
            await (sender or self.sender).finish()

    async def later(self, seconds: float, sender: WebhookSender | None = None) -> None:
        self.now += seconds
        await self.serve(sender)

    def add(self, receiver: Receiver, name: str = "tickets", **settings: object) -> str:
        """Its secret."""
        wanted = WebhookSettings(name, receiver.url, allow_http=True, **settings)  # type: ignore[arg-type]
        with write(self.engine) as connection:
            _, secret = endpoints.create(connection, self.vault, wanted, "admin@example.com", self.now)
        return secret.text

    def find(self, name: str = "tickets") -> Webhook:
        with read(self.engine) as connection:
            return endpoints.find(connection, name)

    def tries(self, name: str = "tickets") -> list[WebhookTry]:
        with read(self.engine) as connection:
            return tries.listed(connection, endpoints.find(connection, name).id, 100)

    def bounce(self, account: str = "alice@example.com", *, after: int = 0) -> int:
        """A message of an account that could not be delivered; `after` so many that could."""
        self.messages += 1
        number, passage = self.messages << 21, Passage(self.messages << 21, account, "mx:r.example", "direct")
        found = [_accepted(number, account, self.now)]
        for one in range(after):
            found.append(
                events.delivered(passage, self.now, recipient=f"r{one}@r.example", by="mx", reply="250 ok", delay=1.0)
            )
        found.append(
            events.bounced(passage, self.now, recipient="carol@r.example", reason="550 5.1.1 no such", report=None)
        )
        with write(self.engine) as connection:
            message_log.add(connection, found)
        return number


def _accepted(number: int, account: str, at: float) -> MessageEvent:
    return events.accepted(
        number,
        at,
        account=account,
        header_from=["sales@example.com"],
        reverse_path=account,
        recipients=["carol@r.example"],
        size=1,
        peer="192.0.2.1",
        protocol="ESMTPSA",
        rfc822_message_id="<1@client.example>",
    )


@pytest.fixture
def office(example: Engine, vault: Vault) -> Office:
    return Office(example, vault)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as serving:
        yield serving
