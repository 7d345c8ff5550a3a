"""A gateway is tried before it is saved: what could refuse it is asked first, then it is connected to, then saved.

Knows no socket: who connects is given (GatewayProbe).
"""

from collections.abc import Callable
from typing import Final, Protocol, TypeVar

from outgate.directory.change import compared
from outgate.directory.gateway_settings import GatewaySettings
from outgate.model import Consent, Gateway, GatewayKind, OAuthTokens
from outgate.operations.context import Change, Transactions, rehearse
from outgate.operations.error_codes import CheckFailed

T = TypeVar("T")

NO_CONSENT_YET: Final = Consent("none", "", OAuthTokens("none", "none", 0.0))  # stands for it in a rehearsal


class GatewayProbe(Protocol):
    """Tries a gateway as delivery would: connects, logs in, names the sender, hands nothing over. Blocks for some
    seconds.

    Both return what stands in the way, as far as whoever asks may know it; nothing if the gateway works. The secret is
    its password, or an access token if it has an OAuth provider.
    """

    def user_gateway(self, gateway: Gateway, secret: str, sender: str) -> str:
        """One of a user, for the address `sender`; it may be where such gateways may be."""

    def domain_gateway(self, gateway: Gateway, secret: str) -> str:
        """The organisation's, which may be anywhere."""


class GatewayUnusable(CheckFailed):
    """The gateway was tried and can't be used; the text says why."""

    def __init__(self, gateway: Gateway | GatewaySettings, reason: str) -> None:
        super().__init__(f"{gateway.host}:{gateway.port} can't be used as a gateway: {reason}")


def make_after_trial(
    transactions: Transactions, change: Change[T], wanted: GatewaySettings, probe: Callable[[Gateway, str], str] | None
) -> T:
    """Make a change that saves a gateway, once it was tried; at once without a probe. Raises GatewayUnusable."""
    if probe:
        rehearse(transactions, change)
        if reason := probe(tentative(wanted), wanted.secret):
            raise GatewayUnusable(wanted, reason)
    with transactions.writing() as op:
        return change(op)


def user_trial(probe: GatewayProbe | None, address: str) -> Callable[[Gateway, str], str] | None:
    """How the gateway of a From address is tried; None if it is not."""
    if probe is None:
        return None
    return lambda gateway, secret: probe.user_gateway(gateway, secret, compared(address))


def tentative(wanted: GatewaySettings) -> Gateway:
    """A gateway that is not saved."""
    return Gateway(
        "new:0",
        wanted.host,
        wanted.port,
        wanted.security,
        wanted.username,
        provider=wanted.provider,
        kind=wanted.kind,
        fallbacks=wanted.fallbacks,
    )


def described(server: Gateway | GatewaySettings | None) -> str:
    """As in `smtp.example.org:587 (starttls, as alice)`, `gmail.googleapis.com:443 (the Gmail API, as alice by
    google-api)`; empty for none.
    """
    if server is None:
        return ""
    log_in = f", as {server.username}" if server.username else ", without log-in"
    if server.provider:
        log_in += f" by {server.provider}"
    how = server.security.value if server.kind is GatewayKind.SMTP else server.kind.in_words
    where = ", else ".join((f"{server.host}:{server.port}", *server.fallbacks))
    return f"{where} ({how}{log_in})"
