"""The server's half of SMTP (RFC 5321, 6409), without I/O: bytes in, events out, replies to send.

Knows no account, no message and no clock. A question to the application pauses it: nothing is read behind an
unanswered question, which makes pipelining safe with answers that take their time.
"""

import re
from collections import deque
from collections.abc import Callable
from enum import StrEnum

from outgate.smtp.authentication import Authentication, Step
from outgate.smtp.commands import BadArgument, mail_argument, rcpt_argument
from outgate.smtp.content import ContentCheck, DotReader
from outgate.smtp.limits import SessionLimits
from outgate.smtp.lines import TOO_LONG, Inbound
from outgate.smtp.oauth import OAUTH_MECHANISMS, TokenIssuer
from outgate.smtp.reply import Reply
from outgate.smtp.sasl import SaslError, ScramVerifier, decode, encode, fake_verifier
from outgate.smtp.server_events import (
    QUESTIONS,
    Closed,
    Mail,
    MessageAborted,
    MessageData,
    MessageEnded,
    MessageStarted,
    PasswordOffered,
    Question,
    Rcpt,
    ScramFailed,
    ScramProved,
    ScramStarted,
    ServerEvent,
    StartTls,
    TokenOffered,
)


class Tls(StrEnum):
    """Whether TLS is in force, or could be."""

    NONE = "none"
    AVAILABLE = "available"
    ACTIVE = "active"


class _State(StrEnum):
    """How far the session is; decides which commands are in order."""

    START = "start"
    HELLO = "hello"
    MAIL = "mail"
    RCPT = "rcpt"
    BDAT = "bdat"


_OK = Reply(250, "2.0.0", ("Ok",))
_SENDER_OK = Reply(250, "2.1.0", ("Ok",))
_RECIPIENT_OK = Reply(250, "2.1.5", ("Ok",))
_GO_ON = Reply(354, "", ("Start mail input; end with <CRLF>.<CRLF>",))
_LOGGED_IN = Reply(235, "2.7.0", ("Authentication successful",))
_OUT_OF_ORDER = Reply(503, "5.5.1", ("Bad sequence of commands",))
_NO_RECIPIENTS = Reply(503, "5.5.1", ("No valid recipients",))
_ALL_REFUSED = Reply(554, "5.5.1", ("No valid recipients",))
_SYNTAX = Reply(501, "5.5.4", ("Syntax error in arguments",))
_UNKNOWN = Reply(500, "5.5.1", ("Command not recognised",))
_NOT_UTF8 = Reply(501, "5.5.2", ("A command must be valid UTF-8",))
_LOG_IN_FIRST = Reply(530, "5.7.0", ("Authentication required",))
_TLS_FIRST = Reply(530, "5.7.0", ("Must issue a STARTTLS command first",))
_WRONG = Reply(535, "5.7.8", ("Authentication credentials invalid",))
_TOO_MANY_ERRORS = Reply(421, "4.7.0", ("Too many errors; closing the connection",))
_TOO_MANY_COMMANDS = Reply(421, "4.7.0", ("Too many commands without a message; closing the connection",))
_TOO_MANY_LOG_INS = Reply(421, "4.7.0", ("Too many failed log-ins; closing the connection",))
_BEHIND_STARTTLS = Reply(421, "4.7.0", ("Commands behind STARTTLS; closing the connection",))

_HELLO_NAME = re.compile("[!-~]{1,255}")


class SmtpServer:
    """One session. Feed `receive_data`, take `next_event` until None, send `data_to_send`, answer questions.

    `scram_secret` keys the salts shown for users that don't exist; `scram_iterations` must be what real users have.
    With a `token_issuer`, log-in by access token is offered as well.
    """

    def __init__(
        self,
        hostname: str,
        *,
        max_size: int,
        tls: Tls,
        mechanisms: tuple[str, ...] = ("SCRAM-SHA-256", "PLAIN", "LOGIN"),
        auth_required: bool = True,
        limits: SessionLimits = SessionLimits(),  # noqa: B008 -- frozen
        scram_secret: bytes = b"",
        scram_iterations: int = 600_000,
        token_issuer: TokenIssuer | None = None,
    ) -> None:
        self.closing = False
        self.hello_name = ""
        self.esmtp = False
        self.authenticated = False
        self._hostname, self._max_size, self._tls = hostname, max_size, tls
        self._mechanisms = mechanisms + (OAUTH_MECHANISMS if token_issuer else ())
        self._auth_required, self._limits, self._token_issuer = auth_required, limits, token_issuer
        self._scram_secret, self._scram_iterations = scram_secret, scram_iterations
        self._in = Inbound()
        self._out: list[bytes] = []
        self._events: deque[ServerEvent] = deque()
        self._question: Question | None = None
        self._state = _State.START
        self._eof = self._closed = self._handshaking = False
        self._errors = self._idle_commands = self._failed_auth = 0
        self._recipients = 0
        self._tried_recipients = False  # of this transaction, accepted or not
        self._mail_refused = False  # so what was pipelined behind MAIL comes out of order by no fault of the client
        self._smtputf8 = False
        self._authentication: Authentication | None = None
        self._reader: DotReader | None = None  # while DATA is under way
        self._check: ContentCheck | None = None  # while a message is
        self._chunk_open = self._chunk_last = False
        self._chunk_left = self._chunk_size = 0  # bytes of a BDAT chunk: still to come, and all
        self._chunk_reply: Reply | None = None  # set when the chunk's bytes are only to be passed over
        self._say(Reply(220, "", (f"{hostname} ESMTP Outgate",)))

    # --- the trio ------------------------------------------------------------------------------------------------

    @property
    def paused(self) -> bool:
        """A question waits for its answer."""
        return self._question is not None

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the wire."""
        self._in.feed(data)

    def receive_eof(self) -> None:
        """The client is gone."""
        self._eof = True

    def data_to_send(self) -> bytes:
        """All replies queued so far, in one piece."""
        out = b"".join(self._out)
        self._out.clear()
        return out

    def next_event(self) -> ServerEvent | None:
        """The next event, or None: bytes are missing, or a question is open. The last one is Closed, once."""
        while self._question is None:
            if self._events:
                return self._emit(self._events.popleft())
            if self._closed:
                return None
            if self.closing:
                self._closed = True
                return Closed()
            if not self._step():
                if not self._eof:
                    return None
                self._abort("the client went away")
                self.closing = True
        return None

    def _emit(self, event: ServerEvent) -> ServerEvent:
        if isinstance(event, QUESTIONS):
            self._question = event
        return event

    # --- answers -------------------------------------------------------------------------------------------------

    def accept(self, reply: Reply | None = None) -> None:
        """The answer to the open question is yes. Without `reply` the usual one is said."""
        _ACCEPTED[type(self._answered())](self, reply)

    def reject(self, reply: Reply) -> None:
        """The answer to the open question is no."""
        _REJECTED[type(self._answered())](self, reply)

    def scram(self, verifier: ScramVerifier | None) -> None:
        """The answer to ScramStarted; None lets the exchange go on and fail at its end."""
        question = self._answered()
        if not isinstance(question, ScramStarted) or self._authentication is None:
            raise RuntimeError("no SCRAM exchange has begun")
        verifier = verifier or fake_verifier(self._scram_secret, question.username, self._scram_iterations)
        self._challenge(self._authentication.scram_challenge(verifier))

    def tls_established(self) -> None:
        """The handshake is done; what was known of the client before it is forgotten (RFC 3207 section 4.2)."""
        self._handshaking = False
        self._tls, self._state = Tls.ACTIVE, _State.START
        self.esmtp, self.hello_name = False, ""
        if self._in:
            self._refuse_injection()

    def shut_down(self, reply: Reply) -> None:
        """Say a last word, such as 421, and close."""
        self._say(reply)
        self._question = None
        self._abort("the session was closed")
        self.closing = True

    def _answered(self) -> Question:
        question, self._question = self._question, None
        if question is None:
            raise RuntimeError("no question is open")
        return question

    def _mail_accepted(self, reply: Reply | None) -> None:
        self._state, self._mail_refused = _State.MAIL, False
        self._say(reply or _SENDER_OK)

    def _mail_rejected(self, reply: Reply) -> None:
        self._mail_refused = True
        self._reset()
        self._say(reply)

    def _rcpt_accepted(self, reply: Reply | None) -> None:
        self._state = _State.RCPT
        self._recipients += 1
        self._say(reply or _RECIPIENT_OK)

    def _message_accepted(self, reply: Reply | None) -> None:
        self._errors = self._idle_commands = 0
        self._say(reply or _OK)

    def _start_accepted(self, reply: Reply | None) -> None:
        self._check = ContentCheck(self._limits.max_line, self._max_size)
        if self._reader:
            self._say(reply or _GO_ON)

    def _start_rejected(self, reply: Reply) -> None:
        if self._reader:
            self._say(reply)
        else:
            self._chunk_reply = reply
        self._reset()

    def _log_in_accepted(self, reply: Reply | None) -> None:
        self.authenticated, self._authentication = True, None
        self._say(reply or _LOGGED_IN)

    def _token_rejected(self, reply: Reply) -> None:
        """The client is told why first, and answers that with a message that means nothing (RFC 7628 section 3.2.3)."""
        if reply.permanent and self._authentication and self._token_issuer:
            self._authentication.refusal = reply
            self._challenge(self._token_issuer.failure(self._authentication.mechanism))
        else:
            self._log_in_rejected(reply)

    def _log_in_rejected(self, reply: Reply) -> None:
        self._authentication = None
        self._failed_auth += 1
        self._say(reply)
        if self._failed_auth >= self._limits.max_auth:
            self.shut_down(_TOO_MANY_LOG_INS)

    # --- steps ---------------------------------------------------------------------------------------------------

    def _step(self) -> bool:
        """Make something of the bytes at hand; False when there are too few."""
        if self._reader:
            return self._read_data(self._reader)
        if self._chunk_open:
            return self._read_chunk()
        if self._handshaking:
            return False
        return self._read_line()

    def _read_line(self) -> bool:
        line = self._in.line(self._limits.auth_line)
        if line is None:
            return False
        if isinstance(line, Reply):
            self._authentication = None
            self._fault(line)
        elif self._authentication:
            self._continue_auth(self._authentication, line)
        else:
            self._command(line)
        return True

    def _command(self, line: bytes) -> None:
        verb, _, argument = line.partition(b" ")
        verb = verb.upper()
        handler, states = _COMMANDS.get(verb, _NO_COMMAND)
        if len(line) + 2 > self._limits.command_line and verb != b"AUTH":
            self._refuse_line(verb, TOO_LONG)
        elif self._state not in states:
            self._out_of_order(verb)
        elif verb not in _TRANSACTION and self._idle_commands >= self._limits.max_idle_commands:
            self.shut_down(_TOO_MANY_COMMANDS)
        else:
            self._idle_commands += verb not in _TRANSACTION
            try:
                handler(self, argument.decode().rstrip(" "))
            except UnicodeDecodeError:
                self._refuse_line(verb, _NOT_UTF8)

    def _refuse_line(self, verb: bytes, reply: Reply) -> None:
        if verb == b"BDAT":
            self.shut_down(reply)  # how many bytes follow can't be known
        else:
            self._fault(reply)

    def _out_of_order(self, verb: bytes) -> None:
        reply = _NO_RECIPIENTS if verb == b"DATA" and self._state is not _State.START else _OUT_OF_ORDER
        if self._mail_refused and verb in _TRANSACTION:
            self._say(reply)
        else:
            self._fault(reply)

    def _on_unknown(self, argument: str) -> None:
        self._fault(_UNKNOWN)

    def _on_ehlo(self, argument: str) -> None:
        if self._hello(argument, esmtp=True):
            self._say(Reply(250, "", (self._hostname, *self._extensions())))

    def _on_helo(self, argument: str) -> None:
        if self._hello(argument, esmtp=False):
            self._say(Reply(250, "", (self._hostname,)))

    def _hello(self, argument: str, *, esmtp: bool) -> bool:
        if not _HELLO_NAME.fullmatch(argument):
            self._fault(Reply(501, "5.5.4", ("Say who you are: EHLO your.host.name",)))
            return False
        self._abort("a new greeting")
        self._state, self.hello_name, self.esmtp = _State.HELLO, argument, esmtp
        return True

    def _extensions(self) -> list[str]:
        size = f"SIZE {self._max_size}"
        offered = ["PIPELINING", size, "8BITMIME", "SMTPUTF8", "CHUNKING", "ENHANCEDSTATUSCODES", "DSN"]
        if self._tls is Tls.AVAILABLE:
            offered.append("STARTTLS")
        if self._tls is Tls.ACTIVE and self._mechanisms:
            offered.append(f"AUTH {' '.join(self._mechanisms)}")
        return offered

    def _on_noop(self, argument: str) -> None:
        self._say(_OK)

    def _on_help(self, argument: str) -> None:
        self._say(Reply(214, "2.0.0", ("EHLO HELO MAIL RCPT DATA BDAT RSET NOOP VRFY AUTH STARTTLS QUIT",)))

    def _on_vrfy(self, argument: str) -> None:
        self._say(Reply(252, "2.5.2", ("Cannot VRFY user, but will accept a message",)))

    def _on_rset(self, argument: str) -> None:
        self._abort("the client reset the transaction")
        self._mail_refused = False
        self._say(_OK)

    def _on_quit(self, argument: str) -> None:
        self._abort("the client quit")
        self._say(Reply(221, "2.0.0", ("Bye",)))
        self.closing = True

    def _on_starttls(self, argument: str) -> None:
        if argument:
            self._fault(_SYNTAX)
        elif self._tls is not Tls.AVAILABLE:
            self._fault(Reply(503, "5.5.1", ("TLS is not available here, or in force already",)))
        elif self._in:
            self._refuse_injection()
        else:
            self._handshaking = True
            self._say(Reply(220, "2.0.0", ("Ready to start TLS",)))
            self._events.append(StartTls())

    def _refuse_injection(self) -> None:
        """What came behind STARTTLS came in the clear: somebody may have put it there (CVE-2011-0411)."""
        self._in.clear()
        self.shut_down(_BEHIND_STARTTLS)

    def _on_mail(self, argument: str) -> None:
        self._mail_refused = True  # until it is accepted
        if self._auth_required and not self.authenticated:
            self._fault(_TLS_FIRST if self._tls is Tls.AVAILABLE else _LOG_IN_FIRST)
            return
        try:
            path, params = mail_argument(argument, self._max_size)
        except BadArgument as error:
            self._fault(error.reply)
        else:
            self._smtputf8 = params.smtputf8
            self._events.append(Mail(path, params))

    def _on_rcpt(self, argument: str) -> None:
        self._tried_recipients = True
        if self._recipients >= self._limits.max_recipients:
            self._say(Reply(452, "4.5.3", (f"Too many recipients; at most {self._limits.max_recipients}",)))
            return
        try:
            path, params = rcpt_argument(argument, smtputf8=self._smtputf8)
        except BadArgument as error:
            self._fault(error.reply)
        else:
            self._events.append(Rcpt(path, params))

    # --- content -------------------------------------------------------------------------------------------------

    def _on_data(self, argument: str) -> None:
        if argument:
            self._fault(_SYNTAX)
        elif self._state is _State.RCPT:
            self._reader = DotReader()
            self._events.append(MessageStarted())
        elif self._tried_recipients:
            self._say(_ALL_REFUSED)  # RFC 2920 section 3.1: all of it was pipelined
        else:
            self._fault(_NO_RECIPIENTS)

    def _read_data(self, reader: DotReader) -> bool:
        if not self._in:
            return False
        piece, rest = reader.feed(self._in.take_all())
        self._content(piece)
        if reader.done:
            self._in.feed(rest)
            self._content_ended()
        return True

    def _on_bdat(self, argument: str) -> None:
        """RFC 3030: the chunk's bytes follow at once and are taken off the stream whatever the reply."""
        match = _BDAT.fullmatch(argument)
        if not match:
            self.shut_down(_SYNTAX)  # how many bytes follow can't be known
            return
        self._chunk_open, self._chunk_last = True, bool(match[2])
        self._chunk_left = self._chunk_size = int(match[1])
        if self._state is _State.RCPT:
            self._state = _State.BDAT
            self._events.append(MessageStarted())
        elif self._state is not _State.BDAT:
            self._chunk_reply = _NO_RECIPIENTS if self._state is _State.MAIL else _OUT_OF_ORDER

    def _read_chunk(self) -> bool:
        if self._chunk_left:
            if not self._in:
                return False
            piece = self._in.take(self._chunk_left)
            self._chunk_left -= len(piece)
            self._content(piece)
        if not self._chunk_left:
            self._chunk_open = False
            self._chunk_ended()
        return True

    def _chunk_ended(self) -> None:
        reply, self._chunk_reply = self._chunk_reply, None
        if reply:
            self._say(reply)
        elif self._check and (self._chunk_last or self._check.fault):
            self._content_ended()
        else:
            self._say(Reply(250, "2.0.0", (f"{self._chunk_size} octets received",)))

    def _content(self, piece: bytes) -> None:
        check = self._check
        if check and piece:
            check.feed(piece)
            if not check.fault:
                self._events.append(MessageData(piece))

    def _content_ended(self) -> None:
        check = self._check
        if check is None:
            raise RuntimeError("no message has begun")
        check.end()
        if check.fault:
            self._abort(check.fault.lines[0])
            self._say(check.fault)
        else:
            self._reset()
            self._events.append(MessageEnded(check.size, check.eight_bit))

    # --- log-in --------------------------------------------------------------------------------------------------

    def _on_auth(self, argument: str) -> None:
        mechanism, _, initial = argument.partition(" ")
        mechanism = mechanism.upper()
        if self._tls is not Tls.ACTIVE:
            self._fault(Reply(538, "5.7.11", ("Encryption required for authentication; use STARTTLS",)))
        elif self.authenticated:
            self._fault(Reply(503, "5.5.1", ("Already authenticated",)))
        elif mechanism not in self._mechanisms:
            self._fault(Reply(504, "5.5.4", ("Unrecognised authentication type",)))
        else:
            self._authentication = Authentication(mechanism)
            if initial:
                self._continue_auth(self._authentication, b"" if initial == "=" else initial.encode())
            else:
                self._challenge(self._authentication.first_challenge)

    def _continue_auth(self, authentication: Authentication, line: bytes) -> None:
        if line == b"*":
            self._log_in_rejected(Reply(501, "5.7.0", ("Authentication cancelled",)))
            return
        if authentication.refusal:
            self._log_in_rejected(authentication.refusal)
            return
        try:
            step = authentication.respond(decode(line))
        except SaslError:
            self._log_in_rejected(Reply(501, "5.5.2", ("The authentication message can't be decoded",)))
        else:
            self._take_step(step)

    def _take_step(self, step: Step) -> None:
        if isinstance(step, bytes):
            self._challenge(step)
            return
        self._events.append(step)
        if isinstance(step, ScramFailed):
            self._log_in_rejected(_WRONG)

    def _challenge(self, challenge: bytes) -> None:
        self._say(Reply(334, "", (encode(challenge).decode(),)))

    # --- ends ----------------------------------------------------------------------------------------------------

    def _say(self, reply: Reply) -> None:
        self._out.append(reply.encode(utf8=self._smtputf8))

    def _fault(self, reply: Reply) -> None:
        """Refuse something that a good client does not say."""
        self._say(reply)
        self._errors += 1
        if self._errors >= self._limits.max_errors:
            self.shut_down(_TOO_MANY_ERRORS)

    def _abort(self, reason: str) -> None:
        if self._check:
            self._events.append(MessageAborted(reason))
        self._reset()

    def _reset(self) -> None:
        """Back to before MAIL."""
        self._reader = self._check = None
        self._recipients, self._tried_recipients, self._smtputf8 = 0, False, False
        if self._state is not _State.START:
            self._state = _State.HELLO


_BDAT = re.compile(r"([0-9]{1,19})( +LAST)?", re.IGNORECASE | re.ASCII)

_ANY = frozenset(_State)
_HELLO = frozenset({_State.HELLO})
_Handler = Callable[[SmtpServer, str], None]

# Commands, and the states in which they are in order (RFC 5321 section 4.1.4, RFC 3030 section 2).
_COMMANDS: dict[bytes, tuple[_Handler, frozenset[_State]]] = {
    b"EHLO": (SmtpServer._on_ehlo, _ANY),
    b"HELO": (SmtpServer._on_helo, _ANY),
    b"NOOP": (SmtpServer._on_noop, _ANY),
    b"HELP": (SmtpServer._on_help, _ANY),
    b"VRFY": (SmtpServer._on_vrfy, _ANY),
    b"RSET": (SmtpServer._on_rset, _ANY),
    b"QUIT": (SmtpServer._on_quit, _ANY),
    b"STARTTLS": (SmtpServer._on_starttls, _HELLO),
    b"AUTH": (SmtpServer._on_auth, _HELLO),
    b"MAIL": (SmtpServer._on_mail, _HELLO),
    b"RCPT": (SmtpServer._on_rcpt, frozenset({_State.MAIL, _State.RCPT})),
    b"DATA": (SmtpServer._on_data, frozenset({_State.MAIL, _State.RCPT})),
    b"BDAT": (SmtpServer._on_bdat, _ANY),  # its bytes follow whatever the reply
}
_NO_COMMAND = (SmtpServer._on_unknown, _ANY)
_TRANSACTION = frozenset({b"RCPT", b"DATA", b"BDAT"})  # these don't count as idle

_ACCEPTED: dict[type[Question], Callable[[SmtpServer, Reply | None], None]] = {
    Mail: SmtpServer._mail_accepted,
    Rcpt: SmtpServer._rcpt_accepted,
    MessageStarted: SmtpServer._start_accepted,
    MessageEnded: SmtpServer._message_accepted,
    PasswordOffered: SmtpServer._log_in_accepted,
    TokenOffered: SmtpServer._log_in_accepted,
    ScramProved: SmtpServer._log_in_accepted,
}
_REJECTED: dict[type[Question], Callable[[SmtpServer, Reply], None]] = {
    Mail: SmtpServer._mail_rejected,
    Rcpt: SmtpServer._say,
    MessageStarted: SmtpServer._start_rejected,
    MessageEnded: SmtpServer._say,
    PasswordOffered: SmtpServer._log_in_rejected,
    TokenOffered: SmtpServer._token_rejected,
    ScramStarted: SmtpServer._log_in_rejected,
    ScramProved: SmtpServer._log_in_rejected,
}
