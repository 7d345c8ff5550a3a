"""How much mail goes by which way, and how gateways are: what dashboards show."""

from typing import Final

from outgate.directory.privileges import Privilege
from outgate.frozen import frozen
from outgate.model import QueueKey, QueueKind
from outgate.operations import targets
from outgate.operations.context import OperationContext
from outgate.operations.operation import operation
from outgate.queue import census
from outgate.record import tallies
from outgate.record.tallies import Tally
from outgate.sendas import address_search, common_gateways, gateways

_MANY: Final = 100_000  # gateways: more are not counted


@operation("log.traffic", Privilege.LOG_READ, targets.ORGANISATION, changes=False)
def traffic(op: OperationContext, since_hour: int, hours: int = 1) -> list[Tally]:
    """See how much mail went by which way in each hour, was deferred or returned, and how long it took."""
    return tallies.since(op.connection, since_hour, hours)


@frozen
class GatewayCensus:
    """How many gateways users have, their own and common ones; of these those whose last attempt failed, and those that
    wait for a password.
    """

    known: int
    failing: int
    without_password: int


@operation("gateway.census", Privilege.SEND_AS_READ, targets.ORGANISATION, changes=False)
def gateway_census(op: OperationContext) -> GatewayCensus:
    """See how many gateways there are, and how many of them do not work."""
    kinds = [QueueKey.parse(one.queue).kind for one in census.census(op.connection).troubles]
    erased = len(address_search.without_password(op.connection, _MANY))
    known = gateways.count_all(op.connection) + common_gateways.count_all(op.connection)
    failing = kinds.count(QueueKind.GATEWAY) + kinds.count(QueueKind.COMMON_GATEWAY)
    return GatewayCensus(known, failing, erased)
