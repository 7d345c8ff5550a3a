"""How it stands with each gateway: whose it is, what waits, what holds it back, what was said last."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from sqlalchemy import Connection

from outgate.directory import organisation, restrictions
from outgate.directory.errors import Invalid, NotFound
from outgate.directory.privileges import Privilege
from outgate.frozen import frozen
from outgate.mail.addresses import AddressError, canonical, canonical_domain
from outgate.model import Gateway, QueueKey, QueueKind, Restriction, UsersGateway
from outgate.operations import targets
from outgate.operations.context import OperationContext
from outgate.operations.operation import operation
from outgate.queue import census
from outgate.queue.census import Trouble, Waits
from outgate.sendas import gateways


@frozen
class GatewayState:
    """`owned` says whose it is, None for the organisation's own gateway; `trouble` is None while nothing was tried in
    vain.
    """

    queue: QueueKey
    gateway: Gateway
    owned: UsersGateway | None
    waits: Waits
    trouble: Trouble | None
    restrictions: tuple[Restriction, ...]

    @property
    def suspension(self) -> Restriction | None:
        """What suspends it."""
        return next((one for one in self.restrictions if one.suspends), None)

    @property
    def state(self) -> str:
        """In one word."""
        if self.suspension:
            return "suspended"
        if self.trouble:
            return "failing"
        return "slowed" if self.restrictions else "works"


@operation("gateway.list", Privilege.QUEUE_READ, targets.ORGANISATION, changes=False)
def states(
    op: OperationContext, name: str, limit: int | None = None, behind: QueueKey | None = None
) -> list[GatewayState]:
    """See how it stands with the gateways: of an address, at a host, or all by an empty name.

    `behind` is the last one that was shown: those behind it come.
    """
    named = _named(op.connection, name)
    in_order = sorted((one for one in named if behind is None or _place(one) > _place(behind)), key=_place)
    found = {queue: named[queue] for queue in in_order[:limit]}
    held = restrictions.load(op.connection)
    sees_log_ins = op.actor.may(op.connection, Privilege.SEND_AS_MANAGE, "/")
    return [
        GatewayState(
            queue,
            _shown(owned.gateway if isinstance(owned, UsersGateway) else owned, sees_log_ins=sees_log_ins),
            owned if isinstance(owned, UsersGateway) else None,
            census.waits(op.connection, str(queue)),
            census.trouble(op.connection, str(queue)),
            tuple(one for one in held.of(queue) if one.holds(op.now)),
        )
        for queue, owned in found.items()
    ]


def _shown(gateway: Gateway, *, sees_log_ins: bool) -> Gateway:
    """Without who logs in at a common one for whoever may not set it."""
    return gateway if sees_log_ins or not gateway.is_common else replace(gateway, username="")


def _place(queue: QueueKey) -> tuple[int, bool, str]:
    """Of a gateway among all, where no other is: the organisation's comes first, those of its domains by their names,
    and a common one behind the user's of its number.
    """
    return queue.row or 0, queue.kind is QueueKind.COMMON_GATEWAY, queue.name


def named_gateway(text: str) -> QueueKey | None:
    """Of a gateway, as `states` lists it; None if it can't be one's."""
    try:
        queue = QueueKey.parse(text)
    except ValueError:
        return None
    return queue if queue.kind in _OF_GATEWAYS and _is_sound(queue) else None


_OF_GATEWAYS: Final = (QueueKind.GATEWAY, QueueKind.COMMON_GATEWAY, QueueKind.DOMAIN_GATEWAY)


def gateway_queues(op: OperationContext, name: str) -> list[QueueKey]:
    """The queues of the gateways that somebody names: `gateway:3`, `domain-gateway`, a From address or a host.

    Raises Invalid and NotFound.
    """
    found = list(_named(op.connection, name)) if name else []
    if not found:
        raise NotFound(
            "there is no gateway '{name}'; name it as `outgate gateway list` does, by its address or host", name=name
        )
    return found


def destination_queues(names: Sequence[str]) -> list[QueueKey]:
    """The queues that somebody names as destinations: a queue's name or a recipients' domain. Raises Invalid."""
    return [_destination(name) for name in names]


def _destination(name: str) -> QueueKey:
    try:
        if _is_sound(queue := QueueKey.parse(name)):
            return queue
    except ValueError:
        pass
    try:
        return QueueKey(QueueKind.MX, canonical_domain(name.removeprefix("@")))
    except AddressError:
        raise Invalid(
            "'{name}' is neither a queue, as `outgate queue count` names them, nor a domain", name=name[:80]
        ) from None


def _is_sound(queue: QueueKey) -> bool:
    """Whether there can be such a queue."""
    match queue.kind:
        case QueueKind.GATEWAY | QueueKind.COMMON_GATEWAY:
            return queue.row is not None
        case QueueKind.MX:
            return bool(queue.name)
        case QueueKind.DOMAIN_GATEWAY if queue.name:
            return _is_domain(queue.name)
    return not queue.name


def _is_domain(name: str) -> bool:
    try:
        return canonical_domain(name) == name
    except AddressError:
        return False


def _named(connection: Connection, name: str) -> dict[QueueKey, UsersGateway | Gateway]:
    found: dict[QueueKey, UsersGateway | Gateway] = {}
    for queue, relay in organisation.domain_gateways(connection).items():
        if name in ("", str(queue), *relay.hosts):
            found[queue] = relay
    if name.startswith((f"{QueueKind.GATEWAY}:", f"{QueueKind.COMMON_GATEWAY}:")):
        owned = gateways.of_queues(connection, [name])
        return found | {QueueKey.parse(queue): one for queue, one in owned.items()}
    return found | dict(gateways.named(connection, _compared(name)))


def _compared(name: str) -> str:
    try:
        return canonical(name) if "@" in name else canonical_domain(name) if name else ""
    except AddressError:
        return name.lower()  # an IP address, perhaps
