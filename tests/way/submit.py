"""Submits by Python's smtplib, in a thread: an independent client."""

import asyncio
import smtplib
from collections.abc import Sequence

from way.place import PASSWORD, Site


def client(site: Site, account: str = "alice@example.com", password: str = PASSWORD) -> smtplib.SMTP_SSL:
    """A session on the TLS port, logged in."""
    session = smtplib.SMTP_SSL("localhost", site.tls, context=site.client_context(), timeout=30)
    try:
        session.login(account, password)
    except smtplib.SMTPException:
        session.close()
        raise
    return session


def message(sender: str, subject: str = "Hello", body: str = "A few words.", **fields: str) -> bytes:
    """A small message."""
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    return (
        f"From: {sender}\r\nTo: carol@recipient.example\r\nSubject: {subject}\r\n"
        f"Date: Mon, 23 Nov 2026 10:00:00 +0000\r\nMessage-ID: <{abs(hash((subject, body)))}@client.example>\r\n"
        f"{more}\r\n{body}\r\n"
    ).encode()


async def submit(
    site: Site,
    sender: str,
    recipients: Sequence[str] = ("carol@recipient.example",),
    content: bytes | None = None,
    account: str = "alice@example.com",
    password: str = PASSWORD,
) -> None:
    """Submit one message; raises smtplib's exceptions with the server's reply."""

    def work() -> None:
        with client(site, account, password) as session:
            session.sendmail(sender, recipients, content or message(sender))

    await asyncio.to_thread(work)
