"""A gateway's server as somebody entered it, checked, and its password sealed: the same for a user's gateway and for
the organisation's. Knows no table.
"""

from collections.abc import Sequence
from dataclasses import field
from typing import Any, Self

from outgate.directory.change import compared_host
from outgate.directory.errors import Invalid
from outgate.frozen import frozen
from outgate.model import Consent, Gateway, GatewayKind, Security
from outgate.store.vault import SealBroken, Vault, credential, hosts_of

MAX_HOSTS = 10  # of one gateway
MAX_CREDENTIAL = 512  # characters of a user name or password; a command line holds them in base64 (RFC 4954)


@frozen
class GatewaySettings:
    """Where to connect and how to log in. Checked when it is made: raises Invalid."""

    host: str
    port: int
    security: Security
    username: str = ""
    password: str = field(default="", repr=False)
    consent: Consent | None = None
    kind: GatewayKind = GatewayKind.SMTP
    fallbacks: tuple[str, ...] = ()  # of the organisation's gateways alone

    @property
    def provider(self) -> str:
        """The OAuth provider whose tokens it logs in with; empty with a password, and without a log-in."""
        return self.consent.provider if self.consent else ""

    @property
    def secret(self) -> str:
        """What it logs in with now: the password, or an access token."""
        return self.consent.tokens.access if self.consent else self.password

    @classmethod
    def entered(
        cls,
        host: str,
        port: int,
        security: str,
        username: str = "",
        password: str = "",
        consent: Consent | None = None,
        kind: GatewayKind = GatewayKind.SMTP,
        fallbacks: Sequence[str] = (),
    ) -> Self:
        """As somebody entered it. Raises Invalid."""
        return cls(host, port, _security(security), username, password, consent, kind, tuple(fallbacks))

    def __post_init__(self) -> None:
        object.__setattr__(self, "host", _host(self.host))
        object.__setattr__(self, "fallbacks", tuple(map(_host, self.fallbacks)))
        if len(self.fallbacks) >= MAX_HOSTS:
            raise Invalid("at most {most} hosts of one gateway", most=MAX_HOSTS)
        if len({self.host, *self.fallbacks}) <= len(self.fallbacks):
            raise Invalid("name each host of the gateway once")
        object.__setattr__(self, "security", _security(self.security))
        if not 1 <= self.port <= 65535:
            raise Invalid(
                "{port} is not a port; it is a number from 1 to 65535, in most cases 587 or 465", port=self.port
            )
        if bool(self.username) != bool(self.secret):
            raise Invalid("user name and password go together: give both or neither")
        if self.kind is not GatewayKind.SMTP and (self.consent is None or self.security is not Security.SSL):
            raise Invalid("a provider's interface over HTTPS is used by signing in there, and by nothing else")
        if self.security is Security.NONE and self.secret:
            raise Invalid("a password is never sent without TLS; use 'starttls' or 'ssl', or give no password")
        if not _is_sayable(self.username):
            raise Invalid("the user name is too long or has a control character")
        if not _is_sayable(self.password):
            raise Invalid("the password is too long or has a control character")


def sealed_values(vault: Vault, row: str, holder: str, wanted: GatewaySettings, version: int) -> dict[str, Any]:
    """The columns of a gateway's row. `version` must never have been used for `row` before."""
    way = _way(wanted)
    hosts = hosts_of(wanted.host, wanted.fallbacks)
    identity = credential(row, holder, version, way, hosts, wanted.port, wanted.username)
    return {
        "host": wanted.host,
        "port": wanted.port,
        "security": wanted.security.value,
        "username": wanted.username,
        "sealed_password": vault.seal(wanted.password.encode(), identity) if wanted.password else None,
        "credential_version": version,
    }


def credential_of(gateway: Gateway) -> str:
    """The identity that a gateway's password is sealed for, and what those of its tokens are made of."""
    return credential(
        gateway.identity,
        gateway.holder,
        gateway.credential_version,
        _way(gateway),
        hosts_of(gateway.host, gateway.fallbacks),
        gateway.port,
        gateway.username,
    )


def _way(server: GatewaySettings | Gateway) -> str:
    """By what kind of connection the secret is said; a provider's interface is none of the kinds of SMTP."""
    return server.security if server.kind is GatewayKind.SMTP else server.kind


def open_password(vault: Vault, gateway: Gateway) -> str:
    """The gateway's password, empty if it has none. Raises store.vault.SealBroken."""
    if gateway.sealed is None:
        return ""
    return vault.open(gateway.sealed, credential_of(gateway)).decode()


def is_same(vault: Vault, gateway: Gateway, wanted: GatewaySettings) -> bool:
    """Whether a gateway is what is wanted already, so that nothing has to be sealed anew."""
    if gateway.provider or wanted.provider:
        return False  # a consent is a new one each time
    kept = (gateway.host, gateway.port, gateway.security, gateway.username)
    if kept != (wanted.host, wanted.port, wanted.security, wanted.username):
        return False
    try:
        return open_password(vault, gateway) == wanted.password
    except SealBroken:
        return False  # entering it again is how a broken one is repaired


def require_tls_or_port_25(server: GatewaySettings | Gateway) -> None:
    """Raises Invalid."""
    if server.security is Security.NONE and server.port != 25:
        raise Invalid("without TLS (security 'none') only port 25 is allowed; use 'starttls' or 'ssl'")


def require_one_host(server: GatewaySettings | Gateway) -> None:
    """Raises Invalid."""
    if server.fallbacks:
        raise Invalid("this gateway has one host")


def _is_sayable(text: str) -> bool:
    return len(text) <= MAX_CREDENTIAL and not any(char < " " or char == "\x7f" for char in text)


def _host(text: str) -> str:
    try:
        return compared_host(text)
    except Invalid:
        raise Invalid("'{text}' is neither a host name nor an IP address", text=text[:80]) from None


def _security(text: str) -> Security:
    try:
        return Security(text)
    except ValueError:
        raise Invalid("'{text}' is not a kind of security; use 'starttls', 'ssl' or 'none'", text=text[:80]) from None
