"""How a delivery's connection is to be secured: decided with its way, before there is a connection. Pure.

What is demanded belongs to the delivery: two messages for one destination may demand different things, and then never
share a connection.
"""

from enum import StrEnum
from typing import Final

from outgate.model import Gateway, Security
from outgate.route import Route, RouteKind


class TlsPolicy(StrEnum):
    """How a connection is secured. The first two verify name and chain; without them no credential leaves."""

    IMPLICIT = "implicit"
    STARTTLS = "starttls"
    OPPORTUNISTIC = "opportunistic"  # RFC 7435: encrypted if the peer can, not verified
    PLAIN = "plain"


_OF_SECURITY: Final = {
    Security.SSL: TlsPolicy.IMPLICIT,
    Security.STARTTLS: TlsPolicy.STARTTLS,
    Security.NONE: TlsPolicy.PLAIN,
}


def gateway_tls(gateway: Gateway) -> TlsPolicy:
    """As the gateway's owner has set it."""
    return _OF_SECURITY[gateway.security]


def tls_of(route: Route) -> TlsPolicy:
    """What a delivery by this route demands: what its gateway asks for, and else what is offered."""
    if route.gateway is None:
        return TlsPolicy.OPPORTUNISTIC
    tls = gateway_tls(route.gateway)
    own = route.kind is RouteKind.DOMAIN_GATEWAY
    return TlsPolicy.OPPORTUNISTIC if own and tls is TlsPolicy.PLAIN else tls
