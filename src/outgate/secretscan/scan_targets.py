"""Files, and the memory of running processes as Linux shows it (proc(5): maps, mem)."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from outgate.secretscan.search import Piece, ScanTarget

CHUNK: Final = 1 << 20


class NotReadable(Exception):
    """A place can't be looked at; the text says why and what to do."""


def file(path: Path) -> ScanTarget:
    """A file, whole."""
    return ScanTarget(f"file {path.name}", _file_pieces(path))


def memory(pid: int) -> ScanTarget:
    """All that a process can read of its own memory. Needs its user with CAP_SYS_PTRACE, or root."""
    return ScanTarget(f"memory of process {pid}", _memory_pieces(pid), memory=True)


def holders(path: Path) -> list[int]:
    """The processes that have this file open: for the lock of a data directory, those of its server."""
    return [
        int(one.name)
        for one in Path("/proc").iterdir()
        if one.name.isdigit() and int(one.name) != os.getpid() and _has(one / "fd", path.resolve())
    ]


def _has(handles: Path, wanted: Path) -> bool:
    try:
        return any(_target(one) == wanted for one in handles.iterdir())
    except OSError:
        return False  # it ended meanwhile, or is another user's


def _target(link: Path) -> Path | None:
    try:
        return link.readlink()
    except OSError:
        return None


def _file_pieces(path: Path) -> Iterator[Piece]:
    with path.open("rb") as opened:
        at = 0
        while data := opened.read(CHUNK):
            yield Piece(data, at, follows=at > 0)
            at += len(data)


def _memory_pieces(pid: int) -> Iterator[Piece]:
    try:
        regions = Path(f"/proc/{pid}/maps").read_text().splitlines()
        # Unbuffered: a part of a region may be gone, and what can be read before it counts.
        with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as opened:
            for region in regions:
                yield from _region_pieces(opened.fileno(), region)
    except FileNotFoundError:
        raise NotReadable(f"there is no process {pid}") from None
    except PermissionError:
        raise NotReadable(f"the memory of process {pid} can't be read; run this as root") from None


def _region_pieces(handle: int, region: str) -> Iterator[Piece]:
    addresses, mode, _, _, _, *name = region.split(maxsplit=5)
    if "r" not in mode or name[:1] in (["[vvar]"], ["[vvar_vclock]"], ["[vsyscall]"]):
        return
    start, end = (int(part, 16) for part in addresses.split("-"))
    words = f"{name[0] if name else '[anonymous]'} "
    at = start
    while at < end:
        try:
            data = os.pread(handle, min(CHUNK, end - at), at)
        except OSError:
            return  # a mapping of what can't be read, or gone meanwhile
        if not data:
            return
        yield Piece(data, at, words, follows=at > start)
        at += len(data)
