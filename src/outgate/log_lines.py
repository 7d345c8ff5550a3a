"""Log lines of the running server, by structlog: text for people, JSON for programs, both to standard error.

Whatever a peer or a user wrote is made printable here: a line is one line, and no terminal obeys it.
"""

import sys

import structlog
from structlog.typing import EventDict, WrappedLogger

from outgate.printable import printable

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
            structlog.processors.JSONRenderer() if log_format == "json" else _for_people,
        ],
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )


def _for_people(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    """Time, level, what happened, and its fields as `name=value`; a traceback on lines of its own.

    structlog's ConsoleRenderer takes twice the time, which counts when each message has its lines.
    """
    head = f"{event.pop('timestamp')} {event.pop('level'):{_LEVEL_WIDTH}} {printable(str(event.pop('event')))}"
    traceback = event.pop("exception", None)
    line = " ".join([head, *[f"{name}={_shown(value)}" for name, value in event.items()]])
    return f"{line}\n{_printable_lines(traceback)}" if traceback else line


def _shown(value: object) -> str:
    """In quotes where it would not be seen where it ends."""
    text = printable(value if isinstance(value, str) else str(value))
    return text if text and " " not in text and '"' not in text else '"' + text.replace('"', r"\"") + '"'


def _printable_lines(text: str) -> str:
    return "\n".join(map(printable, text.splitlines()))
