"""Operations on log-ins: what is locked after failures, and application passwords."""

from ipaddress import IPv4Network, IPv6Network

from outgate.control import targets
from outgate.control.operation import Act, operation
from outgate.directory import application_passwords, log_in_limits, users
from outgate.directory.application_passwords import ApplicationPassword, Scope
from outgate.directory.log_in_limits import Limits, Locked
from outgate.directory.privileges import Privilege


@operation("log-in.locked", Privilege.USERS_READ, of=targets.organisation, changes=False)
def locked(act: Act, limits: Limits) -> tuple[Locked, ...]:
    """List the accounts and networks that are locked after failed log-ins."""
    return limits.locked(act.connection, act.now)


@operation("log-in.unlock", Privilege.USERS_SECURITY, of=targets.organisation)
def unlock_network(act: Act, network: IPv4Network | IPv6Network) -> int:
    """Unlock a network after failed log-ins."""
    count = log_in_limits.unlock_network(act.connection, network)
    act.note(network=str(network), failures=[count, 0])
    return count


@operation("user.unlock", Privilege.USERS_SECURITY, of=targets.user)
def unlock_user(act: Act, address: str) -> int:
    """Unlock a user after failed log-ins."""
    count = log_in_limits.unlock_account(act.connection, users.find(act.connection, address).address)
    act.note(failures=[count, 0])
    return count


@operation("app-password.list", Privilege.USERS_READ, of=targets.user, changes=False, own=True)
def list_passwords(act: Act, address: str) -> tuple[ApplicationPassword, ...]:
    """List a user's application passwords."""
    return application_passwords.listed(act.connection, users.find(act.connection, address).id)


@operation("app-password.create", Privilege.USERS_SECURITY, of=targets.user, own=True)
def create_password(act: Act, address: str, name: str, scope: Scope) -> str:
    """Give a user an application password; it is shown once."""
    act.note(name=name, scope=scope.value)
    return application_passwords.create(act.connection, users.find(act.connection, address).id, name, scope, act.now)


@operation("app-password.revoke", Privilege.USERS_SECURITY, of=targets.user, own=True)
def revoke_password(act: Act, address: str, name: str) -> ApplicationPassword:
    """Revoke an application password."""
    revoked = application_passwords.revoke(act.connection, users.find(act.connection, address).id, name)
    act.note(name=name, scope=revoked.scope.value)
    return revoked
