"""What the pure rooms speak of: accounts with their From addresses, gateways, and the policy in force. Data only.

directory/ and sendas/ make these of their rows; authorise, route and compliance decide on them. Knows no table, socket
or clock.
"""

from collections.abc import Mapping
from dataclasses import field, replace
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple

from outgate.frozen import frozen


class Security(StrEnum):
    """How a gateway's connection is secured; the words are those of Gmail's smtpMsa.securityMode."""

    NONE = "none"
    SSL = "ssl"
    STARTTLS = "starttls"


class GatewayKind(StrEnum):
    """How a gateway takes mail: by SMTP, or by a provider's interface over HTTPS."""

    SMTP = "smtp"
    GMAIL = "gmail"
    GRAPH = "graph"
    GRAPH_DRAFTS = "graph-drafts"  # what is too large for a request, by a draft in the mailbox

    @property
    def in_words(self) -> str:
        """What people call it."""
        return _KINDS[self]


_KINDS = {
    GatewayKind.SMTP: "SMTP",
    GatewayKind.GMAIL: "the Gmail API",
    GatewayKind.GRAPH: "Microsoft Graph",
    GatewayKind.GRAPH_DRAFTS: "Microsoft Graph",
}


@frozen
class OAuthTokens:
    """What an authorization server gave: an access token with its end (seconds since the epoch), and the refresh token
    that the next ones are had for.
    """

    access: str = field(repr=False)
    refresh: str = field(repr=False)
    expires_at: float


@frozen
class Consent:
    """What a user has allowed at an OAuth provider, just now: the provider's name in the settings, and the client that
    it was given to.
    """

    provider: str
    client_id: str
    tokens: OAuthTokens


@frozen
class Gateway:
    """One server with its credential, read as one record: host and password are never looked up apart.

    `sealed` is the password as the vault keeps it; only deliver/ has it opened, for the one connection. With a
    `provider` there is none: the log-in is by tokens of that OAuth provider (sendas.oauth_grants).
    `identity` is the row, and `holder` the account and address, that the seal is bound to (store.vault.credential).
    `fallbacks` are hosts that take the mail at the same port and with the same log-in where `host` can't now, in turn:
    of the organisation's gateways alone.
    """

    identity: str
    host: str
    port: int
    security: Security
    username: str = ""
    sealed: bytes | None = field(default=None, repr=False)
    credential_version: int = 1
    holder: str = ""
    provider: str = ""
    kind: GatewayKind = GatewayKind.SMTP
    fallbacks: tuple[str, ...] = ()

    @property
    def hosts(self) -> tuple[str, ...]:
        """All of its hosts, in the order in which they are tried."""
        return (self.host, *self.fallbacks)

    @property
    def whereabouts(self) -> str:
        """As in `relay1.example:587, else relay2.example`."""
        return ", else ".join((f"{self.host}:{self.port}", *self.fallbacks))

    @property
    def row(self) -> int:
        """The number of its row."""
        return int(self.identity.rpartition(":")[2])

    @property
    def is_common(self) -> bool:
        """Whether an administrator has set it, for all to whom an address was granted: its log-in is not theirs."""
        return self.identity.startswith(f"{QueueKind.COMMON_GATEWAY}:")

    @property
    def is_smtp(self) -> bool:
        """Whether it takes mail by SMTP, and not by a provider's interface."""
        return self.kind is GatewayKind.SMTP

    @property
    def has_credential(self) -> bool:
        """Whether there is all that its log-in needs, as far as the directory knows."""
        return not self.username or self.sealed is not None or bool(self.provider)

    @property
    def in_short(self) -> str:
        """As in `smtp.partner.example (alice)`: what people call it. Users read this, so not with a common log-in."""
        return f"{self.host} ({self.username})" if self.username and not self.is_common else self.host


@frozen
class UsersGateway:
    """A gateway and whose it is: the account's primary address, and the From address that it is for. A common one is of
    whom the address was granted to: an account, a unit or a group.
    """

    gateway: Gateway
    account: str
    address: str
    unit: str = ""
    group: str = ""

    @property
    def in_words(self) -> str:
        """As in `gateway of sales@partner.example (alice@example.com)`."""
        which = "common gateway" if self.gateway.is_common else "gateway"
        return f"{which} of {self.address} ({self.account or self.unit or self.group})"

    @property
    def repair(self) -> list[str]:
        """The words of the command that asks for its password, or a sign-in, anew; a sign-in would be for the
        provider's own SMTP server if it was not said for which.
        """
        gateway = self.gateway
        do, by = ("sign-in", [f"--provider={gateway.provider}"]) if gateway.provider else ("set", [])
        if gateway.provider and gateway.is_smtp:
            by += [f"--host={gateway.host}", f"--port={gateway.port}", f"--security={gateway.security}"]
        if not gateway.is_common:
            words = ["sendas", "gateway", do, self.account, self.address]
        else:
            named = {"--ou": self.unit, "--group": self.group, "--user": self.account}
            to = next([option, name] for option, name in named.items() if name)
            words = ["address-grant", "gateway", do, self.address, *to]
        return ["outgate", *words, *by, f"--username={gateway.username}"]


WHOLE_DOMAIN: Final = "*@"  # how an entry begins that covers a domain
DOMAIN_PROOF: Final = "domain"  # the proof of an entry that follows from a grant, and not from a code


@frozen
class SendAs:
    """One From address of an account. `address` is in its compared form (see mail.addresses.canonical)."""

    address: str
    display_name: str = ""
    reply_to: str = ""
    is_primary: bool = False
    is_default: bool = False
    treat_as_alias: bool = True
    verified: bool = False
    own_domain: bool = False
    gateway: Gateway | None = None
    covered_by: str = ""  # what lets it be used where it is no entry of its own: the address without its +tag, or `*@`
    is_by_grant: bool = False  # an administrator's, in a domain that its DNS proves or in an own one
    common_gateway: Gateway | None = None  # of all who have the same grant; `gateway` is the account's own

    @property
    def is_whole_domain(self) -> bool:
        """Whether it stands for any address in its domain: `*@partner.example`."""
        return self.address.startswith(WHOLE_DOMAIN)

    @property
    def is_suspended(self) -> bool:
        """Whether the DNS of its domain does not prove it now; it is usable again once that does."""
        return self.is_by_grant and not self.verified


class TlsDemand(StrEnum):
    """What a message's sender demands of the TLS on its way (RFC 8689): nothing, REQUIRETLS, or `TLS-Required: No`."""

    USUAL = ""
    REQUIRED = "required"  # verified TLS all the way, or it comes back
    WAIVED = "waived"  # what recipients' domains demand is passed over


class WithoutGateway(StrEnum):
    """What becomes of mail whose gateway may not be used: the organisation's servers deliver, or it is refused."""

    ORGANISATION = "organisation"
    REFUSE = "refuse"


class UnknownFrom(StrEnum):
    """What becomes of a From that is not the account's: refused, or replaced by the default and kept in a header."""

    REFUSE = "refuse"
    REWRITE = "rewrite"


@frozen
class Phrase:
    """Words for people. With `facts`, `text` is a format that names them: so pages say it in the user's language."""

    text: str
    facts: Mapping[str, object] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        return self.text.format_map(self.facts) if self.facts else self.text


@frozen
class Refused(Phrase):
    """Why not, in words for the account's own user (they go into a 550 5.7.1). `passes` says that it may pass without
    them, so what waits need not come back for it.
    """

    passes: bool = False

    @property
    def reason(self) -> str:
        """The whole sentence."""
        return str(self)


@frozen
class Policy:
    """The settings in force for a unit, one field for each (directory.policy has their names and meanings).

    `sources` is the unit that each field's value comes from; a default has none. Empty lists forbid and demand
    nothing; a limit of 0 is no limit.
    """

    allow_external_smtp: bool = False
    without_gateway: WithoutGateway = WithoutGateway.ORGANISATION
    external_from: bool = True
    gateway_hosts: tuple[str, ...] = ()
    gateway_ports: tuple[int, ...] = ()
    gateway_security: tuple[Security, ...] = ()
    require_tls: bool = False
    messages_per_day: int = 0
    recipients_per_day: int = 0
    messages_per_hour: int = 0
    recipients_per_hour: int = 0
    unit_messages_per_day: int = 0
    unit_recipients_per_day: int = 0
    unit_messages_per_hour: int = 0
    unit_recipients_per_hour: int = 0
    recipients_per_message: int = 0
    message_bytes: int = 0
    unknown_from: UnknownFrom = UnknownFrom.REFUSE
    plus_tags: bool = True
    journal_to: str = ""
    footer: str = ""
    recipient_domains: tuple[str, ...] = ()
    refused_recipient_domains: tuple[str, ...] = ()
    attachment_bytes: int = 0
    refused_attachments: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict, hash=False, compare=False)

    def origin(self, name: str) -> Phrase:
        """Where a field's value comes from, for people."""
        return (
            Phrase("from unit {unit}", {"unit": self.sources[name]}) if name in self.sources else Phrase("the default")
        )

    def refuses_gateway(self, host: str, port: int, security: Security) -> Refused | None:
        """Why a user's gateway may not be used, with the setting that says so; None if it may."""
        if not self.allow_external_smtp:
            return Refused(
                "allowUsersToUseExternalSmtpServers is off ({source})", {"source": self.origin("allow_external_smtp")}
            )
        return self.refuses_server(host, port, security)

    def refuses_server(self, host: str, port: int, security: Security) -> Refused | None:
        """Why a server may not be a gateway, whoever sets it."""
        if self.gateway_hosts and not any(matches_domain(host, pattern) for pattern in self.gateway_hosts):
            return Refused(
                "{host} is not on the list allowedGatewayHosts ({source})",
                {"host": host, "source": self.origin("gateway_hosts")},
            )
        if self.gateway_ports and port not in self.gateway_ports:
            return Refused(
                "port {port} is not on the list allowedGatewayPorts ({source})",
                {"port": port, "source": self.origin("gateway_ports")},
            )
        if self.gateway_security and security not in self.gateway_security:
            return Refused(
                "'{security}' is not on the list allowedGatewaySecurity ({source})",
                {"security": security, "source": self.origin("gateway_security")},
            )
        if self.require_tls and security is Security.NONE:
            return Refused("requireGatewayTls is on ({source})", {"source": self.origin("require_tls")})
        return None

    def refuses_recipient(self, domain: str) -> Refused | None:
        """Why mail by a user's gateway may not go to this domain (A-labels); None if it may."""
        if any(matches_domain(domain, pattern) for pattern in self.refused_recipient_domains):
            return Refused(
                "{domain} is on the list deniedRecipientDomains ({source})",
                {"domain": domain, "source": self.origin("refused_recipient_domains")},
            )
        if self.recipient_domains and not any(matches_domain(domain, pattern) for pattern in self.recipient_domains):
            return Refused(
                "{domain} is not on the list allowedRecipientDomains ({source})",
                {"domain": domain, "source": self.origin("recipient_domains")},
            )
        return None


def matches_domain(name: str, pattern: str) -> bool:
    """Whether a name in compared form is meant by a pattern: itself, or `*.example.com` for all names below it."""
    return name.endswith(pattern[1:]) and len(name) > len(pattern) - 1 if pattern.startswith("*.") else name == pattern


@frozen
class Account:
    """An account with all its From addresses, as one consistent reading of the directory.

    `others_tags` are those +tags of its addresses that are other accounts' own.
    """

    id: int
    primary: str
    name: str
    unit: str
    suspended: bool
    policy: Policy
    send_as: Mapping[str, SendAs]
    language: str = "en"  # of what is written to the user
    others_tags: frozenset[str] = frozenset()


@frozen
class ScheduleChange:
    """What a schedule has otherwise than the one it changes; what is None is as it was."""

    retry_first: float | None = None
    retry_factor: float | None = None
    retry_longest: float | None = None
    delay_report_after: float | None = None
    give_up_after: float | None = None


@frozen
class Schedule:
    """When what was put off is tried again, told of and returned. Seconds, the last three since the message was due.

    The first wait is `retry_first`, each further one `retry_factor` times the former, none longer than `retry_longest`
    (but for its spread, see queue.retry). A report after 0 seconds is none.
    """

    retry_first: float
    retry_factor: float
    retry_longest: float
    delay_report_after: float
    give_up_after: float
    fault_report_after: float = 0.0

    def changed(self, by: ScheduleChange) -> "Schedule":
        """The same with what is otherwise."""
        wanted = {name: getattr(by, name) for name in ScheduleChange.__dataclass_fields__}
        return replace(self, **{name: value for name, value in wanted.items() if value is not None})


class QueueKind(StrEnum):
    """What a queue is a queue for."""

    GATEWAY = "gateway"
    COMMON_GATEWAY = "common-gateway"
    LOCAL = "local"
    DOMAIN_GATEWAY = "domain-gateway"
    MX = "mx"


class QueueKey(NamedTuple):
    """Names the queue that a recipient waits in: one for each user gateway, common gateway and recipients' domain, one
    for local mailboxes, one for the organisation's outbound gateway and for each of its domains that has its own.

    `name` is the gateway's row or the domain (A-labels), else empty. The text form is what tables and people see:
    `gateway:3`, `common-gateway:3`, `mx:recipient.example`, `local`, `domain-gateway`, `domain-gateway:branch.example`.
    """

    kind: QueueKind
    name: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}" if self.name else str(self.kind)

    @property
    def row(self) -> int | None:
        """The gateway's row; None of a queue of another kind, and of a name that no row has."""
        is_number = self.name.isascii() and self.name.isdigit() and len(self.name) < 19 and self.name[0] != "0"
        has_row = self.kind in (QueueKind.GATEWAY, QueueKind.COMMON_GATEWAY)
        return int(self.name) if has_row and is_number else None

    @classmethod
    def parse(cls, text: str) -> "QueueKey":
        """From its text form. Raises ValueError."""
        return _parse_queue_key(text)


@lru_cache(10_000)
def _parse_queue_key(text: str) -> QueueKey:
    kind, _, name = text.partition(":")
    return QueueKey(QueueKind(kind), name)


@frozen
class Organisation:
    """What routing needs of the organisation: its domains (A-labels), which of them is the primary one, its outbound
    gateway if it has one, and those that are for what senders in one of its domains send alone."""

    domains: frozenset[str]
    domain_gateway: Gateway | None = None
    primary_domain: str = ""
    gateways_of_domains: Mapping[str, Gateway] = field(default_factory=dict, hash=False)

    @property
    def postmaster(self) -> str:
        """Whom mail of the organisation itself is from, and who is asked about it."""
        return f"postmaster@{self.primary_domain or min(self.domains, default='localhost')}"

    @property
    def gateways(self) -> dict[QueueKey, Gateway]:
        """All outbound gateways by their queues, that of the whole organisation first."""
        kind = QueueKind.DOMAIN_GATEWAY
        whole = {QueueKey(kind): self.domain_gateway} if self.domain_gateway else {}
        return whole | {QueueKey(kind, domain): one for domain, one in sorted(self.gateways_of_domains.items())}

    def way_out(self, domain: str) -> tuple[QueueKey, Gateway] | None:
        """By which gateway, and queue, leaves what is sent from this domain; None for recipients' exchangers."""
        if own := self.gateways_of_domains.get(domain):
            return QueueKey(QueueKind.DOMAIN_GATEWAY, domain), own
        return (QueueKey(QueueKind.DOMAIN_GATEWAY), self.domain_gateway) if self.domain_gateway else None


class Cause(StrEnum):
    """What a restriction on a queue comes from; of each cause a queue has one at most."""

    OPERATOR = "operator"  # somebody suspended it
    LOG_IN = "log-in"  # the peer refuses the credential
    RULE = "rule"  # a rule that reads replies
    LIMIT = "limit"  # somebody set a ceiling


@frozen
class Restriction:
    """What holds mail of a queue back: for good (suspended), or at a ceiling of `connections` at once and of `rates`
    ("300/1hour"). Times in seconds since the epoch; without `until` it holds until somebody ends it.

    `credential_version` is that of the gateway that was refused, `times` how often in a row.
    """

    cause: Cause
    reason: str
    author: str
    since: float
    until: float | None = None
    connections: int | None = None
    rates: tuple[str, ...] = ()
    credential_version: int | None = None
    times: int = 1

    @property
    def suspends(self) -> bool:
        """Whether nothing goes at all."""
        return self.connections is None and not self.rates

    def holds(self, now: float) -> bool:
        """Whether it is in force at this time."""
        return self.until is None or now < self.until


@frozen
class Restrictions:
    """The restrictions of all queues, as one reading of the directory."""

    by_queue: Mapping[QueueKey, tuple[Restriction, ...]] = field(default_factory=dict, hash=False)

    def of(self, queue: QueueKey) -> tuple[Restriction, ...]:
        """Those of one queue, also those whose time is over and that nobody has ended yet."""
        return self.by_queue.get(queue, ())
