"""Outgate's own API: the servers that all have in common whom an address was granted to: set, tried, taken away.

Passwords are taken and never answered.
"""

from typing import Final

from pydantic import Field

from outgate.api.api_call import ApiCall
from outgate.api.api_method import ApiMethod
from outgate.api.gateway_trying import save_after_trial, tried_as_it_is
from outgate.api.own_gateways import GatewayTest
from outgate.api.own_grants import AddressGrantResource, AddressGrantStanding
from outgate.api.own_method import own_method
from outgate.directory.errors import Invalid
from outgate.directory.gateway_settings import GatewaySettings
from outgate.model import Security
from outgate.operations import common_gateway_operations, domain_proof_operations
from outgate.operations.context import OperationContext
from outgate.sendas.proven_domains import AddressGrant


class WantedCommonGateway(AddressGrantResource):
    """The server that all are to have in common whom an address was granted to."""

    host: str = Field(description="The name or IP address.", examples=["smtp.dominiopartner.example"])
    port: int = Field(description="The port.", examples=[587])
    security: Security = Field(
        Security.STARTTLS, description="How the connection is secured: none has no password.", examples=["starttls"]
    )
    username: str = Field("", description="Who logs in; empty: nobody.", examples=["sales"])
    password: str = Field(
        "",
        repr=False,
        description="The password. Write-only; left out, that of the gateway stays whose host and user name stay.",
        examples=["a secret"],
    )


async def set_gateway(call: ApiCall) -> AddressGrantStanding:
    """Tried on the event loop, then saved."""
    grant, wanted = await call.in_thread(_wanted, call)

    def change(op: OperationContext) -> AddressGrant:
        return common_gateway_operations.set_gateway(
            op, grant.address, wanted, user=grant.user, unit=grant.unit, group=grant.group
        )

    return AddressGrantStanding.of(await save_after_trial(call, change, wanted, grant.address))


def _wanted(call: ApiCall) -> tuple[AddressGrant, GatewaySettings]:
    """The grant, and what is sent; with the password as it is if none is. Raises Invalid and what operations do."""
    sent = call.resource(WantedCommonGateway)
    with call.reading() as op:
        grant = domain_proof_operations.find_grant(op, sent.address, user=sent.user, unit=sent.unit, group=sent.group)

    def entered(password: str) -> GatewaySettings:
        return GatewaySettings.entered(sent.host, sent.port, sent.security, sent.username, password)

    if not sent.username or sent.password:
        return grant, entered(sent.password)
    before, with_any = grant.gateway, entered("kept")
    if before is None or (before.host, before.username) != (with_any.host, with_any.username):
        raise Invalid("another server or user name needs its password as well")
    return grant, entered(common_gateway_operations.kept_password(call, grant))


def clear_gateway(call: ApiCall) -> AddressGrantResource:
    """The grant stays."""
    sent = call.resource(AddressGrantResource)
    with call.writing() as op:
        cleared = common_gateway_operations.clear_gateway(
            op, sent.address, user=sent.user, unit=sent.unit, group=sent.group
        )
    return AddressGrantResource.of(cleared)


async def test(call: ApiCall) -> GatewayTest:
    """What came of it is on record."""
    sent = call.resource(AddressGrantResource)
    named = AddressGrant(sent.address, sent.user, sent.unit, sent.group)
    grant, wanted = await call.in_thread(common_gateway_operations.testable, call, named)
    probed, failed = await tried_as_it_is(call, call.address, wanted)

    def settle() -> None:
        with call.writing() as op:
            common_gateway_operations.tested(op, grant, wanted.gateway, probed.public)

    await call.in_thread(settle)
    return GatewayTest(works=True) if probed.works else GatewayTest(works=False, failed=failed, reply=probed.public)


METHODS: Final[tuple[ApiMethod, ...]] = (
    own_method(
        common_gateway_operations.set_gateway,
        "PUT",
        "address-grants/gateway",
        set_gateway,
        says="It is tried first, and not saved if it can't be used. Mail that waits is decided again.",
        takes=WantedCommonGateway,
        gives=AddressGrantStanding,
        besides=(domain_proof_operations.find_grant,),
    ),
    own_method(
        common_gateway_operations.clear_gateway,
        "POST",
        "address-grants/gateway/clear",
        clear_gateway,
        takes=AddressGrantResource,
        gives=AddressGrantResource,
    ),
    own_method(
        common_gateway_operations.tested,
        "POST",
        "address-grants/gateway/test",
        test,
        says="Connects, secures, logs in and names the sender; nothing is sent.",
        takes=AddressGrantResource,
        gives=GatewayTest,
    ),
)
