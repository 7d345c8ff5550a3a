"""Delivery reports, read back with the stdlib."""

import email
import email.policy
from email.message import EmailMessage
from typing import Any

from outgate.mail.header_check import examine, split_message
from outgate.mail.report import FailedRecipient, bounce

HEADER = b"From: alice@partner.example\r\nSubject: the offer\r\nMessage-ID: <1@partner.example>\r\n"


def made(*failed: FailedRecipient, header: bytes = HEADER, **more: Any) -> bytes:
    return bounce(
        hostname="mail.example.com",
        recipient="alice@example.com",
        failed=failed,
        original_header=header,
        arrived_at=1_700_000_000.0,
        date=1_700_000_060.0,
        message_id="b1@mail.example.com",
        **more,
    )


def parts(message: bytes) -> tuple[EmailMessage, Any, Any, Any]:
    assert message.count(b"\n") == message.count(b"\r\n") == message.count(b"\r")
    assert max(map(len, message.split(b"\r\n"))) <= 998
    parsed = email.message_from_bytes(message, policy=email.policy.SMTP)
    assert isinstance(parsed, EmailMessage)
    assert parsed.get_content_type() == "multipart/report"
    assert parsed.get_param("report-type") == "delivery-status"
    assert not any(part.defects for part in parsed.walk())
    text, status, header = parsed.iter_parts()
    return parsed, text, status, header


REFUSED = FailedRecipient(
    address="bob@recipient.example",
    status="5.1.1",
    reason="The recipient's server does not know this address.",
    advice="Check the address for mistakes and send the message again.",
    reply="550 5.1.1 <bob@recipient.example> User unknown",
    remote_mta="mx.recipient.example",
    original="rfc822;Bob+2Bx@recipient.example",
    last_attempt=1_700_000_050.0,
)
EXPIRED = FailedRecipient("carol@slow.example", "4.4.1", "No server of slow.example answered for 5 days.")


def test_a_report_is_addressed_and_automatic() -> None:
    parsed, *_ = parts(made(REFUSED))
    assert parsed["From"] == "Mail Delivery System <MAILER-DAEMON@mail.example.com>"
    assert parsed["To"] == "alice@example.com"
    assert parsed["Auto-Submitted"] == "auto-replied"
    assert parsed["Date"] == "Tue, 14 Nov 2023 22:14:20 +0000"
    message = made(REFUSED)
    assert examine(message[: split_message(message)]).automatic


def test_the_text_quotes_the_reply_and_says_what_to_do() -> None:
    _, text, _, _ = parts(made(REFUSED, EXPIRED))
    content = text.get_content()
    for part in (
        "<bob@recipient.example>",
        "does not know this address",
        "mx.recipient.example said:",
        "> 550 5.1.1 <bob@recipient.example> User unknown",
        "Check the address",
        "<carol@slow.example>",
        "answered for 5 days",
    ):
        assert part in content


def test_the_status_part_has_a_group_for_the_message_and_one_for_each_recipient() -> None:
    _, _, status, _ = parts(made(REFUSED, EXPIRED, envid="QQ314159"))
    message, bob, carol = status.get_payload()
    assert dict(message.items()) == {
        "Original-Envelope-Id": "QQ314159",
        "Reporting-MTA": "dns; mail.example.com",
        "Arrival-Date": "Tue, 14 Nov 2023 22:13:20 +0000",
    }
    assert dict(bob.items()) == {
        "Original-Recipient": "rfc822; Bob+2Bx@recipient.example",
        "Final-Recipient": "rfc822; bob@recipient.example",
        "Action": "failed",
        "Status": "5.1.1",
        "Remote-MTA": "dns; mx.recipient.example",
        "Diagnostic-Code": "smtp; 550 5.1.1 <bob@recipient.example> User unknown",
        "Last-Attempt-Date": "Tue, 14 Nov 2023 22:14:10 +0000",
    }
    assert dict(carol.items()) == {
        "Final-Recipient": "rfc822; carol@slow.example",
        "Action": "failed",
        "Status": "4.4.1",
    }


def test_the_original_header_is_given_back() -> None:
    for header in (HEADER, HEADER + b"\r\n"):
        _, _, _, part = parts(made(REFUSED, header=header))
        assert part.get_content_type() == "text/rfc822-headers"
        assert part.get_content().replace("\r\n", "\n").strip() == HEADER.decode().replace("\r\n", "\n").strip()


def test_utf8_addresses_have_the_forms_of_rfc_6533() -> None:
    message = made(
        FailedRecipient("jörg@bücher.example", "5.6.7", "x", original="utf-8;j\\x{F6}rg@bücher.example", reply="550 ü"),
        FailedRecipient("bob@bücher.example", "5.1.1", "x"),
        header=HEADER + "X: grüß\r\n".encode(),
    )
    parsed, _, status, header = parts(message)
    assert status.get_content_type() == "message/global-delivery-status"
    assert header.get_content_type() == "message/global-headers"
    assert parsed["Content-Transfer-Encoding"] == "8bit"
    text = message.decode()
    assert "Final-Recipient: utf-8; jörg@bücher.example\r\n" in text
    assert "Original-Recipient: utf-8; j\\x{F6}rg@bücher.example\r\n" in text
    assert "Final-Recipient: rfc822; bob@xn--bcher-kva.example\r\n" in text
    assert "X: grüß\r\n" in text


def test_remote_text_makes_no_field_and_no_part() -> None:
    nasty = "550-one\r\nAction: delivered\r\n550 --report\x00\x1b[31m é" + " long" * 400
    message = made(
        FailedRecipient("b@y.example", "5.0.0", "x", reply=nasty, remote_mta="mx\r\nEvil: y"), envid="a\r\nX: y"
    )
    _, _, status, _ = parts(message)
    head, group = status.get_payload()
    assert group["Action"] == "failed"
    assert group["Evil"] is None
    assert head["X"] is None
    assert message.isascii()
    assert b"\x1b" not in message
