"""What a client engine tells its application: each action ends with one of these."""

from dataclasses import dataclass

from outgate.smtp.reply import Reply
from outgate.smtp.sasl import KeyDerivation
from outgate.smtp.transaction import TransactionResult


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
    """The log-in ended. If it failed, there may be `mechanisms` left."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class BodyWanted:
    """Give the content by `send_body`."""


@dataclass(frozen=True, slots=True)
class TransactionDone:
    """The transaction ended."""

    result: TransactionResult


@dataclass(frozen=True, slots=True)
class QuitDone:
    """QUIT was answered."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class ConnectionLost:
    """The peer is gone. `content_complete`: it may have the whole content, and so have accepted the message: the one
    window for a duplicate. `result_so_far` has the replies to a transaction that was under way, if MAIL was answered;
    `farewell` is the peer's 421, if it said one.
    """

    result_so_far: TransactionResult | None = None
    content_complete: bool = False
    farewell: Reply | None = None


ClientEvent = (
    Greeting
    | HelloDone
    | StartTlsDone
    | KeyDerivation
    | AuthDone
    | BodyWanted
    | TransactionDone
    | QuitDone
    | ConnectionLost
)
