"""A receiving SMTP (or LMTP) server in one page, for tests: strict, and independent of Outgate's engine.

    async with RawPeer(tls=context, credentials={"alice": "secret"}) as peer:
        ...                                    # deliver to peer.host:peer.port
        [received] = await peer.wait_for(1)

It offers CHUNKING, PIPELINING, SMTPUTF8, 8BITMIME and DSN unless told otherwise, and refuses what a client must not do:
commands out of order, 8-bit content without BODY=8BITMIME, unstuffed dots, lines over 998 bytes, bare CR or LF.
"""

import asyncio
import re
import ssl
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from corpus.inbox import Answer, Inbox, Received, params

OFFERS = ("PIPELINING", "8BITMIME", "SMTPUTF8", "CHUNKING", "ENHANCEDSTATUSCODES", "DSN", "SIZE 104857600")
DROP = "drop"  # an Answer: close the connection without a word
HANG = "hang"  # an Answer: never reply

_MAIL = re.compile(r"MAIL FROM:<(.*)>((?: [^ <>]+)*)", re.IGNORECASE)
_RCPT = re.compile(r"RCPT TO:<(.+)>((?: [^ <>]+)*)", re.IGNORECASE)
_BDAT = re.compile(r"BDAT (\d+)( LAST)?", re.IGNORECASE)
_BEARER = {
    "OAUTHBEARER": re.compile(
        r"n,a=(?P<user>[^,]+),\x01(host=[^\x01]+\x01)?(port=\d+\x01)?auth=Bearer (?P<token>[!-~]+)\x01\x01"
    ),
    "XOAUTH2": re.compile(r"user=(?P<user>[^\x01]+)\x01auth=Bearer (?P<token>[!-~]+)\x01\x01"),
}
_UNSTUFFED = re.compile(rb"(?:\A|\r\n)\.(?!\.)")


@dataclass
class RawPeer(Inbox):
    """A server on loopback, at a free port unless told otherwise; at a Unix socket if `unix_path` is set.

    `tls`: STARTTLS is offered with this context, or with `implicit_tls` spoken from the first byte. `credentials`:
    AUTH PLAIN is required, under TLS where there is any. `bearer` says whose an access token is: then AUTH by these
    `token_mechanisms` is required, and all that were shown are in `tokens`.
    `answer` is asked at each command line, and with "." when a
    content has come whole (with ". <recipient>" for each recipient in LMTP); it may also say DROP or HANG.
    """

    host: str = "127.0.0.1"
    port: int = 0
    tls: ssl.SSLContext | None = None
    implicit_tls: bool = False
    credentials: Mapping[str, str] | None = None
    bearer: Callable[[str], str | None] | None = None
    token_mechanisms: tuple[str, ...] = ("OAUTHBEARER", "XOAUTH2")
    tokens: list[str] = field(default_factory=list)
    offers: tuple[str, ...] = OFFERS
    answer: Answer | None = None
    hostname: str = "peer.example"
    lmtp: bool = False
    unix_path: str = ""
    _server: asyncio.Server | None = None
    _sessions: set[asyncio.Task[None]] = field(default_factory=set)

    async def __aenter__(self) -> Self:
        if self.unix_path:
            self._server = await asyncio.start_unix_server(self._connected, self.unix_path)
            return self
        context = self.tls if self.implicit_tls else None
        self._server = await asyncio.start_server(self._connected, self.host, self.port, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server:
            self._server.close()
        await self.hang_up()

    @property
    def connected(self) -> int:
        """How many connections have not ended: while there is one, something that was sent may come yet."""
        return len(self._sessions)

    async def hang_up(self) -> None:
        """End all connections, and go on listening."""
        for session in self._sessions:
            session.cancel()
        await asyncio.gather(*self._sessions, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        session = asyncio.create_task(_Session(self, reader, writer).run())
        self._sessions.add(session)
        session.add_done_callback(self._sessions.discard)


@dataclass
class LmtpPeer(RawPeer):
    """The same as LMTP (RFC 2033): LHLO, and one reply for each recipient after the content."""

    lmtp: bool = True


@dataclass
class _Transaction:
    reverse_path: str
    params: dict[str, str]
    recipients: list[str] = field(default_factory=list)
    rcpt_params: list[dict[str, str]] = field(default_factory=list)
    chunks: list[bytes] = field(default_factory=list)


class _Refused(Exception):
    """The reply to a command that can't be carried out."""


class _Dropped(Exception):
    """The connection is to end, or has ended."""


class _Session:
    def __init__(self, peer: RawPeer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._peer, self._reader, self._writer = peer, reader, writer
        self._buffer = bytearray()
        self._hello = ""
        self._username: str | None = None
        self._transaction: _Transaction | None = None

    async def run(self) -> None:
        try:
            await self._say(f"220 {self._peer.hostname} {'LMTP' if self._peer.lmtp else 'ESMTP'}")
            while True:
                await self._command((await self._until(b"\r\n")).decode())
        except (_Dropped, OSError, ValueError):
            pass  # the client went away, or is to believe that we did, or sent what can't be decoded
        finally:
            self._writer.transport.abort()

    async def _command(self, line: str) -> None:
        self._peer.commands.append(line)
        verb = line.partition(" ")[0].upper()
        # The chunk follows its command whatever the reply will be (RFC 3030 section 2).
        chunk = await self._chunk(line) if verb == "BDAT" else b""
        try:
            await self._overrule(line)
            match verb:
                case "EHLO" | "HELO" | "LHLO":
                    await self._on_hello(verb, line)
                case "STARTTLS":
                    await self._on_starttls()
                case "AUTH":
                    await self._on_auth(line)
                case "MAIL":
                    await self._on_mail(line)
                case "RCPT":
                    await self._on_rcpt(line)
                case "DATA":
                    await self._on_data()
                case "BDAT":
                    await self._on_bdat(line, chunk)
                case "RSET" | "NOOP":
                    self._transaction = None if verb == "RSET" else self._transaction
                    await self._say("250 2.0.0 Ok")
                case "QUIT":
                    await self._say("221 2.0.0 Bye")
                    raise _Dropped
                case _:
                    raise _Refused("500 5.5.2 What?")
        except _Refused as refused:
            await self._say(str(refused))
            if str(refused).startswith("421"):
                raise _Dropped from None

    # --- commands ----------------------------------------------------------------------------------------------------

    async def _on_hello(self, verb: str, line: str) -> None:
        _require((verb == "LHLO") == self._peer.lmtp, "500 5.5.1 SMTP says EHLO, LMTP says LHLO")
        self._hello = line.partition(" ")[2]
        self._transaction = None
        offers = [self._peer.hostname, *(self._peer.offers if verb != "HELO" else ())]
        if self._peer.tls and not self._tls():
            offers.append("STARTTLS")
        elif self._peer.credentials is not None:
            offers.append("AUTH PLAIN")
        elif self._peer.bearer is not None:
            offers.append(f"AUTH {' '.join(self._peer.token_mechanisms)}")
        await self._say(*[f"250-{offer}" for offer in offers[:-1]], f"250 {offers[-1]}")

    async def _on_starttls(self) -> None:
        _require(self._peer.tls and not self._tls(), "503 5.5.1 No STARTTLS here")
        _require(not self._buffer, "501 5.5.1 Something follows STARTTLS in the clear (RFC 3207 section 4)")
        assert self._peer.tls
        await self._say("220 2.0.0 Ready")
        await self._writer.start_tls(self._peer.tls)
        self._hello = ""

    async def _on_auth(self, line: str) -> None:
        required = self._peer.credentials is not None or self._peer.bearer is not None
        _require(required and self._hello, "503 5.5.1 No AUTH here")
        _require(self._tls() or not self._peer.tls, "538 5.7.11 Only under TLS")
        mechanism, _, initial = line.partition(" ")[2].partition(" ")
        if self._peer.bearer is not None:
            await self._on_token(mechanism.upper(), initial)
            return
        _require(mechanism.upper() == "PLAIN", "504 5.5.4 Only PLAIN")
        if not initial:
            await self._say("334 ")
            initial = (await self._until(b"\r\n")).decode()
        _, username, password = b64decode(initial).decode().split("\0")
        is_right = (self._peer.credentials or {}).get(username) == password
        _require(is_right, f"535 5.7.8 Wrong user or password for {username}")
        self._username = username
        await self._say("235 2.7.0 Welcome")

    async def _on_token(self, mechanism: str, initial: str) -> None:
        """OAUTHBEARER (RFC 7628) and XOAUTH2, whose failures are told in a challenge first."""
        _require(mechanism in self._peer.token_mechanisms, "504 5.5.4 Not this mechanism")
        match = _BEARER[mechanism].fullmatch(b64decode(initial).decode())
        _require(match, "501 5.5.2 No message of this mechanism")
        assert match
        assert self._peer.bearer
        self._peer.tokens.append(match["token"])
        whose = await asyncio.to_thread(self._peer.bearer, match["token"])
        if whose != match["user"]:
            await self._say("334 eyJzdGF0dXMiOiI0MDEiLCJzY2hlbWVzIjoiYmVhcmVyIn0=")
            answer = (await self._until(b"\r\n")).decode()
            _require(
                answer == ("AQ==" if mechanism == "OAUTHBEARER" else ""), "501 5.5.2 That is no answer to a failure"
            )
        _require(whose == match["user"], "535 5.7.8 The token is not good")
        self._username = whose
        await self._say("235 2.7.0 Welcome")

    async def _on_mail(self, line: str) -> None:
        _require(self._hello and not self._transaction, "503 5.5.1 MAIL out of order")
        _require(
            (self._peer.credentials is None and self._peer.bearer is None) or self._username, "530 5.7.0 Log in first"
        )
        match = _MAIL.fullmatch(line)
        _require(match, "501 5.5.4 Syntax: MAIL FROM:<address>")
        assert match
        given = params(match[2])
        offered = {offer.split()[0] for offer in self._peer.offers}
        needed = {"BODY": "8BITMIME", "RET": "DSN", "ENVID": "DSN"}
        _require(all(needed.get(name, name) in offered for name in given), "555 5.5.4 A parameter that was not offered")
        _require(match[1].isascii() or "SMTPUTF8" in given, "553 5.6.7 SMTPUTF8 is needed")
        self._transaction = _Transaction(match[1], given)
        await self._say("250 2.1.0 Ok")

    async def _on_rcpt(self, line: str) -> None:
        transaction = self._open_transaction()
        match = _RCPT.fullmatch(line)
        _require(match, "501 5.5.4 Syntax: RCPT TO:<address>")
        assert match
        _require(match[1].isascii() or "SMTPUTF8" in transaction.params, "553 5.6.7 SMTPUTF8 is needed")
        transaction.recipients.append(match[1])
        transaction.rcpt_params.append(params(match[2]))
        await self._say("250 2.1.5 Ok")

    async def _on_data(self) -> None:
        transaction = self._open_transaction()
        _require(transaction.recipients and not transaction.chunks, "503 5.5.1 DATA out of order")
        await self._say("354 Go on")
        # The line end before the first line is that of DATA itself, so that the end is the same for an empty content.
        self._buffer[:0] = b"\r\n"
        stuffed = (await self._until(b"\r\n.\r\n") + b"\r\n")[2:]
        # RFC 5321 4.5.2: the first character of a line that begins with a dot goes.
        content = (b"\r\n" + stuffed).replace(b"\r\n.", b"\r\n")[2:]
        fault = "554 5.6.0 A line begins with a single dot" if _UNSTUFFED.search(stuffed) else None
        await self._finish(transaction, content, "DATA", fault)

    async def _on_bdat(self, line: str, chunk: bytes) -> None:
        transaction = self._open_transaction()
        _require("CHUNKING" in self._peer.offers and transaction.recipients, "503 5.5.1 BDAT out of order")
        transaction.chunks.append(chunk)
        if line.upper().endswith(" LAST"):
            await self._finish(transaction, b"".join(transaction.chunks), "BDAT", None)
        else:
            await self._say(f"250 2.0.0 {len(chunk)} octets")

    async def _finish(self, transaction: _Transaction, content: bytes, by: str, fault: str | None) -> None:
        """Judge the content, keep it for those recipients that nobody refuses, and reply."""
        self._transaction = None
        fault = fault or _fault(content, transaction.params)
        asked = [f". {recipient}" for recipient in transaction.recipients] if self._peer.lmtp else ["."]
        verdicts = [fault or await self._verdict(what) for what in asked]
        each = verdicts if self._peer.lmtp else verdicts * len(transaction.recipients)
        pairs = zip(transaction.recipients, transaction.rcpt_params, each, strict=True)
        kept = [(recipient, given) for recipient, given, verdict in pairs if verdict is None]
        if kept:
            await self._peer.put(
                Received(
                    reverse_path=transaction.reverse_path,
                    recipients=[recipient for recipient, _ in kept],
                    content=content,
                    mail_params=transaction.params,
                    rcpt_params=[given for _, given in kept],
                    by=by,
                    hello=self._hello,
                    tls=self._tls(),
                    username=self._username,
                    client=(self._writer.get_extra_info("peername") or ("",))[0],
                )
            )
        await self._say(*[verdict or f"250 2.0.0 Ok: queued as {len(self._peer.messages)}" for verdict in verdicts])

    async def _verdict(self, what: str) -> str | None:
        try:
            await self._overrule(what)
        except _Refused as refused:
            return str(refused)
        return None

    async def _overrule(self, line: str) -> None:
        """Let the test answer instead."""
        reply = self._peer.answer(line) if self._peer.answer else None
        if reply == HANG:
            await asyncio.Event().wait()
        if reply == DROP:
            raise _Dropped
        if reply is not None:
            raise _Refused(reply)

    def _open_transaction(self) -> _Transaction:
        if self._transaction is None:
            raise _Refused("503 5.5.1 MAIL first")
        return self._transaction

    def _tls(self) -> str | None:
        secured = self._writer.get_extra_info("ssl_object")
        return secured.version() if secured else None

    # --- the wire ----------------------------------------------------------------------------------------------------

    async def _say(self, *lines: str) -> None:
        self._writer.write("".join([f"{line}\r\n" for line in lines]).encode())
        await self._writer.drain()

    async def _chunk(self, line: str) -> bytes:
        match = _BDAT.fullmatch(line)
        if not match:
            raise _Dropped  # where the next command begins can't be told any more
        size = int(match[1])
        while len(self._buffer) < size:
            await self._read()
        return self._take(size)

    async def _until(self, mark: bytes) -> bytes:
        """What comes before the mark, which is taken too."""
        searched = 0
        while (found := self._buffer.find(mark, searched)) < 0:
            searched = max(0, len(self._buffer) - len(mark) + 1)
            await self._read()
        return self._take(found + len(mark))[: -len(mark)]

    async def _read(self) -> None:
        data = await self._reader.read(1 << 20)
        if not data:
            raise _Dropped
        self._buffer += data

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken


def _require(fulfilled: object, reply: str) -> None:
    if not fulfilled:
        raise _Refused(reply)


def _fault(content: bytes, given: dict[str, str]) -> str | None:
    if not content.isascii() and given.get("BODY", "").upper() != "8BITMIME":
        return "554 5.6.1 8-bit content without BODY=8BITMIME"
    if not content.count(b"\r\n") == content.count(b"\r") == content.count(b"\n"):
        return "554 5.6.0 A bare CR or LF"
    if max(map(len, content.split(b"\r\n"))) > 998:
        return "554 5.6.0 A line of over 998 bytes"
    return None
