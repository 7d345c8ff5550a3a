"""One connection: uvicorn's protocol, with an end to each thing that its peer may take time for.

uvicorn ends connections that lie idle between requests (timeout_keep_alive) and has no setting for the rest: a head
that comes byte by byte, a body that never ends, an answer that nobody reads. So its class is extended here, by hooks
that asyncio.Protocol has, and by one of its own (`on_response_complete`). What the peer is at is what h11 says of it.
"""

import asyncio
from enum import Enum
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_HEAD: Final = 8192  # bytes of a request's head
HEAD_SECONDS: Final = 10.0  # from the connection's begin, or the last answer's end, to the end of a request's head
BODY_SECONDS: Final = 20.0  # for a body, and
BODY_RATE: Final = 8192  # bytes that each further second is worth
READ_SECONDS: Final = 30.0  # in which a peer reads 48 KiB of an answer (from asyncio's high water to its low water)
CLOSE_SECONDS: Final = 5.0  # for the end of a body that nobody reads, and of the connection


class Phase(Enum):
    """What a connection waits for of its peer, and for how many seconds at most."""

    HEAD = "head"
    BODY = "body"
    REST = "the rest of a body that is answered already"
    READING = "reading what was sent"
    CLOSING = "reading all that was sent"
    NOTHING = "nothing: the answer is being made"


def seconds(phase: Phase) -> float:
    """How long a phase may last; of a body it is the least."""
    return {
        Phase.HEAD: HEAD_SECONDS,
        Phase.BODY: BODY_SECONDS,
        Phase.REST: CLOSE_SECONDS,
        Phase.READING: READ_SECONDS,
        Phase.CLOSING: CLOSE_SECONDS,
    }[phase]


class HttpConnection(H11Protocol):
    """Aborted when its peer takes too long; `lost` is done when it is no more."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lost: asyncio.Future[None] = self.loop.create_future()
        self._phase = Phase.NOTHING
        self._end: asyncio.TimerHandle | None = None
        self._began = 0.0
        self._received = 0  # bytes in this phase

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # narrower, as uvicorn has it
        """The peer may speak."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """The peer has spoken."""
        self._received += len(data)
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """An answer is made, and may wait to be read."""
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        """The peer does not read."""
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        """The peer reads."""
        super().resume_writing()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is no more."""
        self._stop_timer()
        super().connection_lost(exc)
        if not self.lost.done():
            self.lost.set_result(None)

    def _watch(self) -> None:
        """Begin a phase's time if it is another one than before."""
        phase = self._phase_now()
        if phase is self._phase:
            return
        self._stop_timer()
        self._phase, self._began, self._received = phase, self.loop.time(), 0
        if phase is not Phase.NOTHING:
            self._end = self.loop.call_later(seconds(phase), self._expire)

    def _phase_now(self) -> Phase:
        if self.transport.is_closing():
            return Phase.CLOSING
        if self.flow.write_paused:
            return Phase.READING
        state = self.conn.their_state
        if state is h11.SEND_BODY:
            return Phase.REST if self.cycle.response_complete else Phase.BODY
        return Phase.HEAD if state is h11.IDLE else Phase.NOTHING

    def _expire(self) -> None:
        if self._phase is Phase.BODY and (more := self._more_seconds()) > 0:
            self._end = self.loop.call_later(more, self._expire)
        else:
            self.transport.abort()

    def _more_seconds(self) -> float:
        """What a body may still take. Where the application does not read, the peer can't be blamed."""
        if self.flow.read_paused:
            return BODY_SECONDS
        return self._began + BODY_SECONDS + self._received / BODY_RATE - self.loop.time()

    def _stop_timer(self) -> None:
        if self._end:
            self._end.cancel()
            self._end = None
