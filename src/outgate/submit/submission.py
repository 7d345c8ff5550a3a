"""What somebody asks to have sent: the account, the envelope, what is known of the content. Data only."""

from collections.abc import Iterator, Sequence
from dataclasses import field

from outgate.frozen import frozen
from outgate.mail.header_check import CheckedHeader
from outgate.model import Account


@frozen
class MessageLimits:
    """What one message may have, from the configuration: bytes, bytes of a line without its CRLF, recipients, and
    Received fields (more mean a loop)."""

    message_bytes: int
    line_bytes: int
    recipients: int
    received: int


@frozen
class EnvelopeRecipient:
    """One RCPT. `notify` and `orcpt` are the parameters of RFC 3461 as the client wrote them."""

    address: str
    notify: str | None = None
    orcpt: str | None = None


@frozen
class Envelope:
    """Who sends to whom. `reverse_path` is empty for a null sender; `ret` and `envid` are those of RFC 3461.

    `peer` is the client's IP address, empty for what came by no connection; `protocol` a word of the IANA registry of
    mail transmission types (RFC 3848), for the Received field. `hold_until` is when it may leave (RFC 4865), in seconds
    since the epoch; `require_tls` is RFC 8689's.
    """

    reverse_path: str
    recipients: Sequence[EnvelopeRecipient]
    protocol: str
    peer: str = ""
    smtputf8: bool = False
    envid: str | None = None
    ret: str | None = None
    hold_until: float | None = None
    require_tls: bool = False


@frozen
class Content:
    """The message's bytes: what is known of them, and those that are not stored yet. Sizes in bytes.

    It lies in `chunks` pieces of at most queue.mail_queue.CHUNK_BYTES, the header within the first. The last is here;
    those before it are in `earlier_chunks`, or in the store already where they were written as they came.
    """

    size: int
    header_size: int
    chunks: int
    body_digest: bytes
    eight_bit: bool
    last_chunk: bytes = field(repr=False)
    earlier_chunks: Sequence[bytes] = field(default=(), repr=False)

    @property
    def stored_chunks(self) -> int:
        """How many pieces, from the first, are in the store and not here."""
        return self.chunks - 1 - len(self.earlier_chunks)

    def pieces(self) -> Iterator[bytes]:
        """The pieces that are here, in order."""
        yield from self.earlier_chunks
        yield self.last_chunk


@frozen
class Submission:
    """One message that an account wants sent. `identity` is its queue id (queue.queue_id); `at` when it had come whole,
    in seconds since the epoch; `version` that of the directory which says this of the account, where it is known."""

    identity: int
    at: float
    account: Account
    envelope: Envelope
    header: CheckedHeader
    content: Content
    version: int | None = None
