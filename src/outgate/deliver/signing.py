"""The organisation's DKIM keys, opened, as the directory has them now."""

from sqlalchemy import Engine

from outgate.directory import organisation
from outgate.directory.cache import DirectoryCache
from outgate.mail import dkim
from outgate.mail.dkim import DkimKey
from outgate.store.engine import read
from outgate.store.vault import Vault


class SigningKeys:
    """Keys by domain; opening one takes a while, so they are kept until the directory changes."""

    def __init__(self, engine: Engine, vault: Vault, directory: DirectoryCache) -> None:
        self._engine, self._vault, self._directory = engine, vault, directory
        self._version = -1
        self._keys: dict[str, DkimKey] = {}

    def key_for(self, domain: str) -> DkimKey | None:
        """The key that mail of this domain is signed with, if it has one."""
        version = self._directory.version()
        if version != self._version:
            self._keys = self._load()
            self._version = version
        return self._keys.get(domain)

    def _load(self) -> dict[str, DkimKey]:
        with read(self._engine) as conn:
            found = organisation.signing_keys(conn, self._vault)
        return {domain: DkimKey(domain, key.selector, dkim.load(key.pem)) for domain, key in found.items()}
