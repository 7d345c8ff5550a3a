"""Messages, items and deliveries for tests of the ledger, as small as they can be."""

from collections.abc import Iterable, Sequence

from outgate.deliver.delivery import Delivery
from outgate.deliver.tls_policy import tls_of
from outgate.model import QueueKey, QueueKind
from outgate.queue import Item, Message, Put, Recipient
from outgate.route import Route, RouteKind


def queue(name: str) -> QueueKey:
    return QueueKey(QueueKind.MX, name)


def message(identity: int) -> Message:
    return Message(
        id=identity,
        account_id=7,
        chosen_from="alice@example.com",
        reverse_path="alice@example.com",
        size=1,
        header_size=1,
        chunks=1,
        body_digest=b"",
        eight_bit=False,
        smtputf8=False,
        envid=None,
        ret=None,
        protocol="ESMTPSA",
        received_at=0.0,
    )


def recipients(where: Iterable[tuple[int, str]]) -> tuple[Recipient, ...]:
    """Recipients by number and the name of their queue."""
    return tuple(Recipient(number, f"r{number}@{name}", queue(name)) for number, name in where)


def item(identity: int, *names: str) -> Item:
    """One recipient for each name of a queue."""
    return Item(message(identity), recipients(enumerate(names)))


def put(of: Item) -> Put:
    return Put(of.message, of.recipients, b"", (), 0.0)


def delivery(of: Item, numbers: Sequence[int], name: str, version: int = 1) -> Delivery:
    """Some of an item's recipients on the way to a queue."""
    route = Route(RouteKind.DIRECT, queue(name), "alice@example.com", ())
    chosen = tuple(one for one in of.recipients if one.number in numbers)
    return Delivery(of, chosen, route, None, version, tls_of(route))
