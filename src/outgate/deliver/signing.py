"""The organisation's DKIM keys, opened, as of a version of the directory: in a thread, since that takes a while."""

import asyncio

from sqlalchemy import Engine

from outgate.directory import domain_keys
from outgate.directory.domain_keys import SigningKey
from outgate.mail import dkim
from outgate.mail.dkim import DkimKey
from outgate.store.engine import read
from outgate.store.vault import Vault


class SigningKeys:
    """Keys by domain, for one event loop; they are kept until the directory changes."""

    def __init__(self, engine: Engine, vault: Vault) -> None:
        self._engine, self._vault = engine, vault
        self._version = -1
        self._keys: dict[str, tuple[DkimKey, ...]] = {}
        self._reading = asyncio.Lock()

    async def of(self, domain: str, version: int) -> tuple[DkimKey, ...]:
        """The keys that mail of this domain is signed with, if it has any, at this version of the directory or later.

        Raises store.engine.StoreUnavailable and store.vault.SealBroken.
        """
        if version > self._version:
            async with self._reading:
                if version > self._version:  # else another has read them while we waited
                    self._keys = await asyncio.to_thread(self._load)
                    self._version = version
        return self._keys.get(domain, ())

    def _load(self) -> dict[str, tuple[DkimKey, ...]]:
        with read(self._engine) as conn:
            found = domain_keys.signing_keys(conn, self._vault)
        return {domain: tuple(map(_opened, keys)) for domain, keys in found.items()}


def _opened(key: SigningKey) -> DkimKey:
    return DkimKey(key.domain, key.selector, dkim.load(key.pem))
