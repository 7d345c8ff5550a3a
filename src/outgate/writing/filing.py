"""Files the copies of what was sent in their senders' Sent mailboxes, once they may leave; and closes what is settled.

The message is on its way whatever becomes of its copy: a copy that can't be filed is tried again, and its sender sees
so beside the message. Knows no page and no delivery.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog
from sqlalchemy import Engine, select

from outgate.mailbox.user_mailbox import Mailboxes, MailboxUnavailable, NoMailbox
from outgate.store.engine import StoreUnavailable, read, write
from outgate.store.tables import account
from outgate.writing import drafts, sent_messages
from outgate.writing.sent_messages import UnfiledCopy

EVERY: Final = 1.0  # seconds between two looks

_log = structlog.get_logger("writing")


class SentFiling:
    """Nodes do it side by side: who claims a copy files it."""

    def __init__(self, engine: Engine, mailboxes: Mailboxes, now: Callable[[], float]) -> None:
        self._engine, self._mailboxes, self._now = engine, mailboxes, now

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            try:
                await asyncio.to_thread(self.look)
            except StoreUnavailable as error:
                _log.error("copies of sent messages could not be filed", error=str(error))
            await asyncio.sleep(EVERY)

    def look(self) -> None:
        """File what is due, and close what has arrived."""
        while self._file_next():
            pass
        with read(self._engine) as connection:
            arrived = sent_messages.arrived(connection)
        if arrived:
            with write(self._engine) as connection:
                sent_messages.close(connection, *arrived)

    def _file_next(self) -> bool:
        now = self._now()
        with read(self._engine) as connection:
            found = sent_messages.due(connection, now)
        if found is None:
            return False
        with write(self._engine) as connection:
            copy = sent_messages.claim(connection, found, now)
            drafts.forget_sent(connection, [found])
            owner = (
                connection.scalar(select(account.c.primary_address).where(account.c.id == copy.account_id))
                if copy
                else None
            )
        if copy and owner:
            self._file(copy, owner, now)
        return True

    def _file(self, copy: UnfiledCopy, owner: str, now: float) -> None:
        try:
            with self._mailboxes.open(owner) as mailbox:
                mailbox.file_sent(copy.raw, copy.file_name, copy.rfc822_message_id, copy.sent_at)
        except NoMailbox:
            with write(self._engine) as connection:
                sent_messages.unfilable(connection, copy, now)
        except MailboxUnavailable as error:
            with write(self._engine) as connection:
                sent_messages.not_filed(connection, copy, str(error), now)
        else:
            with write(self._engine) as connection:
                sent_messages.filed(connection, copy.id)
