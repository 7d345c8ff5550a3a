"""The organisation's DKIM keys, opened, as of a version of the directory: in a thread, since that takes a while."""

import asyncio

from sqlalchemy import Engine

from outgate.directory import organisation
from outgate.mail import dkim
from outgate.mail.dkim import DkimKey
from outgate.store.engine import read
from outgate.store.vault import Vault


class SigningKeys:
    """Keys by domain, for one event loop; they are kept until the directory changes."""

    def __init__(self, engine: Engine, vault: Vault) -> None:
        self._engine, self._vault = engine, vault
        self._version = -1
        self._keys: dict[str, DkimKey] = {}
        self._reading = asyncio.Lock()

    async def key_for(self, domain: str, version: int) -> DkimKey | None:
        """The key that mail of this domain is signed with, if it has one, at this version of the directory or later.

        Raises store.engine.StoreUnavailable and store.vault.SealBroken.
        """
        if version > self._version:
            async with self._reading:
                if version > self._version:  # else another has read them while we waited
                    self._keys = await asyncio.to_thread(self._load)
                    self._version = version
        return self._keys.get(domain)

    def _load(self) -> dict[str, DkimKey]:
        with read(self._engine) as conn:
            found = organisation.signing_keys(conn, self._vault)
        return {domain: DkimKey(domain, key.selector, dkim.load(key.pem)) for domain, key in found.items()}
