"""Disguises of evil.exe: each is refused, by its name or as what programs read in two ways. Ordinary mail is not."""

import pytest

from outgate.compliance.attachment_policy import find_attachments, refuses_attachments
from outgate.model import Policy

POLICY = Policy(refused_attachments=(".exe",))
BODY = "\r\n\r\nTVqQAAMAAAAEAAAA\r\n"


def refused(raw: str | bytes) -> bool:
    data = raw if isinstance(raw, bytes) else raw.encode()
    return refuses_attachments(POLICY, find_attachments([data])) is not None


def named(disposition: str, kind: str = "application/octet-stream") -> str:
    return f"Content-Type: {kind}\r\nContent-Disposition: {disposition}{BODY}"


def in_parts(*header: str, boundary: str = 'boundary="A"', kind: str = "multipart/mixed") -> str:
    lines = "\r\n".join(header)
    head = f"MIME-Version: 1.0\r\nContent-Type: {kind}; {boundary}\r\n\r\n"
    return f"{head}--A\r\n\r\nHello\r\n--A\r\n{lines}{BODY}--A--\r\n"


EVIL = 'Content-Disposition: attachment; filename="evil.exe"'

DISPOSITIONS = [
    'attachment; filename="evil.exe"',
    "attachment; filename=evil.exe",
    "attachment; FILENAME=evil.EXE",
    "attachment; filename = evil.exe",
    "attachment;filename=evil.exe;",
    "attachment;; filename=evil.exe",
    'attachment; filename="a.txt"; filename="evil.exe"',
    'attachment; filename="evil.exe"; filename="a.txt"',
    "attachment; filename=\"a.txt\"; filename*=utf-8''evil.exe",
    "attachment; filename*=utf-8''a.txt; filename=\"evil.exe\"",
    "attachment; filename*=utf-8''a.txt; filename*=utf-8''evil.exe",
    "attachment; filename*=utf-8''evil%2Eexe",
    "attachment; filename*=x-sjis''evil%2Eexe",
    "attachment; filename*=''evil.exe",
    "attachment; filename*=evil.exe",
    "attachment; filename*0=ev; filename*1=il.exe",
    "attachment; filename*1=il.exe; filename*0=ev",
    "attachment; filename*0=a.txt; filename*00=evil.exe",
    "attachment; filename*0*=utf-8''evil; filename*1=.exe",
    "attachment; filename*0=evil.; filename*2=exe",
    "attachment; filename*0=a.txt; filename*1*=%2Eexe",
    "attachment; filename=a.txt; filename*0=evil.exe",
    "attachment; (x) filename=evil.exe",
    'attachment; filename=(x)"evil.exe"',
    'attachment; filename="evil.exe"(x)',
    "attachment; filename=evil.exe (x)",
    "(x) attachment; filename=evil.exe",
    "attachment (x); filename=evil.exe",
    'attachment; filename="=?utf-8?q?evil=2Eexe?="',
    'attachment; filename="=?utf-8?b?ZXZpbC5leGU=?="',
    'attachment; filename="=?x-sjis?q?evil=2Eexe?="',
    'attachment; filename="=?utf-8?q?evil=2Eexe"',
    'attachment; filename="=?utf-8?x?evil.exe?="',
    'attachment; filename="=?utf-8?q?evil=2E?= =?utf-8?q?exe?="',
    "attachment; filename==?utf-8?q?evil=2Eexe?=",
    'attachment; filename="evil.\\exe"',
    'attachment; filename="evil.exe',
    "attachment; filename='evil.exe",
    "attachment; filename=a evil.exe",
    "attachment filename=evil.exe",
    "attachment, filename=evil.exe",
    'attachment; filename="evil.exe."',
    'attachment; filename="evil.exe "',
    'attachment; filename="evil.e\u200bxe"',
    'attachment; filename="evil.\uff45\uff58\uff45"',
    'attachment;\r\n filename="evil\r\n .exe"',
    'attachment;\r\n\tfilename="evil.exe"',
    'inline; filename="evil.exe"',
    'x-unknown; filename="evil.exe"',
]
TYPES = [
    'application/octet-stream; name="evil.exe"',
    'application/octet-stream; name="a.txt"; name="evil.exe"',
    "application/octet-stream; name=(x)evil.exe",
    "application/octet-stream (x); name=evil.exe",
    "application /octet-stream; name=evil.exe",
    "application/ octet-stream; name=evil.exe",
    "application; name=evil.exe",
    "application/octet-stream/x; name=evil.exe",
    'text/plain; charset=utf-8; name="evil.exe"',
]
MESSAGES = {
    "two boundaries": in_parts(EVIL, boundary='boundary="B"; boundary="A"'),
    "two boundaries, the other way": in_parts(EVIL, boundary='boundary="A"; boundary="B"'),
    "two spellings of a boundary": in_parts(EVIL, boundary="boundary=\"B\"; boundary*=us-ascii''A"),
    "white space before the slash": in_parts(EVIL, kind="multipart /mixed"),
    "white space behind the slash": in_parts(EVIL, kind="multipart/ mixed"),
    "a comment in the type": in_parts(EVIL, kind="multipart/mixed (x)"),
    "a comment before the boundary": in_parts(EVIL, boundary='(x) boundary="A"'),
    "an encoded multipart": in_parts(EVIL).replace("MIME-Version: 1.0", "Content-Transfer-Encoding: base64"),
    "a piece of a message": f"Content-Type: message/partial; id=1; number=1; total=2\r\n\r\n{EVIL}{BODY}",
    "a line that is no field": in_parts("Content-X", EVIL),
    "a line that is no field, behind": in_parts(EVIL, "Content-X"),
    "a line that is none at all": in_parts("no field", EVIL),
    "white space before the colon": in_parts(EVIL.replace(":", " :", 1)),
    "two dispositions": in_parts("Content-Disposition: inline", EVIL),
    "two types": in_parts("Content-Type: text/plain", "Content-Type: a/b; name=evil.exe"),
    "two encodings": in_parts("Content-Transfer-Encoding: 7bit", "Content-Transfer-Encoding: base64", EVIL),
    "an encoding with a comment": in_parts("Content-Transfer-Encoding: base64 (x)", EVIL.replace("exe", "txt")),
    "a message in the message": f"Content-Type: message/rfc822\r\n\r\nSubject: x\r\n{EVIL}{BODY}",
    "a line that is no field, in a message in the message": f"Content-Type: message/rfc822\r\n\r\nX\r\n{EVIL}{BODY}",
}


@pytest.mark.parametrize("disposition", DISPOSITIONS)
def test_no_disposition_disguises_it(disposition: str) -> None:
    assert refused(named(disposition))
    assert refused(in_parts(f"Content-Disposition: {disposition}"))


@pytest.mark.parametrize("kind", TYPES)
def test_no_type_disguises_it(kind: str) -> None:
    assert refused(f"Content-Type: {kind}\r\nContent-Disposition: attachment{BODY}")


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_no_structure_disguises_it(message: str) -> None:
    assert refused(message)


@pytest.mark.parametrize(
    "disposition",
    [
        'attachment; filename="report (final).pdf"',
        'attachment; filename="evil.exe.pdf"',
        "attachment; filename=a[1].pdf",
        "attachment; filename = a.pdf",
        'attachment; filename="a; b, c.pdf"',
        'attachment; filename="say \\"hello\\".pdf"',
        "attachment; filename=\"resume.pdf\"; filename*=UTF-8''r%C3%A9sum%C3%A9.pdf",
        "attachment; filename*0*=UTF-8''r%C3%A9; filename*1*=sum%C3%A9.pdf",
        "attachment;\r\n filename*0=long;\r\n filename*1=.pdf; size=12",
        'attachment; filename="=?UTF-8?Q?r=C3=A9sum=C3=A9=2Epdf?="',
        'attachment; filename="=?iso-2022-jp?B?GyRCRnxLXBsoQi5wZGY=?="',
        'attachment; filename="résumé.pdf"',
        'attachment; filename=""',
        "attachment;",
        "ATTACHMENT",
        "inline",
        "",
    ],
)
def test_ordinary_names_pass(disposition: str) -> None:
    assert not refused(named(disposition))
    assert not refused(in_parts(f"Content-Disposition: {disposition}"))
    if disposition.isascii():
        return
    assert not refused(named(disposition).encode("latin-1"))


def test_an_ordinary_message_without_mime_passes() -> None:
    assert not refused("Subject: Hello\r\n\r\nfilename=evil.exe\r\n")
