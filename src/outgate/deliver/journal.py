"""The journal copy: a message to the archive with the one that leaves attached, exactly as it leaves (RFC 5322, 2046).

It is put into the queue piece by piece, and counts only together with the note at the original that it is there.
"""

import secrets
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime

from outgate.deliver.delivery import Delivery
from outgate.deliver.transmission import Transmission
from outgate.mail.addresses import canonical
from outgate.mail.dkim import BodyDigest
from outgate.mail.headers import split_fields, value
from outgate.model import Organisation
from outgate.queue import Message, Put, Queue, Recipient
from outgate.queue.mail_queue import CHUNK_BYTES
from outgate.queue.originate import OWN_MAIL
from outgate.queue.queue_id import to_text
from outgate.record import events
from outgate.record.events import MessageEvent
from outgate.route import Route, own_route


async def journal_copy(
    queue: Queue,
    delivery: Delivery,
    transmission: Transmission,
    to: str,
    organisation: Organisation,
    identity: int,
    now: float,
) -> None:
    """Queue the copy; when this returns it is on disk. Raises StoreUnavailable: then there is none."""
    domain = delivery.account.primary.rpartition("@")[2] if delivery.account else ""
    sender, boundary = f"postmaster@{domain}", f"outgate-{secrets.token_hex(16)}"
    text = _told(delivery, _message_id(transmission.header), now)
    eight_bit = transmission.eight_bit or not transmission.header.isascii() or not text.isascii()
    header = _header(sender, to, boundary, eight_bit, delivery, identity, domain, now)
    start = _start(text, boundary, transmission, eight_bit)
    way = own_route(organisation, canonical(to), sender)
    try:
        stored = await _store(queue, identity, header + start, transmission.pieces(), _end(boundary), len(header))
    except BaseException:
        await queue.discard(identity)
        raise
    chunks, last, size, digest = stored
    message = Message(
        id=identity,
        account_id=None,
        chosen_from="",
        reverse_path=sender,
        size=size,
        header_size=len(header),
        chunks=chunks,
        body_digest=digest,
        eight_bit=eight_bit,
        smtputf8=not to.isascii(),
        automatic=True,
        envid=None,
        ret=None,
        protocol="ESMTP",
        received_at=now,
    )
    recorded = _events(delivery, message, to, way, now)
    await queue.put(
        Put(message, (Recipient(0, to, way.queue),), last, recorded, due_at=now, journal_of=delivery.item.message.id)
    )


async def _store(
    queue: Queue, identity: int, start: bytes, pieces: AsyncIterator[bytes], end: bytes, header_size: int
) -> tuple[int, bytes, int, bytes]:
    """Store all but the last chunk; returns the number of chunks, the last one, the size, and the body's digest."""
    digest, size, number = BodyDigest(), len(start), 0
    digest.update(start[header_size:])
    buffer = bytearray(start)
    async for piece in _chain(pieces, end):
        digest.update(piece)
        size += len(piece)
        buffer += piece
        while len(buffer) > CHUNK_BYTES:
            await queue.add_chunk(identity, number, bytes(buffer[:CHUNK_BYTES]))
            del buffer[:CHUNK_BYTES]
            number += 1
    return number + 1, bytes(buffer), size, digest.digest()


async def _chain(pieces: AsyncIterator[bytes], end: bytes) -> AsyncIterator[bytes]:
    async for piece in pieces:
        yield piece
    yield end


def _header(
    sender: str, to: str, boundary: str, eight_bit: bool, delivery: Delivery, identity: int, domain: str, now: float
) -> bytes:
    count = len(delivery.item.recipients)
    lines = [
        f"From: {sender}",
        f"To: {to}",
        f"Subject: Journal: {to_text(delivery.item.message.id)} to {count} recipient{'' if count == 1 else 's'}",
        f"Date: {_date(now)}",
        f"Message-ID: <{to_text(identity)}@{domain}>",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/mixed; boundary="{boundary}"',
        f"Content-Transfer-Encoding: {'8bit' if eight_bit else '7bit'}",
    ]
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n"


def _start(text: str, boundary: str, transmission: Transmission, eight_bit: bool) -> bytes:
    """The part that tells, and the header of the part with the message: message/global if that is UTF-8 (RFC 6532)."""
    encoding = "8bit" if eight_bit else "7bit"
    kind = "message/rfc822" if transmission.header.isascii() else "message/global"
    return (
        f"--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
        f"{text}\r\n--{boundary}\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n"
        'Content-Disposition: attachment; filename="message.eml"\r\n\r\n'
    ).encode()


def _end(boundary: str) -> bytes:
    return f"\r\n--{boundary}--\r\n".encode()


def _message_id(header: bytes) -> str:
    fields = split_fields(header.removesuffix(b"\r\n") if header.endswith(b"\r\n\r\n") else header)
    found = next((field for field in fields if field.name == b"message-id"), None)
    return " ".join(value(found).decode("utf-8", "replace").split())[:900] if found else ""


def _told(delivery: Delivery, message_id: str, now: float) -> str:
    gateway = delivery.route.gateway
    pairs: Sequence[tuple[str, str]] = [
        ("Account", delivery.account.primary if delivery.account else ""),
        ("MAIL FROM", delivery.route.reverse_path),
        *(("Recipient", one.address) for one in delivery.item.recipients),
        ("Gateway", f"{gateway.host}:{gateway.port}" if gateway else ""),
        ("Queue id", to_text(delivery.item.message.id)),
        ("Message-ID", message_id),
        ("Accepted", _date(delivery.item.message.received_at)),
        ("Copied", _date(now)),
    ]
    return "".join(f"{name}: {value}\r\n" for name, value in pairs)


def _events(delivery: Delivery, message: Message, to: str, way: Route, now: float) -> list[MessageEvent]:
    accepted = events.accepted(
        message.id,
        now,
        account=OWN_MAIL,
        header_from=[],
        reverse_path=message.reverse_path,
        recipients=[to],
        size=message.size,
        peer="",
        protocol="",
        rfc822_message_id="",
    )
    routed = events.routed(
        message.id, now, recipients=[to], way=way.kind.value, queue=str(way.queue), reasons=way.reasons
    )
    return [accepted, routed, events.journalled(delivery.item.message.id, now, copy=to_text(message.id), to=to)]


def _date(at: float) -> str:
    return format_datetime(datetime.fromtimestamp(int(at), UTC))
