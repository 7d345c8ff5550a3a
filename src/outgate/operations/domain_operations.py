"""Operations on the organisation's domains and their DKIM keys."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from secrets import token_hex

from outgate.directory import domain_keys, organisation
from outgate.directory.change import compared_domain
from outgate.directory.domain_keys import KeyPlace, KeysSettled, NewDkimKey
from outgate.directory.errors import NotFound
from outgate.directory.organisation import Domain
from outgate.directory.privileges import Privilege
from outgate.mail import dkim
from outgate.mail.dkim import Kind
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
    raise NotFound("{domain} is not one of the organisation's domains; `outgate domain list` shows them", domain=name)


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
def set_signing_key(op: OperationContext, name: str, key: NewDkimKey) -> None:
    """Sign a domain's mail with a new DKIM key at once."""
    op.note(domain=name, selector=key.selector)
    domain_keys.sign_with(op.connection, op.vault, name, key, op.now)


@operation("domain.rotate", Privilege.DOMAINS_MANAGE, targets.ORGANISATION, proof=True)
def begin_rotation(op: OperationContext, name: str, made: Sequence[NewDkimKey]) -> None:
    """Have new DKIM keys of a domain sign its mail when their records are in the DNS."""
    op.note(domain=name, selectors=[one.selector for one in made])
    domain_keys.begin_rotation(op.connection, op.vault, name, made, op.now)


@operation("domain.check-keys", Privilege.DOMAINS_MANAGE, targets.ORGANISATION, services=("published", "gone"))
def settle_keys(
    op: OperationContext, name: str, *, published: Collection[KeyPlace], gone: Collection[KeyPlace]
) -> KeysSettled:
    """Take what the DNS says of a domain's DKIM keys: new ones may begin to sign."""
    done = domain_keys.settle(op.connection, name, published, gone, op.now)
    facts = {"begun": done.begun, "retired": done.retired, "removable": done.removable, "forgotten": done.forgotten}
    op.note(domain=name, **{what: list(selectors) for what, selectors in facts.items() if selectors})
    return done


@operation("domain.cancel-rotation", Privilege.DOMAINS_MANAGE, targets.ORGANISATION, proof=True)
def cancel_rotation(op: OperationContext, name: str) -> tuple[str, ...]:
    """Forget the new DKIM keys of a domain that do not sign yet."""
    selectors = domain_keys.cancel_rotation(op.connection, name)
    op.note(domain=name, selectors=list(selectors))
    return selectors


def new_keys(now: float) -> tuple[NewDkimKey, ...]:
    """An RSA key and one of Ed25519 (RFC 8463), at selectors of their own. Takes a moment."""
    base = new_selector(now)
    return new_key(base, "rsa"), new_key(f"{base}-ed", "ed25519")


def new_key(selector: str, kind: Kind = "rsa") -> NewDkimKey:
    """A key at a selector, with its record. Takes a moment."""
    pem = dkim.generate(kind)
    return NewDkimKey(selector, dkim.dns_record(pem), pem)


def new_selector(now: float) -> str:
    """A DKIM selector that says how old the key is, and that none had before: `outgate202601-3fa9c2`. Caches know
    nothing of it, and the record of the former key has a place of its own.
    """
    return f"outgate{datetime.fromtimestamp(now, UTC):%Y%m}-{token_hex(3)}"
