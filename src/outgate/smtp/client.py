"""The client's half of SMTP and LMTP, without I/O: actions in, bytes to send, the peer's replies as events.

Knows no message format and no policy: which mechanism of AUTH may be used, and whether TLS must be, is the caller's.
One action at a time; each ends with its event. Within a transaction everything is pipelined that the peer allows: with
PIPELINING and CHUNKING (RFC 2920, 3030) envelope and content leave in one write, and one round trip does it all.
"""

from collections import deque
from collections.abc import Callable

from outgate.smtp.capabilities import Capabilities
from outgate.smtp.client_events import (
    AuthDone,
    BodyWanted,
    ClientEvent,
    CommandDone,
    ConnectionLost,
    Greeting,
    HelloDone,
    StartTlsDone,
    TransactionDone,
)
from outgate.smtp.commands import command_line
from outgate.smtp.content import DotWriter
from outgate.smtp.reply import ProtocolError, Reply, ReplyParser
from outgate.smtp.sasl import (
    CHALLENGES_DUE,
    PASSWORD_MECHANISMS,
    TOKEN_MECHANISMS,
    Exchange,
    PasswordCredentials,
    SaslError,
    TokenCredentials,
    decode,
    encode,
    exchange,
)
from outgate.smtp.transaction import Progress, Transaction

Credentials = PasswordCredentials | TokenCredentials


class AuthNotOffered(Exception):
    """The peer offers no mechanism that can carry these credentials."""


class SmtpClient:
    """One connection's protocol state. Take `next_event` after `receive_data`, send `data_to_send` after everything."""

    def __init__(self, *, lmtp: bool = False) -> None:
        self.capabilities = Capabilities()
        self._lmtp = lmtp
        self._replies = ReplyParser()
        self._out: list[bytes] = []
        self._events: deque[ClientEvent] = deque()
        self._expected: deque[_Taker] = deque([SmtpClient._take_greeting])  # what the next replies answer
        self._progress: Progress | None = None
        self._exchange: Exchange | None = None
        self._challenges_due = 0
        self._dots = DotWriter()
        self._hello_name = ""
        self._must_reset = False
        self._lost = self._told_lost = False
        self._unusable = ""  # why nothing can be said any more
        self._farewell: Reply | None = None

    # --- the trio ------------------------------------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """Nothing is under way, nothing came unasked, the peer is there."""
        under_way = self._expected or self._progress or self._events
        return not (under_way or self._lost or self._unusable or self._replies.buffered)

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the wire."""
        self._replies.feed(data)

    def receive_eof(self) -> None:
        """The peer closed."""
        self._lost = True

    def data_to_send(self) -> bytes:
        """All that is to be sent now, in one piece."""
        out = self._out[0] if len(self._out) == 1 else b"".join(self._out)
        self._out.clear()
        return out

    def next_event(self) -> ClientEvent | None:
        """The next event, None if bytes are missing; raises ProtocolError when the peer can't be understood."""
        while not self._events:
            if self._unusable:
                raise ProtocolError(self._unusable)
            reply = self._replies.next()
            if reply is None:
                return self._lose() if self._lost else None
            self._take(reply)
        return self._events.popleft()

    def _lose(self) -> ClientEvent | None:
        if self._told_lost:
            return None
        self._told_lost = True
        progress, self._progress = self._progress, None
        self._expected.clear()
        if progress is None:
            return ConnectionLost(farewell=self._farewell)
        complete = progress.content_complete and not progress.hopeless
        return ConnectionLost(progress.result(), complete, self._farewell)

    # --- actions -------------------------------------------------------------------------------------------------

    def hello(self, name: str) -> None:
        """EHLO, or LHLO; falls back to HELO where EHLO is unknown."""
        self._hello_name = name
        self._command(f"{'LHLO' if self._lmtp else 'EHLO'} {name}", SmtpClient._take_hello)

    def starttls(self) -> None:
        """STARTTLS."""
        self._command("STARTTLS", SmtpClient._take_starttls)

    def tls_established(self) -> None:
        """What the peer said before is forgotten (RFC 3207 section 4.2)."""
        self.capabilities = Capabilities()
        if self._replies.buffered:
            self._unusable = "something came in the clear behind the reply to STARTTLS"

    def auth(self, credentials: Credentials, mechanism: str | None = None) -> None:
        """Log in by `mechanism`, or by the best one offered. Raises AuthNotOffered."""
        fitting = PASSWORD_MECHANISMS if isinstance(credentials, PasswordCredentials) else TOKEN_MECHANISMS
        chosen = next((name for name in fitting if name in self.capabilities.auth and mechanism in (None, name)), None)
        if chosen is None:
            raise AuthNotOffered
        self._exchange = exchange(chosen, credentials)
        self._challenges_due = CHALLENGES_DUE[chosen]
        try:
            initial = next(self._exchange)
        except SaslError:
            raise AuthNotOffered from None
        # "=" stands for an initial response that is empty (RFC 4954 section 4).
        text = "" if initial is None else f" {(encode(initial) or b'=').decode()}"
        self._command(f"AUTH {chosen}{text}", SmtpClient._take_auth)

    def send(self, transaction: Transaction) -> None:
        """Begin to hand a message over. Raises ValueError for an envelope that no command can carry."""
        if self._progress or self._expected:
            raise RuntimeError("an action is under way")
        progress = self._progress = Progress(transaction, self.capabilities)
        if self._must_reset:
            self._must_reset = False
            self._command("RSET", SmtpClient._take_reset)
        self._say(progress.mail_command, SmtpClient._take_mail)
        if self.capabilities.pipelining:
            self._out += progress.rcpt_commands
            self._expected.extend([SmtpClient._take_rcpt] * len(progress.rcpt_commands))
            if progress.content is not None:
                self._offer(progress)

    def send_body(self, data: bytes, last: bool) -> None:
        """A piece of the content, after BodyWanted. Passed over once the peer has refused the content or is gone."""
        progress = self._progress
        if progress is None or not progress.streaming or progress.chunk_fault:
            return
        progress.streaming = not last
        progress.content_complete = last
        if not self.capabilities.chunking:
            self._send_dotted(data, last)
        elif data or last:
            self._send_chunk(data, last)

    def rset(self) -> None:
        """RSET."""
        self._must_reset = False
        self._command("RSET", _done("RSET"))

    def noop(self) -> None:
        """NOOP."""
        self._command("NOOP", _done("NOOP"))

    def quit(self) -> None:
        """QUIT."""
        self._command("QUIT", _done("QUIT"))

    # --- sending -------------------------------------------------------------------------------------------------

    def _command(self, text: str, taker: "_Taker") -> None:
        self._say(command_line(text), taker)

    def _say(self, line: bytes, taker: "_Taker") -> None:
        self._out.append(line)
        self._expected.append(taker)

    def _offer(self, progress: Progress) -> None:
        """Offer the content: by DATA, or by a BDAT that brings all of it, or by asking the application for pieces."""
        progress.offered = True
        if not self.capabilities.chunking:
            self._say(b"DATA\r\n", SmtpClient._take_data)
        elif progress.content is not None:
            progress.content_complete = True
            self._send_chunk(progress.content, last=True)
        else:
            self._want(progress)

    def _want(self, progress: Progress) -> None:
        progress.streaming = True
        self._events.append(BodyWanted())

    def _send_chunk(self, data: bytes, last: bool) -> None:
        self._say(
            b"BDAT %d%b\r\n" % (len(data), b" LAST" if last else b""), self._final() if last else SmtpClient._take_chunk
        )
        self._out.append(data)

    def _send_dotted(self, data: bytes, last: bool) -> None:
        self._out.append(self._dots.feed(data))
        if last:
            self._say(self._dots.end(), self._final())
            self._dots = DotWriter()

    def _final(self) -> "_Taker":
        return SmtpClient._take_lmtp_final if self._lmtp else SmtpClient._take_final

    # --- replies -------------------------------------------------------------------------------------------------

    def _take(self, reply: Reply) -> None:
        if reply.code == 421:
            self._farewell = reply
        if not self._expected:
            self._take_unasked(reply)
            return
        self._expected.popleft()(self, reply)
        if self._progress and not self._expected:
            self._go_on(self._progress)

    def _take_unasked(self, reply: Reply) -> None:
        """A farewell; or a refusal in the middle of DATA, which can't be left then. Nothing else makes sense."""
        progress = self._progress
        if reply.code == 421:
            self._lost = True
        elif progress and progress.streaming and (reply.transient or reply.permanent):
            self._unusable = "the peer refused the content before its end"
            progress.final.append(reply)
            self._finish(progress)
        else:
            raise ProtocolError("a reply that nothing was asked for")

    def _take_greeting(self, reply: Reply) -> None:
        self._events.append(Greeting(reply))

    def _take_hello(self, reply: Reply) -> None:
        if reply.code in (500, 502) and not self._lmtp:
            self._command(f"HELO {self._hello_name}", SmtpClient._take_helo)
            return
        self.capabilities = Capabilities.parse(reply.lines[1:] if reply.positive else ())
        self._events.append(HelloDone(reply))

    def _take_helo(self, reply: Reply) -> None:
        self.capabilities = Capabilities()
        self._events.append(HelloDone(reply))

    def _take_starttls(self, reply: Reply) -> None:
        if reply.positive and self._replies.buffered:
            raise ProtocolError("something follows the reply to STARTTLS in the clear")
        self._events.append(StartTlsDone(reply))

    def _take_auth(self, reply: Reply) -> None:
        if not reply.intermediate or self._exchange is None:
            self._end_auth(reply)
            return
        try:
            answer = self._exchange.send(decode(reply.lines[0].strip().encode())) or b""
        except (SaslError, StopIteration):
            self._exchange = None
            self._command("*", SmtpClient._take_auth)  # cancelled (RFC 4954 section 4); the reply is the end
        else:
            self._challenges_due -= 1
            self._command(encode(answer).decode(), SmtpClient._take_auth)

    def _end_auth(self, reply: Reply) -> None:
        self._exchange, unproved = None, self._challenges_due > 0
        if reply.positive and unproved:
            raise ProtocolError("the peer ended the log-in before its proof")
        self._events.append(AuthDone(reply))

    # --- replies within a transaction ----------------------------------------------------------------------------

    def _take_reset(self, reply: Reply) -> None:
        """RSET can't fail; MAIL will tell."""

    def _take_mail(self, reply: Reply) -> None:
        progress = self._under_way()
        progress.mail = reply
        if reply.positive:
            self._next_rcpt(progress)

    def _take_rcpt(self, reply: Reply) -> None:
        progress = self._under_way()
        progress.add_recipient(reply)
        self._next_rcpt(progress)

    def _next_rcpt(self, progress: Progress) -> None:
        """Without PIPELINING: one command at a time."""
        number = len(progress.recipients)
        if not self.capabilities.pipelining and number < len(progress.rcpt_commands):
            self._say(progress.rcpt_commands[number], SmtpClient._take_rcpt)

    def _take_data(self, reply: Reply) -> None:
        """354: content may come, unless nobody will get it: then an empty one ends it (RFC 2920 section 3.1)."""
        progress = self._under_way()
        if reply.code != 354:
            progress.final.append(reply)
        elif not progress.accepted:
            self._say(b".\r\n", SmtpClient._take_final)
        elif progress.content is not None:
            progress.content_complete = True
            self._send_dotted(progress.content, last=True)
        else:
            self._want(progress)

    def _take_chunk(self, reply: Reply) -> None:
        progress = self._under_way()
        if not reply.positive and progress.chunk_fault is None:
            progress.chunk_fault = reply
            progress.final.append(reply)
            progress.streaming = False

    def _take_final(self, reply: Reply) -> None:
        progress = self._under_way()
        if progress.chunk_fault is None:
            progress.final.append(reply)

    def _take_lmtp_final(self, reply: Reply) -> None:
        """One reply for each recipient that was accepted (RFC 2033 section 4.2)."""
        progress = self._under_way()
        if progress.chunk_fault is None:
            progress.final.append(reply)
            if len(progress.final) < progress.accepted:
                self._expected.appendleft(SmtpClient._take_lmtp_final)

    def _under_way(self) -> Progress:
        if self._progress is None:
            raise RuntimeError("no transaction is under way")
        return self._progress

    def _go_on(self, progress: Progress) -> None:
        """All that was sent is answered: offer the content now, or wait for more of it, or be done."""
        if progress.accepted and not progress.offered:
            self._offer(progress)
        elif not progress.streaming:
            self._finish(progress)

    def _finish(self, progress: Progress) -> None:
        self._progress = None
        result = progress.result()
        if result is None:
            raise RuntimeError("the transaction had no reply to MAIL")
        # RFC 5321 section 4.1.1.5: RSET for whatever may be left of a transaction that did not end well.
        self._must_reset = not (result.final and all(reply.positive for reply in result.final))
        self._events.append(TransactionDone(result))


_Taker = Callable[[SmtpClient, Reply], None]


def _done(command: str) -> _Taker:
    return lambda client, reply: client._events.append(CommandDone(command, reply))
