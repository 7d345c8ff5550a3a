"""Messages as files and programs have them, with the line ends of the wire. Pure."""


def with_crlf(raw: bytes) -> bytes:
    """A message whose lines end in any way, with CRLF at the end of each, the last one too."""
    lines = raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return lines if lines.endswith(b"\r\n") else lines + b"\r\n"
