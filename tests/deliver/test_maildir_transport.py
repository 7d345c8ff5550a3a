"""Maildirs: streamed, on disk with their folders, one file for each mailbox."""

import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from deliver import ledger
from outgate.deliver.delivery import Delivery
from outgate.deliver.maildir_transport import MaildirTransport
from outgate.queue import Item
from outgate.store.engine import StoreUnavailable

HEADER = b"From: alice@example.com\r\nSubject: Hello\r\n\r\n"
PIECE = b"x" * 998 + b"\r\n"


class Content:
    """In place of the queue: a message in pieces, made as they are asked for."""

    def __init__(self, pieces: int, fault_at: int = -1) -> None:
        self.pieces, self.fault_at, self.given = pieces, fault_at, 0

    async def first_piece(self, _item: Item) -> bytes:
        return HEADER

    async def later_pieces(self, _item: Item) -> AsyncIterator[bytes]:
        for number in range(self.pieces):
            if number == self.fault_at:
                raise StoreUnavailable("away")
            self.given += 1
            yield PIECE


class Owners:
    """In place of the directory: bob has two addresses."""

    async def owner(self, address: str) -> str | None:
        return {"r0@a.example": "bob@a.example", "r1@a.example": "bob@a.example", "r2@a.example": "eve@a.example"}.get(
            address
        )


def _delivery(pieces: int) -> Delivery:
    item = ledger.item(1, "a.example", "a.example", "a.example", "b.example")
    size = len(HEADER) + pieces * len(PIECE)
    sized = replace(item.message, header_size=len(HEADER), size=size, chunks=pieces + 1)
    return ledger.delivery(replace(item, message=sized), range(4), "a.example")


def _transport(content: Content, root: Path) -> MaildirTransport:
    return MaildirTransport(content, Owners(), root, "mail.example.com")  # type: ignore[arg-type] # as much as is asked of them


def _files(root: Path) -> dict[str, int]:
    return {str(path.relative_to(root).parent): path.stat().st_size for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("pieces", [0, 1, 50])
async def test_each_mailbox_gets_one_file_whole(tmp_path: Path, pieces: int) -> None:
    result = await _transport(Content(pieces), tmp_path).carry(_delivery(pieces))
    assert [one.reason[:3] for one in result.outcomes] == ["250", "250", "250", "5.1"]
    sizes = _files(tmp_path)
    assert set(sizes) == {"bob@a.example/new", "eve@a.example/new"}
    assert all(size > len(HEADER) + pieces * len(PIECE) for size in sizes.values())


async def test_new_folders_are_on_disk_before_what_is_in_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    sync = os.fsync

    def watched(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    root = tmp_path / "deep" / "mail"
    await _transport(Content(0), root).carry(_delivery(0))
    folders = [str(path) for path in (tmp_path, root.parent, root, root / "bob@a.example")]
    assert set(folders) <= set(synced)
    assert synced.index(str(root / "bob@a.example")) < synced.index(str(root / "bob@a.example" / "new"))


async def test_a_message_that_can_not_be_read_leaves_nothing_behind_and_waits(tmp_path: Path) -> None:
    result = await _transport(Content(10, fault_at=5), tmp_path).carry(_delivery(10))
    assert [one.verdict.value for one in result.outcomes] == ["retry"] * 3 + ["failed"]
    assert _files(tmp_path) == {}


async def test_a_mailbox_that_can_not_be_written_is_only_its_own_fault(tmp_path: Path) -> None:
    (tmp_path / "bob@a.example").write_text("not a folder")
    result = await _transport(Content(3), tmp_path).carry(_delivery(3))
    assert [one.verdict.value for one in result.outcomes] == ["retry", "retry", "delivered", "failed"]


async def test_it_is_never_called_back(tmp_path: Path) -> None:
    assert not _transport(Content(0), tmp_path).recall()
