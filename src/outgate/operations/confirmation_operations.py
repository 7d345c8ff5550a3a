"""Operations by which a user proves that an address is theirs: by the code that is mailed to it, or by the link."""

from sqlalchemy import Connection, Engine

from outgate.directory import accounts, users
from outgate.directory.change import lock
from outgate.directory.privileges import Privilege
from outgate.directory.users import User
from outgate.frozen import frozen
from outgate.model import SendAs
from outgate.operations import targets
from outgate.operations.account_lookup import account_of, entry_of
from outgate.operations.confirmation import Confirmation
from outgate.operations.context import Counted, OperationContext
from outgate.operations.operation import operation
from outgate.record import audit_trail
from outgate.record.audit_trail import REFUSED, AuditEntry
from outgate.sendas import verification
from outgate.sendas.verification import LinkUsed
from outgate.store.engine import read, write
from outgate.store.vault import Vault


@operation("send-as.resend", Privilege.SEND_AS_MANAGE, targets.user("user"), own=True, services=("confirmation",))
def resend(op: OperationContext, user: str, address: str, confirmation: Confirmation) -> SendAs:
    """Mail a new code to an address that is not confirmed yet."""
    owner = account_of(op, user)
    entry = entry_of(owner, address)
    op.note(address=entry.address)
    confirmation.send(op.connection, op.vault, owner, entry.address, op.now)
    return entry


@operation("send-as.verify", Privilege.SEND_AS_MANAGE, targets.user("user"), own=True)
def verify(op: OperationContext, user: str, address: str, code: str) -> SendAs:
    """Enter the code that was mailed to an address."""
    op.note(address=address)
    if fault := verification.enter(op.connection, op.vault, account_of(op, user).id, address, code, op.now):
        raise Counted(fault)
    return entry_of(account_of(op, user), address)


@frozen
class ConfirmationLink:
    """What a confirmation link is for. Of a spent one only the language is told: the rest is nobody's any more."""

    waits: bool
    language: str | None  # the user's; None: the address is gone
    address: str = ""
    account: str = ""


def look_at_link(engine: Engine, vault: Vault, token: str, now: float) -> ConfirmationLink:
    """What would happen if the link were followed; changes nothing. Raises BadLink."""
    with read(engine) as connection:
        try:
            account_id, address = verification.look(connection, vault, token, now)
        except LinkUsed as spent:
            user = _user(connection, spent.account_id)
            return ConfirmationLink(waits=False, language=user.language if user else None)
        user = _user(connection, account_id)
        assert user
        return ConfirmationLink(waits=True, language=user.language, address=address, account=user.address)


def _user(connection: Connection, account_id: int | None) -> User | None:
    account = accounts.load(connection, account_id) if account_id is not None else None
    return users.find(connection, account.primary) if account else None


def confirm_link(engine: Engine, vault: Vault, token: str, peer: str, now: float) -> str:
    """The confirmation link was opened, by whoever reads the address; returns the address. Raises BadLink, LinkUsed.

    No operation: who has the link has the right. A link that was ours and is spent goes on record.
    """
    spent: LinkUsed | None = None
    with write(engine) as connection:
        lock(connection)
        try:
            account_id, address = verification.follow(connection, vault, token, now)
            entry = _link_entry(connection, account_id, address, peer, now)
        except LinkUsed as error:
            spent, address = error, error.address
            entry = _link_entry(connection, error.account_id, address, peer, now, outcome=REFUSED)
        audit_trail.append(connection, vault, [entry])
    if spent:
        raise spent
    return address


def _link_entry(
    connection: Connection, account_id: int | None, address: str, peer: str, now: float, outcome: str = audit_trail.DONE
) -> AuditEntry:
    owner = _user(connection, account_id)
    return AuditEntry(
        now,
        "confirmation link",
        peer,
        "send-as.verify",
        target=owner.address if owner else "",
        unit=owner.unit if owner else "",
        outcome=outcome,
        detail={"address": address},
    )
