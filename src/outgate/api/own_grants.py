"""Outgate's own API: domains outside that are proven whole, and who may send as which address without a proof of their
own.
"""

from typing import Final

from pydantic import Field

from outgate.api.api_call import ApiCall
from outgate.api.api_method import ApiMethod, ApiParameter, Resource
from outgate.api.own_gateways import GatewayServer
from outgate.api.own_method import own_method
from outgate.api.own_queue_resources import MOMENT
from outgate.iso_time import iso
from outgate.operations import domain_proof_operations
from outgate.sendas.proven_domains import AddressGrant, ProvenDomain

DOMAIN: Final = ApiParameter("domain", "The domain's name.")
_PARTNER: Final = "dominiopartner.example"


class DomainProof(Resource):
    """How it stands with a domain's proof: a TXT record that its owner publishes."""

    domain: str = Field(description="Its name.", examples=[_PARTNER])
    record_name: str = Field(description="Where the record belongs.", examples=[f"_outgate.{_PARTNER}"])
    record_value: str = Field(description="What it says.", examples=["outgate-proof=4c1d"])
    proven_at: str | None = Field(None, description="Since when it is proven.", examples=[MOMENT])
    checked_at: str | None = Field(None, description="When the DNS was asked last.", examples=[MOMENT])
    missing_since: str | None = Field(None, description="Since when the record is missing, if it is.")

    @classmethod
    def of(cls, one: ProvenDomain) -> "DomainProof":
        """As it was found last."""
        return cls(
            domain=one.name,
            record_name=one.record_name,
            record_value=one.record_value,
            proven_at=iso(one.proven_at),
            checked_at=iso(one.checked_at),
            missing_since=iso(one.missing_since),
        )


class DomainProofs(Resource):
    """The domains outside that are proven whole, or are about to be."""

    items: list[DomainProof] = Field(description="The domains.")


class DomainToProve(Resource):
    """A domain that is to be proven."""

    domain: str = Field(description="Its name.", examples=[_PARTNER])


class AddressGrantResource(Resource):
    """An address that a user, or all of a unit or group, may send as without a proof of their own."""

    address: str = Field(description="The address; `*@` and a domain is all of it.", examples=[f"sales@{_PARTNER}"])
    user: str | None = Field(None, description="Who may; one of these three.", examples=["alice@example.com"])
    unit: str | None = Field(None, description="Whose users may, with the units below.")
    group: str | None = Field(None, description="Whose members may.")

    @classmethod
    def of(cls, one: AddressGrant) -> "AddressGrantResource":
        """As it is on record."""
        return cls(address=one.address, user=one.user, unit=one.unit, group=one.group)


class AddressGrantStanding(AddressGrantResource):
    """An address that was granted, with the server that all whom it was granted to have in common."""

    gateway: GatewayServer | None = Field(None, description="The server in common; left out: there is none.")

    @classmethod
    def of(cls, one: AddressGrant) -> "AddressGrantStanding":
        """As it is on record."""
        gateway = GatewayServer.of(one.gateway) if one.gateway else None
        return cls(address=one.address, user=one.user, unit=one.unit, group=one.group, gateway=gateway)


class AddressGrants(Resource):
    """The addresses that users, units and groups were granted."""

    items: list[AddressGrantStanding] = Field(description="The grants.")


def list_proofs(call: ApiCall) -> DomainProofs:
    """All of them."""
    with call.reading() as op:
        return DomainProofs(items=[DomainProof.of(one) for one in domain_proof_operations.list_proofs(op)])


def show_proof(call: ApiCall) -> DomainProof:
    """One of them."""
    with call.reading() as op:
        return DomainProof.of(domain_proof_operations.find(op, call.parameters["domain"]))


def begin_proof(call: ApiCall) -> DomainProof:
    """One more; the server looks for the record by itself."""
    with call.writing() as op:
        return DomainProof.of(domain_proof_operations.begin(op, call.resource(DomainToProve).domain))


def remove_proof(call: ApiCall) -> None:
    """With all grants in it."""
    with call.writing() as op:
        domain_proof_operations.remove(op, call.parameters["domain"])


def list_grants(call: ApiCall) -> AddressGrants:
    """All of them."""
    with call.reading() as op:
        return AddressGrants(items=[AddressGrantStanding.of(one) for one in domain_proof_operations.list_grants(op)])


def grant(call: ApiCall) -> AddressGrantResource:
    """One more."""
    sent = call.resource(AddressGrantResource)
    with call.writing() as op:
        made = domain_proof_operations.grant(op, sent.address, user=sent.user, unit=sent.unit, group=sent.group)
    return AddressGrantResource.of(made)


def revoke(call: ApiCall) -> AddressGrantResource:
    """One less."""
    sent = call.resource(AddressGrantResource)
    with call.writing() as op:
        made = domain_proof_operations.revoke(op, sent.address, user=sent.user, unit=sent.unit, group=sent.group)
    return AddressGrantResource.of(made)


METHODS: Final[tuple[ApiMethod, ...]] = (
    own_method(domain_proof_operations.list_proofs, "GET", "domain-proofs", list_proofs, gives=DomainProofs),
    own_method(
        domain_proof_operations.begin, "POST", "domain-proofs", begin_proof, takes=DomainToProve, gives=DomainProof
    ),
    own_method(domain_proof_operations.find, "GET", "domain-proofs/{domain}", show_proof, DOMAIN, gives=DomainProof),
    own_method(domain_proof_operations.remove, "DELETE", "domain-proofs/{domain}", remove_proof, DOMAIN),
    own_method(domain_proof_operations.list_grants, "GET", "address-grants", list_grants, gives=AddressGrants),
    own_method(
        domain_proof_operations.grant,
        "POST",
        "address-grants",
        grant,
        takes=AddressGrantResource,
        gives=AddressGrantResource,
    ),
    own_method(
        domain_proof_operations.revoke,
        "POST",
        "address-grants/revoke",
        revoke,
        takes=AddressGrantResource,
        gives=AddressGrantResource,
    ),
)
