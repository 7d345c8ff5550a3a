"""How many files and sockets this process may have open: raised as far as the system lets it, and shared out.

Who listens gets what is left over: what finds no room there comes again, while the database, the queue and deliveries
can't do without. Knows no listener.
"""

import resource
from typing import Final

import structlog

ENOUGH: Final = 65_536  # where the system sets no limit of its own
KEPT: Final = 150  # for the database, DNS, files and the program itself
LEAST: Final = 16  # sessions, however few files there may be

_log = structlog.get_logger("outgate")


def raise_limit() -> None:
    """Systems let a process have 1,024 files at first, and more if it asks."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def room_for_sessions(wanted: int, other_connections: int) -> int:
    """As many sessions as are wanted, or as there are files for beside all other connections that there may be."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    kept = other_connections + KEPT
    room = wanted if soft == resource.RLIM_INFINITY else min(wanted, max(LEAST, soft - kept))
    if room < wanted:
        _log.warning(
            "fewer sessions than submission.max_sessions: raise the limit of open files",
            sessions=room,
            open_files=soft,
            needed=wanted + kept,
        )
    return room
