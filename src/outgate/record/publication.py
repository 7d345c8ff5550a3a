"""Tells of events after their commit: the log line, the counter, and whoever asked to be told in this process.

An outcome never depends on its report: nothing here raises. Each event itself says what is to be logged and counted
(record.events). Knows no kind of event, no table and no event loop.
"""

from collections.abc import Callable, Sequence
from typing import Final

import structlog
from prometheus_client import Counter

from outgate.record.events import Fields, MessageEvent, Weight

LINE_LENGTH: Final = 400  # characters of each field of a log line

_FAILURES = Counter("outgate_publication_failures", "Events that could not be logged or counted, or told a subscriber")

_log = structlog.get_logger("mail")

Subscriber = Callable[[Sequence[MessageEvent]], None]
EventLog = Callable[[str, Fields], None]  # takes what happened, and the fields of its line, printable or not


def by_structlog(event: str, fields: Fields) -> None:
    """A line as of any other logger."""
    _log.info(event, **fields)


class Publication:
    """Call it with what was committed together. `queue_id` writes a queue id; lines lighter than `least` are left out.

    A subscriber is called on the event loop that commits and must not block it; a trace is a subscriber, too. The first
    time that one fails is logged, each time is counted.
    """

    def __init__(
        self,
        queue_id: Callable[[int], str],
        least: Weight,
        log: EventLog = by_structlog,
    ) -> None:
        self._queue_id, self._least, self._write = queue_id, least, log
        self._subscribers: list[Subscriber] = []
        self._failing: set[Subscriber] = set()

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Have it called with all that is committed from now on, until the function returned is called."""
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)

    def __call__(self, events: Sequence[MessageEvent]) -> None:
        """Log, count and tell."""
        for event in events:
            try:
                if event.count:
                    event.count()
                if event.line and event.weight >= self._least:
                    self._log(event, event.line())
            except Exception:  # a full disk, a closed pipe: nobody who waits for an outcome is to hear of it
                _FAILURES.inc()
        for subscriber in tuple(self._subscribers):
            try:
                subscriber(events)
            except Exception:
                _FAILURES.inc()
                self._tell_once(subscriber)

    def _log(self, event: MessageEvent, line: Fields) -> None:
        if cut := [name for name, value in line.items() if isinstance(value, str) and len(value) > LINE_LENGTH]:
            line = {**line, **{name: f"{line[name]}"[:LINE_LENGTH] + "…" for name in cut}}
        self._write(str(event.kind), {"id": self._queue_id(event.message_id), **line})

    def _tell_once(self, subscriber: Subscriber) -> None:
        if subscriber in self._failing:
            return
        self._failing.add(subscriber)
        try:
            _log.exception("a subscriber to the record failed", subscriber=repr(subscriber))
        except Exception:
            _FAILURES.inc()
