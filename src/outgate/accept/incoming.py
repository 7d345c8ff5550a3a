"""A message while it arrives: pieces are stored as they fill, so that memory does not grow with the message's size."""

from outgate.mail.dkim import BodyDigest
from outgate.mail.header_check import CheckedHeader, MessageFault, examine, split_message
from outgate.queue import Queue
from outgate.queue.mail_queue import CHUNK_BYTES
from outgate.smtp import Reply


class IncomingMessage:
    """Collects one message. `fault` says why it can't be taken; from then on the rest is thrown away.

    The header must fit into the first piece (256 KiB), which is far above what any client makes.
    """

    def __init__(self, queue: Queue, identity: int) -> None:
        self.identity = identity
        self.examined: CheckedHeader | None = None
        self.header_size = 0
        self.fault: Reply | None = None
        self.chunks = 0
        self._queue = queue
        self._digest = BodyDigest()
        self._pieces: list[bytes] = []
        self._buffered = 0

    def feed(self, data: bytes) -> bool:
        """Take a piece from the wire; True when `spill` is due before the next."""
        if self.fault:
            return False
        self._pieces.append(data)
        self._buffered += len(data)
        return self._buffered >= CHUNK_BYTES

    async def spill(self) -> None:
        """Store what has gathered, in pieces of CHUNK_BYTES; the rest stays in memory."""
        data = b"".join(self._pieces)
        whole = len(data) - len(data) % CHUNK_BYTES
        for start in range(0, whole, CHUNK_BYTES):
            piece = data[start : start + CHUNK_BYTES]
            self._look_at(piece)
            if self.fault:
                return
            await self._queue.add_chunk(self.identity, self.chunks, piece)
            self.chunks += 1
        self._pieces, self._buffered = [data[whole:]], len(data) - whole

    def fail(self, reply: Reply) -> None:
        """The message will be refused with this reply; what has come and what comes yet is thrown away."""
        self.fault = reply
        self._pieces, self._buffered = [], 0

    def end(self) -> bytes:
        """The last piece, when all has come; `examined` or `fault` is set then."""
        data = b"".join(self._pieces)
        if not self.fault:
            self._look_at(data)
            self.chunks += 1
        return data

    def body_digest(self) -> bytes:
        """SHA-256 of the body, for DKIM."""
        return self._digest.digest()

    async def discard(self) -> None:
        """Remove what was stored."""
        if self.chunks:
            await self._queue.discard(self.identity)

    def _look_at(self, piece: bytes) -> None:
        """Examine the header, which is in the first piece, and take the body into the digest."""
        if self.examined is None:
            end = split_message(piece)
            if end is None and len(piece) >= CHUNK_BYTES:
                self.fail(Reply(552, "5.3.4", ("The header is longer than 256 KiB; send fewer or shorter fields",)))
                return
            self.header_size = len(piece) if end is None else end
            try:
                self.examined = examine(piece[: self.header_size])
            except MessageFault as fault:
                self.fail(Reply(550, "5.6.0", (str(fault),)))
                return
            piece = piece[self.header_size :]
        self._digest.update(piece)
