"""How a delivery's connection is to be secured: decided with its way, before there is a connection. Pure.

What is demanded belongs to the delivery: two messages for one destination may demand different things, and then never
share a connection.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from outgate.egress.resolver import Host
from outgate.frozen import frozen
from outgate.model import Gateway, Security
from outgate.route import Route, RouteKind
from outgate.transport_security.tls_session import SessionReport
from outgate.transport_security.tlsa import TlsaSet


class TlsPolicy(StrEnum):
    """How a connection is secured. The first two verify name and chain; without them no credential leaves."""

    IMPLICIT = "implicit"
    STARTTLS = "starttls"
    DANE = "dane"  # RFC 7672: STARTTLS, with a certificate that the TLSA records of the host name
    ENCRYPTED = "encrypted"  # STARTTLS, with whatever certificate
    OPPORTUNISTIC = "opportunistic"  # RFC 7435: encrypted if the peer can, not verified
    PLAIN = "plain"


@frozen
class SecuredHost:
    """A host to try, and how its connection is to be secured: by `tls`, and where TLS fails by the `weaker` ones in
    turn. `demanded_by` names what does not let it be weaker, for people; `tlsa` has what TlsPolicy.DANE goes by. `told`
    is how its domain is told of sessions secured by `tls`; None if it is not.
    """

    host: Host
    tls: TlsPolicy
    weaker: tuple[TlsPolicy, ...] = ()
    demanded_by: str = ""
    tlsa: TlsaSet | None = None
    told: SessionReport | None = None


def alike(hosts: Iterable[Host], tls: TlsPolicy) -> list[SecuredHost]:
    """The hosts, each with the same demand. What may go unencrypted must not be held up by a peer's broken TLS
    (RFC 7435).
    """
    weaker = (TlsPolicy.PLAIN,) if tls is TlsPolicy.OPPORTUNISTIC else ()
    return [SecuredHost(host, tls, weaker) for host in hosts]


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
