"""The vault's keys as text, lines of `<key id> <32 bytes in base64>`, the last one current; and as a file of mode 600.

Knows nothing of what is sealed with them, nor of where else they may come from (keysource).
"""

import base64
import binascii
import os
import re
import secrets
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

VARIABLE: Final = "OUTGATE_SECRET_KEY"
KEY_BYTES: Final = 32

Keys = dict[str, bytes]  # by key id, the current one last

_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")


class KeyFileError(Exception):
    """The keys can't be read or written; the text says why and what to do, and shows none of them."""


def new_key() -> tuple[str, bytes]:
    """A fresh key and its id."""
    return secrets.token_hex(4), secrets.token_bytes(KEY_BYTES)


def create(path: Path) -> Keys:
    """Write a file with one fresh key. Raises KeyFileError if there is one already: its keys must not be lost."""
    if path.exists():
        raise KeyFileError(f"{path} exists already; its keys open what is sealed, so it is not overwritten")
    keys = dict([new_key()])
    write(path, keys)
    return keys


def read(path: Path) -> Keys:
    """The file's keys. Refused is a file that others than its owner can read."""
    try:
        with path.open(encoding="ascii") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise KeyFileError(f"{path} has mode {mode:03o}, so others can read the keys; run: chmod 600 {path}")
            return parse(file.read(), str(path))
    except FileNotFoundError:
        raise KeyFileError(
            f"the key file {path} is missing: bring back your copy of it, or set {VARIABLE} or secret_key_command."
            " A new key would open nothing that is stored"
        ) from None
    except UnicodeDecodeError:
        raise KeyFileError(f"{path} is not a key file: it has bytes that are not US-ASCII") from None
    except PermissionError:
        raise  # of whom it is, whoever opens the data directory says
    except OSError as error:
        raise KeyFileError(f"the key file {path} can't be read: {error.strerror}") from None


def write(path: Path, keys: Mapping[str, bytes]) -> None:
    """Put the file in place whole and on disk: after a crash there is either the old one or the new one. Written by
    root, it belongs to whom the folder belongs to."""
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # of mode 600
        try:
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.writelines(f"{key_id} {base64.b64encode(key).decode()}\n" for key_id, key in keys.items())
                file.flush()
                _give_to_owner_of(path.parent, file.fileno())
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise KeyFileError(f"the key file {path} can't be written: {error.strerror}") from None


def _give_to_owner_of(folder: Path, file: int) -> None:
    """What root writes is for the server, which runs as a user of its own."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.fchown(file, owner.st_uid, owner.st_gid)


def sync_folder(folder: Path) -> None:
    """The new name is on disk only when its folder is."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def parse(text: str, where: str) -> Keys:
    """The keys in a text; `where` names it in KeyFileError."""
    keys: Keys = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        key_id, _, encoded = line.strip().partition(" ")
        keys[key_id] = _decode(encoded.strip(), f"line {number} of {where}")
        if not _KEY_ID.fullmatch(key_id):
            raise KeyFileError(f"line {number} of {where} must be `<key id> <key>`, the id of letters and digits")
    if not keys:
        raise KeyFileError(f"{where} has no key")
    return keys


def _decode(encoded: str, where: str) -> bytes:
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise KeyFileError(f"{where} must be `<key id> <key>`, the key {KEY_BYTES} bytes in base64")
    return key
