"""Carries deliveries to the Maildirs of the organisation's own users: a file on disk is what counts as delivered."""

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import structlog

from outgate.deliver.delivery import AttemptResult, Delivery
from outgate.deliver.outcome import NO_STORE, Outcome, Verdict
from outgate.deliver.transmission import Transmission, prepare
from outgate.directory.local_mailboxes import LocalMailboxes
from outgate.mail.addresses import canonical
from outgate.mail.dkim import DkimKey
from outgate.mail.report_text import Action
from outgate.queue import Queue, Recipient
from outgate.queue.queue_id import to_text
from outgate.store.engine import StoreUnavailable

_log = structlog.get_logger("deliver")


class MaildirTransport:
    """Writes one file for each mailbox: tmp, fsync, rename to new (the Maildir way).

    The file's name comes from queue id and recipient, so what is written again after a crash replaces itself.
    """

    def __init__(self, queue: Queue, mailboxes: LocalMailboxes, root: Path, hostname: str) -> None:
        self._queue, self._mailboxes, self._root, self._hostname = queue, mailboxes, root, hostname

    def resume(self) -> bool:
        """The folders are always there."""
        return True

    async def connect(self) -> Outcome | None:
        """There is nothing to connect to."""
        return None

    async def carry(self, delivery: Delivery) -> AttemptResult:
        """Write the message into every recipient's folder; who has several addresses gets it once."""
        by_mailbox: dict[str, Outcome] = {}
        found = [await self._deliver(delivery, one, by_mailbox) for one in delivery.recipients]
        return AttemptResult(found, peer="maildir", reply=found[-1].reason)

    def recall(self) -> bool:
        """A file is written in a moment."""
        return False

    def close(self) -> None:
        """Nothing is open."""

    async def _deliver(self, delivery: Delivery, recipient: Recipient, by_mailbox: dict[str, Outcome]) -> Outcome:
        try:
            owner = await self._mailboxes.owner(canonical(recipient.address))
            if owner is None:
                return Outcome(Verdict.FAILED, f"5.1.1 <{recipient.address}>: no such mailbox here")
            if owner not in by_mailbox:
                by_mailbox[owner] = await self._store(delivery, recipient, owner)
        except StoreUnavailable as error:
            _log.error("message can't be read", error=str(error))
            return NO_STORE
        return by_mailbox[owner]

    async def _store(self, delivery: Delivery, recipient: Recipient, owner: str) -> Outcome:
        message = delivery.item.message
        name = f"{int(message.received_at)}.{to_text(message.id)}R{recipient.number}.{self._hostname}"
        file = _MaildirFile(self._root / quote(owner, safe="@+=.-_"), name)
        # RFC 5321 section 4.4: the final delivery writes the reverse path down.
        return_path = f"Return-Path: <{delivery.route.reverse_path}>\r\n".encode()
        transmission = await prepare(self._queue, delivery, self._hostname, _unsigned)
        try:
            await _write(file, return_path, transmission)
        except OSError as error:
            return Outcome(Verdict.RETRY, f"4.3.0 the mailbox can't be written: {error.strerror}")
        finally:
            file.discard()
        return Outcome(Verdict.DELIVERED, f"250 2.0.0 stored as {name}", success=Action.DELIVERED)


async def _unsigned(_domain: str, _version: int) -> tuple[DkimKey, ...]:
    return ()


async def _write(file: "_MaildirFile", return_path: bytes, transmission: Transmission) -> None:
    """Piece by piece, as a long message is read."""
    if transmission.more is None:
        await asyncio.to_thread(file.write_whole, return_path, transmission.header, transmission.body)
        return
    await asyncio.to_thread(file.write, return_path)
    async for piece in transmission.pieces():
        await asyncio.to_thread(file.write, piece)
    await asyncio.to_thread(file.finish)


class _MaildirFile:
    """A file that comes to be in tmp, and is in new when it is on disk whole."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self._temporary = folder / "tmp" / name
        self._open: int | None = None

    def write_whole(self, *pieces: bytes) -> None:
        """All of it."""
        for piece in pieces:
            self.write(piece)
        self.finish()

    def write(self, piece: bytes) -> None:
        """The next piece."""
        if self._open is None:
            for sub in ("tmp", "new", "cur"):
                _make(self._folder / sub)
            self._open = os.open(self._temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        view = memoryview(piece)
        while view:
            view = view[os.write(self._open, view) :]

    def finish(self) -> None:
        """That was the last one."""
        assert self._open is not None  # something was written
        os.fsync(self._open)
        self._close()
        self._temporary.rename(self._folder / "new" / self._name)
        _sync(self._folder / "new")

    def discard(self) -> None:
        """Leave nothing behind of what was not finished."""
        if self._open is not None:
            self._close()
            with suppress(OSError):
                self._temporary.unlink()

    def _close(self) -> None:
        if self._open is not None:
            os.close(self._open)
            self._open = None


def _make(folder: Path) -> None:
    """The folder with those above it, on disk before anything in it is."""
    if folder.is_dir():
        return
    _make(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    _sync(folder.parent)


def _sync(folder: Path) -> None:
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
