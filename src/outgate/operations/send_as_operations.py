"""Operations on From addresses: a user's own, and an administrator's on those of others."""

from collections.abc import Mapping
from typing import Final, Self

from outgate.directory import accounts, organisation, units, users
from outgate.directory.errors import Invalid
from outgate.directory.gateway_settings import GatewaySettings
from outgate.directory.privileges import Privilege
from outgate.frozen import frozen
from outgate.mailbox.clean_html import written
from outgate.model import Account, Organisation, SendAs
from outgate.operations import gateway_operations, targets
from outgate.operations.account_lookup import account_of, entry_of
from outgate.operations.confirmation import Confirmation
from outgate.operations.context import OperationContext, Transactions
from outgate.operations.gateway_trial import GatewayProbe, make_after_trial, user_trial
from outgate.operations.operation import operation
from outgate.queue.admin import Selection
from outgate.record import message_log
from outgate.sendas import send_as_addresses
from outgate.sendas.send_as_addresses import signature_too_long

MAX_TYPED_SIGNATURE: Final = 64 * 1024  # characters of HTML as it comes: what is pasted shrinks by being cleaned
MAX_SIGNATURE_TAGS: Final = 2000  # cleaning takes time by the square of those within each other: a tenth of a second


@frozen
class WrittenSignature:
    """A signature as it is kept, which is cleaned HTML, empty for none. It is made before the transaction: nobody's
    message waits for its cleaning.
    """

    html: str

    @classmethod
    def of(cls, html: str) -> Self:
        """Of what was typed. Raises Invalid."""
        if len(html) > MAX_TYPED_SIGNATURE:
            raise signature_too_long()
        if html.count("<") > MAX_SIGNATURE_TAGS:
            raise Invalid("a signature has at most {most} tags; make it plainer", most=MAX_SIGNATURE_TAGS)
        return cls(written(html))


@operation("send-as.list", Privilege.SEND_AS_READ, targets.user("user"), changes=False, own=True)
def account(op: OperationContext, user: str) -> Account:
    """See a user's From addresses with their gateways."""
    return account_of(op, user)


@operation("send-as.list-all", Privilege.SEND_AS_READ, targets.unit("unit"), changes=False)
def every(op: OperationContext, unit: str | None = None) -> list[tuple[str, str, SendAs]]:
    """See all From addresses of a unit and those below it: (user, unit, address)."""
    return send_as_addresses.every(op.connection, units.find(op.connection, unit or "/").path)


@operation("send-as.add", Privilege.SEND_AS_MANAGE, targets.user("user"), own=True, services=("confirmation",))
def add(
    op: OperationContext,
    user: str,
    address: str,
    confirmation: Confirmation,
    *,
    display_name: str = "",
    reply_to: str = "",
    treat_as_alias: bool = True,
) -> SendAs:
    """Add a From address and mail it a code that its owner must enter."""
    owner = account_of(op, user)
    entry = send_as_addresses.add(
        op.connection,
        owner.id,
        address,
        op.now,
        display_name=display_name,
        reply_to=reply_to,
        treat_as_alias=treat_as_alias,
    )
    op.changed(address=("", entry.address))
    confirmation.send(op.connection, op.vault, owner, entry.address, op.now)
    return entry


@operation("send-as.grant", Privilege.SEND_AS_MANAGE, targets.user("user"), targets.holders("address"))
def grant(
    op: OperationContext,
    user: str,
    address: str,
    *,
    display_name: str = "",
    reply_to: str = "",
    treat_as_alias: bool = True,
) -> SendAs:
    """Give a user an address of the organisation's own domains, without a proof."""
    entry = send_as_addresses.add(
        op.connection,
        account_of(op, user).id,
        address,
        op.now,
        display_name=display_name,
        reply_to=reply_to,
        treat_as_alias=treat_as_alias,
        granted_by_administrator=True,
    )
    op.changed(address=("", entry.address))
    return entry


@operation("send-as.edit", Privilege.SEND_AS_MANAGE, targets.user("user"), own=True)
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
    owner = account_of(op, user)
    before = entry_of(owner, address)
    entry = send_as_addresses.edit(
        op.connection,
        owner.id,
        address,
        display_name=display_name,
        reply_to=reply_to,
        treat_as_alias=treat_as_alias,
        make_default=make_default,
    )
    op.note(address=entry.address)
    op.changed(
        display_name=(before.display_name, entry.display_name),
        reply_to=(before.reply_to, entry.reply_to),
        treat_as_alias=(before.treat_as_alias, entry.treat_as_alias),
        is_default=(before.is_default, entry.is_default),
    )
    return entry


@operation("send-as.last-used", Privilege.SEND_AS_READ, targets.user("user"), changes=False, own=True)
def last_used(op: OperationContext, user: str) -> Mapping[str, float]:
    """See when a user has last sent from each of their From addresses, if that was of late."""
    owner = account_of(op, user)
    return message_log.last_accepted(op.connection, owner.primary, list(owner.send_as))


@operation("send-as.signatures", Privilege.SEND_AS_READ, targets.user("user"), changes=False, own=True)
def signatures(op: OperationContext, user: str) -> Mapping[str, str]:
    """See the signatures of a user's From addresses, as HTML by address."""
    return send_as_addresses.signatures(op.connection, account_of(op, user).id)


@operation("send-as.sign", Privilege.SEND_AS_MANAGE, targets.user("user"), own=True)
def set_signature(op: OperationContext, user: str, address: str, signature: WrittenSignature) -> None:
    """Give an address a signature, which is cleaned HTML, or take it away."""
    owner = account_of(op, user)
    entry = entry_of(owner, address)
    send_as_addresses.set_signature(op.connection, owner.id, entry.address, signature.html)
    op.note(address=entry.address)


@operation("send-as.delete", Privilege.SEND_AS_MANAGE, targets.user("user"), own=True)
def remove(op: OperationContext, user: str, address: str) -> SendAs:
    """Take an address away, with its gateway and its proof of ownership."""
    owner = account_of(op, user)
    entry = entry_of(owner, address)
    send_as_addresses.remove(op.connection, owner.id, address)
    op.changed(address=(entry.address, ""))
    op.reconsider(Selection(account_id=owner.id, chosen_from=entry.address))
    return entry


@operation(
    "send-as.transfer",
    Privilege.SEND_AS_MANAGE,
    targets.user("user"),
    targets.user("to"),
    targets.holders("address"),
    services=("confirmation",),
)
def transfer(op: OperationContext, user: str, address: str, to: str, confirmation: Confirmation) -> SendAs:
    """Give a user's address to another user, who must prove it anew if it is outside the own domains."""
    former, heir = account_of(op, user), account_of(op, to)
    entry = send_as_addresses.transfer(op.connection, former.id, heir.id, address, op.now)
    op.note(address=entry.address)
    op.changed(owner=(former.primary, heir.primary))
    if not entry.verified:
        confirmation.send(op.connection, op.vault, heir, entry.address, op.now)
    op.reconsider(Selection(account_id=former.id, chosen_from=entry.address))
    return entry


@frozen
class NewAddress:
    """An address as somebody asks for it. `granted` is without a proof of ownership: in the own domains only."""

    address: str
    display_name: str = ""
    reply_to: str = ""
    treat_as_alias: bool = True
    granted: bool = False
    make_default: bool = False
    gateway: GatewaySettings | None = None


def save(
    transactions: Transactions, user: str, wanted: NewAddress, confirmation: Confirmation, probe: GatewayProbe | None
) -> SendAs:
    """Add or grant an address, with its gateway once that was tried; at once without a probe.

    Raises GatewayUnusable.
    """

    def change(op: OperationContext) -> SendAs:
        return create(op, user, wanted, confirmation)

    if wanted.gateway:
        return make_after_trial(transactions, change, wanted.gateway, user_trial(probe, wanted.address))
    with transactions.writing() as op:
        return change(op)


def create(op: OperationContext, user: str, wanted: NewAddress, confirmation: Confirmation) -> SendAs:
    """Add or grant an address with all that is wanted of it. Each part is an operation."""
    name, reply_to, alias = wanted.display_name, wanted.reply_to, wanted.treat_as_alias
    if wanted.granted:
        entry = grant(op, user, wanted.address, display_name=name, reply_to=reply_to, treat_as_alias=alias)
    else:
        entry = add(op, user, wanted.address, confirmation, display_name=name, reply_to=reply_to, treat_as_alias=alias)
    if wanted.gateway:
        entry = gateway_operations.set_gateway(op, user, entry.address, wanted.gateway)
    if wanted.make_default:
        entry = edit(op, user, entry.address, make_default=True)
    return entry


@frozen
class AdviceBasis:
    """What the directory says that advice on an address depends on. `dkim` is (selector, record) by signed domain."""

    organisation: Organisation
    account: Account
    dkim: Mapping[str, tuple[str, str]]
    language: str  # the user's


@operation("send-as.advise", Privilege.SEND_AS_READ, targets.user("user"), changes=False, own=True)
def advice_basis(op: OperationContext, user: str) -> AdviceBasis:
    """Foresee what recipients will make of mail from an address."""
    owner = account_of(op, user)
    dkim = {
        domain.name: (domain.signing[0].selector, domain.signing[0].record)
        for domain in organisation.domains(op.connection)
        if domain.signing
    }
    language = users.find(op.connection, owner.primary).language
    return AdviceBasis(accounts.load_organisation(op.connection), owner, dkim, language)
