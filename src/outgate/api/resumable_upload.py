"""Uploads in pieces: a session begins with the JSON, takes the message piece by piece, and ends as the method's call.

A session is a folder of its own in this node's data directory, so that one lasts over a restart; whoever has its name,
and a token of the same user, may go on with it here. When it has ended its answer is kept, for a last piece that comes
again because the answer was lost. Knows no method.
"""

import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from outgate.api.google_error import ApiError, invalid, not_found
from outgate.frozen import frozen

KEPT: Final = 86400.0  # seconds since a session's last piece
AT_MOST: Final = 10  # sessions of one user that are not finished
_ANSWER: Final = "answer"
_RANGE: Final = re.compile(r"bytes (?:(\d{1,12})-(\d{1,12})|\*)/(\d{1,12}|\*)")


@frozen
class ContentRange:
    """Which bytes a piece is: from `first` up to `last`, or none; `total` is None as long as it is not known."""

    first: int
    last: int
    total: int | None
    has_bytes: bool

    @classmethod
    def parse(cls, text: str, length: int) -> "ContentRange":
        """The header of a piece of so many bytes; without one the piece is all there is. Raises ApiError."""
        if not text:
            return cls(0, length - 1, length, has_bytes=True)
        match = _RANGE.fullmatch(text)
        if match is None:
            raise invalid("Invalid Content-Range: it must be as in bytes 0-262143/500000.")
        first, last, total = match.groups()
        whole = None if total == "*" else int(total)
        if first is None:
            return cls(0, -1, whole, has_bytes=False)
        if int(last) - int(first) + 1 != length or (whole is not None and int(last) >= whole):
            raise invalid("Invalid Content-Range: it is not what was sent.")
        return cls(int(first), int(last), whole, has_bytes=True)


class Ended(Exception):
    """The session is over: `answer` (JSON) is what came of it."""

    def __init__(self, answer: bytes) -> None:
        super().__init__()
        self.answer = answer


class ResumableUploads:
    """The sessions in a folder. Used in threads, of several processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def begin(self, account_id: int, sent: bytes, max_bytes: int, now: float) -> str:
        """A new session; returns its name. Raises ApiError."""
        self._sweep(now)
        of_account = [one for one in self._all() if one.name.startswith(f"{account_id}-")]
        if sum(not (one / _ANSWER).exists() for one in of_account) >= AT_MOST:
            raise ApiError(429, f"There are {AT_MOST} uploads that are not finished; end or wait for one first.")
        name = secrets.token_urlsafe(24)
        place = self._place(account_id, name)
        place.mkdir(parents=True, mode=0o700)
        (place / "sent").write_bytes(sent)
        (place / "limit").write_text(json.dumps(max_bytes))
        (place / "content").touch(mode=0o600)
        return name

    def take(self, account_id: int, name: str, piece: ContentRange, content: bytes) -> int | None:
        """Add a piece; how many bytes there are now, None when it is whole. Raises ApiError, Ended."""
        with self._opened(account_id, name) as (place, file):
            size = file.seek(0, os.SEEK_END)
            if piece.has_bytes:
                size = _add(file, size, piece, content, int((place / "limit").read_text()))
        return None if size == piece.total else size

    def finished(self, account_id: int, name: str) -> tuple[bytes, bytes]:
        """The JSON and the message. Raises ApiError, Ended."""
        with self._opened(account_id, name) as (place, file):
            return (place / "sent").read_bytes(), file.read()

    def end(self, account_id: int, name: str, answer: bytes) -> None:
        """The session is over, with this answer. Raises ApiError, Ended."""
        with self._opened(account_id, name) as (place, _):
            (place / _ANSWER).write_bytes(answer)
            for one in ("content", "sent", "limit"):
                (place / one).unlink()

    @contextmanager
    def _opened(self, account_id: int, name: str) -> Iterator[tuple[Path, BinaryIO]]:
        """The session and its content, for one at a time: the same piece may come twice at once."""
        place = self._place(account_id, name)
        try:
            with (place / "content").open("r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                if os.fstat(file.fileno()).st_nlink:  # else it has ended while we waited
                    yield place, file
                    return
        except FileNotFoundError:
            pass
        try:
            answer = (place / _ANSWER).read_bytes()
        except FileNotFoundError:
            raise not_found() from None
        raise Ended(answer)

    def _place(self, account_id: int, name: str) -> Path:
        return self._folder / f"{account_id}-{hashlib.sha256(name.encode()).hexdigest()}"

    def _all(self) -> list[Path]:
        return list(self._folder.iterdir()) if self._folder.is_dir() else []

    def _sweep(self, now: float) -> None:
        for place in self._all():
            with suppress(FileNotFoundError):  # another has swept it
                if max(one.stat().st_mtime for one in (place, *place.iterdir())) < now - KEPT:
                    shutil.rmtree(place, ignore_errors=True)


def _add(file: BinaryIO, size: int, piece: ContentRange, content: bytes, limit: int) -> int:
    """What is there already is passed over: a piece comes again when its answer was lost."""
    if piece.first > size:
        raise invalid("Invalid Content-Range: it leaves bytes out.")
    new = content[size - piece.first :]
    if size + len(new) > limit:
        raise ApiError(413, "The message is too large.")
    file.write(new)
    return size + len(new)
