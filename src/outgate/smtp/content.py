"""Message content on the wire: dots stuffed and unstuffed, line ends and lengths checked (RFC 5321 4.5.2, 2.3.8).

Only operations that scan whole buffers in C, since every byte of every message passes here.
"""

from outgate.smtp.reply import Reply

END = b"\r\n.\r\n"


_BARE = Reply(550, "5.6.0", ("The content has a bare CR or LF; lines must end with CRLF",))
_NUL = Reply(550, "5.6.0", ("The content has a NUL byte; encode it (base64)",))


class ContentCheck:
    """Finds what must not be in a content: bare CR or LF, NUL, over-long lines, too many bytes. Fed in any pieces.

    `fault` is the reply to refuse with, of the first fault found. RFC 3463 has no code for bad line ends; 5.6.0 is
    "something about the content"; the 5.6.11 that some servers say is registered nowhere.
    """

    def __init__(self, max_line: int, max_size: int) -> None:
        self.fault: Reply | None = None
        self.eight_bit = False
        self.size = 0
        self._max_line, self._max_size = max_line, max_size
        self._lines = 0
        self._open_line = 0  # bytes of the line that the last piece ended in
        self._cr = False  # the last piece ended in CR
        self._in_body = False  # the empty line behind the header has come

    def feed(self, data: bytes) -> None:
        """Look at the next piece."""
        self.size += len(data)
        if self.fault:
            return
        if self.size > self._max_size:
            self.fault = too_large(self._max_size)
            return
        if not data.isascii():
            self.eight_bit = True
        if self._cr:
            data = b"\r" + data
        self._cr = data.endswith(b"\r")
        if self._cr:
            data = data[:-1]
        self._look_at(data)

    def end(self) -> None:
        """The content is whole: a CR at its very end is bare."""
        if self._cr and not self.fault:
            self.fault = _BARE

    def _look_at(self, data: bytes) -> None:
        # One replacement is several times faster than counting CR, LF and CRLF.
        text = data.replace(b"\r\n", b"")
        if b"\n" in text or b"\r" in text:
            self.fault = _BARE
        elif b"\0" in text:
            self.fault = _NUL
        else:
            in_body = self._in_body or self._header_ends(data, len(data))
            self._measure(data)
            self._in_body = in_body
            self._lines += (len(data) - len(text)) // 2

    def _measure(self, data: bytes) -> None:
        """Leap from line end to line end, each the last one that is near enough: few steps, and none per line."""
        start = -self._open_line
        while len(data) - start > self._max_line:
            end = data.rfind(b"\r\n", max(start, 0), start + self._max_line + 2)
            if end < 0:
                self.fault = self._too_long(data, max(start, 0))
                return
            start = end + 2
        last = data.rfind(b"\r\n", max(start, 0))
        self._open_line = len(data) - (start if last < 0 else last + 2)

    def _too_long(self, data: bytes, start: int) -> Reply:
        """The refusal of the line that begins at `start`, or before this piece."""
        number = self._lines + data.count(b"\n", 0, start) + 1
        words = f"Line {number} of the content is longer than"
        if self._in_body or self._header_ends(data, start):
            return Reply(550, "5.6.0", (f"{words} {self._max_line} bytes; encode it (quoted-printable)",))
        # A field can't be encoded: programs would read the encoding.
        return Reply(550, "5.6.0", (f"{words} {self._max_line} bytes; it is in the header: fold it (RFC 5322 2.2.3)",))

    def _header_ends(self, data: bytes, before: int) -> bool:
        """Whether an empty line stands in the first `before` bytes of this piece."""
        first = self._open_line == 0 and data.startswith(b"\r\n", 0, before)
        return first or data.find(b"\r\n\r\n", 0, before) >= 0


def too_large(max_size: int) -> Reply:
    """The refusal of a message over the limit, declared or counted (RFC 1870 section 6)."""
    return Reply(552, "5.3.4", (f"The message is larger than {max_size} bytes",))


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
