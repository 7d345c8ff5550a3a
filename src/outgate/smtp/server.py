"""The server's half of SMTP (RFC 5321, 6409), without I/O: bytes in, events out, replies to send.

Knows no account, no message and no clock. A question to the application pauses it: nothing is read behind an
unanswered question, which makes pipelining safe with answers that take their time.
"""

from collections import deque
from enum import StrEnum

from outgate.smtp import commands
from outgate.smtp.commands import BadArgument
from outgate.smtp.content import ContentCheck, DotReader
from outgate.smtp.events import (
    Closed,
    Event,
    Mail,
    MessageAborted,
    MessageData,
    MessageEnded,
    MessageStarted,
    PasswordOffered,
    Rcpt,
    ScramFailed,
    ScramProved,
    ScramStarted,
    StartTls,
)
from outgate.smtp.limits import Limits
from outgate.smtp.reply import Reply
from outgate.smtp.sasl import SaslError, ScramServer, ScramVerifier, decode, encode, fake_verifier, plain_message


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


_ANY = frozenset(_State)
_OPEN = _ANY - {_State.START}

# Commands and the states in which they are in order (RFC 5321 section 4.1.4, RFC 3030 section 2).
_ORDER: dict[str, frozenset[_State]] = {
    "EHLO": _ANY,
    "HELO": _ANY,
    "NOOP": _ANY,
    "HELP": _ANY,
    "VRFY": _ANY,
    "RSET": _ANY,
    "QUIT": _ANY,
    "STARTTLS": frozenset({_State.HELLO}),
    "AUTH": frozenset({_State.HELLO}),
    "MAIL": frozenset({_State.HELLO}),
    "RCPT": frozenset({_State.MAIL, _State.RCPT}),
    "DATA": frozenset({_State.MAIL, _State.RCPT}),
    "BDAT": _ANY,  # its bytes follow whatever the reply
}

_OK = Reply(250, "2.0.0", ("Ok",))
_ORDER_FAULT = Reply(503, "5.5.1", ("Bad sequence of commands",))
_SYNTAX = Reply(501, "5.5.4", ("Syntax error in arguments",))
_TOO_LONG = Reply(500, "5.5.2", ("Line too long",))
_UNKNOWN = Reply(500, "5.5.1", ("Command not recognised",))
_BARE = Reply(500, "5.5.2", ("Lines must end with CRLF",))
_LOG_IN_FIRST = Reply(530, "5.7.0", ("Authentication required",))
_TLS_FIRST = Reply(530, "5.7.0", ("Must issue a STARTTLS command first",))
_TOO_MANY_ERRORS = Reply(421, "4.7.0", ("Too many errors; closing the connection",))
_WRONG = Reply(535, "5.7.8", ("Authentication credentials invalid",))
_GO_ON = Reply(354, "", ("Start mail input; end with <CRLF>.<CRLF>",))

Question = (Mail, Rcpt, MessageStarted, MessageEnded, PasswordOffered, ScramStarted, ScramProved)


class Server:
    """One session. Feed `receive_data`, take `next_event` until None, send `data_to_send`, answer questions."""

    def __init__(
        self,
        hostname: str,
        *,
        max_size: int,
        tls: Tls,
        mechanisms: tuple[str, ...] = ("SCRAM-SHA-256", "PLAIN", "LOGIN"),
        auth_required: bool = True,
        limits: Limits = Limits(),  # noqa: B008 -- frozen
        scram_secret: bytes = b"",
    ) -> None:
        self.closing = False
        self.hello_name = ""
        self.esmtp = False
        self.authenticated = False
        self._hostname, self._max_size, self._tls = hostname, max_size, tls
        self._mechanisms, self._auth_required, self._limits = mechanisms, auth_required, limits
        self._scram_secret = scram_secret
        self._in = b""
        self._out: list[bytes] = []
        self._events: deque[Event] = deque()
        self._question: Event | None = None
        self._state = _State.START
        self._eof = False
        self._errors = self._failed_auth = self._recipients = 0
        self._smtputf8 = False
        self._reader: DotReader | None = None
        self._check: ContentCheck | None = None
        self._chunk_open = False
        self._chunk_left = 0  # bytes of a BDAT chunk still to come
        self._chunk_last = False
        self._chunk_reply: Reply | None = None  # set when the chunk's bytes are only to be passed over
        self._chunk_size = 0
        self._auth_step: str | None = None
        self._auth_name = ""
        self._scram_exchange: ScramServer | None = None
        self._say(Reply(220, "", (f"{hostname} ESMTP Outgate",)))

    # --- the trio ------------------------------------------------------------------------------------------------

    @property
    def paused(self) -> bool:
        """A question waits for its answer."""
        return self._question is not None

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the wire."""
        self._in = self._in + data if self._in else data

    def receive_eof(self) -> None:
        """The client is gone."""
        self._eof = True

    def data_to_send(self) -> bytes:
        """All replies queued so far, in one piece."""
        out = b"".join(self._out)
        self._out.clear()
        return out

    def next_event(self) -> Event | None:
        """The next event, or None: bytes are missing, or a question is open."""
        while not self._question:
            if self._events:
                return self._emit(self._events.popleft())
            if self.closing or not self._step():
                return self._end() if self._eof and not self.closing else None
        return None

    def _emit(self, event: Event) -> Event:
        if isinstance(event, Question):
            self._question = event
        return event

    def _end(self) -> Event | None:
        self.closing = True
        if self._check:
            self._check = None
            self._events.append(Closed())
            return MessageAborted("the client went away")
        return Closed()

    # --- answers -------------------------------------------------------------------------------------------------

    def accept(self, reply: Reply | None = None) -> None:
        """The answer to the open question is yes."""
        question, self._question = self._question, None
        match question:
            case Mail(_, params):
                self._state, self._recipients, self._smtputf8 = _State.MAIL, 0, params.smtputf8
                self._say(reply or Reply(250, "2.1.0", ("Ok",)))
            case Rcpt():
                self._state = _State.RCPT
                self._recipients += 1
                self._say(reply or Reply(250, "2.1.5", ("Ok",)))
            case MessageStarted():
                self._check = ContentCheck(self._limits.max_line)
                if self._reader:
                    self._say(_GO_ON)
            case MessageEnded():
                self._say(reply or _OK)
                self._reset()
            case PasswordOffered() | ScramProved():
                self.authenticated = True
                self._end_auth(reply or Reply(235, "2.7.0", ("Authentication successful",)))
            case _:
                raise RuntimeError(f"nothing to accept: {question}")

    def reject(self, reply: Reply) -> None:
        """The answer to the open question is no."""
        question, self._question = self._question, None
        match question:
            case MessageStarted() if self._reader:
                self._reader = None
                self._say(reply)
                self._reset()
            case MessageStarted():
                self._chunk_reply = reply
                self._reset()
            case MessageEnded():
                self._say(reply)
                self._reset()
            case PasswordOffered() | ScramProved() | ScramStarted():
                self._refuse_auth(reply)
            case Mail() | Rcpt():
                self._say(reply)
            case _:
                raise RuntimeError(f"nothing to reject: {question}")

    def scram(self, verifier: ScramVerifier | None) -> None:
        """The answer to ScramStarted; None lets the exchange go on and fail at its end."""
        if not isinstance(self._question, ScramStarted) or self._scram_exchange is None:
            raise RuntimeError("no SCRAM exchange has begun")
        name, self._question = self._question.username, None
        challenge = self._scram_exchange.challenge(verifier or fake_verifier(self._scram_secret, name))
        self._challenge("SCRAM-FINAL", challenge)

    def tls_established(self) -> None:
        """The handshake is done; what was known of the client before it is forgotten (RFC 3207 section 4.2)."""
        self._tls = Tls.ACTIVE
        self._in = b""
        self._state, self.esmtp, self.hello_name = _State.START, False, ""

    def shut_down(self, reply: Reply) -> None:
        """Say a last word, such as 421, and close."""
        self._say(reply)
        self._question = None
        self._abort("the session was closed")
        self.closing = True

    # --- steps ---------------------------------------------------------------------------------------------------

    def _step(self) -> bool:
        """Make something of the bytes at hand; False when there are too few."""
        if self._check and self._reader:
            return self._read_data()
        if self._chunk_open:
            return self._read_chunk()
        return self._read_line()

    def _read_line(self) -> bool:
        limit = (
            self._limits.auth_line if self._auth_step or self._in[:5].upper() == b"AUTH " else self._limits.command_line
        )
        end = self._in.find(b"\n")
        if end < 0:
            if len(self._in) > limit:
                self.shut_down(_TOO_LONG)  # where the next command begins can't be known
                return True
            return False
        line, self._in = self._in[: end + 1], self._in[end + 1 :]
        if len(line) > limit:
            self._end_auth_step()
            self._fault(_TOO_LONG)
        elif not line.endswith(b"\r\n") or b"\r" in line[:-2]:
            self._end_auth_step()
            self._fault(_BARE)
        elif b"\0" in line:
            self._end_auth_step()
            self._fault(Reply(501, "5.5.2", ("A command can't have NUL bytes",)))
        elif self._auth_step:
            self._continue_auth(line[:-2])
        else:
            self._command(line[:-2])
        return True

    def _command(self, line: bytes) -> None:
        try:
            text = line.decode()
        except UnicodeDecodeError:
            self._fault(Reply(501, "5.5.2", ("A command must be valid UTF-8",)))
            return
        verb, _, argument = text.partition(" ")
        verb = verb.upper()
        states = _ORDER.get(verb)
        if states is None:
            self._fault(_UNKNOWN)
        elif verb == "BDAT":
            self._bdat(argument)
        elif self._state not in states:
            self._fault(self._out_of_order(verb))
        else:
            getattr(self, f"_on_{verb.lower()}")(argument.rstrip(" "))

    def _out_of_order(self, verb: str) -> Reply:
        if verb == "DATA" and self._state in (_State.HELLO, _State.MAIL):
            return Reply(503, "5.5.1", ("No valid recipients",))
        return _ORDER_FAULT

    def _on_ehlo(self, argument: str) -> None:
        if self._hello(argument, esmtp=True):
            self._say(Reply(250, "", (self._hostname, *self._extensions())))

    def _on_helo(self, argument: str) -> None:
        if self._hello(argument, esmtp=False):
            self._say(Reply(250, "", (self._hostname,)))

    def _hello(self, argument: str, *, esmtp: bool) -> bool:
        if not argument or len(argument) > 255:
            self._fault(Reply(501, "5.5.4", ("Say who you are: EHLO your.host.name",)))
            return False
        self._abort("a new greeting")
        self._state, self.hello_name, self.esmtp = _State.HELLO, argument, esmtp
        return True

    def _extensions(self) -> list[str]:
        offered = [
            "PIPELINING",
            f"SIZE {self._max_size}",
            "8BITMIME",
            "SMTPUTF8",
            "CHUNKING",
            "ENHANCEDSTATUSCODES",
            "DSN",
        ]
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
        self._say(_OK)

    def _on_quit(self, argument: str) -> None:
        self._abort("the client quit")
        self._say(Reply(221, "2.0.0", ("Bye",)))
        self.closing = True
        self._events.append(Closed())

    def _on_starttls(self, argument: str) -> None:
        if argument:
            self._fault(_SYNTAX)
        elif self._tls is not Tls.AVAILABLE:
            self._fault(Reply(503, "5.5.1", ("TLS is not available here, or in force already",)))
        elif self._in:
            # What was sent behind STARTTLS came in the clear: somebody may have put it there (CVE-2011-0411).
            self._in = b""
            self.shut_down(Reply(421, "4.7.0", ("Commands behind STARTTLS; closing the connection",)))
        else:
            self._say(Reply(220, "2.0.0", ("Ready to start TLS",)))
            self._events.append(StartTls())

    def _on_mail(self, argument: str) -> None:
        if self._auth_required and not self.authenticated:
            self._fault(_LOG_IN_FIRST if self._tls is not Tls.AVAILABLE else _TLS_FIRST)
            return
        try:
            path, params = commands.mail_argument(argument, self._max_size)
        except BadArgument as error:
            self._fault(error.reply)
        else:
            self._events.append(Mail(path, params))

    def _on_rcpt(self, argument: str) -> None:
        if self._recipients >= self._limits.max_recipients:
            self._say(Reply(452, "4.5.3", (f"Too many recipients; at most {self._limits.max_recipients}",)))
            return
        try:
            path, params = commands.rcpt_argument(argument, smtputf8=self._smtputf8)
        except BadArgument as error:
            self._fault(error.reply)
        else:
            self._events.append(Rcpt(path, params))

    # --- content -------------------------------------------------------------------------------------------------

    def _on_data(self, argument: str) -> None:
        if argument:
            self._fault(_SYNTAX)
        elif self._state is not _State.RCPT:
            self._fault(Reply(554, "5.5.1", ("No valid recipients",)))
        else:
            self._reader = DotReader()
            self._events.append(MessageStarted())

    def _read_data(self) -> bool:
        reader = self._reader
        if not self._in or reader is None:
            return False
        data, self._in = self._in, b""
        piece, rest = reader.feed(data)
        self._content(piece)
        if reader.done:
            self._in = rest
            self._content_ended()
        return True

    def _bdat(self, argument: str) -> None:
        """RFC 3030: the chunk's bytes follow at once and are taken off the stream whatever the reply."""
        words = argument.split()
        size = words[0] if words else ""
        last = len(words) == 2 and words[1].upper() == "LAST"
        if not (size.isascii() and size.isdigit() and len(size) <= 10) or (len(words) > 1 and not last):
            self.shut_down(_SYNTAX)  # how many bytes follow can't be known
            return
        self._chunk_open, self._chunk_left, self._chunk_size = True, int(size), int(size)
        self._chunk_last, self._chunk_reply = last, None
        if self._state not in (_State.RCPT, _State.BDAT):
            self._chunk_reply = self._out_of_order("DATA")
        elif self._state is _State.RCPT:
            self._state = _State.BDAT
            self._events.append(MessageStarted())

    def _read_chunk(self) -> bool:
        if self._chunk_left and not self._in:
            return False
        piece, self._in = self._in[: self._chunk_left], self._in[self._chunk_left :]
        self._chunk_left -= len(piece)
        if self._chunk_reply is None:
            self._content(piece)
        if not self._chunk_left:
            self._chunk_open = False
            self._chunk_ended()
        return True

    def _chunk_ended(self) -> None:
        reply, self._chunk_reply = self._chunk_reply, None
        if reply:
            self._fault(reply)
        elif self._chunk_last:
            self._content_ended()
        else:
            self._say(Reply(250, "2.0.0", (f"{self._chunk_size} octets received",)))

    def _content(self, piece: bytes) -> None:
        check = self._check
        if check is None or not piece:
            return
        check.feed(piece)
        if not check.fault and check.size <= self._max_size:
            self._events.append(MessageData(piece))

    def _content_ended(self) -> None:
        check = self._check
        if check is None:
            return
        check.end()
        fault = check.fault
        if check.size > self._max_size:
            fault = Reply(552, "5.3.4", (f"The message is larger than {self._max_size} bytes",))
        if fault:
            self._abort(fault.lines[0])
            self._fault(fault)
        else:
            self._reader = self._check = None
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
        elif mechanism == "LOGIN" and not initial:
            self._challenge("LOGIN", b"Username:")
        elif not initial:
            self._challenge(mechanism, b"")
        else:
            self._auth_step = mechanism
            self._continue_auth(b"" if initial == "=" else initial.encode())

    def _challenge(self, step: str, challenge: bytes) -> None:
        self._auth_step = step
        self._say(Reply(334, "", (encode(challenge).decode(),)))

    def _continue_auth(self, line: bytes) -> None:
        step, self._auth_step = self._auth_step, None
        if line == b"*":
            self._fault(Reply(501, "5.7.0", ("Authentication cancelled",)))
            return
        try:
            self._auth_message(step or "", decode(line))
        except SaslError:
            self._refuse_auth(Reply(501, "5.5.2", ("The authentication message can't be decoded",)))

    def _auth_message(self, step: str, message: bytes) -> None:
        match step:
            case "PLAIN":
                authzid, username, password = plain_message(message)
                self._events.append(PasswordOffered("PLAIN", username, password, authzid))
            case "LOGIN":
                self._auth_name = _utf8(message)
                self._challenge("LOGIN-PASSWORD", b"Password:")
            case "LOGIN-PASSWORD":
                self._events.append(PasswordOffered("LOGIN", self._auth_name, _utf8(message)))
            case "SCRAM-SHA-256":
                self._scram_exchange = ScramServer(message)
                self._events.append(ScramStarted(self._scram_exchange.username))
            case "SCRAM-FINAL":
                self._scram_final(message)
            case "SCRAM-ACKNOWLEDGED" if self._scram_exchange:
                self._events.append(ScramProved(self._scram_exchange.username))

    def _scram_final(self, message: bytes) -> None:
        exchange = self._scram_exchange
        if exchange is None:
            raise RuntimeError("no SCRAM exchange has begun")
        try:
            final = exchange.final(message)
        except SaslError:
            self._events.append(ScramFailed(exchange.username))
            self._refuse_auth(_WRONG)
        else:
            self._challenge("SCRAM-ACKNOWLEDGED", final)

    def _end_auth_step(self) -> None:
        self._auth_step = None

    def _end_auth(self, reply: Reply) -> None:
        self._scram_exchange, self._auth_name = None, ""
        self._say(reply)

    def _refuse_auth(self, reply: Reply) -> None:
        self._failed_auth += 1
        self._end_auth(reply)
        if self._failed_auth >= self._limits.max_auth:
            self.shut_down(Reply(421, "4.7.0", ("Too many failed log-ins; closing the connection",)))

    # --- ends ----------------------------------------------------------------------------------------------------

    def _say(self, reply: Reply) -> None:
        self._out.append(reply.encode())

    def _fault(self, reply: Reply) -> None:
        self._say(reply)
        self._errors += 1
        if self._errors >= self._limits.max_errors:
            self.shut_down(_TOO_MANY_ERRORS)

    def _abort(self, reason: str) -> None:
        if self._check or self._reader:
            self._events.append(MessageAborted(reason))
        self._reset()

    def _reset(self) -> None:
        """Back to before MAIL."""
        self._reader = self._check = None
        self._recipients, self._smtputf8 = 0, False
        if self._state is not _State.START:
            self._state = _State.HELLO


def _utf8(message: bytes) -> str:
    try:
        return message.decode()
    except UnicodeDecodeError:
        raise SaslError("not UTF-8") from None
