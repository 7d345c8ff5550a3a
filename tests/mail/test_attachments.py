"""Attachments found while a message streams by, compared with what the stdlib's parser finds."""

import contextlib
import email
import email.policy
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.messages import specimens
from corpus.specimen import Specimen
from outgate.compliance.attachment_policy import refuses_attachments
from outgate.mail.attachments import MAX_DEPTH, Attachment, Scanner, TooComplex
from outgate.model import Policy


def scan(raw: bytes, step: int = 65536) -> list[Attachment]:
    scanner = Scanner()
    for start in range(0, len(raw), step):
        scanner.feed(raw[start : start + step])
    return scanner.attachments()


def message(*files: tuple[str, str, bytes]) -> EmailMessage:
    made = EmailMessage(policy=email.policy.SMTP)
    made["From"] = "alice@dominiopartner.example"
    made.set_content("Hello\n")
    made.add_alternative("<p>Hello</p>", subtype="html")
    for name, media_type, content in files:
        maintype, _, subtype = media_type.partition("/")
        made.add_attachment(content, maintype=maintype, subtype=subtype, filename=name)
    return made


@pytest.mark.parametrize("step", [1, 7, 1000, 10**6])
def test_names_types_and_sizes_however_the_bytes_come(step: int) -> None:
    raw = message(("a.pdf", "application/pdf", b"x" * 5000), ("Größe.exe", "text/plain", b"y" * 10)).as_bytes()
    assert scan(raw, step) == [
        Attachment("a.pdf", "application/pdf", 5000),
        Attachment("Größe.exe", "text/plain", 10),
    ]


def test_fields_that_the_parser_can_not_read_are_refused() -> None:
    with pytest.raises(TooComplex, match="can't be read"):
        scan(b"Content-Type: application/octet-stream; name*; name*1\r\n\r\nx\r\n")


def test_a_line_without_end_is_not_held_back_for_ever() -> None:
    name = b'Content-Disposition: attachment; filename="a.bin"\r\n\r\n'
    assert [one.size for one in scan(name + b"x" * 300_000)] == [300_000]


def test_a_message_without_attachments_has_none() -> None:
    assert scan(message().as_bytes()) == []
    assert scan(b"From: a@b.example\r\n\r\nHello\r\n") == []
    assert scan(b"") == []


def test_what_is_in_an_attached_message_counts_too() -> None:
    inner = message(("virus.exe", "application/octet-stream", b"z" * 300))
    outer = message()
    outer.add_attachment(inner)
    found = scan(outer.as_bytes())
    assert [one.media_type for one in found] == ["application/octet-stream", "message/rfc822"]
    assert found[0] == Attachment("virus.exe", "application/octet-stream", 300)
    assert found[1].size > 300


def test_a_name_in_encoded_words_is_read_as_programs_do() -> None:
    raw = (
        b"Content-Type: application/octet-stream\r\n"
        b'Content-Disposition: attachment; filename="=?utf-8?B?aW52b2ljZS5leGU=?="\r\n\r\nMZ\r\n'
    )
    assert scan(raw)[0].filename == "invoice.exe"


def test_quoted_printable_is_counted_as_decoded() -> None:
    made = EmailMessage(policy=email.policy.SMTP)
    made.set_content("é" * 1000 + "\n", cte="quoted-printable")
    made["Content-Disposition"] = "attachment; filename=a.txt"
    assert abs(scan(made.as_bytes())[0].size - 2002) <= 4


def test_nesting_without_end_is_refused() -> None:
    raw = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(MAX_DEPTH + 1)
    )
    with pytest.raises(TooComplex):
        scan(raw)


def test_parts_without_end_are_refused() -> None:
    with pytest.raises(TooComplex):
        scan(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 3000)


@pytest.mark.parametrize("specimen", specimens("alice@dominiopartner.example"), ids=lambda one: one.name)
def test_of_real_messages_it_finds_what_the_standard_library_finds(specimen: Specimen) -> None:
    found = scan(specimen.raw)
    assert found == scan(specimen.raw, 4099)
    parsed = email.message_from_bytes(specimen.raw, policy=email.policy.default)
    files = [one for one in parsed.walk() if not one.is_multipart() and one.get_content_maintype() != "text"]
    assert [one.media_type for one in found if not one.media_type.startswith(("text/", "message/"))] == [
        one.get_content_type() for one in files if one.get_content_maintype() != "message"
    ]
    assert {one.filename for one in found if one.filename} == {
        name for one in parsed.walk() if (name := one.get_filename())
    }


def part(*fields: str, body: str = "MZ") -> bytes:
    return ("".join(f"{field}\r\n" for field in fields) + f"\r\n{body}\r\n").encode()


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (part("Content-Type: a/b" + ";" * 200), "parameters"),
        (part("Content-Type: a/b; name=" + "x" * 5000), "too long"),
        (b"a:b\r\n" * 300_000, "too long"),
        (part("Content-Disposition: attachment; filename*=idna''%FF.exe"), "unknown character set"),
        (
            part("Content-Type: a/b; name=a.pdf", "Content-Type: a/b; name=a.exe"),
            "more than once",
        ),
        (part("Content-Type: message/rfc822", "Content-Transfer-Encoding: base64"), "is encoded"),
    ],
)
def test_what_takes_long_or_can_be_read_in_two_ways_is_refused(raw: bytes, why: str) -> None:
    with pytest.raises(TooComplex, match=why):
        scan(raw)


@pytest.mark.parametrize(
    "fields",
    [
        ["Content-Type: a/b; name=tool.exe"],
        ["Content-Type: a/b; name=fine.pdf", "Content-Disposition: attachment; filename=tool.exe"],
        ["Content-Type: a/b; name=tool.exe", "Content-Disposition: attachment; filename=fine.pdf"],
        ["Content-Type: a/b;\r\n name*0=tool;\r\n name*1=.exe"],
        ["Content-Disposition: inline; filename*=utf-8''t%6fol%2Ee%78e"],
        ["Content-Type: text/plain; name=TOOL.EXE."],
        ['Content-Disposition: attachment; filename="tool.e=?utf-8?q?x?=e"'],
        ['Content-Disposition: attachment; filename="tool\uff0e\uff45\uff58\uff45"'],
        ["Content-Disposition: attachment; filename*=utf-8''tool.exe%E2%80%8B"],
    ],
)
def test_an_ending_is_seen_in_whatever_form(fields: list[str]) -> None:
    denied = Policy(refused_attachments=(".exe",), sources={"refused_attachments": "/Sales"})
    reason = refuses_attachments(denied, scan(part(*fields)))
    assert reason is not None
    assert reason.endswith("'.exe' is on the list deniedAttachmentTypes (from unit /Sales)".replace("'", ""))


def test_a_message_in_a_digest_needs_no_type() -> None:
    inner = part("Subject: Tool", "Content-Type: application/zip; name=x.zip").decode()
    raw = part("Content-Type: multipart/digest; boundary=b", body=f"--b\r\n\r\n{inner}--b--")
    assert [one.media_type for one in scan(raw)] == ["application/zip", "message/rfc822"]


def test_sizes_are_those_of_the_decoded_parts() -> None:
    made = EmailMessage(policy=email.policy.SMTP)
    made.set_content("Hello\n")
    for cte in ("base64", "quoted-printable", "7bit"):
        made.add_attachment("x" * 60 + "=\r\n" + "y" * 500 + "\r\n", cte=cte, filename=cte)
    kept = email.message_from_bytes(made.as_bytes(), policy=email.policy.default).iter_attachments()
    assert [one.size for one in scan(made.as_bytes())] == [len(bytes(one.get_payload(decode=True))) for one in kept]


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.binary(max_size=200), max_size=20), st.binary(max_size=30))
def test_no_bytes_make_it_fail_otherwise(pieces: list[bytes], boundary: bytes) -> None:
    scanner = Scanner()
    with contextlib.suppress(TooComplex):
        scanner.feed(b"Content-Type: multipart/mixed; boundary=" + boundary + b"\r\n\r\n")
        for piece in pieces:
            scanner.feed(piece)
        scanner.attachments()


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.tuples(st.sampled_from(["a.pdf", "b.zip", "c"]), st.binary(max_size=500)), max_size=4))
def test_it_finds_what_the_standard_library_finds(files: list[tuple[str, bytes]]) -> None:
    made = message(*((name, "application/octet-stream", content) for name, content in files))
    assert [(one.filename, one.size) for one in scan(made.as_bytes(), 13)] == [
        (name, len(content)) for name, content in files
    ]


@pytest.mark.parametrize(
    ("policy", "attachment", "refused"),
    [
        (Policy(), Attachment("x.exe", "a/b", 10**9), None),
        (Policy(attachment_bytes=10), Attachment("x", "a/b", 10), None),
        (Policy(attachment_bytes=10), Attachment("x", "a/b", 11), "maxAttachmentBytes is 10"),
        (Policy(refused_attachments=(".exe",)), Attachment("Invoice.pdf.EXE. ", "a/b", 1), ".exe is on the list"),
        (Policy(refused_attachments=(".exe",)), Attachment("exe", "a/b", 1), None),
        (
            Policy(refused_attachments=("application/*",)),
            Attachment("", "application/zip", 1),
            "type application/zip",
        ),
        (Policy(refused_attachments=("application/zip",)), Attachment("", "application/zipper", 1), None),
    ],
)
def test_policy_refuses_by_size_and_type(policy: Policy, attachment: Attachment, refused: str | None) -> None:
    reason = refuses_attachments(policy, [attachment])
    assert (reason is None) == (refused is None)
    assert refused is None or refused in str(reason)
