"""Log lines of the running server, by structlog: text for people, JSON for programs, both to standard error."""

import sys

import structlog


def configure(log_format: str) -> None:
    """Set up logging for this process. Never log content, credentials or what a peer sent in AUTH."""
    for_people = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(),
        exception_formatter=structlog.dev.plain_traceback,  # the default shows all local variables, secrets too
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,  # which request a line is about
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info if log_format == "json" else structlog.dev.set_exc_info,
            structlog.processors.JSONRenderer() if log_format == "json" else for_people,
        ],
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
