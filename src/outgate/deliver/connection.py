"""One connection to a peer: the asyncio shell around the SMTP client engine. Opens, hands over, closes.

Fails closed: where TLS is required nothing but EHLO and STARTTLS is said without it, and a credential only ever leaves
through verified TLS. What goes wrong with the peer comes back as an Outcome.
"""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import field, replace
from functools import cache
from typing import Final, TypeVar, cast

from prometheus_client import Counter

from outgate import clock
from outgate.deliver.credentials import CredentialSource, NoCredential
from outgate.deliver.outcome import Outcome, Verdict, text_of
from outgate.deliver.tls_fault import tls_fault
from outgate.deliver.tls_policy import TlsPolicy
from outgate.egress.resolver import Host
from outgate.frozen import frozen
from outgate.smtp import (
    AuthDone,
    AuthNotOffered,
    BodyWanted,
    Capabilities,
    ClientEvent,
    ConnectionLost,
    Greeting,
    HelloDone,
    KeyDerivation,
    ProtocolError,
    Reply,
    SenderDone,
    SmtpClient,
    StartTlsDone,
    Transaction,
    TransactionDone,
    TransactionResult,
)
from outgate.transport_security.tls_session import REASON, ResultType, TlsFault
from outgate.transport_security.tlsa import TlsaSet
from outgate.watchdog import step

_TLS_FAILED = Counter("outgate_delivery_tls_failures", "TLS handshakes with peers that failed, certificates included")

E = TypeVar("E", bound=ClientEvent)

SUBMISSIONS: Final = 465  # the port of TLS from the first byte (RFC 8314)
CLOSING_DOWN: Final = 421
_NOT_OF_CREDENTIAL: Final = frozenset({500, 501, 502, 503, 504, 538})
SILENCE: Final = 10.0  # seconds without a greeting there, after which STARTTLS was the wrong choice


@frozen
class Link:
    """How to get a connection: everything about it but the peer's address."""

    port: int
    tls: TlsPolicy
    hello: str
    log_in: CredentialSource | None = field(default=None, repr=False)
    lmtp: bool = False
    source_address: str | None = None
    unix_path: str | None = None
    discarded: frozenset[str] = frozenset()  # extensions that are not used there, offered or not
    tlsa: TlsaSet | None = None  # what the certificate must fit, with TlsPolicy.DANE


@frozen
class Timeouts:
    """Seconds. They are deadlines: a reply that comes byte by byte does not prolong them."""

    connect: float
    reply: float  # from a command, or the reply before, to its reply
    content: float  # the same for the end of the content
    transaction: float  # for all of one message

    @property
    def together(self) -> float:
        """All that may pass between two steps of a delivery: to connect, or a connection made ready, or a message."""
        return self.connect + self.opening + self.transaction

    @property
    def opening(self) -> float:
        """For all of greeting, TLS and log-in."""
        return 2 * self.reply


@frozen
class Transferred:
    """What came of a transaction. With a `fault` the connection broke and is closed; `result` is what is known then."""

    result: TransactionResult | None
    fault: Outcome | None = None
    content_complete: bool = False  # the peer may have the whole message
    bdat_unanswered: bool = False
    stale: bool = False  # the connection had been used before, and nothing was taken on it this time


class PeerFault(Exception):
    """The connection can't be used any more; `outcome` says why. Stays inside this file.

    `misunderstood`: what the peer said before may be the answer to something else, too.
    """

    def __init__(self, outcome: Outcome, *, misunderstood: bool = False) -> None:
        super().__init__(outcome.reason)
        self.outcome, self.misunderstood = outcome, misunderstood


class Connection(asyncio.Protocol):
    """An open connection, logged in where the link says so, ready for transactions one after the other."""

    def __init__(
        self,
        host: Host,
        link: Link,
        timeouts: Timeouts,
        verifying: ssl.SSLContext,
        avoided: frozenset[str] = frozenset(),
    ) -> None:
        self.peer = f"{host.name}[{host.address}]:{link.port}" if not link.unix_path else link.unix_path
        self.tls = ""
        self.source_address = ""  # where it goes out
        self.verified = False  # the peer is who it is taken for
        self._host, self._link, self._timeouts, self._verifying = host, link, timeouts, verifying
        self._engine = SmtpClient(lmtp=link.lmtp, avoided=link.discarded | avoided)
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._lost: str | None = None
        self._resting = False  # between two transactions
        self._deadline = float("inf")  # of the opening, or of the transaction
        self._handed_over = 0  # transactions that came to their end
        self.tls_failed = False  # what came to nothing did so for want of the TLS that was demanded
        self.tls_fault: TlsFault | None = None  # what was wrong with TLS, whether it was demanded or not
        self.opened_at = self._loop.time()

    @property
    def address(self) -> str:
        """Whom it is connected to."""
        return self._host.address

    @property
    def capabilities(self) -> Capabilities:
        """What the peer offered in its last EHLO reply."""
        return self._engine.capabilities

    @property
    def content_left(self) -> bool:
        """The content of the transaction under way is on the wire whole: it can't be called back."""
        unsent = self._transport.get_write_buffer_size() if self._transport else 0
        return self._engine.content_complete and not unsent

    def fresh(self, max_age: float) -> bool:
        """Whether another transaction may begin: not too old, nothing came unasked, nobody closed."""
        young = self._loop.time() - self.opened_at < max_age
        return young and self._transport is not None and self._lost is None and self._engine.idle

    # --- asyncio.Protocol ----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self._transport = cast(asyncio.Transport, transport)
        own = transport.get_extra_info("sockname")
        self.source_address = str(own[0]) if isinstance(own, tuple) else ""

    def data_received(self, data: bytes) -> None:
        """Replies came. What nobody asked for ends the connection, before it fills the memory."""
        self._engine.receive_data(data)
        if self._transport and (self._resting or self._engine.flooded):
            self._transport.abort()
        self._wake()

    def eof_received(self) -> None:
        """The peer has said its last words; nothing more is sent to it."""
        self._end("connection closed by the peer")

    def connection_lost(self, exc: Exception | None) -> None:
        """The network closed, or both have."""
        self._end(str(exc) if exc else "connection closed by the peer")

    def _end(self, why: str) -> None:
        if self._lost is None:
            self._lost = why
            self._engine.receive_eof()
        self._wake()
        self.resume_writing()

    def pause_writing(self) -> None:
        """The peer takes content slower than it is read from disk."""
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        """Go on with the content."""
        if self._writable and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    def _wake(self) -> None:
        if self._waiting and not self._waiting.done():
            self._waiting.set_result(None)

    # --- opening -------------------------------------------------------------------------------------------------

    async def open(self) -> Outcome | None:
        """Connect and establish. None when it is ready, else why not; then it is closed."""
        return await self.connect(self._timeouts.connect) or await self.establish()

    async def connect(self, within: float) -> Outcome | None:
        """Only connect. None when it is done, else why not, which the user is not told: it would serve to scan."""
        step()
        try:
            async with asyncio.timeout(within):
                await self._connect()
        except TimeoutError:
            words = "timed out while connecting"
        except OSError as error:
            words = f"could not connect: {os.strerror(error.errno) if error.errno else error}"
        except BaseException:
            self.abort()
            raise
        else:
            return None
        self.abort()
        return replace(self._fault(words).outcome, public=unreachable(self._host.name, self._link.port))

    async def establish(self, secured: Callable[[], None] = lambda: None) -> Outcome | None:
        """After `connect`: greet, secure, log in. None when it is ready, else why not; then it is closed.

        `secured` is called when all but the log-in is done.
        """
        step()
        self._deadline = self._loop.time() + self._timeouts.opening
        try:
            await self._greet()
            secured()
            await self._log_in()
        except PeerFault as fault:
            failed = fault.outcome
        except TimeoutError:
            failed = self._fault("timed out in the TLS handshake").outcome
        except OSError as error:
            self.tls_fault = tls_fault(error) if self.tls_failed else None
            failed = self._fault(self._tls_words(error), "4.7.5" if self.tls_failed else "4.4.1").outcome
        except BaseException:
            self.abort()
            raise
        else:
            self.opened_at = self._loop.time()
            self._resting = True
            return None
        self.abort()
        return failed

    async def try_sender(self, address: str) -> Outcome | None:
        """After `establish`: ask whether a message from this address may be begun. None if so, else why not; either way
        nothing is left of it, and the caller hangs up.
        """
        self._resting, self._deadline = False, self._loop.time() + self._timeouts.opening
        try:
            self._engine.try_sender(address)
            done = await self._expect(SenderDone, self._timeouts.reply)
            self._require(done.reply.positive, f"sender refused: {text_of(done.reply)}", "4.7.1")
        except PeerFault as fault:
            return fault.outcome
        except BaseException:
            self.abort()
            raise
        return None

    async def _connect(self) -> None:
        link = self._link
        if link.unix_path:
            await self._loop.create_unix_connection(lambda: self, link.unix_path)
            return
        source = (link.source_address, 0) if link.source_address else None
        await self._loop.create_connection(lambda: self, self._host.address, link.port, local_addr=source)

    async def _greet(self) -> None:
        if self._link.tls is TlsPolicy.IMPLICIT:
            self._require(not self._engine.heard, f"no TLS; {_TALKS_IN_THE_CLEAR}", "4.7.4")
            await self._handshake(self._verifying)
        greeting = await self._greeting()
        self._require(greeting.reply.code == 220, f"greeting: {text_of(greeting.reply)}")
        await self._hello()
        await self._secure()

    async def _greeting(self) -> Greeting:
        """Who waits in silence at the port of implicit TLS waits for our handshake."""
        starttls = self._link.tls is TlsPolicy.STARTTLS
        patience = self._timeouts.reply
        if starttls and self._link.port == SUBMISSIONS:
            patience = min(SILENCE, patience)
        try:
            return await self._expect(Greeting, patience)
        except PeerFault as fault:
            if not starttls or fault.misunderstood or self._lost is not None:
                raise
            raise self._fault(f"no greeting within {patience:g} seconds; {_WANTS_TLS_AT_ONCE}", "4.7.4") from None

    async def _hello(self) -> None:
        self._engine.hello(self._link.hello)
        done = await self._expect(HelloDone, self._timeouts.reply)
        self._require(done.reply.code == 250, f"EHLO: {text_of(done.reply)}")

    async def _secure(self) -> None:
        policy = self._link.tls
        if policy in (TlsPolicy.IMPLICIT, TlsPolicy.PLAIN):
            return
        if not self._engine.capabilities.starttls:
            self._do_without("the peer does not offer STARTTLS, which is required")
            return
        self._engine.starttls()
        done = await self._expect(StartTlsDone, self._timeouts.reply)
        if done.reply.code != 220:
            self._do_without(f"STARTTLS: {text_of(done.reply)}")
            return
        await self._handshake(self._verifying if policy is TlsPolicy.STARTTLS else _unverifying())
        await self._hello()

    def _do_without(self, words: str) -> None:
        """There is no TLS: only where nothing demands it does this go on."""
        self.tls_fault = TlsFault(ResultType.STARTTLS_NOT_SUPPORTED)
        self.tls_failed = self._link.tls is not TlsPolicy.OPPORTUNISTIC
        self._require(not self.tls_failed, words, "4.7.4")

    async def _handshake(self, context: ssl.SSLContext) -> None:
        if self._transport is None:
            raise self._fault("connection lost before TLS")
        self.tls_failed = True  # until the handshake is done
        with _TLS_FAILED.count_exceptions():
            transport = await self._loop.start_tls(
                self._transport,
                self,
                context,
                server_hostname=self._link.tlsa.names[0] if self._link.tlsa else self._host.name,
                ssl_handshake_timeout=self._timeouts.connect,
            )
        self.tls_failed = False
        if transport is None:
            raise self._fault("connection lost in the TLS handshake")
        self._transport = transport
        self._engine.tls_established()
        ssl_object = transport.get_extra_info("ssl_object")
        self.tls = ssl_object.version()
        if self._link.tls is TlsPolicy.DANE:
            self._verify_by_dane(ssl_object)
        if context.verify_mode is ssl.CERT_REQUIRED or self._link.tls is TlsPolicy.DANE:
            self.verified = True

    def _verify_by_dane(self, ssl_object: ssl.SSLObject) -> None:
        if self._link.tlsa is None:
            raise AssertionError("a demand for DANE comes with its records")
        refused = self._link.tlsa.refuses(_chain(ssl_object), clock.now())
        self.tls_failed = refused is not None
        self.tls_fault = TlsFault(ResultType.NOT_TRUSTED, refused[:REASON]) if refused else None
        self._require(refused is None, f"the peer's certificate is not accepted: {refused}", "4.7.5")

    async def _log_in(self) -> None:
        log_in = self._link.log_in
        if log_in is None:
            return
        if self._link.tls not in (TlsPolicy.IMPLICIT, TlsPolicy.STARTTLS):
            raise self._fault("a credential leaves only through verified TLS", "4.7.10")
        try:
            credentials = await log_in()
        except NoCredential as error:
            raise PeerFault(error.outcome) from None
        refusals: list[Reply] = []
        while True:
            try:
                self._engine.auth(credentials)
            except AuthNotOffered:
                raise self._fault(*_log_in_words(refusals)) from None
            done = await self._log_in_done()
            if done.reply.code == 235:
                return
            refusals.append(done.reply)

    async def _log_in_done(self) -> AuthDone:
        event = await self._event(self._timeouts.reply)
        if isinstance(event, KeyDerivation):
            self._engine.derived(await asyncio.to_thread(event.run))
            event = await self._event(self._timeouts.reply)
        if not isinstance(event, AuthDone):
            raise self._unexpected(event)
        return event

    # --- transactions --------------------------------------------------------------------------------------------

    async def transfer(self, transaction: Transaction, content: AsyncIterator[bytes] | None) -> Transferred:
        """Hand one message over. `content` gives the pieces when the transaction does not hold them."""
        step()
        self._resting = False
        self._deadline = self._loop.time() + self._timeouts.transaction
        try:
            self._engine.send(transaction)
            result = await self._transaction(content)
        except PeerFault as fault:
            return self._broken(fault)
        except BaseException:
            self.abort()
            raise
        stale = self._handed_over > 0 and result.mail.code == CLOSING_DOWN
        self._handed_over += 1
        self._resting = True
        if not self._engine.idle:  # more came than was asked for, or a farewell
            self.abort()
        return Transferred(result, stale=stale)

    def _broken(self, fault: PeerFault) -> Transferred:
        """Whom the peer has answered for is not asked again, if the answers can be trusted to be theirs."""
        unanswered = self._engine.bdat_unanswered
        known = self._engine.give_up()
        self.abort()
        result = None if fault.misunderstood else known.result_so_far
        unheard = known.result_so_far is None or known.result_so_far.mail.code == CLOSING_DOWN
        stale = self._handed_over > 0 and unheard
        unanswered = unanswered and not known.farewell and not fault.misunderstood
        return Transferred(result, fault.outcome, known.content_complete, unanswered, stale)

    async def _transaction(self, content: AsyncIterator[bytes] | None) -> TransactionResult:
        while True:
            event = await self._event(self._timeouts.content)
            if isinstance(event, TransactionDone):
                return event.result
            if isinstance(event, BodyWanted) and content is not None:
                await self._stream(content)
            else:
                raise self._unexpected(event)

    async def _stream(self, content: AsyncIterator[bytes]) -> None:
        """Send the pieces, one read ahead so that the last one is known; stops early when the peer went away."""
        ahead: bytes | None = None
        async for piece in content:
            if ahead is not None:
                self._engine.send_body(ahead, last=False)
                await self._drain()
            if self._lost is not None:
                return
            ahead = piece
        self._engine.send_body(ahead or b"", last=True)
        await self._drain()

    async def _drain(self) -> None:
        self._flush()
        if self._writable:
            try:
                async with asyncio.timeout_at(min(self._deadline, self._loop.time() + self._timeouts.content)):
                    await self._writable
            except TimeoutError:
                raise self._fault("timed out while sending the content", "4.4.2") from None

    def hang_up(self) -> None:
        """Say QUIT and close, without waiting for the answer; in the middle of something, close at once."""
        if not self._transport:
            return
        if self._lost is not None or not self._engine.idle:
            self.abort()
            return
        self._resting = False
        self._engine.quit()
        self._flush()
        self._transport.close()
        self._transport = None

    def abort(self) -> None:
        """Close at once."""
        if self._transport:
            self._transport.abort()
        self._transport = None

    # --- events --------------------------------------------------------------------------------------------------

    async def _expect(self, kind: type[E], within: float) -> E:
        event = await self._event(within)
        if not isinstance(event, kind):
            raise self._unexpected(event)
        return event

    async def _event(self, within: float) -> ClientEvent:
        """The engine's next event; for each reply that it needs, the peer has so many seconds."""
        self._flush()
        answered, until = self._engine.answered, self._loop.time() + within
        while (event := self._next_event()) is None:
            self._flush()  # a reply may make the engine go on without an event
            if self._lost is not None:
                raise self._fault(self._lost, "4.4.2")
            if answered != self._engine.answered:
                answered, until = self._engine.answered, self._loop.time() + within
            await self._more(min(until, self._deadline))
        return event

    async def _more(self, until: float) -> None:
        """Wait for bytes, or the end of the connection."""
        self._waiting = self._loop.create_future()
        timer = self._loop.call_at(until, self._time_out, self._waiting)
        try:
            await self._waiting
        finally:
            timer.cancel()

    def _next_event(self) -> ClientEvent | None:
        try:
            return self._engine.next_event()
        except ProtocolError as error:
            fault = self._fault(f"the peer's reply can't be understood: {error}", "4.5.0")
            fault.misunderstood = True
            raise fault from None

    def _time_out(self, waiting: asyncio.Future[None]) -> None:
        if not waiting.done():
            waiting.set_exception(self._fault("timed out waiting for a reply", "4.4.2"))

    def _flush(self) -> None:
        """What is said to a peer that has gone is said to nobody."""
        out = self._engine.data_to_send()
        if out and self._transport and self._lost is None and not self._transport.is_closing():
            self._transport.write(out)

    def _unexpected(self, event: ClientEvent) -> PeerFault:
        if isinstance(event, ConnectionLost):
            words = self._lost or "connection lost"
            if event.farewell:
                words = text_of(event.farewell)
            if event.content_complete:
                words += " (after the whole content was sent: it may have been delivered)"
            return self._fault(words, "4.4.2")
        return self._fault(f"unexpected {type(event).__name__}", "4.5.0")

    def _require(self, fulfilled: bool, words: str, status: str = "4.4.2") -> None:
        if not fulfilled:
            raise self._fault(words, status)

    def _fault(self, words: str, status: str = "4.4.1") -> PeerFault:
        return PeerFault(Outcome(Verdict.RETRY, f"{status} {self.peer}: {words}", peer=self.peer))

    def _tls_words(self, error: OSError) -> str:
        if isinstance(error, ssl.SSLCertVerificationError):
            words = f"the peer's certificate is not accepted: {error.verify_message}"
            return f"{words}; {_AUTHORITY_UNKNOWN}" if error.verify_code in _NO_AUTHORITY else words
        if isinstance(error, ssl.SSLError):
            words = f"TLS failed: {error.reason or error}"
            wrong_kind = self._link.tls is TlsPolicy.IMPLICIT and error.reason in _NOT_TLS
            return f"{words}; {_TALKS_IN_THE_CLEAR}" if wrong_kind else words
        return f"connection lost: {error.strerror or error}"


def _chain(ssl_object: ssl.SSLObject) -> list[bytes]:
    """The certificates that the peer has shown, in DER. (SSLObject itself has this method since Python 3.13 only.)"""
    shown = ssl_object._sslobj.get_unverified_chain() or []  # type: ignore[attr-defined]
    return [ssl.PEM_cert_to_DER_cert(certificate.public_bytes()) for certificate in shown]


def _log_in_words(refusals: Sequence[Reply]) -> tuple[str, str]:
    """Why no mechanism has logged us in, with its status. Only a reply that speaks of the credential refuses it: not
    one that puts us off (RFC 4954 section 6: 454), nor one that does not understand us.
    """
    if not refusals:
        return "the peer offers no log-in that we can use", "4.7.4"
    refused = [one for one in refusals if one.code // 100 == 5 and one.code not in _NOT_OF_CREDENTIAL]
    if refused:
        return f"log-in refused: {text_of(refused[-1])}", "4.7.8"
    if deferred := [one for one in refusals if one.code // 100 == 4]:
        return f"log-in put off: {text_of(deferred[-1])}", "4.7.0"
    return f"log-in failed: {text_of(refusals[-1])}", "4.7.4"


@cache
def _unverifying() -> ssl.SSLContext:
    """For what may go unencrypted: no authority is asked, so none is loaded."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def unreachable(name: str, port: int) -> str:
    """All that a user is told of a host that could not be connected to, whatever the cause."""
    return f"could not connect to {name}:{port}"


_NOT_TLS: Final = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG", "HTTP_REQUEST")
_TALKS_IN_THE_CLEAR: Final = (
    "this port begins in the clear: choose starttls for it (usual at 587), or ssl with another port (usually 465)"
)
# verify(1ssl): no issuer found, self-signed, an authority of their own.
_NO_AUTHORITY: Final = (18, 19, 20, 21)
_AUTHORITY_UNKNOWN: Final = (
    "whoever issued it is not known here: install the package ca-certificates, or name its authority in"
    " delivery.ca_file"
)
_WANTS_TLS_AT_ONCE: Final = (
    "perhaps this port wants TLS from the first byte: choose ssl for it (usual at 465), or starttls with another port"
    " (usually 587)"
)
