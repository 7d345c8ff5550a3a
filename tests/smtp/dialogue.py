"""What the tests of the server engine share: an application that answers its questions, in memory."""

from collections.abc import Generator, Iterable
from dataclasses import dataclass, field

from outgate.smtp import (
    KeyDerivation,
    Mail,
    MessageAborted,
    MessageData,
    MessageEnded,
    MessageStarted,
    PasswordCredentials,
    PasswordOffered,
    Rcpt,
    Reply,
    ScramProved,
    ScramStarted,
    ScramVerifier,
    ServerEvent,
    SessionLimits,
    SmtpServer,
    StartTls,
    Tls,
    TokenOffered,
)
from outgate.smtp.sasl import exchange

NO_SUCH_USER = Reply(550, "5.1.1", ("No such mailbox",))
WRONG = Reply(535, "5.7.8", ("Wrong",))
VERIFIER = ScramVerifier.derive("pencil", 4096, b"0123456789abcdef")


def server(*, tls: Tls = Tls.ACTIVE, auth_required: bool = False, limits: SessionLimits | None = None) -> SmtpServer:
    return SmtpServer(
        "mx.example.com",
        max_size=100_000,
        tls=tls,
        auth_required=auth_required,
        limits=limits or SessionLimits(),
        scram_secret=b"secret",
    )


@dataclass
class Desk:
    """Answers a server engine's questions: recipients that begin with `carol` are refused, the password is pencil.

    Tokens are good but for mallory's; `temporary` is the answer to all of them while it is set.
    """

    engine: SmtpServer
    heard: list[ServerEvent] = field(default_factory=list)
    said: bytes = b""
    messages: list[bytes] = field(default_factory=list)
    body: list[bytes] = field(default_factory=list)
    temporary: Reply | None = None

    def run(self, data: bytes = b"") -> bytes:
        """Feed bytes, answer everything, return what the server says to it."""
        if data:
            self.engine.receive_data(data)
        while (event := self.engine.next_event()) is not None:
            self._note(event)
            self._answer(event)
        out = self.engine.data_to_send()
        self.said += out
        return out

    def run_pieces(self, pieces: Iterable[bytes]) -> None:
        for piece in pieces:
            self.run(piece)

    def _note(self, event: ServerEvent) -> None:
        # Content comes in as many pieces as the network makes; joined, they are the same. Of what is aborted, how
        # much was passed on before depends on the pieces.
        if isinstance(event, MessageData):
            self.body.append(event.data)
            return
        if isinstance(event, MessageEnded):
            self.heard.append(MessageData(b"".join(self.body)))
        if isinstance(event, MessageStarted | MessageEnded | MessageAborted):
            whole, self.body = b"".join(self.body), []
            if isinstance(event, MessageEnded):
                self.messages.append(whole)
        self.heard.append(event)

    def _answer(self, event: ServerEvent) -> None:
        engine = self.engine
        match event:
            case Mail(reverse_path) if reverse_path.startswith("carol"):
                engine.reject(Reply(550, "5.7.1", ("Not yours",)))
            case Rcpt(address) if address.startswith("carol"):
                engine.reject(NO_SUCH_USER)
            case PasswordOffered(_, username, password):
                if (username, password) == ("alice", "pencil"):
                    engine.accept()
                else:
                    engine.reject(WRONG)
            case TokenOffered(username, token):
                if username == "mallory" or not token or self.temporary:
                    engine.reject(self.temporary or WRONG)
                else:
                    engine.accept()
            case ScramStarted(username):
                engine.scram(VERIFIER if username == "alice" else None)
            case Mail() | Rcpt() | MessageStarted() | MessageEnded() | ScramProved():
                engine.accept()
            case StartTls():
                self.said += engine.data_to_send()
                engine.tls_established()


def client_half(mechanism: str, username: str, password: str) -> Generator[bytes, bytes, None]:
    """What a client says in an exchange, with the slow part done at once."""
    steps = exchange(mechanism, PasswordCredentials(username, password))
    step = next(steps)
    while True:
        if isinstance(step, KeyDerivation):
            step = steps.send(step.run())
        assert isinstance(step, bytes)
        step = steps.send((yield step))


def greeted(**options: object) -> Desk:
    """A desk whose server was greeted with EHLO."""
    services = Desk(server(**options))  # type: ignore[arg-type] # the options of `server`
    services.run(b"EHLO client.example\r\n")
    return services


def codes(replies: bytes) -> list[int]:
    """The codes of all replies in these bytes."""
    return [int(line[:3]) for line in replies.split(b"\r\n") if line and line[3:4] != b"-"]
