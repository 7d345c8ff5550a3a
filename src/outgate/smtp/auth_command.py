"""The server's AUTH command (RFC 4954): lines and base64 of one exchange after the other, and the answers about them.

What the messages of a mechanism mean is in smtp/authentication.py; who may log in, the application knows.
"""

from outgate.smtp.authentication import Authentication, Step
from outgate.smtp.dialogue import Dialogue
from outgate.smtp.extensions import Tls
from outgate.smtp.limits import SessionLimits
from outgate.smtp.oauth import OAUTH_MECHANISMS, TokenIssuer
from outgate.smtp.reply import Reply
from outgate.smtp.sasl import SaslError, ScramVerifier, decode, encode, fake_verifier
from outgate.smtp.server_events import LogInQuestion, ScramAbandoned, ScramFailed, ScramStarted, TokenOffered
from outgate.smtp.server_modes import Lines

_LOGGED_IN = Reply(235, "2.7.0", ("Authentication successful",))
_WRONG = Reply(535, "5.7.8", ("Authentication credentials invalid",))
_CANCELLED = Reply(501, "5.7.0", ("Authentication cancelled",))
_UNREADABLE = Reply(501, "5.5.2", ("The authentication message can't be decoded",))
_TOO_MANY_LOG_INS = Reply(421, "4.7.0", ("Too many failed log-ins; closing the connection",))


class AuthCommand:
    """Log-ins of one session. `scram_secret` keys the salts shown for users that don't exist."""

    def __init__(
        self,
        dialogue: Dialogue,
        limits: SessionLimits,
        *,
        mechanisms: tuple[str, ...],
        scram_secret: bytes,
        scram_iterations: int,
        token_issuer: TokenIssuer | None,
    ) -> None:
        self.mechanisms = mechanisms + (OAUTH_MECHANISMS if token_issuer else ())
        self._dialogue, self._token_issuer = dialogue, token_issuer
        self._scram_secret, self._scram_iterations = scram_secret, scram_iterations
        self._exchange: Authentication | None = None
        self._lines = Lines(limits.auth_line, self._response, self._bad_line)

    def auth(self, argument: str) -> None:
        """AUTH."""
        mechanism, _, initial = argument.partition(" ")
        mechanism = mechanism.upper()
        dialogue = self._dialogue
        if dialogue.tls is not Tls.ACTIVE:
            dialogue.fault(Reply(538, "5.7.11", ("Encryption required for authentication; use STARTTLS",)))
        elif dialogue.authenticated:
            dialogue.fault(Reply(503, "5.5.1", ("Already authenticated",)))
        elif mechanism not in self.mechanisms:
            dialogue.fault(Reply(504, "5.5.4", ("Unrecognised authentication type",)))
        else:
            self._exchange = Authentication(mechanism)
            dialogue.mode = self._lines
            if initial:
                self._response(b"" if initial == "=" else initial.encode())
            else:
                self._challenge(self._exchange.first_challenge)

    # --- answers -------------------------------------------------------------------------------------------------

    def accept(self, reply: Reply | None) -> None:
        """The application said yes."""
        self._exchange = None
        self._dialogue.mode, self._dialogue.authenticated = self._dialogue.commands, True
        self._dialogue.say(reply or _LOGGED_IN)

    def reject(self, question: LogInQuestion, reply: Reply) -> None:
        """The application said no. Of a token a client is told why first, and answers that with a message that means
        nothing (RFC 7628 section 3.2.3).
        """
        if isinstance(question, TokenOffered) and reply.permanent and self._token_issuer:
            exchange = self._under_way()
            exchange.refusal = reply
            self._challenge(self._token_issuer.failure(exchange.mechanism))
        else:
            self._fail(reply)

    def scram(self, question: ScramStarted, verifier: ScramVerifier | None, compared: str | None) -> None:
        """The application knows the verifier of this user, or that there is none."""
        username = question.username if compared is None else compared
        verifier = verifier or fake_verifier(self._scram_secret, username, self._scram_iterations)
        self._challenge(self._under_way().scram_challenge(verifier))

    def abandon(self) -> None:
        """The exchange under way comes to nothing."""
        exchange, self._exchange = self._exchange, None
        if exchange and exchange.unproved:
            self._dialogue.events.append(ScramAbandoned(exchange.username))

    # --- an exchange ---------------------------------------------------------------------------------------------

    def _under_way(self) -> Authentication:
        assert self._exchange is not None  # its mode and its questions end with it
        return self._exchange

    def _response(self, line: bytes) -> None:
        exchange = self._under_way()
        if line == b"*":
            self._fail(_CANCELLED)
        elif exchange.refusal:
            self._fail(exchange.refusal)
        else:
            try:
                step = exchange.respond(decode(line))
            except SaslError:
                self._fail(_UNREADABLE)
            else:
                self._take(step)

    def _take(self, step: Step) -> None:
        if isinstance(step, bytes):
            self._challenge(step)
            return
        self._dialogue.events.append(step)
        if isinstance(step, ScramFailed):
            self._fail(_WRONG)

    def _challenge(self, challenge: bytes) -> None:
        self._dialogue.say(Reply(334, "", (encode(challenge).decode(),)))

    def _bad_line(self, reply: Reply) -> None:
        self.abandon()
        self._dialogue.mode = self._dialogue.commands
        self._dialogue.fault(reply)

    def _fail(self, reply: Reply) -> None:
        self.abandon()
        self._dialogue.mode = self._dialogue.commands
        self._dialogue.say(reply)
        if self._dialogue.counts.failed_log_in():
            self._dialogue.shut_down(_TOO_MANY_LOG_INS)
