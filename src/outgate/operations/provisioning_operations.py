"""Operations on users as an identity provider knows them: by its own number and names."""

from sqlalchemy import ColumnElement

from outgate.directory import provisioned_users, users
from outgate.directory.change import compared
from outgate.directory.errors import AlreadyExists
from outgate.directory.privileges import Privilege
from outgate.directory.provisioned_users import ProviderNames, ProvisionedUser
from outgate.frozen import frozen
from outgate.operations import targets, user_operations
from outgate.operations.context import OperationContext
from outgate.operations.operation import operation
from outgate.sendas import send_as_addresses


@frozen
class ProvisionedPage:
    """Some of the users that were found, and how many these are."""

    total: int
    users: tuple[ProvisionedUser, ...]


@operation("provisioning.search", Privilege.USERS_READ, targets.unit("unit"), changes=False)
def search(
    op: OperationContext, where: ColumnElement[bool], unit: str = "/", *, after: int, limit: int
) -> ProvisionedPage:
    """Find users of a unit and those below it by a condition, page by page."""
    return ProvisionedPage(*provisioned_users.search(op.connection, where, unit, after, limit))


@operation("provisioning.show", Privilege.USERS_READ, targets.user("address"), changes=False)
def show(op: OperationContext, address: str) -> ProvisionedUser:
    """Show a user as an identity provider knows them."""
    return provisioned_users.find(op.connection, address)


@operation("provisioning.name", Privilege.USERS_MANAGE, targets.user("address"))
def name(op: OperationContext, address: str, names: ProviderNames) -> ProvisionedUser:
    """Keep what an identity provider says of a user. The name that others see follows."""
    before = provisioned_users.find(op.connection, address)
    provisioned_users.set_names(op.connection, before.user.id, names)
    whole = (before.names or ProviderNames()).whole_name
    if names.whole_name not in (whole, before.user.name):
        users.edit(op.connection, address, name=names.whole_name)
    after = provisioned_users.find(op.connection, address)
    known = before.names or ProviderNames()
    op.changed(name=(before.user.name, after.user.name), external_id=(known.external_id, names.external_id))
    return after


def create(op: OperationContext, address: str, names: ProviderNames, unit: str) -> ProvisionedUser:
    """Add a user without a password. Raises AlreadyExists, also for an address that somebody else can send as.

    No operation: it is made of some.
    """
    for holder in send_as_addresses.holders(op.connection, compared(address)):
        if holder.account == compared(address):
            raise AlreadyExists("there is a user {address} already", address=holder.account)
        raise AlreadyExists(
            "{address} is an address of {user}; take it away from them first",
            address=compared(address),
            user=holder.account,
        )
    made = user_operations.create(op, address, None, name=names.whole_name, unit=unit)
    return name(op, made.address, names)
