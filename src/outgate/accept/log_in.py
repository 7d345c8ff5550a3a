"""Is this the account's password? Throttled, off the event loop, and the same to see whether the user exists or not."""

import asyncio
import hashlib
import hmac
import secrets
from concurrent.futures import ThreadPoolExecutor

import structlog

from outgate.accept.throttle import Throttle
from outgate.directory import password as stored_password
from outgate.directory.accounts import LogIn
from outgate.directory.fresh import Fresh
from outgate.smtp import Reply, ScramVerifier

WRONG = Reply(535, "5.7.8", ("Authentication credentials invalid",))
TOO_MANY = Reply(454, "4.7.0", ("Too many failed log-ins; try again later",))
UNAVAILABLE = Reply(454, "4.7.0", ("Temporary authentication failure; try again later",))

_log = structlog.get_logger("accept")


class LogInDesk:
    """Answers log-ins for all sessions of a process.

    argon2id takes some 20 ms and 19 MiB, so at most two run at once. A password that was right is remembered as a keyed
    digest beside the hash it was right for; a changed password changes the hash.
    """

    def __init__(self, fresh: Fresh, throttle: Throttle) -> None:
        self._fresh = fresh
        self._throttle = throttle
        self._threads = ThreadPoolExecutor(2, "argon2")
        self._key = secrets.token_bytes(32)
        self._right: dict[str, bytes] = {}

    def allows(self, username: str, peer: str) -> bool:
        """Whether this peer may try this account now."""
        return self._throttle.allows(username, peer)

    def failed(self, username: str, peer: str) -> None:
        """Count and log a failure."""
        self._throttle.failed(username, peer)
        _log.warning("log-in failed", username=username[:254], peer=peer)

    async def password(self, username: str, password: str, peer: str) -> int | Reply:
        """The account's id, or the reply to refuse with."""
        if not self.allows(username, peer):
            return TOO_MANY
        entry = await self._fresh.login(username)
        if await self._matches(entry, password) and entry and not entry.suspended:
            return entry.account_id
        self.failed(username, peer)
        return WRONG

    async def verifier(self, username: str) -> ScramVerifier | None:
        """The account's SCRAM-SHA-256 verifier, None if there is no such account or it has none."""
        entry = await self._fresh.login(username)
        return ScramVerifier.parse(entry.scram) if entry and entry.scram else None

    async def proved(self, username: str, peer: str) -> int | Reply:
        """The account's id after a SCRAM exchange that proved the password."""
        entry = await self._fresh.login(username)
        if entry and not entry.suspended:
            return entry.account_id
        self.failed(username, peer)
        return WRONG

    async def _matches(self, entry: LogIn | None, password: str) -> bool:
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
