"""What TLS a delivery demands, by its route."""

import pytest

from outgate.deliver.tls_policy import TlsPolicy, tls_of
from outgate.model import Gateway, QueueKey, QueueKind, Security
from outgate.route import Route, RouteKind


@pytest.mark.parametrize(
    ("kind", "security", "tls"),
    [
        (RouteKind.USER_GATEWAY, Security.SSL, TlsPolicy.IMPLICIT),
        (RouteKind.USER_GATEWAY, Security.STARTTLS, TlsPolicy.STARTTLS),
        (RouteKind.USER_GATEWAY, Security.NONE, TlsPolicy.PLAIN),
        (RouteKind.DOMAIN_GATEWAY, Security.SSL, TlsPolicy.IMPLICIT),
        (RouteKind.DOMAIN_GATEWAY, Security.STARTTLS, TlsPolicy.STARTTLS),
        (RouteKind.DOMAIN_GATEWAY, Security.NONE, TlsPolicy.OPPORTUNISTIC),
        (RouteKind.LOCAL, None, TlsPolicy.OPPORTUNISTIC),
        (RouteKind.DIRECT, None, TlsPolicy.OPPORTUNISTIC),
    ],
)
def test_tls_is_what_the_gateway_asks_for_and_else_what_is_offered(
    kind: RouteKind, security: Security | None, tls: TlsPolicy
) -> None:
    gateway = Gateway("gateway:1", "smtp.partner.example", 587, security) if security else None
    route = Route(kind, QueueKey(QueueKind.LOCAL), "alice@example.com", (), gateway=gateway)
    assert tls_of(route) is tls
