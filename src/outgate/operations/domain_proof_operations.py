"""Operations on domains that are proven whole by a DNS record, and on who may send as addresses without own proof."""

from outgate.directory import organisation
from outgate.directory.privileges import Privilege
from outgate.frozen import frozen
from outgate.operations import targets
from outgate.operations.context import OperationContext
from outgate.operations.gateway_trial import described
from outgate.operations.operation import operation
from outgate.operations.send_as_overview import GatewayHealth, health_of
from outgate.queue.admin import Selection
from outgate.sendas import proven_domains
from outgate.sendas.proven_domains import AddressGrant, GrantFilter, ProvenDomain


@frozen
class GrantStanding:
    """A grant with its number, behind which the next page begins. `health` is how its common gateway is, None without
    one; in an `own_domain` it can't have any.
    """

    number: int
    grant: AddressGrant
    health: GatewayHealth | None
    own_domain: bool


@operation("domain-proof.list", Privilege.UNITS_READ, targets.ORGANISATION, changes=False)
def list_proofs(op: OperationContext) -> tuple[ProvenDomain, ...]:
    """List the domains outside that are proven whole, or are about to be."""
    return proven_domains.domains(op.connection)


@operation("domain-proof.show", Privilege.UNITS_READ, targets.ORGANISATION, changes=False)
def find(op: OperationContext, name: str) -> ProvenDomain:
    """See how it stands with a domain's proof."""
    return proven_domains.find(op.connection, name)


@operation("domain-proof.begin", Privilege.DOMAINS_MANAGE, targets.ORGANISATION)
def begin(op: OperationContext, name: str) -> ProvenDomain:
    """Begin to prove a whole domain by a DNS record."""
    domain = proven_domains.begin(op.connection, name, op.now)
    op.note(domain=domain.name)
    return domain


@operation("domain-proof.check", Privilege.DOMAINS_MANAGE, targets.ORGANISATION, services=("is_published",))
def checked(op: OperationContext, name: str, *, is_published: bool) -> ProvenDomain:
    """Take what the DNS says of a domain's proof."""
    before = proven_domains.find(op.connection, name)
    after = proven_domains.settle_check(op.connection, name, is_published, op.now)
    op.note(domain=after.name, found=is_published)
    if after.is_back(before):
        _reconsider(op, f"*@{after.name}")
    return after


@operation("domain-proof.remove", Privilege.DOMAINS_MANAGE, targets.ORGANISATION)
def remove(op: OperationContext, name: str) -> ProvenDomain:
    """Forget a domain's proof with all grants of addresses in it."""
    domain = proven_domains.remove(op.connection, name, op.now)
    op.changed(domain=(domain.name, ""))
    _reconsider(op, f"*@{domain.name}")
    return domain


@operation("address-grant.list", Privilege.SEND_AS_READ, targets.ORGANISATION, changes=False)
def list_grants(op: OperationContext) -> tuple[AddressGrant, ...]:
    """List the addresses that users, units and groups were granted, with the gateways that they have in common."""
    return proven_domains.grants(op.connection)


@operation("address-grant.search", Privilege.SEND_AS_READ, targets.ORGANISATION, changes=False)
def search_grants(op: OperationContext, wanted: GrantFilter) -> tuple[GrantStanding, ...]:
    """Find addresses that users, units and groups were granted, page by page, with how their common gateways are."""
    found = proven_domains.search_grants(op.connection, wanted)
    health = health_of(op, {one.number: one.grant.gateway for one in found if one.grant.gateway})
    own = {one.name for one in organisation.domains(op.connection)}
    return tuple(
        GrantStanding(one.number, one.grant, health.get(one.number), one.grant.address.rpartition("@")[2] in own)
        for one in found
    )


@operation("address-grant.show", Privilege.SEND_AS_READ, targets.ORGANISATION, changes=False)
def find_grant(
    op: OperationContext, address: str, *, user: str | None = None, unit: str | None = None, group: str | None = None
) -> AddressGrant:
    """See a grant with the gateway that all of it have in common."""
    return proven_domains.find_grant(op.connection, AddressGrant(address, user, unit, group))[1]


@operation("address-grant.add", Privilege.SEND_AS_MANAGE, targets.ORGANISATION, targets.holders("address"))
def grant(
    op: OperationContext, address: str, *, user: str | None = None, unit: str | None = None, group: str | None = None
) -> AddressGrant:
    """Let a user, or all of a unit or group, send as an address in a proven domain or an own one; `*@` is all of it."""
    granted = proven_domains.grant(op.connection, AddressGrant(address, user, unit, group), op.now)
    op.changed(address=("", granted.address), to=("", granted.to))
    return granted


@operation("address-grant.remove", Privilege.SEND_AS_MANAGE, targets.ORGANISATION, targets.holders("address"))
def revoke(
    op: OperationContext, address: str, *, user: str | None = None, unit: str | None = None, group: str | None = None
) -> AddressGrant:
    """Take an address away that a user, a unit or a group was granted."""
    revoked = proven_domains.revoke(op.connection, AddressGrant(address, user, unit, group), op.now)
    op.changed(address=(revoked.address, ""), to=(revoked.to, ""))
    if revoked.gateway:
        op.changed(gateway=(described(revoked.gateway), ""))
    _reconsider(op, revoked.address)
    return revoked


def _reconsider(op: OperationContext, address: str) -> None:
    op.reconsider(Selection(chosen_from=address))
