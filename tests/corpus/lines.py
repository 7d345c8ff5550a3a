"""Specimens about lines: their length, their dots, where the body begins and ends, and how large it may be."""

from corpus.specimen import (
    Draft,
    base64_entity,
    entity,
    letter,
    lines,
    multipart,
    named,
    plain,
    prose,
    seeded,
    specimen,
)

MIB = 1024 * 1024


@specimen
def short_note(sender: str) -> Draft:
    return plain(sender, "Lunch", lines("Twelve at the usual place?", "", "A."))


@specimen
def lines_of_998_bytes(sender: str) -> Draft:
    """The longest that RFC 5322 2.1.1 allows, in header and body, some of them beginning with dots."""
    body = lines(b"x" * 998, b"." + b"y" * 997, b"." * 998, b" " * 998, b"z" * 997 + b".", "end")
    return plain(sender, "Long lines", body, b"X-Long: " + b"h" * 990, b"X-Folded: begin\r\n " + b"f" * 997)


@specimen
def eight_bit_lines_of_998_bytes(sender: str) -> Draft:
    text = ("è" * 499).encode()
    return plain(
        sender,
        "Long lines in UTF-8",
        lines(text, b"." + text[:-2] + b"!", text),
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 8bit",
    )


@specimen
def leading_dots(sender: str) -> Draft:
    return plain(sender, "Dots", lines(".", "..", ".foo", "", ".", "...", " .", ". ", ".\t", "a.", ".", "..", "..bar"))


@specimen
def only_a_dot(sender: str) -> Draft:
    return plain(sender, "One dot", b".\r\n")


@specimen
def ends_in_a_dot_without_crlf(sender: str) -> Draft:
    return plain(sender, "Ends in a dot", b"The end\r\n.")


@specimen
def smtp_commands_in_the_body(sender: str) -> Draft:
    """A server that ended DATA too early would obey these."""
    commands = ("RSET", "MAIL FROM:<mallory@evil.example>", "RCPT TO:<bob@destinatario.example>", "DATA", "..", "QUIT")
    return plain(sender, "How SMTP works", lines("It goes like this:", "", "..", *commands, "BDAT 3 LAST", "250 OK"))


@specimen
def empty_body(sender: str) -> Draft:
    return plain(sender, "(eom)", b"")


@specimen
def header_only(sender: str) -> Draft:
    """Not even the empty line: RFC 5322 3.5 makes the body optional."""
    return Draft(letter(sender, "No empty line"))


@specimen
def no_final_crlf(sender: str) -> Draft:
    return plain(sender, "Cut off", prose("no final crlf", 5) + b"and no line end")


@specimen
def only_blank_lines(sender: str) -> Draft:
    return plain(sender, "Nothing to say", b"\r\n" * 7)


@specimen
def many_trailing_blank_lines(sender: str) -> Draft:
    return plain(sender, "Blank lines below", prose("trailing", 3) + b"\r\n" * 9000)


@specimen
def leading_blank_lines(sender: str) -> Draft:
    return plain(sender, "Blank lines above", b"\r\n" * 40 + prose("leading", 3))


@specimen
def trailing_white_space(sender: str) -> Draft:
    return plain(sender, "White space", lines("words \t ", "\t", "   ", "-- ", "Alice  ", " "))


@specimen
def control_characters(sender: str) -> Draft:
    """All of US-ASCII but NUL, CR and LF: form feeds, escapes, DEL."""
    text = bytes([code for code in range(1, 128) if code not in b"\r\n"])
    return plain(sender, "Control characters", lines(text, text[::-1], b"\x1a", b"\x04", b"\x0c", b"\x1b[2J"))


@specimen
def many_short_lines(sender: str) -> Draft:
    return plain(sender, "A column", b"".join([b"%d\r\n" % number for number in range(30_000)]))


@specimen
def attachment_of_25_mib(sender: str) -> Draft:
    text = entity("text/plain; charset=us-ascii", lines("The drawings, 25 MiB."))
    drawings = base64_entity("application/zip", seeded("drawings").randbytes(25 * MIB), "drawings.zip")
    head = letter(sender, "Drawings", 'Content-Type: multipart/mixed; boundary="=_25MiB"')
    return Draft(head + b"\r\n" + multipart("=_25MiB", text, drawings))


@specimen
def hundred_recipients(sender: str) -> Draft:
    recipients = [f"member{number:03}@destinatario.example" for number in range(100)]
    to = ",\r\n\t".join(recipients)
    return Draft(letter(sender, "To everybody", to=to) + b"\r\n" + prose("hundred", 6), recipients)


# --- dots where a reader's buffer ends -------------------------------------------------------------------------------

_DOTS = b"\r\n.\r\n..\r\n.x"  # what a reader could take for the end of DATA, or unstuff twice or not at all
_COUNT = 15  # one more than the bytes of _DOTS as DATA sends them: each comes to stand first behind a boundary


def _dots_at(sender: str, step: int, *, wire: bool) -> Draft:
    """Dots across `_COUNT` successive multiples of `step`, one byte further each time.

    Counted in the content or, with `wire`, in what DATA sends: there each line that begins with a dot is one longer.
    """
    raw = letter(sender, f"Dots at {step}") + b"\r\n"
    parts, position = [raw], len(raw)
    for shift in range(_COUNT):
        target = (position // step + 1) * step - shift
        if target < position:
            target += step
        filler = _filler(target - position)
        parts += [filler, _DOTS]
        position = target + len(_DOTS) + (3 if wire else 0)
    return Draft(b"".join([*parts, b"\r\nend\r\n"]))


def _filler(size: int) -> bytes:
    """Lines of 78 characters, the last without its end."""
    whole, rest = divmod(size, 80)
    return (b"-" * 78 + b"\r\n") * whole + b"-" * rest


for _step in (4096, 65536, 262144):
    named(f"dots_at_{_step}", lambda sender, step=_step: _dots_at(sender, step, wire=False))  # type: ignore[misc]  # a default binds the loop's value
    named(f"dots_at_{_step}_on_the_wire", lambda sender, step=_step: _dots_at(sender, step, wire=True))  # type: ignore[misc]  # as above
