"""The journal copy as bytes: a message that any program reads, with the other one in it as it leaves."""

import email
import email.policy
from collections.abc import AsyncIterator
from email.message import EmailMessage

import pytest

from outgate.compliance.journal_copy import JournalCopy, JournalNote, journal_copy
from outgate.model import Gateway, Security

GATEWAY = Gateway("1", "smtp.dominiopartner.example", 587, Security.STARTTLS)
NOTE = JournalNote("0c8sm2v1r0003", "alice@example.com", "alice@x.example", ["carol@y.example"], GATEWAY, 0.0)
HEADER = b"From: alice@x.example\r\nMessage-ID:\r\n <1@client.example>\r\n\r\n"
ARCHIVE = "archive@journal.example"


def copy_of(header: bytes = HEADER, *, note: JournalNote = NOTE, eight_bit: bool = False) -> JournalCopy:
    return journal_copy(
        note,
        header,
        eight_bit=eight_bit,
        sender="postmaster@example.com",
        to=ARCHIVE,
        queue_id="0c8sm2v1r0004",
        at=60.0,
    )


async def _pieces(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def read(copy: JournalCopy, *pieces: bytes) -> tuple[EmailMessage, list[bytes]]:
    """The copy as a program reads it, and its body in the pieces that it came in."""
    body = [piece async for piece in copy.body(_pieces(*pieces))]
    parsed = email.message_from_bytes(copy.header + b"".join(body), policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed, body


async def test_the_message_is_in_the_copy_piece_by_piece_as_it_leaves() -> None:
    parsed, body = await read(copy_of(), HEADER, b"Hello\r\n", b"Bye\r\n")
    assert body[1:-1] == [HEADER, b"Hello\r\n", b"Bye\r\n"]
    text, attached = parsed.iter_parts()
    assert text.get_content().splitlines() == [
        "Account: alice@example.com",
        "MAIL FROM: alice@x.example",
        "Recipient: carol@y.example",
        "Gateway: smtp.dominiopartner.example:587",
        "Queue id: 0c8sm2v1r0003",
        "Message-ID: <1@client.example>",
        "Accepted: Thu, 01 Jan 1970 00:00:00 +0000",
        "Copied: Thu, 01 Jan 1970 00:01:00 +0000",
    ]
    assert attached.get_content_type() == "message/rfc822"
    assert attached.get_content()["From"] == "alice@x.example"


async def test_its_header_names_the_copy_and_nobody_answers_it() -> None:
    parsed, _ = await read(copy_of(), HEADER)
    assert (parsed["From"], parsed["To"]) == ("postmaster@example.com", ARCHIVE)
    assert parsed["Subject"] == "Journal: 0c8sm2v1r0003 to 1 recipient"
    assert parsed["Message-ID"] == "<0c8sm2v1r0004@example.com>"
    assert parsed["Auto-Submitted"] == "auto-generated"


@pytest.mark.parametrize(
    ("header", "eight_bit", "encoding", "kind"),
    [
        (HEADER, False, "7bit", b"message/rfc822"),
        (HEADER, True, "8bit", b"message/rfc822"),
        ("From: ö <alice@x.example>\r\n\r\n".encode(), False, "8bit", b"message/global"),
    ],
)
def test_it_is_marked_as_8bit_and_global_where_the_message_is(
    header: bytes, eight_bit: bool, encoding: str, kind: bytes
) -> None:
    copy = copy_of(header, eight_bit=eight_bit)
    assert f"\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode() in copy.header
    assert b"Content-Type: " + kind + b"\r\n" in copy.opening


def test_a_message_without_an_empty_line_or_gateway_or_message_id_has_a_copy_as_well() -> None:
    note = JournalNote("0c8sm2v1r0003", "", "", ["a@y.example", "b@y.example"], None, 0.0)
    copy = copy_of(b"From: alice@x.example\r\n", note=note)
    assert b"Message-ID: \r\n" in copy.opening
    assert b"Gateway: \r\n" in copy.opening
    assert b"to 2 recipients\r\n" in copy.header


def test_no_two_copies_have_a_boundary_in_common() -> None:
    assert copy_of().closing != copy_of().closing
