"""An IMAP server in one page, for tests (RFC 9051): one mailbox, strict about what a client sends, keeping all of it.

What it can't read as one command with one string it answers with BAD, as servers do, and never waits for more.
"""

import re
import socketserver
from base64 import b64decode
from dataclasses import dataclass, field
from threading import Thread
from types import TracebackType
from typing import Final, Self, cast

VALIDITY: Final = 7
_LITERAL: Final = re.compile(rb"\{(\d+)\}\r\n\Z")
_SEARCH: Final = re.compile(
    rb'SEARCH (?:CHARSET UTF-8 )?(TEXT|HEADER Message-ID) (?:"((?:[^"\\\x00-\x1f]|\\["\\])*)"|\{\d+\}\r\n(.*))',
    re.DOTALL,
)


class _Connection(socketserver.StreamRequestHandler):
    """One client's."""

    disable_nagle_algorithm = True  # else each line of an answer waits for the acknowledgement of the one before

    def handle(self) -> None:
        """Until it leaves."""
        peer = cast(_Server, self.server).peer
        self._say(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready")
        while line := self._command():
            tag, _, command = line.removesuffix(b"\r\n").partition(b" ")
            peer.commands.append(command)
            name = command.removeprefix(b"UID ").split(b" ", 1)[0].upper()
            answer = getattr(self, f"_{name.decode('ascii', 'replace').lower()}", None)
            says = answer(peer, command.removeprefix(b"UID ")) if answer else b"BAD no such command"
            self._say(tag + b" " + says)
            if name == b"LOGOUT":
                return

    def _command(self) -> bytes:
        """A line with the literals in it (RFC 9051 section 4.3)."""
        line = self.rfile.readline()
        while literal := _LITERAL.search(line):
            self._say(b"+ go on")
            line += self.rfile.read(int(literal[1])) + self.rfile.readline()
        return line

    def _say(self, line: bytes) -> None:
        self.wfile.write(line + b"\r\n")

    def _capability(self, _peer: "ImapPeer", _command: bytes) -> bytes:
        self._say(b"* CAPABILITY IMAP4rev1 AUTH=PLAIN SPECIAL-USE")
        return b"OK done"

    def _authenticate(self, peer: "ImapPeer", _command: bytes) -> bytes:
        self._say(b"+ ")
        peer.logged_in.append(b64decode(self.rfile.readline()).decode())
        return b"OK done"

    def _select(self, peer: "ImapPeer", _command: bytes) -> bytes:
        self._say(b"* %d EXISTS" % len(peer.letters))
        self._say(b"* OK [UIDVALIDITY %d]" % VALIDITY)
        return b"OK [READ-WRITE]"

    _examine = _select

    def _list(self, _peer: "ImapPeer", _command: bytes) -> bytes:
        self._say(b'* LIST (\\Sent) "/" Sent')
        return b"OK done"

    def _search(self, peer: "ImapPeer", command: bytes) -> bytes:
        found = _SEARCH.fullmatch(command)
        if found is None:
            return b"BAD no search key"
        wanted = re.sub(rb"\\(.)", rb"\1", found[2]) if found[2] is not None else found[3]
        peer.searched.append(wanted.decode())
        numbers = [b"%d" % number for number, raw in enumerate(peer.letters, 1) if wanted.lower() in raw.lower()]
        self._say(b" ".join([b"* SEARCH", *numbers]))
        return b"OK done"

    def _fetch(self, peer: "ImapPeer", command: bytes) -> bytes:
        first, _, last = command.split(b" ")[1].replace(b",", b":").partition(b":")
        for number in range(int(first), min(int(last or first), len(peer.letters)) + 1):
            raw = peer.letters[number - 1]
            flags = b"\\Seen" if number in peer.seen else b""
            facts = b'UID %d FLAGS (%s) INTERNALDATE "01-Jan-2026 10:00:00 +0000"' % (number, flags)
            self._say(b"* %d FETCH (%s BODY[] {%d}\r\n%s)" % (number, facts, len(raw), raw))
        return b"OK done"

    def _store(self, peer: "ImapPeer", command: bytes) -> bytes:
        peer.seen.add(int(command.split(b" ")[1]))
        return b"OK done"

    def _append(self, peer: "ImapPeer", command: bytes) -> bytes:
        peer.letters.append(command.partition(b"}\r\n")[2])
        return b"OK done"

    def _logout(self, _peer: "ImapPeer", _command: bytes) -> bytes:
        self._say(b"* BYE")
        return b"OK done"


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    peer: "ImapPeer"


@dataclass
class ImapPeer:
    """On loopback, at a free port, from `with` on. `commands` have no tags; `searched` is what was looked for, and
    `logged_in` what was shown for it."""

    letters: list[bytes] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)
    commands: list[bytes] = field(default_factory=list)
    logged_in: list[str] = field(default_factory=list)
    searched: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", 0), _Connection)
        self._server.peer = self
        self.port = int(self._server.server_address[1])
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
