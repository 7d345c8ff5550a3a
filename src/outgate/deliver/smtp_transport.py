"""Carries jobs to an SMTP or LMTP peer over one warm connection."""

import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from outgate.deliver.connection import Connection, Link, Timeouts, TlsPolicy
from outgate.deliver.delivery import AttemptResult, Delivery, all_alike
from outgate.deliver.message_preparer import MessagePreparer
from outgate.deliver.outcome import Outcome, Verdict, last_word, outcomes
from outgate.deliver.transmission import transaction
from outgate.directory.local_mailboxes import LocalMailboxes
from outgate.egress.resolver import Host
from outgate.mail.report_text import Action
from outgate.route import RouteKind
from outgate.store.vault import SealBroken

_NO_SIGNING_KEY = Outcome(
    Verdict.RETRY, "4.7.5 a stored signing key was changed outside of Outgate; make another: outgate domain dkim"
)

Hosts = Callable[[], Awaitable[list[Host] | Outcome]]


class SmtpTransport:
    """Connects when the first job comes and again when the connection was lost or has grown old."""

    def __init__(
        self,
        link: Link,
        hosts: Hosts,
        timeouts: Timeouts,
        verifying: ssl.SSLContext,
        compliance: MessagePreparer,
        max_age: float,
        mailboxes: LocalMailboxes | None = None,
    ) -> None:
        self._link, self._hosts, self._compliance = link, hosts, compliance
        self._timeouts, self._verifying, self._max_age = timeouts, verifying, max_age
        self._mailboxes = mailboxes  # of the organisation, if the peer keeps them
        self._connection: Connection | None = None
        self._avoided: frozenset[str] = frozenset()  # extensions that the peer offers and does not have

    async def connect(self) -> Outcome | None:
        """Keep the warm connection, or open one to the first host that answers."""
        if self._connection and self._connection.fresh(self._max_age):
            return None
        self.close()
        hosts = await self._hosts()
        if isinstance(hosts, Outcome):
            return hosts
        return await self._open(hosts)

    async def carry(self, delivery: Delivery) -> AttemptResult:
        """One transaction."""
        connection = self._connection
        if connection is None:
            raise AssertionError("connect comes first")
        try:
            transmission = await self._compliance.prepare(delivery, self._link.hello)
        except SealBroken:
            return all_alike(delivery, _NO_SIGNING_KEY, connection.peer)
        if isinstance(transmission, Outcome):
            return all_alike(delivery, transmission)
        addressed = await self._addressed(delivery)
        wanted = transaction(addressed, transmission, connection.capabilities)
        if isinstance(wanted, Outcome):
            return all_alike(delivery, wanted, connection.peer)
        content = None if wanted.content is not None else transmission.pieces()
        result = await connection.transfer(wanted, content)
        if isinstance(result, Outcome):
            return all_alike(delivery, result, connection.peer)
        if result.bdat_refused:
            return await self._carry_without("CHUNKING", delivery)
        found = outcomes(result, len(delivery.recipients), logs_in=self._link.log_in is not None)
        if mail_from := _sender_instead_of_none(delivery, found):
            named = replace(delivery, route=replace(delivery.route, reverse_path=mail_from))
            failed = await self.connect()
            result_of_it = all_alike(named, failed) if failed else await self.carry(named)
            return replace(result_of_it, mail_from=mail_from)
        return AttemptResult(
            found,
            connection.peer,
            connection.tls,
            last_word(result),
            transmission.footer,
            success=self._success(connection),
        )

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

    def close(self) -> None:
        """Hang up."""
        if self._connection:
            self._connection.hang_up()
        self._connection = None

    async def _carry_without(self, extension: str, delivery: Delivery) -> AttemptResult:
        """Once more at once, on a connection that does not use it: what lies between may pass on an offer too much."""
        self._avoided |= {extension}
        self.close()
        failed = await self.connect()
        return all_alike(delivery, failed) if failed else await self.carry(delivery)

    async def _open(self, hosts: list[Host]) -> Outcome | None:
        problem: Outcome | None = None
        for host in hosts:
            connection = Connection(host, self._link, self._timeouts, self._verifying, self._avoided)
            failed = await connection.open()
            if failed and connection.tls_failed and self._link.tls is TlsPolicy.OPPORTUNISTIC:
                # RFC 7435: what may go unencrypted must not be held up by a peer's broken TLS.
                plain = replace(self._link, tls=TlsPolicy.PLAIN)
                connection = Connection(host, plain, self._timeouts, self._verifying, self._avoided)
                failed = await connection.open()
            if failed is None:
                self._connection = connection
                return None
            problem = problem or failed
        return problem


def _sender_instead_of_none(delivery: Delivery, found: Sequence[Outcome]) -> str:
    """The address itself, for a user's gateway that takes no null sender: it refused all that it was asked. Whoever is
    refused for another reason is so once more.
    """
    route = delivery.route
    refused = all(outcome.verdict is Verdict.FAILED for outcome in found)
    if route.kind is RouteKind.USER_GATEWAY and not route.reverse_path and refused:
        return delivery.item.message.chosen_from
    return ""
