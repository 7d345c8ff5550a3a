"""Operations on what is the whole organisation's: its domains, their keys, its outbound gateway, the vault's keys."""

from outgate.directory import organisation
from outgate.directory.gateway_settings import GatewaySettings
from outgate.directory.organisation import Domain
from outgate.directory.privileges import Privilege
from outgate.model import Gateway
from outgate.operations import targets
from outgate.operations.operation import OperationContext, operation
from outgate.queue import admin as queue


@operation("domain.list", Privilege.UNITS_READ, of=targets.organisation, changes=False)
def list_domains(op: OperationContext) -> tuple[Domain, ...]:
    """List the organisation's domains."""
    return organisation.domains(op.connection)


@operation("domain.add", Privilege.DOMAINS_MANAGE, of=targets.organisation)
def add(op: OperationContext, name: str) -> None:
    """Add a domain of the organisation."""
    op.note(domain=["", name])
    organisation.add_domain(op.connection, name, op.now)


@operation("domain.remove", Privilege.DOMAINS_MANAGE, of=targets.organisation)
def remove(op: OperationContext, name: str) -> None:
    """Remove a domain of the organisation that no address uses."""
    op.note(domain=[name, ""])
    organisation.remove_domain(op.connection, name)


@operation("domain.key", Privilege.DOMAINS_MANAGE, of=targets.organisation)
def set_signing_key(op: OperationContext, name: str, selector: str, pem: bytes, dkim_record: str) -> None:
    """Sign a domain's mail with a new DKIM key."""
    op.note(domain=name, selector=selector)
    organisation.set_signing_key(op.connection, op.vault, name, selector, pem, dkim_record)


@operation("domain-gateway.show", Privilege.UNITS_READ, of=targets.organisation, changes=False)
def gateway(op: OperationContext) -> Gateway | None:
    """See the organisation's outbound gateway."""
    return organisation.domain_gateway(op.connection)


@operation("domain-gateway.set", Privilege.GMAIL_SETTINGS, of=targets.organisation)
def set_gateway(op: OperationContext, wanted: GatewaySettings) -> Gateway:
    """Set the organisation's outbound gateway."""
    before = organisation.domain_gateway(op.connection)
    op.note(gateway=[before and described(before), described(wanted)])
    made = organisation.set_domain_gateway(op.connection, op.vault, wanted)
    queue.reconsider(op.connection, op.now)
    return made


@operation("domain-gateway.clear", Privilege.GMAIL_SETTINGS, of=targets.organisation)
def clear_gateway(op: OperationContext) -> None:
    """Let the organisation's mail go to its recipients' exchangers."""
    before = organisation.domain_gateway(op.connection)
    op.note(gateway=[before and described(before), ""])
    organisation.clear_domain_gateway(op.connection)
    queue.reconsider(op.connection, op.now)


@operation("secrets.rotate", Privilege.SECRETS_MANAGE, of=targets.organisation)
def rotated(op: OperationContext, key_id: str, resealed: int) -> None:
    """Seal every secret with a new key."""
    op.note(key=key_id, resealed=resealed)


@operation("secrets.audit", Privilege.SECRETS_MANAGE, of=targets.organisation)
def searched(op: OperationContext, findings: int) -> None:
    """Search database, logs and memory for secrets."""
    op.note(findings=findings)


def described(server: Gateway | GatewaySettings) -> str:
    """As in `smtp.example.org:587 (starttls, as alice)`."""
    log_in = f", as {server.username}" if server.username else ", without log-in"
    return f"{server.host}:{server.port} ({server.security}{log_in})"
