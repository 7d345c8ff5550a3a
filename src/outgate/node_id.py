"""Which node of an installation a data directory is: a random name, made once and kept in a file.

Leases and the list of nodes go by it, so it must be the same after a restart, and no two nodes' may be alike. Knows no
database.
"""

import os
import re
import secrets
from pathlib import Path
from typing import Final

FILE: Final = "node.id"
_FORM: Final = re.compile(r"[0-9a-f]{16}")


class NodeIdError(Exception):
    """The file can't be used; the text says what to do."""


class NodeTaken(NodeIdError):
    """Another server with this node's id is running; the text says what to do."""


def node_id(data: Path) -> str:
    """The data directory's id; made if there is none yet."""
    path = data / FILE
    try:
        found = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return _make(path)
    except OSError as error:
        raise NodeIdError(f"{path} can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        found = ""
    if not _FORM.fullmatch(found):
        raise NodeIdError(f"{path} is not a node's id; remove it, and the next start makes another")
    return found


def _make(path: Path) -> str:
    """Whole and on disk before it is used. Of several who make one at once the first one's counts."""
    made = secrets.token_hex(8)
    temporary = path.with_name(f".{path.name}.{made}")
    with temporary.open("x", encoding="ascii") as file:
        file.write(f"{made}\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(temporary, path)
    except FileExistsError:
        return node_id(path.parent)
    finally:
        temporary.unlink()
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return made
