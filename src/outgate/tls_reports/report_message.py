"""The report of a day as a message (RFC 8460 section 5.3): multipart/report with the file. Pure.

It says `TLS-Required: No` (RFC 8689), since it may be the very domain that has broken TLS. Its signature is delivery's
to make.
"""

import quopri
import re
from base64 import encodebytes
from collections.abc import Sequence

from outgate.mail.addresses import ascii_form, format_mailbox
from outgate.mail.headers import format_date
from outgate.tls_reports.report_document import TlsReport
from outgate.tls_reports.utc_days import date_of

_TEXT = """\
This is a report of {organisation} about the TLS of its SMTP connections
to {domain} on {day} (UTC), as RFC 8460 defines it. The file has the details.

Who wants other reports, or none, changes the record at _smtp._tls.{domain}.
Questions: {contact}
"""


def report_message(report: TlsReport, sender: str, to: Sequence[str], date: float, message_id: str) -> bytes:
    """The message, US-ASCII but for recipients that have no such form; `message_id` without angle brackets."""
    submitter, boundary = report.submitter, f"tlsrpt-{re.sub(r'[^A-Za-z0-9]', '-', report.id)}"[:60]
    head = [
        f"From: {format_mailbox(submitter.organisation, sender)}",
        "To: " + ",\r\n ".join([ascii_form(one) or one for one in to]),
        f"Subject: Report Domain: {report.domain}\r\n Submitter: {submitter.domain}\r\n Report-ID: <{report.id}>",
        f"Date: {format_date(int(date))}",
        f"Message-ID: <{message_id}>",
        f"TLS-Report-Domain: {report.domain}",
        f"TLS-Report-Submitter: {submitter.domain}",
        "TLS-Required: No",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type="tlsrpt";\r\n\tboundary="{boundary}"',
    ]
    words = _TEXT.format(
        organisation=submitter.organisation,
        domain=report.domain,
        day=date_of(report.day),
        contact=submitter.contact,
    )
    parts = [
        _part(["Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: quoted-printable"], _text(words)),
        _part(
            [
                "Content-Type: application/tlsrpt+gzip",
                "Content-Transfer-Encoding: base64",
                f'Content-Disposition: attachment;\r\n\tfilename="{report.filename}"',
            ],
            encodebytes(report.compressed()).replace(b"\n", b"\r\n"),
        ),
    ]
    body = b"".join([b"--%b\r\n%b\r\n" % (boundary.encode(), part) for part in parts])
    return _lines(head) + b"\r\n" + body + b"--%b--\r\n" % boundary.encode()


def _part(fields: Sequence[str], content: bytes) -> bytes:
    return _lines(fields) + b"\r\n" + content


def _lines(fields: Sequence[str]) -> bytes:
    return "".join([f"{field}\r\n" for field in fields]).encode()


def _text(words: str) -> bytes:
    return quopri.encodestring(words.encode()).replace(b"\n", b"\r\n")
