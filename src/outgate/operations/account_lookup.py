"""The account and the address that operations on From addresses name. Reads only; knows no operation."""

from outgate.directory import accounts, users
from outgate.directory.accounts import local_mailbox
from outgate.directory.change import compared
from outgate.directory.errors import NotFound
from outgate.mail.addresses import is_role
from outgate.model import Account, Organisation, SendAs
from outgate.operations.context import OperationContext


def account_of(op: OperationContext, user: str) -> Account:
    """The account with this primary address. Raises NotFound."""
    found = accounts.load(op.connection, users.find(op.connection, user).id)
    assert found
    return found


def address_of_key(op: OperationContext, key: str) -> str:
    """The primary address of the user whom a program names by it, or by their number. Raises NotFound."""
    if key.isascii() and key.isdigit() and len(key) < 16:
        return users.by_id(op.connection, int(key)).address
    return key


def entry_of(owner: Account, address: str) -> SendAs:
    """One of the account's addresses. Raises NotFound and Invalid."""
    entry = owner.send_as.get(compared(address))
    if entry is None:
        raise NotFound("{address} is not an address of {account}", address=compared(address), account=owner.primary)
    return entry


def require_mailbox(op: OperationContext, organisation: Organisation, address: str) -> None:
    """As at RCPT: a colleague's address that does not exist is refused, not returned later. Raises NotFound."""
    address = compared(address)
    if address.rpartition("@")[2] not in organisation.domains or is_role(address):
        return
    if local_mailbox(op.connection, address) is None:
        raise NotFound("<{address}>: no such mailbox here", address=address)
