"""Operations on the organisation's outbound gateway."""

from outgate.directory import organisation, restrictions
from outgate.directory.gateway_settings import GatewaySettings
from outgate.directory.privileges import Privilege
from outgate.model import Cause, Gateway, QueueKey, QueueKind
from outgate.operations import targets
from outgate.operations.context import OperationContext, Transactions
from outgate.operations.gateway_trial import GatewayProbe, described, make_after_trial
from outgate.operations.operation import operation
from outgate.queue.admin import Selection


@operation("domain-gateway.show", Privilege.UNITS_READ, targets.ORGANISATION, changes=False)
def show(op: OperationContext) -> Gateway | None:
    """See the organisation's outbound gateway."""
    return organisation.domain_gateway(op.connection)


@operation("domain-gateway.set", Privilege.GMAIL_SETTINGS, targets.ORGANISATION, proof=True)
def set_gateway(op: OperationContext, wanted: GatewaySettings) -> Gateway:
    """Set the organisation's outbound gateway."""
    before = organisation.domain_gateway(op.connection)
    made = organisation.set_domain_gateway(op.connection, op.vault, wanted)
    op.changed(gateway=(described(before), described(made)))
    op.note(password=bool(wanted.password))
    restrictions.end(op.connection, QueueKey(QueueKind.DOMAIN_GATEWAY), (Cause.LOG_IN,))
    op.reconsider(Selection())
    return made


@operation("domain-gateway.clear", Privilege.GMAIL_SETTINGS, targets.ORGANISATION, proof=True)
def clear_gateway(op: OperationContext) -> None:
    """Let the organisation's mail go to its recipients' exchangers."""
    op.changed(gateway=(described(organisation.domain_gateway(op.connection)), ""))
    organisation.clear_domain_gateway(op.connection)
    op.reconsider(Selection())


def save(transactions: Transactions, wanted: GatewaySettings, probe: GatewayProbe | None) -> Gateway:
    """Set the organisation's gateway once it was tried; at once without a probe. Raises GatewayUnusable."""
    return make_after_trial(
        transactions, lambda op: set_gateway(op, wanted), wanted, probe.domain_gateway if probe else None
    )
