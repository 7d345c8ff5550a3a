"""Operations on application passwords: one for each program that sends as a user."""

from outgate.directory import application_passwords, users
from outgate.directory.application_passwords import ApplicationPassword, Scope
from outgate.directory.privileges import Privilege
from outgate.operations import targets
from outgate.operations.context import OperationContext
from outgate.operations.operation import operation


@operation("app-password.list", Privilege.USERS_READ, targets.user("address"), changes=False, own=True)
def list_passwords(op: OperationContext, address: str) -> tuple[ApplicationPassword, ...]:
    """List a user's application passwords."""
    return application_passwords.listed(op.connection, users.find(op.connection, address).id)


@operation("app-password.create", Privilege.USERS_SECURITY, targets.user("address"), own=True, proof=True)
def create_password(op: OperationContext, address: str, name: str, scope: Scope) -> str:
    """Give a user an application password; it is shown once."""
    op.note(name=name, scope=scope.value)
    return application_passwords.create(op.connection, users.find(op.connection, address).id, name, scope, op.now)


@operation("app-password.revoke", Privilege.USERS_SECURITY, targets.user("address"), own=True, proof=True)
def revoke_password(op: OperationContext, address: str, name: str) -> ApplicationPassword:
    """Revoke an application password."""
    revoked = application_passwords.revoke(op.connection, users.find(op.connection, address).id, name)
    op.note(name=name, scope=revoked.scope.value)
    return revoked
