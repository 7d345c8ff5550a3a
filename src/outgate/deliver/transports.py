"""A route made into a transport: which peer, which log-in."""

import ssl
from collections.abc import Awaitable, Callable, Sequence

from outgate.config import Config, DeliverySettings
from outgate.deliver.away_addresses import AwayAddresses
from outgate.deliver.connection import Link, Timeouts, unreachable
from outgate.deliver.credentials import (
    SEAL_BROKEN,
    CredentialSource,
    GatewayCredentials,
    GatewayTokens,
    LogIn,
    OpenPassword,
    SecurityEvent,
    TokenSource,
)
from outgate.deliver.delivery import Transport
from outgate.deliver.exchangers import Exchangers
from outgate.deliver.http_transport import HttpTransport
from outgate.deliver.mail_api import APIS, MailApi
from outgate.deliver.maildir_transport import MaildirTransport
from outgate.deliver.message_preparer import MessagePreparer
from outgate.deliver.outcome import Outcome, Verdict
from outgate.deliver.smtp_transport import Hosts, SmtpTransport
from outgate.deliver.tls_policy import SecuredHost, TlsPolicy, alike
from outgate.deliver.transmission import KeysOf
from outgate.directory.local_mailboxes import LocalMailboxes
from outgate.directory.reader import DirectoryReader
from outgate.egress.https_client import HTTPS
from outgate.egress.resolver import ADDRESSES, OF_EACH, Host, Resolver, Unresolved
from outgate.mail.dkim import DkimKey
from outgate.model import Gateway, TlsDemand
from outgate.queue import Queue
from outgate.queue.queue_id import QueueIds
from outgate.route import Route, RouteKind
from outgate.store.vault import SealBroken
from outgate.transport_security.sts_policies import StsPolicies
from outgate.transport_security.tls_session import CountSession, uncounted

_MOST_EVENTS = 1000

SecuredHosts = Callable[[], Awaitable[list[SecuredHost] | Unresolved]]


class TransportFactory:
    """Makes transports for all four kinds of route."""

    def __init__(
        self,
        config: Config,
        queue: Queue,
        directory: DirectoryReader,
        resolver: Resolver,
        open_password: OpenPassword,
        tokens: TokenSource,
        keys_of: KeysOf,
        security_event: SecurityEvent,
        queue_ids: QueueIds,
        sts_policies: StsPolicies,
        count: CountSession,
    ) -> None:
        self._config, self._queue, self._directory, self._resolver = config, queue, directory, resolver
        self._exchangers = Exchangers(resolver, sts_policies, config.delivery.smtp_port, count)
        self._count, self._away = count, AwayAddresses()
        self._open_password, self._tokens, self._stored_keys_of = open_password, tokens, keys_of
        self._security_event = _once(security_event)
        self._compliance = MessagePreparer(queue, directory, queue_ids, self._keys_of)
        self._mailboxes = LocalMailboxes(directory, config.local.postmaster)
        self._timeouts = timeouts_of(config.delivery)
        self._verifying = verifying_context(config)

    def transport(self, way: Route, tls: TlsPolicy, demand: TlsDemand = TlsDemand.USUAL) -> Transport:
        """A new one, not connected yet."""
        if way.gateway:
            return self._to_gateway(way.gateway, tls, users=way.kind is RouteKind.USER_GATEWAY)
        if way.kind is RouteKind.LOCAL:
            return self._to_mailboxes(tls)
        domain = way.queue.name
        link = _link(self._config, domain, self._config.delivery.smtp_port, tls)
        return self._smtp(
            link, lambda: _found(self._exchangers.of(domain, demand), domain, link.port), count=self._count
        )

    def _to_gateway(self, gateway: Gateway, tls: TlsPolicy, *, users: bool) -> Transport:
        """A user's gateway is guarded at every connection; the organisation's own is the administrator's to choose."""
        log_in = self._log_in(gateway)
        if (api := APIS.get(gateway.kind)) and log_in:
            return self._to_api(api, gateway, log_in)
        link = gateway_link(self._config, gateway, log_in, tls)
        host, port = gateway.host, gateway.port
        if users and not gateway.has_credential:
            return self._smtp(link, _erased)
        if users:
            hosts = _alike(lambda: self._resolver.guarded(host, port), tls)
            return self._smtp(link, lambda: _found(hosts(), host, port), log_in=log_in, away=self._away)
        first, *fallbacks = [self._of_gateway(name, gateway, tls) for name in gateway.hosts]
        discarded = self._config.delivery.discarded
        return self._smtp(link, first, log_in=log_in, fallbacks=fallbacks, away=self._away, discarded=discarded)

    def _of_gateway(self, name: str, gateway: Gateway, tls: TlsPolicy) -> Hosts:
        """The addresses of one of its hosts: of several, as few as of one of several exchangers."""
        most = OF_EACH if gateway.fallbacks else ADDRESSES

        async def hosts() -> list[Host] | Unresolved:
            found = await self._resolver.host(name)
            return found if isinstance(found, Unresolved) else found[:most]

        secured = _alike(hosts, tls)
        return lambda: _found(secured(), name, gateway.port)

    def _to_api(self, api: MailApi, gateway: Gateway, log_in: LogIn) -> Transport:
        """By a provider's interface; its port is the administrator's choice (oauth/providers.py), its address is
        guarded.
        """

        async def hosts() -> list[Host] | Outcome:
            if fault := await log_in.fault():
                return fault
            found = await self._resolver.guarded(gateway.host)
            return _unresolved(found, gateway.host, gateway.port) if isinstance(found, Unresolved) else found

        async def elsewhere(name: str) -> list[Host] | Outcome:
            found = await self._resolver.guarded(name)
            return _unresolved(found, name, HTTPS) if isinstance(found, Unresolved) else found

        return HttpTransport(
            api,
            gateway.port,
            hosts,
            log_in,
            self._timeouts,
            self._verifying,
            self._compliance,
            self._config.hostname,
            max_age=self._config.delivery.max_age,
            elsewhere=elsewhere,
        )

    def _log_in(self, gateway: Gateway) -> LogIn | None:
        if gateway.provider:
            return GatewayTokens(gateway, self._tokens, self._security_event)
        if gateway.sealed is None:
            return None
        return GatewayCredentials(gateway, self._open_password, self._security_event)

    async def _keys_of(self, domain: str, version: int) -> tuple[DkimKey, ...]:
        try:
            return await self._stored_keys_of(domain, version)
        except SealBroken:
            self._security_event(SEAL_BROKEN, f"domain:{domain}", "")
            raise

    def _to_mailboxes(self, tls: TlsPolicy) -> Transport:
        local = self._config.local
        kind, _, where = local.mailbox.partition(":")
        if kind == "maildir":
            return MaildirTransport(
                self._queue, self._mailboxes, self._config.path(local.maildir), self._config.hostname
            )
        if kind == "lmtp" and not where.startswith("//"):
            link = _link(self._config, "localhost", 0, TlsPolicy.PLAIN, lmtp=True, unix_path=where)
            return self._smtp(link, _here, self._mailboxes)
        host, _, port = where.removeprefix("//").rpartition(":")
        link = _link(self._config, host, int(port), tls, lmtp=kind == "lmtp")
        hosts = _alike(lambda: self._resolver.host(host.strip("[]")), tls)
        return self._smtp(link, lambda: _found(hosts(), host, int(port)), self._mailboxes)

    def _smtp(
        self,
        link: Link,
        hosts: Hosts,
        mailboxes: LocalMailboxes | None = None,
        log_in: LogIn | None = None,
        count: CountSession = uncounted,
        fallbacks: Sequence[Hosts] = (),
        away: AwayAddresses | None = None,
        discarded: Callable[[str], frozenset[str]] | None = None,
    ) -> Transport:
        return SmtpTransport(
            link,
            hosts,
            self._timeouts,
            self._verifying,
            self._compliance,
            max_age=self._config.delivery.max_age,
            mailboxes=mailboxes,
            log_in=log_in,
            count=count,
            fallbacks=fallbacks,
            away=away,
            discarded=discarded,
        )


def gateway_link(config: Config, gateway: Gateway, log_in: CredentialSource | None, tls: TlsPolicy) -> Link:
    """How a gateway is connected to."""
    return _link(config, gateway.host, gateway.port, tls, log_in)


def timeouts_of(settings: DeliverySettings) -> Timeouts:
    """The time-outs of a connection."""
    return Timeouts(
        settings.connect_timeout, settings.reply_timeout, settings.content_timeout, settings.transaction_timeout
    )


def verifying_context(config: Config) -> ssl.SSLContext:
    """Verifies chain and name against the system's authorities and those of `delivery.ca_file`."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if config.delivery.ca_file:
        context.load_verify_locations(config.path(config.delivery.ca_file))
    return context


def _link(
    config: Config,
    destination: str,
    port: int,
    tls: TlsPolicy,
    log_in: CredentialSource | None = None,
    *,
    lmtp: bool = False,
    unix_path: str | None = None,
) -> Link:
    settings = config.delivery
    discarded = settings.discarded(destination)
    return Link(port, tls, config.hostname, log_in, lmtp, settings.source_address, unix_path, discarded)


def _once(security_event: SecurityEvent) -> SecurityEvent:
    """Each event is told once by a process, not at each attempt of each message."""
    told: set[tuple[str, str, str]] = set()

    def tell(kind: str, target: str, peer: str) -> None:
        if (kind, target, peer) not in told and len(told) < _MOST_EVENTS:
            told.add((kind, target, peer))
            security_event(kind, target, peer)

    return tell


def _alike(hosts: Callable[[], Awaitable[list[Host] | Unresolved]], tls: TlsPolicy) -> SecuredHosts:
    """The hosts, each with the same demand."""

    async def found() -> list[SecuredHost] | Unresolved:
        names = await hosts()
        return names if isinstance(names, Unresolved) else alike(names, tls)

    return found


async def _found(hosts: Awaitable[list[SecuredHost] | Unresolved], name: str, port: int) -> list[SecuredHost] | Outcome:
    """The hosts, or the outcome of a message that waits for them or has nowhere to go."""
    found = await hosts
    return _unresolved(found, name, port) if isinstance(found, Unresolved) else found


def _unresolved(found: Unresolved, name: str, port: int) -> Outcome:
    verdict = Verdict.FAILED if found.status.startswith("5") else Verdict.RETRY
    # That the recipient's domain does not exist or takes no mail is for the sender to know (5.1.x); the rest is not.
    public = "" if found.status.startswith("5.1.") else unreachable(name, port)
    return Outcome(verdict, f"{found.status} {found.reason}", public)


async def _erased() -> list[SecuredHost] | Outcome:
    """Never without the log-in that the gateway was set up with."""
    return Outcome(
        Verdict.RETRY,
        "4.7.8 the gateway's password was erased when its user was suspended; it must be entered again",
    )


async def _here() -> list[SecuredHost] | Outcome:
    return alike([Host("localhost", "")], TlsPolicy.PLAIN)
