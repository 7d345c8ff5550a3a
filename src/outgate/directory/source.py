"""Where an account's entry is kept, and what is asked of whoever keeps it elsewhere. Knows no protocol."""

from typing import Protocol

from outgate.directory.accounts import LogInEntry


class SourceUnavailable(Exception):
    """Whoever keeps the entry can't be asked now. The text is for administrators and has no secret."""


class PasswordChecker(Protocol):
    """Asks the keeper of an entry whether a password is right."""

    def remembers(self, entry: LogInEntry, password: str) -> bool:
        """Whether it was right a moment ago."""

    async def check(self, entry: LogInEntry, password: str) -> bool:
        """Raises SourceUnavailable."""

    def close(self) -> None:
        """Nothing more is asked."""
