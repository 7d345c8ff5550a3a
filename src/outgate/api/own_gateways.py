"""Outgate's own API: how it stands with gateways, and trying one. They are set by Gmail's form of it (`smtpMsa`)."""

from typing import Final

from pydantic import Field

from outgate.api.api_call import ApiCall
from outgate.api.api_method import ApiMethod, ApiParameter, Resource
from outgate.api.gateway_trying import tried_as_it_is
from outgate.api.google_error import not_found
from outgate.api.own_holding_back import RestrictionResource
from outgate.api.own_method import CURSOR, LIMIT, limit_of, no_cursor, own_method
from outgate.api.own_queue_resources import MOMENT
from outgate.iso_time import iso
from outgate.model import Gateway, GatewayKind, Security
from outgate.operations import gateway_operations, gateway_overview, traffic_operations
from outgate.operations.gateway_overview import GatewayState

GATEWAY: Final = ApiParameter("gateway", "Its queue, as in `gateway:3` or `domain-gateway`.")
USER: Final = ApiParameter("user", "The user's primary address, or `me`: the one that the token acts for.")
ADDRESS: Final = ApiParameter("address", "The From address.")


class GatewayServer(Resource):
    """Where a gateway is and how it is connected to. Its password is nowhere told."""

    host: str = Field(description="The name or IP address.", examples=["smtp.dominiopartner.example"])
    fallbacks: list[str] = Field(
        description="Further hosts, at the same port and with the same log-in, in turn, where it can't take mail.",
        examples=[["smtp2.dominiopartner.example"]],
    )
    port: int = Field(description="The port.", examples=[587])
    security: Security = Field(description="How the connection is secured.", examples=["starttls"])
    username: str = Field(description="Who it logs in as; empty: it does not.", examples=["alice"])
    provider: str = Field(description="The OAuth provider that its user signed in at; empty: none.", examples=[""])
    kind: GatewayKind = Field(description="By what it takes mail.", examples=["smtp"])

    @classmethod
    def of(cls, gateway: Gateway) -> "GatewayServer":
        """Of a user or of the organisation."""
        return cls(
            host=gateway.host,
            fallbacks=list(gateway.fallbacks),
            port=gateway.port,
            security=gateway.security,
            username=gateway.username,
            provider=gateway.provider,
            kind=gateway.kind,
        )


class GatewayStanding(Resource):
    """How it stands with a gateway."""

    queue: str = Field(description="Its queue, by which it is named.", examples=["gateway:3"])
    server: GatewayServer = Field(description="Where it is.")
    account: str | None = Field(None, description="Whose it is, if a user's.", examples=["alice@example.com"])
    unit: str | None = Field(None, description="Whose it is, if a unit's.", examples=["/Sales"])
    group: str | None = Field(None, description="Whose it is, if a group's.", examples=["sales"])
    address: str | None = Field(None, description="Which From address it is of.", examples=["alice@partner.example"])
    state: str = Field(description="In one word: works, slowed, failing, suspended.", examples=["works"])
    recipients: int = Field(description="How many recipients wait for it.", examples=[0])
    held: int = Field(description="How many of them are held.", examples=[0])
    oldest: str | None = Field(None, description="Since when the first of them waits.", examples=[MOMENT])
    last_reply: str | None = Field(None, description="What it has said last, if in vain.", examples=["451 Later"])
    next_attempt: str | None = Field(None, description="When it is tried next.", examples=[MOMENT])
    restrictions: list[RestrictionResource] = Field(description="What holds it back.")

    @classmethod
    def of(cls, one: GatewayState) -> "GatewayStanding":
        """As it is now."""
        return cls(
            queue=str(one.queue),
            server=GatewayServer.of(one.gateway),
            account=(one.owned.account or None) if one.owned else None,
            unit=(one.owned.unit or None) if one.owned else None,
            group=(one.owned.group or None) if one.owned else None,
            address=one.owned.address if one.owned else None,
            state=one.state,
            recipients=one.waits.recipients,
            held=one.waits.held,
            oldest=iso(one.waits.oldest),
            last_reply=one.trouble.last_reply if one.trouble else None,
            next_attempt=iso(one.trouble.next_attempt) if one.trouble else None,
            restrictions=[RestrictionResource.of(one.queue, each) for each in one.restrictions],
        )


class GatewayStandings(Resource):
    """A page of gateways, by their queues."""

    items: list[GatewayStanding] = Field(description="The gateways.")
    next_cursor: str | None = Field(
        None, description="What leads to the next page; left out on the last.", examples=["gateway:3"]
    )


class GatewayTotals(Resource):
    """How many gateways users have."""

    known: int = Field(description="How many.", examples=[40])
    failing: int = Field(description="Those whose last attempt failed.", examples=[1])
    without_password: int = Field(description="Those that wait for a password.", examples=[0])


class GatewayTest(Resource):
    """What came of trying a gateway: nothing was sent."""

    works: bool = Field(description="Whether a message could be handed over now.", examples=[False])
    failed: str | None = Field(None, description="The step that was not done.", examples=["logging in failed"])
    reply: str | None = Field(None, description="What the server said.", examples=["535 5.7.8 Bad credentials"])


def listed(call: ApiCall) -> GatewayStandings:
    """A page of them."""
    limit, cursor = limit_of(call), call.parameters.get("cursor", "")
    behind = gateway_overview.named_gateway(cursor)
    if cursor and behind is None:
        raise no_cursor()
    with call.reading() as op:
        found = gateway_overview.states(op, call.parameters.get("name", ""), limit, behind)
    return GatewayStandings(
        items=[GatewayStanding.of(one) for one in found],
        next_cursor=str(found[-1].queue) if len(found) == limit else None,
    )


def get(call: ApiCall) -> GatewayStanding:
    """One of them."""
    name = call.parameters["gateway"]
    with call.reading() as op:
        found = gateway_overview.states(op, name) if gateway_overview.named_gateway(name) else []
    for one in found:
        if str(one.queue) == name:
            return GatewayStanding.of(one)
    raise not_found(f"There is no gateway {name[:80]}: `gateways` lists those there are.")


def totals(call: ApiCall) -> GatewayTotals:
    """All together."""
    with call.reading() as op:
        found = traffic_operations.gateway_census(op)
    return GatewayTotals(known=found.known, failing=found.failing, without_password=found.without_password)


async def test(call: ApiCall) -> GatewayTest:
    """Connected to and logged in at on the event loop: no thread of the database's waits for somebody's server."""
    user = call.address if call.parameters["user"] == "me" else call.parameters["user"]
    wanted = await call.in_thread(gateway_operations.testable, call, user, call.parameters["address"])
    probed, failed = await tried_as_it_is(call, user, wanted)
    await call.in_thread(gateway_operations.settle_test, call, user, wanted, probed.public)
    if probed.works:
        return GatewayTest(works=True)
    return GatewayTest(works=False, failed=failed, reply=probed.public)


METHODS: Final[tuple[ApiMethod, ...]] = (
    own_method(
        gateway_overview.states,
        "GET",
        "gateways",
        listed,
        ApiParameter("name", "Only that of this From address, or those at this host.", "query"),
        LIMIT,
        CURSOR,
        gives=GatewayStandings,
    ),
    own_method(gateway_overview.states, "GET", "gateways/{gateway}", get, GATEWAY, name="one", gives=GatewayStanding),
    own_method(traffic_operations.gateway_census, "GET", "gateway-totals", totals, gives=GatewayTotals),
    own_method(
        gateway_operations.tested,
        "POST",
        "users/{user}/gateways/{address}/test",
        test,
        USER,
        ADDRESS,
        says="Connects, secures, logs in and names the sender; nothing is sent.",
        gives=GatewayTest,
    ),
)
