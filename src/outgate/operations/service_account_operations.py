"""Operations on service accounts: programs that act for users, by their own keys and scopes they were granted."""

from collections.abc import Sequence

from outgate.directory import service_accounts
from outgate.directory.privileges import Privilege
from outgate.directory.service_accounts import NewKey, ServiceAccount
from outgate.operations import targets
from outgate.operations.context import OperationContext
from outgate.operations.operation import operation


@operation("service-account.list", Privilege.API_MANAGE, targets.ORGANISATION, changes=False)
def list_accounts(op: OperationContext) -> tuple[ServiceAccount, ...]:
    """List the service accounts with their keys and scopes."""
    return service_accounts.listed(op.connection)


@operation("service-account.create", Privilege.API_MANAGE, targets.ORGANISATION, services=("host",), proof=True)
def create(op: OperationContext, name: str, host: str) -> tuple[ServiceAccount, NewKey]:
    """Make a service account with its first key, which is shown once."""
    made = service_accounts.create(op.connection, name, host, op.now)
    key = service_accounts.add_key(op.connection, name, op.now)
    op.note(service_account=made.email, client_id=made.client_id, key=key.key_id)
    return service_accounts.find(op.connection, name), key


@operation("service-account.rotate", Privilege.API_MANAGE, targets.ORGANISATION, proof=True)
def rotate(op: OperationContext, name: str) -> tuple[ServiceAccount, NewKey]:
    """Give a service account a further key; the former ones are good until they are revoked."""
    key = service_accounts.add_key(op.connection, name, op.now)
    found = service_accounts.find(op.connection, name)
    op.note(service_account=found.email, key=key.key_id)
    return found, key


@operation("service-account.revoke-key", Privilege.API_MANAGE, targets.ORGANISATION, proof=True)
def revoke_key(op: OperationContext, name: str, key: str) -> ServiceAccount:
    """Revoke a key of a service account, with the tokens that it was given for it."""
    service_accounts.revoke_key(op.connection, name, key)
    found = service_accounts.find(op.connection, name)
    op.note(service_account=found.email, key=key)
    return found


@operation("service-account.remove", Privilege.API_MANAGE, targets.ORGANISATION, proof=True)
def remove(op: OperationContext, name: str) -> ServiceAccount:
    """Take a service account away, with its keys, grants and tokens."""
    removed = service_accounts.remove(op.connection, name)
    op.note(service_account=removed.email)
    return removed


@operation("service-account.grant", Privilege.API_MANAGE, targets.ORGANISATION, proof=True)
def grant(op: OperationContext, name: str, scopes: Sequence[str]) -> ServiceAccount:
    """Say what a service account may do as any user: these scopes and no other."""
    before = service_accounts.find(op.connection, name)
    after = service_accounts.grant(op.connection, name, tuple(scopes), op.now)
    op.note(service_account=after.email, client_id=after.client_id)
    op.changed(scopes=(" ".join(before.scopes), " ".join(after.scopes)))
    return after
