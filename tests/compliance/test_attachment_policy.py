"""What policy says of attachments: a table, and both ways to look through a message."""

from collections.abc import AsyncIterator

import pytest

from outgate.compliance.attachment_policy import (
    find_attachments,
    looks_at_attachments,
    refuses_attachments,
    scan_attachments,
)
from outgate.mail.attachments import Attachment, TooComplex
from outgate.model import Policy

SALES = {"attachment_bytes": "/Sales", "refused_attachments": "/Sales"}


@pytest.mark.parametrize(
    ("policy", "looks"),
    [(Policy(), False), (Policy(attachment_bytes=1), True), (Policy(refused_attachments=(".exe",)), True)],
)
def test_messages_are_looked_into_where_policy_speaks_of_attachments(policy: Policy, looks: bool) -> None:
    assert looks_at_attachments(policy) is looks


@pytest.mark.parametrize(
    ("policy", "attachment", "why"),
    [
        (Policy(attachment_bytes=10), Attachment("a.pdf", "application/pdf", 10), None),
        (
            Policy(attachment_bytes=10, sources=SALES),
            Attachment("a.pdf", "application/pdf", 11),
            "the attachment 'a.pdf' may not leave by a user's gateway: it has 11 bytes, maxAttachmentBytes is 10"
            " (from unit /Sales)",
        ),
        (Policy(refused_attachments=(".exe",)), Attachment("", "image/png", 1), None),
        (Policy(refused_attachments=(".exe",)), Attachment("a.EXE. ", "image/png", 1), "'a.EXE. ' may not leave"),
        (
            Policy(refused_attachments=(".exe",)),
            Attachment("a", "image/png", 1, ("c", "b.exe")),
            "'a' may not leave",
        ),
        (Policy(refused_attachments=(".exe",)), Attachment("a.\u200bexe", "image/png", 1), "'a.?exe' may not leave"),
        (Policy(refused_attachments=("image/*",)), Attachment("", "image/png", 1), "of type image/png may not leave"),
        (Policy(refused_attachments=("image/gif",)), Attachment("", "image/png", 1), None),
        (Policy(refused_attachments=("image/png",)), Attachment("", "image/png", 1), "image/png is on the list"),
    ],
)
def test_an_attachment_is_refused_for_its_size_its_name_or_its_type(
    policy: Policy, attachment: Attachment, why: str | None
) -> None:
    fine = Attachment("fine.txt", "text/csv", 1)
    reason = refuses_attachments(policy, [fine, attachment])
    if why is None:
        assert reason is None
    else:
        assert reason is not None
        assert why in reason


def test_what_can_not_be_looked_into_is_refused() -> None:
    assert refuses_attachments(Policy(attachment_bytes=1), TooComplex("too deep")) == "too deep"


async def _pieces(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


TOOL = b'Content-Type: application/x-tool; name="tool.exe"\r\n\r\n'
UNREADABLE = b"Content-Type: text/plain\r\nContent-Type: text/html\r\n\r\n"


@pytest.mark.parametrize("size", [10, 100_000])
async def test_both_ways_to_look_find_the_same(size: int) -> None:
    pieces = [TOOL, b"x" * size]
    found = find_attachments(pieces)
    assert not isinstance(found, TooComplex)
    assert [(one.filename, one.media_type, one.size) for one in found] == [("tool.exe", "application/x-tool", size)]
    assert await scan_attachments(_pieces(*pieces)) == found


async def test_both_ways_to_look_say_what_can_not_be_looked_into() -> None:
    for found in (find_attachments([UNREADABLE]), await scan_attachments(_pieces(UNREADABLE))):
        assert isinstance(found, TooComplex)
