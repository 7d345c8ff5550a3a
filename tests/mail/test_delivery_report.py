"""Delivery reports, read back with the stdlib."""

import email
import email.policy
from email.message import EmailMessage
from typing import Any

import pytest

from outgate.mail.header_check import examine, split_message
from outgate.mail.report import Letterhead, ReportedMessage, ReportedRecipient, delivery_report
from outgate.mail.report_text import Action, Remedy

HEADER = b"From: alice@partner.example\r\nSubject: the offer\r\nMessage-ID: <1@partner.example>\r\n"


def made(
    *recipients: ReportedRecipient,
    header: bytes = HEADER,
    language: str = "en",
    recipient: str = "alice@example.com",
    **more: Any,
) -> bytes:
    letterhead = Letterhead(
        hostname="mail.example.com",
        postmaster="postmaster@example.com",
        recipient=recipient,
        language=language,
        date=1_700_000_060.0,
        message_id="b1@mail.example.com",
    )
    message = ReportedMessage(
        header=header,
        sender="alice@partner.example",
        queue_id="38gyk",
        arrived_at=1_700_000_000.0,
        tried_until=1_700_432_000.0,
        **more,
    )
    return delivery_report(letterhead, message, recipients)


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


def text_of(message: bytes) -> str:
    return " ".join(parts(message)[1].get_content().split())


REFUSED = ReportedRecipient(
    address="bob@recipient.example",
    action=Action.FAILED,
    status="5.1.1",
    remedy=Remedy.ADDRESS,
    reply="550 5.1.1 <bob@recipient.example> User unknown",
    remote_mta="mx.recipient.example",
    original="rfc822;Bob+2Bx@recipient.example",
    last_attempt=1_700_000_050.0,
)
EXPIRED = ReportedRecipient(
    "carol@slow.example", Action.FAILED, "5.4.1", Remedy.LATER, words="no server of slow.example answered"
)
WAITING = ReportedRecipient("dave@slow.example", Action.DELAYED, "4.7.8", Remedy.LOG_IN, words="log-in refused: 535 No")
DELIVERED = ReportedRecipient("erin@x.example", Action.DELIVERED, "2.1.5")
RELAYED = ReportedRecipient("frank@y.example", Action.RELAYED, "2.0.0", remote_mta="mx.y.example")


def test_a_report_is_addressed_and_automatic() -> None:
    parsed, *_ = parts(made(REFUSED))
    assert parsed["From"] == "Mail Delivery System <postmaster@example.com>"
    assert parsed["To"] == "alice@example.com"
    assert parsed["Auto-Submitted"] == "auto-replied"
    assert parsed["Date"] == "Tue, 14 Nov 2023 22:14:20 +0000"
    message = made(REFUSED)
    assert examine(message[: split_message(message)]).header_from == ("postmaster@example.com",)


def test_the_text_names_the_message_quotes_the_reply_and_says_what_to_do_and_whom_to_ask() -> None:
    content = text_of(made(REFUSED, EXPIRED))
    for part in (
        "2023-11-14 22:13 UTC",
        "the offer",
        "<bob@recipient.example>",
        "mx.recipient.example said: > 550 5.1.1 <bob@recipient.example> User unknown",
        "Check the address",
        "<carol@slow.example>",
        "no server of slow.example answered",
        "write to postmaster@example.com and name the message 38gyk",
    ):
        assert part in content


@pytest.mark.parametrize(
    ("language", "recipients", "subject", "words"),
    [
        ("en", (REFUSED,), "Not delivered: the offer", "not tried again"),
        ("it", (REFUSED,), "Non consegnato: the offer", "Controlla che l'indirizzo"),
        ("en", (WAITING,), "Not delivered yet: the offer", "until 2023-11-19 22:13 UTC"),
        ("it", (WAITING,), "Non ancora consegnato: the offer", "Inserisci di nuovo nome utente e password"),
        ("en", (DELIVERED,), "Delivered: the offer", "It was delivered"),
        ("it", (RELAYED,), "Inoltrato: the offer", "non inviano conferme"),
        ("en", (DELIVERED, WAITING, REFUSED, RELAYED), "Not delivered: the offer", "was delivered to these"),
    ],
)
def test_a_report_speaks_the_users_language_and_its_subject_tells_the_worst(
    language: str, recipients: tuple[ReportedRecipient, ...], subject: str, words: str
) -> None:
    message = made(*recipients, language=language, gateway="smtp.partner.example")
    parsed, *_ = parts(message)
    assert parsed["Subject"] == subject
    assert words in text_of(message)


@pytest.mark.parametrize("remedy", list(Remedy))
def test_each_remedy_is_there_in_each_language(remedy: Remedy) -> None:
    one = ReportedRecipient("bob@x.example", Action.FAILED, "5.0.0", remedy, words="why")
    english, italian = [text_of(made(one, language=language)) for language in ("en", "it")]
    assert english != italian
    assert "{" not in english + italian


@pytest.mark.parametrize(
    ("header", "title"),
    [
        (b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n", "Not delivered: Grüße"),
        ("Subject: Grüße\r\n".encode(), "Not delivered: Grüße"),
        (b"Subject: " + b"long " * 90 + b"\r\n", "Not delivered: " + ("long " * 40).strip()),
        (b"Subject:\r\n", "Not delivered: (no subject)"),
        (b"From: a@b.example\r\n", "Not delivered: (no subject)"),
        (b"no field\r\n", "Not delivered: (no subject)"),
        (b"\r\n", "Not delivered: (no subject)"),
    ],
)
def test_the_subject_of_the_message_is_in_that_of_the_report(header: bytes, title: str) -> None:
    message = made(REFUSED, header=header)
    assert message.partition(b"\r\n\r\n")[0].isascii()
    assert str(parts(message)[0]["Subject"]).strip() == title


def test_those_of_whom_the_same_is_said_stand_together() -> None:
    alike = [
        ReportedRecipient(f"r{n}@x.example", Action.FAILED, "5.7.1", reply="550 5.7.1 Spam", remote_mta="mx")
        for n in range(3)
    ]
    assert text_of(made(*alike)).count("550 5.7.1 Spam") == 1


def test_the_status_part_has_a_group_for_the_message_and_one_for_each_recipient() -> None:
    _, _, status, _ = parts(made(REFUSED, EXPIRED, WAITING, envid="QQ+2B314159"))
    message, bob, carol, dave = status.get_payload()
    assert dict(message.items()) == {
        "Original-Envelope-Id": "QQ+314159",
        "Reporting-MTA": "dns; mail.example.com",
        "Arrival-Date": "Tue, 14 Nov 2023 22:13:20 +0000",
    }
    assert dict(bob.items()) == {
        "Original-Recipient": "rfc822; Bob+x@recipient.example",
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
        "Status": "5.4.1",
    }
    assert dict(dave.items()) == {
        "Final-Recipient": "rfc822; dave@slow.example",
        "Action": "delayed",
        "Status": "4.7.8",
        "Will-Retry-Until": "Sun, 19 Nov 2023 22:13:20 +0000",
    }


@pytest.mark.parametrize(
    ("xtext", "meant"),
    [
        ("carol+2Btag@d1.example", "carol+tag@d1.example"),
        ("a+3Db+2B+2B@d1.example", "a=b++@d1.example"),
        ("plain@d1.example", "plain@d1.example"),
        ("a+20b@d1.example", "a b@d1.example"),
        ("evil+0D+0AAction:+20failed", "evil+0D+0AAction: failed"),  # no field of its own
        ("a+7Fb+FFc", "a+7Fb+FFc"),
    ],
)
def test_what_came_in_xtext_is_given_back_as_it_was_meant(xtext: str, meant: str) -> None:
    one = ReportedRecipient("c@d1.example", Action.FAILED, "5.1.1", original=f"rfc822;{xtext}")
    _, _, status, _ = parts(made(one, envid=xtext))
    message, group = status.get_payload()
    assert (message["Original-Envelope-Id"], group["Original-Recipient"]) == (meant, f"rfc822; {meant}")


def test_the_original_header_is_given_back() -> None:
    for header in (HEADER, HEADER + b"\r\n"):
        _, _, _, part = parts(made(REFUSED, header=header))
        assert part.get_content_type() == "text/rfc822-headers"
        assert part.get_content().replace("\r\n", "\n").strip() == HEADER.decode().replace("\r\n", "\n").strip()


@pytest.mark.parametrize(
    ("content", "kind", "encoding"),
    [
        (HEADER + b"\r\nHello\r\n", "message/rfc822", "7bit"),
        (HEADER + b"\r\nno line end", "message/rfc822", "7bit"),
        (HEADER + "\r\nGrüße\r\n".encode(), "message/rfc822", "8bit"),
        ("Subject: Grüße\r\n\r\nHello\r\n".encode(), "message/global", "8bit"),
    ],
)
def test_the_message_is_given_back_whole(content: bytes, kind: str, encoding: str) -> None:
    message = made(REFUSED, header=content[: (split_message(content) or 0)], content=content)
    assert f"Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode() + content in message
    assert (b"Content-Transfer-Encoding: 8bit\r\n\r\nThis is" in message) == (encoding == "8bit")


@pytest.mark.parametrize("count", [1, 7, 100])
@pytest.mark.parametrize("reply", ["550 5.7.26 " + "p" * 8000, "550 " + "ü " * 4000, "550 " + "\u2028" * 9000])
def test_a_report_stays_small(count: int, reply: str) -> None:
    header = b"Subject: x\r\n" + b"".join(b"X-%d: %b\r\n" % (n, b"h" * 890) for n in range(286))
    refused = [
        ReportedRecipient(f"r{n}@x.example", Action.FAILED, "5.7.26", words=reply, reply=f"{reply} {n}")
        for n in range(count)
    ]
    message = made(*refused, header=header)
    assert len(message) < 512 * 1024
    _, _, status, returned = parts(message)
    assert len(status.get_payload()) == count + 1
    assert returned.get_payload().rstrip().endswith("h" * 890)


def test_utf8_addresses_have_the_forms_of_rfc_6533() -> None:
    message = made(
        ReportedRecipient(
            "jörg@bücher.example", Action.FAILED, "5.6.7", original="utf-8;j\\x{F6}rg@bücher.example", reply="550 ü"
        ),
        ReportedRecipient("bob@bücher.example", Action.FAILED, "5.1.1"),
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


def test_a_header_in_utf8_does_not_make_the_status_global() -> None:
    _, _, status, header = parts(made(REFUSED, header="Subject: Grüße\r\n".encode()))
    assert status.get_content_type() == "message/delivery-status"
    assert header.get_content_type() == "message/global-headers"


def test_remote_text_makes_no_field_and_no_part() -> None:
    nasty = "550-one\r\nAction: delivered\r\n550 --report\x00\x1b[31m é" + " long" * 400
    message = made(
        ReportedRecipient("b@y.example", Action.FAILED, "5.0.0", reply=nasty, remote_mta="mx\r\nEvil: y"),
        envid="a\r\nX: y",
    )
    _, _, status, _ = parts(message)
    head, group = status.get_payload()
    assert group["Action"] == "failed"
    assert group["Evil"] is None
    assert head["X"] is None
    assert message.isascii()
    assert b"\x1b" not in message
