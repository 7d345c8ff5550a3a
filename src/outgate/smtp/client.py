"""The client's half of SMTP and LMTP, without I/O: actions in, bytes to send, the peer's replies as events.

Knows no message format and no policy: which mechanism of AUTH may be used, and whether TLS must be, is the caller's.
One action at a time; each ends with its event. Within a transaction everything is pipelined that the peer allows: with
PIPELINING and CHUNKING (RFC 2920, 3030) envelope and content leave in one write, and one round trip does it all.
"""

from collections.abc import Collection

from outgate.smtp.capabilities import Capabilities
from outgate.smtp.client_events import (
    ClientEvent,
    ConnectionLost,
    Greeting,
    HelloDone,
    QuitDone,
    SenderDone,
    StartTlsDone,
)
from outgate.smtp.client_log_in import ClientLogIn
from outgate.smtp.commands import mail_command
from outgate.smtp.conversation import Conversation
from outgate.smtp.handover import Handover
from outgate.smtp.reply import ProtocolError, Reply, ReplyParser
from outgate.smtp.sasl import Credentials
from outgate.smtp.transaction import Transaction


class SmtpClient:
    """One connection's protocol state. Take `next_event` after `receive_data`, send `data_to_send` after everything.

    Extensions that are to be `avoided` (keywords in capitals, as `CHUNKING`) are not used, offered or not.
    """

    def __init__(self, *, lmtp: bool = False, avoided: Collection[str] = ()) -> None:
        self.capabilities = Capabilities()
        self._lmtp, self._avoided = lmtp, frozenset(avoided)
        self._replies = ReplyParser()
        self._conversation = Conversation()
        self._log_in = ClientLogIn(self._conversation)
        self._handover: Handover | None = None
        self._hello_name = ""
        self._must_reset = False
        self._lost = False
        self._told_lost: ConnectionLost | None = None
        self.answered = 0  # replies so far
        self._farewell: Reply | None = None
        self._conversation.expected.append((self._take_greeting, False))

    # --- the trio ------------------------------------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """Nothing is under way, nothing came unasked, the peer is there."""
        conversation = self._conversation
        under_way = conversation.expected or self._handover or self._log_in.under_way or conversation.events
        gone = self._lost or self._farewell or conversation.unusable
        return not (under_way or gone or self._replies.buffered)

    @property
    def bdat_unanswered(self) -> bool:
        """The content goes by BDAT, and nothing was said to that yet: after a time-out, DATA may be worth a try."""
        return self._handover is not None and self._handover.bdat_unanswered

    @property
    def content_complete(self) -> bool:
        """All of the content of the transaction under way was handed out."""
        return self._handover is not None and self._handover.content_complete

    @property
    def heard(self) -> bool:
        """Whether the peer has said anything."""
        return bool(self.answered or self._replies.buffered)

    @property
    def flooded(self) -> bool:
        """More came than was asked for; nothing will make sense of it."""
        return self._replies.flooded

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the wire."""
        self._replies.feed(data)

    def receive_eof(self) -> None:
        """The peer closed."""
        self._lost = True

    def data_to_send(self) -> bytes:
        """All that is to be sent now, in one piece."""
        out = self._conversation.out
        data = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        return data

    def next_event(self) -> ClientEvent | None:
        """The next event, None if bytes are missing; raises ProtocolError when the peer can't be understood."""
        conversation = self._conversation
        while not conversation.events:
            if conversation.unusable:
                raise ProtocolError(conversation.unusable)
            reply = self._replies.next()
            if reply is None:
                return self._lose() if self._lost else None
            self._take(reply)
        return conversation.events.popleft()

    def _lose(self) -> ClientEvent | None:
        return None if self._told_lost else self.give_up()

    def give_up(self) -> ConnectionLost:
        """Nothing more is heard of this peer: what is known of the transaction that was under way."""
        if self._told_lost is None:
            self._told_lost = self._known()
        self._lost, self._handover = True, None
        self._conversation.expected.clear()
        return self._told_lost

    def _known(self) -> ConnectionLost:
        if self._handover is None:
            return ConnectionLost(farewell=self._farewell)
        return ConnectionLost(self._handover.result(), self._handover.may_be_delivered, self._farewell)

    # --- actions -------------------------------------------------------------------------------------------------

    def hello(self, name: str) -> None:
        """EHLO, or LHLO; falls back to HELO where EHLO is refused."""
        self._hello_name = name
        self._conversation.command(f"{'LHLO' if self._lmtp else 'EHLO'} {name}", self._take_hello)

    def starttls(self) -> None:
        """STARTTLS."""
        self._conversation.command("STARTTLS", self._take_starttls)

    def tls_established(self) -> None:
        """What the peer said before is forgotten (RFC 3207 section 4.2)."""
        self.capabilities = Capabilities()
        if self._replies.buffered:
            self._conversation.unusable = "something came in the clear before TLS"

    def mechanisms(self, credentials: Credentials) -> tuple[str, ...]:
        """What the peer offers for these credentials and has not refused yet, best first."""
        return self._log_in.mechanisms(credentials, self.capabilities.auth)

    def auth(self, credentials: Credentials, mechanism: str | None = None) -> None:
        """Log in by `mechanism`, or by the best one that has not failed yet. Raises AuthNotOffered."""
        self._log_in.begin(credentials, self.capabilities.auth, mechanism)

    def derived(self, salted: bytes) -> None:
        """What a KeyDerivation gave; the log-in goes on."""
        self._log_in.derived(salted)

    def try_sender(self, address: str) -> None:
        """MAIL, and RSET behind it: whether a message from this address may be begun. Raises ValueError for what no
        command can carry.
        """
        self._conversation.say(mail_command(address, "" if address.isascii() else " SMTPUTF8"), self._take_sender)

    def send(self, transaction: Transaction) -> None:
        """Begin to hand a message over. Raises ValueError for an envelope that no command can carry."""
        conversation = self._conversation
        if self._handover or conversation.expected:
            raise RuntimeError("an action is under way")
        handover = Handover(transaction, self.capabilities, conversation, lmtp=self._lmtp)
        if self._replies.buffered:
            self._refuse_to_begin()
            return
        self._handover = handover
        if not self._must_reset:
            handover.begin()
        else:
            self._must_reset = False
            conversation.command("RSET", self._take_reset)
            if self.capabilities.pipelining:
                handover.begin()

    def send_body(self, data: bytes, last: bool) -> None:
        """A piece of the content, after BodyWanted. Passed over once the peer has refused the content or is gone."""
        if self._handover:
            self._handover.send_body(data, last)

    def quit(self) -> None:
        """QUIT."""
        self._conversation.command("QUIT", lambda reply: self._conversation.events.append(QuitDone(reply)))

    # --- replies -------------------------------------------------------------------------------------------------

    def _take(self, reply: Reply) -> None:
        self.answered += 1
        reply = self._log_in.without_secrets(reply)
        if reply.code == 421:
            self._farewell = reply
        if not self._conversation.expected:
            self._take_unasked(reply)
            return
        self._conversation.take(reply)
        if self._handover and not self._conversation.expected:
            self._handover.go_on()
            self._close_finished(self._handover)

    def _refuse_to_begin(self) -> None:
        """What came unasked would be taken for the answers to what is asked now. If it is a farewell, it is told."""
        try:
            reply = self._replies.next()
        except ProtocolError:
            reply = None
        if reply and reply.code == 421:
            self._farewell, self._lost = reply, True
        else:
            self._conversation.unusable = "something came that nothing was asked for"

    def _take_unasked(self, reply: Reply) -> None:
        """A farewell; or a refusal in the middle of DATA. Nothing else makes sense."""
        if reply.code == 421:
            self._lost = True
        elif self._handover and self._handover.refused_early(reply):
            self._close_finished(self._handover)
        else:
            self._conversation.fault("a reply that nothing was asked for")

    def _close_finished(self, handover: Handover) -> None:
        if handover.finished:
            self._handover, self._must_reset = None, handover.unclean

    def _take_greeting(self, reply: Reply) -> None:
        self._conversation.events.append(Greeting(reply))

    def _take_hello(self, reply: Reply) -> None:
        # 521 and 554 refuse the client, not the command (RFC 7504, RFC 5321 section 3.1).
        if reply.permanent and reply.code not in (521, 554) and not self._lmtp:
            self._conversation.command(f"HELO {self._hello_name}", self._take_helo)
            return
        self.capabilities = Capabilities.parse(reply.lines[1:] if reply.positive else (), self._avoided)
        self._conversation.events.append(HelloDone(reply))

    def _take_helo(self, reply: Reply) -> None:
        self.capabilities = Capabilities()
        self._conversation.events.append(HelloDone(reply))

    def _take_starttls(self, reply: Reply) -> None:
        if reply.positive and self._replies.buffered:
            self._conversation.fault("something follows the reply to STARTTLS in the clear")
        self._conversation.events.append(StartTlsDone(reply))

    def _take_sender(self, reply: Reply) -> None:
        done = SenderDone(reply)
        if reply.positive:
            self._conversation.command("RSET", lambda _: self._conversation.events.append(done))
        else:
            self._conversation.events.append(done)

    def _take_reset(self, reply: Reply) -> None:
        """RSET can't fail; MAIL will tell. Without PIPELINING it comes only now (RFC 2920 section 3)."""
        if self._handover and not self.capabilities.pipelining:
            self._handover.begin()
