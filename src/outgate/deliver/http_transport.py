"""Carries deliveries to a provider's interface over HTTPS, one request for each message on a connection kept warm.

The message is as by SMTP but for a Bcc field (mail/blind_copies.py). At least once, as there: the one window for a
duplicate is between the provider's answer and the commit of that outcome. What is too large for one request goes by a
draft, where the gateway's kind has that (draft_upload).
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import structlog

from outgate import clock
from outgate.deliver.api_answer import judged
from outgate.deliver.connection import Timeouts
from outgate.deliver.credentials import CredentialSource, LogIn, NoCredential
from outgate.deliver.delivery import AttemptResult, Delivery, all_alike
from outgate.deliver.draft_upload import ApiRequest, DraftUpload, NotReached, NotTaken, spooled
from outgate.deliver.mail_api import MailApi
from outgate.deliver.message_preparer import MessagePreparer
from outgate.deliver.outcome import NO_STORE, RECALLED, Outcome, Verdict
from outgate.deliver.transmission import Transmission
from outgate.egress.https_client import HTTPS, Fetched
from outgate.egress.https_connection import HttpsConnection, HttpsFault
from outgate.egress.resolver import Host
from outgate.mail.blind_copies import NotAddressable, addressed
from outgate.mail.detached import NotDetachable
from outgate.mail.headers import split_fields, value
from outgate.model import TlsDemand
from outgate.smtp import TokenCredentials
from outgate.store.engine import StoreUnavailable
from outgate.watchdog import step

ApiHosts = Callable[[], Awaitable[list[Host] | Outcome]]

_log = structlog.get_logger("deliver")


@dataclass(slots=True)
class _Content:
    """The pieces of a body, one read ahead so that the last one is known. `has_left`: the peer may have it whole."""

    pieces: AsyncIterator[bytes]
    has_left: bool = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        former: bytes | None = None
        async for piece in self.pieces:
            if former is not None:
                yield former
            former = piece
        self.has_left = True
        if former is not None:
            yield former


class HttpTransport:
    """Connects when the first delivery comes and again when the connection was lost or has grown old."""

    def __init__(
        self,
        api: MailApi,
        port: int,
        hosts: ApiHosts,
        log_in: LogIn,
        timeouts: Timeouts,
        verifying: ssl.SSLContext,
        compliance: MessagePreparer,
        hostname: str,
        max_age: float,
        elsewhere: Callable[[str], Awaitable[list[Host] | Outcome]] | None = None,
    ) -> None:
        """`elsewhere` finds the addresses of another host that the interface names for uploads."""
        self._api, self._port, self._hosts, self._log_in = api, port, hosts, log_in
        self._elsewhere = elsewhere
        self._uploads: HttpsConnection | None = None
        self._timeouts, self._verifying, self._compliance = timeouts, verifying, compliance
        self._hostname, self._max_age = hostname, max_age
        self._connection: HttpsConnection | None = None
        self._connected_at = 0.0
        self._content: _Content | None = None
        self._recalled = False

    def resume(self) -> bool:
        """Whether the warm connection takes one more delivery."""
        now, old_at = asyncio.get_running_loop().time(), self._connected_at + self._max_age
        return self._connection is not None and self._connection.is_usable and now < old_at

    async def connect(self) -> Outcome | None:
        """Keep the warm connection, or open one to the first address that answers."""
        if self.resume():
            return None
        now = asyncio.get_running_loop().time()
        self.close()
        hosts = await self._hosts()
        if isinstance(hosts, Outcome):
            return hosts
        found = await self._first_of(hosts, self._port)
        if isinstance(found, Outcome):
            return found
        self._connection, self._connected_at = found, now
        return None

    async def carry(self, delivery: Delivery) -> AttemptResult:
        """One request, and a second one where the token was worthless. A connection that breaks, even one that lay idle
        and was closed meanwhile, leaves the message to the schedule: who has it whole may have taken it.
        """
        try:
            async with asyncio.timeout(self._timeouts.transaction):
                return await self._carried(delivery)
        except TimeoutError:
            return self._lost(delivery, "it took too long")
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not self._recalled or task is None:
                raise
            task.uncancel()
            return all_alike(delivery, RECALLED)
        finally:
            self._content, self._recalled = None, False

    def recall(self) -> bool:
        """Whether the content has not left whole."""
        self._recalled = self._content is None or not self._content.has_left
        return self._recalled

    def close(self) -> None:
        """Hang up."""
        if self._connection:
            self._connection.hang_up()
        self._connection = None

    # --- one message -------------------------------------------------------------------------------------------------

    async def _carried(self, delivery: Delivery) -> AttemptResult:
        was_renewed = False
        while True:
            transmission = await self._prepared(delivery)
            if isinstance(transmission, Outcome):
                return all_alike(delivery, transmission)
            connection = self._connection
            if connection is None:
                raise AssertionError("connect comes first")
            try:
                outcome = await self._asked(connection, transmission)
            except NoCredential as error:
                return all_alike(delivery, error.outcome)
            except NotReached as error:
                return all_alike(delivery, error.outcome)
            except HttpsFault as error:
                return self._lost(delivery, str(error))
            if was_renewed or not outcome.refuses_credential or not await self._log_in.renew(outcome):
                return self._result(delivery, outcome, connection, transmission)
            was_renewed = True
            if failed := await self.connect():
                return all_alike(delivery, failed)

    async def _prepared(self, delivery: Delivery) -> Transmission | Outcome:
        """The message as it is posted, or why it can't be."""
        if delivery.item.message.tls_demand is TlsDemand.REQUIRED:
            words = f"REQUIRETLS was asked for, and {self._api.title} does not offer it"
            return Outcome(Verdict.FAILED, f"5.7.30 {words}")
        try:
            transmission = await self._compliance.prepare(delivery, self._hostname)
            if isinstance(transmission, Outcome):
                return transmission
            header = addressed(transmission.header, [one.address for one in delivery.recipients])
        except NotAddressable as error:
            return Outcome(Verdict.FAILED, f"5.6.0 {self._api.title} can't deliver this message: {error}")
        except StoreUnavailable as error:
            _log.error("message can't be read", error=str(error))
            return NO_STORE
        size = transmission.size + len(header) - len(transmission.header)
        if size > (largest := max(self._api.largest, self._api.largest_draft)):
            words = f"{self._api.title} takes at most {largest} bytes, and the message has {size}"
            return Outcome(Verdict.FAILED, f"5.3.4 {words}")
        return replace(transmission, header=header, size=size)

    async def _asked(self, connection: HttpsConnection, transmission: Transmission) -> Outcome:
        """Raises NoCredential, HttpsFault, and NotReached."""
        if transmission.size > self._api.largest:
            return await self._by_draft(connection.peer, transmission)
        self._content = _Content(self._api.body(transmission.pieces()))
        size, patience = transmission.size, self._timeouts.content
        answer = await _posted(connection, self._api, self._log_in, size, aiter(self._content), patience)
        self._content = None  # it has its answer: if that is a refusal, nothing of it is under way
        return judged(self._api, answer, connection.peer, size, clock.now())

    async def _by_draft(self, peer: str, transmission: Transmission) -> Outcome:
        upload = DraftUpload(self._ask, self._leave, clock.now)
        try:
            async with spooled(transmission.pieces(), self._api.largest) as (message, raw):
                answer = await upload.hand_over(message, raw, _message_id(transmission.header))
        except NotDetachable as error:
            words = f"{self._api.title} takes at most {self._api.largest} bytes at once, and of this message: {error}"
            return Outcome(Verdict.FAILED, f"5.3.4 {words}")
        except NotTaken as error:
            if error.of_upload and error.answer.status not in _OF_LOAD_OR_SIZE:
                words = f"a part of a file was not taken ({error.answer.status})"
                return Outcome(Verdict.RETRY, f"4.3.0 {peer}: {words}", peer=peer)
            answer = error.answer if error.answer.status != self._api.accepted else replace(error.answer, status=0)
        finally:
            self._content = None
            if self._uploads:
                self._uploads.hang_up()
            self._uploads = None
        return judged(self._api, answer, peer, transmission.size, clock.now())

    def _leave(self) -> None:
        """From now on it can't be called back."""
        self._content = _Content(_nothing(), has_left=True)

    async def _ask(self, request: ApiRequest) -> Fetched:
        """As draft_upload.AsksApi."""
        sent = {"Accept": "application/json", "Content-Type": request.media_type, **(request.headers or {})}
        if request.host:
            connection = await self._elsewhere_connected(request.host, request.port)
        else:
            connection = await self._connected()
            sent["Authorization"] = f"Bearer {await _token(self._log_in)}"
        size, content, patience = len(request.content), _once(request.content), self._timeouts.content
        try:
            answer = await connection.ask(
                request.method, request.target, sent, size, content, patience, request.longest
            )
        except HttpsFault as error:
            if not request.host:
                raise
            raise NotReached(
                _broken(connection.peer, str(error))
            ) from None  # the other connection is as good as it was
        return replace(answer, url=f"https://{connection.peer}")  # the target may be a secret

    async def _connected(self) -> HttpsConnection:
        if failed := await self.connect():
            raise NotReached(failed)
        assert self._connection
        return self._connection

    async def _elsewhere_connected(self, name: str, port: int) -> HttpsConnection:
        """To where an upload session is: a host that the provider names, and the guard lets be."""
        if self._uploads and self._uploads.is_usable and self._uploads.is_to(name, port):
            return self._uploads
        if self._uploads:
            self._uploads.hang_up()
        if self._elsewhere is None or port not in (HTTPS, self._port):
            raise NotReached(Outcome(Verdict.RETRY, f"4.4.1 {name}: uploads at port {port} are not made"))
        hosts = await self._elsewhere(name)
        if isinstance(hosts, Outcome):
            raise NotReached(hosts)
        found = await self._first_of(hosts, port)
        if isinstance(found, Outcome):
            raise NotReached(found)
        self._uploads = found
        return found

    def _result(
        self, delivery: Delivery, outcome: Outcome, connection: HttpsConnection, transmission: Transmission
    ) -> AttemptResult:
        """The envelope's sender is the provider's choice: the account."""
        result = all_alike(delivery, outcome.told_by(connection.peer, outcome.success), connection.peer)
        result.tls, result.footer = connection.tls, transmission.footer
        result.mail_from = delivery.route.gateway.username if delivery.route.gateway else None
        return result

    def _lost(self, delivery: Delivery, words: str) -> AttemptResult:
        peer = self._connection.peer if self._connection else ""
        self.close()
        return all_alike(delivery, _broken(peer, words), peer)

    # --- the connection ----------------------------------------------------------------------------------------------

    async def _first_of(self, hosts: Sequence[Host], port: int) -> HttpsConnection | Outcome:
        """To the first address that answers; else why the first of all did not."""
        problems = list[Outcome]()
        for host in hosts:
            step()
            connection = HttpsConnection(host, port, self._verifying)
            try:
                await connection.connect(self._timeouts.connect)
                await connection.secure(self._timeouts.connect)
            except HttpsFault as error:
                problems.append(_not_connected(connection, error))
            else:
                return connection
        return problems[0]


class HttpTrial:
    """Tries an interface with a token: an empty message, which it can but refuse, and the token is good if that is all
    that it says. The same steps as with an SMTP server (connection.Connection).
    """

    def __init__(
        self, api: MailApi, host: Host, port: int, log_in: CredentialSource, timeouts: Timeouts, context: ssl.SSLContext
    ) -> None:
        self._api, self._log_in, self._timeouts = api, log_in, timeouts
        self._connection = HttpsConnection(host, port, context)

    @property
    def tls(self) -> str:
        """The version of TLS."""
        return self._connection.tls

    async def connect(self, patience: float) -> Outcome | None:
        """As far as TCP, within so many seconds; why not, if so."""
        try:
            await self._connection.connect(patience)
        except HttpsFault as error:
            return _not_connected(self._connection, error)
        return None

    async def establish(self, secured: Callable[[], None]) -> Outcome | None:
        """TLS, which `secured` hears of, and the log-in."""
        try:
            await self._connection.secure(self._timeouts.connect)
            secured()
            answer = await _posted(self._connection, self._api, self._log_in, 0, _nothing(), self._timeouts.reply)
        except HttpsFault as error:
            return _not_connected(self._connection, error)
        except NoCredential as error:
            return error.outcome
        outcome = judged(self._api, answer, self._connection.peer, 0, clock.now())
        return None if outcome.verdict is Verdict.DELIVERED or outcome.status in _OF_NOTHING else outcome

    async def try_sender(self, sender: str) -> Outcome | None:
        """There is no such question."""
        return None

    def hang_up(self) -> None:
        """That is all."""
        self._connection.hang_up()


async def _posted(
    connection: HttpsConnection,
    api: MailApi,
    log_in: CredentialSource,
    size: int,
    content: AsyncIterator[bytes],
    patience: float,
) -> Fetched:
    """Raises NoCredential and HttpsFault."""
    headers = {
        "Authorization": f"Bearer {await _token(log_in)}",
        "Content-Type": api.media_type,
        "Accept": "application/json",
    }
    return await connection.ask("POST", api.target, headers, api.length(size), content, patience)


# The message's fault: it can't be read, its recipients are not valid, or there is no better code for what it is.
_OF_NOTHING: Final = ("5.6.0", "5.1.3", "5.5.0")


_OF_LOAD_OR_SIZE: Final = (413, 429, 503)


async def _token(log_in: CredentialSource) -> str:
    """Raises NoCredential."""
    credentials = await log_in()
    assert isinstance(credentials, TokenCredentials)  # these gateways have no others
    return credentials.token


def _message_id(header: bytes) -> str:
    """As the header has it; empty if it has none that can be read."""
    fields = split_fields(header.removesuffix(b"\r\n") if header.endswith(b"\r\n\r\n") else header)
    return next((value(one).decode(errors="replace") for one in fields if one.name == b"message-id"), "")


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def _nothing() -> AsyncIterator[bytes]:
    yield b""


def _broken(peer: str, words: str) -> Outcome:
    return Outcome(Verdict.RETRY, f"4.4.2 {peer}: connection lost: {words}", peer=peer)


def _not_connected(connection: HttpsConnection, error: HttpsFault) -> Outcome:
    status = "4.7.5" if error.is_of_tls else "4.4.1"
    return Outcome(Verdict.RETRY, f"{status} {connection.peer}: {error}", peer=connection.peer)
