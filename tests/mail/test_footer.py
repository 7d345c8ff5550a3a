"""Footers, read back with the stdlib's parser."""

import contextlib
import email
import email.policy
import re
import zlib
from collections.abc import Iterator
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.messages import specimens
from corpus.specimen import Specimen
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
        (b"Content-Type: text/plain; charset=idna", "character set"),
        (b"Content-Type: text/plain; charset=unicode_escape", "character set"),
        (b"Content-Type: text/plain\r\nContent-Type: text/html", "twice"),
        (b"Content-Type: text/plain" + b";" * 101, "too long"),
        (b"Content-Transfer-Encoding: uuencode", "encoding"),
        (b"Content-Transfer-Encoding: base64\r\nContent-Type: text/plain", "encoding"),
    ],
)
def test_what_can_not_have_one_says_why(field: bytes, why: str) -> None:
    with pytest.raises(NoFooter, match=why):
        with_footer(b"From: a@b.example\r\n" + field + b"\r\n\r\n--b\r\n\r\nHi\r\n--b--\r\nx=", FOOTER)


@pytest.mark.parametrize("cte", ["base64", "quoted-printable", "7bit"])
def test_pgp_in_the_text_is_left_alone(cte: str) -> None:
    with pytest.raises(NoFooter):
        with_footer(made("-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n", charset="us-ascii", cte=cte), FOOTER)


def test_nothing_becomes_8_bit_that_was_not() -> None:
    raw = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nHello\r\n"
    new = with_footer(b"MIME-Version: 1.0\r\n" + raw, FOOTER)
    assert new.isascii()
    assert texts(new)["text/plain"].rstrip().endswith("<legale>")


def test_a_message_that_ends_with_its_header_gets_an_empty_line_first() -> None:
    raw = with_footer(b"From: a@b.example\r\nSubject: x\r\n", "Example")
    assert raw == b"From: a@b.example\r\nSubject: x\r\n\r\nExample\r\n"


def test_of_a_beginning_only_texts_that_end_in_it_are_touched() -> None:
    message = read(made("Hi\n", html="<p>Hi</p>"))
    message.add_attachment(b"x" * 100_000, maintype="application", subtype="pdf", filename="a.pdf")
    raw = message.as_bytes(policy=email.policy.SMTP)
    for size in (raw.index(b"<p>Hi</p>"), raw.index(b"a.pdf") + 5000):
        new = with_footer(raw[:size], FOOTER, whole=False) + raw[size:]
        assert texts(new)["text/plain"].rstrip().endswith("<legale>")
        assert ("&lt;legale&gt;" in texts(new)["text/html"]) == (b"a.pdf" in raw[:size])
        assert new[-100_000:] == raw[-100_000:]
    # A delimiter that is cut off may be another one: here --b of --b1.
    raw = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nHi\r\n--b1\r\nmore"
    with pytest.raises(NoFooter, match="too long"):
        with_footer(raw[: raw.index(b"1\r\nmore")], FOOTER, whole=False)
    with pytest.raises(NoFooter, match="too long"):
        with_footer(made("Hi\n" * 1000)[:500], FOOTER, whole=False)


def test_html_keeps_its_character_set_whatever_the_footer() -> None:
    raw = (
        b"MIME-Version: 1.0\r\nContent-Type: text/html; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        b"<!-- </body> --><p>Gr\xfc\xdfe</p></body></html>\r\n"
    )
    new = with_footer(raw, "Осло")
    assert new == raw.replace(b"</p></body>", b"</p><hr><p>&#1054;&#1089;&#1083;&#1086;</p></body>")


def test_text_in_utf_16_becomes_utf_8() -> None:
    new = with_footer(made("Größe\n", charset="utf-8", cte="base64").replace(b"utf-8", b"gb18030"), "x")
    assert read(new).get_content_charset() == "gb18030"
    raw = b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-16\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    with pytest.raises(NoFooter, match="character set"):
        with_footer(raw + b"SABpAA==\r\n", FOOTER)


@pytest.mark.parametrize("specimen", specimens("alice@dominiopartner.example"), ids=lambda one: one.name)
def test_of_real_messages_only_the_text_changes(specimen: Specimen) -> None:
    try:
        new = with_footer(specimen.raw, FOOTER)
    except NoFooter:
        return
    before, after = (list(leaves(one)) for one in (specimen.raw, new))
    changed = [new for old, new in zip(before, after, strict=True) if old != new]
    assert 1 <= len(changed) <= 2
    for kind, content in changed:
        assert kind in ("text/plain", "text/html")
        assert "P. IVA 01234567890" in content


def leaves(raw: bytes) -> Iterator[tuple[str, str]]:
    for part in email.message_from_bytes(raw, policy=email.policy.default).walk():
        if not part.is_multipart():
            yield part.get_content_type(), bytes(part.get_payload(decode=True) or b"").decode("utf-8", "replace")


_LEAVES = st.sampled_from(
    [
        b"\r\nno header at all",
        b"Content-Type: text/plain\r\n\r\nHello",
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nSGVsbG8K\r\n",
        b"content-type: TEXT/HTML;\r\n charset=koi8-r\r\nX-Other: kept\r\n\r\n<p>Hello",
        b"Content-Type: text/plain\r\nContent-Disposition: attachment\r\n\r\nattached",
        b"Content-Type: text/html; name=a.html\r\n\r\n<p>attached",
        b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERg==",
        b"Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\nnot mine",
        b"Content-Type: text/plain\r\n\r\n",
    ]
)


def _multipart(parts: list[bytes]) -> bytes:
    boundary = b"b%d" % zlib.crc32(b"".join(parts))  # its own at each level
    body = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts)
    return (
        b"Content-Type: multipart/mixed; boundary=" + boundary + b"\r\n\r\npreamble\r\n" + body + b"--" + boundary
    ) + b"--\r\nepilogue"


_PARTS = st.recursive(
    _LEAVES,
    lambda inner: st.builds(_multipart, st.lists(inner, min_size=1, max_size=3)),
    max_leaves=8,
)


@settings(deadline=None)  # the machine may be busy
@given(_PARTS)
def test_all_bytes_outside_of_the_texts_are_the_same(part: bytes) -> None:
    raw = b"From: a@b.example\r\nMIME-Version: 1.0\r\n" + part + b"\r\n"
    try:
        new = with_footer(raw, FOOTER)
    except NoFooter:
        assert not re.search(rb"ello|SGVsbG8K|no header", raw)
        return
    cut = re.compile(rb"(?m)^--b\d+(?:--)?\r\n")
    assert cut.findall(raw) == cut.findall(new)
    changed = [one for one, other in zip(cut.split(raw), cut.split(new), strict=True) if one != other]
    assert 1 <= len(changed) <= 2
    for one in changed:
        assert not re.search(rb"attach|application|rfc822|preamble", one)


def test_without_a_charset_one_is_named_when_the_footer_needs_it() -> None:
    raw = with_footer(b"From: a@b.example\r\nSubject: x\r\n\r\nHello\r\n", FOOTER)
    assert texts(raw)["text/plain"].rstrip().endswith("<legale>")
    assert raw.isascii()


@settings(deadline=None)  # the machine may be busy
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=300), st.sampled_from(["8bit", "base64"]))
def test_whatever_the_text_it_is_still_there(text: str, cte: str) -> None:
    if "-----BEGIN PGP" in text or any(len(line.encode()) > 900 for line in text.splitlines()):
        return
    raw = made(text + "\n", cte=cte, html="<p>x</p>")
    found = texts(with_footer(raw, FOOTER))["text/plain"].replace("\r\n", "\n")
    assert found.endswith(f"{FOOTER}\n")
    assert found.startswith(text.rstrip())


@settings(deadline=None)  # the machine may be busy
@given(st.binary(max_size=400))
def test_no_bytes_make_it_fail_otherwise(data: bytes) -> None:
    for head in (b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n", b""):
        with contextlib.suppress(NoFooter):
            with_footer(head + data, FOOTER)


@pytest.mark.parametrize(
    ("header", "why"),
    [
        (b"Content-Type: text/plain; charset*; charset*1\r\n", "can't be read"),
        (b'Content-Type: text/plain; x="; charset=us-ascii"\r\n', "can't be changed"),
        (b"Content-Type: multipart/mixed\r\n", "no text of its own"),
        (b"Content-Type: multipart/mixed; boundary=never-there\r\n", "no text of its own"),
        (b"Content-Type: multipart/digest; boundary=b\r\n", "no text of its own"),
        (b"Content-Type: text/plain\r\nContent-Transfer-Encoding: x-own\r\n", "not known"),
    ],
)
def test_a_header_that_says_little_or_too_much_gets_none(header: bytes, why: str) -> None:
    with pytest.raises(NoFooter, match=why):
        with_footer(header + b"\r\n--b\r\n\r\nFrom: bob@example.com\r\n\r\nhis\r\n--b--\r\n", FOOTER)


def test_parts_in_parts_have_an_end() -> None:
    raw = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(12))
    with pytest.raises(NoFooter, match="nested too deeply"):
        with_footer(raw + b"\r\nHello\r\n", FOOTER)


def mixed(*parts: str, kind: str = "multipart/mixed", mark: str = "M") -> str:
    inner = "".join(f"--{mark}\r\n{part}\r\n" for part in parts)
    return f"Content-Type: {kind}; boundary={mark}\r\n\r\n{inner}--{mark}--\r\n"


def text_part(words: str, kind: str = "text/plain") -> str:
    return f"Content-Type: {kind}\r\n\r\n{words}"


PICTURE = "Content-Type: image/png\r\nContent-Disposition: inline\r\n\r\nPNG"
ATTACHED = "Content-Type: text/plain\r\nContent-Disposition: attachment; filename=a.txt\r\n\r\nattached"


def alternative(number: int) -> str:
    kinds = (text_part(f"plain {number}"), text_part(f"html {number}", "text/html"))
    return mixed(*kinds, kind="multipart/alternative", mark=f"A{number}")


@pytest.mark.parametrize(
    ("raw", "below"),
    [
        (mixed(text_part("one"), PICTURE, text_part("two")), ["two"]),
        (mixed(text_part("one"), PICTURE, text_part("two"), PICTURE), ["two"]),
        (mixed(text_part("one", "text/html"), PICTURE, text_part("two", "text/html")), ["two"]),
        (mixed(text_part("one"), PICTURE, text_part("two", "text/html")), ["two"]),
        (mixed(alternative(1), PICTURE, alternative(2)), ["plain 2", "html 2"]),
        (mixed(alternative(1), ATTACHED), ["plain 1", "html 1"]),
        (mixed(text_part("own"), "Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\ntheirs"), ["own"]),
        (
            mixed(text_part("root", "text/html"), text_part("shown in it", "text/html"), kind="multipart/related"),
            ["root"],
        ),
        (
            mixed(
                text_part("plain"),
                mixed(text_part("h1", "text/html"), PICTURE, text_part("h2", "text/html"), mark="N"),
                kind="multipart/alternative",
            ),
            ["plain", "h2"],
        ),
    ],
)
def test_the_footer_stands_below_the_last_text_of_each_alternative(raw: str, below: list[str]) -> None:
    found = with_footer(f"MIME-Version: 1.0\r\n{raw}".encode(), "Legal")
    parts = [part.get_content() for part in read(found).walk() if part.get_content_maintype() == "text"]
    assert [one.split("\n")[0].split("<hr>")[0].strip() for one in parts if "Legal" in one] == below


def test_of_a_beginning_that_ends_in_a_text_the_one_before_gets_it() -> None:
    raw = f"MIME-Version: 1.0\r\n{mixed(text_part('one'), PICTURE, text_part('two'))}".encode()
    cut = raw[: raw.index(b"two") + 1]
    assert b"Legal" in with_footer(cut, "Legal", whole=False).partition(b"PNG")[0]
