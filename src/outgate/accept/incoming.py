"""A message while it arrives: pieces are stored as they fill, so that memory does not grow with the message's size."""

from outgate.accept.unfinished import UnfinishedBytes
from outgate.mail.dkim import BodyDigest
from outgate.mail.header_check import CheckedHeader
from outgate.queue import Queue
from outgate.queue.mail_queue import CHUNK_BYTES
from outgate.submit import Content, Refusal, RefusalReason
from outgate.submit.whole_message import read_header

TOO_MUCH_UNFINISHED = Refusal(
    RefusalReason.TOO_MANY,
    452,
    "4.3.1",
    "Too much of your other messages has not come whole yet; try again when those are sent",
)


class IncomingMessage:
    """Collects one message. If it can't be taken, the rest is thrown away and `end` says why."""

    def __init__(self, queue: Queue, identity: int, account_id: int, unfinished: UnfinishedBytes) -> None:
        self.identity = identity
        self._queue = queue
        self._account_id, self._unfinished = account_id, unfinished
        self.taken_out = 0  # bytes of what has come
        self._refusal: Refusal | None = None
        self._header: CheckedHeader | None = None
        self._header_size = 0
        self._chunks = 0  # that are stored
        self._counted = 0  # bytes in `unfinished`
        self._digest = BodyDigest()
        self._pieces: list[bytes] = []
        self._buffered = 0

    def beginning(self, data: bytes) -> bytes:
        """What is made of the first piece, which has the header, before anybody looks at it."""
        return data

    def _joined(self) -> bytes:
        data = b"".join(self._pieces)
        return data if self._header or self._refusal else self.beginning(data)

    def feed(self, data: bytes) -> bool:
        """Take a piece from the wire; True when `spill` is due before the next."""
        if self._refusal:
            return False
        self._pieces.append(data)
        self._buffered += len(data)
        return self._buffered >= CHUNK_BYTES

    async def spill(self) -> None:
        """Store what has gathered, in pieces of CHUNK_BYTES; the rest stays in memory."""
        data = self._joined()
        whole = len(data) - len(data) % CHUNK_BYTES
        for start in range(0, whole, CHUNK_BYTES):
            piece = data[start : start + CHUNK_BYTES]
            self._look_at(piece)
            if not self._refusal and not self._unfinished.add(self._account_id, CHUNK_BYTES):
                self.fail(TOO_MUCH_UNFINISHED)
                await self.discard()
            if self._refusal:
                return
            self._counted += CHUNK_BYTES
            await self._queue.add_chunk(self.identity, self._chunks, piece)
            self._chunks += 1
        self._pieces, self._buffered = [data[whole:]], len(data) - whole

    def fail(self, refusal: Refusal) -> None:
        """The message will be refused so; what has come and what comes yet is thrown away."""
        self._refusal = refusal
        self._pieces, self._buffered = [], 0

    def end(self, *, size: int, eight_bit: bool) -> tuple[CheckedHeader, Content] | Refusal:
        """All has come. `size` in bytes and `eight_bit` are what the engine has counted."""
        last_chunk = self._joined()
        if not self._refusal:
            self._look_at(last_chunk)
        if self._refusal:
            return self._refusal
        assert self._header, "looked at, and not refused"
        digest = self._digest.digest()
        size -= self.taken_out
        return self._header, Content(size, self._header_size, self._chunks + 1, digest, eight_bit, last_chunk)

    def leave(self) -> None:
        """It is unfinished no more: it was taken, or is thrown away, or nobody knows and its pieces are swept later."""
        counted, self._counted = self._counted, 0
        self._unfinished.remove(self._account_id, counted)

    async def discard(self) -> None:
        """Remove what was stored."""
        self.leave()
        if self._chunks:
            self._chunks = 0
            await self._queue.discard(self.identity)

    def _look_at(self, piece: bytes) -> None:
        """Read the header, which is in the first piece, and take the body into the digest."""
        if self._header is None:
            outcome = read_header(piece)
            if isinstance(outcome, Refusal):
                self.fail(outcome)
                return
            self._header, self._header_size = outcome
            piece = piece[self._header_size :]
        self._digest.update(piece)
