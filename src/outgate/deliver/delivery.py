"""What passes between the deliverer, the pools and their transports. Data, and the one interface of the room."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from outgate.deliver.outcome import Outcome
from outgate.deliver.tls_policy import TlsPolicy
from outgate.frozen import frozen
from outgate.model import Account, Gateway, QueueKey, Restriction, TlsDemand
from outgate.queue import Item, Recipient
from outgate.route import Route, RouteKind


class Destination(NamedTuple):
    """What connections are to: one gateway with one version of its credential, a domain's exchangers, our mailboxes.

    `demand` tells only messages to exchangers apart: all other ways are verified, or our own.
    """

    queue: QueueKey
    gateway: Gateway | None
    tls: TlsPolicy
    demand: TlsDemand


@frozen
class Delivery:
    """One transaction to be: recipients of one message that go the same way.

    `version` is the directory's at the time the way was decided; a delivery is only carried while it is still current.
    `refused` says why policy lets it take no way at all; then it is carried nowhere. `restrictions` are those of its
    queue.
    """

    item: Item
    recipients: tuple[Recipient, ...]
    route: Route
    account: Account | None
    version: int
    tls: TlsPolicy
    refused: str | None = None
    restrictions: tuple[Restriction, ...] = ()

    @property
    def keys(self) -> list[tuple[int, int]]:
        """Its recipients as the ledger knows them: (message id, number)."""
        message_id, recipients = self.item.message.id, self.recipients
        if len(recipients) == 1:  # nearly always, and asked at each stage
            return [(message_id, recipients[0].number)]
        return [(message_id, one.number) for one in recipients]

    @property
    def destination(self) -> Destination:
        """Where it goes."""
        way = self.route
        demand = self.item.message.tls_demand if way.kind is RouteKind.DIRECT else TlsDemand.USUAL
        return Destination(way.queue, way.gateway, self.tls, demand)


@dataclass(slots=True)
class AttemptResult:
    """What came of a delivery: an outcome for each recipient, in their order, and what the record says of the attempt.

    `seconds` is how long the handing over took, which the deliverer sets; `mail_from` is the envelope sender, where it
    was not the route's.
    """

    outcomes: Sequence[Outcome]
    peer: str = ""
    tls: str = ""
    reply: str = ""
    footer: str = ""
    seconds: float = 0.0
    mail_from: str | None = None


class Transport(Protocol):
    """Takes deliveries to one destination, one after the other, over a connection that it keeps warm."""

    def resume(self) -> bool:
        """Whether the warm connection takes one more delivery, which `carry` is to follow with."""

    async def connect(self) -> Outcome | None:
        """Make sure of a connection; None if there is one, else why not."""

    async def carry(self, delivery: Delivery) -> AttemptResult:
        """Hand one delivery over, after `resume` or `connect`."""

    def recall(self) -> bool:
        """Whether what is being carried can still be kept from the peer. If so the task that carries it is to be
        cancelled, and `carry` ends with RECALLED for those recipients that nothing was said of.
        """

    def close(self) -> None:
        """No more deliveries come."""


def all_alike(delivery: Delivery, outcome: Outcome, peer: str = "") -> AttemptResult:
    """The same outcome for every recipient."""
    return AttemptResult([outcome] * len(delivery.recipients), peer, reply=outcome.reason)
