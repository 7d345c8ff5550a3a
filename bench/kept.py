"""What the bench has filled, kept for whoever filled it: its folder, which nobody else can write in, and its stamp.

Knows no page, and nothing of what is filled.
"""

import hashlib
import json
import os
import shutil
import stat
from pathlib import Path
from typing import Final

from outgate import clock
from outgate.store.engine import SCHEMA

KEPT: Final = Path("/var/tmp")
AGE: Final = 86400.0  # seconds; what waits there would fall due
_STAMP: Final = "filled.json"


def folder_of(name: str, database: str) -> Path:
    """Where it is kept, made if it is not there: for each database (its URL, empty for SQLite) another one.

    Whoever runs this may be root, and everybody may write in /var/tmp: raises SystemExit if somebody else made it, or
    could write there.
    """
    kind = f"postgresql-{hashlib.sha256(database.encode()).hexdigest()[:12]}" if database else "sqlite"
    folder = KEPT / f"{name}-{os.geteuid()}-{kind}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) != 0o700:
        raise SystemExit(f"{folder} is not yours alone, or somebody else made it; remove it, and run this again")
    return folder


def filled_at(folder: Path) -> float | None:
    """When what is kept there was filled; None if nothing is, if that is too old, or if its tables are another
    program's.
    """
    try:
        stamp = json.loads((folder / _STAMP).read_text())
        at, schema = float(stamp["at"]), stamp["schema"]
    except (FileNotFoundError, ValueError, KeyError):
        return None
    return at if schema == SCHEMA and 0 <= clock.now() - at < AGE else None


def clear(folder: Path) -> None:
    """Nothing is there any more but the folder, made anew."""
    shutil.rmtree(folder)
    folder.mkdir(mode=0o700)


def stamp(folder: Path, at: float) -> None:
    """All is there since this time."""
    (folder / _STAMP).write_text(json.dumps({"at": at, "schema": SCHEMA}))
