"""A message that is in memory: what it may not have, and how it is cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.mail.dkim import BodyDigest
from outgate.queue.mail_queue import CHUNK_BYTES
from outgate.submit import Content, MessageLimits, Refusal, RefusalReason, Submission, whole_message
from outgate.submit.whole_message import content_of, read_header
from submissions import ALICE, CAROL, LIMITS, NOON, account

HEADER = b"From: alice@example.com\r\nSubject: x\r\n\r\n"


def submitted(
    raw: bytes, *recipients: str, reverse_path: str = ALICE, limits: MessageLimits = LIMITS
) -> Submission | Refusal:
    return whole_message(
        1, NOON, account(), raw, reverse_path=reverse_path, recipients=recipients or (CAROL,), limits=limits
    )


@pytest.mark.parametrize(
    ("raw", "reason", "said"),
    [
        (HEADER + b"x" * 1_000_000, RefusalReason.TOO_LARGE, "552 5.3.4 The message is larger than 1000000 bytes"),
        (HEADER + b"x" * 999 + b"\r\n", RefusalReason.MALFORMED, "550 5.6.0 Line 4 of the content is longer"),
        (HEADER + b"x\0\r\n", RefusalReason.MALFORMED, "550 5.6.0 The content has a NUL byte"),
        (HEADER + b"x\n", RefusalReason.MALFORMED, "550 5.6.0 The content has a bare CR or LF"),
        (HEADER + b"x\r", RefusalReason.MALFORMED, "550 5.6.0 The content has a bare CR or LF"),
        (b"Subject: x\r\n\r\nHello\r\n", RefusalReason.MALFORMED, "550 5.6.0 the message has no From field"),
        (b"", RefusalReason.MALFORMED, "550 5.6.0 the message has no From field"),
        (b"X: x\r\n" * 50_000, RefusalReason.TOO_LARGE, "552 5.3.4 The header is longer than 256 KiB"),
    ],
)
def test_what_a_session_would_refuse_of_a_content_is_refused(raw: bytes, reason: RefusalReason, said: str) -> None:
    refusal = submitted(raw)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is reason
    assert str(refusal).startswith(said)


@pytest.mark.parametrize(
    ("reverse_path", "recipients", "said"),
    [("nowhere", (CAROL,), "553 5.1.7"), (ALICE, (CAROL, "nowhere"), "553 5.1.3"), (ALICE, ("",), "553 5.1.3")],
)
def test_an_envelope_with_what_is_no_address_is_refused(
    reverse_path: str, recipients: tuple[str, ...], said: str
) -> None:
    refusal = submitted(HEADER, *recipients, reverse_path=reverse_path)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is RefusalReason.MALFORMED
    assert str(refusal).startswith(said)


@pytest.mark.parametrize(
    ("raw", "recipient", "protocol"),
    [
        (HEADER, CAROL, "ESMTP"),
        (HEADER, "größe@recipient.example", "UTF8SMTP"),
        ("From: Größe <alice@example.com>\r\n\r\n".encode(), CAROL, "ESMTP"),
    ],
)
def test_smtputf8_is_asked_for_where_it_is_needed(raw: bytes, recipient: str, protocol: str) -> None:
    submission = submitted(raw, recipient, reverse_path="")
    assert isinstance(submission, Submission)
    envelope = submission.envelope
    assert (envelope.protocol, envelope.smtputf8, envelope.peer) == (protocol, protocol == "UTF8SMTP", "")


def test_a_header_may_fill_the_first_piece_and_end_the_message() -> None:
    header = HEADER[:-2]
    read = read_header(header)
    assert not isinstance(read, Refusal)
    assert read[1] == len(header)


@given(st.integers(0, 3 * CHUNK_BYTES), st.booleans())
def test_a_message_is_cut_into_pieces_that_make_it_up_again(size: int, eight_bit: bool) -> None:
    raw = HEADER + (b"\xff" if eight_bit else b"x") * size
    content = content_of(raw, len(HEADER))
    pieces = list(content.pieces())
    assert b"".join(pieces) == raw
    assert all(len(one) == CHUNK_BYTES for one in pieces[:-1])
    assert 0 < len(pieces[-1]) <= CHUNK_BYTES
    assert (content.size, content.chunks, content.stored_chunks) == (len(raw), len(pieces), 0)
    assert content.eight_bit is (eight_bit and size > 0)
    digest = BodyDigest()
    digest.update(raw[len(HEADER) :])
    assert content.body_digest == digest.digest()


def test_an_empty_message_has_one_piece_and_stored_ones_are_counted() -> None:
    assert content_of(b"", 0).chunks == 1
    assert Content(9, 1, 4, b"", False, b"last", [b"third"]).stored_chunks == 2
