"""What people call a queue: a gateway's by its host and user, and by whose it is. Knows no message that waits."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection

from outgate.directory import gateway_settings, organisation
from outgate.model import QueueKey, QueueKind
from outgate.sendas import gateways


@dataclass(frozen=True, slots=True)
class QueueName:
    """`short` is as in `smtp.partner.example (alice)`. Of a user's gateway also whose it is, for which address, and as
    whom it logs in."""

    short: str
    account: str | None = None
    address: str | None = None
    username: str | None = None

    @property
    def in_full(self) -> str:
        """With whose it is."""
        return f"{self.short}, the gateway of {self.address} ({self.account})" if self.account else self.short


def queue_names(connection: Connection, queues: Collection[str]) -> dict[str, QueueName]:
    """The names of queues. One whose gateway is gone keeps its own."""
    keys = {queue: QueueKey.parse(queue) for queue in queues}
    rows = [int(key.name) for key in keys.values() if key.kind is QueueKind.GATEWAY and key.name.isdigit()]
    users = gateways.by_row(connection, rows)
    names = {queue: QueueName(queue) for queue in queues}
    for queue, key in keys.items():
        if key.kind is QueueKind.GATEWAY and (found := users.get(key.name)):
            server = found.gateway
            names[queue] = QueueName(gateway_settings.in_short(server), found.account, found.address, server.username)
        if key.kind is QueueKind.DOMAIN_GATEWAY and (relay := organisation.domain_gateway(connection)):
            names[queue] = QueueName(gateway_settings.in_short(relay))
    return names
