"""All settings and their defaults, in one place: `outgate.toml` in the data directory, overridden by OUTGATE_*.

Knows no other room. What changes while the server runs (policy, users, gateways) is in the directory, not here.
"""

import json
import os
import re
import socket
import tomllib
from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, cast, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from outgate.setting_fault import demand

MIB = 1024 * 1024
Seconds = Annotated[float, Field(gt=0)]
RetryFactor = Annotated[float, Field(ge=1, le=10)]
Way = Literal["direct", "local", "domain-gateway", "user-gateway"]


def _rate(text: str) -> str:
    from limits import parse  # noqa: PLC0415  # not needed by most commands

    try:
        seconds = parse(text).get_expiry()
    except ValueError:
        raise ValueError("must be a rate such as 10/10minutes") from None
    if not 0 < seconds <= 86400:
        raise ValueError("must be a rate over at most a day")
    return text


Rate = Annotated[str, AfterValidator(_rate)]
Port = Annotated[int, Field(ge=1, le=65535)]

_PORT = r":(?!0)(\d{1,4}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d{2}|655[0-2]\d|6553[0-5])"  # 1 to 65535, in a URL
_IMAPS = re.compile(rf"imaps://([^:/?#@\s\[\]]+|\[(?P<literal>[0-9a-fA-F:.]+)\])({_PORT})?")


def _is_imaps(text: str) -> bool:
    """Whether it is imaps://host[:port]; within brackets is an IPv6 address (RFC 3986 section 3.2.2)."""
    found = _IMAPS.fullmatch(text)
    try:
        return found is not None and (found["literal"] is None or bool(IPv6Address(found["literal"])))
    except ValueError:
        return False


class ConfigError(Exception):
    """The configuration can't be used; the text names the file, the key and what to do."""


def _network(text: str) -> str:
    """A range of addresses in its normal form. Raises ValueError."""
    try:
        return str(ip_network(text))
    except ValueError as error:
        raise ValueError(f"{error}; a network is written as in 10.9.0.0/16 or 2001:db8:9::/48") from None


class Section(BaseModel):
    """A table of the TOML file. An unknown key is an error: a typing mistake must not pass as a default."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SubmissionSettings(Section):
    """The listeners that users' mail programs submit to (RFC 6409, RFC 8314)."""

    address: str = Field("0.0.0.0", description="Address to listen on; `::` for IPv6 as well")  # noqa: S104 -- a mail server listens on all addresses by default
    starttls_port: int = Field(587, ge=0, le=65535, description="Port with STARTTLS; 0 takes any free port")
    tls_port: int = Field(465, ge=0, le=65535, description="Port with implicit TLS; 0 takes any free port")
    certificate: str = Field(
        "tls/cert.pem", description="PEM chain, read again on SIGHUP; relative to the data directory"
    )
    private_key: str = Field("tls/key.pem", description="PEM private key of the certificate")
    max_message_bytes: int = Field(35 * MIB, ge=1024, description="Largest message, offered as SIZE")
    max_recipients: int = Field(1000, ge=1, description="Recipients of one message")
    max_hold: int = Field(
        30 * 86400,
        ge=0,
        description="Longest time in seconds that a message may be held back (FUTURERELEASE); 0 offers none",
    )
    max_line_bytes: int = Field(998, ge=998, description="Longest line of a message, without its CRLF (RFC 5322 2.1.1)")
    max_sessions: int = Field(
        1000, ge=1, description="Connections open at once, counted from the first packet; fewer if files run out"
    )
    max_sessions_per_peer: int = Field(
        100, ge=1, description="Connections open at once from one IPv4 address or /64 of IPv6"
    )
    max_unfinished_bytes: int = Field(
        512 * MIB, ge=MIB, description="Bytes of messages of one user that have not come whole, in all sessions"
    )
    log_in_timeout: Seconds = Field(120.0, description="Seconds that a session may last without a log-in")
    command_timeout: Seconds = Field(300.0, description="Seconds to wait for the next command (RFC 5321 4.5.3.2)")
    session_timeout: Seconds = Field(3600.0, description="Seconds that a session may last without a message")
    max_received: int = Field(50, ge=5, description="Received lines after which a message is taken to be in a loop")


class RelaySettings(Section):
    """The listener that a mail server in front hands its outbound mail to (docs/relaying.md). Off while `port` is 0."""

    address: str = Field("0.0.0.0", description="Address to listen on; `::` for IPv6 as well")  # noqa: S104 -- trusted_networks says who may come
    port: int = Field(0, ge=0, le=65535, description="Port, with STARTTLS for who wants it; 0: none")
    trusted_networks: tuple[str, ...] = Field((), description="Ranges of the servers that may come: nobody else may")
    account_field: str = Field(
        "X-Outgate-Account",
        pattern=r"^[!-9;-~]+$",
        description="Header field by which such a server says whose message it is; removed, and believed above its"
        " first Received field alone",
    )

    @field_validator("trusted_networks")
    @classmethod
    def _networks(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_network(text) for text in texts)

    @model_validator(mode="after")
    def _trusts_somebody(self) -> Self:
        if self.port and not self.trusted_networks:
            raise ValueError(
                "relay.port is set, so relay.trusted_networks must name the servers in front: 10.0.0.25/32"
            )
        return self


class LogInSettings(Section):
    """Throttling of wrong passwords."""

    failures_per_account: Rate = Field("10/10minutes", description="Wrong passwords for one account from one network")
    failures_per_network: Rate = Field("50/10minutes", description="Wrong passwords from one network (/24 or /64)")
    failures_per_account_anywhere: Rate = Field(
        "100/1hour", description="Wrong passwords for one account from all networks"
    )
    exempt_networks: tuple[str, ...] = Field(
        (),
        description="Ranges, such as the offices', where wrong passwords lock only the account for its own network",
    )
    scram_iterations: int = Field(600_000, ge=4096, description="PBKDF2 rounds of the stored SCRAM-SHA-256 verifier")

    @field_validator("exempt_networks")
    @classmethod
    def _networks(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_network(text) for text in texts)


class OidcSettings(Section):
    """Log-in with tokens of an OpenID provider (OAUTHBEARER, XOAUTH2). Off while `issuer` is empty."""

    issuer: str = Field("", description="The provider's issuer URL; its keys are found by discovery")
    audience: str = Field("", description="What a token's `aud` must name")
    claim: str = Field("email", description="The claim that holds the user's primary address")
    scope: str = Field("", description="A scope that the token must have, if any")
    ca_file: str | None = Field(None, description="PEM of further certificate authorities to trust for the provider")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.issuer and not self.issuer.startswith("https://"):
            raise ValueError("oidc.issuer must be an https:// URL, as the provider's discovery document has it")
        if self.issuer and not self.audience:
            raise ValueError("set oidc.audience to what the tokens' aud names, or tokens for others would do as well")
        return self


class OAuthSettings(Section):
    """Log-in to users' gateways by OAuth, where a provider takes no passwords any more."""

    providers_file: str = Field(
        "providers.toml",
        description="Providers with the client that this installation is to them (docs/gateways-oauth.md); relative to"
        " the data directory",
    )


class LdapSettings(Section):
    """Users and their passwords from an LDAP directory. Off while `url` is empty."""

    url: str = Field("", description="`ldaps://host[:port]`, `ldap://host[:port]` (with STARTTLS) or `ldapi://path`")
    bind_dn: str = Field("", description="Whom to search as; empty is anonymous")
    bind_password_file: str | None = Field(None, description="File with the password of `bind_dn`, mode 600")
    base: str = Field("", description="Where to search, as in ou=people,dc=example,dc=com")
    filter: str = Field("(objectClass=inetOrgPerson)", description="Which entries are users")
    address_attribute: str = Field("mail", description="Attribute with the primary address")
    name_attribute: str = Field("cn", description="Attribute with the name in From")
    unit_attribute: str | None = Field(None, description="Attribute with the path of the unit; else new users are in /")
    id_attribute: str = Field("entryUUID", description="Attribute that never changes (Active Directory: objectGUID)")
    ca_file: str | None = Field(None, description="PEM of further certificate authorities to trust")
    timeout: Seconds = Field(10.0, description="Seconds to wait for an answer")


class EgressSettings(Section):
    """Which hosts users may make this server connect to: gateways, their discovery, and mail exchangers."""

    own_networks: tuple[str, ...] = Field(
        (), description="The organisation's own ranges, never connected to for a user even where they are public"
    )
    allowed_networks: dict[str, str] = Field(
        {}, description="Ranges by name that are allowed although they are private, as in partner = '10.9.0.0/16'"
    )
    ports: tuple[Port, ...] = Field((25, 465, 587, 2525), description="Ports of users' gateways; `[]` is any port")
    probes_per_user: Rate = Field("20/1hour", description="Tries of gateways by one user")
    probes_per_host: Rate = Field("30/1hour", description="Tries of one gateway host by all users")

    @field_validator("own_networks")
    @classmethod
    def _networks(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_network(text) for text in texts)

    @field_validator("allowed_networks")
    @classmethod
    def _named_networks(cls, texts: dict[str, str]) -> dict[str, str]:
        return {name: _network(text) for name, text in texts.items()}


class WebOidcSettings(Section):
    """Log-in to the pages by an OpenID provider, beside passwords and passkeys. Off while `issuer` is empty."""

    issuer: str = Field("", description="The provider's issuer URL; all else is found by discovery")
    client_id: str = Field("", description="The client that the pages are to it (docs/oidc.md)")
    client_secret_file: str = Field(
        "",
        description="File with the client's secret, mode 600, relative to the data directory; none for a public client",
    )
    name: str = Field("", description="What users call it, on the button; else its host")
    claim: str = Field("email", description="The claim that holds the user's primary address")
    scopes: tuple[str, ...] = Field(("openid", "email"), description="What is asked for; the claim must come with it")
    asks_second_factor: bool = Field(
        False, description="It asks for a second factor itself, so that ours is not asked for after it"
    )

    @property
    def title(self) -> str:
        """What people call it."""
        return self.name or self.issuer.removeprefix("https://").partition("/")[0]

    @model_validator(mode="after")
    def _client_known(self) -> Self:
        if self.issuer and not self.issuer.startswith("https://"):
            raise ValueError("web.oidc.issuer must be an https:// URL, as the provider's discovery document has it")
        if self.issuer and not self.client_id:
            raise ValueError("set web.oidc.client_id to the client that is registered at the provider for the pages")
        if "openid" not in self.scopes:
            raise ValueError("web.oidc.scopes must have openid, or the provider does not say who it is")
        return self


class WebSettings(Section):
    """The pages, for users and administrators. Off while `public_url` is empty."""

    public_url: str = Field("", description="Where users find it, as in https://mail.example.com")
    address: str = Field("127.0.0.1", description="Address to listen on")
    port: int = Field(8025, ge=0, le=65535, description="Port; behind a proxy that speaks TLS, or with the certificate")
    tls: bool = Field(False, description="Speak TLS with the certificate of `submission`")
    trusted_proxies: tuple[str, ...] = Field(
        ("127.0.0.0/8", "::1/128"),
        description="Ranges of the proxies whose X-Forwarded-For and X-Forwarded-Proto are believed; none with `tls`",
    )
    max_connections: int = Field(200, ge=1, description="Connections open at once")
    max_connections_per_peer: int = Field(
        50, ge=1, description="Connections of one network (/24 or /64) open at once; through a proxy, its requests"
    )
    session_idle: Seconds = Field(12 * 3600.0, description="Seconds without a request after which a log-in ends")
    session_lifetime: Seconds = Field(7 * 86400.0, description="Seconds after which a log-in ends in any case")
    undo_send: float = Field(
        10.0,
        ge=0,
        le=120,
        description="Seconds that a message written on the pages waits, so that it can be taken back",
    )
    proof_lasts: Seconds = Field(
        900.0, description="Seconds after a log-in until who changes passwords, second factors or roles is asked again"
    )

    oidc: WebOidcSettings = WebOidcSettings()

    @field_validator("trusted_proxies")
    @classmethod
    def _proxies(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_network(text) for text in texts)

    @field_validator("public_url")
    @classmethod
    def _whole_url(cls, text: str) -> str:
        if not re.fullmatch(r"(https?://[^\s/?#@]+(/[^\s?#]*)?)?", text):
            raise ValueError("must begin with https:// (or http://) and a host name, and have no ? or #")
        return text


class ApiSettings(Section):
    """What programs may ask of the API (docs/api.md), which is where the pages are. Each process counts for itself."""

    user_rate: Rate = Field("15000/1minute", description="Requests of one program as one user")
    client_rate: Rate = Field("120000/1minute", description="Requests of one program, as whoever")


class ScheduleSettings(Section):
    """When mail by one way is tried again, told of and returned; what is not said is as `delivery` has it."""

    retry_first: Seconds | None = None
    retry_factor: RetryFactor | None = None
    retry_longest: Seconds | None = None
    delay_report_after: float | None = Field(None, ge=0)
    give_up_after: Seconds | None = None


class DeliverySettings(Section):
    """How messages leave."""

    connections_per_queue: int = Field(5, ge=1, description="Connections open at once to one gateway or destination")
    connections: int = Field(
        0, ge=0, description="Connections open at once in all; 0: half of the files that the system lets a process open"
    )
    connect_timeout: Seconds = Field(30.0, description="Seconds to connect, TLS included")
    reply_timeout: Seconds = Field(300.0, description="Seconds until a reply is there whole (RFC 5321 4.5.3.2)")
    content_timeout: Seconds = Field(600.0, description="The same for the reply to the message's end")
    transaction_timeout: Seconds = Field(3600.0, description="Seconds that handing over one message may take in all")
    idle_timeout: Seconds = Field(30.0, description="Seconds that a warm connection may lie idle")
    max_age: Seconds = Field(600.0, description="Seconds after which a connection is not used again")
    lease: Seconds = Field(1200.0, description="Seconds after which another worker may take a message over")
    retry_first: Seconds = Field(60.0, description="Seconds to wait after the first failure")
    retry_factor: RetryFactor = Field(3.0, description="How many times longer each further wait is than the former")
    retry_longest: Seconds = Field(
        4 * 3600.0, description="Longest wait in seconds; each is up to a quarter longer, by message"
    )
    stop_timeout: Seconds = Field(
        30.0, description="Seconds that what is being handed over may take to end when the server stops"
    )
    give_up_after: Seconds = Field(5 * 86400.0, description="Seconds after which a message is returned")
    delay_report_after: float = Field(
        4 * 3600.0, ge=0, description="Seconds after which the sender is told that a message still waits; 0 is never"
    )
    schedules: dict[Way, ScheduleSettings] = Field(
        {},
        description="These five settings by way (`direct`, `local`, `domain-gateway`, `user-gateway`), where they are"
        ' otherwise: `{ "local" = { retry_longest = 600 } }`; by destination: `outgate queue schedule`',
    )
    fault_report_after: float = Field(
        300.0,
        ge=0,
        description="The same where only the sender can repair it: TLS or certificate of a gateway; of a refused"
        " log-in the gateway's user is told at once",
    )
    return_whole: int = Field(
        MIB, ge=0, description="Largest message in bytes that a delivery report returns whole if asked to (RET=FULL)"
    )
    notices_to: str = Field(
        "",
        description="Address told of failing gateways (at once of a refused log-in) and the certificate's end, once"
        " a day at most; empty: nobody",
    )
    in_memory: int = Field(
        5000,
        ge=1,
        description="Messages held in memory at once, waiting or in transfer; a queue alone has a tenth of the places",
    )
    smtp_port: int = Field(25, ge=1, le=65535, description="Port of mail exchangers")
    source_address: str | None = Field(None, description="Local address for connections that leave")
    nameservers: tuple[str, ...] = Field(
        (), description="DNS servers as `address` or `address:port`; else the system's"
    )
    dane: Literal["local", "trusted", "off"] = Field(
        "local",
        description="Whose word on DNSSEC counts for DANE: `local` nameservers of this machine; `trusted` all of"
        " `nameservers`, where nobody else is on the way to them; `off` nobody's",
    )
    ca_file: str | None = Field(None, description="PEM of further certificate authorities to trust for gateways")
    reply_rules: str = Field(
        "", description="File of rules of your own that read replies, before those that are shipped (docs/queues.md)"
    )
    discard_ehlo_keywords: dict[str, tuple[str, ...]] = Field(
        {},
        description="Extensions not to use although they are offered, by gateway host or recipient domain, `*` for all:"
        ' `{ "broken.example" = ["CHUNKING"] }`',
    )

    def discarded(self, destination: str) -> frozenset[str]:
        """The extensions that are not used with a gateway's host, or a domain's exchangers."""
        named = {name.lower(): words for name, words in self.discard_ehlo_keywords.items()}
        found = (*named.get("*", ()), *named.get(destination.lower(), ()))
        return frozenset(word.upper() for word in found)

    @model_validator(mode="after")
    def _waits_agree(self) -> Self:
        for way, of_way in [("", ScheduleSettings()), *self.schedules.items()]:
            first = self.retry_first if of_way.retry_first is None else of_way.retry_first
            longest = self.retry_longest if of_way.retry_longest is None else of_way.retry_longest
            if first > longest:
                place = f"schedules.{way}: " if way else ""
                raise ValueError(f"{place}retry_first ({first:g}) may not be more than retry_longest ({longest:g})")
        return self


class TlsReportSettings(Section):
    """Daily reports to recipients' domains that ask for them, on the TLS of connections to them (RFC 8460)."""

    send: bool = Field(True, description="Send them; what they have is counted in any case")
    organization: str = Field("", max_length=200, description="Who reports, for people; empty: the primary domain")
    contact: str = Field(
        "", description="Address that answers questions about them; empty: `postmaster@` of the primary domain"
    )
    sending_address: str = Field(
        "",
        description="Public address that connections leave from, where addresses are translated; empty: the"
        " connection's own, if it is a public one",
    )

    @field_validator("organization")
    @classmethod
    def _one_line(cls, text: str) -> str:
        if not text.isprintable():
            raise ValueError("must be on one line, without control characters")
        return text

    @field_validator("contact")
    @classmethod
    def _address(cls, text: str) -> str:
        if not re.fullmatch(r"([^\s@<>,;:]+@[^\s@<>,;:]+)?", text):
            raise ValueError("must be one address, as in tls-reports@example.com")
        return text

    @field_validator("sending_address")
    @classmethod
    def _ip(cls, text: str) -> str:
        return str(ip_address(text)) if text else ""


class LocalSettings(Section):
    """Where mail for the organisation's own domains goes."""

    mailbox: str = Field(
        "maildir", description="`maildir`, `lmtp://host:port`, `lmtp:/path/to/socket` or `smtp://host:port`"
    )

    @field_validator("mailbox")
    @classmethod
    def _known_mailbox(cls, text: str) -> str:
        if not re.fullmatch(r"maildir|lmtp:/[^/].*|(lmtp|smtp)://([^:/]+|\[[^\]]+\]):\d{1,5}", text):
            raise ValueError("must be maildir, lmtp://host:port, lmtp:/path/to/socket or smtp://host:port")
        return text

    postmaster: str = Field(
        "",
        description="Address of the organisation that gets what is sent to `postmaster@` and `abuse@` in its domains,"
        " where these are nobody's; empty: a Maildir of that name, or the mailbox server's own",
    )
    maildir: str = Field(
        "mail", description="Folder of the Maildirs, one for each account; relative to the data directory"
    )
    mailbox_imap: str = Field(
        "",
        description="Where the pages read users' mail if `mailbox` is not `maildir`: `imaps://host[:port]`, or"
        " `imap://127.0.0.1[:port]` on this machine; empty: the pages show no inbox then",
    )
    imap_user: str = Field(
        "", description="Who may log in there as any user (SASL PLAIN with an authorization identity)"
    )
    imap_password_file: str = Field(
        "imap.password", description="File with the password of `imap_user`, mode 600; relative to the data directory"
    )
    imap_ca_file: str | None = Field(
        None, description="PEM of further certificate authorities to trust for the IMAP server"
    )
    programs_imap: str = Field(
        "",
        description="Where mail programs read users' mail, as they are told to set up: `imaps://host[:port]`; empty:"
        " `mailbox_imap`, unless that is on this machine alone",
    )

    @field_validator("programs_imap")
    @classmethod
    def _known_programs_imap(cls, text: str) -> str:
        if text and not _is_imaps(text):
            raise ValueError("must be imaps://host[:port]")
        return text

    @field_validator("mailbox_imap")
    @classmethod
    def _known_imap(cls, text: str) -> str:
        host = r"(localhost|127\.[0-9.]+|\[::1\])"
        if not _is_imaps(text) and not re.fullmatch(rf"(imap://{host}({_PORT})?)?", text):
            raise ValueError("must be imaps://host[:port], or imap://127.0.0.1[:port] for a server on this machine")
        return text

    @model_validator(mode="after")
    def _imap_whole(self) -> Self:
        if self.mailbox_imap and not self.imap_user:
            raise ValueError("set local.imap_user to the account that may log in to the IMAP server as any user")
        return self


class RecordSettings(Section):
    """What is kept of what happened, and logged of messages."""

    keep_messages: int = Field(90, ge=0, description="Days that the record of a message is kept; 0 is for ever")
    keep_audit: int = Field(0, ge=0, description="Days that an entry of the audit trail is kept; 0 is for ever")
    keep_usage: int = Field(
        1,
        ge=0,
        description="Days that what accounts and units sent by the hour is kept, for limits; 0 is for ever",
    )
    log: Literal["failures", "outcomes", "all"] = Field(
        "outcomes",
        description="Log lines of messages: `failures` (deferred, bounced, refused), `outcomes` (also what was"
        " delivered) or `all` (also what was accepted, and each step)",
    )


class WebhooksSettings(Section):
    """Webhooks: endpoints of others that are told of events (docs/webhooks.md)."""

    allow_http: bool = Field(
        False, description="Webhooks may have http:// URLs, whose events anybody on the way can read"
    )


class Config(BaseSettings):
    """The whole configuration. Section settings are `OUTGATE_<SECTION>__<KEY>` in the environment."""

    model_config = SettingsConfigDict(
        env_prefix="OUTGATE_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        nested_model_default_partial_update=True,
    )

    data: Path
    hostname: str = Field(default_factory=socket.getfqdn, description="Name in greetings, EHLO and Received")
    database_url: str = Field("", description="`postgresql://…`; else SQLite in the data directory")
    processes: int = Field(
        1, ge=1, le=64, description="Processes of the server, each with a share of the connections; at most one a core"
    )
    secret_key_command: tuple[str, ...] = Field(
        (), description="Command that prints the vault's keys (a KMS); else OUTGATE_SECRET_KEY, else secret.key"
    )
    log_format: Literal["text", "json"] = Field("text", description="Log lines for people or for programs")
    submission: SubmissionSettings = SubmissionSettings()
    relay: RelaySettings = RelaySettings()
    log_in: LogInSettings = LogInSettings()
    delivery: DeliverySettings = DeliverySettings()
    tls_reports: TlsReportSettings = TlsReportSettings()
    local: LocalSettings = LocalSettings()
    oidc: OidcSettings = OidcSettings()
    ldap: LdapSettings = LdapSettings()
    oauth: OAuthSettings = OAuthSettings()
    egress: EgressSettings = EgressSettings()
    web: WebSettings = WebSettings()
    api: ApiSettings = ApiSettings()
    record: RecordSettings = RecordSettings()
    webhooks: WebhooksSettings = WebhooksSettings()

    @model_validator(mode="after")
    def _share_known_ports(self) -> Self:
        if self.processes > 1 and 0 in (self.submission.starttls_port, self.submission.tls_port):
            raise ValueError("with more than one process, submission.starttls_port and tls_port must be set")
        return self

    @property
    def database(self) -> str:
        """The database's URL, SQLite in the data directory unless one is set."""
        return self.database_url or f"sqlite:///{self.data / 'outgate.db'}"

    def path(self, relative: str) -> Path:
        """A path that may be relative to the data directory."""
        return self.data / relative

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment before file; the file is the data directory's."""
        toml = TomlConfigSettingsSource(settings_cls, _file(init_settings()["data"]))
        return init_settings, env_settings, toml


def section_of(field: FieldInfo) -> type[Section] | None:
    """The section that a field of Config, or of a section, is, if it is one."""
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


# Names that the environment may bear without being settings of the configuration.
NOT_SETTINGS = frozenset({"OUTGATE_DATA", "OUTGATE_SECRET_KEY", "OUTGATE_TEST_POSTGRESQL_URL"})


def load(data: Path) -> Config:
    """Read the configuration of a data directory; raises ConfigError with every fault found."""
    try:
        config = Config(data=data)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{_file(data)} is not valid TOML: {error}") from None
    except SettingsError as error:
        raise ConfigError(_broken_variable(error)) from None
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(data, fault) for fault in error.errors())) from None
    _check_environment()
    return config


# Names of settings that there were, and what took their place.
_REPLACED: Final = {"delivery.retry": "delivery.retry_first, retry_factor and retry_longest took its place"}


def _file(data: Path) -> Path:
    return data / "outgate.toml"


def _explain(data: Path, fault: Any) -> str:
    """A fault in our words, with the name of whatever said so: the variable if there is one, else the file's key."""
    names = _names(fault["loc"])
    variable = f"OUTGATE_{'__'.join(names).upper()}"
    by_variable = variable in os.environ
    if fault["type"] == "extra_forbidden":
        name = ".".join(names)
        if by_variable:
            todo = _REPLACED.get(name, "unset it or correct its name")
            return f"there is no setting for the environment variable {variable}; {todo}"
        todo = _REPLACED.get(name, "see docs/configuration.md for those that exist")
        return f"{_file(data)}: there is no setting '{name}'; {todo}"
    key = variable if by_variable else ".".join(names)
    where = "the environment" if by_variable else _file(data)
    if fault["type"] == "value_error":
        text = str(fault["ctx"]["error"])
        return f"{where}: {key} {text}" if text.startswith("must ") else f"{where}: {f'{key}: ' if key else ''}{text}"
    return f"{where}: {key} {demand(fault, key)}"


def _names(place: Sequence[str | int]) -> list[str]:
    """The names of a setting and of the sections round it, without what is in its value."""
    names, model = list[str](), cast("type[BaseModel] | None", Config)
    by_name: type[Section] | None = None  # what a name of the table that we are in has
    for part in place:
        if (model is None and by_name is None) or not isinstance(part, str) or part == "[key]":
            break
        names.append(part)
        field = model.model_fields.get(part) if model else None
        model, by_name = (section_of(field), _section_by_name(field)) if field else (by_name, None)
    return names


def _section_by_name(field: FieldInfo) -> type[Section] | None:
    """The section that each value of a table of tables is."""
    _, *of = get_args(field.annotation) or (None,)
    return next((one for one in of if isinstance(one, type) and issubclass(one, Section)), None)


def _broken_variable(error: SettingsError) -> str:
    """pydantic-settings does not say which variable it could not read: the ones that must be JSON are asked again."""
    section = str(error).partition('"')[2].partition('"')[0]
    for variable, text in os.environ.items():
        if variable.startswith(f"OUTGATE_{section.upper()}") and text[:1] in "[{":
            try:
                json.loads(text)
            except ValueError:
                return f'the environment: {variable} is not JSON, as lists are written there: [25, 587] or ["a", "b"]'
    return f"the environment: OUTGATE_{section.upper()} can't be read; lists and tables are written in JSON there"


def _check_environment() -> None:
    """pydantic-settings passes over unknown OUTGATE_* variables: a mistake there is as bad as one in the file."""
    known = {f"OUTGATE_{name.upper()}" for name in Config.model_fields}
    for variable in os.environ:
        if not variable.startswith("OUTGATE_") or variable in NOT_SETTINGS:
            continue
        if variable.split("__")[0] not in known:
            raise ConfigError(
                f"there is no setting for the environment variable {variable}; unset it or correct its name"
            )
