"""Operations on log-ins: what is locked after failures, and application passwords."""

from ipaddress import IPv4Network, IPv6Network

from outgate.directory import application_passwords, log_in_limits, users
from outgate.directory.application_passwords import ApplicationPassword, Scope
from outgate.directory.log_in_limits import Locked, LogInLimits
from outgate.directory.privileges import Privilege
from outgate.operations import targets
from outgate.operations.operation import OperationContext, operation


@operation("log-in.locked", Privilege.USERS_READ, of=targets.organisation, changes=False)
def locked(op: OperationContext, limits: LogInLimits) -> tuple[Locked, ...]:
    """List the accounts and networks that are locked after failed log-ins."""
    return limits.locked(op.connection, op.now)


@operation("log-in.unlock", Privilege.USERS_SECURITY, of=targets.organisation)
def unlock_network(op: OperationContext, network: IPv4Network | IPv6Network) -> int:
    """Unlock a network after failed log-ins."""
    count = log_in_limits.unlock_network(op.connection, network)
    op.note(network=str(network), failures=[count, 0])
    return count


@operation("user.unlock", Privilege.USERS_SECURITY, of=targets.user)
def unlock_user(op: OperationContext, address: str) -> int:
    """Unlock a user after failed log-ins."""
    count = log_in_limits.unlock_account(op.connection, users.find(op.connection, address).address)
    op.note(failures=[count, 0])
    return count


@operation("app-password.list", Privilege.USERS_READ, of=targets.user, changes=False, own=True)
def list_passwords(op: OperationContext, address: str) -> tuple[ApplicationPassword, ...]:
    """List a user's application passwords."""
    return application_passwords.listed(op.connection, users.find(op.connection, address).id)


@operation("app-password.create", Privilege.USERS_SECURITY, of=targets.user, own=True)
def create_password(op: OperationContext, address: str, name: str, scope: Scope) -> str:
    """Give a user an application password; it is shown once."""
    op.note(name=name, scope=scope.value)
    return application_passwords.create(op.connection, users.find(op.connection, address).id, name, scope, op.now)


@operation("app-password.revoke", Privilege.USERS_SECURITY, of=targets.user, own=True)
def revoke_password(op: OperationContext, address: str, name: str) -> ApplicationPassword:
    """Revoke an application password."""
    revoked = application_passwords.revoke(op.connection, users.find(op.connection, address).id, name)
    op.note(name=name, scope=revoked.scope.value)
    return revoked
