"""The From addresses of everybody with how their gateways are, page by page."""

from dataclasses import replace
from typing import Final

from outgate.directory import units
from outgate.directory.privileges import Privilege
from outgate.frozen import frozen
from outgate.model import Account, Organisation, QueueKey, QueueKind, SendAs
from outgate.operations import targets
from outgate.operations.context import OperationContext
from outgate.operations.operation import operation
from outgate.operations.send_as_overview import GatewayHealth, gateway_in_use, health_of
from outgate.queue import census
from outgate.sendas import address_search
from outgate.sendas.address_search import AddressFilter

_MANY: Final = 10_000  # gateways in trouble: more are not told apart


@frozen
class AddressStanding:
    """An address, its account, and how its gateway is; None without one."""

    account: Account
    entry: SendAs
    health: GatewayHealth | None


@frozen
class AddressPage:
    """Addresses of one page, in their order."""

    organisation: Organisation
    addresses: tuple[AddressStanding, ...]


@operation("send-as.search", Privilege.SEND_AS_READ, targets.unit("unit"), changes=False)
def addresses(
    op: OperationContext, wanted: AddressFilter, unit: str | None = None, *, in_trouble: bool = False
) -> AddressPage:
    """Find From addresses of a unit and those below it, page by page, with how their gateways are."""
    wanted = replace(wanted, unit=units.find(op.connection, unit or "/").path)
    organisation, found = address_search.search(op.connection, wanted, _in_trouble(op) if in_trouble else None)
    gateways = {
        (one.account.id, one.entry.address): gateway
        for one in found
        if (gateway := gateway_in_use(one.account, one.entry))
    }
    health = health_of(op, gateways)
    standing = (
        AddressStanding(one.account, one.entry, health.get((one.account.id, one.entry.address))) for one in found
    )
    return AddressPage(organisation, tuple(standing))


def _in_trouble(op: OperationContext) -> list[int]:
    """Gateways (row ids) whose last attempt failed, or whose password was erased."""
    keys = (QueueKey.parse(one.queue) for one in census.census(op.connection).troubles)
    failing = [int(key.name) for key in keys if key.kind is QueueKind.GATEWAY and key.name.isdigit()]
    return [*failing, *address_search.without_password(op.connection, _MANY)][:_MANY]
