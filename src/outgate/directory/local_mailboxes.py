"""Which mailbox mail for the organisation's own domains goes into. Some are always there (RFC 5321 section 4.5.1, RFC
2142): the product itself sends from postmaster@, and whoever suffers from its mail writes there.
"""

from outgate.directory.reader import DirectoryReader
from outgate.mail.addresses import AddressError, canonical, is_role


class LocalMailboxes:
    """Finds mailboxes; `postmaster` is the address that stands in for roles that are nobody's, if one is set."""

    def __init__(self, directory: DirectoryReader, postmaster: str) -> None:
        self._directory, self._postmaster = directory, postmaster

    async def owner(self, address: str) -> str | None:
        """The name of the mailbox of an address (in compared form); None if there is none. Raises StoreUnavailable."""
        if owner := await self._directory.mailbox(address):
            return owner
        if not is_role(address):
            return None
        return await self._stand_in() or address

    async def redirected(self, address: str) -> str:
        """Where a mailbox server that may not know of roles is to put what comes for an address."""
        compared = canonical(address)
        if not self._postmaster or not is_role(compared) or await self._directory.mailbox(compared):
            return address
        return self._postmaster

    async def _stand_in(self) -> str | None:
        try:
            return await self._directory.mailbox(canonical(self._postmaster)) if self._postmaster else None
        except AddressError:
            return None
