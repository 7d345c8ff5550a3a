"""New messages, read back with the stdlib."""

import email
import email.policy
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.mail.addresses import AddressError, Mailbox
from outgate.mail.compose import AttachedFile, compose
from outgate.mail.confirmation_message import confirmation
from outgate.mail.header_check import MessageFault, examine, split_message

ALICE = Mailbox("Alice Owner", "alice@partner.example")
BOB = Mailbox("", "bob@example.com")


def read(message: bytes) -> EmailMessage:
    parsed = email.message_from_bytes(message, policy=email.policy.SMTP)
    assert isinstance(parsed, EmailMessage)
    assert message.count(b"\n") == message.count(b"\r\n") == message.count(b"\r")
    assert all(not part.defects for part in parsed.walk())
    assert examine(message[: split_message(message)])
    return parsed


def test_the_confirmation_says_who_asks_and_what_to_do() -> None:
    message = confirmation(
        address="alice@dominiopartner.example",
        code="123456789",
        account="alice@example.com",
        organisation_name="Example Ltd",
        sender="postmaster@example.com",
        days=3,
        date=1_700_000_000.0,
        message_id="1@example.com",
        link="https://mail.example.com/confirm/1",
    )
    parsed = read(message)
    assert parsed["Subject"] == "Outgate Confirmation - Send Mail as alice@dominiopartner.example"
    assert parsed["To"] == "alice@dominiopartner.example"
    assert parsed["From"] == "Outgate at Example Ltd <postmaster@example.com>"
    assert parsed["Date"] == "Tue, 14 Nov 2023 22:13:20 +0000"
    assert parsed["Message-ID"] == "<1@example.com>"
    assert parsed["Auto-Submitted"] == "auto-generated"
    text = parsed.get_content()
    for part in (
        "123456789",
        "alice@example.com of Example Ltd",
        "do nothing",
        "for 3 days",
        "https://mail.example.com/confirm/1",
    ):
        assert part in text
    assert message.isascii()


def test_a_message_with_everything() -> None:
    content = bytes(range(256))
    message = compose(
        sender=Mailbox("Jörg, der Erste", "joerg@bücher.example"),
        to=[BOB, Mailbox("Carol (x)", "carol@z.example")],
        cc=[ALICE],
        reply_to=ALICE,
        subject="Grüße " * 30,
        text="Zeile mit ü\nund eine " + "lange " * 300 + "\n",
        date=0.0,
        message_id="2@x",
        attachments=[AttachedFile("bücher.bin", "application/octet-stream", content)],
    )
    parsed = read(message)
    assert message.isascii()
    assert max(map(len, message.split(b"\r\n"))) <= 998
    assert parsed["From"].addresses[0].addr_spec == "joerg@xn--bcher-kva.example"
    assert parsed["From"].addresses[0].display_name == "Jörg, der Erste"
    assert [str(address) for address in parsed["To"].addresses] == ["bob@example.com", '"Carol (x)" <carol@z.example>']
    assert parsed["Cc"] == parsed["Reply-To"] == "Alice Owner <alice@partner.example>"
    assert parsed["Subject"].split() == ["Grüße"] * 30
    body = parsed.get_body()
    assert body is not None
    assert body.get_content().split()[:6] == ["Zeile", "mit", "ü", "und", "eine", "lange"]
    [attachment] = parsed.iter_attachments()
    assert attachment.get_filename() == "bücher.bin"
    assert attachment.get_content() == content
    assert "Auto-Submitted" not in parsed


def test_an_answer_says_the_same_as_html_and_names_what_it_answers() -> None:
    message = read(
        compose(
            sender=ALICE,
            to=[BOB],
            subject="Re: Prices",
            text="Yes.\n",
            html="<b>Yes.</b>",
            date=0.0,
            message_id="2@partner.example",
            in_reply_to="<1@example.com>",
            references=["<0@example.com>", "<1@example.com>"],
        )
    )
    assert message["In-Reply-To"] == "<1@example.com>"
    assert message["References"] == "<0@example.com> <1@example.com>"
    assert [part.get_content_type() for part in message.walk()] == ["multipart/alternative", "text/plain", "text/html"]


def test_addresses_beyond_ascii_make_the_header_utf8() -> None:
    message = compose(
        sender=Mailbox("Jörg", "jörg@example.com"), to=[BOB], subject="x", text="x", date=0.0, message_id="3@x"
    )
    examined = examine(message[: split_message(message)])
    assert examined.has_utf8
    assert examined.header_from == ("jörg@example.com",)


@pytest.mark.parametrize("subject", ["x\r\nBcc: carol@z", "x\ny", "x\ry", "x\x00y", "x\x1by", "x\u2028y", "x\udc80y"])
def test_what_a_subject_or_a_files_name_can_not_have_is_refused(subject: str) -> None:
    with pytest.raises(MessageFault, match="the subject"):
        compose(sender=ALICE, to=[BOB], subject=subject, text="x", date=0.0, message_id="4@x")
    file = AttachedFile(subject, "text/plain", b"x")
    with pytest.raises(MessageFault, match="the name of a file"):
        compose(sender=ALICE, to=[BOB], subject="x", text="x", date=0.0, message_id="4@x", attachments=[file])


def test_text_that_is_none_is_refused() -> None:
    with pytest.raises(MessageFault, match="the text is not valid UTF-8"):
        compose(sender=ALICE, to=[BOB], subject="x", text="x\udc80", date=0.0, message_id="4@x")


def test_line_breaks_in_names_are_refused() -> None:
    with pytest.raises(AddressError):
        compose(sender=Mailbox("x\nBcc: c@z", "a@x"), to=[BOB], subject="x", text="x", date=0.0, message_id="5@x")


TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=120)


@given(TEXT, TEXT, st.lists(TEXT, min_size=1, max_size=4))
def test_names_and_subjects_never_make_another_address(name: str, subject: str, names: list[str]) -> None:
    """The stdlib's folding of address lists loses some here, so compose does its own."""
    recipients = [Mailbox(item, f"to{index}@z.example") for index, item in enumerate(names)]
    message = compose(
        sender=Mailbox(name, "alice@partner.example"),
        to=recipients,
        subject=subject,
        text="",
        date=0.0,
        message_id="6@x",
    )
    parsed = email.message_from_bytes(message, policy=email.policy.SMTP)
    assert [item.addr_spec for item in parsed["From"].addresses] == ["alice@partner.example"]
    assert [item.addr_spec for item in parsed["To"].addresses] == [item.address for item in recipients]
    assert set(parsed.keys()) <= {
        *("From", "To", "Subject", "Date", "Message-ID"),
        *("Content-Type", "Content-Transfer-Encoding", "MIME-Version"),
    }
