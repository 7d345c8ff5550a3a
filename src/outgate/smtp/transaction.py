"""One message on its way to a peer: what is asked of the client engine, and how far it is. Knows no connection."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from outgate.smtp.capabilities import Capabilities
from outgate.smtp.commands import mail_command, rcpt_command
from outgate.smtp.reply import Reply


@dataclass(frozen=True, slots=True)
class Addressee:
    """A recipient with its DSN parameters (RFC 3461), which are sent only to a peer that offers DSN."""

    address: str
    notify: str | None = None
    orcpt: str | None = None


@dataclass(frozen=True, slots=True)
class Transaction:
    """One message to hand over. Without `content` the engine asks for it by BodyWanted. `size` in bytes.

    `envid` and the recipients' `orcpt` are in xtext, as they came (RFC 3461 section 4). The lines of the content end
    with CRLF. DATA can't do without one at the very end and adds it; BDAT carries the content exactly as it is.
    """

    reverse_path: str
    recipients: Sequence[Addressee]
    size: int | None = None
    eight_bit: bool = False
    smtputf8: bool = False
    envid: str | None = None
    ret: str | None = None
    content: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class TransactionResult:
    """The peer's replies. `recipients` is empty if MAIL was refused; `final` has one reply, with LMTP one for each
    accepted recipient, and is empty if the content was never offered or nobody was to get it.
    """

    mail: Reply
    recipients: tuple[Reply, ...] = ()
    final: tuple[Reply, ...] = ()


class Progress:
    """A transaction under way: the replies so far, and what they mean."""

    def __init__(self, transaction: Transaction, offered: Capabilities) -> None:
        if not transaction.recipients:
            raise ValueError("a transaction needs a recipient")
        self.content = transaction.content
        self.mail_command = mail_command(transaction.reverse_path, _mail_parameters(transaction, offered))
        self.rcpt_commands = [
            rcpt_command(one.address, _rcpt_parameters(one, offered)) for one in transaction.recipients
        ]
        self.mail: Reply | None = None
        self.recipients: list[Reply] = []
        self.final: list[Reply] = []
        self.offered = False  # DATA was sent, or a first BDAT, or the content was asked for
        self.streaming = False  # the application is to give the content, and has not given all
        self.content_complete = False  # all of it was handed out, its end included
        self.chunk_fault: Reply | None = None  # the first refusal of a BDAT
        self._accepted = 0

    @property
    def accepted(self) -> int:
        """How many recipients the content would go to."""
        return self._accepted if self.mail and self.mail.positive else 0

    @property
    def hopeless(self) -> bool:
        """MAIL or every RCPT was answered, and nobody can get the message."""
        refused = self.mail is not None and not self.mail.positive
        return refused or (len(self.recipients) == len(self.rcpt_commands) and not self.accepted)

    def add_recipient(self, reply: Reply) -> None:
        """The answer to the next RCPT."""
        self.recipients.append(reply)
        self._accepted += reply.positive

    def result(self) -> TransactionResult | None:
        """The replies so far; None before the one to MAIL."""
        if self.mail is None:
            return None
        if not self.mail.positive:
            return TransactionResult(self.mail)
        # Whatever is said of content that nobody gets, it was not delivered.
        final = tuple(self.final) if self.accepted else ()
        return TransactionResult(self.mail, tuple(self.recipients), final)


def _mail_parameters(transaction: Transaction, offered: Capabilities) -> list[str]:
    parameters = []
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


def _rcpt_parameters(recipient: Addressee, offered: Capabilities) -> list[str]:
    parameters = []
    if offered.dsn and recipient.notify:
        parameters.append(f"NOTIFY={recipient.notify}")
    if offered.dsn and recipient.orcpt:
        parameters.append(f"ORCPT={recipient.orcpt}")
    return parameters
