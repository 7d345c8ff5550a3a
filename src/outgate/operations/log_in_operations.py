"""Operations on log-ins: what is locked after failures."""

from ipaddress import IPv4Network, IPv6Network

from outgate.directory import log_in_limits, users
from outgate.directory.log_in_limits import Locked, LogInLimits
from outgate.directory.privileges import Privilege
from outgate.operations import targets
from outgate.operations.context import OperationContext
from outgate.operations.operation import operation


@operation("log-in.locked", Privilege.USERS_READ, targets.ORGANISATION, changes=False, services=("limits",))
def locked(op: OperationContext, limits: LogInLimits) -> tuple[Locked, ...]:
    """List the accounts and networks that are locked after failed log-ins."""
    return limits.locked(op.connection, op.now)


@operation("log-in.unlock", Privilege.USERS_SECURITY, targets.ORGANISATION)
def unlock_network(op: OperationContext, network: IPv4Network | IPv6Network) -> int:
    """Unlock a network after failed log-ins."""
    count = log_in_limits.unlock_network(op.connection, network)
    op.note(network=str(network))
    op.changed(failures=(count, 0))
    return count


@operation("user.unlock", Privilege.USERS_SECURITY, targets.user("address"))
def unlock_user(op: OperationContext, address: str) -> int:
    """Unlock a user after failed log-ins."""
    count = log_in_limits.unlock_account(op.connection, users.find(op.connection, address).address)
    op.changed(failures=(count, 0))
    return count
