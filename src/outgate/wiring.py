"""Connects the parts: the server, made of a data directory. Only this file and cli know all rooms."""

import asyncio
import fcntl
import gc
import resource
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import structlog
import uvloop
from sqlalchemy import Connection, Engine

from outgate import clock, config, log_lines, open_files, systemd
from outgate.accept.authenticator import Authenticator
from outgate.accept.certificate_watch import CertificateWatch
from outgate.accept.session_services import SessionServices
from outgate.accept.submission_listener import SubmissionListener
from outgate.accept.throttle import Throttle, limits_of
from outgate.accept.tls import Certificate
from outgate.accept.tokens import TokenVerifier
from outgate.advisor.ask import Names
from outgate.config import Config, DeliverySettings
from outgate.deliver.blocking_probe import BlockingProbe
from outgate.deliver.ceilings import Ceilings
from outgate.deliver.common_gateway_notices import CommonGatewayNotices
from outgate.deliver.connection_limit import default_limit
from outgate.deliver.deliverer import Deliverer
from outgate.deliver.gateway_notices import GatewayNotices
from outgate.deliver.node_claim import claim_name
from outgate.deliver.notices import Notices
from outgate.deliver.probe import Prober
from outgate.deliver.restraint import Restraint
from outgate.deliver.signing import SigningKeys
from outgate.deliver.suspension_notices import SuspensionNotices
from outgate.deliver.transports import TransportFactory, verifying_context
from outgate.deliver.usual_schedule import longest_usual_wait
from outgate.directory import change, known_networks, nodes, own_schedules, reply_rules
from outgate.directory.cache import DirectoryCache
from outgate.directory.gateway_settings import open_password
from outgate.directory.reader import DirectoryReader
from outgate.directory.source import PasswordChecker
from outgate.discovery import presets
from outgate.discovery.discoverer import Discoverer
from outgate.domain_watch import DomainWatch
from outgate.egress.guard import Guard
from outgate.egress.https_client import HttpsClient
from outgate.egress.resolver import Resolver
from outgate.installation import LOCK_FILE, Installation, InstallationError, open_installation
from outgate.key_watch import KeyWatch
from outgate.log_lines import event_log
from outgate.mailbox.maildir_mailbox import MaildirMailboxes
from outgate.mailbox.user_mailbox import Mailboxes, NoMailboxes
from outgate.model import Gateway, UsersGateway
from outgate.node_id import node_id
from outgate.oauth import providers
from outgate.oauth.gateway_tokens import AccessTokens, NoToken
from outgate.oauth.providers import OAuthProvider, OAuthProviders
from outgate.oauth.repair_notice import RepairNotice
from outgate.oauth.sign_in import SignIns
from outgate.operations import waiting_mail
from outgate.operations.error_codes import CheckFailed
from outgate.operations.gateway_trial import GatewayProbe
from outgate.operations.mail_operations import SendLimits
from outgate.operations.security_events import SecurityEvents
from outgate.processes import Processes
from outgate.queue import Queue
from outgate.queue.admin import Selection
from outgate.queue.clock_watch import ClockWatch
from outgate.queue.queue_id import QueueIds, to_text
from outgate.queue.retry import at_most
from outgate.record import audit_trail, metrics, tallies
from outgate.record.events import Weight
from outgate.record.metrics import Snapshot
from outgate.record.publication import EventLog, Publication, by_structlog
from outgate.record.retention import Kept, Retention, remove_messages
from outgate.record.search_keys import sort_in
from outgate.record.tallies import Tallies
from outgate.secret_file import SecretFileError, read_secret
from outgate.sendas import gateways
from outgate.smtp import TokenIssuer
from outgate.store.engine import StoreUnavailable, read
from outgate.store.group_commit import GroupCommit
from outgate.store.keyfile import KeyFileError
from outgate.store.rates import Rates
from outgate.submit import MessageLimits, Submitter, usage
from outgate.submit.quotas import SendingQuotas
from outgate.supervision import supervised
from outgate.tls_reports import report_rows, session_rows
from outgate.tls_reports.daily_reports import DailyReports, ReportLetterhead
from outgate.tls_reports.session_counts import TlsSessionCounts
from outgate.transport_security.sts_policies import StsPolicies
from outgate.webhooks import tries
from outgate.webhooks.webhook_sender import WebhookSender
from outgate.writing import submissions, uploads
from outgate.writing.filing import SentFiling

if TYPE_CHECKING:
    from outgate.http.http_listener import HttpListener
    from outgate.openid.provider_log_in import ProviderLogIn

DAY = 86400.0
UNFINISHED = DAY  # seconds after which pieces of a message that did not come whole are of no use to anybody
DRAINED = "drained: takes nothing new until `outgate node resume`"
MAIL_THREADS = 8  # that wait for mailboxes
SWEEP_EVERY = 3600.0  # seconds
ACCOUNTS_PAGE = "/settings/accounts"  # of a user's addresses: web.navigation
COMMON_GATEWAY_PAGE = "/admin/apps/mail/granted-addresses/gateway"

_log = structlog.get_logger("outgate")


class ServerProcess:
    """All roles in one process."""

    def __init__(self, installation: Installation, number: int = 0, log: EventLog = by_structlog) -> None:
        settings, engine = installation.config, installation.engine
        self._installation, self._number = installation, number
        self._security = SecurityEvents(engine, installation.vault, clock.now)
        self._directory = DirectoryReader(DirectoryCache(engine))
        self._commits = GroupCommit(engine)
        self._publication = Publication(to_text, Weight.of(settings.record.log), log)
        owner, self._queue_ids = _process(settings, number), QueueIds()
        self._queue = Queue(engine, self._commits, owner, settings.delivery.lease, committed=self._publication)
        self._certificate = Certificate(
            settings.path(settings.submission.certificate), settings.path(settings.submission.private_key)
        )
        self._tokens = access_tokens(installation, owner, self._queue_ids)
        self._names = resolver(settings)
        self._sts_policies = sts_policies(settings, engine, self._names)
        self._tls_sessions = TlsSessionCounts(engine, clock.now, settings.tls_reports.sending_address)
        self._signing_keys = SigningKeys(engine, installation.vault)
        verifier = token_verifier(settings)
        throttle = Throttle(settings.log_in, Rates(engine), self._knows)
        self._log_in = Authenticator(
            self._directory, throttle, engine, verifier, self._security, password_checker(settings)
        )
        self._listener = self._submission(verifier)
        self._deliverer = self._delivery()
        self._notices = self._told_notices()
        self._certificate_watch = CertificateWatch(self._certificate, clock.now, self._tell_of_certificate)
        # One process is enough for pages; the others have the mail.
        serves_pages = settings.web.public_url and number == 0
        self._http = (
            http_listener(installation, self._certificate, self._log_in, self._queue_ids) if serves_pages else None
        )
        self._domain_watch = (
            DomainWatch(
                engine,
                Names(settings.delivery.nameservers),
                clock.now,
                self._tell_of_domain,
                self._reconsider_domain,
            )
            if number == 0
            else None
        )
        self._key_watch = (
            KeyWatch(engine, installation.vault, Names(settings.delivery.nameservers), clock.now, self._tell_of_keys)
            if number == 0
            else None
        )
        self._tls_reports = self._daily_reports(owner) if number == 0 and settings.tls_reports.send else None
        self._retention = Retention(engine, _kept(installation), clock.now) if number == 0 else None
        self._clock_watch = ClockWatch(engine, _longest_pause(settings), clock.now) if number == 0 else None
        self._webhooks = self._webhook_sender(owner) if number == 0 else None
        self._filing = SentFiling(engine, mailboxes(settings), clock.now) if serves_pages else None
        self._snapshot = Snapshot(settings.data / metrics.FOLDER, number)
        self._tallies = Tallies(engine, clock.now)
        self._tasks: list[asyncio.Task[None]] = []
        self._turning: asyncio.Task[None] | None = None  # opens the doors or drains them
        self._closed_by = ""  # why they could not be opened, as the log has told

    def _submission(self, tokens: TokenVerifier | None) -> SubmissionListener:
        """Where mail comes in."""
        installation, settings = self._installation, self._installation.config
        quotas = SendingQuotas(installation.engine, clock.now)
        return SubmissionListener(
            SessionServices(
                config=settings,
                queue=self._queue,
                directory=self._directory,
                submitter=Submitter(self._queue, quotas, message_limits(settings)),
                log_in=self._log_in,
                certificate=self._certificate,
                scram_secret=installation.vault.digest(b"fake salts", "scram"),  # the same in all processes
                token_issuer=TokenIssuer(tokens.configuration, settings.oidc.scope) if tokens else None,
                queue_ids=self._queue_ids,
            ),
            open_files.room_for_sessions(
                settings.submission.max_sessions,
                (settings.delivery.connections or default_limit()) + settings.web.max_connections,
            ),
        )

    def _delivery(self) -> Deliverer:
        """How it leaves."""
        installation, settings = self._installation, self._installation.config
        transports = TransportFactory(
            settings,
            self._queue,
            self._directory,
            self._names,
            self._open_password,
            self._tokens,
            self._signing_keys.of,
            self._security,
            self._queue_ids,
            self._sts_policies,
            self._tls_sessions.count,
        )
        restraint = Restraint(
            installation.engine,
            self._directory,
            reply_rules_of(settings),
            SuspensionNotices(
                installation.engine,
                self._directory,
                self._queue_ids,
                settings.hostname,
                self._users_gateway,
                _page_at(settings, ACCOUNTS_PAGE),
                _page_at(settings, COMMON_GATEWAY_PAGE),
            ),
        )
        return Deliverer(
            self._queue,
            self._commits,
            self._directory,
            _share(settings),
            settings.hostname,
            transports.transport,
            self._queue_ids,
            restraint,
            Ceilings(Rates(installation.engine)),
        )

    def _webhook_sender(self, owner: str) -> WebhookSender:
        """What tells endpoints of events."""
        installation, settings = self._installation, self._installation.config
        client = webhook_client(settings, self._names)
        return WebhookSender(installation.engine, installation.vault, client, owner, clock.now, self._tell_of_webhook)

    def _daily_reports(self, owner: str) -> DailyReports:
        settings = self._installation.config
        told = settings.tls_reports
        return DailyReports(
            self._installation.engine,
            self._directory,
            self._names,
            HttpsClient(self._names, verifying_context(settings)),
            self._signing_keys.of,
            self._queue_ids,
            ReportLetterhead(settings.hostname, told.organization, told.contact),
            owner,
            clock.now,
            self._publication,
        )

    def _told_notices(self) -> Notices | None:
        """Who is told of what fails, and from what on; nobody, without an address."""
        installation, settings = self._installation, self._installation.config
        to = settings.delivery.notices_to
        if not to:
            return None
        rates = Rates(installation.engine)
        notices = Notices(self._queue, self._directory, rates, self._queue_ids, to, settings.hostname)
        self._publication.subscribe(GatewayNotices(notices, self._users_gateway))
        return notices

    async def start(self) -> None:
        """Take up what this process left in a former run, then open the listeners."""
        await self._queue.release()
        await self._directory.organisation()
        self._deliverer.start()
        if await asyncio.to_thread(self._is_drained):
            _log.warning(DRAINED)
        else:
            await self._listener.open()
        self._deliverer.tell_drained(self._turn_doors)
        if self._http:
            await self._http.open()
        self._tasks.append(asyncio.create_task(_keep_written(self._snapshot), name="metrics"))
        self._tasks.append(asyncio.create_task(supervised("tallies", self._tallies.run)))
        self._tasks.append(asyncio.create_task(supervised("TLS sessions", self._tls_sessions.run)))
        if self._number == 0:
            self._tasks.append(asyncio.create_task(supervised("sweep", self._sweep)))
            self._tasks.append(asyncio.create_task(supervised("idle tokens", self._tokens.run)))
            engine = self._installation.engine
            self._tasks.append(asyncio.create_task(supervised("search keys", lambda: sort_in(engine, self._commits))))
            self._tasks.append(asyncio.create_task(supervised("MTA-STS policies", self._sts_policies.run)))
            self._tasks.append(asyncio.create_task(self._tell_of_dane(), name="DANE"))
        if self._clock_watch:
            self._tasks.append(asyncio.create_task(supervised("clock watch", self._clock_watch.run)))
        if self._domain_watch:
            self._tasks.append(asyncio.create_task(supervised("domain watch", self._domain_watch.run)))
        if self._key_watch:
            self._tasks.append(asyncio.create_task(supervised("key watch", self._key_watch.run)))
        if self._tls_reports:
            self._tasks.append(asyncio.create_task(supervised("TLS reports", self._tls_reports.run)))
        if self._filing:
            self._tasks.append(asyncio.create_task(supervised("filing", self._filing.run)))
        if self._webhooks:
            self._tasks.append(asyncio.create_task(supervised("webhooks", self._webhooks.run)))
        if self._retention:
            self._tasks.append(asyncio.create_task(supervised("retention", self._retention.run)))
            self._tasks.append(asyncio.create_task(supervised("certificate watch", self._certificate_watch.run)))
        ports = self._listener.ports
        _log.info("ready", hostname=self._installation.config.hostname, starttls=ports["starttls"], tls=ports["tls"])
        systemd.notify("READY=1")

    def _is_drained(self) -> bool:
        with read(self._installation.engine) as connection:
            return node_id(self._installation.config.data) in nodes.drained(connection)

    def _turn_doors(self, is_drained: bool) -> None:
        """Open or drain them if they are not as they should be: what did not succeed is tried with each heartbeat."""
        if self._listener.is_open is not is_drained or (self._turning and not self._turning.done()):
            return
        turn = self._drain() if is_drained else self._reopen()
        self._turning = asyncio.get_running_loop().create_task(turn, name="doors")

    async def _drain(self) -> None:
        _log.warning(DRAINED)
        await self._listener.drain()

    async def _reopen(self) -> None:
        try:
            await self._listener.open()
        except OSError as error:
            if self._closed_by != str(error):
                _log.error("takes no mail until the port is free", error=str(error))
            self._closed_by = str(error)
        else:
            self._closed_by = ""
            _log.info("takes mail again")

    async def _tell_of_dane(self) -> None:
        """Whether what recipients' domains publish for DANE is kept to depends on what is outside of this program."""
        if reason := await self._names.validates():
            _log.warning("DANE is not in use: TLSA records of recipients' domains are passed over", reason=reason)
        else:
            _log.info("DANE is in use: the nameservers validate DNSSEC")

    async def _tell_of_certificate(self, subject: str, text: str) -> None:
        if self._notices:
            name = self._installation.config.hostname
            await self._notices.write(f"certificate {name}", f"{subject}: {name}", text, clock.now())

    async def _tell_of_domain(self, domain: str, subject: str, text: str) -> None:
        if self._notices:
            await self._notices.write(f"proof of {domain}", subject, text, clock.now())

    async def _tell_of_keys(self, domain: str, subject: str, text: str) -> None:
        if self._notices:
            await self._notices.write(f"{subject} of {domain}", subject, text, clock.now())

    async def _tell_of_webhook(self, name: str, subject: str, text: str) -> None:
        if self._notices:
            await self._notices.write(f"webhook {name}", subject, text, clock.now())

    def _reconsider_domain(self, domain: str) -> None:
        """What waits for its proof leaves now that it is back."""
        wanted = Selection(chosen_from=f"*@{domain}")
        waiting_mail.carry_out(self._installation.engine, [waiting_mail.reconsider(clock.now(), wanted)])

    def reload(self) -> None:
        """SIGHUP: read the certificate again, and the vault's keys, which may take a command's time."""
        self._listener.reload_certificate()
        asyncio.get_running_loop().run_in_executor(None, self._reload_keys)

    def _reload_keys(self) -> None:
        try:
            self._installation.vault.reload()
        except KeyFileError as error:
            _log.error("the keys could not be read again; those there are serve on", error=str(error))

    async def stop(self) -> None:
        """Stop accepting, give back what is not delivered."""
        systemd.notify("STOPPING=1")
        self._deliverer.tell_drained(lambda _: None)  # nobody opens the doors any more
        tasks = [*self._tasks, *([self._turning] if self._turning else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._http:
            await self._http.close()
        await self._listener.close()
        await self._log_in.close()
        await self._deliverer.stop()
        await self._commits.close()
        self._queue.close()
        self._directory.close()
        await asyncio.to_thread(self._security.close)
        await asyncio.to_thread(self._tallies.write)
        await self._tls_sessions.write(pause=0.0)
        self._installation.engine.dispose()
        self._snapshot.remove()
        _log.info("stopped")

    async def _sweep(self) -> None:
        """Remove the pieces that nobody will make a message of: those of nodes that are gone, too.

        What was there at the start went then (`_take_up`): it is a look at all pieces.
        """
        while True:
            await asyncio.sleep(SWEEP_EVERY)
            try:
                await self._queue.sweep(QueueIds().new(clock.now() - UNFINISHED))
            except StoreUnavailable as error:
                _log.error("pieces of messages not swept", error=str(error))

    def _users_gateway(self, queue: str) -> UsersGateway | None:
        with read(self._installation.engine) as connection:
            return gateways.of_queues(connection, [queue]).get(queue)

    def _open_password(self, gateway: Gateway) -> str:
        return open_password(self._installation.vault, gateway)

    def _knows(self, address: str, network: str) -> bool:
        with read(self._installation.engine) as connection:
            return known_networks.is_known(connection, address, network, clock.now())


def _kept(installation: Installation) -> list[Kept]:
    """What is removed when it is too old; 0 days are for ever."""
    days = installation.config.record

    def let_go(connection: Connection, before: float, limit: int) -> int:
        change.lock(connection)
        return audit_trail.let_go(connection, installation.vault, before, limit)

    kinds = (
        Kept("messages", days.keep_messages * DAY, remove_messages),
        Kept("audit", days.keep_audit * DAY, let_go),
        Kept("usage", days.keep_usage * DAY, usage.forget),
        Kept("unit_usage", days.keep_usage * DAY, usage.forget_units),
        Kept("webhook tries", tries.KEPT_FOR, tries.forget),
        Kept("tallies", tallies.KEPT * tallies.HOUR, tallies.forget),
        Kept("submissions", submissions.KEPT, submissions.remove_old),
        Kept("uploads", 1.0, uploads.remove_old),  # they say themselves when they end
        Kept("tls-sessions", session_rows.KEPT * DAY, session_rows.forget),
        Kept("tls-reports", session_rows.KEPT * DAY, report_rows.forget),
    )
    return [one for one in kinds if one.seconds]


def _longest_pause(settings: Config) -> Callable[[Connection], float]:
    """Finds the longest pause of any schedule that there is."""
    usual = longest_usual_wait(settings.delivery)
    return lambda connection: max(usual, at_most(own_schedules.longest_wait(connection)))


def reply_rules_of(settings: Config) -> reply_rules.ReplyRules:
    """The administrator's own first. Raises InstallationError."""
    own = settings.delivery.reply_rules
    try:
        return reply_rules.in_force(settings.path(own) if own else None)
    except reply_rules.RulesError as error:
        raise InstallationError(f"delivery.reply_rules: {error}") from None


def _page_at(settings: Config, path: str) -> str:
    """The address of a page; empty without pages."""
    url = settings.web.public_url.rstrip("/")
    return f"{url}{path}" if url else ""


def message_limits(settings: Config) -> MessageLimits:
    """What one message may have, by whatever way it comes."""
    limits = settings.submission
    return MessageLimits(limits.max_message_bytes, limits.max_line_bytes, limits.max_recipients, limits.max_received)


def send_limits(settings: Config) -> SendLimits:
    """The same, for operations."""
    return SendLimits(message_limits(settings), local_mailboxes=settings.local.mailbox == "maildir")


def mailboxes(settings: Config) -> Mailboxes:
    """Where the pages read users' mail."""
    local = settings.local
    if local.mailbox_imap:
        from outgate.mailbox.imap_mailbox import ImapMailboxes  # noqa: PLC0415  # not every installation has it

        return ImapMailboxes(local, settings.data)
    return MaildirMailboxes(settings.path(local.maildir)) if local.mailbox == "maildir" else NoMailboxes()


def resolver(settings: Config) -> Resolver:
    """Finds hosts, and refuses those that users may not have this server connect to."""
    return Resolver(settings.delivery.nameservers, Guard(settings.egress), settings.delivery.dane)


def sts_policies(settings: Config, engine: Engine, names: Resolver) -> StsPolicies:
    """Finds what recipients' domains demand of TLS; documents are fetched from public hosts alone."""
    return StsPolicies(engine, names, HttpsClient(names, verifying_context(settings)), clock.now)


def token_verifier(settings: Config) -> TokenVerifier | None:
    """Judges the tokens of the OpenID provider, if one is set."""
    if not settings.oidc.issuer:
        return None
    from outgate.accept.oidc import OidcVerifier  # noqa: PLC0415  # HTTP and JOSE take 0.2 s to import

    ca_file = settings.oidc.ca_file
    return OidcVerifier(settings.oidc, settings.path(ca_file) if ca_file else None)


def password_checker(settings: Config) -> PasswordChecker | None:
    """Asks the LDAP directory for passwords, if one is set."""
    if not settings.ldap.url:
        return None
    from outgate.ldap.bind import Binder  # noqa: PLC0415  # LDAP takes 0.2 s to import
    from outgate.ldap.ldap_client import LdapClient  # noqa: PLC0415

    return Binder(LdapClient(settings))


def http_listener(
    installation: Installation, certificate: Certificate, log_in: Authenticator, queue_ids: QueueIds
) -> "HttpListener":
    """All that is served by HTTP: the pages and the API."""
    # HTTP takes 0.3 s to import, and not every installation has pages.
    from outgate.api.api_routes import api_routes  # noqa: PLC0415
    from outgate.api.api_services import ApiServices  # noqa: PLC0415
    from outgate.api.batch_endpoint import BatchEndpoint  # noqa: PLC0415
    from outgate.api.google_error import google_form  # noqa: PLC0415
    from outgate.api.request_quota import RequestQuota  # noqa: PLC0415
    from outgate.api.surfaces import SURFACES  # noqa: PLC0415
    from outgate.http.application import HttpApplication  # noqa: PLC0415
    from outgate.http.database_threads import DatabaseThreads  # noqa: PLC0415
    from outgate.http.error_response import problem  # noqa: PLC0415
    from outgate.http.http_listener import HttpListener  # noqa: PLC0415
    from outgate.jmap.jmap_endpoint import JmapEndpoint  # noqa: PLC0415
    from outgate.scim.scim_endpoint import ScimEndpoint  # noqa: PLC0415
    from outgate.scim.scim_error import scim_form  # noqa: PLC0415
    from outgate.web.notice import error_page  # noqa: PLC0415
    from outgate.web.page_routes import page_routes  # noqa: PLC0415
    from outgate.web.services import PageServices  # noqa: PLC0415

    settings, threads = installation.config, DatabaseThreads()
    web, limits = settings.web, send_limits(settings)
    services = PageServices(
        config=settings,
        engine=installation.engine,
        vault=installation.vault,
        now=clock.now,
        threads=threads,
        authenticator=log_in,
        prober=prober(settings),
        discoverer=discoverer(settings),
        mailboxes=mailboxes(settings),
        mail_threads=DatabaseThreads(MAIL_THREADS),
        send_limits=limits,
        sign_ins={one.name: sign_ins(installation, one) for one in oauth_providers(settings).all()},
        provider_log_in=provider_log_in(settings),
        reply_rules=reply_rules_of(settings),
        webhook_client=webhook_client(settings),
        scopes={scope: text for surface in SURFACES for scope, text in surface.scopes.items()},
    )
    programs = ApiServices(
        config=settings,
        engine=installation.engine,
        vault=installation.vault,
        now=clock.now,
        threads=threads,
        prober=services.prober,
        token_of=token_for_trials(installation, queue_ids),
        queue_ids=queue_ids,
        send_limits=limits,
        reply_rules=services.reply_rules,
        log_in_limits=limits_of(settings.log_in),
        quota=RequestQuota(settings.api),
        webhook_client=services.webhook_client,
    )
    batch = BatchEndpoint()
    application = HttpApplication(
        [
            *api_routes(programs, batch),
            *JmapEndpoint(programs).routes(),
            *ScimEndpoint(programs).routes(),
            *page_routes(services),
        ],
        installation.engine,
        web,
        error_page,
        threads,
        forms={"api": problem, "google": google_form, "scim": scim_form},
    )
    batch.application = application
    return HttpListener(application, web, certificate.context if web.tls else None)


def access_tokens(installation: Installation, owner: str, queue_ids: QueueIds) -> AccessTokens:
    """Keeps the tokens of gateways' OAuth providers fresh; raises ConfigError if these can't be read."""
    settings = installation.config
    return AccessTokens(
        installation.engine,
        installation.vault,
        oauth_providers(settings),
        provider_client(settings),
        owner,
        clock.now,
        RepairNotice(
            settings.hostname,
            settings.web.public_url,
            queue_ids,
            clock.now,
            CommonGatewayNotices(queue_ids, settings.hostname, _page_at(settings, COMMON_GATEWAY_PAGE)),
        ),
    )


def stored_token(installation: Installation) -> Callable[[Gateway], str]:
    """For commands: as `token_for_trials`, in an event loop of its own."""
    return lambda gateway: asyncio.run(token_for_trials(installation, QueueIds())(gateway))


def token_for_trials(
    installation: Installation, queue_ids: QueueIds
) -> Callable[[Gateway], Coroutine[None, None, str]]:
    """Gets the access token of a gateway, refreshed if need be. What it returns raises CheckFailed."""

    async def token(gateway: Gateway) -> str:
        tokens = access_tokens(installation, f"trial {uuid4()}", queue_ids)
        found = await tokens.current(gateway)
        if isinstance(found, NoToken):
            raise CheckFailed(found.reason)
        return found

    return token


def sign_ins(installation: Installation, provider: OAuthProvider) -> SignIns:
    """Users' sign-ins at a provider, for one event loop."""
    settings = installation.config
    name = f"Outgate at {settings.hostname}"
    return SignIns(provider, provider_client(settings), installation.engine, installation.vault, name, clock.now)


def provider_log_in(settings: Config) -> "ProviderLogIn | None":
    """Log-in to the pages by the OpenID provider, if one is set, for one event loop. Raises ConfigError."""
    if not settings.web.oidc.issuer:
        return None
    from outgate.openid.provider_log_in import ProviderLogIn  # noqa: PLC0415  # as in http_listener
    from outgate.web.provider_log_in_page import RETURN  # noqa: PLC0415

    oidc = settings.web.oidc
    try:
        file = oidc.client_secret_file
        secret = read_secret(settings.path(file), "web.oidc.client_secret_file").decode() if file else ""
    except (SecretFileError, UnicodeDecodeError) as error:
        raise config.ConfigError(str(error)) from None
    redirect_uri = f"{settings.web.public_url.rstrip('/')}{RETURN}"
    return ProviderLogIn(oidc, secret, redirect_uri, provider_client(settings))


def oauth_providers(settings: Config) -> OAuthProviders:
    """Those that users may sign in with. Raises ConfigError."""
    return providers.load(settings.path(settings.oauth.providers_file))


def provider_client(settings: Config) -> HttpsClient:
    """Asks OAuth providers, at whatever port the administrator says; their addresses are guarded all the same."""
    return HttpsClient(resolver(settings), verifying_context(settings), any_port=True)


def webhook_client(settings: Config, names: Resolver | None = None) -> HttpsClient:
    """Asks the endpoints of webhooks, at whatever port the administrator says; their addresses are guarded."""
    context, allow_http = verifying_context(settings), settings.webhooks.allow_http
    return HttpsClient(names or resolver(settings), context, any_port=True, allow_http=allow_http)


def prober(settings: Config) -> Prober:
    """Tries gateways before they are saved, by delivery's own code."""
    return Prober(settings, resolver(settings))


def gateway_probe(installation: Installation, user: str) -> GatewayProbe:
    """For operations: tries gateways for a user, or with an empty name for whoever sits at the console."""
    return BlockingProbe(prober(installation.config), Rates(installation.engine), user)


def discoverer(settings: Config) -> Discoverer:
    """Finds a gateway's settings from an address."""
    names = resolver(settings)
    return Discoverer(names, HttpsClient(names, verifying_context(settings)), presets.shipped())


def serve(data: Path) -> None:
    """Run until SIGTERM or SIGINT, in as many processes as the configuration says."""
    settings = config.load(data)
    lines = log_lines.configure(settings.log_format)
    log = event_log(lines, settings.log_format)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would have the vault's keys
    open_files.raise_limit()
    with _alone(settings):
        uvloop.run(_take_up(data))
        if settings.processes == 1:
            uvloop.run(_serve(data, 0, log))
        else:
            Processes(settings.processes, lambda number: uvloop.run(_serve(data, number, log)), lines.flush).run()


async def _keep_written(snapshot: Snapshot) -> None:
    """What this process counts, for `outgate metrics` and whoever serves it."""
    while True:
        try:
            snapshot.write()
        except OSError as error:
            _log.error("metrics not written", error=str(error))
        await asyncio.sleep(metrics.EVERY)


async def _take_up(data: Path) -> None:
    """What a former run left: leases of all its processes, pieces of messages that never came whole."""
    installation = open_installation(data)
    # On SQLite nobody else can hold or be receiving anything now; on PostgreSQL another node may.
    alone = installation.engine.dialect.name == "sqlite"
    commits = GroupCommit(installation.engine)
    node = _node(installation.config)
    if not alone:
        await claim_name(installation.engine, node)
    owner = "" if alone else node
    queue = Queue(installation.engine, commits, owner, installation.config.delivery.lease)
    await queue.release()
    await queue.sweep(QueueIds().new(clock.now() - (0.0 if alone else UNFINISHED)))
    await commits.close()
    queue.close()
    installation.engine.dispose()


async def _serve(data: Path, number: int, log: EventLog) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    server = ServerProcess(open_installation(data), number, log)
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopping.set)
    loop.add_signal_handler(signal.SIGHUP, server.reload)
    try:
        await server.start()
        _spare_the_collector()
        await stopping.wait()
    finally:
        await server.stop()


def _share(settings: Config) -> DeliverySettings:
    """This process's share of what holds for the whole server."""
    limits = settings.delivery
    return limits.model_copy(
        update={
            "connections_per_queue": max(1, limits.connections_per_queue // settings.processes),
            "in_memory": max(1, limits.in_memory // settings.processes),
        }
    )


def _spare_the_collector() -> None:
    """What lives as long as the server is not looked at again, and the rest less often: messages leave no cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _node(settings: Config) -> str:
    """What the names of this node's processes begin with, in leases and in the list of nodes: the same after a restart,
    so that its own leases are taken up at once.
    """
    return f"{node_id(settings.data)}@"


def _process(settings: Config, number: int) -> str:
    """Ends so that no name of a process is the begin of another's."""
    return f"{_node(settings)}{settings.hostname}#{number};"


@contextmanager
def _alone(settings: Config) -> Iterator[None]:
    """One server for each data directory: two would take each other's leases for their own."""
    with (settings.data / LOCK_FILE).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InstallationError(f"another server is running on {settings.data}; stop it first") from None
        yield
