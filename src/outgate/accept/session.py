"""One submission session: the asyncio shell around the SMTP server engine, and the answers to its questions.

The engine knows the protocol; this file knows accounts and the queue; neither knows how messages leave.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from typing import cast

import structlog
from prometheus_client import Counter

from outgate import clock
from outgate.accept.authenticator import TOO_MANY, WRONG, LoggedIn
from outgate.accept.incoming import IncomingMessage
from outgate.accept.session_services import SessionServices
from outgate.accept.throttle import LogInAttempt
from outgate.authorise import authorise_envelope
from outgate.mail.addresses import AddressError, canonical, is_role
from outgate.mail.header_check import CheckedHeader
from outgate.model import Account
from outgate.queue.queue_id import to_text
from outgate.smtp import (
    Closed,
    Mail,
    MailParams,
    MessageAborted,
    MessageData,
    MessageEnded,
    MessageStarted,
    PasswordOffered,
    Rcpt,
    Reply,
    ScramAbandoned,
    ScramFailed,
    ScramProved,
    ScramStarted,
    ServerEvent,
    SessionLimits,
    SmtpServer,
    StartTls,
    Tls,
    TokenOffered,
)
from outgate.store.engine import StoreUnavailable
from outgate.submit import Content, Envelope, EnvelopeRecipient, Refusal, RefusalReason, Submission
from outgate.submit.decision import too_large
from outgate.tcp_listener import HANDSHAKE_SECONDS

NOT_STORED = Refusal(RefusalReason.UNAVAILABLE, 451, "4.3.1", "Can't store the message now; try again later")
INTERNAL_FAULT = Reply(451, "4.3.0", ("Local error; try again later",))
TIMED_OUT = Reply(421, "4.4.2", ("Timed out; closing the connection",))
STOPPING = Reply(421, "4.3.2", ("The server is stopping; try again later",))
WENT_AWAY = Reply(421, "4.4.2", ("The connection is lost",))  # nobody hears it
TOKEN_EXPIRED = Reply(421, "4.7.0", ("The access token has expired; connect and log in again",))
GONE = Reply(421, "4.7.0", ("The account is no longer there",))
REVOKED = Reply(421, "4.7.0", ("The application password was revoked",))
RECORDED_REFUSALS = 20  # of MAIL and RCPT, for each message of a session
CLOSE_SECONDS = 10.0  # in which a client that is told to go reads what it was told

_TLS_FAILED = Counter("outgate_submission_tls_failures", "STARTTLS handshakes with mail programs that failed")

_log = structlog.get_logger("accept")


class Session(asyncio.Protocol):
    """Drives one connection. Only one question is open at a time; while it is, the engine reads no further.

    Nothing is read either while the client does not read what was said: so neither what comes nor what goes gathers.
    `lost` is done when the connection is no more.
    """

    needs_log_in = True

    def __init__(self, services: SessionServices, peer: str, *, implicit_tls: bool) -> None:
        self._services = services
        self._loop = asyncio.get_running_loop()
        self._engine = self._made_engine(Tls.ACTIVE if implicit_tls else Tls.AVAILABLE)
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self.lost: asyncio.Future[None] = self._loop.create_future()
        self._reading = True
        self._writable = True
        self._handshaking = False
        self._early = b""
        self._stopping = False
        self._peer = peer
        self._attempt: LogInAttempt | None = None  # the SCRAM exchange under way
        self._who: LoggedIn | None = None
        self._mail: Mail | None = None
        self._recipients: list[EnvelopeRecipient] = []
        self._incoming: IncomingMessage | None = None
        self._recorded = 0  # refusals of envelopes since the last message
        self._began = self._last_heard = self._last_message = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None

    def _made_engine(self, tls: Tls) -> SmtpServer:
        """Whom it talks to."""
        services, settings = self._services, self._services.config.submission
        return SmtpServer(
            services.config.hostname,
            max_size=settings.max_message_bytes,
            tls=tls,
            limits=SessionLimits(max_recipients=settings.max_recipients, max_line=settings.max_line_bytes),
            scram_secret=services.scram_secret,
            scram_iterations=services.config.log_in.scram_iterations,
            token_issuer=services.token_issuer,
            max_hold=_max_hold(settings.max_hold),
        )

    # --- asyncio.Protocol ----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there (after the handshake, with implicit TLS)."""
        self._transport = cast(asyncio.Transport, transport)
        self._watch()
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Bytes came; they wait in the engine while a question is open."""
        self._last_heard = self._loop.time()
        if self._handshaking:
            # A client may send its first command along with the end of its handshake: it came by TLS, and is given to
            # the engine when that knows of TLS. What came in the clear is with the engine already.
            self._early += data
            return
        self._engine.receive_data(data)
        if self._task is None and self._writable:
            self._advance()
        elif self._reading:
            self._pause_reading()

    def pause_writing(self) -> None:
        """The client does not read: what it says next must wait until it does."""
        self._writable = False
        if self._reading:
            self._pause_reading()

    def resume_writing(self) -> None:
        """The client reads again."""
        self._writable = True
        self._go_on()

    def eof_received(self) -> None:
        """The client sends no more; the transport closes."""
        self._engine.receive_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone: a message that had not come whole is forgotten.

        The transport says so, or whoever finds that it never will.
        """
        if self.lost.done():
            return
        self.lost.set_result(None)
        if self._timer:
            self._timer.cancel()
        self._transport = None
        self._engine.receive_eof()
        if self._task is None:
            self._advance()
            self._fail_attempt()

    def abort(self) -> None:
        """End the connection without a word."""
        if self._transport:
            self._transport.abort()

    def stop(self) -> asyncio.Task[None] | None:
        """Say 421 and close. If an answer is being looked for, such as while a message is stored, it is given first;
        its task is returned.
        """
        self._stopping = True
        if self._task is None:
            self._engine.shut_down(STOPPING)
            self._flush()
        return self._task

    # --- the loop ------------------------------------------------------------------------------------------------

    def _advance(self) -> None:
        while self._task is None and (event := self._engine.next_event()) is not None:
            self._handle(event)
        self._flush()

    def _go_on(self) -> None:
        """Work on what has come meanwhile, and read on when that is done."""
        if self._task is None and self._writable:
            self._advance()
        if self._task is None and self._writable and not self._reading and self._transport:
            self._reading = True
            self._transport.resume_reading()

    def _pause_reading(self) -> None:
        if self._transport and not self._transport.is_closing():
            self._reading = False
            self._transport.pause_reading()

    def _flush(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if out := self._engine.data_to_send():
            self._transport.write(out)
        if self._engine.closing and self._task is None:
            self._close(self._transport)

    def _close(self, transport: asyncio.Transport) -> None:
        """The transport waits until all is sent, and would for a client that does not read: not for long."""
        transport.close()
        if self._timer:
            self._timer.cancel()
        self._timer = self._loop.call_later(CLOSE_SECONDS, transport.abort)

    def _handle(self, event: ServerEvent) -> None:
        match event:
            case MessageData(data):
                if self._incoming and self._incoming.feed(data):
                    self._answer_later(self._spill(self._incoming))
            case Mail():
                self._on_mail(event)
            case Rcpt():
                self._on_rcpt(event)
            case MessageStarted():
                self._on_message_started()
            case MessageEnded():
                self._answer_later(self._on_message_ended(event))
            case MessageAborted():
                self._forget_message()
            case StartTls():
                self._answer_later(self._start_tls())
            case PasswordOffered() | TokenOffered() | ScramStarted() | ScramProved():
                self._answer_later(self._log_in(event))
            case ScramFailed() | ScramAbandoned():
                self._fail_attempt()
            case Closed():
                pass

    def _answer_later(self, answer: Coroutine[None, None, None]) -> None:
        self._task = self._loop.create_task(self._run(answer))

    async def _run(self, answer: Coroutine[None, None, None]) -> None:
        """Let the answer be found; whatever goes wrong, the client hears of it and nothing is acknowledged."""
        try:
            await answer
        except StoreUnavailable as error:
            _log.error("storage failed", error=str(error))
            self._refuse(_reply(NOT_STORED))
        except LoggedOut as out:
            self._engine.shut_down(out.reply)
        except Exception:
            _log.exception("session failed", peer=self._peer)
            self._refuse(INTERNAL_FAULT)
        self._task = None
        if self._transport is None:
            self._engine.shut_down(WENT_AWAY)  # what came behind the question is not looked at any more
            self._advance()
            self._fail_attempt()
            return
        if self._stopping:
            self._flush()
            self._engine.shut_down(STOPPING)
            self._advance()
        self._go_on()

    def _refuse_envelope(self, reply: Reply, recipient: str = "", *, sender: str | None = None) -> None:
        """Say no to MAIL or RCPT, and put that on record: a few times for each message, whoever tries on and on."""
        self._engine.reject(reply)
        if self._recorded >= RECORDED_REFUSALS or self._who is None:
            return
        self._recorded += 1
        reverse_path = sender if sender is not None else self._mail.reverse_path if self._mail else ""
        envelope = Envelope(
            reverse_path, [EnvelopeRecipient(recipient)] if recipient else [], protocol="ESMTPSA", peer=self._peer
        )
        text = " ".join(part for part in (str(reply.code), reply.enhanced, *reply.lines) if part)
        self._services.spawn(_try_to(self._record_refusal(self._who.account_id, envelope, text)))

    async def _record_refusal(self, account_id: int, envelope: Envelope, reply: str) -> None:
        services, at = self._services, clock.now()
        if account := await services.directory.account(account_id):
            await services.submitter.refuse_envelope(services.queue_ids.new(at), at, account, envelope, reply)

    def _refuse(self, reply: Reply) -> None:
        if self._engine.paused:
            self._engine.reject(reply)

    # --- the questions -------------------------------------------------------------------------------------------

    def _on_mail(self, event: Mail) -> None:
        if self._who and clock.now() >= self._who.valid_until:
            self._engine.shut_down(TOKEN_EXPIRED)  # a second AUTH is not allowed in a session (RFC 4954 section 4)
            return
        try:
            address = canonical(event.reverse_path) if event.reverse_path else ""
        except AddressError as error:
            self._refuse_envelope(Reply(553, "5.1.7", (f"MAIL FROM: {error}",)), sender=event.reverse_path)
            return
        if fault := self._hold_fault(event.params):
            self._refuse_envelope(Reply(501, "5.5.4", (fault,)), sender=event.reverse_path)
            return
        self._mail, self._recipients = event, []
        account = self._cached_account()
        if account and _mail_refusal(account, address, event) is None:
            self._engine.accept()  # once more with a fresh account when the message has come
        else:
            self._answer_later(self._check_mail(address, event))

    def _hold_fault(self, params: MailParams) -> str | None:
        """Why a message may not be held back as it is asked for (RFC 4865 section 4)."""
        if params.hold_for is not None and params.hold_until is not None:
            return "HOLDFOR and HOLDUNTIL exclude each other"
        most, until = self._services.config.submission.max_hold, _hold_until(params)
        if until is not None and until > clock.now() + most:
            return f"The message may be held back for {most} seconds at most"
        return None

    async def _check_mail(self, address: str, event: Mail) -> None:
        if refusal := _mail_refusal(await self._account(), address, event):
            self._refuse_envelope(refusal, sender=address)
        else:
            self._engine.accept()

    def _on_rcpt(self, event: Rcpt) -> None:
        if event.address.lower() == "postmaster":  # RFC 5321 section 4.5.1
            event = replace(event, address=self._services.directory.postmaster)
        try:
            address = canonical(event.address)
        except AddressError as error:
            self._refuse_envelope(Reply(553, "5.1.3", (str(error),)), event.address)
            return
        if self._services.config.local.mailbox == "maildir" and self._services.directory.is_own_domain(
            address.rpartition("@")[2]
        ):
            self._answer_later(self._check_mailbox(event, address))
        else:
            self._take_recipient(event)

    async def _check_mailbox(self, event: Rcpt, address: str) -> None:
        if not is_role(address) and await self._services.directory.mailbox(address) is None:
            self._refuse_envelope(Reply(550, "5.1.1", (f"<{event.address}>: no such mailbox here",)), event.address)
        else:
            self._take_recipient(event)

    def _take_recipient(self, event: Rcpt) -> None:
        self._recipients.append(EnvelopeRecipient(event.address, event.params.notify, event.params.orcpt))
        self._engine.accept()

    def _on_message_started(self) -> None:
        self._incoming = self._new_incoming()
        self._engine.accept()

    def _new_incoming(self) -> IncomingMessage:
        if self._who is None:
            raise AssertionError("the engine takes no message without a log-in")
        services = self._services
        identity = services.queue_ids.new(clock.now())
        return IncomingMessage(services.queue, identity, self._who.account_id, services.unfinished)

    async def _spill(self, incoming: IncomingMessage) -> None:
        try:
            await incoming.spill()
        except StoreUnavailable as error:
            _log.error("storage failed", error=str(error))
            incoming.fail(NOT_STORED)

    async def _on_message_ended(self, event: MessageEnded) -> None:
        self._last_message, self._recorded = self._loop.time(), 0
        incoming, self._incoming = self._incoming, None
        if incoming is None or self._mail is None:
            raise AssertionError("the engine ends only messages that it began")
        try:
            refusal = await self._store(incoming, event, self._mail)
        except StoreUnavailable:
            incoming.leave()  # its pieces stay: a commit that nobody knows of may yet make them a message
            raise
        incoming.leave()
        if refusal:
            await _try_to(incoming.discard())
            self._engine.reject(_reply(refusal))
        else:
            self._engine.accept(Reply(250, "2.0.0", (f"Ok: queued as {to_text(incoming.identity)}",)))

    async def _store(self, incoming: IncomingMessage, event: MessageEnded, mail: Mail) -> Refusal | None:
        """Have a message that has come whole decided about, and made durable if it is taken."""
        message = incoming.end(size=event.size, eight_bit=event.eight_bit)
        if isinstance(message, Refusal):
            return message
        who = await self._still_logged_in()
        return await self._submit(who.account_id, incoming.identity, *message, mail)

    async def _submit(
        self, account_id: int, identity: int, header: CheckedHeader, content: Content, mail: Mail
    ) -> Refusal | None:
        version, account, organisation = await self._services.directory.reading(account_id)
        if account is None:
            raise LoggedOut(GONE)
        submission = Submission(identity, clock.now(), account, self._envelope(mail), header, content, version)
        outcome = await self._services.submitter.submit(submission, organisation)
        return outcome if isinstance(outcome, Refusal) else None

    def _envelope(self, mail: Mail) -> Envelope:
        return Envelope(
            mail.reverse_path,
            self._recipients,
            protocol=self._protocol(mail),
            peer=self._peer,
            smtputf8=mail.params.smtputf8,
            envid=mail.params.envid,
            ret=mail.params.ret,
            hold_until=_hold_until(mail.params),
            require_tls=mail.params.require_tls,
        )

    def _protocol(self, mail: Mail) -> str:
        """RFC 3848, RFC 6531 section 4.3."""
        return "UTF8SMTPSA" if mail.params.smtputf8 else "ESMTPSA"

    async def _start_tls(self) -> None:
        if self._transport is None:
            return
        before, context = self._transport, self._services.certificate.context
        before.write(self._engine.data_to_send())
        self._handshaking = True
        try:
            self._transport = await self._loop.start_tls(
                before, self, context, server_side=True, ssl_handshake_timeout=HANDSHAKE_SECONDS
            )
        except Exception as error:
            # Neither uvloop nor asyncio tells the protocol that is left without a transport.
            before.abort()
            self.connection_lost(error)
            if not isinstance(error, OSError):
                raise
            _TLS_FAILED.inc()
            _log.info("TLS handshake failed", peer=self._peer, error=str(error))
            return
        finally:
            self._handshaking = False
        self._reading = self._writable = True
        self._engine.tls_established()
        self._engine.receive_data(self._early)
        self._early = b""

    async def _log_in(self, event: PasswordOffered | TokenOffered | ScramStarted | ScramProved) -> None:
        services = self._services.log_in
        if isinstance(event, ScramStarted):
            await self._begin_scram(event)
            return
        if isinstance(event, TokenOffered):
            outcome = await services.token(event.username, event.token, self._peer)
        elif isinstance(event, ScramProved):
            attempt, self._attempt = self._attempt, None
            outcome = await services.proved(attempt) if attempt else WRONG
        elif event.authzid and event.authzid != event.username:
            outcome = WRONG  # nobody may act for somebody else (RFC 4616 section 2)
        else:
            outcome = await services.password(event.username, event.password, self._peer)
        if isinstance(outcome, Reply):
            self._engine.reject(outcome)
        else:
            self._who = outcome
            self._engine.accept()

    async def _begin_scram(self, event: ScramStarted) -> None:
        """An exchange counts from its begin: who has seen the salt may guess elsewhere, and was one of many at once."""
        services = self._services.log_in
        self._fail_attempt()
        verifier = await services.verifier(event.username)
        self._attempt = await services.attempt(event.username, self._peer)
        if self._attempt is None:
            self._engine.reject(TOO_MANY)
        else:
            self._engine.scram(verifier, self._attempt.account)

    def _fail_attempt(self) -> None:
        attempt, self._attempt = self._attempt, None
        if attempt:
            self._services.log_in.failed(attempt)

    async def _account(self) -> Account:
        account = await self._services.directory.account((await self._still_logged_in()).account_id)
        if account is None:
            raise LoggedOut(GONE)
        return account

    def _cached_account(self) -> Account | None:
        """The account as last read, unless more must be asked than what it says."""
        who = self._who
        if who is None or who.application_password is not None:
            return None
        return self._services.directory.cached_account(who.account_id)

    async def _still_logged_in(self) -> LoggedIn:
        if self._who is None or not await self._services.log_in.stands(self._who):
            raise LoggedOut(REVOKED)
        return self._who

    # --- ends ----------------------------------------------------------------------------------------------------

    def _forget_message(self) -> None:
        incoming, self._incoming = self._incoming, None
        if incoming:
            self._services.spawn(_try_to(incoming.discard()))

    def _watch(self) -> None:
        """Close a session that is silent for too long, that nobody logs in to, or that goes on without a message."""
        now, over_at = self._loop.time(), self._over_at()
        if self._task is None and now >= over_at:
            self._engine.shut_down(TIMED_OUT)
            self._flush()
        else:
            self._timer = self._loop.call_later(max(over_at - now, 1.0), self._watch)

    def _over_at(self) -> float:
        settings = self._services.config.submission
        ends = [self._last_heard + settings.command_timeout, self._last_message + settings.session_timeout]
        if self._who is None and self.needs_log_in:
            ends.append(self._began + settings.log_in_timeout)
        return min(ends)


class LoggedOut(Exception):
    """What the log-in rests on has gone while the session was open; `reply` closes it."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        super().__init__(str(reply))


def _reply(refusal: Refusal) -> Reply:
    return Reply(refusal.code, refusal.status, (refusal.text,))


async def _try_to(discard: Coroutine[None, None, None]) -> None:
    """Pieces that can't be removed now are swept later."""
    try:
        await discard
    except StoreUnavailable as error:
        _log.error("storage failed", error=str(error))


def _max_hold(seconds: int) -> str:
    """The words behind FUTURERELEASE (RFC 4865 section 3); a session is short beside what is held back."""
    if not seconds:
        return ""
    return f"{seconds} {datetime.fromtimestamp(clock.now() + seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _mail_refusal(account: Account, address: str, mail: Mail) -> Reply | None:
    """Why an account may not send a message as this, of the size that the client says, if it may not."""
    if refused := authorise_envelope(account, address):
        return Reply(550, "5.7.1", (refused.reason,))
    refusal = too_large(account.policy, mail.params.size or 0)
    return _reply(refusal) if refusal else None


def _hold_until(params: MailParams) -> float | None:
    """When the message may leave; None if at once."""
    now = clock.now()
    until = params.hold_until if params.hold_for is None else now + params.hold_for
    return until if until is not None and until > now else None
