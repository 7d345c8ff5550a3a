"""The server's half of SMTP (RFC 5321, 6409), without I/O: bytes in, events out, replies to send.

Knows no account, no message and no clock. A question to the application pauses it: nothing is read behind an
unanswered question, which makes pipelining safe with answers that take their time.
"""

from outgate.smtp.auth_command import AuthCommand
from outgate.smtp.dialogue import Dialogue, SessionStage
from outgate.smtp.extensions import Tls
from outgate.smtp.limits import SessionLimits
from outgate.smtp.lines import Inbound
from outgate.smtp.oauth import TokenIssuer
from outgate.smtp.receipt import Receipt
from outgate.smtp.reply import Reply
from outgate.smtp.sasl import ScramVerifier
from outgate.smtp.server_events import (
    MESSAGE_QUESTIONS,
    QUESTIONS,
    Closed,
    Question,
    ScramStarted,
    ServerEvent,
)
from outgate.smtp.server_modes import Lines
from outgate.smtp.session_commands import BEHIND_STARTTLS, SessionCommands, greeting


class SmtpServer:
    """One session. Feed `receive_data`, take `next_event` until None, send `data_to_send`, answer questions.

    `scram_secret` keys the salts shown for users that don't exist; `scram_iterations` must be what real users have.
    With a `token_issuer`, log-in by access token is offered as well. `max_size` in bytes;
    `max_hold` and `xclient` as in OfferState.
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
        max_hold: str = "",
        xclient: bool = False,
    ) -> None:
        self._in = Inbound()
        dialogue = self._dialogue = Dialogue(tls, limits)
        self._receipt = Receipt(dialogue, limits, max_size=max_size, auth_required=auth_required)
        self._auth = AuthCommand(
            dialogue,
            limits,
            mechanisms=mechanisms,
            scram_secret=scram_secret,
            scram_iterations=scram_iterations,
            token_issuer=token_issuer,
        )
        commands = SessionCommands(
            dialogue,
            self._in,
            self._receipt,
            self._auth,
            limits,
            hostname=hostname,
            max_size=max_size,
            max_hold=max_hold,
            xclient=xclient,
        )
        dialogue.commands = dialogue.mode = Lines(limits.auth_line, commands.take, dialogue.fault)
        self._question: Question | None = None
        self._eof = self._closed = False
        dialogue.say(greeting(hostname))

    # --- the trio ------------------------------------------------------------------------------------------------

    @property
    def paused(self) -> bool:
        """A question waits for its answer."""
        return self._question is not None

    @property
    def closing(self) -> bool:
        """Nothing more is read; close when all is sent."""
        return self._dialogue.closing

    @property
    def authenticated(self) -> bool:
        """Somebody has logged in."""
        return self._dialogue.authenticated

    @property
    def is_secured(self) -> bool:
        """TLS is in force."""
        return self._dialogue.tls is Tls.ACTIVE

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the wire."""
        self._in.feed(data)

    def receive_eof(self) -> None:
        """The client is gone."""
        self._eof = True

    def data_to_send(self) -> bytes:
        """All replies queued so far, in one piece."""
        return self._dialogue.data_to_send()

    def next_event(self) -> ServerEvent | None:
        """The next event, or None: bytes are missing, or a question is open. The last one is Closed, once."""
        dialogue = self._dialogue
        while self._question is None:
            if dialogue.events:
                return self._emit(dialogue.events.popleft())
            if self._closed:
                return None
            if dialogue.closing:
                self._end("the session was closed")
            elif not dialogue.mode.read(self._in):
                if not self._eof:
                    return None
                dialogue.closing = True
                self._end("the client went away")
        return None

    def _emit(self, event: ServerEvent) -> ServerEvent:
        if isinstance(event, QUESTIONS):
            self._question = event
        return event

    def _end(self, reason: str) -> None:
        self._closed = True
        self._receipt.abort(reason)
        self._auth.abandon()
        self._dialogue.events.append(Closed())

    # --- answers -------------------------------------------------------------------------------------------------

    def accept(self, reply: Reply | None = None) -> None:
        """The answer to the open question is yes. Without `reply` the usual one is said."""
        question = self._answered()
        if isinstance(question, MESSAGE_QUESTIONS):
            self._receipt.accept(question, reply)
        elif isinstance(question, ScramStarted):
            raise RuntimeError("this question is answered by scram")
        else:
            self._auth.accept(reply)

    def reject(self, reply: Reply) -> None:
        """The answer to the open question is no."""
        question = self._answered()
        if isinstance(question, MESSAGE_QUESTIONS):
            self._receipt.reject(question, reply)
        else:
            self._auth.reject(question, reply)

    def scram(self, verifier: ScramVerifier | None, compared: str | None = None) -> None:
        """The answer to ScramStarted; None lets the exchange go on and fail at its end.

        `compared` is the user name in the form in which names are compared, if that is not how it was written: all
        spellings of a name that no user has must show one salt, as those of a user do.
        """
        question = self._answered()
        if not isinstance(question, ScramStarted):
            raise RuntimeError("no SCRAM exchange has begun")
        self._auth.scram(question, verifier, compared)

    def tls_established(self) -> None:
        """The handshake is done; what was known of the client before it is forgotten (RFC 3207 section 4.2)."""
        dialogue = self._dialogue
        dialogue.mode, dialogue.tls, dialogue.stage = dialogue.commands, Tls.ACTIVE, SessionStage.START
        if self._in:
            self.shut_down(BEHIND_STARTTLS)

    def shut_down(self, reply: Reply) -> None:
        """Say a last word, such as 421, and close."""
        self._question = None
        self._dialogue.shut_down(reply)

    def _answered(self) -> Question:
        question, self._question = self._question, None
        if question is None:
            raise RuntimeError("no question is open")
        return question
