"""Message content on the wire: dots stuffed and unstuffed, line ends and lengths checked (RFC 5321 4.5.2, 2.3.8).

Only operations that scan whole buffers in C, since every byte of every message passes here.
"""

from outgate.smtp.reply import Reply

END = b"\r\n.\r\n"


class ContentCheck:
    """Finds what must not be in a content: bare CR or LF, NUL, over-long lines. Fed in any pieces.

    `fault` is the reply to refuse with, of the first fault found.
    """

    def __init__(self, max_line: int) -> None:
        self.fault: Reply | None = None
        self.eight_bit = False
        self.size = 0
        self._max_line = max_line
        self._lines = 0
        self._open_line = 0  # bytes of the line that the last piece ended in
        self._cr = False  # the last piece ended in CR

    def feed(self, data: bytes) -> None:
        """Look at the next piece."""
        self.size += len(data)
        if self.fault:
            return
        if not data.isascii():
            self.eight_bit = True
        if self._cr:
            data = b"\r" + data
        self._cr = data.endswith(b"\r")
        if self._cr:
            data = data[:-1]
        ends = data.count(b"\r\n")
        if ends != data.count(b"\n") or ends != data.count(b"\r"):
            self.fault = Reply(550, "5.6.11", ("The content has a bare CR or LF; lines must end with CRLF",))
        elif b"\0" in data:
            self.fault = Reply(550, "5.6.0", ("The content has a NUL byte; encode it (base64)",))
        else:
            self._measure(data)

    def end(self) -> None:
        """The content is whole: a CR at its very end is bare."""
        if self._cr and not self.fault:
            self.fault = Reply(550, "5.6.11", ("The content has a bare CR or LF; lines must end with CRLF",))

    def _measure(self, data: bytes) -> None:
        lines = data.split(b"\r\n")
        lengths = list(map(len, lines))
        lengths[0] += self._open_line
        self._open_line = lengths[-1]
        if max(lengths) > self._max_line:
            number = self._lines + next(n for n, length in enumerate(lengths, 1) if length > self._max_line)
            text = f"Line {number} of the content is longer than {self._max_line} bytes; encode it (quoted-printable)"
            self.fault = Reply(550, "5.6.0", (text,))
        self._lines += len(lines) - 1


class DotReader:
    """Takes what follows DATA out of the stream: content without stuffing, up to CRLF.CRLF and nothing else."""

    def __init__(self) -> None:
        # The line end of the DATA command counts as the one before the first line, so an empty content ends alike.
        self._held = b"\r\n"
        self._first = True
        self.done = False

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """The content that is certain now, and, once `done`, the bytes that come after it."""
        data = self._held + data
        end = data.find(END)
        if end >= 0:
            self.done = True
            return self._release(data[: end + 2]), data[end + len(END) :]
        # What could be the beginning of the end, or of a stuffed dot, stays: at most CR LF . CR.
        keep = next((n for n in (4, 3, 2, 1) if data.endswith(END[:n])), 0)
        certain = len(data) - keep
        self._held = data[certain:]
        return self._release(data[:certain]), b""

    def _release(self, stuffed: bytes) -> bytes:
        """`stuffed` begins with the CRLF that ended the line before, or in the middle of a line."""
        if b"\r\n." in stuffed:
            stuffed = stuffed.replace(b"\r\n.", b"\r\n")
        if self._first and len(stuffed) >= 2:
            self._first = False
            return stuffed[2:]
        return stuffed


class DotWriter:
    """Stuffs dots for DATA."""

    def __init__(self) -> None:
        self._tail = b"\r\n"  # the end of what was written

    def feed(self, data: bytes) -> bytes:
        """The next piece as it goes over the wire."""
        if not data:
            return b""
        stuffed = data
        if b"\r\n." in data:
            stuffed = stuffed.replace(b"\r\n.", b"\r\n..")
        if data.startswith(b".") and self._tail == b"\r\n":
            stuffed = b"." + stuffed
        elif data.startswith(b"\n.") and self._tail.endswith(b"\r"):
            stuffed = b"\n." + stuffed[1:]
        self._tail = (self._tail + data[-2:])[-2:]
        return stuffed

    def end(self) -> bytes:
        """What ends the content; a last line without a line end gets one (RFC 5321 section 4.1.1.4)."""
        return b".\r\n" if self._tail == b"\r\n" else END
