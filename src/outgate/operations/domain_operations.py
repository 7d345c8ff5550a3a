"""Operations on the organisation's domains and their DKIM keys."""

from outgate.directory import organisation
from outgate.directory.change import compared_domain
from outgate.directory.errors import NotFound
from outgate.directory.organisation import Domain
from outgate.directory.privileges import Privilege
from outgate.operations import targets
from outgate.operations.context import OperationContext
from outgate.operations.operation import operation


@operation("domain.list", Privilege.UNITS_READ, targets.ORGANISATION, changes=False)
def list_domains(op: OperationContext) -> tuple[Domain, ...]:
    """List the organisation's domains."""
    return organisation.domains(op.connection)


@operation("domain.show", Privilege.UNITS_READ, targets.ORGANISATION, changes=False)
def show(op: OperationContext, name: str) -> Domain:
    """See a domain with its DKIM record."""
    name = compared_domain(name)
    for domain in organisation.domains(op.connection):
        if domain.name == name:
            return domain
    raise NotFound(f"{name} is not one of the organisation's domains; `outgate domain list` shows them")


@operation("domain.add", Privilege.DOMAINS_MANAGE, targets.ORGANISATION)
def add(op: OperationContext, name: str) -> None:
    """Add a domain of the organisation."""
    op.changed(domain=("", name))
    organisation.add_domain(op.connection, name, op.now)


@operation("domain.remove", Privilege.DOMAINS_MANAGE, targets.ORGANISATION)
def remove(op: OperationContext, name: str) -> None:
    """Remove a domain of the organisation that no address uses."""
    op.changed(domain=(name, ""))
    organisation.remove_domain(op.connection, name)


@operation("domain.key", Privilege.DOMAINS_MANAGE, targets.ORGANISATION, proof=True)
def set_signing_key(op: OperationContext, name: str, selector: str, pem: bytes, dkim_record: str) -> None:
    """Sign a domain's mail with a new DKIM key."""
    op.note(domain=name, selector=selector)
    organisation.set_signing_key(op.connection, op.vault, name, selector, pem, dkim_record)
