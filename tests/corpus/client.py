"""Submits specimens: by DATA with the standard library's client, by BDAT with the few lines that it takes.

Both log in where told to, under TLS from the first byte (`tls`) or after STARTTLS (`starttls`).
"""

import asyncio
import smtplib
import ssl
from base64 import b64encode
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from corpus.specimen import Specimen


@dataclass(frozen=True)
class Door:
    """Where to submit, and as whom."""

    port: int
    host: str = "localhost"
    tls: ssl.SSLContext | None = None
    starttls: ssl.SSLContext | None = None
    log_in: tuple[str, str] | None = None


def options(specimen: Specimen) -> list[str]:
    """What MAIL must say for this message."""
    return [*(["SMTPUTF8"] if specimen.smtputf8 else []), *(["BODY=8BITMIME"] if specimen.eight_bit else [])]


async def send_by_data(door: Door, sender: str, specimen: Specimen) -> None:
    """One session with one message; raises smtplib's exceptions."""
    await asyncio.to_thread(_send, door, sender, specimen)


def _send(door: Door, sender: str, specimen: Specimen) -> None:
    with _session(door) as session:
        if door.starttls:
            session.starttls(context=door.starttls)
        if door.log_in:
            session.login(*door.log_in)
        session.ehlo_or_helo_if_needed()
        refused = session.sendmail(sender, specimen.recipients, specimen.raw, options(specimen))
        assert not refused


def _session(door: Door) -> smtplib.SMTP:
    if door.tls:
        return smtplib.SMTP_SSL(door.host, door.port, context=door.tls, timeout=30)
    return smtplib.SMTP(door.host, door.port, timeout=30)


class BdatClient:
    """One session, for any number of messages; everything of a message is sent before a reply is read.

    async with BdatClient(door) as client:
        await client.send(sender, specimen, chunk=70_001)
    """

    def __init__(self, door: Door, *, lmtp: bool = False) -> None:
        self._door, self._lmtp = door, lmtp

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection(self._door.host, self._door.port, ssl=self._door.tls)
        await self._expect(220)
        await self.say("LHLO client.example" if self._lmtp else "EHLO client.example", 250)
        if self._door.log_in:
            token = b64encode("\0".join(["", *self._door.log_in]).encode()).decode()
            await self.say(f"AUTH PLAIN {token}", 235)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    async def say(self, line: str, code: int) -> None:
        """One command, and the reply that it must have."""
        self._writer.write(line.encode() + b"\r\n")
        await self._expect(code)

    async def send(self, sender: str, specimen: Specimen, chunk: int = 1 << 30) -> None:
        """One message in chunks of this size; fails on any reply but 250."""
        raw = specimen.raw
        commands = [" ".join([f"MAIL FROM:<{sender}>", *options(specimen)])]
        commands += [f"RCPT TO:<{recipient}>" for recipient in specimen.recipients]
        self._writer.write("".join([f"{command}\r\n" for command in commands]).encode())
        chunks = [raw[start : start + chunk] for start in range(0, len(raw), chunk)]
        for piece in chunks[:-1]:
            self._writer.write(b"BDAT %d\r\n" % len(piece) + piece)
        self._writer.write(b"BDAT %d LAST\r\n" % len(chunks[-1]) + chunks[-1])
        ends = len(specimen.recipients) if self._lmtp else 1
        for _ in range(len(commands) + len(chunks) - 1 + ends):
            await self._expect(250)

    async def _expect(self, code: int) -> None:
        while (line := await self._reader.readuntil(b"\r\n"))[3:4] == b"-":
            pass
        assert int(line[:3]) == code, line
