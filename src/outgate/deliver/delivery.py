"""What passes between the deliverer, a destination and its carriers. Data, and the one interface of the room."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from outgate.deliver.outcome import Outcome
from outgate.model import Account
from outgate.queue import Item, Recipient
from outgate.route import Route


@dataclass(frozen=True, slots=True)
class Delivery:
    """One transaction to be: recipients of one message that go the same way.

    `version` is the directory's at the time the way was decided; a job is only carried while it is still current.
    `refused` says why policy lets it take no way at all; then it is carried nowhere.
    """

    item: Item
    recipients: tuple[Recipient, ...]
    route: Route
    account: Account | None
    version: int
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """What came of a job: an outcome for each recipient, in their order, and what the record says of the attempt."""

    outcomes: Sequence[Outcome]
    peer: str = ""
    tls: str = ""
    reply: str = ""
    footer: str = ""


class Transport(Protocol):
    """Takes jobs to one destination, one after the other, over a connection that it keeps warm."""

    async def connect(self) -> Outcome | None:
        """Make sure of a connection; None if there is one, else why not."""

    async def carry(self, delivery: Delivery) -> AttemptResult:
        """Hand one job over, after `connect`."""

    def close(self) -> None:
        """No more jobs come."""


def all_alike(delivery: Delivery, outcome: Outcome, peer: str = "") -> AttemptResult:
    """The same outcome for every recipient."""
    return AttemptResult([outcome] * len(delivery.recipients), peer, reply=outcome.reason)
