"""One message on its way to a peer: what is asked of the client engine, and what came of it. Knows no connection."""

from collections.abc import Sequence
from dataclasses import field

from outgate.frozen import frozen
from outgate.smtp.reply import Reply


@frozen
class Addressee:
    """A recipient with its DSN parameters (RFC 3461), which are sent only to a peer that offers DSN."""

    address: str
    notify: str | None = None
    orcpt: str | None = None


@frozen
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
    require_tls: bool = False  # RFC 8689: only for a peer that offers it


@frozen
class TransactionResult:
    """The peer's replies. `recipients` is empty if MAIL was refused; `final` has one reply, with LMTP one for each
    accepted recipient, and is empty if the content was never offered or nobody was to get it.

    Without `content_complete` the content was not handed out whole: nothing was delivered, whatever was said.
    `bdat_refused` says that the peer offered CHUNKING and does not know BDAT: by DATA it may take the message.
    """

    mail: Reply
    recipients: tuple[Reply, ...] = ()
    final: tuple[Reply, ...] = ()
    content_complete: bool = False
    bdat_refused: bool = False
