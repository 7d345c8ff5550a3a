"""Footers, read back with the stdlib's parser."""

import contextlib
import email
import email.policy
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.mail.footer import NoFooter, with_footer

FOOTER = "Example S.p.A. è a Roma\nP. IVA 01234567890 <legale>"


def read(raw: bytes) -> EmailMessage:
    parsed = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def texts(raw: bytes) -> dict[str, str]:
    return {
        part.get_content_type(): part.get_content()
        for part in read(raw).walk()
        if part.get_content_maintype() == "text" and not part.is_attachment()
    }


def made(plain: str = "Hello\n", *, charset: str = "utf-8", cte: str = "quoted-printable", html: str = "") -> bytes:
    message = EmailMessage(policy=email.policy.SMTP)
    message["From"], message["Subject"] = "alice@dominiopartner.example", "Grüße"
    message.set_content(plain, charset=charset, cte=cte)
    if html:
        message.add_alternative(html, subtype="html")
    message["X-Last"] = "kept"
    return message.as_bytes()


@pytest.mark.parametrize("cte", ["quoted-printable", "base64", "8bit"])
@pytest.mark.parametrize("charset", ["utf-8", "iso-8859-1", "us-ascii"])
def test_the_footer_stands_below_the_text(cte: str, charset: str) -> None:
    raw = with_footer(made("Hello there\n", charset=charset, cte=cte), FOOTER)
    assert texts(raw)["text/plain"].replace("\r\n", "\n") == f"Hello there\n\n-- \n{FOOTER}\n"
    assert read(raw)["X-Last"] == "kept"
    assert not read(raw).defects


def test_html_gets_it_escaped_and_inside_of_the_body() -> None:
    raw = with_footer(made("Hi\n", html="<html><body><p>Hi</p></body></html>\n"), FOOTER)
    found = texts(raw)
    assert "&lt;legale&gt;</p></body></html>" in found["text/html"]
    assert "Roma<br>P. IVA" in found["text/html"]
    assert found["text/plain"].rstrip().endswith("<legale>")


def test_attachments_stay_byte_for_byte() -> None:
    message = read(made("Hi\n", html="<p>Hi</p>"))
    message.add_attachment(bytes(range(256)) * 20, maintype="application", subtype="pdf", filename="a.pdf")
    message.add_attachment("no footer here\n", filename="note.txt")
    raw = message.as_bytes(policy=email.policy.SMTP)
    new = with_footer(raw, FOOTER)
    attached = raw[raw.index(b"Content-Type: application/pdf") :]
    assert new.endswith(attached)
    assert next(part.get_content() for part in read(new).iter_attachments()) == bytes(range(256)) * 20


@pytest.mark.parametrize(
    ("field", "why"),
    [
        (b'Content-Type: multipart/signed; boundary="b"; micalg=sha-256', "signed or encrypted"),
        (b"Content-Type: application/pkcs7-mime", "signed or encrypted"),
        (b"DKIM-Signature: v=1; a=rsa-sha256", "DKIM"),
        (b"Content-Type: application/pdf", "no text of its own"),
        (b"Content-Type: text/plain; charset=no-such", "character set"),
        (b"Content-Transfer-Encoding: uuencode", "encoding"),
    ],
)
def test_what_can_not_have_one_says_why(field: bytes, why: str) -> None:
    with pytest.raises(NoFooter, match=why):
        with_footer(b"From: a@b.example\r\n" + field + b"\r\n\r\n--b\r\n\r\nHi\r\n--b--\r\n", FOOTER)


def test_pgp_in_the_text_is_left_alone() -> None:
    with pytest.raises(NoFooter):
        with_footer(made("-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n"), FOOTER)


def test_without_a_charset_one_is_named_when_the_footer_needs_it() -> None:
    raw = with_footer(b"From: a@b.example\r\nSubject: x\r\n\r\nHello\r\n", FOOTER)
    assert texts(raw)["text/plain"].rstrip().endswith("<legale>")
    assert raw.isascii()


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=300), st.sampled_from(["8bit", "base64"]))
def test_whatever_the_text_it_is_still_there(text: str, cte: str) -> None:
    if "-----BEGIN PGP" in text or any(len(line.encode()) > 900 for line in text.splitlines()):
        return
    raw = made(text + "\n", cte=cte, html="<p>x</p>")
    found = texts(with_footer(raw, FOOTER))["text/plain"].replace("\r\n", "\n")
    assert found.endswith(f"{FOOTER}\n")
    assert found.startswith(text.rstrip())


@given(st.binary(max_size=400))
def test_no_bytes_make_it_fail_otherwise(data: bytes) -> None:
    for head in (b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n", b""):
        with contextlib.suppress(NoFooter):
            with_footer(head + data, FOOTER)
