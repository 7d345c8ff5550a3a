"""What a client engine tells its application: each action ends with one of these."""

from outgate.frozen import frozen
from outgate.smtp.reply import Reply
from outgate.smtp.sasl import KeyDerivation
from outgate.smtp.transaction import TransactionResult


@frozen
class Greeting:
    """The peer's first words."""

    reply: Reply


@frozen
class HelloDone:
    """EHLO (or HELO, LHLO) was answered; `capabilities` are set."""

    reply: Reply


@frozen
class StartTlsDone:
    """After 220: do the handshake, then `tls_established` and `hello` again."""

    reply: Reply


@frozen
class AuthDone:
    """The log-in ended. If it failed, there may be `mechanisms` left."""

    reply: Reply


@frozen
class SenderDone:
    """MAIL was answered, and was taken back if it was accepted."""

    reply: Reply


@frozen
class BodyWanted:
    """Give the content by `send_body`."""


@frozen
class TransactionDone:
    """The transaction ended."""

    result: TransactionResult


@frozen
class QuitDone:
    """QUIT was answered."""

    reply: Reply


@frozen
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
    | SenderDone
    | BodyWanted
    | TransactionDone
    | QuitDone
    | ConnectionLost
)
