"""Carries jobs to the Maildirs of the organisation's own users. A file is on disk before it counts as delivered."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from outgate.deliver.delivery import AttemptResult, Delivery
from outgate.deliver.outcome import Outcome, Verdict
from outgate.deliver.transmission import prepare
from outgate.directory.local_mailboxes import LocalMailboxes
from outgate.mail.addresses import canonical
from outgate.mail.report_text import Action
from outgate.queue import Queue
from outgate.queue.queue_id import to_text


class MaildirTransport:
    """Writes one file for each recipient: tmp, fsync, rename to new (the Maildir way).

    The file's name comes from queue id and recipient, so what is written again after a crash replaces itself.
    """

    def __init__(self, queue: Queue, mailboxes: LocalMailboxes, root: Path, hostname: str) -> None:
        self._queue, self._mailboxes, self._root, self._hostname = queue, mailboxes, root, hostname

    async def connect(self) -> Outcome | None:
        """The folders are always there."""
        return None

    async def carry(self, delivery: Delivery) -> AttemptResult:
        """Write the message into every recipient's folder."""
        content = await self._content(delivery)
        found = [await self._deliver(delivery, number, content) for number in range(len(delivery.recipients))]
        return AttemptResult(found, peer="maildir", reply=found[-1].reason, success=Action.DELIVERED)

    def close(self) -> None:
        """Nothing is open."""

    async def _content(self, delivery: Delivery) -> list[bytes]:
        transmission = await prepare(self._queue, delivery, self._hostname, lambda _: None)
        return [piece async for piece in transmission.pieces()]

    async def _deliver(self, delivery: Delivery, index: int, content: Sequence[bytes]) -> Outcome:
        recipient = delivery.recipients[index]
        owner = await self._mailboxes.owner(canonical(recipient.address))
        if owner is None:
            return Outcome(Verdict.FAILED, f"5.1.1 <{recipient.address}>: no such mailbox here")
        folder = self._root / quote(owner, safe="@+=.-_")
        message = delivery.item.message
        name = f"{int(message.received_at)}.{to_text(message.id)}R{recipient.number}.{self._hostname}"
        # RFC 5321 section 4.4: the final delivery writes the reverse path down.
        lines = [f"Return-Path: <{delivery.route.reverse_path}>\r\n".encode(), *content]
        try:
            await asyncio.to_thread(_write, folder, name, lines)
        except OSError as error:
            return Outcome(Verdict.RETRY, f"4.3.0 the mailbox can't be written: {error.strerror}")
        return Outcome(Verdict.DELIVERED, f"250 2.0.0 stored as {name}")


def _write(folder: Path, name: str, pieces: Sequence[bytes]) -> None:
    for sub in ("tmp", "new", "cur"):
        (folder / sub).mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = folder / "tmp" / name
    with temporary.open("wb") as file:
        file.writelines(pieces)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(folder / "new" / name)
    directory = os.open(folder / "new", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
