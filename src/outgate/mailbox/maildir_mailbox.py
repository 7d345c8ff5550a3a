"""Users' Maildirs as deliver.maildir_transport fills them, with the Maildir++ folder .Sent for what they send.

Knows no message in transfer. A file's name tells when it came and what was done with it; its content never changes, so
what was read of it is remembered.
"""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final
from urllib.parse import quote

import structlog

from outgate.mailbox.letter import LetterHead, head_of, letter_of
from outgate.mailbox.user_mailbox import SEARCHED, WINDOW, MailboxUnavailable
from outgate.remembered import Remembered

_log = structlog.get_logger("mailbox")

_Place = tuple[Path, str]  # folder and name without flags

_HEADER: Final = 64 * 1024  # bytes of a file that are read for its header
_TEXT: Final = 256 * 1024  # bytes of a file that a search looks at
_HEADS: Final = 20_000  # headers that are remembered
_TEXTS: Final = 16 * 1024 * 1024  # characters that are remembered of what was searched
_BESIDE: Final = 200  # characters' room that one takes beside what it says
_NAME: Final = re.compile(r"[^/\x00]{1,250}")


class MaildirMailboxes:
    """All Maildirs below one folder."""

    def __init__(self, root: Path) -> None:
        self._root, self._known = root, _KnownLetters()

    @contextmanager
    def open(self, owner: str) -> Iterator["MaildirMailbox"]:
        """Nothing is kept open."""
        try:
            yield MaildirMailbox(folder_of(self._root, owner), self._known)
        except OSError as error:
            _log.error("a mailbox can't be read", owner=owner, error=str(error))
            raise MailboxUnavailable("your mailbox can't be read just now; try again later") from error


def folder_of(root: Path, owner: str) -> Path:
    """The Maildir of an account, by its primary address."""
    return root / quote(owner, safe="@+=.-_")


class _KnownLetters:
    """What lists and searches need of files, read once."""

    def __init__(self) -> None:
        self._heads = Remembered[_Place, LetterHead](_HEADS)
        self._texts = Remembered[_Place, str](_TEXTS)

    def head(self, folder: Path, file: "_File") -> LetterHead | None:
        """None if the file is gone."""
        place = (folder, file.key)
        if known := self._heads.get(place):
            return replace(known, is_seen=file.is_seen)
        begin = file.read(_HEADER)
        if begin is None:
            return None
        head = head_of(_header(begin), file.key, file.at, is_seen=file.is_seen)
        self._heads.put(place, head)
        return head

    def text(self, folder: Path, file: "_File") -> str:
        """What it says, for comparing; nothing if the file is gone."""
        place = (folder, file.key)
        known = self._texts.get(place)
        if known is None and (content := file.read(_TEXT)) is not None:
            known = letter_of(content, file.key, file.at).text.casefold()
            self._texts.put(place, known, len(known) + _BESIDE)
        return known or ""


class _File:
    """One letter's file; `key` is its name without the flags, which change."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.key, _, flags = path.name.partition(":2,")
        self.is_seen = path.parent.name == "cur" and "S" in flags
        stamp = self.key.partition(".")[0]
        self.at = float(stamp) if stamp.isdigit() and len(stamp) < 12 else 0.0

    def read(self, most: int = -1) -> bytes | None:
        """Its content; None if somebody has moved it meanwhile."""
        try:
            with self._path.open("rb") as file:
                return file.read(most)
        except FileNotFoundError:
            return None

    def mark_seen(self) -> None:
        """A file's flags are in its name."""
        flags = "".join(sorted({*self._path.name.partition(":2,")[2], "S"}))
        with suppress(FileNotFoundError):
            self._path.rename(self._path.parent.parent / "cur" / f"{self.key}:2,{flags}")


class MaildirMailbox:
    """One user's (user_mailbox.UserMailbox)."""

    def __init__(self, folder: Path, known: _KnownLetters) -> None:
        self._folder, self._known = folder, known

    def heads(self) -> list[LetterHead]:
        """By the names of the files, which begin with the time."""
        return self._heads(self._files()[:WINDOW])

    def search(self, text: str) -> list[LetterHead]:
        """Reads on where the header does not have it."""
        wanted = text.casefold()
        return self._heads([one for one in self._files()[:SEARCHED] if self._has(one, wanted)])

    def raw(self, key: str) -> tuple[bytes, float] | None:
        """Wherever its flags have put it."""
        for file in self._files():
            if file.key == key and (content := file.read()) is not None:
                return content, file.at
        return None

    def mark_seen(self, keys: Sequence[str]) -> None:
        """In cur, with the flag S."""
        for file in self._files():
            if file.key in keys and not file.is_seen:
                (self._folder / "cur").mkdir(mode=0o700, exist_ok=True)
                file.mark_seen()

    def file_sent(self, raw: bytes, name: str, message_id: str, at: float) -> None:
        """Written beside, on disk, then renamed: never half of it."""
        sent = self._sent(name)
        for sub in ("tmp", "new", "cur"):
            (sent.parent.parent / sub).mkdir(parents=True, exist_ok=True, mode=0o700)
        (sent.parent.parent / "maildirfolder").touch()
        if sent.exists():
            return
        temporary = sent.parent.parent / "tmp" / name
        with temporary.open("wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        os.utime(temporary, (at, at))
        temporary.rename(sent)

    def sent_copy(self, name: str, message_id: str) -> bytes | None:
        """By its name, whatever flags a mail program has given it."""
        for file in _files(self._sent(name).parent.parent):
            if file.key == name:
                return file.read()
        return None

    def _sent(self, name: str) -> Path:
        if not _NAME.fullmatch(name) or name.startswith("."):
            raise ValueError(name)
        return self._folder / ".Sent" / "cur" / f"{name}:2,S"

    def _files(self) -> list[_File]:
        return _files(self._folder)

    def _heads(self, files: Sequence[_File]) -> list[LetterHead]:
        found = (self._known.head(self._folder, one) for one in files)
        return [one for one in found if one]

    def _has(self, file: _File, wanted: str) -> bool:
        head = self._known.head(self._folder, file)
        if head is None:
            return False
        if wanted in f"{head.sender.display_name} {head.sender.address} {head.subject}".casefold():
            return True
        return wanted in self._known.text(self._folder, file)


def _files(folder: Path) -> list[_File]:
    """The newest first."""
    found = []
    for sub in ("new", "cur"):
        with suppress(FileNotFoundError):
            found += [_File(path) for path in (folder / sub).iterdir() if not path.name.startswith(".")]
    return sorted(found, key=lambda file: (file.at, file.key), reverse=True)


def _header(begin: bytes) -> bytes:
    ends = [at for blank in (b"\r\n\r\n", b"\n\n") if (at := begin.find(blank)) >= 0]
    return begin[: min(ends)] if ends else begin
