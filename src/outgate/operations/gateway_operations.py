"""Operations on the gateways of From addresses."""

from collections.abc import Callable
from dataclasses import field

from outgate.directory import restrictions
from outgate.directory.errors import NotFound
from outgate.directory.gateway_settings import GatewaySettings
from outgate.directory.privileges import Privilege
from outgate.frozen import frozen
from outgate.model import Consent, Gateway, SendAs
from outgate.operations import targets
from outgate.operations.account_lookup import account_of, entry_of
from outgate.operations.context import OperationContext, Transactions, rehearse
from outgate.operations.gateway_trial import (
    NO_CONSENT_YET,
    GatewayProbe,
    GatewayUnusable,
    described,
    make_after_trial,
    user_trial,
)
from outgate.operations.operation import operation
from outgate.queue.admin import Selection
from outgate.record.audit_trail import FAILED
from outgate.route import gateway_queue
from outgate.sendas import gateways


@operation("gateway.set", Privilege.SEND_AS_MANAGE, targets.user("user"), own=True, proof=True)
def set_gateway(op: OperationContext, user: str, address: str, wanted: GatewaySettings) -> SendAs:
    """Set or replace the gateway of an address."""
    owner = account_of(op, user)
    before = entry_of(owner, address)
    made = gateways.set_gateway(op.connection, op.vault, owner.id, address, wanted, op.now)
    op.note(address=before.address)
    op.changed(gateway=(described(before.gateway), described(made)))
    if made != before.gateway:
        op.note(password=bool(wanted.password), provider=wanted.provider)
    op.reconsider(Selection(account_id=owner.id, chosen_from=before.address))
    return entry_of(account_of(op, user), address)


@operation("gateway.clear", Privilege.SEND_AS_MANAGE, targets.user("user"), own=True, proof=True)
def clear_gateway(op: OperationContext, user: str, address: str) -> SendAs:
    """Let the organisation's servers deliver what is sent as an address."""
    owner = account_of(op, user)
    before = entry_of(owner, address)
    op.note(address=before.address)
    op.changed(gateway=(described(before.gateway), ""))
    gateways.clear(op.connection, owner.id, address)
    op.reconsider(Selection(account_id=owner.id, chosen_from=before.address))
    return entry_of(account_of(op, user), address)


@operation("gateway.test", Privilege.SEND_AS_MANAGE, targets.user("user"), own=True, services=("gateway", "reason"))
def tested(op: OperationContext, user: str, address: str, gateway: Gateway, reason: str) -> None:
    """Try the gateway of an address; one that was suspended for its log-in goes on if it works."""
    op.note(address=address, gateway=described(gateway))
    if reason:
        op.note(reason=reason)
        op.outcome = FAILED
    elif restrictions.log_in_taken(op.connection, gateway_queue(gateway), gateway.credential_version):
        op.note(resumed=True)
        op.reconsider(Selection(queue=str(gateway_queue(gateway))))


def save(
    transactions: Transactions, user: str, address: str, wanted: GatewaySettings, probe: GatewayProbe | None
) -> SendAs:
    """Set a gateway once it was tried; at once without a probe. Raises GatewayUnusable."""
    return make_after_trial(
        transactions,
        lambda op: set_gateway(op, user, address, wanted),
        wanted,
        user_trial(probe, address),
    )


def kept_password(transactions: Transactions, user: str, address: str) -> str:
    """The password of the gateway that an address has, for whoever may set another: to be saved again with a change.

    Raises NotFound and store.vault.SealBroken.
    """
    with transactions.reading() as op:
        gateway = entry_of(account_of(op, user), address).gateway
        if gateway is None:
            raise NotFound("{address} has no gateway", address=address)
        clear_gateway.require(op, user, address)
        return gateways.open_password(op.vault, gateway)


def rehearse_sign_in(
    transactions: Transactions, user: str, address: str, wanted: Callable[[Consent], GatewaySettings]
) -> None:
    """Raise what speaks against a gateway before its user is sent to the provider for the consent that it wants."""
    rehearse(transactions, lambda op: set_gateway(op, user, address, wanted(NO_CONSENT_YET)))


@frozen
class GatewayToTry:
    """The gateway that an address has, with its password (empty without one), which policy lets be used."""

    gateway: Gateway
    address: str
    password: str = field(repr=False)


def testable(transactions: Transactions, user: str, address: str) -> GatewayToTry:
    """What is to be tried. Raises NotFound, NotAllowed and store.vault.SealBroken."""
    with transactions.reading() as op:
        owner = account_of(op, user)
        entry = entry_of(owner, address)
        gateway = entry.gateway
        if gateway is None and entry.common_gateway:
            raise NotFound(
                "{address} has no gateway of its own; administrators try the common one with: outgate address-grant"
                " gateway test",
                address=entry.address,
            )
        if gateway is None:
            raise NotFound("{address} has no gateway; set one with: outgate sendas gateway set", address=entry.address)
        tested.require(op, user, entry.address, gateway, "")
        gateways.require_allowed(owner, entry, gateway)
        return GatewayToTry(gateway, entry.address, gateways.open_password(op.vault, gateway))


def settle_test(transactions: Transactions, user: str, wanted: GatewayToTry, reason: str) -> None:
    """Put on record what came of it: `reason` is why it does not work, empty if it does."""
    with transactions.writing() as op:
        tested(op, user, wanted.address, wanted.gateway, reason)


def try_out(
    transactions: Transactions,
    user: str,
    address: str,
    probe: GatewayProbe,
    token_of: Callable[[Gateway], str],
) -> SendAs:
    """Try the gateway that an address has, if policy lets it be used. What came of it is on record. `token_of` gets the
    access token of one that has an OAuth provider.

    Raises NotFound, NotAllowed, GatewayUnusable and store.vault.SealBroken.
    """
    wanted = testable(transactions, user, address)
    gateway = wanted.gateway
    secret = token_of(gateway) if gateway.provider else wanted.password
    reason = probe.user_gateway(gateway, secret, wanted.address)
    settle_test(transactions, user, wanted, reason)
    if reason:
        raise GatewayUnusable(gateway, reason)
    with transactions.reading() as op:
        return entry_of(account_of(op, user), wanted.address)
