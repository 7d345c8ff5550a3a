"""The header block that leaves, and that nothing in it tells of the hidden address."""

import base64
import email
import email.policy
import quopri
from email.header import decode_header, make_header
from email.utils import getaddresses
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.mail.address_leak import needle
from outgate.mail.addresses import Mailbox
from outgate.mail.header_rewrite import Trace, outgoing
from outgate.mail.headers import split_fields

TRACE = Trace("mail.example.com", "01HXYZ", "ESMTPSA", 1_700_000_000.9)
RECEIVED = b"Received: by mail.example.com with ESMTPSA id 01HXYZ;\r\n\tTue, 14 Nov 2023 22:13:20 +0000\r\n"
COMPLETE = b"From: Alice <alice@partner.example>\r\nDate: x\r\nMessage-ID: <1@partner.example>\r\n"
PRIMARY = "alice@example.com"


def made(header: bytes, sender: str | None = None, hide: str | None = None) -> bytes:
    return outgoing(split_fields(header), trace=TRACE, sender=sender, hide=hide, from_domain="partner.example")


def test_a_complete_header_gets_one_line() -> None:
    header = b"X-Odd:  a \r\n\t b\r\n" + COMPLETE + b"To: bob@example.com\r\nx-odd: again\r\n"
    assert made(header) == RECEIVED + header
    assert made(header, hide=PRIMARY) == RECEIVED + header


@pytest.mark.parametrize("name", ["Bcc", "Resent-Bcc", "Return-Path", "Content-Length", "Sender"])
@pytest.mark.parametrize("hide", [None, PRIMARY])
def test_fields_that_never_leave(name: str, hide: str | None) -> None:
    assert made(f"{name.upper()}: bob@example.com\r\n".encode() + COMPLETE, hide=hide) == RECEIVED + COMPLETE


def test_sender_is_replaced_when_sent_on_behalf() -> None:
    header = b"Sender: bob@example.com\r\n" + COMPLETE
    assert made(header, sender=PRIMARY) == RECEIVED + COMPLETE + b"Sender: alice@example.com\r\n"


def test_date_and_message_id_are_added_the_same_at_each_attempt() -> None:
    header = b"From: alice@partner.example\r\n"
    added = b"Date: Tue, 14 Nov 2023 22:13:20 +0000\r\nMessage-ID: <01HXYZ@partner.example>\r\n"
    assert made(header) == made(header) == RECEIVED + header + added


@pytest.mark.parametrize(
    ("submitted", "sent"),
    [
        (b"Sender: b@y\r\n", b"Sender: b@y\r\n"),
        (b"SENDER: Bob <B@Y>\r\n", b"SENDER: Bob <B@Y>\r\n"),
        (b"Sender: carol@z\r\n", b"Sender: a@x\r\n"),
        (b"Sender: a@x, b@y\r\n", b"Sender: a@x\r\n"),
        (b"Sender: nobody\r\n", b"Sender: a@x\r\n"),
        (b"", b"Sender: a@x\r\n"),
    ],
)
def test_several_authors_have_one_of_them_as_sender(submitted: bytes, sent: bytes) -> None:
    """RFC 5322 section 3.6.2 asks for a Sender then."""
    rest = b"From: a@x, b@y\r\nDate: x\r\nMessage-ID: <1@x>\r\n"
    assert made(submitted + rest, hide=PRIMARY) == made(submitted + rest) == RECEIVED + rest + sent


def test_a_kept_sender_does_not_tell_the_hidden_address_as_a_name() -> None:
    rest = b"From: a@x, b@y\r\nDate: x\r\nMessage-ID: <1@x>\r\n"
    header = b'Sender: "alice@example.com" <b@y>\r\n' + rest
    assert made(header, hide=PRIMARY) == RECEIVED + rest + b"Sender: b@y\r\n"


def test_a_comma_in_a_name_makes_no_second_author() -> None:
    header = b'From: "Owner, Alice" <a@x>\r\nDate: x\r\nMessage-ID: <1@x>\r\n'
    assert made(b"Sender: a@x\r\n" + header) == RECEIVED + header


TELLING = [
    "alice@example.com",
    "ALICE@EXAMPLE.COM",
    "<alice@example.com>",
    "smtp.auth=alice@example.com",
    "alice+lists@example.com",
    "alice%40example.com",
    "https://x.example/?u=alice%40example%2Ecom&x",
    "%61lice@example.com",
    "alice%2540example.com",
    "rfc822;alice+40example.com",
    "x+3Dalice+40example.com",
    "bounce-alice=example.com@lists.example",
    "SRS0=HHH=TT=example.com=alice@relay.example",
    "alice%example.com@relay.example",
    "example.com!alice",
    "alice=40example.com",
    "alice\\x{40}example.com",
    '"alice"@example.com',
    "alice (at work) @ example . com",
    "alice@\r\n example.com",
    "=?utf-8?q?alice=40example.com?=",
    "=?utf-8?b?QWxpY2VARXhhbXBsZS5jb20=?=",
    "=?utf-8?q?alice=40exa?= =?utf-8?q?mple.com?=",
    "=?utf-8?q?alice=40exa?=\r\n =?utf-8?q?mple.com?=",
    "=?utf-16?b?/v8AYQBsAGkAYwBlAEAAZQB4AGEAbQBwAGwAZQAuAGMAbwBt?=",
]


@pytest.mark.parametrize("text", TELLING)
def test_a_field_that_tells_the_hidden_address_is_dropped(text: str) -> None:
    header = f"X-Note: {text}\r\n".encode() + COMPLETE + f"Received: from x\r\n\tfor {text}\r\nX-End: y\r\n".encode()
    assert made(header, hide=PRIMARY) == RECEIVED + COMPLETE + b"X-End: y\r\n"
    assert made(header) == RECEIVED + header


@pytest.mark.parametrize(
    "text",
    [
        "malice@example.com",
        "<5f3alice@example.com>",
        "alice@example.community",
        "alice@example.com.au",
        "alice@partner.example",
        "example.com",
        "alice",
        "alice@xexample.com",
        "bob@example.com",
    ],
)
def test_another_address_is_not_taken_for_the_hidden_one(text: str) -> None:
    header = COMPLETE + f"References: {text}\r\n".encode()
    assert made(header, hide=PRIMARY) == RECEIVED + header


@pytest.mark.parametrize(
    ("hide", "text"),
    [
        ("jörg@xn--bcher-kva.example", "JÖRG@Bücher.example"),
        ("jörg@xn--bcher-kva.example", "jo\u0308rg@xn--bcher-kva.example"),
        ("jörg@xn--bcher-kva.example", "j%C3%B6rg%40b%c3%bccher.example"),
        ("jörg@xn--bcher-kva.example", "utf-8;j\\x{F6}rg@b\\x{FC}cher.example"),
        ("jörg@xn--bcher-kva.example", "=?iso-8859-1?q?j=F6rg=40b=FCcher.example?="),
        ("alice@xn--bcher-kva.example", "alice@BÜCHER.example"),
        ("alice@xn--bcher-kva.example", "alice@XN--BCHER-KVA.example"),
        ('"alice b"@example.com', '"Alice B"@example.com'),
    ],
)
def test_international_forms_are_found(hide: str, text: str) -> None:
    assert made(f"X-Note: {text}\r\n".encode() + COMPLETE, hide=hide) == RECEIVED + COMPLETE


@pytest.mark.parametrize("name", ["To", "Cc", "Reply-To", "Subject", "Resent-To", "Resent-Cc", "Comments", "Keywords"])
def test_what_the_writer_types_himself_stays(name: str) -> None:
    header = COMPLETE + f"{name}: alice@example.com\r\n".encode()
    assert made(header, hide=PRIMARY) == RECEIVED + header


@pytest.mark.parametrize("name", ["X-Sender", "X-Authenticated-User", "X-Originating-IP", "X-Google-Original-From"])
def test_fields_that_tell_the_account_are_dropped_whatever_they_say(name: str) -> None:
    header = COMPLETE + f"{name}: something\r\n".encode()
    assert made(header, hide=PRIMARY) == RECEIVED + COMPLETE
    assert made(header) == RECEIVED + header


def test_a_message_id_that_tells_is_made_anew() -> None:
    header = b"From: alice@partner.example\r\nDate: x\r\n"
    sent = made(b"Message-ID: <77.alice@example.com>\r\n" + header, hide=PRIMARY)
    assert sent == RECEIVED + header + b"Message-ID: <01HXYZ@partner.example>\r\n"


def spell(address: str, how: str) -> str:
    match how:
        case "percent":
            return quote(address, safe="")
        case "base64":
            return f"=?utf-8?b?{base64.b64encode(address.encode()).decode()}?="
        case "q":
            return f"=?utf-8?q?{''.join([f'={byte:02X}' for byte in address.encode()])}?="
        case "xtext":
            return "".join([char if char.isalnum() or char == "." else f"+{ord(char):02X}" for char in address])
        case "upper":
            return address.upper()
        case _:
            return address


def told(text: str) -> list[str]:
    """How somebody curious would read a field, with the stdlib."""
    return [text, unquote(text), str(make_header(decode_header(text))), quopri.decodestring(text).decode("latin-1")]


HOW = st.sampled_from(["plain", "percent", "base64", "q", "xtext", "upper"])
NAME = st.sampled_from(["X-A", "Received", "Message-ID", "Disposition-Notification-To", "Sender", "Resent-From"])
BEFORE = st.sampled_from(["", "<", "mailto:", "; ", ",", "for ", "(", "\r\n\t", "user=", "SMTP:", "x-", "a+"])
AFTER = st.sampled_from(["", ">", ",", ";", ")", "\r\n\t", ":", "/x", "?x", "."])


@given(st.lists(st.tuples(NAME, BEFORE, HOW, AFTER), max_size=6))
def test_no_field_that_leaves_tells_the_hidden_address(parts: list[tuple[str, str, str, str]]) -> None:
    lines = [f"{name}: x {before}{spell(PRIMARY, how)}{after} x\r\n" for name, before, how, after in parts]
    sent = made(COMPLETE + "".join(lines).encode(), hide=PRIMARY).decode()
    for field in split_fields(sent.encode()):
        for reading in told(field.raw.decode()):
            assert PRIMARY not in reading.lower()


def test_looking_for_an_address_takes_no_longer_than_the_text() -> None:
    hidden = needle(PRIMARY)
    for text in (
        b"alice+" * 30_000,
        b"alice(" * 30_000,
        b"alice " * 30_000,
        b"alice" + b"()" * 90_000,
        b"%25" * 60_000,
    ):
        assert not hidden.found_in(text)


def test_the_result_is_read_by_the_stdlib() -> None:
    header = b"From: a@x, b@y\r\nBcc: c@z\r\nSubject: =?utf-8?q?=C3=A9?=\r\n"
    message = email.message_from_bytes(made(header) + b"\r\n", policy=email.policy.SMTP)
    assert message["Subject"] == "é"
    assert message["Bcc"] is None
    assert [address for _, address in getaddresses([str(message["From"])])] == ["a@x", "b@y"]
    assert not message.defects


def test_a_from_that_is_replaced_is_kept_in_a_field_of_its_own() -> None:
    header = b"To: bob@example.com\r\nFrom: Mallory\r\n <mallory@elsewhere.example>\r\nDate: x\r\nMessage-ID: <1@x>\r\n"
    assert outgoing(
        split_fields(header),
        trace=TRACE,
        sender=None,
        hide=None,
        from_domain="example.com",
        rewrite_from=Mailbox("Alice", "alice@example.com"),
    ) == (
        RECEIVED + b"From: Alice <alice@example.com>\r\nTo: bob@example.com\r\nDate: x\r\nMessage-ID: <1@x>\r\n"
        b"X-Outgate-Original-From: Mallory\r\n <mallory@elsewhere.example>\r\n"
    )


def test_an_address_whose_domain_has_no_other_form_is_hidden_as_it_is() -> None:
    primary = "alice@xn--0.example"
    header = b"X-Note: alice@xn--0.example\r\n" + COMPLETE
    assert made(header, hide=primary) == RECEIVED + COMPLETE
