"""Log lines of the running server, by structlog: text for people, JSON for programs, both to standard error.

Whatever a peer or a user wrote is made printable here: a line is one line, and no terminal obeys it.
"""

import asyncio
import atexit
import contextlib
import sys
from typing import TextIO

import structlog
from structlog.typing import EventDict, WrappedLogger

from outgate.printable import printable, printable_lines

_LEVEL_WIDTH = len("critical")


def configure(log_format: str) -> None:
    """Set up logging for this process. Never log content, credentials or what a peer sent in AUTH."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,  # which request a line is about
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            # The traceback alone: structlog's own for people show all local variables, secrets too.
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer() if log_format == "json" else for_people,
        ],
        logger_factory=lambda *_: _Lines(sys.stderr),
        cache_logger_on_first_use=True,
    )


class _Lines:
    """Writes lines: those of one turn of the event loop together, since each message has its own; others at once."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._gathered: list[str] = []
        atexit.register(self._write)

    def msg(self, line: str) -> None:
        """Take a line; it is written at the end of this turn of the loop, if there is one."""
        self._gathered.append(line)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._write()
        else:
            if len(self._gathered) == 1:
                loop.call_soon(self._write)

    debug = info = warning = error = critical = exception = msg

    def _write(self) -> None:
        lines, self._gathered = self._gathered, []
        if lines:
            with contextlib.suppress(OSError, ValueError):  # a closed pipe must not end what the lines tell of
                self._file.write("\n".join(lines) + "\n")
                self._file.flush()


def for_people(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    """Time, level, what happened, and its fields as `name=value`; a traceback on lines of its own.

    structlog's ConsoleRenderer takes twice the time, which counts when each message has its lines.
    """
    head = f"{event.pop('timestamp')} {event.pop('level'):{_LEVEL_WIDTH}} {printable(str(event.pop('event')))}"
    traceback = event.pop("exception", None)
    line = " ".join([head, *[f"{name}={_shown(value)}" for name, value in event.items()]])
    return f"{line}\n{printable_lines(traceback)}" if traceback else line


def _shown(value: object) -> str:
    """In quotes where it would not be seen where it ends."""
    text = printable(value if isinstance(value, str) else str(value))
    return text if text and " " not in text and '"' not in text else '"' + text.replace('"', r"\"") + '"'
