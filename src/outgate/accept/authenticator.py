"""Is this the account's password? Throttled, off the event loop, and the same to see whether the user exists or not."""

import asyncio
import hashlib
import hmac
import math
import secrets
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from weakref import WeakValueDictionary

import structlog
from prometheus_client import Counter
from sqlalchemy import Engine

from outgate import clock
from outgate.accept.throttle import LogInAttempt, Throttle
from outgate.accept.tokens import ProviderUnavailable, TokenRefused, TokenVerifier
from outgate.directory import application_passwords, known_networks
from outgate.directory import password_hash as stored_password
from outgate.directory.accounts import LogInEntry
from outgate.directory.application_passwords import NOTED_EVERY, Scope
from outgate.directory.reader import DirectoryReader
from outgate.directory.source import PasswordChecker, SourceUnavailable
from outgate.frozen import frozen
from outgate.smtp import Reply, ScramVerifier
from outgate.store.engine import read, write

WRONG = Reply(535, "5.7.8", ("Authentication credentials invalid",))
TOO_MANY = Reply(454, "4.7.0", ("Too many failed log-ins; try again later",))
PROGRAMS_OWN = Reply(534, "5.7.9", ("This account has a second factor; use an application password",))
UNAVAILABLE = Reply(454, "4.7.0", ("Temporary authentication failure; try again later",))

# Told of what an administrator should know: what happened, to whom, from which address. Must not block.
SecurityEvent = Callable[[str, str, str], None]
SUSPENDED = "suspended-application-password"

_FAILED = Counter("outgate_log_ins_failed", "Log-ins with a wrong name, password or token")

_log = structlog.get_logger("accept")


@frozen
class LoggedIn:
    """Whom a session belongs to, until when (seconds since 1970), and the application password that it was opened
    with, if it was one.
    """

    account_id: int
    username: str
    application_password: int | None = None
    valid_until: float = math.inf


def _log_event(kind: str, target: str, peer: str) -> None:
    _log.warning(kind, target=target, peer=peer)


class Authenticator:
    """Answers log-ins for all sessions of a process.

    argon2id takes some 20 ms and 19 MiB, so at most two run at once. A password that was right is remembered as a keyed
    digest beside the hash it was right for; a changed password changes the hash.
    """

    def __init__(
        self,
        directory: DirectoryReader,
        throttle: Throttle,
        engine: Engine,
        tokens: TokenVerifier | None = None,
        security_event: SecurityEvent = _log_event,
        elsewhere: PasswordChecker | None = None,
    ) -> None:
        self._directory = directory
        self._throttle = throttle
        self._engine = engine
        self._tokens = tokens
        self._elsewhere = elsewhere
        self._security_event = security_event
        self._threads = ThreadPoolExecutor(2, "argon2")
        self._key = secrets.token_bytes(32)
        self._right: dict[str, bytes] = {}
        self._turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()
        # When the use of an application password, or an account's network, was written, in the loop's time.
        self._noted: dict[int | tuple[int, str], float] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def attempt(self, username: str, peer: str) -> LogInAttempt | None:
        """A try of this peer for this account, None if there were too many. Raises store.engine.StoreUnavailable."""
        attempt = self._throttle.attempt(username, peer)
        return attempt if await self._throttle.admit(attempt) else None

    def failed(self, attempt: LogInAttempt) -> None:
        """Count and log a failure. What is no address is not logged: people type passwords there."""
        self._throttle.failed(attempt)
        _FAILED.inc()
        _log.warning("log-in failed", username=attempt.account, peer=attempt.peer)

    async def password(self, username: str, password: str, peer: str, *, own_only: bool = False) -> LoggedIn | Reply:
        """Who this is, or the reply to refuse with. `own_only`: by the user's own password, not a program's."""
        attempt = await self.attempt(username, peer)
        if attempt is None:
            return TOO_MANY
        # One after the other: the first right one spares the others their argon2id.
        turn = self._turns.setdefault((attempt.account, attempt.network), asyncio.Lock())
        with self._judging(attempt):
            async with turn:
                return await self._by_password(attempt, password, own_only=own_only)

    async def token(self, username: str, token: str, peer: str) -> LoggedIn | Reply:
        """Who this is by an access token. The user name may be empty: the token says who it is.

        Then nobody is locked out by what others tried without a name. An empty token asks only where to get one.
        """
        attempt = self._throttle.attempt(username, peer)
        if username and not await self._throttle.admit(attempt):
            return TOO_MANY
        with self._judging(attempt):
            return await self._by_token(attempt, token)

    async def verifier(self, username: str) -> ScramVerifier | None:
        """The account's SCRAM-SHA-256 verifier, None if there is no such account or none that programs may use."""
        entry = await self._directory.login(username)
        return ScramVerifier.parse(entry.scram) if entry and entry.scram and not entry.second_factor else None

    async def proved(self, attempt: LogInAttempt) -> LoggedIn | Reply:
        """Who this is after a SCRAM exchange that proved the password."""
        with self._judging(attempt):
            return self._outcome(await self._directory.login(attempt.username), attempt)

    async def judge(self, username: str, peer: str, check: Callable[[], Awaitable[bool]]) -> bool | None:
        """Whether what somebody shows beside a password is right, counted as passwords are; None: too many failed."""
        attempt = await self.attempt(username, peer)
        if attempt is None:
            return None
        with self._judging(attempt):
            right = await check()
            if not right:
                self.failed(attempt)
            return right

    def vouched(self, entry: LogInEntry | None, username: str, peer: str) -> LoggedIn | Reply:
        """What comes of a log-in of whom the organisation's provider has asked; `entry` is theirs, if they have one.

        Counted, logged and noted as others, but no lock holds it up: it is no guess, whatever strangers have guessed.
        """
        return self._outcome(entry, self._throttle.attempt(username, peer))

    async def stands(self, who: LoggedIn) -> bool:
        """Whether what a session was opened with is still good; what else it may do, its account says."""
        if who.application_password is None:
            return True
        entry = await self._directory.login(who.username)
        return entry is not None and who.application_password in {one.id for one in entry.application_passwords}

    async def close(self) -> None:
        """Write what is counted and noted so far."""
        await asyncio.gather(*self._tasks)
        await self._throttle.close()
        self._threads.shutdown()
        if self._elsewhere:
            self._elsewhere.close()

    @contextmanager
    def _judging(self, attempt: LogInAttempt) -> Iterator[None]:
        """Whatever comes of it, the attempt gives its place back."""
        try:
            yield
        finally:
            self._throttle.settle(attempt)

    async def _by_password(self, attempt: LogInAttempt, password: str, *, own_only: bool) -> LoggedIn | Reply:
        entry = await self._directory.login(attempt.username)
        held = entry.application_passwords if entry and not own_only else ()
        if application := application_passwords.match(held, password, Scope.SMTP):
            return self._outcome(entry, attempt, application.id)
        try:
            matches = await self._matches(entry, password)
        except SourceUnavailable as error:
            _log.error("password not checked", error=str(error))
            return UNAVAILABLE
        if matches and entry and entry.second_factor and not own_only:
            return PROGRAMS_OWN  # the password is right: nothing that counts as a guess
        return self._outcome(entry if matches else None, attempt)

    async def _by_token(self, attempt: LogInAttempt, token: str) -> LoggedIn | Reply:
        if self._tokens is None or not token:
            return WRONG
        verdict = await self._tokens.verify(token, clock.now())
        if isinstance(verdict, ProviderUnavailable):
            _log.error("token not verified", reason=verdict.reason)
            return UNAVAILABLE
        if isinstance(verdict, TokenRefused):
            _log.warning("token refused", reason=verdict.reason, peer=attempt.peer)
            self.failed(attempt)
            return Reply(WRONG.code, WRONG.enhanced, (verdict.told,)) if verdict.told else WRONG
        if attempt.username and attempt.account != verdict.address:
            _log.warning("token refused", reason="it is another user's", peer=attempt.peer)
            return self._outcome(None, attempt)
        named = attempt if attempt.username else self._throttle.attempt(verdict.address, attempt.peer)
        if not attempt.username and not await self._throttle.admit(named):
            return TOO_MANY
        with self._judging(named):
            who = self._outcome(await self._directory.login(verdict.address), named)
        return who if isinstance(who, Reply) else replace(who, valid_until=verdict.valid_until)

    def _outcome(
        self, entry: LogInEntry | None, attempt: LogInAttempt, application_password: int | None = None
    ) -> LoggedIn | Reply:
        """What a log-in with the right password comes to; no entry is a wrong one."""
        if entry is None or entry.suspended:
            if entry and application_password is not None:
                self._security_event(SUSPENDED, attempt.account, attempt.peer)
            self.failed(attempt)
            return WRONG
        if application_password is not None:
            self._note_use(application_password)
        self._note_network(entry.account_id, attempt.network)
        return LoggedIn(entry.account_id, attempt.username, application_password)

    async def _matches(self, entry: LogInEntry | None, password: str) -> bool:
        if entry and entry.external:
            return await self._matches_elsewhere(entry, password)
        hashed = entry.password_hash if entry else None
        digest = hmac.digest(self._key, password.encode(), hashlib.sha256)
        if hashed and hmac.compare_digest(self._right.get(hashed, b""), digest):
            return True
        loop = asyncio.get_running_loop()
        if not hashed:
            await loop.run_in_executor(self._threads, stored_password.verify_nobody, password)
            return False
        if not await loop.run_in_executor(self._threads, stored_password.verify, hashed, password):
            return False
        if len(self._right) >= 10_000:
            self._right.clear()
        self._right[hashed] = digest
        return True

    async def _matches_elsewhere(self, entry: LogInEntry, password: str) -> bool:
        """Asked of whoever keeps the entry, in no less time than a user who does not exist takes."""
        if self._elsewhere and self._elsewhere.remembers(entry, password):
            return True
        nobody = asyncio.get_running_loop().run_in_executor(self._threads, stored_password.verify_nobody, password)
        try:
            return self._elsewhere is not None and await self._elsewhere.check(entry, password)
        finally:
            await nobody

    def _note_use(self, application_password: int) -> None:
        if self._is_news(application_password, NOTED_EVERY):
            self._in_thread(self._write_use, application_password)

    def _note_network(self, account_id: int, network: str) -> None:
        if self._is_news((account_id, network), known_networks.NOTED_EVERY):
            self._in_thread(self._write_network, account_id, network)

    def _is_news(self, what: int | tuple[int, str], every: float) -> bool:
        """Whether this was not noted in the last `every` seconds; from now on it is."""
        now = asyncio.get_running_loop().time()
        noted = self._noted.get(what)
        if noted is not None and now < noted + every:
            return False
        if len(self._noted) >= 10_000:
            self._noted.clear()
        self._noted[what] = now
        return True

    def _write_use(self, application_password: int) -> None:
        with write(self._engine) as connection:
            application_passwords.note_use(connection, application_password, clock.now())

    def _write_network(self, account_id: int, network: str) -> None:
        now = clock.now()
        with read(self._engine) as connection:
            if not known_networks.needs_note(connection, account_id, network, now):
                return
        with write(self._engine) as connection:
            known_networks.note(connection, account_id, network, now)

    def _in_thread(self, work: Callable[..., None], *arguments: object) -> None:
        """Let something be done that no session waits for."""
        task = asyncio.get_running_loop().create_task(_logging_faults(asyncio.to_thread(work, *arguments)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _logging_faults(work: Coroutine[None, None, None]) -> None:
    try:
        await work
    except Exception as error:  # it concerns no session
        _log.error("storage failed", error=str(error))
