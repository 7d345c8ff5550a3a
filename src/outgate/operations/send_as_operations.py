"""Operations on From addresses and their gateways: a user's own, and an administrator's on those of others."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from outgate.directory import accounts, users
from outgate.directory.change import compared, lock
from outgate.directory.errors import NotFound
from outgate.directory.gateway_settings import GatewaySettings
from outgate.directory.privileges import Privilege
from outgate.directory.users import User
from outgate.model import Account, Gateway, SendAs
from outgate.operations import targets
from outgate.operations.confirmation import Confirmation
from outgate.operations.domain_operations import described
from outgate.operations.operation import OPERATIONS, Counted, OperationContext, operation
from outgate.queue import admin as queue
from outgate.record import audit_trail
from outgate.record.audit_trail import REFUSED, AuditEntry
from outgate.sendas import gateways, send_as_addresses, verification
from outgate.sendas.verification import LinkUsed
from outgate.store.engine import read, write
from outgate.store.vault import Vault


@operation("send-as.list", Privilege.SEND_AS_READ, of=targets.user, changes=False, own=True)
def account(op: OperationContext, user: str) -> Account:
    """See a user's From addresses with their gateways."""
    found = accounts.load(op.connection, users.find(op.connection, user).id)
    assert found
    return found


@operation("send-as.list-all", Privilege.SEND_AS_READ, of=targets.unit, changes=False)
def every(op: OperationContext, unit: str | None = None) -> list[tuple[str, str, SendAs]]:
    """See all From addresses of a unit and those below it: (user, unit, address)."""
    top = targets.unit(op.connection, unit).unit
    return send_as_addresses.every(op.connection, top)


@operation("send-as.add", Privilege.SEND_AS_MANAGE, of=targets.user, own=True)
def add(
    op: OperationContext,
    user: str,
    address: str,
    confirmation: Confirmation,
    *,
    display_name: str = "",
    reply_to: str = "",
    treat_as_alias: bool = True,
    gateway: GatewaySettings | None = None,
    make_default: bool = False,
) -> SendAs:
    """Add a From address, with its gateway if it has one, and mail it a code that its owner must enter."""
    owner = _owner(op, user)
    entry = send_as_addresses.add(
        op.connection,
        owner.id,
        address,
        op.now,
        display_name=display_name,
        reply_to=reply_to,
        treat_as_alias=treat_as_alias,
    )
    op.note(address=["", entry.address])
    if gateway:
        gateways.set_gateway(op.connection, op.vault, owner.id, entry.address, gateway, op.now)
        op.note(gateway=["", described(gateway)])
    if make_default:
        send_as_addresses.edit(op.connection, owner.id, entry.address, make_default=True)
    confirmation.send(op.connection, op.vault, owner, entry.address, op.now)
    return _entry(op, owner.id, entry.address)


@operation("send-as.grant", Privilege.SEND_AS_MANAGE, of=targets.user)
def grant(op: OperationContext, user: str, address: str, *, display_name: str = "") -> SendAs:
    """Give a user an address of the organisation's own domains, without a proof."""
    owner = _owner(op, user)
    op.note(address=["", address])
    return send_as_addresses.add(
        op.connection, owner.id, address, op.now, display_name=display_name, granted_by_administrator=True
    )


@operation("send-as.resend", Privilege.SEND_AS_MANAGE, of=targets.user, own=True)
def resend(op: OperationContext, user: str, address: str, confirmation: Confirmation) -> SendAs:
    """Mail a new code to an address that is not confirmed yet."""
    owner = _owner(op, user)
    entry = _entry(op, owner.id, address)
    op.note(address=entry.address)
    confirmation.send(op.connection, op.vault, owner, entry.address, op.now)
    return entry


@operation("send-as.verify", Privilege.SEND_AS_MANAGE, of=targets.user, own=True)
def verify(op: OperationContext, user: str, address: str, code: str) -> SendAs:
    """Enter the code that was mailed to an address."""
    owner = _owner(op, user)
    op.note(address=address)
    if fault := verification.enter(op.connection, op.vault, owner.id, address, code, op.now):
        raise Counted(fault)
    return _entry(op, owner.id, address)


@operation("send-as.edit", Privilege.SEND_AS_MANAGE, of=targets.user, own=True)
def edit(
    op: OperationContext,
    user: str,
    address: str,
    *,
    display_name: str | None = None,
    reply_to: str | None = None,
    treat_as_alias: bool | None = None,
    make_default: bool = False,
) -> SendAs:
    """Change the name, the Reply-To or the treatment as an alias of an address, or make it the default."""
    owner = _owner(op, user)
    before = _entry(op, owner.id, address)
    entry = send_as_addresses.edit(
        op.connection,
        owner.id,
        address,
        display_name=display_name,
        reply_to=reply_to,
        treat_as_alias=treat_as_alias,
        make_default=make_default,
    )
    op.note(address=entry.address, **_differences(before, entry))
    return entry


@operation("send-as.delete", Privilege.SEND_AS_MANAGE, of=targets.user, own=True)
def remove(op: OperationContext, user: str, address: str) -> SendAs:
    """Take an address away, with its gateway and its proof of ownership."""
    owner = _owner(op, user)
    entry = _entry(op, owner.id, address)
    send_as_addresses.remove(op.connection, owner.id, address)
    op.note(address=[entry.address, ""])
    queue.reconsider(op.connection, op.now)
    return entry


@operation("send-as.transfer", Privilege.SEND_AS_MANAGE, of=targets.user)
def transfer(op: OperationContext, user: str, address: str, to: str, confirmation: Confirmation) -> SendAs:
    """Give a user's address to another user, who must prove it anew if it is outside the own domains."""
    former, heir = _owner(op, user), _owner(op, to)
    op.require(OPERATIONS["send-as.transfer"], targets.user(op.connection, to))
    entry = send_as_addresses.transfer(op.connection, former.id, heir.id, address, op.now)
    op.note(address=entry.address, owner=[former.primary, heir.primary])
    if not entry.verified:
        confirmation.send(op.connection, op.vault, heir, entry.address, op.now)
    queue.reconsider(op.connection, op.now)
    return entry


@operation("gateway.set", Privilege.SEND_AS_MANAGE, of=targets.user, own=True)
def set_gateway(op: OperationContext, user: str, address: str, wanted: GatewaySettings) -> Gateway:
    """Set or replace the gateway of an address."""
    owner = _owner(op, user)
    before = _entry(op, owner.id, address).gateway
    op.note(address=address, gateway=[before and described(before), described(wanted)])
    made = gateways.set_gateway(op.connection, op.vault, owner.id, address, wanted, op.now)
    queue.reconsider(op.connection, op.now)
    return made


@operation("gateway.clear", Privilege.SEND_AS_MANAGE, of=targets.user, own=True)
def clear_gateway(op: OperationContext, user: str, address: str) -> None:
    """Let the organisation's servers deliver what is sent as an address."""
    owner = _owner(op, user)
    before = _entry(op, owner.id, address).gateway
    op.note(address=address, gateway=[before and described(before), ""])
    gateways.clear(op.connection, owner.id, address)
    queue.reconsider(op.connection, op.now)


@operation("gateway.test", Privilege.SEND_AS_MANAGE, of=targets.user, own=True)
def tested(op: OperationContext, user: str, address: str, gateway: str) -> None:
    """Try the gateway of an address."""
    op.note(address=address, gateway=gateway)


@dataclass(frozen=True, slots=True)
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


def _owner(op: OperationContext, user: str) -> Account:
    found = accounts.load(op.connection, users.find(op.connection, user).id)
    assert found
    return found


def _entry(op: OperationContext, account_id: int, address: str) -> SendAs:
    address = compared(address)
    for entry in send_as_addresses.addresses(op.connection, account_id):
        if entry.address == address:
            return entry
    raise NotFound(f"{address} is not an address of this account")


def _differences(before: SendAs, after: SendAs) -> dict[str, Sequence[object]]:
    names = ("display_name", "reply_to", "treat_as_alias", "is_default")
    pairs = {name: [getattr(before, name), getattr(after, name)] for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
