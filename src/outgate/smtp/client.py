"""The client's half of SMTP and LMTP, without I/O: actions in, bytes to send, the peer's replies as events.

Knows no message format and no policy: which mechanism of AUTH may be used, and whether TLS must be, is the caller's.
One action at a time; each ends with its event. Within a transaction everything is pipelined that the peer allows: with
PIPELINING and CHUNKING (RFC 2920, 3030) envelope and content leave in one write, and one round trip does it all.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from outgate.smtp.commands import mail_command, rcpt_command
from outgate.smtp.content import DotWriter
from outgate.smtp.reply import ProtocolError, Reply, ReplyParser
from outgate.smtp.sasl import (
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

Credentials = PasswordCredentials | TokenCredentials


class AuthNotOffered(Exception):
    """The peer offers no mechanism that fits."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an EHLO reply offers. `size` is the peer's limit in bytes, None if it names none."""

    pipelining: bool = False
    chunking: bool = False
    eight_bit: bool = False
    smtputf8: bool = False
    starttls: bool = False
    dsn: bool = False
    size: int | None = None
    sized: bool = False
    auth: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, lines: Sequence[str]) -> "Capabilities":
        """From the lines of an EHLO reply after the first."""
        offered: dict[str, list[str]] = {}
        for line in lines:
            # "AUTH=LOGIN PLAIN" is how servers of old wrote it.
            words = line.replace("AUTH=", "AUTH ", 1).upper().split()
            if words:
                offered.setdefault(words[0], []).extend(words[1:])
        size = next((int(word) for word in offered.get("SIZE", []) if word.isascii() and word.isdigit()), 0)
        return cls(
            pipelining="PIPELINING" in offered,
            chunking="CHUNKING" in offered,
            eight_bit="8BITMIME" in offered,
            smtputf8="SMTPUTF8" in offered,
            starttls="STARTTLS" in offered,
            dsn="DSN" in offered,
            size=size or None,
            sized="SIZE" in offered,
            auth=frozenset(offered.get("AUTH", [])),
        )


@dataclass(frozen=True, slots=True)
class Recipient:
    """A recipient with its DSN parameters (RFC 3461), which are sent only to a peer that offers DSN."""

    address: str
    notify: str | None = None
    orcpt: str | None = None


@dataclass(frozen=True, slots=True)
class Transaction:
    """One message to hand over. Without `content` the engine asks for it by BodyWanted. `size` in bytes."""

    reverse_path: str
    recipients: Sequence[Recipient]
    size: int | None = None
    eight_bit: bool = False
    smtputf8: bool = False
    envid: str | None = None
    ret: str | None = None
    content: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class TransactionResult:
    """The peer's replies. `recipients` is empty if MAIL was refused; `final` has one reply, with LMTP one for each
    accepted recipient, and is empty if the content was never offered.
    """

    mail: Reply
    recipients: tuple[Reply, ...] = ()
    final: tuple[Reply, ...] = ()


@dataclass(frozen=True, slots=True)
class Greeting:
    """The peer's first words."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class HelloDone:
    """EHLO (or HELO, LHLO) was answered; `capabilities` are set."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class StartTlsDone:
    """After 220: do the handshake, then `tls_established` and `hello` again."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class AuthDone:
    """The log-in ended."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class BodyWanted:
    """Give the content by `send_body`."""


@dataclass(frozen=True, slots=True)
class TransactionDone:
    """The transaction ended."""

    result: TransactionResult


@dataclass(frozen=True, slots=True)
class CommandDone:
    """RSET, NOOP or QUIT was answered."""

    command: str
    reply: Reply


@dataclass(frozen=True, slots=True)
class ConnectionLost:
    """The peer is gone. `content_complete`: it had the whole content, so the message may have been accepted: the one
    window for a duplicate. `farewell` is its 421, if it said one.
    """

    content_complete: bool = False
    farewell: Reply | None = None


ClientEvent = (
    Greeting | HelloDone | StartTlsDone | AuthDone | BodyWanted | TransactionDone | CommandDone | ConnectionLost
)


class _Progress:
    """A transaction under way."""

    def __init__(self, transaction: Transaction) -> None:
        self.transaction = transaction
        self.mail: Reply | None = None
        self.recipients: list[Reply] = []
        self.final: list[Reply] = []
        self.offered = False  # DATA was sent, or a first BDAT
        self.content_complete = False
        self.chunks_open = 0  # BDAT commands without a reply yet, the last one included
        self.chunk_fault: Reply | None = None
        self.wanted = False  # BodyWanted was said
        self.hopeless = False  # nobody was accepted, but DATA got its 354

    @property
    def accepted(self) -> int:
        return sum(reply.positive for reply in self.recipients)


class Client:
    """One connection's protocol state. Take `next_event` after `receive_data`, send `data_to_send` after everything."""

    def __init__(self, *, lmtp: bool = False) -> None:
        self.capabilities = Capabilities()
        self._lmtp = lmtp
        self._replies = ReplyParser()
        self._out: list[bytes] = []
        self._events: deque[ClientEvent] = deque()
        self._expected: deque[str] = deque(["greeting"])
        self._progress: _Progress | None = None
        self._exchange: Exchange | None = None
        self._dots: DotWriter | None = None
        self._hello_name = ""
        self._must_reset = False
        self._lost = False
        self._farewell: Reply | None = None

    # --- the trio ------------------------------------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """Nothing is under way, nothing came unasked, the peer is there."""
        return not (self._expected or self._progress or self._lost or self._events or self._replies.buffered)

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
            reply = self._replies.next()
            if reply is None:
                return self._lose() if self._lost else None
            self._take(reply)
        return self._events.popleft()

    def _lose(self) -> ClientEvent | None:
        progress, self._progress = self._progress, None
        if not progress and not self._expected:
            return None
        self._expected.clear()
        return ConnectionLost(bool(progress and progress.content_complete), self._farewell)

    # --- actions -------------------------------------------------------------------------------------------------

    def hello(self, name: str) -> None:
        """EHLO, or LHLO; falls back to HELO where EHLO is unknown."""
        self._hello_name = name
        self._command(f"{'LHLO' if self._lmtp else 'EHLO'} {name}", "hello")

    def starttls(self) -> None:
        """STARTTLS."""
        self._command("STARTTLS", "starttls")

    def tls_established(self) -> None:
        """What the peer said before is forgotten (RFC 3207 section 4.2)."""
        self.capabilities = Capabilities()

    def auth(self, credentials: Credentials, mechanism: str | None = None) -> None:
        """Log in by `mechanism`, or by the best one offered. Raises AuthNotOffered."""
        fitting = PASSWORD_MECHANISMS if isinstance(credentials, PasswordCredentials) else TOKEN_MECHANISMS
        chosen = next((name for name in fitting if name in self.capabilities.auth and mechanism in (None, name)), None)
        if chosen is None:
            raise AuthNotOffered
        self._exchange = exchange(chosen, credentials)
        initial = next(self._exchange)
        # "=" stands for an initial response that is empty (RFC 4954 section 4).
        text = "" if initial is None else f" {(encode(initial) or b'=').decode()}"
        self._command(f"AUTH {chosen}{text}", "auth")

    def send(self, transaction: Transaction) -> None:
        """Begin to hand a message over."""
        if self._progress or self._expected:
            raise RuntimeError("an action is under way")
        self._progress = _Progress(transaction)
        if self._must_reset:
            self._must_reset = False
            self._command("RSET", "reset-before")
        self._expected.append("mail")
        self._out.append(mail_command(transaction.reverse_path, self._mail_parameters(transaction)))
        if self.capabilities.pipelining:
            for recipient in transaction.recipients:
                self._send_rcpt(recipient)
            if transaction.content is not None:
                self._offer(self._progress)

    def send_body(self, data: bytes, last: bool) -> None:
        """A piece of the content, after BodyWanted."""
        progress = self._progress
        if progress is None:
            return  # the transaction was lost meanwhile
        progress.content_complete = last
        if not self.capabilities.chunking:
            self._send_dotted(data, last)
        elif data or last:
            self._send_chunk(progress, data, last)

    def rset(self) -> None:
        """RSET."""
        self._must_reset = False
        self._command("RSET", "RSET")

    def noop(self) -> None:
        """NOOP."""
        self._command("NOOP", "NOOP")

    def quit(self) -> None:
        """QUIT."""
        self._command("QUIT", "QUIT")

    # --- sending -------------------------------------------------------------------------------------------------

    def _command(self, line: str, expected: str) -> None:
        self._out.append(line.encode() + b"\r\n")
        self._expected.append(expected)

    def _mail_parameters(self, transaction: Transaction) -> list[str]:
        offered, parameters = self.capabilities, []
        if offered.sized and transaction.size is not None:
            parameters.append(f"SIZE={transaction.size}")
        if offered.eight_bit and transaction.eight_bit:
            parameters.append("BODY=8BITMIME")
        if offered.smtputf8 and transaction.smtputf8:
            parameters.append("SMTPUTF8")
        if offered.dsn and transaction.ret:
            parameters.append(f"RET={transaction.ret}")
        if offered.dsn and transaction.envid:
            parameters.append(f"ENVID={transaction.envid}")
        return parameters

    def _send_rcpt(self, recipient: Recipient) -> None:
        parameters = []
        if self.capabilities.dsn and recipient.notify:
            parameters.append(f"NOTIFY={recipient.notify}")
        if self.capabilities.dsn and recipient.orcpt:
            parameters.append(f"ORCPT={recipient.orcpt}")
        self._expected.append("rcpt")
        self._out.append(rcpt_command(recipient.address, parameters))

    def _offer(self, progress: _Progress) -> None:
        """Offer the content: by DATA, or by a BDAT that brings all of it, or by asking the application for pieces."""
        progress.offered = True
        if not self.capabilities.chunking:
            self._command("DATA", "data")
        elif progress.transaction.content is not None:
            progress.content_complete = True
            self._send_chunk(progress, progress.transaction.content, last=True)
        else:
            progress.wanted = True
            self._events.append(BodyWanted())

    def _send_chunk(self, progress: _Progress, data: bytes, last: bool) -> None:
        progress.chunks_open += 1
        self._command(f"BDAT {len(data)}{' LAST' if last else ''}", "last-chunk" if last else "chunk")
        self._out.append(data)
        if last and self._lmtp:
            # One reply for each recipient accepted so far; those of pipelined RCPTs are counted as they come.
            self._expected.pop()
            self._expected.append("lmtp-final")

    def _send_dotted(self, data: bytes, last: bool) -> None:
        if self._dots is None:
            self._dots = DotWriter()
        self._out.append(self._dots.feed(data))
        if last:
            self._out.append(self._dots.end())
            self._dots = None
            self._expected.append("lmtp-final" if self._lmtp else "final")

    # --- replies -------------------------------------------------------------------------------------------------

    def _take(self, reply: Reply) -> None:
        if reply.code == 421:
            self._farewell = reply
        if not self._expected:
            if reply.code == 421:
                self._lost = True
                return
            raise ProtocolError("a reply that nothing was asked for")
        expected = self._expected.popleft()
        if self._progress:
            self._take_in_transaction(self._progress, expected, reply)
        else:
            self._take_alone(expected, reply)

    def _take_alone(self, expected: str, reply: Reply) -> None:
        match expected:
            case "greeting":
                self._events.append(Greeting(reply))
            case "hello" if reply.code in (500, 502) and not self._lmtp:
                self._command(f"HELO {self._hello_name}", "helo")
            case "hello" | "helo":
                self.capabilities = Capabilities.parse(reply.lines[1:] if expected == "hello" else ())
                self._events.append(HelloDone(reply))
            case "starttls":
                if reply.positive and self._replies.buffered:
                    raise ProtocolError("something follows the reply to STARTTLS in the clear")
                self._events.append(StartTlsDone(reply))
            case "auth":
                self._take_auth(reply)
            case command:
                self._events.append(CommandDone(command, reply))

    def _take_auth(self, reply: Reply) -> None:
        if not reply.intermediate or self._exchange is None:
            self._exchange = None
            self._events.append(AuthDone(reply))
            return
        try:
            answer = self._exchange.send(decode(reply.lines[0].strip().encode())) or b""
        except (SaslError, StopIteration):
            self._exchange = None
            self._command("*", "auth")  # cancelled (RFC 4954 section 4); the reply is the end
        else:
            self._command(encode(answer).decode(), "auth")

    def _take_in_transaction(self, progress: _Progress, expected: str, reply: Reply) -> None:
        match expected:
            case "reset-before":
                return
            case "mail":
                progress.mail = reply
                if not self.capabilities.pipelining and reply.positive:
                    self._send_rcpt(progress.transaction.recipients[0])
            case "rcpt":
                progress.recipients.append(reply)
                if not self.capabilities.pipelining and len(progress.recipients) < len(progress.transaction.recipients):
                    self._send_rcpt(progress.transaction.recipients[len(progress.recipients)])
            case "data":
                self._take_data(progress, reply)
            case "chunk":
                progress.chunks_open -= 1
                if not reply.positive:
                    progress.chunk_fault = progress.chunk_fault or reply
            case "last-chunk" | "final":
                progress.chunks_open = 0
                if not progress.hopeless:
                    progress.final.append(progress.chunk_fault or reply)
            case "lmtp-final":
                self._take_lmtp_final(progress, reply)
        if not self._expected:
            self._go_on(progress)

    def _take_data(self, progress: _Progress, reply: Reply) -> None:
        """354: content may come, unless nobody will get it: then an empty one ends it (RFC 2920 section 3.1)."""
        if reply.code != 354:
            progress.final.append(reply)
        elif not progress.accepted:
            progress.hopeless = True
            self._out.append(b".\r\n")
            self._expected.append("final")
        elif progress.transaction.content is not None:
            progress.content_complete = True
            self._send_dotted(progress.transaction.content, last=True)
        else:
            progress.wanted = True
            self._events.append(BodyWanted())

    def _take_lmtp_final(self, progress: _Progress, reply: Reply) -> None:
        progress.final.append(progress.chunk_fault or reply)
        if len(progress.final) < progress.accepted:
            self._expected.appendleft("lmtp-final")

    def _go_on(self, progress: _Progress) -> None:
        """All that was sent is answered: offer the content now, or wait for it, or be done."""
        if self._events or (progress.wanted and not progress.content_complete):
            return
        if progress.mail and progress.mail.positive and progress.accepted and not progress.offered:
            self._offer(progress)
            return
        self._progress = None
        result = TransactionResult(progress.mail or Reply(0), tuple(progress.recipients), tuple(progress.final))
        if not (progress.final and all(reply.positive for reply in progress.final)):
            self._must_reset = True
        if progress.mail and not progress.mail.positive:
            result = TransactionResult(progress.mail)
        self._events.append(TransactionDone(result))
