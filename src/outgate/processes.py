"""Several processes of one server: started together, watched, stopped together. Knows nothing of mail.

One process of Python uses one core. Each process is a whole server; they share the listening ports and the database.
"""

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Callable
from types import FrameType

import structlog

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_PAUSE = 1.0  # seconds before a process that ended by itself is started again
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

_log = structlog.get_logger("outgate")


class Processes:
    """Runs `work(number)` in each of `count` child processes until SIGTERM or SIGINT, and `at_end` before each ends.

    A child that ends by itself is started again. SIGHUP is passed on. If this process is killed, so are the children:
    what they held would else be held twice after a restart.
    """

    def __init__(self, count: int, work: Callable[[int], None], at_end: Callable[[], None]) -> None:
        self._count, self._work, self._at_end = count, work, at_end
        self._children: dict[int, int] = {}  # pid -> number
        self._stopping = False

    def run(self) -> None:
        """Returns when all have ended. Call it before there are threads."""
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        signal.signal(signal.SIGHUP, self._pass_on)
        for number in range(self._count):
            self._start(number)
        while self._children:
            pid, status = os.wait()
            number = self._children.pop(pid)
            if not self._stopping:
                _log.error("process ended, starting it again", number=number, status=os.waitstatus_to_exitcode(status))
                time.sleep(_PAUSE)
                self._start(number)

    def _start(self, number: int) -> None:
        """Signals wait meanwhile: the parent does not know the child yet that it has to pass them on to, and the child
        still has the parent's handlers.
        """
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            if not self._stopping:
                self._fork(number, before)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _fork(self, number: int, before: set[int]) -> None:
        parent = os.getpid()
        pid = os.fork()
        if pid:
            self._children[pid] = number
            return
        status = 1
        try:
            _die_with(parent)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            self._work(number)
            status = 0
        except Exception:
            _log.exception("process failed", number=number)
        finally:
            self._at_end()
            os._exit(status)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True
        self._send(signal.SIGTERM)

    def _pass_on(self, number: int, _frame: FrameType | None) -> None:
        self._send(number)

    def _send(self, number: int) -> None:
        for pid in self._children:
            with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
                os.kill(pid, number)


def _die_with(parent: int) -> None:
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # who only begins reads everything anyway
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before we asked to be told
        os._exit(1)
