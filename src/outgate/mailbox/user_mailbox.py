"""What is asked of a mailbox, wherever it is. Every call may wait for a disk or a network: never on the event loop."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Final, Protocol

from outgate.mailbox.letter import LetterHead

WINDOW: Final = 500  # letters that a list looks at, the newest
SEARCHED: Final = 2000  # letters whose text a search looks through, the newest


class MailboxUnavailable(Exception):
    """The mailbox can't be read just now; the text says why, for its user."""


class NoMailbox(MailboxUnavailable):
    """Nor will it be later: mailboxes are not read here."""


class UserMailbox(Protocol):
    """One user's letters. All raise MailboxUnavailable."""

    def heads(self) -> list[LetterHead]:
        """The newest letters of the inbox, the newest first."""

    def search(self, text: str) -> list[LetterHead]:
        """Those with a text in sender, subject or what they say, the newest first."""

    def raw(self, key: str) -> tuple[bytes, float] | None:
        """A letter of the inbox, and when it came; None if it is not there any more."""

    def mark_seen(self, keys: Sequence[str]) -> None:
        """The user has read these."""

    def file_sent(self, raw: bytes, name: str, message_id: str, at: float) -> None:
        """Put a copy into the Sent mailbox, once: what is there already stays the one copy.

        `name` is a file's, `message_id` that in the header with its brackets, `at` when it was sent.
        """

    def sent_copy(self, name: str, message_id: str) -> bytes | None:
        """The copy that was filed by that name; None if it is not there any more."""


class Mailboxes(Protocol):
    """Where all users' mailboxes are."""

    def open(self, owner: str) -> AbstractContextManager[UserMailbox]:
        """That of the account with this primary address. Raises MailboxUnavailable."""


class NoMailboxes:
    """The mailbox server is one that the pages can't read."""

    def open(self, owner: str) -> AbstractContextManager[UserMailbox]:
        """There is none. Raises NoMailbox."""
        raise NoMailbox("your mailbox is not read here; read it in your mail program")
