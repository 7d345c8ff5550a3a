"""Operations on the gateways that are common to all whom an address was granted to. Their users have none of these."""

from collections.abc import Callable

from outgate.directory import restrictions
from outgate.directory.gateway_settings import GatewaySettings, open_password
from outgate.directory.privileges import Privilege
from outgate.model import Consent, Gateway
from outgate.operations import targets
from outgate.operations.context import OperationContext, Transactions, rehearse
from outgate.operations.gateway_operations import GatewayToTry
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
from outgate.sendas import common_gateways, proven_domains
from outgate.sendas.proven_domains import AddressGrant


@operation("common-gateway.set", Privilege.SEND_AS_MANAGE, targets.ORGANISATION, proof=True)
def set_gateway(
    op: OperationContext,
    address: str,
    wanted: GatewaySettings,
    *,
    user: str | None = None,
    unit: str | None = None,
    group: str | None = None,
) -> AddressGrant:
    """Set or replace the gateway that all who were granted an address there have in common."""
    asked = AddressGrant(address, user, unit, group)
    _, before = proven_domains.find_grant(op.connection, asked)
    after = common_gateways.set_gateway(op.connection, op.vault, asked, wanted, op.now)
    op.note(address=after.address, to=after.to)
    op.changed(gateway=(described(before.gateway), described(after.gateway)))
    if after.gateway != before.gateway:
        op.note(password=bool(wanted.password), provider=wanted.provider)
    op.reconsider(Selection(chosen_from=after.address))
    return after


@operation("common-gateway.clear", Privilege.SEND_AS_MANAGE, targets.ORGANISATION, proof=True)
def clear_gateway(
    op: OperationContext, address: str, *, user: str | None = None, unit: str | None = None, group: str | None = None
) -> AddressGrant:
    """Take the common gateway from a grant, which stays."""
    before = common_gateways.clear(op.connection, AddressGrant(address, user, unit, group))
    op.note(address=before.address, to=before.to)
    op.changed(gateway=(described(before.gateway), ""))
    op.reconsider(Selection(chosen_from=before.address))
    return before


@operation("common-gateway.test", Privilege.SEND_AS_MANAGE, targets.ORGANISATION, services=("gateway", "reason"))
def tested(op: OperationContext, grant: AddressGrant, gateway: Gateway, reason: str) -> None:
    """Try a common gateway; one that was suspended for its log-in goes on if it works."""
    op.note(address=grant.address, to=grant.to, gateway=described(gateway))
    if reason:
        op.note(reason=reason)
        op.outcome = FAILED
    elif restrictions.log_in_taken(op.connection, gateway_queue(gateway), gateway.credential_version):
        op.note(resumed=True)
        op.reconsider(Selection(queue=str(gateway_queue(gateway))))


def save(
    transactions: Transactions, grant: AddressGrant, wanted: GatewaySettings, probe: GatewayProbe | None
) -> AddressGrant:
    """Set a common gateway once it was tried; at once without a probe. Raises GatewayUnusable."""
    return make_after_trial(
        transactions,
        lambda op: set_gateway(op, grant.address, wanted, user=grant.user, unit=grant.unit, group=grant.group),
        wanted,
        user_trial(probe, grant.address),
    )


def kept_password(transactions: Transactions, grant: AddressGrant) -> str:
    """The password of a common gateway, for whoever may set another: to be saved again with a change.

    Raises NotFound and store.vault.SealBroken.
    """
    with transactions.reading() as op:
        clear_gateway.require(op, grant.address, user=grant.user, unit=grant.unit, group=grant.group)
        _, found = proven_domains.find_grant(op.connection, grant)
        return open_password(op.vault, common_gateways.gateway_of(found))


def rehearse_sign_in(
    transactions: Transactions, grant: AddressGrant, wanted: Callable[[Consent], GatewaySettings]
) -> None:
    """Raise what speaks against a gateway before its administrator is sent to the provider for the consent."""
    to = {"user": grant.user, "unit": grant.unit, "group": grant.group}
    rehearse(transactions, lambda op: set_gateway(op, grant.address, wanted(NO_CONSENT_YET), **to))


def testable(transactions: Transactions, grant: AddressGrant) -> tuple[AddressGrant, GatewayToTry]:
    """A grant, and its common gateway to be tried, which policy lets be used.

    Raises NotFound, NotAllowed and store.vault.SealBroken.
    """
    with transactions.reading() as op:
        clear_gateway.require(op, grant.address, user=grant.user, unit=grant.unit, group=grant.group)
        _, found = proven_domains.find_grant(op.connection, grant)
        gateway = common_gateways.gateway_of(found)
        common_gateways.require_allowed(op.connection, found, gateway)
        return found, GatewayToTry(gateway, found.address, open_password(op.vault, gateway))


def try_out(
    transactions: Transactions, grant: AddressGrant, probe: GatewayProbe, token_of: Callable[[Gateway], str]
) -> AddressGrant:
    """Try the common gateway that there is, if policy lets it be used. What came of it is on record. `token_of` gets
    the access token of one that was signed in to.

    Raises NotFound, NotAllowed, GatewayUnusable and store.vault.SealBroken.
    """
    found, wanted = testable(transactions, grant)
    gateway = wanted.gateway
    secret = token_of(gateway) if gateway.provider else wanted.password
    reason = probe.user_gateway(gateway, secret, found.address)
    with transactions.writing() as op:
        tested(op, found, gateway, reason)
    if reason:
        raise GatewayUnusable(gateway, reason)
    return found
