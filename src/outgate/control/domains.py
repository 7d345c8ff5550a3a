"""Operations on what is the whole organisation's: its domains, their keys, its outbound gateway, the vault's keys."""

from outgate.authorise import Gateway
from outgate.control import targets
from outgate.control.operation import Act, operation
from outgate.directory import organisation
from outgate.directory.organisation import Domain
from outgate.directory.privileges import Privilege
from outgate.directory.server import Server
from outgate.queue import operations as queue


@operation("domain.list", Privilege.UNITS_READ, of=targets.organisation, changes=False)
def list_domains(act: Act) -> tuple[Domain, ...]:
    """List the organisation's domains."""
    return organisation.domains(act.connection)


@operation("domain.add", Privilege.DOMAINS_MANAGE, of=targets.organisation)
def add(act: Act, name: str) -> None:
    """Add a domain of the organisation."""
    act.note(domain=["", name])
    organisation.add_domain(act.connection, name, act.now)


@operation("domain.remove", Privilege.DOMAINS_MANAGE, of=targets.organisation)
def remove(act: Act, name: str) -> None:
    """Remove a domain of the organisation that no address uses."""
    act.note(domain=[name, ""])
    organisation.remove_domain(act.connection, name)


@operation("domain.key", Privilege.DOMAINS_MANAGE, of=targets.organisation)
def set_signing_key(act: Act, name: str, selector: str, pem: bytes, dkim_record: str) -> None:
    """Sign a domain's mail with a new DKIM key."""
    act.note(domain=name, selector=selector)
    organisation.set_signing_key(act.connection, act.vault, name, selector, pem, dkim_record)


@operation("domain-gateway.show", Privilege.UNITS_READ, of=targets.organisation, changes=False)
def gateway(act: Act) -> Gateway | None:
    """See the organisation's outbound gateway."""
    return organisation.domain_gateway(act.connection)


@operation("domain-gateway.set", Privilege.GMAIL_SETTINGS, of=targets.organisation)
def set_gateway(act: Act, wanted: Server) -> Gateway:
    """Set the organisation's outbound gateway."""
    before = organisation.domain_gateway(act.connection)
    act.note(gateway=[before and described(before), described(wanted)])
    made = organisation.set_domain_gateway(act.connection, act.vault, wanted)
    queue.hasten(act.connection, act.now)
    return made


@operation("domain-gateway.clear", Privilege.GMAIL_SETTINGS, of=targets.organisation)
def clear_gateway(act: Act) -> None:
    """Let the organisation's mail go to its recipients' exchangers."""
    before = organisation.domain_gateway(act.connection)
    act.note(gateway=[before and described(before), ""])
    organisation.clear_domain_gateway(act.connection)
    queue.hasten(act.connection, act.now)


@operation("secrets.rotate", Privilege.SECRETS_MANAGE, of=targets.organisation)
def rotated(act: Act, key_id: str, resealed: int) -> None:
    """Seal every secret with a new key."""
    act.note(key=key_id, resealed=resealed)


@operation("secrets.audit", Privilege.SECRETS_MANAGE, of=targets.organisation)
def searched(act: Act, findings: int) -> None:
    """Search database, logs and memory for secrets."""
    act.note(findings=findings)


def described(server: Gateway | Server) -> str:
    """As in `smtp.example.org:587 (starttls, as alice)`."""
    log_in = f", as {server.username}" if server.username else ", without log-in"
    return f"{server.host}:{server.port} ({server.security}{log_in})"
