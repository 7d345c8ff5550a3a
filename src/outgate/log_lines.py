"""Log lines, by structlog: text for people, JSON for programs, both to standard error; of commands what is wrong alone.

Whatever a peer or a user wrote is made printable here: a line is one line, and no terminal obeys it. Nobody waits for
the log: a thread writes it, and what its reader does not take in time is dropped and counted. Knows no other room.
"""

import atexit
import logging
import os
import select
import sys
import textwrap
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

import structlog
from prometheus_client import Counter
from structlog.contextvars import merge_contextvars
from structlog.typing import EventDict, Processor, WrappedLogger

from outgate import clock
from outgate.printable import printable, printable_lines

WAITING: Final = 10_000  # lines that wait to be written, at most
AT_ONCE: Final = 500  # lines that are written together
GATHER: Final = 0.1  # seconds in which they gather: each message has its own
LAST: Final = 1.0  # seconds that the last lines may take when the program ends
_LEVEL_WIDTH = len("critical")

_DROPPED = Counter("outgate_log_lines_dropped", "Log lines that were dropped, since nobody read the log or it is full")


def _stamped(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """With the time, as in `2026-06-01T12:00:00.000000Z`. structlog's own makes all of it anew for each line."""
    second, rest = divmod(clock.now(), 1)
    event["timestamp"] = f"{_second(int(second))}.{int(rest * 1e6):06d}Z"
    return event


@lru_cache(4)
def _second(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S")


# What every line has.
_COMMON: Final = (
    merge_contextvars,  # which request a line is about
    structlog.processors.add_log_level,
    _stamped,
    # The traceback alone: structlog's own for people show all local variables, secrets too.
    structlog.processors.format_exc_info,
)

_log = structlog.get_logger("outgate")


def configure(log_format: str) -> "LogWriter":
    """Set up logging for this process. Never log content, credentials or what a peer sent in AUTH."""
    lines = LogWriter(sys.stderr.fileno())
    atexit.register(lines.flush)
    structlog.configure(
        processors=[*_COMMON, _renderer(log_format)],
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers = [*(one for one in root.handlers if not isinstance(one, _FromLibraries)), _FromLibraries()]
    return lines


def event_log(lines: "LogWriter", log_format: str) -> Callable[[str, Mapping[str, object]], None]:
    """Writes what happened, with these fields, in the same lines, of level info. By structlog's way from a logger to a
    line each message would pay as much again as for its line.
    """
    render = _renderer(log_format)

    def write(event: str, fields: Mapping[str, object]) -> None:
        line = merge_contextvars(None, "info", {**fields, "event": event})
        line["level"] = "info"
        lines.msg(str(render(None, "info", _stamped(None, "info", line))))

    return write


def _renderer(log_format: str) -> Processor:
    return structlog.processors.JSONRenderer() if log_format == "json" else for_people


def configure_for_commands() -> None:
    """Log lines of a command: warnings and worse, written at once; standard output is the command's own.

    Nothing is done where logging is set up already. Loggers are not kept, so that `configure` may come later.
    """
    if structlog.is_configured():
        return
    structlog.configure(
        processors=[_only_trouble, *_COMMON, for_people],
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )


class LogWriter:
    """Takes lines for a file descriptor, from any thread, and returns at once. What can't be written is dropped."""

    def __init__(self, descriptor: int, waiting: int = WAITING) -> None:
        self._descriptor, self._most = descriptor, waiting
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        """A forked process has neither the thread nor the lines of the one before it."""
        self._lines: deque[str] = deque()
        self._there, self._beginning = threading.Event(), threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_writing = False
        self._dropped = 0

    def msg(self, line: str) -> None:
        """Take a line."""
        if len(self._lines) >= self._most:
            self._drop(1)
            return
        self._lines.append(line)
        if self._thread is None:
            self._start()
        if not self._there.is_set():
            self._there.set()

    debug = info = warning = error = critical = exception = msg

    def flush(self, seconds: float = LAST) -> None:
        """Wait until all is written, so long at most: who reads the log may have stopped to."""
        end = time.monotonic() + seconds
        while (self._lines or self._is_writing) and time.monotonic() < end:
            time.sleep(GATHER / 50)

    def _start(self) -> None:
        with self._beginning:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="log", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            self._there.wait()
            self._there.clear()
            while self._lines:
                self._is_writing = True
                is_written = self._write([self._lines.popleft() for _ in range(min(len(self._lines), AT_ONCE))])
                if is_written and self._dropped:
                    self._tell_of_dropped()
                self._is_writing = False
            time.sleep(GATHER)

    def _write(self, lines: list[str]) -> bool:
        data = "\n".join([*lines, ""]).encode(errors="backslashreplace")
        while data:
            try:
                data = data[os.write(self._descriptor, data) :]
            except BlockingIOError:
                select.select([], [self._descriptor], [])
            except OSError:  # a closed pipe, a full disk
                self._drop(len(lines))
                return False
        return True

    def _drop(self, lines: int) -> None:
        self._dropped += lines
        _DROPPED.inc(lines)

    def _tell_of_dropped(self) -> None:
        dropped, self._dropped = self._dropped, 0
        _log.warning("log lines were dropped, since they could not be written in time", lines=dropped)


class _FromLibraries(logging.Handler):
    """What libraries log by Python's own means becomes lines of ours."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger(record.name).log(record.levelno, record.getMessage(), exc_info=record.exc_info)


def for_people(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    """Time, level, what happened, and its fields as `name=value`; a traceback on lines of its own, indented, since the
    text of an exception may be somebody else's and must not look like a line of ours.

    structlog's ConsoleRenderer takes twice the time, which counts when each message has its lines.
    """
    head = f"{event.pop('timestamp')} {event.pop('level'):{_LEVEL_WIDTH}} {printable(str(event.pop('event')))}"
    traceback = event.pop("exception", None)
    words = [head]
    for name, value in event.items():
        text = value if isinstance(value, str) else str(value)
        if not text.isprintable():
            text = printable(text)
        if not text or " " in text or '"' in text:  # in quotes, where it would not be seen where it ends
            text = '"' + text.replace('"', r"\"") + '"'
        words.append(f"{name}={text}")
    line = " ".join(words)
    return f"{line}\n{textwrap.indent(printable_lines(traceback), '    ')}" if traceback else line


def _only_trouble(_logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    if method in ("debug", "info"):
        raise structlog.DropEvent
    return event
