"""Specimens about MIME: alternatives, related images, nested multiparts, forwarded messages, invitations, encodings."""

import binascii
from textwrap import wrap

from corpus.specimen import (
    Draft,
    base64_entity,
    entity,
    letter,
    lines,
    message_id,
    multipart,
    picture,
    plain,
    prose,
    seeded,
    specimen,
)

TEXT = "text/plain; charset=utf-8"


@specimen
def html_and_text(sender: str) -> Draft:
    text = entity(TEXT, prose("alternative", 8), "Content-Transfer-Encoding: 7bit")
    html = entity("text/html; charset=utf-8", _page("alternative"), "Content-Transfer-Encoding: 7bit")
    return _multipart(sender, "Offer", "alternative", "----=_NextPart_000_0001", text, html)


@specimen
def newsletter_with_inline_images(sender: str) -> Draft:
    page = entity(
        "text/html; charset=utf-8",
        _quoted_printable(_page("news").decode().replace("\r\n", "\n") + "© Città"),
        QUOTED_PRINTABLE,
    )
    images = [_inline(f"image{number}@dominiopartner.example") for number in range(4)]
    related = _nested("related; type=text/html", "=-related-=", page, *images)
    return _multipart(
        sender,
        "Spring offers",
        "alternative",
        "=-alternative-=",
        entity(TEXT, prose("news", 12)),
        related,
        fields=(
            "List-Unsubscribe: <https://dominiopartner.example/u/1>",
            "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
        ),
    )


@specimen
def nested_six_deep(sender: str) -> Draft:
    inner = entity(TEXT, lines("At the bottom.", ".", ".."))
    for depth in range(6):
        kind = ("mixed", "alternative", "related")[depth % 3]
        inner = _nested(kind, f"level-{depth}", entity(TEXT, prose(f"level {depth}", 2)), inner)
    return _multipart(
        sender, "Nested", "mixed", "level", inner, preamble=lines("This is MIME."), epilogue=lines("Bye", ".")
    )


@specimen
def boundaries_that_resemble_each_other(sender: str) -> Draft:
    """One boundary is the beginning of the other, and text between them looks like both."""
    inner = _nested("mixed", "abc--def", entity(TEXT, lines("--abc-", "--abc --", "- --abc")))
    return _multipart(sender, "Boundaries", "mixed", "abc", inner, entity("text/plain", b""), b"\r\nno header at all")


@specimen
def forwarded_message(sender: str) -> Draft:
    """With a Bcc and a Sender inside, which are body and stay."""
    inner = Draft(
        letter("carla@altrove.example", "Original", "Bcc: x@altrove.example", "Sender: y@altrove.example")
        + b"\r\n"
        + prose("inner", 4)
    )
    forwarded = entity("message/rfc822", inner.raw, "Content-Disposition: inline")
    return _multipart(sender, "Fwd: Original", "mixed", "fwd", entity(TEXT, lines("See below.")), forwarded)


@specimen
def forwarded_as_the_whole_body(sender: str) -> Draft:
    inner = letter("carla@altrove.example", "Inner") + b"\r\n" + prose("whole", 4)
    return plain(sender, "Fwd: Inner", inner, "Content-Type: message/rfc822")


@specimen
def calendar_invitation(sender: str) -> Draft:
    event = lines(
        "BEGIN:VCALENDAR",
        "PRODID:-//Partner//Calendar 7//EN",
        "VERSION:2.0",
        "METHOD:REQUEST",
        "BEGIN:VEVENT",
        "UID:4711@dominiopartner.example",
        "DTSTAMP:20260303T080000Z",
        "DTSTART;TZID=Europe/Rome:20260310T100000",
        f"ORGANIZER;CN=Alice:mailto:{sender}",
        "ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:bob@destinatario.example",
        "SUMMARY:Riunione\\, sala tre",
        "DESCRIPTION:Bring the drawings\\nand the plan\\; the old one will no",
        " t do.",
        "END:VEVENT",
        "END:VCALENDAR",
    )
    invitation = entity("text/calendar; charset=utf-8; method=REQUEST", event, "Content-Transfer-Encoding: 8bit")
    choices = _nested("alternative", "cal-alt", entity(TEXT, prose("invitation", 3)), invitation)
    attached = base64_entity("application/ics", event, "invite.ics")
    return _multipart(sender, "Invitation: Riunione", "mixed", "cal", choices, attached)


@specimen
def format_flowed(sender: str) -> Draft:
    flowed = lines(
        "This paragraph is one line to the ",
        "reader, in three pieces ",
        "here.",
        "",
        "> quoted ",
        "> text",
        " >x",
        "-- ",
    )
    return plain(sender, "Flowed", flowed, "Content-Type: text/plain; charset=us-ascii; format=flowed; delsp=yes")


@specimen
def quoted_printable(sender: str) -> Draft:
    text = "Perché no? Già fatto.\n=2E at the start\n.\n..\nTrailing space \nFrom here\n" + "é" * 300
    return plain(sender, "Quoted", _quoted_printable(text), f"Content-Type: {TEXT}", QUOTED_PRINTABLE)


@specimen
def base64_text(sender: str) -> Draft:
    text = base64_entity("text/plain; charset=utf-8", "Tutto in base64: è più sicuro.\r\n".encode() * 60)
    return Draft(letter(sender, "Base64") + text)


@specimen
def base64_in_one_line_each(sender: str) -> Draft:
    """Sloppy encoders: lines of other lengths than 76, blank lines within."""
    text = binascii.b2a_base64(seeded("sloppy").randbytes(4000), newline=False).decode()
    sloppy = lines(*wrap(text[:2000], 60), "", *wrap(text[2000:], 988))
    return Draft(
        letter(sender, "Sloppy base64")
        + entity("application/octet-stream", sloppy, "Content-Transfer-Encoding: base64")
    )


@specimen
def uuencoded_file(sender: str) -> Draft:
    data = seeded("uuencode").randbytes(4500)
    encoded = [binascii.b2a_uu(data[start : start + 45]).rstrip(b"\n") for start in range(0, len(data), 45)]
    return plain(sender, "The old way", lines("begin 644 notes.tar.Z", *encoded, "`", "end"))


@specimen
def attachments_of_many_kinds(sender: str) -> Draft:
    parts = [
        entity(TEXT, prose("kinds", 2)),
        base64_entity("application/pdf", b"%PDF-1.7\r\n" + seeded("pdf").randbytes(60_000), "Plan 1.pdf"),
        base64_entity("image/png", picture("kinds"), "a;b.png"),
        entity("text/csv", lines("a;b", "1;2"), "Content-Disposition: attachment;\r\n filename*=UTF-8''citt%C3%A0.csv"),
        entity(
            "text/x-patch",
            lines("--- a/x", "+++ b/x", "@@ -1 +1 @@", "-.", "+..", "-- ", "2.39"),
            "Content-Disposition: inline",
        ),
        entity(
            'message/external-body; access-type=URL; URL="https://altrove.example/x"',
            lines("Content-Type: text/plain", ""),
        ),
        entity("application/octet-stream", b""),
    ]
    return _multipart(sender, "Attachments", "mixed", "kinds", *parts)


@specimen
def read_receipt_request(sender: str) -> Draft:
    return plain(
        sender,
        "Please confirm",
        prose("receipt", 2),
        "X-Priority: 1 (Highest)",
        "Importance: High",
        "Disposition-Notification-To: reception@altrove.example",
        "Thread-Index: AdpTz0kA",
        f"In-Reply-To: {message_id('before')}",
        "Autocrypt: addr=x@altrove.example; prefer-encrypt=mutual; keydata=\r\n"
        + "\r\n".join([" " + "mDME" * 18] * 12),
    )


QUOTED_PRINTABLE = "Content-Transfer-Encoding: quoted-printable"


def _multipart(
    sender: str,
    subject: str,
    kind: str,
    boundary: str,
    *parts: bytes,
    fields: tuple[str, ...] = (),
    preamble: bytes = b"",
    epilogue: bytes = b"",
) -> Draft:
    head = letter(sender, subject, *fields, f'Content-Type: multipart/{kind};\r\n boundary="{boundary}"')
    return Draft(head + b"\r\n" + multipart(boundary, *parts, preamble=preamble, epilogue=epilogue))


def _nested(kind: str, boundary: str, *parts: bytes) -> bytes:
    return entity(f'multipart/{kind}; boundary="{boundary}"', multipart(boundary, *parts))


def _page(name: str) -> bytes:
    paragraphs = [b"<p>" + prose(f"{name} {number}", 4).rstrip() + b"</p>" for number in range(5)]
    image = '<img alt="" src="cid:image0@dominiopartner.example">'
    return lines("<!DOCTYPE html>", "<html><head><style>", ".title { margin: 0 }", "</style><body>", image, *paragraphs)


def _inline(content_id: str) -> bytes:
    return base64_entity(
        "image/png", picture(content_id), None, f"Content-ID: <{content_id}>", "Content-Disposition: inline"
    )


def _quoted_printable(text: str) -> bytes:
    return binascii.b2a_qp(text.encode(), istext=True).replace(b"\n", b"\r\n") + b"\r\n"
