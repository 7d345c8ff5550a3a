"""What a session meets, in memory: a transport that says what is done to it, and services that answer as told."""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from outgate.accept.authenticator import LoggedIn
from outgate.accept.session import Session
from outgate.accept.session_services import SessionServices
from outgate.accept.throttle import LogInAttempt
from outgate.config import Config
from outgate.model import Account, Organisation, Policy, SendAs
from outgate.smtp import Reply
from outgate.submit import Refusal, Submission

ALICE = "alice@example.com"
ACCOUNT = Account(
    1, ALICE, "Alice", "/", False, Policy(), {ALICE: SendAs(ALICE, is_primary=True, verified=True, own_domain=True)}
)


class Wire(asyncio.Transport):
    """Remembers what was written, and how reading, writing and closing were asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.said = b""
        self.reading = True
        self.closed = self.aborted = False

    def write(self, data: Any) -> None:
        assert not self.closed, "nothing is written behind the end"
        self.said += bytes(data)

    def pause_reading(self) -> None:
        assert self.reading, "paused once"
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.reading, "resumed once"
        self.reading = True

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True


@dataclass
class FakeLogIn:
    """Everybody with the password `right` is alice."""

    valid_until: float = math.inf
    stands_still: bool = True
    failures: list[str] = field(default_factory=list)

    async def password(self, username: str, password: str, _peer: str) -> LoggedIn | Reply:
        if password == "right":
            return LoggedIn(1, username, valid_until=self.valid_until)
        return Reply(535, "5.7.8", ("Authentication credentials invalid",))

    async def attempt(self, username: str, peer: str) -> LogInAttempt:
        return LogInAttempt(username, username, peer, peer, ())

    async def verifier(self, _username: str) -> None:
        return None

    def failed(self, attempt: LogInAttempt) -> None:
        self.failures.append(attempt.account)

    async def stands(self, _who: LoggedIn) -> bool:
        return self.stands_still


@dataclass
class FakeDirectory:
    """Alice, or nobody."""

    account_there: Account | None = ACCOUNT

    async def account(self, _account_id: int) -> Account | None:
        return self.account_there

    def cached_account(self, _account_id: int) -> None:
        return None

    async def reading(self, _account_id: int) -> tuple[int, Account | None, Organisation]:
        return 1, self.account_there, Organisation(frozenset({"example.com"}))

    def is_own_domain(self, domain: str) -> bool:
        return domain == "example.com"

    async def mailbox(self, _address: str) -> None:
        return None


class FakeSubmitter:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.answer: asyncio.Future[Refusal | None] = asyncio.get_running_loop().create_future()
        self.submissions: list[Submission] = []

    async def submit(self, submission: Submission, _organisation: Organisation) -> Refusal | None:
        self.submissions.append(submission)
        self.asked.set()
        return await self.answer


@dataclass
class FakeQueue:
    """The pieces of messages on their way."""

    pieces: dict[int, int] = field(default_factory=dict)
    discarded: list[int] = field(default_factory=list)
    fault: Exception | None = None

    async def add_chunk(self, message_id: int, _number: int, data: bytes) -> None:
        if self.fault:
            raise self.fault
        self.pieces[message_id] = self.pieces.get(message_id, 0) + len(data)

    async def discard(self, message_id: int) -> None:
        self.discarded.append(message_id)
        self.pieces.pop(message_id, None)


class Stage:
    """A session with all that it meets, beyond its greeting."""

    def __init__(self, data: Path, **submission: object) -> None:
        (data / "outgate.toml").touch()
        config = Config(data=data, hostname="mail.example.com", submission=cast(Any, submission))
        self.wire, self.log_in, self.directory = Wire(), FakeLogIn(), FakeDirectory()
        self.submitter, self.queue = FakeSubmitter(), FakeQueue()
        self.services = SessionServices(
            config=config,
            queue=cast(Any, self.queue),
            directory=cast(Any, self.directory),
            submitter=cast(Any, self.submitter),
            log_in=cast(Any, self.log_in),
            certificate=cast(Any, SimpleNamespace(context=None)),
            scram_secret=b"secret",
        )
        self.session = Session(self.services, "192.0.2.1", implicit_tls=True)
        self.session.connection_made(self.wire)
        self.heard()

    def heard(self) -> str:
        """What was said since the last time."""
        said, self.wire.said = self.wire.said.decode(), b""
        return said

    async def says(self, *lines: str) -> str:
        """The client says this, in one piece; the answer, when no question is open any more."""
        self.session.data_received("".join(f"{line}\r\n" for line in lines).encode())
        await self.settled()
        return self.heard()

    async def settled(self) -> None:
        """As far as it goes by itself."""
        for _ in range(50):
            await asyncio.sleep(0)

    async def log_in_as_alice(self) -> None:
        """Logged in, and greeted."""
        said = await self.says("EHLO client.example", "AUTH PLAIN AGFsaWNlQGV4YW1wbGUuY29tAHJpZ2h0")
        assert "235 2.7.0" in said

    async def lose(self) -> None:
        """The connection breaks."""
        self.wire.closed = True
        self.session.connection_lost(ConnectionResetError())
        await self.settled()


CONTENT: Sequence[str] = (
    f"From: {ALICE}",
    "To: carol@recipient.example",
    "Subject: Hello",
    "",
    "A few words.",
    ".",
)
TRANSACTION: Sequence[str] = (f"MAIL FROM:<{ALICE}>", "RCPT TO:<carol@recipient.example>", "DATA")
