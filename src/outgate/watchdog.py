"""Notices work that makes no step for longer than all its deadlines together, tells of it, and ends it.

What has deadlines of its own never gets so far: this is for the fault that nobody foresaw. Whoever works says so
(`Watchdog.watch`), and says at each step that there was one (`step`). Work that happens all the same when nobody waits
for it any more, as a commit, is told of only. Knows no mail.
"""

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Final

import structlog
from prometheus_client import Counter

EVERY: Final = 5.0  # seconds between looks

Named = str | Callable[[], str]

_WEDGED = Counter(
    "outgate_wedged",
    "Times that work made no step for longer than all its deadlines, and was ended (a commit: waited for)",
    ["work"],
)
_log = structlog.get_logger("outgate")


class Wedged(Exception):
    """The work that was watched made no step, and was ended."""


class Watchdog:
    """Of one event loop. `wedged` counts what it told of, the last one at `wedged_at` (by time.monotonic)."""

    def __init__(self) -> None:
        # Known, it need not be asked for at each watch: in Python 3.11 that asks the system for the process's number.
        self._loop = asyncio.get_running_loop()
        self.wedged, self.wedged_at = 0, 0.0
        self._watches: set[Watch] = set()

    def watch(self, work: str, what: Named, longest: float, *, ends: bool = True) -> "Watch":
        """A block of the current task, in which at most `longest` seconds pass without a step. `work` is its kind,
        `what` the one piece of it, as the log is told; given as a function, it is named only when there is need. The
        block raises Wedged where that took longer; unless it is one that nobody `ends`, which is told of only.
        """
        return Watch(self._loop, self._watches, work, what, longest, ends)

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            self.look(monotonic())

    def look(self, now: float) -> None:
        """End what has made no step for too long at `now` (as of time.monotonic); what goes on all the same is told of
        again after as long.
        """
        for one in list(self._watches):
            if now - one.stepped_at > one.longest:
                _log.error(
                    f"no step for longer than all deadlines: {'ended' if one.ends else 'waited for'}",
                    work=one.work,
                    what=one.name,
                    seconds=round(now - one.stepped_at),
                    at=_place(one.task),
                )
                _WEDGED.labels(one.work).inc()
                self.wedged, self.wedged_at = self.wedged + 1, now
                one.stepped_at = now
                if one.ends:
                    one.end()


class Watch:
    """One block that is watched."""

    __slots__ = (
        "_cancelling",
        "_ended",
        "_former",
        "_loop",
        "_watches",
        "_what",
        "ends",
        "longest",
        "stepped_at",
        "task",
        "work",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        watches: "set[Watch]",
        work: str,
        what: Named,
        longest: float,
        ends: bool,
    ) -> None:
        self._loop, self._watches = loop, watches
        self.work, self._what, self.longest, self.ends = work, what, longest, ends
        self.stepped_at = 0.0
        self._ended = 0  # how often it was told to

    def __enter__(self) -> "Watch":
        task = asyncio.current_task(self._loop)
        if task is None:
            raise RuntimeError("only tasks are watched")
        self.task, self._cancelling = task, task.cancelling()
        self.stepped_at = monotonic()
        self._watches.add(self)
        self._former = _CURRENT.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        _CURRENT.reset(self._former)
        self._watches.discard(self)
        if not self._ended:
            return
        for _ in range(self._ended):
            left = self.task.uncancel()
        # Who else cancels the task means it to end (asyncio.timeout judges alike).
        if left <= self._cancelling and kind is not None and issubclass(kind, asyncio.CancelledError):
            raise Wedged(f"{self.name}: no step for {self.longest:g} seconds") from None

    @property
    def name(self) -> str:
        """Which piece of work it is."""
        return self._what if isinstance(self._what, str) else self._what()

    def end(self) -> None:
        """Break it off."""
        self._ended += 1
        self.task.cancel()


_CURRENT: ContextVar[Watch | None] = ContextVar("watch", default=None)


def step() -> None:
    """The work that the current task is watched at goes on."""
    if one := _CURRENT.get():
        one.stepped_at = monotonic()


def _place(task: asyncio.Task[None]) -> str:
    """The lines that it waits at, the innermost last."""
    found = []
    inner: object = task.get_coro()
    while inner is not None:
        if frame := getattr(inner, "cr_frame", None) or getattr(inner, "ag_frame", None):
            found.append(f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}")
        inner = getattr(inner, "cr_await", None) or getattr(inner, "ag_await", None)
    return " ".join(found)
