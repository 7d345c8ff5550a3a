"""Operations on From addresses and their gateways: a user's own, and an administrator's on those of others."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from outgate.authorise import Account, Gateway, SendAs
from outgate.control import targets
from outgate.control.confirmation import Confirmation
from outgate.control.domains import described
from outgate.control.operation import OPERATIONS, Act, Counted, operation
from outgate.directory import accounts, users
from outgate.directory.change import compared, lock
from outgate.directory.errors import NotFound
from outgate.directory.privileges import Privilege
from outgate.directory.server import Server
from outgate.directory.users import User
from outgate.queue import operations as queue
from outgate.record import audit
from outgate.record.audit import REFUSED, Entry
from outgate.sendas import addresses, gateways, verification
from outgate.sendas.verification import LinkUsed
from outgate.store.engine import read, write
from outgate.store.vault import Vault


@operation("send-as.list", Privilege.SEND_AS_READ, of=targets.user, changes=False, own=True)
def account(act: Act, user: str) -> Account:
    """See a user's From addresses with their gateways."""
    found = accounts.load(act.connection, users.find(act.connection, user).id)
    assert found
    return found


@operation("send-as.list-all", Privilege.SEND_AS_READ, of=targets.unit, changes=False)
def every(act: Act, unit: str | None = None) -> list[tuple[str, str, SendAs]]:
    """See all From addresses of a unit and those below it: (user, unit, address)."""
    top = targets.unit(act.connection, unit).unit
    return addresses.every(act.connection, top)


@operation("send-as.add", Privilege.SEND_AS_MANAGE, of=targets.user, own=True)
def add(
    act: Act,
    user: str,
    address: str,
    confirmation: Confirmation,
    *,
    display_name: str = "",
    reply_to: str = "",
    treat_as_alias: bool = True,
    gateway: Server | None = None,
    make_default: bool = False,
) -> SendAs:
    """Add a From address, with its gateway if it has one, and mail it a code that its owner must enter."""
    owner = _owner(act, user)
    entry = addresses.add(
        act.connection,
        owner.id,
        address,
        act.now,
        display_name=display_name,
        reply_to=reply_to,
        treat_as_alias=treat_as_alias,
    )
    act.note(address=["", entry.address])
    if gateway:
        gateways.set_gateway(act.connection, act.vault, owner.id, entry.address, gateway, act.now)
        act.note(gateway=["", described(gateway)])
    if make_default:
        addresses.edit(act.connection, owner.id, entry.address, make_default=True)
    confirmation.send(act.connection, act.vault, owner, entry.address, act.now)
    return _entry(act, owner.id, entry.address)


@operation("send-as.grant", Privilege.SEND_AS_MANAGE, of=targets.user)
def grant(act: Act, user: str, address: str, *, display_name: str = "") -> SendAs:
    """Give a user an address of the organisation's own domains, without a proof."""
    owner = _owner(act, user)
    act.note(address=["", address])
    return addresses.add(
        act.connection, owner.id, address, act.now, display_name=display_name, granted_by_administrator=True
    )


@operation("send-as.resend", Privilege.SEND_AS_MANAGE, of=targets.user, own=True)
def resend(act: Act, user: str, address: str, confirmation: Confirmation) -> SendAs:
    """Mail a new code to an address that is not confirmed yet."""
    owner = _owner(act, user)
    entry = _entry(act, owner.id, address)
    act.note(address=entry.address)
    confirmation.send(act.connection, act.vault, owner, entry.address, act.now)
    return entry


@operation("send-as.verify", Privilege.SEND_AS_MANAGE, of=targets.user, own=True)
def verify(act: Act, user: str, address: str, code: str) -> SendAs:
    """Enter the code that was mailed to an address."""
    owner = _owner(act, user)
    act.note(address=address)
    if fault := verification.enter(act.connection, act.vault, owner.id, address, code, act.now):
        raise Counted(fault)
    return _entry(act, owner.id, address)


@operation("send-as.edit", Privilege.SEND_AS_MANAGE, of=targets.user, own=True)
def edit(
    act: Act,
    user: str,
    address: str,
    *,
    display_name: str | None = None,
    reply_to: str | None = None,
    treat_as_alias: bool | None = None,
    make_default: bool = False,
) -> SendAs:
    """Change the name, the Reply-To or the treatment as an alias of an address, or make it the default."""
    owner = _owner(act, user)
    before = _entry(act, owner.id, address)
    entry = addresses.edit(
        act.connection,
        owner.id,
        address,
        display_name=display_name,
        reply_to=reply_to,
        treat_as_alias=treat_as_alias,
        make_default=make_default,
    )
    act.note(address=entry.address, **_differences(before, entry))
    return entry


@operation("send-as.delete", Privilege.SEND_AS_MANAGE, of=targets.user, own=True)
def remove(act: Act, user: str, address: str) -> SendAs:
    """Take an address away, with its gateway and its proof of ownership."""
    owner = _owner(act, user)
    entry = _entry(act, owner.id, address)
    addresses.remove(act.connection, owner.id, address)
    act.note(address=[entry.address, ""])
    queue.hasten(act.connection, act.now)
    return entry


@operation("send-as.transfer", Privilege.SEND_AS_MANAGE, of=targets.user)
def transfer(act: Act, user: str, address: str, to: str, confirmation: Confirmation) -> SendAs:
    """Give a user's address to another user, who must prove it anew if it is outside the own domains."""
    former, heir = _owner(act, user), _owner(act, to)
    act.require(OPERATIONS["send-as.transfer"], targets.user(act.connection, to))
    entry = addresses.transfer(act.connection, former.id, heir.id, address, act.now)
    act.note(address=entry.address, owner=[former.primary, heir.primary])
    if not entry.verified:
        confirmation.send(act.connection, act.vault, heir, entry.address, act.now)
    queue.hasten(act.connection, act.now)
    return entry


@operation("gateway.set", Privilege.SEND_AS_MANAGE, of=targets.user, own=True)
def set_gateway(act: Act, user: str, address: str, wanted: Server) -> Gateway:
    """Set or replace the gateway of an address."""
    owner = _owner(act, user)
    before = _entry(act, owner.id, address).gateway
    act.note(address=address, gateway=[before and described(before), described(wanted)])
    made = gateways.set_gateway(act.connection, act.vault, owner.id, address, wanted, act.now)
    queue.hasten(act.connection, act.now)
    return made


@operation("gateway.clear", Privilege.SEND_AS_MANAGE, of=targets.user, own=True)
def clear_gateway(act: Act, user: str, address: str) -> None:
    """Let the organisation's servers deliver what is sent as an address."""
    owner = _owner(act, user)
    before = _entry(act, owner.id, address).gateway
    act.note(address=address, gateway=[before and described(before), ""])
    gateways.clear(act.connection, owner.id, address)
    queue.hasten(act.connection, act.now)


@operation("gateway.test", Privilege.SEND_AS_MANAGE, of=targets.user, own=True)
def tested(act: Act, user: str, address: str, gateway: str) -> None:
    """Try the gateway of an address."""
    act.note(address=address, gateway=gateway)


@dataclass(frozen=True, slots=True)
class Link:
    """What a confirmation link is for. Of a spent one only the language is told: the rest is nobody's any more."""

    waits: bool
    language: str | None  # the user's; None: the address is gone
    address: str = ""
    account: str = ""


def look_at_link(engine: Engine, vault: Vault, token: str, now: float) -> Link:
    """What would happen if the link were followed; changes nothing. Raises BadLink."""
    with read(engine) as connection:
        try:
            account_id, address = verification.look(connection, vault, token, now)
        except LinkUsed as spent:
            user = _user(connection, spent.account_id)
            return Link(waits=False, language=user.language if user else None)
        user = _user(connection, account_id)
        assert user
        return Link(waits=True, language=user.language, address=address, account=user.address)


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
        audit.append(connection, vault, [entry])
    if spent:
        raise spent
    return address


def _link_entry(
    connection: Connection, account_id: int | None, address: str, peer: str, now: float, outcome: str = audit.DONE
) -> Entry:
    owner = _user(connection, account_id)
    return Entry(
        now,
        "confirmation link",
        peer,
        "send-as.verify",
        target=owner.address if owner else "",
        unit=owner.unit if owner else "",
        outcome=outcome,
        detail={"address": address},
    )


def _owner(act: Act, user: str) -> Account:
    found = accounts.load(act.connection, users.find(act.connection, user).id)
    assert found
    return found


def _entry(act: Act, account_id: int, address: str) -> SendAs:
    address = compared(address)
    for entry in addresses.addresses(act.connection, account_id):
        if entry.address == address:
            return entry
    raise NotFound(f"{address} is not an address of this account")


def _differences(before: SendAs, after: SendAs) -> dict[str, Sequence[object]]:
    names = ("display_name", "reply_to", "treat_as_alias", "is_default")
    pairs = {name: [getattr(before, name), getattr(after, name)] for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
