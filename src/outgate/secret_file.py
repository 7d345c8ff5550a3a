"""A secret in a file of its own that nobody else may read, as settings name them. Knows no setting."""

import codecs
import stat
from pathlib import Path


class SecretFileError(Exception):
    """The file can't be used; the text says why, and what to do."""


def read_secret(path: Path, setting: str) -> bytes:
    """What is in the file, without the end of its line. Raises SecretFileError."""
    try:
        mode, content = path.stat().st_mode, path.read_bytes().removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        raise SecretFileError(f"{setting} {path}: {error.strerror}") from None
    if stat.S_IMODE(mode) & 0o077:
        raise SecretFileError(f"{setting} {path} can be read by others; run: chmod 600 {path}")
    secret = content.removesuffix(b"\n").removesuffix(b"\r")
    if not secret:
        raise SecretFileError(f"{setting} {path} is empty")
    return secret
