"""Operations on outbound gateways: that of the whole organisation, and those of single domains of its."""

from outgate.directory import organisation, restrictions
from outgate.directory.change import compared_domain
from outgate.directory.errors import NotFound
from outgate.directory.gateway_settings import GatewaySettings, open_password
from outgate.directory.privileges import Privilege
from outgate.model import Cause, Gateway, QueueKey, QueueKind
from outgate.operations import targets
from outgate.operations.context import OperationContext, Transactions
from outgate.operations.gateway_trial import GatewayProbe, described, make_after_trial
from outgate.operations.operation import operation
from outgate.queue.admin import Selection


@operation("domain-gateway.show", Privilege.UNITS_READ, targets.ORGANISATION, changes=False)
def show(op: OperationContext, domain: str = "") -> Gateway | None:
    """See the outbound gateway of the organisation, or the own one of a domain."""
    return organisation.domain_gateway(op.connection, compared_domain(domain) if domain else "")


@operation("domain-gateway.list", Privilege.UNITS_READ, targets.ORGANISATION, changes=False)
def listed(op: OperationContext) -> dict[str, Gateway]:
    """See all outbound gateways: that of the organisation by an empty name, the others by their domains."""
    return {queue.name: one for queue, one in organisation.domain_gateways(op.connection).items()}


@operation("domain-gateway.set", Privilege.GMAIL_SETTINGS, targets.ORGANISATION, proof=True)
def set_gateway(op: OperationContext, wanted: GatewaySettings, domain: str = "") -> Gateway:
    """Set the outbound gateway of the organisation, or of what is sent from one of its domains."""
    before = show(op, domain)
    made = organisation.set_domain_gateway(op.connection, op.vault, wanted, domain)
    op.changed(gateway=(described(before), described(made)))
    op.note(password=bool(wanted.password), domain=domain)
    name = compared_domain(domain) if domain else ""
    restrictions.end(op.connection, QueueKey(QueueKind.DOMAIN_GATEWAY, name), (Cause.LOG_IN,))
    op.reconsider(Selection())
    return made


@operation("domain-gateway.clear", Privilege.GMAIL_SETTINGS, targets.ORGANISATION, proof=True)
def clear_gateway(op: OperationContext, domain: str = "") -> None:
    """Let the organisation's mail go to its recipients' exchangers, or a domain's by the organisation's way."""
    op.changed(gateway=(described(show(op, domain)), ""))
    op.note(domain=domain)
    organisation.clear_domain_gateway(op.connection, domain)
    op.reconsider(Selection())


def save(transactions: Transactions, wanted: GatewaySettings, probe: GatewayProbe | None, domain: str = "") -> Gateway:
    """Set a gateway once it was tried; at once without a probe. Raises GatewayUnusable."""
    return make_after_trial(
        transactions, lambda op: set_gateway(op, wanted, domain), wanted, probe.domain_gateway if probe else None
    )


def kept_password(transactions: Transactions, wanted: GatewaySettings, domain: str = "") -> str:
    """The password of the gateway that there is, for whoever may set another: to be saved again with a change.

    Raises NotFound and store.vault.SealBroken.
    """
    with transactions.reading() as op:
        set_gateway.require(op, wanted, domain)
        gateway = show(op, domain)
        if gateway is None:
            raise NotFound("there is no outbound gateway yet; enter its password")
        return open_password(op.vault, gateway)
