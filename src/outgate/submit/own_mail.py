"""Mail that the organisation itself sends: delivery reports, confirmation codes, journal copies, TLS reports.

No account is behind it, and no policy; it takes the organisation's own ways.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

from outgate.mail.dkim import BodyDigest
from outgate.mail.header_check import split_message
from outgate.model import Organisation, TlsDemand
from outgate.queue import Put, Queue
from outgate.queue.mail_queue import CHUNK_BYTES
from outgate.store.engine import StoreUnavailable
from outgate.submit.queue_entry import originated
from outgate.submit.submission import Content, Envelope, EnvelopeRecipient
from outgate.submit.whole_message import content_of

PROTOCOL = "ESMTP"  # for the Received field: it comes by none


def originate(
    identity: int,
    raw: bytes,
    reverse_path: str,
    recipients: Sequence[str],
    organisation: Organisation,
    at: float,
    tls_demand: TlsDemand = TlsDemand.USUAL,
) -> Put:
    """The entry of a whole message (RFC 5322) of any size but for its header, which must be within 256 KiB."""
    header_size = split_message(raw) or len(raw)
    envelope = _envelope(reverse_path, recipients, raw[:header_size])
    return originated(identity, at, envelope, content_of(raw, header_size), organisation, tls_demand=tls_demand)


async def originate_pieces(
    queue: Queue,
    identity: int,
    header: bytes,
    body: AsyncIterator[bytes],
    reverse_path: str,
    recipients: Sequence[str],
    organisation: Organisation,
    at: float,
    journal_of: int | None = None,
) -> None:
    """Queue a message whose body comes in pieces; memory does not grow with its size. When this returns it is on disk.

    Raises StoreUnavailable, and whatever `body` raises: then nothing of it stays.
    """
    envelope = _envelope(reverse_path, recipients, header)
    try:
        content = await _stored(queue, identity, header, body)
        await queue.put(originated(identity, at, envelope, content, organisation, journal_of))
    except BaseException:
        with suppress(StoreUnavailable):  # then they are swept at the next start
            await queue.discard(identity)
        raise


def _envelope(reverse_path: str, recipients: Sequence[str], header: bytes) -> Envelope:
    """It asks for SMTPUTF8 where its header or a recipient needs that (RFC 6531 section 3.4)."""
    utf8 = not header.isascii() or not all(one.isascii() for one in recipients)
    return Envelope(reverse_path, [EnvelopeRecipient(one) for one in recipients], PROTOCOL, smtputf8=utf8)


async def _stored(queue: Queue, identity: int, header: bytes, body: AsyncIterator[bytes]) -> Content:
    """Store all but the last chunk."""
    digest, size, number, eight_bit = BodyDigest(), len(header), 0, not header.isascii()
    buffer = bytearray(header)
    async for piece in body:
        digest.update(piece)
        size += len(piece)
        eight_bit = eight_bit or not piece.isascii()
        buffer += piece
        while len(buffer) > CHUNK_BYTES:
            await queue.add_chunk(identity, number, bytes(buffer[:CHUNK_BYTES]))
            del buffer[:CHUNK_BYTES]
            number += 1
    return Content(size, len(header), number + 1, digest.digest(), eight_bit, bytes(buffer))
