"""Carries deliveries to an SMTP or LMTP peer over one warm connection, and on to the peer's next host where one can't
take them now.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Final

import structlog

from outgate.deliver.away_addresses import AwayAddresses
from outgate.deliver.connection import Connection, Link, Timeouts, Transferred
from outgate.deliver.credentials import LogIn
from outgate.deliver.delivery import AttemptResult, Delivery
from outgate.deliver.message_preparer import MessagePreparer
from outgate.deliver.outcome import NO_STORE, RECALLED, Outcome, Verdict, last_word, outcomes
from outgate.deliver.tls_policy import SecuredHost
from outgate.deliver.transmission import Transmission, transaction
from outgate.directory.local_mailboxes import LocalMailboxes
from outgate.mail.report_text import Action
from outgate.queue import Recipient
from outgate.route import RouteKind
from outgate.store.engine import StoreUnavailable
from outgate.store.vault import SealBroken
from outgate.transport_security.tls_session import CountSession, sessions, uncounted

_NO_SIGNING_KEY = Outcome(
    Verdict.RETRY, "4.7.5 a stored signing key was changed outside of Outgate; make another: outgate domain dkim set"
)
_CHUNKING: Final = "CHUNKING"

_log = structlog.get_logger("deliver")

Hosts = Callable[[], Awaitable[list[SecuredHost] | Outcome]]


@dataclass(slots=True)
class Progress:
    """One delivery on its way over a peer's hosts: who still waits, and what the last host said by what connection."""

    delivery: Delivery
    left: tuple[Recipient, ...]
    found: dict[int, Outcome] = field(default_factory=dict)  # recipient's number -> outcome, which another may follow
    peer: str = ""
    tls: str = ""
    reply: str = ""
    footer: str = ""
    refreshed: bool = False  # a connection that had grown stale was replaced
    mail_from: str | None = None  # the envelope sender, if it is not the route's

    def note(
        self,
        found: Sequence[Outcome],
        peer: str = "",
        tls: str = "",
        reply: str = "",
        footer: str = "",
        success: Action | None = None,
    ) -> None:
        """What became of those who were left: who must wait is left again."""
        for one, outcome in zip(self.left, found, strict=True):
            self.found[one.number] = outcome.told_by(peer, success)
        self.peer, self.tls, self.reply, self.footer = peer, tls, reply or found[-1].reason, footer
        self.left = tuple([one for one in self.left if self.found[one.number].verdict is Verdict.RETRY])

    @property
    def undelivered(self) -> Delivery:
        """The delivery to those who are left."""
        delivery = self.delivery
        return delivery if self.left is delivery.recipients else replace(delivery, recipients=self.left)

    def all_left(self, outcome: Outcome, peer: str = "") -> None:
        """The same for all who are left."""
        self.note([outcome] * len(self.left), peer)

    def recall(self) -> None:
        """What was not said to be done or refused is to go by another way."""
        for one in self.left:
            self.found[one.number] = RECALLED

    def name_sender(self) -> bool:
        """Whether it is to be tried with the address itself: a user's gateway has refused all that has a null sender.
        Who is refused for another reason is so once more.
        """
        delivery = self.delivery
        by_gateway = delivery.route.kind is RouteKind.USER_GATEWAY and not delivery.route.reverse_path
        if not by_gateway or any(outcome.verdict is not Verdict.FAILED for outcome in self.found.values()):
            return False
        self.mail_from = delivery.item.message.chosen_from
        self.delivery = replace(delivery, route=replace(delivery.route, reverse_path=self.mail_from))
        self.left = delivery.recipients
        return True

    def result(self) -> AttemptResult:
        """In the recipients' order."""
        found = [self.found[one.number] for one in self.delivery.recipients]
        return AttemptResult(found, self.peer, self.tls, self.reply, self.footer, mail_from=self.mail_from)


class SmtpTransport:
    """Connects when the first delivery comes and again when the connection was lost or has grown old."""

    def __init__(
        self,
        link: Link,
        hosts: Hosts,
        timeouts: Timeouts,
        verifying: ssl.SSLContext,
        compliance: MessagePreparer,
        max_age: float,
        mailboxes: LocalMailboxes | None = None,
        log_in: LogIn | None = None,
        count: CountSession = uncounted,
        fallbacks: Sequence[Hosts] = (),
        away: AwayAddresses | None = None,
        discarded: Callable[[str], frozenset[str]] | None = None,
    ) -> None:
        self._link, self._compliance = link, compliance
        self._hosts = (hosts, *fallbacks)  # each is looked up when its turn comes
        self._away = away or AwayAddresses()
        self._discarded = discarded or (lambda _host: link.discarded)  # extensions, by the host's name
        self._timeouts, self._verifying, self._max_age = timeouts, verifying, max_age
        self._together = timeouts.together
        self._mailboxes = mailboxes  # of the organisation, if the peer keeps them
        self._log_in = log_in  # of the link, where it may be renewed
        self._count = count
        self._connection: Connection | None = None
        self._avoided: frozenset[str] = frozenset()  # extensions that the peer offers and does not have
        self._tried: set[str] = set()  # addresses, in this attempt
        self._until = 0.0  # monotonic; after that this attempt asks no further host
        self._are_several = False  # hosts
        self._recalled = False

    def resume(self) -> bool:
        """Whether the warm connection takes one more delivery: its attempt begins."""
        if self._connection is None or not self._connection.fresh(self._max_age):
            return False
        self._until, self._tried = monotonic() + self._together, {self._connection.address}
        return True

    async def connect(self) -> Outcome | None:
        """Keep the warm connection, or open one to the first host that answers."""
        if self.resume():
            return None
        self.close()
        self._until, self._tried = monotonic() + self._together, set()
        self._are_several = len(self._hosts) > 1
        if self._log_in and (fault := await self._log_in.fault()):
            return fault
        return await self._open()

    async def carry(self, delivery: Delivery) -> AttemptResult:
        """One transaction, and one with each further host for those whom the former can't take now."""
        progress = Progress(delivery, delivery.recipients)
        try:
            while await self._hand_over(progress):
                pass
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not self._recalled or task is None:
                raise
            task.uncancel()
            progress.recall()
        finally:
            self._recalled = False
        return progress.result()

    def recall(self) -> bool:
        """Whether the content has not left whole."""
        self._recalled = self._connection is None or not self._connection.content_left
        return self._recalled

    def close(self) -> None:
        """Hang up."""
        if self._connection:
            self._connection.hang_up()
        self._connection = None

    # --- one host ------------------------------------------------------------------------------------------------

    async def _hand_over(self, progress: Progress) -> bool:
        """One transaction for those who are left; whether there is to be another."""
        connection = self._connection
        if connection is None:
            raise AssertionError("connect comes first")
        transmission = await self._prepared(progress.delivery)
        if isinstance(transmission, Outcome):
            progress.all_left(transmission)
            return False
        delivery = await self._addressed(progress.undelivered)
        wanted = transaction(delivery, transmission, connection.capabilities, verified=connection.verified)
        if isinstance(wanted, Outcome):
            progress.all_left(wanted, connection.peer)
            return False
        content = None if wanted.content is not None else transmission.pieces()
        done = await connection.transfer(wanted, content)
        if not await self._once_more(progress, done):
            self._note(progress, done, connection, transmission.footer)
            if done.result and progress.name_sender():
                return await self._is_connected(progress)
            return bool(progress.left) and not done.content_complete and await self._next_host()
        return self._connection is not None

    async def _prepared(self, delivery: Delivery) -> Transmission | Outcome:
        """The message as it leaves; a fault of ours costs no connection."""
        try:
            return await self._compliance.prepare(delivery, self._link.hello)
        except SealBroken:
            return _NO_SIGNING_KEY
        except StoreUnavailable as error:
            _log.error("message can't be read", error=str(error))
            return NO_STORE

    def _note(self, progress: Progress, done: Transferred, connection: Connection, footer: str) -> None:
        if done.result is None:
            assert done.fault is not None  # a transaction that came to its end has a result
            progress.all_left(done.fault, connection.peer)
            return
        logs_in, lmtp = self._link.log_in is not None, self._link.lmtp
        found = outcomes(done.result, len(progress.left), logs_in=logs_in, lmtp=lmtp, broken=done.fault)
        reply = done.fault.reason if done.fault else last_word(done.result)
        progress.note(found, connection.peer, connection.tls, reply, footer, self._success(connection))

    async def _addressed(self, delivery: Delivery) -> Delivery:
        """The delivery with its recipients as the peer is told them."""
        mailboxes = self._mailboxes
        if mailboxes is None:
            return delivery
        recipients = [replace(one, address=await mailboxes.redirected(one.address)) for one in delivery.recipients]
        return replace(delivery, recipients=tuple(recipients))

    def _success(self, connection: Connection) -> Action | None:
        """Who does not know of DSN tells nobody: then we say that we have passed it on (RFC 3461 section 5.2.2)."""
        if connection.capabilities.dsn:
            return None
        return Action.DELIVERED if self._link.lmtp else Action.RELAYED

    # --- once more, and the next one -----------------------------------------------------------------------------

    async def _once_more(self, progress: Progress, done: Transferred) -> bool:
        """Whether the fault was the connection's, not the message's: then there is another one, or nobody to reach.

        What lies between may pass on an offer of CHUNKING too much; a peer may have given up a connection that was
        kept warm.
        """
        no_bdat = done.bdat_unanswered or (done.result is not None and done.result.bdat_refused)
        if no_bdat and _CHUNKING not in self._avoided:
            self._avoided |= {_CHUNKING}
        elif done.stale and not progress.refreshed:
            progress.refreshed = True
        else:
            return False
        self.close()
        await self._is_connected(progress)
        return True

    async def _is_connected(self, progress: Progress) -> bool:
        if failed := await self.connect():
            progress.all_left(failed)
        return failed is None

    async def _next_host(self) -> bool:
        """A connection to the best host that was not tried in this attempt (RFC 5321 section 5.1), if there is one.

        A host that can't take mail now is not kept warm where there are others: the next delivery asks the best first.
        """
        if not self._are_several:
            return False
        self.close()
        await self._open()
        return self._connection is not None

    async def _open(self) -> Outcome | None:
        """A connection to the first host that lets us in, of those not tried in this attempt; else why there is none.
        An address that could not be connected to a moment ago, or kept us waiting and did not let us in, is tried after
        all others.
        """
        failed: list[list[Outcome]] = [[] for _ in self._hosts]
        later: list[tuple[SecuredHost, list[Outcome]]] = []
        for found, why in zip(self._hosts, failed, strict=True):
            hosts = await found()
            if isinstance(hosts, Outcome):
                why.append(hosts)
                continue
            self._are_several |= len(hosts) > 1
            for host in hosts:
                if self._away.has(host.host.address, self._link.port):
                    later.append((host, why))
                elif await self._lets_in(host, why):
                    return None
        for host, why in later:
            if await self._lets_in(host, why):
                return None
        return _told(failed)

    async def _lets_in(self, host: SecuredHost, why: list[Outcome]) -> bool:
        """Whether there is a connection to it; `why` gets the reason if not. Each host has its deadlines; all of them
        together have the time that one may take, so that many that are slow don't hold a message for hours.
        """
        address, port = host.host.address, self._link.port
        if address in self._tried or monotonic() >= self._until:
            return False
        self._tried.add(address)
        began = monotonic()
        failed = await self._connected_to(host)
        if failed and self._log_in and await self._log_in.renew(failed):
            failed = await self._connected_to(host)
        if failed and failed.is_unreached:
            self._away.add(address, port)
        elif failed and monotonic() - began > self._timeouts.connect:
            # Else the same ones would take all the time of each attempt.
            self._away.add(address, port, self._together)
        else:
            self._away.remove(address, port)
        if failed:
            why.append(failed)
        return failed is None

    async def _connected_to(self, to: SecuredHost) -> Outcome | None:
        """None if there is a connection, else why there is none that is secured as it must be."""
        failed: Outcome | None = None
        for tls in (to.tls, *to.weaker):
            link = replace(self._link, tls=tls, tlsa=to.tlsa, discarded=self._discarded(to.host.name))
            connection = Connection(to.host, link, self._timeouts, self._verifying, self._avoided)
            problem = await connection.open()
            if tls is to.tls:  # what is tried after that is not as the domain wants it
                self._tell(to, connection)
            if problem is None:
                self._connection = connection
                return None
            failed = problem
            if not connection.tls_failed:
                break
            if to.demanded_by and not to.weaker:
                failed = replace(failed, reason=f"{failed.reason} ({to.demanded_by} demands it)")
        return failed

    def _tell(self, to: SecuredHost, connection: Connection) -> None:
        """Whoever could not be reached, or did not get as far as TLS, is not told of."""
        fault = connection.tls_fault
        if to.told and (connection.tls or fault):
            addresses = to.host.address, connection.source_address
            for session in sessions(to.told, fault, to.host.name, *addresses):
                self._count(session)


def _told(failed: Sequence[Sequence[Outcome]]) -> Outcome | None:
    """Of hosts none of which let us in, each with what its addresses came to: why. That the credential is refused only
    if each host refuses it: else one that never knew it would suspend a gateway whose other host is away for a moment.
    """
    all_of_them = [one for of_host in failed for one in of_host]
    refusing = next((one for one in all_of_them if one.refuses_credential), None)
    if refusing and all(_refuses(of_host) for of_host in failed if of_host):
        return refusing
    told = next((one for one in all_of_them if not one.refuses_credential), None)
    if refusing and told:
        _log.warning("log-in refused by one of several hosts", reason=refusing.reason, told=told.reason)
    return told


def _refuses(of_host: Sequence[Outcome]) -> bool:
    """Whether a host refuses the credential at each of its addresses that can be connected to."""
    reached = [one for one in of_host if not one.is_unreached]
    return bool(reached) and all(one.refuses_credential for one in reached)
