"""Log-in with the password of the LDAP directory: the entry is found by its lasting id, then bound as.

Knows no SMTP and no throttle (accept does). Nothing that a client sent gets into a DN or a filter.
"""

import asyncio
import hashlib
import hmac
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import field
from typing import Final

from outgate.directory.accounts import LogInEntry
from outgate.directory.users import External
from outgate.frozen import frozen
from outgate.ldap.entries import LdapEntry, locate
from outgate.ldap.ldap_client import LdapClient, LdapUnavailable
from outgate.smtp.sasl import SaslError, saslprep

REMEMBERED: Final = 60.0  # seconds that a password which was right is not asked for again
THREADS: Final = 8  # connections to the directory at once
_COPIES: Final = 10_000


@frozen
class _Right:
    """A password that was right for this entry, as a keyed digest, until then by the loop's clock."""

    external: External
    digest: bytes = field(repr=False)
    until: float


class Binder:
    """Checks passwords for all sessions of a process; `directory.source.PasswordChecker`."""

    def __init__(self, client: LdapClient) -> None:
        self._client = client
        self._threads = ThreadPoolExecutor(THREADS, "ldap")
        self._key = secrets.token_bytes(32)
        self._right: dict[int, _Right] = {}

    def remembers(self, entry: LogInEntry, password: str) -> bool:
        """Whether the directory said within REMEMBERED seconds that this is the password of the account's entry."""
        right = self._right.get(entry.account_id)
        if right is None or right.external != entry.external or asyncio.get_running_loop().time() >= right.until:
            return False
        return hmac.compare_digest(right.digest, self._digest(_prepared(password)))

    async def check(self, entry: LogInEntry, password: str) -> bool:
        """Ask the directory whether this is the password of the account's entry. Raises LdapUnavailable."""
        prepared = _prepared(password)
        if entry.external is None or entry.external.dn is None or not prepared:
            return False
        until = asyncio.get_running_loop().time() + REMEMBERED
        if not await self._ask(entry.external.id, entry.external.dn, prepared):
            return False
        if len(self._right) >= _COPIES:
            self._right.clear()
        self._right[entry.account_id] = _Right(entry.external, self._digest(prepared), until)
        return True

    def close(self) -> None:
        """Nothing more is asked; what is under way ends by its own time-outs."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _digest(self, prepared: bytes) -> bytes:
        return hmac.digest(self._key, prepared, hashlib.sha256)

    async def _ask(self, id_: str, dn: str, password: bytes) -> bool:
        # Connecting, two binds and a search or two, each with the time-out: a directory that takes as long is down.
        patience = 2 * self._client.settings.timeout
        answer = asyncio.get_running_loop().run_in_executor(self._threads, self._bind, id_, dn, password)
        try:
            async with asyncio.timeout(patience):
                return await answer
        except TimeoutError:
            raise LdapUnavailable(f"{self._client.settings.url}: no answer within {patience:g} seconds") from None

    def _bind(self, id_: str, dn: str, password: bytes) -> bool:
        with self._client.connected() as connection:
            found = locate(connection, self._client.settings, id_, dn)
            if not isinstance(found, LdapEntry) or found.disabled:
                return False
            return self._client.proves(connection, found.dn, password)


def _prepared(password: str) -> bytes:
    """As RFC 4513 section 5.1.3 asks: by SASLprep, as UTF-8. What can't be prepared is nobody's password: empty.

    So is a password that is empty only now, such as a soft hyphen, which would make an unauthenticated bind.
    """
    try:
        return saslprep(password).encode()
    except (SaslError, UnicodeEncodeError):
        return b""
